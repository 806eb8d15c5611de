"""Erases what a person said, or who it was: the bytes are gone from the database's files; tombstones keep the chain whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select, update

from experiment.online import joining, opening, tokens
from experiment.online.database import connect, empty_log, readable
from experiment.online.export import database_of
from experiment.online.tables import erased as tombstones
from experiment.online.tables import happenings, payments, responses, sessions
from protocols.answers import answers_table
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, WorkWanting
from protocols.study import Study, online_plan

ASKED = "asked for"
"""Why, on tombstones."""
ATTEMPTS, PAUSE_S = 20, 0.3
"""At emptying the log while somebody reads the database."""


@dataclass(frozen=True)
class Erased:
    """What was erased.

    participant : ``sub-`` and the pseudonym.
    answers     : answered trials whose content is gone; None: they were not to be erased.
    comments    : comments and other things told that are gone.
    payment     : whether a raw identifier is gone; None: it was not to be erased.
    unused_code : whether a completion code went that nobody had redeemed here.
    exported    : whether files of this person stand that an earlier export wrote.
    """

    participant: str
    answers: int | None
    comments: int
    payment: bool | None
    unused_code: bool
    exported: bool


def pseudonym_of(study: Study, folder: StudyFolder, recruiter: str, raw_id: str) -> str:
    """``sub-`` and the pseudonym of somebody who asks to be erased and tells the identifier by which the recruiter knows them."""
    return f"sub-{tokens.pseudonym(opening.key_of(study, folder), recruiter, raw_id)}"


def erase(
    study: Study,
    folder: StudyFolder,
    participant: str,
    *,
    answers: bool,
    payment: bool,
    now_ms: Callable[[], int],
    sleep_s: Callable[[float], None] = time.sleep,
) -> Erased:
    """Erase one person's data; the server may run meanwhile.

    participant : ``sub-`` and the pseudonym, as exported.
    answers     : what was answered and told: the content goes, a tombstone says so, and the chain of commitments stays whole.
    payment     : the raw identifiers, and the hash of the completion code, which is void then.
    now_ms      : the clock, ms since 1970.

    Done again, it finds nothing left. Raises FoolscanError for an unknown participant;
    WorkWanting where the bytes could not be removed from the log, as somebody reads the database all the time.
    """
    if not (answers or payment):
        raise FoolscanError("--answers, --payment: found neither; say what is to be erased")
    path, worker = database_of(study, folder), participant.removeprefix("sub-")
    engine = connect(path)
    try:
        with readable(path):
            with engine.begin() as connection:
                session = _session_of(connection, worker, path)
                n_answers = _erase_answers(connection, session, now_ms()) if answers else (0, 0)
                known, unused = _erase_payment(connection, worker) if payment else (None, False)
            _empty_log(engine, path, sleep_s)
    finally:
        engine.dispose()
    exported = (answers and any(folder.root.glob(f"sub-{worker}/beh/*"))) or (
        answers and _in_table(study, folder, worker)
    )
    return Erased(f"sub-{worker}", n_answers[0] if answers else None, n_answers[1], known, unused, bool(exported))


def _session_of(connection: Connection, worker: str, path: Path) -> str:
    row = connection.execute(select(sessions.c.session).where(sessions.c.worker == worker)).scalar_one_or_none()
    if row is None:
        raise FoolscanError(
            f"--participant: found no sub-{worker} in {path}; pseudonyms stand in the exported tables and on the operator's page"
        )
    return str(row)


def _erase_answers(connection: Connection, session: str, now_ms: int) -> tuple[int, int]:
    said = select(func.count()).where(happenings.c.session == session, happenings.c.content.is_not(None))
    n_said = int(connection.execute(said).scalar_one())
    of_session = responses.join(tombstones, tombstones.c.place == responses.c.place)
    count = select(func.count()).select_from(of_session).where(responses.c.session == session)
    before = int(connection.execute(count).scalar_one())
    joining.withdraw(connection, session, True, ASKED, now_ms)
    return int(connection.execute(count).scalar_one()) - before, n_said


def _erase_payment(connection: Connection, worker: str) -> tuple[bool, bool]:
    mine = payments.c.worker == worker
    row = connection.execute(select(payments).where(mine)).one_or_none()
    connection.execute(
        update(payments).where(mine).values(raw_id=None, assignment=None, hit=None, code_sha256=None, code_used_ms=None)
    )
    if row is None:
        return False, False
    known = any(value is not None for value in (row.raw_id, row.assignment, row.hit, row.code_sha256))
    return known, row.code_sha256 is not None and row.code_used_ms is None


def _empty_log(engine: Engine, path: Path, sleep_s: Callable[[float], None]) -> None:
    """Empty the log, as often tried as somebody reads meanwhile."""
    for attempt in range(ATTEMPTS):
        sleep_s(PAUSE_S if attempt else 0.0)
        if empty_log(engine):
            return
    raise WorkWanting(
        f"{path}: erased, but its log ({path.name}-wal) still has the bytes, as somebody reads the database all the time; "
        "close what reads it (foolscan online export, verify), and run this again"
    )


def _in_table(study: Study, folder: StudyFolder, worker: str) -> bool:
    table = answers_table(folder, online_plan(study).task)
    return table.exists() and f"sub-{worker}\t" in table.read_text(encoding="utf-8")
