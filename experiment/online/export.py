"""Writes what was answered: the tables that the analysis reads, and BIDS behaviour for every person; again and again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select

from experiment.online.answer_rows import answers_of, session_of
from experiment.online.beh_files import MADE, beh_facts, remove_others, write_beh
from experiment.online.database import connect, connect_reading, readable
from experiment.online.items import Item, items_of
from experiment.online.opening import files_of, nobody_asked_yet
from experiment.online.people import Participant, everybody, head_of, strange_names
from experiment.online.tables import facts, responses
from experiment.participants import enrol_all
from protocols.answers import (
    COLUMNS,
    SESSION_COLUMNS,
    SIMULATED,
    Answer,
    Session,
    answers_table,
    sessions_table,
    write_answers,
)
from protocols.crops import crops_table
from protocols.folder import REHEARSAL_NOTE, StudyFolder, exclusive, open_folder, read_json
from protocols.formats import ANSWERS
from protocols.online_plan import CropPairs, OnlinePlan
from protocols.problems import FoolscanError, WorkWanting
from protocols.provenance import sha256_of_bytes, write_sidecar
from protocols.study import Study, online_plan

if TYPE_CHECKING:
    from experiment.online.crowd import Crowd

UNITS = {"rt_s": "s", "onset_s": "s", "shown_s": "s", "asked_s": "s", "minutes": "min"}
WAIT_S = 60.0
EXPORTED_HEAD = "exported_head"
"""Name of the fact."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    answers, sessions : the tables.
    beh               : a file for each person who has answered something.
    removed           : files of people whose data were erased.
    n_answers         : answered questions.
    head              : last link of the chain of answers; None: there are none.
    """

    answers: Path
    sessions: Path
    beh: tuple[Path, ...]
    removed: tuple[Path, ...]
    n_answers: int
    head: str | None


@dataclass(frozen=True)
class Snapshot:
    """What the database held at one moment."""

    people: tuple[Participant, ...]
    n_chain: int
    head: str | None


def snapshot_of(connection: Connection) -> Snapshot:
    """Everything that an export is made of, read in the transaction of `connection`."""
    if lacking := cut_off(connection):
        raise WorkWanting(f"{lacking}. Nothing was exported; see: foolscan online verify")
    n_chain, head = head_of(connection)
    people = tuple(everybody(connection))
    if strange := strange_names(people):
        raise WorkWanting(f"{strange[0]!r}: no pseudonym. Nothing was exported; see: foolscan online verify")
    return Snapshot(people, n_chain, head)


def rows_of(
    plan: OnlinePlan, items: Sequence[Item], people: Sequence[Participant]
) -> tuple[list[Answer], list[Session]]:
    """The rows of both tables, in order of participant, trial and question; nothing of people whose data were erased."""
    by_id = {item.item_id: item for item in items}
    answers: list[Answer] = []
    sessions: list[Session] = []
    for person in sorted((person for person in people if not person.is_erased), key=lambda person: person.worker):
        answers += answers_of(plan, by_id, person)
        sessions.append(session_of(plan, by_id, person))
    return answers, sessions


def export(study: Study, folder: StudyFolder, told: Callable[[int, int], None] = lambda done, n: None) -> Exported:
    """Export from the database's file; the server may run meanwhile.

    told : is told how many people are done, and of how many.

    Raises NotReady where nobody was ever let in, and as `write_export` does.
    """
    path = database_of(study, folder)
    reading, writing = connect_reading(path), connect(path)
    try:
        with readable(path):
            with reading.begin() as connection:
                snapshot = snapshot_of(connection)
            done = write_export(study, folder, snapshot, told)
            with writing.begin() as connection:
                keep_head(connection, snapshot)
    finally:
        reading.dispose()
        writing.dispose()
    return done


def export_from(crowd: Crowd, study: Study, folder: StudyFolder, told: Callable[[int, int], None]) -> Exported:
    """Export from a crowd that is being served."""
    snapshot = crowd.read(snapshot_of)
    done = write_export(study, folder, snapshot, told)
    crowd.write(lambda connection: keep_head(connection, snapshot)).result()
    return done


def database_of(study: Study, folder: StudyFolder) -> Path:
    """The database's file. Raises NotReady where there is none."""
    files = files_of(study, folder)
    if not files.database.exists():
        raise nobody_asked_yet(files)
    return files.database


def keep_head(connection: Connection, snapshot: Snapshot) -> None:
    """Keep in the database how long the chain was when it was exported, so that its end cannot be cut off unseen."""
    content = json.dumps({"answers": snapshot.n_chain, "head": snapshot.head})
    connection.execute(delete(facts).where(facts.c.name == EXPORTED_HEAD))
    connection.execute(insert(facts).values(name=EXPORTED_HEAD, value=content))


def cut_off(connection: Connection) -> str | None:
    """What is lacking of the chain as it was exported last; None: nothing."""
    found = connection.execute(select(facts.c.value).where(facts.c.name == EXPORTED_HEAD)).scalar_one_or_none()
    if found is None:
        return None
    kept = json.loads(found)
    return lacking_of(connection, int(kept["answers"]), kept["head"])


