"""Finds the edges of a level that can only be looked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

# Twice in a millisecond: a pulse of 2 ms is seen at least three times, if nothing holds the thread up.
LOOK_EVERY_S = 0.0005


class Edges:
    """The edges of a level: one for each time it changes, however long it stays.

    level : reads it; what it is at the start is no edge.
    edge  : which change counts.
    """

    def __init__(self, level: Callable[[], bool], edge: Literal["rising", "falling"]) -> None:
        self._level, self._wanted = level, edge == "rising"
        self._before = level()

    def wait(self, longest_s: float) -> bool:
        """Whether an edge came within `longest_s`; returns as soon as one does."""
        end_s = time.perf_counter() + longest_s
        while time.perf_counter() < end_s:
            now = self._level()
            changed, self._before = now != self._before, now
            if changed and now == self._wanted:
                return True
            time.sleep(LOOK_EVERY_S)
        return False
