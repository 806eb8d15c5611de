"""An input pin of a parallel port, through PsychoPy's drivers (ppdev on Linux, inpout on Windows)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiment.edges import Edges
from experiment.port import LOOK_UP_S, Sample
from protocols.rig_devices import ParallelTrigger


def _opened(port: str) -> Any:
    if sys.platform == "darwin":
        raise OSError("macOS has no driver for parallel ports")
    if sys.platform.startswith("linux") and not Path(port).exists():
        raise OSError("no such device; load its driver with: sudo modprobe ppdev")
    from psychopy import parallel

    if parallel.ParallelPort is None:
        raise OSError("no driver: install inpoutx64")
    return parallel.ParallelPort(port if sys.platform.startswith("linux") else int(port, 0))


class ParallelPin:
    """A pin of a parallel port, looked at twice in a millisecond.

    plan   : port, pin and edge.
    opened : opens the port: an object with ``readPin`` (a test hands in a port of its own).

    Raises OSError, ImportError or ValueError when the port cannot be opened.
    """

    shared = False

    def __init__(self, plan: ParallelTrigger, opened: Callable[[str], Any] = _opened) -> None:
        self.name, self._plan = plan.port, plan
        self._port = opened(plan.port)
        self._edges = Edges(lambda: bool(self._port.readPin(plan.pin)), plan.edge)

    def wait(self) -> list[Sample]:
        """The edge that has come, if one has."""
        return [Sample("edge")] if self._edges.wait(LOOK_UP_S) else []

    def close(self) -> None:
        """Let the driver go: it closes the port when nobody holds it."""
        self._port = None

    def facts(self) -> dict[str, Any]:
        """The pin as the rig gives it."""
        return {"port": self.name, "pin": self._plan.pin, "edge": self._plan.edge}
