"""Somebody joins, comes again, ends or withdraws: each in one transaction of the writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from experiment.online import judging, reservations, tokens
from experiment.online.answer_checks import without_control
from experiment.online.holding import add_comment
from experiment.online.items import Item
from experiment.online.lists import ShownList
from experiment.online.messages import TrialAnswer
from experiment.online.recruiters.recruiter import Arrival, Completion
from experiment.online.refusals import Incomplete, NotOpen, UnknownToken
from experiment.online.tables import (
    erased,
    facts,
    flags,
    happenings,
    payments,
    responses,
    seen,
    sessions,
    trials,
    workers,
)
from experiment.online.tables import lists as lists_table
from experiment.online.trials import SessionPlan, Trial, plan_session, session_seed
from protocols.online_plan import OnlinePlan
from protocols.seeds import generator_for


@dataclass(frozen=True)
class Design:
    """What every session is drawn from.

    key   : of the pseudonyms.
    seed  : of the study.
    items : all that may be shown.
    lists : in order.
    """

    plan: OnlinePlan
    items: tuple[Item, ...]
    lists: tuple[ShownList, ...]
    seed: int
    key: bytes
    lease_ms: int

    def list_of(self, list_id: str) -> ShownList:
        """A list by its name."""
        return next(shown for shown in self.lists if shown.list_id == list_id)


@dataclass(frozen=True)
class Finished:
    """Somebody is done.

    counted : whether it fills the quota.
    """

    completion: Completion
    counted: bool


_OF_WORKER = select(sessions).where(sessions.c.worker == bindparam("of"))
_OF_TOKEN = select(sessions).where(sessions.c.token_sha256 == bindparam("of"))
_GIVEN_IN_ALL = select(func.coalesce(func.sum(lists_table.c.given), 0))
_GIVEN = select(lists_table.c.given).where(lists_table.c.list_id == bindparam("of"))
_GIVE = update(lists_table).where(lists_table.c.list_id == bindparam("of")).values(given=bindparam("place"))
_KNOWN = select(workers.c.worker).where(workers.c.worker == bindparam("of"))
_ARRIVED = (
    update(payments)
    .where(payments.c.worker == bindparam("of"))
    .values(raw_id=bindparam("raw"), assignment=bindparam("its_assignment"), hit=bindparam("its_hit"))
)
_NEW_WORKER, _NEW_SESSION, _NEW_TRIALS = insert(workers), insert(sessions), insert(trials)
_NEW_SEEN, _NEW_PAYMENT = insert(seen), insert(payments)
_RETURNED = (  # somebody else has the work now: whoever had it before has given it back
    update(sessions)
    .where(
        sessions.c.state == "active",
        sessions.c.worker.in_(
            select(payments.c.worker).where(
                payments.c.assignment == bindparam("its_assignment"), payments.c.worker != bindparam("of")
            )
        ),
    )
    .values(lease_until_ms=bindparam("now"))
)
_PAUSED = select(facts.c.value).where(facts.c.name == "paused")
_ANSWERS = (
    select(responses.c.trial, responses.c.content, responses.c.received_ms)
    .where(responses.c.session == bindparam("of"))
    .order_by(responses.c.trial)
)


def is_paused(connection: Connection) -> bool:
    """Whether nobody new may join."""
    return connection.execute(_PAUSED).scalar_one_or_none() == "true"


def session_of(connection: Connection, token_sha256: str) -> RowMapping:
    """The row of a token's session. Raises UnknownToken."""
    row = connection.execute(_OF_TOKEN, {"of": token_sha256}).mappings().one_or_none()
    if row is None:
        raise UnknownToken
    return row


