"""The ledger of calls that cost, pay or bind: each is written down before it is made, so that run twice it is made once."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Row, case, func, select, update

from experiment.online.tables import ledger as table
from protocols.problems import FoolscanError

State = Literal["intended", "done", "failed"]


class OverCap(FoolscanError):
    """It would cost more than was allowed: nothing was written, and no call was made."""


@dataclass(frozen=True)
class Intent:
    """A call that is to be made once.

    about : what it is about among its kind: a batch's number, or a pseudonym; never a raw id.
    cents : by how much the call adds to what may have to be paid, US cents; negative where it gives some back.
    note  : what must be the same when it is made again; stands as the answer until there is one.
    """

    action: str
    about: str
    cents: int = 0
    note: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """A call in the ledger.

    token  : its request token; the same however often it is made.
    fresh  : written just now, so that the call cannot have been made before.
    answer : what was noted, and then what came back, without raw ids of workers.
    """

    token: str
    action: str
    about: str
    cents: int
    state: State
    created_ms: int
    answer: Mapping[str, Any] = field(default_factory=dict)
    fresh: bool = False


@dataclass(frozen=True)
class Ledger:
    """The entries of one recruiter.

    engine    : of the task's database; its transactions begin immediately, so that two consoles cannot both pass the cap.
    now_ms    : the time, ms since 1970.
    new_token : a token that nobody has, 1 to 64 letters.
    """

    engine: Engine
    recruiter: str
    now_ms: Callable[[], int]
    new_token: Callable[[], str] = lambda: secrets.token_hex(16)

    def entries(self, *actions: str) -> list[Entry]:
        """Those of the actions (none named: all), oldest first."""
        with self.engine.begin() as connection:
            return self._entries(connection, actions)

    def committed_cents(self) -> int:
        """What may have to be paid by all that was done or may have been, US cents."""
        with self.engine.begin() as connection:
            return self._committed(connection)

    def intend(self, intents: Sequence[Intent], *, most_cents: int | None = None) -> list[Entry]:
        """Write calls down before they are made; those that are there already stay as they are.

        most_cents : that the whole ledger may then hold, US cents; None: no cap.

        Returns the entries in the order of `intents`, and those that failed as intended anew. Raises OverCap, with nothing written.
        """
        with self.engine.begin() as connection:
            known = {
                (entry.action, entry.about): entry
                for entry in self._entries(connection, {one.action for one in intents})
            }
            now = self.now_ms()
            for one in intents:
                entry = known.get((one.action, one.about))
                if entry is None:
                    entry = Entry(
                        self.new_token(), one.action, one.about, one.cents, "intended", now, one.note, fresh=True
                    )
                    connection.execute(table.insert().values(_row(self.recruiter, entry)))
                elif entry.state == "failed":
                    entry = replace(entry, cents=one.cents, state="intended", answer=one.note)
                    row = _row(self.recruiter, entry)
                    self._set(
                        connection, entry.token, **{name: row[name] for name in ("amount_usd_cents", "state", "answer")}
                    )
                known[one.action, one.about] = entry
            held = self._committed(connection)
            if most_cents is not None and held > most_cents:
                raise OverCap(
                    f"--spend-at-most: found {usd(most_cents)}; with this the whole comes to {usd(held)}: allow more, or order less"
                )
            return [known[one.action, one.about] for one in intents]

    def done(self, entry: Entry, answer: Mapping[str, Any] | None = None, *, cents: int | None = None) -> None:
        """Note that a call was made.

        answer : what came back, without raw ids of workers.
        cents  : its amount, where only the answer tells it.
        """
        with self.engine.begin() as connection:
            amount = {} if cents is None else {"amount_usd_cents": cents}
            text = json.dumps({**entry.answer, **(answer or {})}, sort_keys=True)
            self._set(connection, entry.token, state="done", answer=text, done_ms=self.now_ms(), **amount)

    def failed(self, entry: Entry, why: str) -> None:
        """Note that a call was refused, and had no effect."""
        with self.engine.begin() as connection:
            text = json.dumps({**entry.answer, "refused": why}, sort_keys=True)
            self._set(connection, entry.token, state="failed", answer=text, done_ms=self.now_ms())

    def _set(self, connection: Connection, token: str, **values: object) -> None:
        # what is done is never undone: another console may have been faster
        row = (table.c.request_token == token) & (table.c.state != "done")
        connection.execute(update(table).where(row).values(**values))

    def _entries(self, connection: Connection, actions: Sequence[str] | set[str]) -> list[Entry]:
        rows = select(table).where(table.c.recruiter == self.recruiter)
        if actions:
            rows = rows.where(table.c.action.in_(list(actions)))
        return [
            _entry(row) for row in connection.execute(rows.order_by(table.c.created_ms, table.c.action, table.c.about))
        ]

    def _committed(self, connection: Connection) -> int:
        amount = table.c.amount_usd_cents
        certain = case(
            (amount < 0, table.c.state == "done"), else_=table.c.state != "failed"
        )  # given back only when it was
        total = select(func.coalesce(func.sum(amount), 0)).where(table.c.recruiter == self.recruiter, certain)
        return int(connection.execute(total).scalar_one())


def _row(recruiter: str, entry: Entry) -> dict[str, Any]:
    return {
        "request_token": entry.token,
        "recruiter": recruiter,
        "action": entry.action,
        "about": entry.about,
        "amount_usd_cents": entry.cents,
        "state": entry.state,
        "answer": json.dumps(dict(entry.answer), sort_keys=True),
        "created_ms": entry.created_ms,
    }


def _entry(row: Row[Any]) -> Entry:
    answer = json.loads(row.answer) if row.answer else {}
    return Entry(row.request_token, row.action, row.about, row.amount_usd_cents, row.state, row.created_ms, answer)


def usd(cents: int) -> str:
    """US cents as ``$12.34``."""
    return f"{'-' if cents < 0 else ''}${abs(cents) // 100}.{abs(cents) % 100:02d}"
