"""A crowd that has answered: what the tests of closing and of the operator's page begin with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from online_study import Clock, answer_all, answers_to, crop_study, joined
from sqlalchemy import text

from experiment.online.crowd import Crowd
from experiment.online.database import connect
from experiment.online.messages import Answers
from experiment.online.recruiters.recruiter import Arrival, Completion
from protocols.folder import StudyFolder
from protocols.study import Study

RAW = "A1RAWWORKERID{:02d}"


@contextmanager
def opened(study: Study, folder: StudyFolder, clock: Clock | None = None) -> Iterator[Crowd]:
    with Crowd.open(study, folder, now_ms=clock or Clock()) as crowd:
        yield crowd


def complete(crowd: Crowd, token: str, comment: str = "") -> None:
    crowd.finish(token, comment, lambda code: Completion("code", code=code)).result()


def take_part(
    crowd: Crowd, raw_id: str, *, recruiter: str = "link", right: bool = True, rt_ms: float = 700.0, comment: str = ""
) -> str:
    """Join, answer everything, finish; the pseudonym."""
    arrival = Arrival(raw_id, assignment=f"ASSIGNMENT-{raw_id}", hit="HIT-RAW-9")
    person = crowd.join(recruiter, arrival, "en").result()
    answer_all(crowd, person.token, right=right, rt_ms=rt_ms)
    complete(crowd, person.token, comment)
    return worker_of(crowd, person.session_state.session)


def worker_of(crowd: Crowd, session: str) -> str:
    chosen = text("SELECT worker FROM sessions WHERE session = :of")
    return str(crowd.read(lambda connection: connection.execute(chosen, {"of": session}).scalar_one()))


def small_crowd(tmp_path: Path, **how: object) -> tuple[Study, StudyFolder, dict[str, str]]:
    """Two who count, one excluded, one under way, one withdrawn, one who only joined; pseudonyms by what they are."""
    study, folder = crop_study(tmp_path, **{"per_list": 3, **how})  # type: ignore[arg-type]
    clock = Clock()
    who: dict[str, str] = {}
    with opened(study, folder, clock) as crowd:
        who["good"] = take_part(crowd, RAW.format(1), comment="Well done")
        clock.move(3)
        who["other"] = take_part(crowd, RAW.format(2))
        who["excluded"] = take_part(crowd, RAW.format(3), right=False)
        clock.move(1)
        for kind, erase in (("active", None), ("withdrawn", False)):
            person = joined(crowd, RAW.format(4 if kind == "active" else 5))
            some = answers_to(crowd, person.session_state)[:3]
            crowd.hold(person.token, Answers(answers=some)).result()
            if erase is not None:
                crowd.withdraw(person.token, erase).result()
            who[kind] = worker_of(crowd, person.session_state.session)
        person = joined(crowd, RAW.format(6))
        who["joined"] = worker_of(crowd, person.session_state.session)
    return study, folder, who


def tampered(folder: StudyFolder, *statements: str, task: str = "crops") -> None:
    """Change the database as somebody with the file could, triggers taken out first."""
    engine = connect(folder.derived("online") / f"{task}.sqlite3")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    with engine.begin() as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars().all()
        for name in names:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()