def join(
    connection: Connection, design: Design, recruiter: str, arrival: Arrival, language: str, token: str, now_ms: int
) -> tuple[str, str]:
    """Let somebody in, or go on: (session, hash of the token that is void now or an empty string).

    token : the new one.

    Raises NotOpen.
    """
    worker = tokens.pseudonym(design.key, recruiter, arrival.raw_id)
    known = connection.execute(_OF_WORKER, {"of": worker}).mappings().one_or_none()
    if known is not None:
        return _come_again(connection, design, known, arrival, language, token, now_ms)
    if is_paused(connection):
        raise NotOpen("paused")
    if arrival.assignment is not None:
        connection.execute(_RETURNED, {"its_assignment": arrival.assignment, "of": worker, "now": now_ms})
    draw = generator_for(design.seed, f"online/give/{connection.execute(_GIVEN_IN_ALL).scalar_one()}")
    shown = reservations.next_list(design.lists, reservations.tallies(connection, design.lists, now_ms), draw)
    if shown is None:
        raise NotOpen("full")
    place = 1 + int(connection.execute(_GIVEN, {"of": shown.list_id}).scalar_one())
    connection.execute(_GIVE, {"of": shown.list_id, "place": place})
    session, seed = tokens.new_session(), session_seed(design.seed, shown.list_id, place)
    planned = plan_session(design.plan, shown, design.items, seed)
    if connection.execute(_KNOWN, {"of": worker}).one_or_none() is None:
        connection.execute(_NEW_WORKER, {"worker": worker, "recruiter": recruiter, "since_ms": now_ms})
    new = {
        "session": session,
        "worker": worker,
        "list_id": shown.list_id,
        "place": place,
        "seed": seed,
        "token_sha256": tokens.sha256_of_token(token),
        "language": language,
        "state": "active",
        "counted": False,
        "surplus": False,
        "n_trials": len(planned.trials),
        "n_held": 0,
        "joined_ms": now_ms,
        "heard_ms": now_ms,
        "lease_until_ms": now_ms + design.lease_ms,
    }
    connection.execute(_NEW_SESSION, new)
    connection.execute(_NEW_TRIALS, [_row_of(trial, session) for trial in planned.trials])
    sources = [item.source_id for item in (*shown.items, *shown.practice)]
    try:
        connection.execute(
            _NEW_SEEN, [{"worker": worker, "source_id": source, "session": session} for source in sources]
        )
    except IntegrityError as error:
        raise NotOpen("taken_part") from error
    _remember_person(connection, worker, arrival)
    return session, ""


def _come_again(
    connection: Connection, design: Design, known: RowMapping, arrival: Arrival, language: str, token: str, now_ms: int
) -> tuple[str, str]:
    if known["state"] == "finished":
        raise NotOpen("finished")
    if known["state"] != "active":
        raise NotOpen("withdrawn")
    connection.execute(
        update(sessions)
        .where(sessions.c.session == known["session"])
        .values(
            token_sha256=tokens.sha256_of_token(token),
            language=language,
            heard_ms=now_ms,
            lease_until_ms=now_ms + design.lease_ms,
        )
    )
    _remember_person(connection, known["worker"], arrival)
    return known["session"], known["token_sha256"]


def _remember_person(connection: Connection, worker: str, arrival: Arrival) -> None:
    """The latest assignment is the one to pay: a returned one is used again by the same person, or by another."""
    known = {"of": worker, "raw": arrival.raw_id, "its_assignment": arrival.assignment, "its_hit": arrival.hit}
    if connection.execute(_ARRIVED, known).rowcount == 0:
        new = {"raw_id": arrival.raw_id, "assignment": arrival.assignment, "hit": arrival.hit}
        connection.execute(_NEW_PAYMENT, {"worker": worker, **new})


def _row_of(trial: Trial, session: str) -> dict[str, object]:
    return {
        "session": session,
        "trial": trial.number,
        "kind": trial.kind,
        "item_id": trial.item.item_id if trial.item else None,
        "asset": tokens.new_token() if trial.item else None,
        "asked": trial.asked,
    }


