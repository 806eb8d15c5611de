"""Answers on their way into the database: many sessions' at once, each checked against what is held, chained in commit order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, exists, func, insert, literal_column, select, update

from experiment.online import chain
from experiment.online.answer_checks import without_control
from experiment.online.messages import Happening, TrialAnswer
from experiment.online.refusals import NotOpen, OutOfOrder, Refusal, UnknownToken
from experiment.online.tables import flags, happenings, responses, sessions

MOST_HAPPENINGS = 500
"""Of a session: those with higher numbers are not stored."""
MOST_CONFLICTS = 50
"""Flags of one session for answers that differ from those that are held."""
COMMENT = 0
"""Number of the happening that holds what a person says at the end; the page counts from 1."""
MOST_REMEMBERED = 20_000
"""Sessions whose last trial is remembered, so that an answer need not ask for it."""
_MOST_AT_ONCE = 500  # sessions of one query


@dataclass(frozen=True, slots=True)
class Prepared:
    """An answer that is as the plan allows, and what is committed to."""

    trial: int
    content: str
    salt: str
    commitment: str


@dataclass(frozen=True, slots=True)
class ToHold:
    """What a page sent of one session.

    token_sha256 : of the token that it sent: another page may have taken over since.
    """

    session: str
    token_sha256: str
    answers: tuple[Prepared, ...]
    happenings: tuple[Happening, ...]


@dataclass(frozen=True, slots=True)
class NowHeld:
    """What came of it.

    held        : number of trials that are held now.
    conflicting : trials that were held already with another answer, which stays.
    """

    held: int
    conflicting: tuple[int, ...] = ()


@dataclass(slots=True)
class _Session:
    """What is remembered of a session between transactions."""

    token_sha256: str
    state: str
    held: int


@dataclass(slots=True)
class _Rows:
    """What one batch writes."""

    responses: list[dict[str, object]] = field(default_factory=list)
    contents: dict[tuple[str, int], str] = field(default_factory=dict)
    sessions: dict[str, dict[str, object]] = field(default_factory=dict)
    happenings: list[dict[str, object]] = field(default_factory=list)
    flags: list[dict[str, object]] = field(default_factory=list)


_STATES = select(sessions.c.session, sessions.c.token_sha256, sessions.c.state, sessions.c.n_held).where(
    sessions.c.session.in_(bindparam("of", expanding=True))
)
_HEAD = select(responses.c.place, responses.c.link).order_by(responses.c.place.desc()).limit(1)
_CONTENT = select(responses.c.content).where(
    responses.c.session == bindparam("of"), responses.c.trial == bindparam("of_trial")
)
_HEARD = (
    update(sessions)
    .where(sessions.c.session == bindparam("of"))
    .values(n_held=bindparam("held"), heard_ms=bindparam("now"), lease_until_ms=bindparam("until"))
)
_names = [column.name for column in happenings.columns]
_NEW_HAPPENING = insert(happenings).from_select(
    _names,
    select(*(bindparam(f"of_{name}", type_=happenings.c[name].type) for name in _names)).where(
        ~exists(literal_column("1"))
        .where(happenings.c.session == bindparam("of_session"), happenings.c.number == bindparam("of_number"))
        .correlate(None)
    ),
)
_LAST = (
    select(responses.c.content)
    .where(responses.c.session == bindparam("of"))
    .order_by(responses.c.trial.desc())
    .limit(1)
)
_LAST_HAPPENING = select(func.max(happenings.c.number)).where(happenings.c.session == bindparam("of"))


def prepared(answer: TrialAnswer) -> Prepared:
    """An answer as it is stored: canonical JSON, salted and committed to."""
    content, salt = chain.canonical(answer.model_dump(mode="json")), chain.new_salt()
    return Prepared(answer.trial, content, salt, chain.commitment(salt, content))


class Holding:
    """Holds answers; used in the writer's thread alone, and remembers of the database what no other process changes.

    now_ms   : the clock, ms since 1970.
    lease_ms : for which a place is kept from now.
    """

    def __init__(self, now_ms: Callable[[], int], lease_ms: int) -> None:
        self._now_ms, self._lease_ms = now_ms, lease_ms
        self._sessions: dict[str, _Session] = {}
        self._conflicts: dict[str, int] = {}  # flagged of each session: no finishing or coming again begins anew
        self._head: tuple[int, str] | None = None

    def forget(self, session: str | None = None) -> None:
        """What is remembered of a session, or of all of them and the chain, is untrue."""
        if session is not None:
            self._sessions.pop(session, None)
        else:
            self._sessions.clear()
            self._head = None

    def hold(self, connection: Connection, items: Sequence[ToHold]) -> list[NowHeld | BaseException]:
        """Store what is new of several sessions' answers and happenings."""
        self._remember(connection, [item.session for item in items])
        place, link = self._head = self._head or self._last(connection)
        now = self._now_ms()
        rows, outcomes = _Rows(), list[NowHeld | BaseException]()
        for item in items:
            remembered = self._sessions.get(item.session)
            try:
                new, conflicting = self._judged(connection, item, remembered, rows)
            except Refusal as refusal:
                outcomes.append(refusal)
                continue
            assert remembered is not None
            for answer in new:
                place, link = place + 1, chain.link(link, item.session, answer.trial, answer.commitment)
                rows.contents[item.session, answer.trial] = answer.content
                rows.responses.append(
                    {
                        "place": place,
                        "session": item.session,
                        "trial": answer.trial,
                        "content": answer.content,
                        "salt": answer.salt,
                        "commitment": answer.commitment,
                        "link": link,
                        "received_ms": now,
                    }
                )
            remembered.held += len(new)
            rows.sessions[item.session] = {
                "of": item.session, "held": remembered.held, "now": now, "until": now + self._lease_ms
            }  # fmt: skip
            rows.happenings += [
                _row_of(happening, item.session, now)
                for happening in item.happenings
                if happening.number <= MOST_HAPPENINGS
            ]
            flagged = self._conflicts.get(item.session, 0)
            for trial in conflicting[: MOST_CONFLICTS - flagged]:
                said = f"trial {trial} was answered again, and otherwise"
                rows.flags.append({"session": item.session, "kind": "conflict", "detail": said, "at_ms": now})
                self._conflicts[item.session] = flagged = flagged + 1
            outcomes.append(NowHeld(remembered.held, tuple(conflicting)))
        _write(connection, rows)
        self._head = place, link
        return outcomes

    def touch(self, connection: Connection, items: Sequence[str]) -> list[BaseException | None]:
        """Keep the places of sessions of which something was heard."""
        self._remember(connection, items)
        now = self._now_ms()
        alive = {of: self._sessions[of].held for of in items if of in self._sessions}
        if alive:
            connection.execute(
                _HEARD,
                [{"of": of, "held": held, "now": now, "until": now + self._lease_ms} for of, held in alive.items()],
            )
        return [None for _ in items]

    def _judged(
        self, connection: Connection, item: ToHold, remembered: _Session | None, rows: _Rows
    ) -> tuple[list[Prepared], list[int]]:
        """The answers that are new, and trials that are held with another answer. Raises a Refusal."""
        if remembered is None or remembered.token_sha256 != item.token_sha256:
            raise UnknownToken
        if remembered.state in ("withdrawn", "erased"):
            raise NotOpen("withdrawn")
        held, new, conflicting = remembered.held, dict[int, Prepared](), list[int]()
        for answer in item.answers:
            if answer.trial == held + 1:
                new[answer.trial] = answer
                held += 1
                continue
            if answer.trial > held:
                raise OutOfOrder(remembered.held)
            before = (
                new[answer.trial].content if answer.trial in new else rows.contents.get((item.session, answer.trial))
            )
            if before is None:
                found = connection.execute(_CONTENT, {"of": item.session, "of_trial": answer.trial})
                before = found.scalar_one_or_none()
            if before is None or not same_answer(before, answer.content):
                conflicting.append(answer.trial)
        return [*new.values()], conflicting

    def _remember(self, connection: Connection, wanted: Sequence[str]) -> None:
        unknown = [session for session in dict.fromkeys(wanted) if session not in self._sessions]
        if not unknown:
            return
        if len(self._sessions) > MOST_REMEMBERED:
            self._sessions.clear()
            unknown = [*dict.fromkeys(wanted)]
        for begin in range(0, len(unknown), _MOST_AT_ONCE):
            for session, token, state, held in connection.execute(
                _STATES, {"of": unknown[begin : begin + _MOST_AT_ONCE]}
            ):
                self._sessions[session] = _Session(token, state, held)

    def _last(self, connection: Connection) -> tuple[int, str]:
        found = connection.execute(_HEAD).one_or_none()
        return (0, chain.START) if found is None else (found.place, found.link)


