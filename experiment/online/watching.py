"""What the operator sees of a crowd: recruitment, lists, speed, people, flags, comments; pseudonyms alone, values that JSON can hold."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from sqlalchemy import Connection, func, select

from experiment.online import tables
from experiment.online.holding import COMMENT

MOST_PEOPLE, MOST_COMMENTS, MOST_POINTS = 200, 100, 160
MOST_SESSIONS_A_FLAG, MOST_DETAILS = 24, 3
LONGEST_TEXT = 500
RECENT_MS = 5 * 60_000
QUIET_MS = 2 * 60_000
"""Somebody of whom nothing was heard for so long is not at it now."""


@dataclass(frozen=True)
class Person:
    """A session as the operator may see it."""

    who: str
    recruiter: str
    list_id: str
    language: str
    state: str
    counted: bool
    excluded_for: str | None
    n_trials: int
    n_held: int
    joined_ms: int
    heard_ms: int
    lease_until_ms: int
    ended_ms: int | None

    @property
    def fills(self) -> str | None:
        """What became of somebody who finished: counted, excluded or surplus; None: has not."""
        if self.state != "finished":
            return None
        return "excluded" if self.excluded_for else "counted" if self.counted else "surplus"


@dataclass
class Pace:
    """Reaction times and receipts of main trials, read once each: what was read is remembered, what was erased forgotten."""

    place: int = 0
    rts_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    received_ms: list[int] = field(default_factory=list)

    def read_on(self, connection: Connection) -> None:
        """Read the answers that came since it was last asked."""
        answers, trials = tables.responses.c, tables.trials.c
        joined = tables.responses.join(tables.trials)
        chosen = select(answers.place, answers.session, answers.content, answers.received_ms, trials.kind)
        rows = connection.execute(chosen.select_from(joined).where(answers.place > self.place).order_by(answers.place))
        for row in rows:
            self.place = row.place
            self.received_ms.append(row.received_ms)
            if row.content is not None and row.kind == "main":
                self.rts_s[row.session].append(json.loads(row.content)["given"][0]["rt_ms"] / 1000)

    def forget(self, sessions: Sequence[str]) -> None:
        """Forget the reaction times of people whose answers were erased."""
        for session in sessions:
            self.rts_s.pop(session, None)


def watched(connection: Connection, pace: Pace, now_ms: int) -> dict[str, Any]:
    """All that the operator's page shows of the database at one moment.

    pace   : what is remembered from the last time; it is brought up to date.
    now_ms : since 1970.
    """
    people = _people(connection)
    pace.read_on(connection)
    pace.forget([session for session, person in people.items() if person.state == "erased"])
    return {
        "recruitment": recruitment(list(people.values()), now_ms),
        "lists": _lists(connection, list(people.values()), now_ms),
        "speed": speed(list(people.values()), pace, now_ms),
        "people": _now(connection, people, now_ms),
        "flags": _flags(connection, people, now_ms),
        "comments": _comments(connection, people, now_ms),
    }


def recruitment(people: Sequence[Person], now_ms: int) -> dict[str, Any]:
    """How many came, and what became of them; with cumulative counts at even steps of time for the chart."""
    joined = sorted(person.joined_ms for person in people)
    finished = sorted(person.ended_ms for person in people if person.state == "finished" and person.ended_ms)
    active = [person for person in people if person.state == "active"]
    here = [person for person in active if now_ms - person.heard_ms <= QUIET_MS]
    # A study that is over is shown as long as it lasted, and not as a flat line until today.
    last = max([*joined, *finished, *(person.heard_ms for person in people)], default=now_ms)
    end = max(last, min(now_ms, last + (last - joined[0]) // 20 + 60_000)) if joined else now_ms
    begin = min(joined[0], end - 60_000) if joined else end - 60_000
    steps = [begin + (end - begin) * step // MOST_POINTS for step in range(MOST_POINTS + 1)]
    return {
        "joined": len(people),
        "here": len(here),
        "away": len(active) - len(here),
        "finished": len(finished),
        "counted": sum(person.fills == "counted" for person in people),
        "surplus": sum(person.fills == "surplus" for person in people),
        "excluded": sum(person.fills == "excluded" for person in people),
        "withdrawn": sum(person.state in ("withdrawn", "erased") for person in people),
        "excluded_for": _tally(person.excluded_for for person in people if person.fills == "excluded"),
        "recruiters": _tally(person.recruiter for person in people),
        "minutes_ago": [round((now_ms - step) / 60_000, 3) for step in steps],
        "joined_by": [bisect_right(joined, step) for step in steps],
        "finished_by": [bisect_right(finished, step) for step in steps],
    }


def speed(people: Sequence[Person], pace: Pace, now_ms: int) -> dict[str, Any]:
    """How long sessions take, how fast answers come, and how fast they are given."""
    minutes = [
        (person.ended_ms - person.joined_ms) / 60_000
        for person in people
        if person.state == "finished" and person.ended_ms
    ]
    recent = sum(received_ms > now_ms - RECENT_MS for received_ms in pace.received_ms)  # clocks are set back, too
    medians = [median(rts) for rts in pace.rts_s.values() if rts]
    return {
        "median_minutes": round(median(minutes), 2) if minutes else None,
        "answers": len(pace.received_ms),
        "answers_per_minute": round(recent / (RECENT_MS / 60_000), 1),
        "rt_median_s": round(median(medians), 3) if medians else None,
        "rt_medians_s": [round(value, 3) for value in sorted(medians)],
    }


def _people(connection: Connection) -> dict[str, Person]:
    columns = tables.sessions.c
    chosen = select(tables.sessions, tables.workers.c.recruiter).select_from(tables.sessions.join(tables.workers))
    return {
        row.session: Person(
            who=row.worker,
            recruiter=row.recruiter,
            list_id=row.list_id,
            language=row.language,
            state=row.state,
            counted=row.counted,
            excluded_for=row.excluded_for,
            n_trials=row.n_trials,
            n_held=row.n_held,
            joined_ms=row.joined_ms,
            heard_ms=row.heard_ms,
            lease_until_ms=row.lease_until_ms,
            ended_ms=row.ended_ms,
        )
        for row in connection.execute(chosen.order_by(columns.joined_ms, columns.session))
    }


def _lists(connection: Connection, people: Sequence[Person], now_ms: int) -> list[dict[str, Any]]:
    of_list: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        of_list[person.list_id].append(person)
    rows = []
    for row in connection.execute(select(tables.lists).order_by(tables.lists.c.list_id)):
        members = of_list[row.list_id]
        active = [person for person in members if person.state == "active"]
        leased = sum(person.lease_until_ms > now_ms for person in active)
        rows.append(
            {
                "list_id": row.list_id,
                "group": row.group_name,
                "condition": row.condition,
                "quota": row.quota,
                "counted": sum(person.fills == "counted" for person in members),
                "active": leased,
                "lapsed": len(active) - leased,
                "excluded": sum(person.fills == "excluded" for person in members),
                "withdrawn": sum(person.state in ("withdrawn", "erased") for person in members),
                "surplus": sum(person.fills == "surplus" for person in members),
            }
        )
    return rows


def _now(connection: Connection, people: Mapping[str, Person], now_ms: int) -> dict[str, Any]:
    active = {session: person for session, person in people.items() if person.state == "active"}
    latest = sorted(active, key=lambda session: (-active[session].heard_ms, session))
    flags = tables.flags.c
    counted = connection.execute(
        select(flags.session, func.count()).where(flags.session.is_not(None)).group_by(flags.session)
    )
    flagged = {row[0]: row[1] for row in counted}
    rows = [
        {
            "who": active[session].who,
            "recruiter": active[session].recruiter,
            "list_id": active[session].list_id,
            "language": _short(active[session].language),
            "held": active[session].n_held,
            "trials": active[session].n_trials,
            "minutes": round((now_ms - active[session].joined_ms) / 60_000, 1),
            "quiet_s": max(0, (now_ms - active[session].heard_ms) // 1000),
            "here": now_ms - active[session].heard_ms <= QUIET_MS,
            "flags": flagged.get(session, 0),
        }
        for session in latest[:MOST_PEOPLE]
    ]
    return {"n": len(active), "rows": rows}


def _flags(connection: Connection, people: Mapping[str, Person], now_ms: int) -> list[dict[str, Any]]:
    flags = tables.flags.c
    kinds: dict[str, dict[str, Any]] = {}
    whose: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in connection.execute(select(tables.flags).order_by(flags.flag.desc())):
        kind = kinds.setdefault(
            row.kind, {"kind": row.kind, "n": 0, "nobody": 0, "minutes_ago": _ago(now_ms, row.at_ms), "details": []}
        )
        kind["n"] += 1
        person = people.get(row.session) if row.session is not None else None
        if person is None:
            kind["nobody"] += 1
        else:
            whose[row.kind][person.who] += 1
        detail = _short(row.detail or "")
        if detail and len(kind["details"]) < MOST_DETAILS and detail not in kind["details"]:
            kind["details"].append(detail)
    for name, kind in kinds.items():
        most = sorted(whose[name].items(), key=lambda item: (-item[1], item[0]))
        kind["people"] = len(most)
        kind["sessions"] = [{"who": who, "n": n} for who, n in most[:MOST_SESSIONS_A_FLAG]]
    return sorted(kinds.values(), key=lambda kind: (-kind["n"], kind["kind"]))


def _comments(connection: Connection, people: Mapping[str, Person], now_ms: int) -> dict[str, Any]:
    columns = tables.happenings.c
    said = (columns.number == COMMENT) & columns.content.is_not(None) & (columns.content != "")
    n = connection.execute(select(func.count()).select_from(tables.happenings).where(said)).scalar_one()
    latest = select(tables.happenings).where(said).order_by(columns.received_ms.desc(), columns.session)
    rows = [
        {
            "who": people[row.session].who,
            "text": row.content,
            "language": _short(people[row.session].language),
            "minutes_ago": _ago(now_ms, row.received_ms),
        }
        for row in connection.execute(latest.limit(MOST_COMMENTS))
    ]
    return {"n": n, "rows": rows}


def _ago(now_ms: int, at_ms: int) -> float:
    return round((now_ms - at_ms) / 60_000, 1)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _tally(values: Any) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for value in values:
        found[value] += 1
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
