"""Where button presses come from: a box at a port, or the emulated observer (keys: `experiment.psychopy_keys`)."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from experiment.observer import Reaction
from experiment.ports import PortReader
from experiment.timeline import Row


@dataclass(frozen=True)
class Press:
    """One press of a button.

    button : the abstract button, as study and rig call it.
    key    : what the device calls it.
    t_s    : when it was pressed, s on the run's clock.
    raw_s  : the device's own stamp, s on its clock.
    """

    button: str
    key: str
    t_s: float
    raw_s: float


class ResponseSource(Protocol):
    """Gives presses, each once, in order."""

    def shown(self, row: Row, onset_s: float) -> None:
        """A row has just appeared on the screen (`onset_s` on the run's clock)."""
        ...

    def poll(self, now_s: float) -> list[Press]:
        """The presses since the last call; never blocks."""
        ...

    def due_s(self) -> float:
        """When the next press will come, as far as the source knows; ``inf`` when it does not."""
        ...

    def facts(self) -> dict[str, Any]:
        """What the journal says of this source."""
        ...


class EmulatedResponses:
    """The emulated observer's presses, timed from when each image really appeared.

    reactions : trial number -> what the observer will do; trials without one are missed.
    of_rows   : the same for rows that are no trials (screens, practice, scales).
    """

    def __init__(self, reactions: dict[int, Reaction], of_rows: Mapping[Row, Reaction] | None = None) -> None:
        self._reactions, self._of_rows = reactions, of_rows or {}
        self._coming: list[tuple[float, str]] = []

    def shown(self, row: Row, onset_s: float) -> None:
        """The observer decides, and will press."""
        reaction = self._of_rows.get(row) if row.trial is None else self._reactions.get(row.trial)
        if reaction is not None:
            heapq.heappush(self._coming, (onset_s + reaction.time_s, reaction.button))

    def poll(self, now_s: float) -> list[Press]:
        """The presses up to now."""
        presses = []
        while self._coming and self._coming[0][0] <= now_s:
            t_s, button = heapq.heappop(self._coming)
            presses.append(Press(button, button, t_s, t_s))
        return presses

    def due_s(self) -> float:
        """The time of the next press that is decided already."""
        return self._coming[0][0] if self._coming else math.inf

    def facts(self) -> dict[str, Any]:
        """That it is emulated."""
        return {"kind": "emulated"}


class DeviceResponses:
    """Buttons of a box at a port, each byte or bit a button; a queue of their own, apart from the trigger's.

    reader : of the port; whoever opened it closes it. A box that is lost gives no more presses, which `Ports.news` tells.
    codes  : abstract button -> what the box sends, from the rig.
    """

    def __init__(self, reader: PortReader, codes: Mapping[str, str]) -> None:
        self._reader = reader
        self._button_of = {code: button for button, code in codes.items()}
        self._arrived = reader.queue_of(self._button_of)

    def shown(self, row: Row, onset_s: float) -> None:
        """The participant sees it without being told."""

    def poll(self, now_s: float) -> list[Press]:
        """The presses since the last call."""
        arrived = [self._arrived.popleft() for _ in range(len(self._arrived))]
        return [Press(self._button_of[item.code], item.code, item.t_s, item.raw_s) for item in arrived]

    def due_s(self) -> float:
        """Unknown."""
        return math.inf

    def facts(self) -> dict[str, Any]:
        """The port and the codes."""
        codes = {button: code for code, button in self._button_of.items()}
        return {"kind": "serial", **self._reader.facts(), "codes": codes}
