"""Clocks that say when a flip was: the wall's, or a simulated one whose frames take no time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Pace = Literal["changes", "every"]


@dataclass(frozen=True)
class Flip:
    """One flip of the screen.

    t_s  : when it was, s on the run's clock.
    lost : frames that passed unseen since the flip before it.
    """

    t_s: float
    lost: int


class FrameClock(Protocol):
    """Time in a run, and when the screen flips. All times are seconds on one monotonic axis."""

    @property
    def virtual(self) -> bool:
        """Whether time is simulated."""
        ...

    def now_s(self) -> float:
        """The time now."""
        ...

    def next_flip_s(self) -> float:
        """When the next flip is due."""
        ...

    def hold(self) -> None:
        """Called when everything is drawn: waits for the refresh where the display's flip does not."""
        ...

    def flipped(self) -> Flip:
        """Called as soon as the stage has flipped: when that was."""
        ...

    def skip_to(self, t_s: float) -> None:
        """Nothing changes before `t_s`: a simulated clock may jump to the last flip before it."""
        ...

    def facts(self) -> dict[str, Any]:
        """What the journal says of this clock."""
        ...


# A refresh this share of a frame ago is the one that is meant: stamps come a little after the refresh they stand for.
JUST_PAST = 0.05


class WallClock:
    """Real time. Where the display does not hold the flip until its refresh (a virtual one), the clock does it instead.

    refresh_hz : the rig's refresh.
    held       : whether the stage's flip returns at the display's refresh.
    read, sleep: where time comes from (a test hands in its own).
    """

    virtual = False

    def __init__(
        self,
        refresh_hz: float,
        *,
        held: bool,
        read: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._period_s = 1.0 / refresh_hz
        self._held, self._read, self._sleep = held, read, sleep
        self._last_s = read()  # the refresh at which the screen flipped last

    def now_s(self) -> float:
        """Seconds of the process's monotonic counter: no change of the computer's date touches it."""
        return self._read()

    def next_flip_s(self) -> float:
        """The first refresh, counted from the last flip, that is still to come."""
        periods = max(1, math.ceil((self._read() - self._last_s) / self._period_s - JUST_PAST))
        return self._last_s + periods * self._period_s

    def hold(self) -> None:
        """Wait for the refresh on a display that does not wait itself: its refreshes are counted by this clock."""
        if not self._held:
            due_s = self.next_flip_s()
            while (left_s := due_s - self._read()) > 0:
                self._sleep(left_s)

    def flipped(self) -> Flip:
        """The time now, and the refreshes that passed since the flip before."""
        now_s = self._read()
        periods = (now_s - self._last_s) / self._period_s
        if self._held:
            lost = max(0, round(periods) - 1)
            self._last_s = now_s
        else:
            lost = max(0, math.floor(periods + JUST_PAST) - 1)
            self._last_s += (lost + 1) * self._period_s
        return Flip(now_s, lost)

    def skip_to(self, t_s: float) -> None:
        """Real time does not jump."""

    def facts(self) -> dict[str, Any]:
        """Its kind, and who waits for the refresh."""
        return {"kind": "wall", "flips_held_by_display": self._held}


class VirtualClock:
    """Simulated frames at the rig's refresh, as fast as they can be drawn.

    refresh_hz  : simulated refresh.
    pace        : ``every`` frame is drawn, or only those in which something ``changes``.
    late_frames : number of a flip -> frames by which it comes late (a fault for rehearsals and tests).
    """

    virtual = True

    def __init__(self, refresh_hz: float, pace: Pace = "changes", late_frames: Mapping[int, int] | None = None) -> None:
        self._hz, self._pace = refresh_hz, pace
        self._late = dict(late_frames or {})
        self._frame = 0  # frames since the clock was made: exact, where summed times would drift
        self._flips = 0

    def now_s(self) -> float:
        """The time of the last flip."""
        return self._frame / self._hz

    def next_flip_s(self) -> float:
        """One frame later."""
        return (self._frame + 1) / self._hz

    def hold(self) -> None:
        """Simulated frames take no time."""

    def flipped(self) -> Flip:
        """The next frame, or a later one where a fault was asked for."""
        lost = self._late.get(self._flips, 0)
        self._flips += 1
        self._frame += 1 + lost
        return Flip(self.now_s(), lost)

    def skip_to(self, t_s: float) -> None:
        """Jump so that the next flip is the first that is not more than half a frame before `t_s`."""
        if self._pace == "changes" and math.isfinite(t_s):
            self._frame = max(self._frame, math.ceil(t_s * self._hz - 0.5 - 1e-6) - 1)

    def facts(self) -> dict[str, Any]:
        """Its kind and pace."""
        return {"kind": "virtual", "pace": self._pace}
