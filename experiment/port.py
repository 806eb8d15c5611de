"""What a port is, and what comes in at one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

# A port looks up this often, s, so that it can be closed and its loss be noticed.
LOOK_UP_S = 0.1


@dataclass(frozen=True)
class Sample:
    """One thing that has just come in at a port.

    code  : what it was: a byte as a character, a bit's number, a message, or ``edge``.
    age_s : how long ago it came, s, where the sender stamps it.
    raw_s : the sender's own stamp, s on its clock; None: it has none.
    """

    code: str
    age_s: float = 0.0
    raw_s: float | None = None


class Port(Protocol):
    """A port that is open."""

    @property
    def name(self) -> str:
        """How the rig calls it."""
        ...

    @property
    def shared(self) -> bool:
        """Whether messages that mean nothing here are to be expected (a network's stream, not a box of our own)."""
        ...

    def wait(self) -> list[Sample]:
        """Wait for at most `LOOK_UP_S`, and give what has come in.

        Raises any exception when the device is gone.
        """
        ...

    def close(self) -> None:
        """Give the device back."""
        ...

    def facts(self) -> dict[str, Any]:
        """What the journal says of this port."""
        ...