def same_answer(one: str, other: str) -> bool:
    """Whether two contents say the same; when they were sent does not count."""
    if one == other:
        return True
    first, second = json.loads(one), json.loads(other)
    return {**first, "sent_ms": 0} == {**second, "sent_ms": 0}


def last_load(connection: Connection, session: str) -> int:
    """How often the page had been loaded when it sent the last answer that is held; 0 without one."""
    content = connection.execute(_LAST, {"of": session}).scalar_one_or_none()
    return int(json.loads(content)["load"]) if content else 0


def last_happening(connection: Connection, session: str) -> int:
    """The highest number of a happening that is held; 0 without one."""
    return int(connection.execute(_LAST_HAPPENING, {"of": session}).scalar_one_or_none() or 0)


def add_comment(connection: Connection, session: str, comment: str, now_ms: int) -> None:
    """Keep what a person says at the end, once."""
    values = {"session": session, "number": COMMENT, "kind": "comment", "trial": None, "at_ms": 0, "content": comment}
    row = {f"of_{name}": value for name, value in {**values, "received_ms": now_ms}.items()}
    connection.execute(_NEW_HAPPENING, [row])


def _row_of(happening: Happening, session: str, now_ms: int) -> dict[str, object]:
    content = None if happening.content is None else without_control(happening.content)
    return {
        "of_session": session,
        "of_number": happening.number,
        "of_kind": happening.kind,
        "of_trial": happening.trial,
        "of_at_ms": round(happening.at_ms),
        "of_content": content,
        "of_received_ms": now_ms,
    }


def _write(connection: Connection, rows: _Rows) -> None:
    if rows.responses:
        connection.execute(insert(responses), rows.responses)
    if rows.sessions:
        connection.execute(_HEARD, [*rows.sessions.values()])
    if rows.happenings:
        connection.execute(_NEW_HAPPENING, rows.happenings)
    if rows.flags:
        connection.execute(insert(flags), rows.flags)
