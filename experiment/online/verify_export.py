"""Compares what was exported with the database: later answers may be lacking there, but nothing may differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from experiment.online.answer_rows import participant_id
from experiment.online.beh_files import beh_columns, beh_path, beh_rows
from experiment.online.export import lacking_of, rows_of
from experiment.online.items import Item
from experiment.online.people import Participant, head_of
from protocols.answers import COLUMNS, SESSION_COLUMNS, answers_table, read_answers, sessions_table
from protocols.folder import StudyFolder
from protocols.online_plan import OnlinePlan
from protocols.problems import FoolscanError
from protocols.provenance import read_provenance, sha256_of
from protocols.study import Study, online_plan
from protocols.tables import cell, read_table

AGAIN = "export again: foolscan online export"
GOING_ON = ("language", "answered", "minutes", "attention_failed", "impossible_rts", "hidden_trials", "flags")
"""Columns that may change of somebody who is under way."""
ENDING = (*GOING_ON, "state", "counted", "excluded_for")
"""Columns that change when a session ends."""
FLAGGED = ("flags",)
"""What may change of everybody."""


def exported_findings(
    connection: Connection, study: Study, folder: StudyFolder, items: Sequence[Item], people: Sequence[Participant]
) -> tuple[list[str], list[str]]:
    """What is wrong with the exported files, and what should be known of them."""
    plan = online_plan(study)
    table = answers_table(folder, plan.task)
    if not table.exists():
        stray = sorted(folder.root.glob(f"sub-*/beh/sub-*_task-{plan.task}_beh.tsv"))
        return [f"{path}: exported, and the table {table.name} is not there; {AGAIN}" for path in stray], []
    found, notes = [], []
    try:
        for path in (table, sessions_table(folder, plan.task)):
            if read_provenance(path)["sha256"] != sha256_of(path):
                found.append(f"{path}: was changed after it was exported; {AGAIN}")
        made = read_provenance(table)["parameters"].get("chain", {})
        n_then, head = int(made.get("answers", 0)), made.get("head")
        if lacking := lacking_of(connection, n_then, head):
            found.append(f"{table}: {lacking}")
        n_now, _ = head_of(connection)
        if n_now > n_then:
            notes.append(f"{n_now - n_then} answered trials came after the last export ({AGAIN})")
        found += _table_findings(folder, plan, items, people)
    except FoolscanError as error:
        found.append(str(error))
    found += _beh_findings(folder, plan, {item.item_id: item for item in items}, people)
    return found, notes


def _table_findings(
    folder: StudyFolder, plan: OnlinePlan, items: Sequence[Item], people: Sequence[Participant]
) -> Iterator[str]:
    there, there_sessions = read_answers(folder, plan.task)
    here, here_sessions = rows_of(plan, items, people)
    state_then = {session.participant_id: session.state for session in there_sessions}
    state_now = {session.participant_id: session.state for session in here_sessions}
    gone = {participant_id(person) for person in people if person.is_erased}
    lapsed = sorted({*state_then, *(answer.participant_id for answer in there)} & gone)
    for who in lapsed:
        yield f"{who}: erased, and still in the exported tables; {AGAIN}"
    texts = {(row.participant_id, row.trial, row.question): _cells(asdict(row), COLUMNS) for row in here}
    for line, row in enumerate(there, start=2):
        where = f"{answers_table(folder, plan.task)}:{line}: {row.participant_id}, trial {row.trial}, {row.question}"
        free = _free(state_then.get(row.participant_id), state_now.get(row.participant_id))
        if row.participant_id not in gone:
            key = (row.participant_id, row.trial, row.question)
            yield from _differing(where, _cells(asdict(row), COLUMNS), texts.get(key), free)
    sessions = {row.participant_id: _cells(asdict(row), SESSION_COLUMNS) for row in here_sessions}
    for line, session in enumerate(there_sessions, start=2):
        who = session.participant_id
        where = f"{sessions_table(folder, plan.task)}:{line}: {who}"
        if who not in gone:
            yield from _differing(
                where,
                _cells(asdict(session), SESSION_COLUMNS),
                sessions.get(who),
                _free(session.state, state_now.get(who)),
            )
    seen = {(row.participant_id, row.trial, row.question) for row in there}
    for who, n in sorted((session.participant_id, session.answered) for session in there_sessions):
        mine = [key for key in texts if key[0] == who and key[1] <= n]
        if lacking := [key for key in mine if key not in seen]:
            yield f"{answers_table(folder, plan.task)}: {who}: {len(lacking)} answers are lacking that were exported; {AGAIN}"


def _free(then: str | None, now: str | None) -> Sequence[str]:
    """Columns that may differ by now."""
    if then != now:
        return ENDING
    return GOING_ON if then == "active" else FLAGGED


def _differing(
    where: str, there: Mapping[str, str], here: Mapping[str, str] | None, free: Sequence[str]
) -> Iterator[str]:
    if here is None:
        yield f"{where}: exported, and not in the database"
        return
    odd = [name for name in there if name not in free and there[name] != here[name]]
    if odd:
        first = odd[0]
        more = f" (and {', '.join(odd[1:])})" if odd[1:] else ""
        yield f"{where}: {first}: exported {there[first]!r}, the database has {here[first]!r}{more}; {AGAIN}"


def _cells(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, str]:
    return {name: cell(row[name]) for name in columns}


def _beh_findings(
    folder: StudyFolder, plan: OnlinePlan, items: Mapping[str, Item], people: Sequence[Participant]
) -> Iterator[str]:
    of_path: dict[Path, Participant] = {beh_path(folder, person.worker, plan.task): person for person in people}
    columns = beh_columns(plan)
    for path in sorted(folder.root.glob(f"sub-*/beh/sub-*_task-{plan.task}_beh.tsv")):
        person = of_path.get(path)
        if person is None:
            yield f"{path}: of somebody whom the database does not know"
            continue
        if person.is_erased:
            yield f"{path}: of somebody whose answers were erased; {AGAIN}"
            continue
        try:
            there = [tuple(row.values()) for row in read_table(path)]
        except FoolscanError as error:
            yield str(error)
            continue
        here = [tuple(cell(row[name]) for name in columns) for row in beh_rows(plan, items, person)]
        differing = [line for line, row in enumerate(there, start=2) if line - 2 >= len(here) or row != here[line - 2]]
        if differing:
            yield f"{path}:{differing[0]}: not what the database has; {AGAIN}"
    for person in people:
        path = beh_path(folder, person.worker, plan.task)
        if person.state == "finished" and person.answers and not path.exists():
            told = sessions_table(folder, plan.task)
            if told.exists() and any(
                row["participant_id"] == participant_id(person) and row["answered"] != "0" for row in read_table(told)
            ):
                yield f"{path}: was exported, and is missing; {AGAIN}"
