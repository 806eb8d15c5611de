"""Eye trackers: what a run asks of one, and an emulated one that breaks fixation at known times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from experiment.gaze import Gaze
from protocols.rig_display import Display
from protocols.rig_eyetracker import EmulatedTracker, EyeLinkTracker, EyeTrackerPlan

# An emulated break of fixation: how long, s, and how far, degrees.
BREAK_S, BREAK_DEG = (0.2, 0.6), (4.0, 8.0)
BLINK_S = (0.1, 0.3)


class EyeTracker(Protocol):
    """Records gaze beside a run. Only `calibrate`, `start` and `stop` may take their time."""

    def calibrate(self) -> None:
        """Calibrate, before the participant's window opens.

        Raises FoolscanError when the tracker cannot be used.
        """
        ...

    def start(self, name: str, read: Callable[[], float]) -> None:
        """Begin a recording.

        name : the run's.
        read : the run's clock, in whose seconds all times are.
        """
        ...

    def message(self, text: str, t_s: float) -> None:
        """Put a message into the recording: something happened at `t_s` on the run's clock."""
        ...

    def samples(self) -> Gaze:
        """The gaze since the last call; never blocks for long."""
        ...

    def stop(self, folder: Path) -> Path | None:
        """End the recording and put its file, if the tracker gives one, into a folder.

        folder : where recordings are kept; made if needed, and nothing in it is overwritten.

        Returns the file's path.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """What the journal says of this tracker."""
        ...


class EmulatedEyeTracker:
    """Gaze at the fixation point, with breaks and blinks at random times.

    plan   : sampling rate, noise, breaks and blinks per minute.
    rng    : where all of it comes from; the gaze does not depend on how often it is asked for.
    """

    def __init__(self, plan: EmulatedTracker, rng: np.random.Generator) -> None:
        self._plan = plan
        self._noise, self._away, self._blink = (np.random.default_rng(rng.integers(2**63)) for _ in range(3))
        self._read: Callable[[], float] = lambda: 0.0
        self._begin_s = 0.0
        self._given = 0
        self._next_break = self._drawn_break(0.0)
        self._next_blink = self._drawn_blink(0.0)
        self.messages: list[tuple[float, str]] = []

    def calibrate(self) -> None:
        """Nothing to calibrate."""

    def start(self, name: str, read: Callable[[], float]) -> None:
        """Gaze begins now."""
        self._read, self._begin_s = read, read()

    def message(self, text: str, t_s: float) -> None:
        """Keep a message."""
        self.messages.append((t_s, text))

    def samples(self) -> Gaze:
        """The samples up to now."""
        upto = int(np.floor((self._read() - self._begin_s) * self._plan.rate_hz + 1e-6)) + 1
        since_s = np.arange(self._given, max(upto, self._given)) / self._plan.rate_hz
        self._given = max(upto, self._given)
        x_deg, y_deg = self._noise.normal(0.0, self._plan.noise_deg, (len(since_s), 2)).T
        if len(since_s):
            last_s = float(since_s[-1])
            while self._next_break[0] <= last_s:
                begin_s, end_s, away_x_deg, away_y_deg = self._next_break
                away = (since_s >= begin_s) & (since_s < end_s)
                x_deg[away] += away_x_deg
                y_deg[away] += away_y_deg
                if end_s > last_s:
                    break
                self._next_break = self._drawn_break(end_s)
            while self._next_blink[0] <= last_s:
                begin_s, end_s = self._next_blink
                x_deg[(since_s >= begin_s) & (since_s < end_s)] = np.nan
                if end_s > last_s:
                    break
                self._next_blink = self._drawn_blink(end_s)
        return Gaze(self._begin_s + since_s, x_deg, np.where(np.isnan(x_deg), np.nan, y_deg))

    def stop(self, folder: Path) -> Path | None:
        """No file of its own."""
        return None

    def facts(self) -> dict[str, Any]:
        """That it is emulated, and how often it looks away."""
        return {"kind": "emulated", "rate_hz": self._plan.rate_hz, "breaks_per_minute": self._plan.breaks_per_minute}

    def _drawn_break(self, after_s: float) -> tuple[float, float, float, float]:
        begin_s = after_s + _waiting_s(self._away, self._plan.breaks_per_minute)
        end_s = begin_s + self._away.uniform(*BREAK_S)
        far_deg, angle = self._away.uniform(*BREAK_DEG), self._away.uniform(0.0, 2 * np.pi)
        return begin_s, end_s, far_deg * np.cos(angle), far_deg * np.sin(angle)

    def _drawn_blink(self, after_s: float) -> tuple[float, float]:
        begin_s = after_s + _waiting_s(self._blink, self._plan.blinks_per_minute)
        return begin_s, begin_s + self._blink.uniform(*BLINK_S)


def open_eye_tracker(plan: EyeTrackerPlan | None, display: Display, rng: np.random.Generator) -> EyeTracker | None:
    """The rig's eye tracker, connected; None where the rig has none.

    plan    : from the rig.
    display : the rig's screen.
    rng     : for an emulated one.

    Raises FoolscanError when it cannot be had.
    """
    if plan is None:
        return None
    if isinstance(plan, EmulatedTracker):
        return EmulatedEyeTracker(plan, rng)
    from experiment.eyetracker_devices import EyeLinkEyeTracker, PupilEyeTracker

    return EyeLinkEyeTracker(plan, display) if isinstance(plan, EyeLinkTracker) else PupilEyeTracker(plan)


def _waiting_s(rng: np.random.Generator, per_minute: float) -> float:
    return float(rng.exponential(60.0 / per_minute)) if per_minute else float("inf")
