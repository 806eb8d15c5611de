"""What a participation may be refused for: each is the smallest true answer to a request, and nothing is stored but a flag."""

from __future__ import annotations

from typing import Literal

from protocols.problems import FoolscanError

Closed = Literal["paused", "full", "finished", "withdrawn", "taken_part"]

_SAID: dict[Closed, str] = {
    "paused": "the study is paused; try again later",
    "full": "the study has all the people that it needs",
    "finished": "you have taken part already; thank you",
    "withdrawn": "you have withdrawn from this study",
    "taken_part": "you have seen these images already",
}


class Refusal(FoolscanError):
    """A request that cannot be met."""


class NotOpen(Refusal):
    """Nobody can join, or this person cannot (again).

    kind : paused, full, finished, withdrawn or taken_part.
    """

    def __init__(self, kind: Closed) -> None:
        self.kind: Closed = kind
        super().__init__(_SAID[kind])


class UnknownToken(Refusal):
    """A token that nobody has: forged, or void because the same person came again."""

    def __init__(self) -> None:
        super().__init__("this page is no longer the one that goes on: another one took over, or it was never let in")


class UnknownAsset(Refusal):
    """An image that this session does not show."""

    def __init__(self) -> None:
        super().__init__("no such image in this session")


class OutOfOrder(Refusal):
    """Trials come in order.

    held : number of trials that are held: the next one is expected.
    """

    def __init__(self, held: int) -> None:
        self.held = held
        super().__init__(f"{held} trials are held; number {held + 1} comes next")


class Mismatch(Refusal):
    """An answer that the session's plan does not have: to no trial of it, to no question of it, or none of the options."""


class Incomplete(Refusal):
    """Trials are lacking.

    held : number of trials that are held.
    """

    def __init__(self, held: int) -> None:
        self.held = held
        super().__init__(f"only {held} trials are held; the rest must come first")


class NotStored(Refusal):
    """Nothing was stored: the disk is full or failed, or the server is closing. Try again."""