def lacking_of(connection: Connection, n_chain: int, head: str | None) -> str | None:
    """What is lacking of a chain that once had `n_chain` answers and ended with the link `head`; None: nothing."""
    if n_chain == 0:
        return None
    link = connection.execute(select(responses.c.link).where(responses.c.place == n_chain)).scalar_one_or_none()
    if link == head:
        return None
    n, _ = head_of(connection)
    if n < n_chain:
        return f"{n_chain} answers had been exported, and the chain has {n}: its end was cut off"
    return f"answer {n_chain} is not the one that was exported as the last: what came before it was changed"


def write_export(
    study: Study, folder: StudyFolder, snapshot: Snapshot, told: Callable[[int, int], None] = lambda done, n: None
) -> Exported:
    """Write the tables and everybody's behaviour; the same database gives the same bytes.

    told : is told how many people are done, and of how many.

    Files are written whole or not at all, and an export that was cut off is made good by the next. Raises FoolscanError when
    the folder holds data of the other kind (people's, or simulated), or another export is at it.
    """
    plan = online_plan(study)
    table = answers_table(folder, plan.task)
    with exclusive(table, f"the export of {plan.task}", wait_s=WAIT_S):
        simulated = _mark(study, folder, snapshot.people)
        items = items_of(plan, folder)
        made_of = images_table(plan, folder)
        present = [person for person in snapshot.people if not person.is_erased and person.answers]
        gone = {person.worker for person in snapshot.people} - {person.worker for person in present}
        removed = remove_others(folder, plan.task, [person.worker for person in present], gone)
        left = [path.parent.parent for path in removed] + [folder.root / f"sub-{worker}" for worker in gone]
        _sweep(folder, plan.task)
        by_id = {item.item_id: item for item in items}
        columns = beh_facts(plan, items, simulated=simulated)
        beh = []
        for place, person in enumerate(present):
            beh.append(write_beh(folder, plan, by_id, person, columns, made_of))
            told(place + 1, len(present))
        struck = [path.name.removeprefix("sub-") for path in left if not path.exists()]
        enrol_all(folder, [person.worker for person in present], simulated=simulated, gone=struck)
        n_answers = _write_tables(study, folder, snapshot, items, made_of, simulated=simulated)
    return Exported(table, sessions_table(folder, plan.task), tuple(beh), tuple(removed), n_answers, snapshot.head)


def images_table(plan: OnlinePlan, folder: StudyFolder) -> Path:
    """The table of the images that are shown."""
    return crops_table(folder) if isinstance(plan.design, CropPairs) else folder.manifest


def is_simulated_crowd(folder: StudyFolder, people: Sequence[Participant]) -> bool | None:
    """Whether the people are simulated; None: nobody came yet.

    Raises FoolscanError where people and simulated ones are mixed.
    """
    description = folder.root / "dataset_description.json"
    marked = read_json(description).get("Simulated") if description.exists() else None
    if marked is True:
        return True
    kinds = {person.recruiter == SIMULATED for person in people}
    if kinds == {True, False} or (marked is False and True in kinds):
        raise FoolscanError(
            f"{folder.root}: found simulated participants in a study folder for people; simulate into another folder with --to"
        )
    return next(iter(kinds), None)


def _mark(study: Study, folder: StudyFolder, people: Sequence[Participant]) -> bool:
    simulated = is_simulated_crowd(folder, people)
    open_folder(folder.root, study.title, rehearsal=simulated)
    return bool(simulated)


def _write_tables(
    study: Study, folder: StudyFolder, snapshot: Snapshot, items: Sequence[Item], made_of: Path, *, simulated: bool
) -> int:
    plan = online_plan(study)
    answers, sessions = rows_of(plan, items, snapshot.people)
    mark: dict[str, Any] = {"Simulated": True, "SimulatedNote": REHEARSAL_NOTE} if simulated else {}
    chain = {"head": snapshot.head, "answers": snapshot.n_chain}
    parameters = {
        "made_by": MADE,
        "task": plan.task,
        "plan_sha256": sha256_of_bytes(plan.model_dump_json().encode()),
        "chain": chain,
    }
    write_answers(folder, plan.task, answers, sessions)
    for path, columns in (
        (answers_table(folder, plan.task), COLUMNS),
        (sessions_table(folder, plan.task), SESSION_COLUMNS),
    ):
        more = {"format": ANSWERS, **mark, **_described(columns)}
        write_sidecar(folder, path, inputs=[made_of], parameters=parameters, seed=study.seed, more=more)
    return len(answers)


def _described(columns: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"Description": said, **({"Units": UNITS[name]} if name in UNITS else {})}
        for name, said in columns.items()
    }


def _sweep(folder: StudyFolder, task: str) -> None:
    """Remove half-written tables that a killed process left."""
    for pattern in (f".{task}.*.tmp*", f".{task}_sessions.*.tmp*"):
        for half in folder.derived("answers").glob(pattern):
            with suppress(OSError):
                half.unlink()