def records_of(connection: Connection, session: str, planned: SessionPlan) -> list[judging.Record]:
    """The answers of a session that are held and not erased, in order of trials."""
    of_number = {trial.number: trial for trial in planned.trials}
    return [
        judging.Record(of_number[row.trial], TrialAnswer.model_validate_json(row.content), row.received_ms)
        for row in connection.execute(_ANSWERS, {"of": session})
        if row.content is not None
    ]


def finish(
    connection: Connection,
    design: Design,
    planned: SessionPlan,
    token_sha256: str,
    comment: str,
    completion_of: Callable[[str], Completion],
    now_ms: int,
) -> Finished:
    """End a session of which every trial is held; again: the same completion.

    completion_of : from a new code to how the recruiter ends it.

    Raises UnknownToken, NotOpen where it was withdrawn, Incomplete.
    """
    row = session_of(connection, token_sha256)
    if row["state"] in ("withdrawn", "erased"):
        raise NotOpen("withdrawn")
    if row["n_held"] < row["n_trials"]:
        raise Incomplete(row["n_held"])
    new_code = tokens.completion_code(design.key, row["session"])
    completion = completion_of(new_code)
    if row["state"] == "active":
        _end(connection, design, planned, row, now_ms)
    if completion.code == new_code:  # a recruiter's own code may be the same for everybody, and opens nothing here
        connection.execute(
            update(payments)
            .where(payments.c.worker == row["worker"], payments.c.raw_id.is_not(None))
            .values(code_sha256=tokens.sha256_of_token(new_code))
        )
    if comment.strip():
        add_comment(connection, row["session"], without_control(comment).strip(), now_ms)
    return Finished(completion, bool(session_of(connection, token_sha256)["counted"]))


def _end(connection: Connection, design: Design, planned: SessionPlan, row: RowMapping, now_ms: int) -> None:
    records = records_of(connection, row["session"], planned)
    excluded_for = judging.exclusion(design.plan, records)
    room = reservations.has_room(connection, design.list_of(row["list_id"]))
    connection.execute(
        update(sessions)
        .where(sessions.c.session == row["session"])
        .values(
            state="finished",
            ended_ms=now_ms,
            heard_ms=now_ms,
            excluded_for=excluded_for,
            counted=excluded_for is None and room,
            surplus=excluded_for is None and not room,
        )
    )
    found = judging.flags_of(design.plan, records, row["joined_ms"])
    rows = [{"session": row["session"], "kind": kind, "detail": detail, "at_ms": now_ms} for kind, detail in found]
    if rows:
        connection.execute(insert(flags), rows)


def withdraw(connection: Connection, session: str, erase: bool, why: str, now_ms: int) -> None:
    """End a session whose person takes part no longer: the place is free; whom to pay stays known.

    erase : whether all that was answered and told is taken back, too; tombstones and commitments stay.
    why   : of the tombstones, such as ``withdrawn``.
    """
    row = connection.execute(select(sessions).where(sessions.c.session == session)).mappings().one()
    if erase:
        erase_answers(connection, session, why, now_ms)
    connection.execute(
        update(sessions)
        .where(sessions.c.session == session)
        .values(
            state="erased" if erase or row["state"] == "erased" else "withdrawn",
            counted=False,
            surplus=False,
            heard_ms=now_ms,
            ended_ms=row["ended_ms"] or now_ms,
        )
    )


def erase_answers(connection: Connection, session: str, why: str, now_ms: int) -> int:
    """Take back the content of a session's answers, happenings and flags; how many answers that were."""
    mine = responses.c.session == session
    places: Sequence[int] = [
        *connection.execute(select(responses.c.place).where(mine, responses.c.content.is_not(None))).scalars()
    ]
    connection.execute(update(responses).where(mine).values(content=None, salt=None))
    connection.execute(update(happenings).where(happenings.c.session == session).values(content=None))
    connection.execute(update(flags).where(flags.c.session == session).values(detail=None))
    if places:
        connection.execute(insert(erased), [{"place": place, "at_ms": now_ms, "why": why} for place in places])
    return len(places)
