"""Everybody who joined, as the database has them at one moment: values, read in one transaction, without raw identifiers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, select

from experiment.online import tables
from experiment.online.messages import TrialAnswer
from protocols.problems import FoolscanError


@dataclass(frozen=True)
class AssignedTrial:
    """One trial as it was assigned.

    item_id : None for an attention check.
    asked   : of an attention check, the answer asked for.
    """

    number: int
    kind: str
    item_id: str | None
    asked: str | None


@dataclass(frozen=True)
class AnsweredTrial:
    """One answered trial.

    place  : in the chain, from 1.
    answer : None once erased.
    """

    place: int
    trial: int
    link: str
    received_ms: int
    answer: TrialAnswer | None


@dataclass(frozen=True)
class Participant:
    """Somebody who joined, with all that was assigned and answered; `worker` is the pseudonym."""

    session: str
    worker: str
    recruiter: str
    list_id: str
    group: str
    condition: str
    place: int
    seed: int
    language: str
    state: str
    counted: bool
    excluded_for: str | None
    surplus: bool
    n_trials: int
    n_held: int
    joined_ms: int
    heard_ms: int
    ended_ms: int | None
    trials: tuple[AssignedTrial, ...]
    answers: tuple[AnsweredTrial, ...]
    flags: tuple[str, ...]

    @property
    def is_erased(self) -> bool:
        """Whether the answers were taken back."""
        return self.state == "erased"


def everybody(connection: Connection) -> list[Participant]:
    """Everybody who ever joined, in order of the pseudonym.

    Raises FoolscanError for content that is no answer.
    """
    trials: dict[str, list[AssignedTrial]] = defaultdict(list)
    for row in connection.execute(select(tables.trials).order_by(tables.trials.c.session, tables.trials.c.trial)):
        trials[row.session].append(AssignedTrial(row.trial, row.kind, row.item_id, row.asked))
    answers: dict[str, list[AnsweredTrial]] = defaultdict(list)
    columns = tables.responses.c
    for row in connection.execute(select(tables.responses).order_by(columns.session, columns.trial)):
        answer = None if row.content is None else answer_in(row.content, row.place)
        answers[row.session].append(AnsweredTrial(row.place, row.trial, row.link, row.received_ms, answer))
    flags: dict[str, set[str]] = defaultdict(set)
    for row in connection.execute(select(tables.flags.c.session, tables.flags.c.kind)):
        if row.session is not None:
            flags[row.session].add(row.kind)
    joined = tables.sessions.join(tables.workers).join(tables.lists)
    chosen = select(tables.sessions, tables.workers.c.recruiter, tables.lists.c.group_name, tables.lists.c.condition)
    found = connection.execute(chosen.select_from(joined).order_by(tables.sessions.c.worker))
    return [_participant(row._mapping, trials, answers, flags) for row in found]


def strange_names(people: Iterable[Participant]) -> list[str]:
    """What somebody is called in a tampered database and is no pseudonym: files are named by it."""
    return [person.worker for person in people if not (person.worker.isascii() and person.worker.isalnum())]


def answer_in(content: str, place: int) -> TrialAnswer:
    """The answer that a row of `responses` holds.

    content : canonical JSON.
    place   : in the chain, for the message.

    Raises FoolscanError when it is none.
    """
    try:
        return TrialAnswer.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FoolscanError(
            f"answer {place} of the database: {where or 'content'}: {first['msg']}; see: foolscan online verify"
        ) from error


def head_of(connection: Connection) -> tuple[int, str | None]:
    """How many answers the chain has, and its last link (None: it is empty)."""
    columns = tables.responses.c
    row = connection.execute(select(columns.place, columns.link).order_by(columns.place.desc()).limit(1)).first()
    return (0, None) if row is None else (row.place, row.link)


def _participant(
    row: Mapping[Any, Any],
    trials: Mapping[str, list[AssignedTrial]],
    answers: Mapping[str, list[AnsweredTrial]],
    flags: Mapping[str, set[str]],
) -> Participant:
    key = row["session"]
    copied = (
        *("session", "worker", "recruiter", "list_id", "condition", "place", "seed", "language", "state", "counted"),
        *("excluded_for", "surplus", "n_trials", "n_held", "joined_ms", "heard_ms", "ended_ms"),
    )
    return Participant(
        **{name: row[name] for name in copied},
        group=row["group_name"],
        trials=tuple(trials.get(key, ())),
        answers=tuple(answers.get(key, ())),
        flags=tuple(sorted(flags.get(key, ()))),
    )
