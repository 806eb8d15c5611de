"""The chain over all answers: salted commitments, so that an answer can be erased and the rest still be proved untouched."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

START = "0" * 64
"""The link before the first answer."""
SALT_BYTES = 16


class Row(Protocol):
    """A row of table `responses`."""

    @property
    def place(self) -> int:
        """In the chain, from 1."""

    @property
    def session(self) -> str:
        """Whose it is."""

    @property
    def trial(self) -> int:
        """From 1."""

    @property
    def content(self) -> str | None:
        """Canonical JSON; None once erased."""

    @property
    def salt(self) -> str | None:
        """Hexadecimal; None once erased."""

    @property
    def commitment(self) -> str:
        """SHA-256 of salt and content."""

    @property
    def link(self) -> str:
        """SHA-256 of the link before, session, trial and commitment."""


@dataclass(frozen=True)
class Break:
    """Where a chain does not hold.

    place : of the answer that is not as it was written.
    found : what is wrong with it, in words.
    """

    place: int
    found: str


def canonical(content: Any) -> str:
    """JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def new_salt() -> str:
    """A random salt, hexadecimal."""
    return secrets.token_hex(SALT_BYTES)


def commitment(salt: str, content: str) -> str:
    """What is kept of an answer for ever: SHA-256 of its salt and content, hexadecimal.

    The salt keeps an erased answer from being found by trying all that could have been said.
    """
    return hashlib.sha256((salt + content).encode()).hexdigest()


def link(previous: str, session: str, trial: int, committed: str) -> str:
    """The next link: SHA-256 of ``previous|session|trial|commitment``, hexadecimal."""
    return hashlib.sha256(f"{previous}|{session}|{trial}|{committed}".encode()).hexdigest()


def breaks(rows: Iterable[Row], erased: Iterable[int] = ()) -> Iterator[Break]:
    """Every place at which a chain does not hold, in order; nothing where all of it does.

    rows   : all answers, in order of their places.
    erased : places that have a tombstone.
    """
    gone, previous, expected = set(erased), START, 1
    for row in rows:
        if row.place != expected:
            more = f", and so are those up to {row.place - 1}" if row.place > expected + 1 else ""
            yield Break(expected, f"it is missing{more}")
        if (row.content is None) != (row.salt is None):
            yield Break(row.place, "its content or salt is missing, but not both")
        elif row.content is None and row.place not in gone:
            yield Break(row.place, "its content is gone, and no tombstone says why")
        elif row.content is not None and row.place in gone:
            yield Break(row.place, "a tombstone says that it was erased, and its content is there")
        elif row.content is not None and commitment(row.salt or "", row.content) != row.commitment:
            yield Break(row.place, "its content is not the one that was committed to: it was changed")
        if row.place == expected and link(previous, row.session, row.trial, row.commitment) != row.link:
            yield Break(row.place, "its link does not follow from the one before: rows were changed or swapped")
        previous, expected = row.link, row.place + 1
    beyond = sorted(place for place in gone if place >= expected)
    if beyond:
        more = f", as for {len(beyond) - 1} more" if len(beyond) > 1 else ""
        yield Break(beyond[0], f"a tombstone stands for it, and it is not there{more}")


def first_break(rows: Iterable[Row], erased: Iterable[int] = ()) -> Break | None:
    """The first place at which a chain does not hold; None where all of it does. Arguments as in `breaks`."""
    return next(breaks(rows, erased), None)
