"""Faults on request: what a scanner, a display, a participant or a crash can do to a run, injected into rehearsals."""

from __future__ import annotations

import heapq
import math
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from experiment.clock import Flip, FrameClock
from experiment.responses import Press, ResponseSource
from experiment.timeline import Row
from experiment.triggers import Pulse, TriggerSource
from protocols.problems import FoolscanError

# A bouncing contact closes again within this time, s.
BOUNCE_S = (0.002, 0.010)
# A late flip comes this many frames late, at most.
MOST_FRAMES_LATE = 3


@dataclass(frozen=True)
class FaultKind:
    """A fault that can be asked for.

    default : its value when none is given.
    largest : the largest value that makes sense.
    meaning : what the value is.
    """

    default: float
    largest: float
    meaning: str


KINDS: dict[str, FaultKind] = {
    "first-pulse-missed": FaultKind(1, 100, "so many pulses at the beginning are not heard"),
    "bounce": FaultKind(0.2, 1, "this share of the pulses comes twice, the second within 10 ms"),
    "jitter": FaultKind(0.02, 10, "every pulse is late by a half-normal time of this scale, s"),
    "late-start": FaultKind(10, 3600, "the scanner starts so much later, s"),
    "stop": FaultKind(10, 36000, "the scanner stops so long after its first pulse, s"),
    "drop": FaultKind(0.05, 1, f"this share of the flips comes 1 to {MOST_FRAMES_LATE} frames late"),
    "button-storm": FaultKind(10, 1000, "so many presses of random buttons each second"),
    "kill": FaultKind(10, 36000, "the process is killed (kill -9) so long after the first pulse, s"),
}


@dataclass(frozen=True)
class Fault:
    """A fault that was asked for; `KINDS` says what its value means."""

    kind: str
    value: float

    def __str__(self) -> str:
        """As on the command line."""
        return f"{self.kind}={self.value:g}"


Faults = tuple[Fault, ...]


def faults_of(texts: Sequence[str]) -> Faults:
    """The faults of a command line.

    texts : ``KIND`` or ``KIND=VALUE`` each.

    Raises FoolscanError when a kind is unknown, given twice, or its value out of range.
    """
    found: dict[str, Fault] = {}
    for text in texts:
        name, _, given = text.partition("=")
        kind = KINDS.get(name)
        if kind is None:
            raise FoolscanError(f"--fault: found {name!r}; expected one of {', '.join(KINDS)}")
        try:
            value = float(given) if given else kind.default
        except ValueError:
            value = math.nan
        if name == "first-pulse-missed" and not float(value).is_integer():
            raise FoolscanError(f"--fault {name}: found {given!r}; expected a whole number of pulses")
        if not 0 < value <= kind.largest:
            raise FoolscanError(
                f"--fault {name}: found {given!r}; expected a number above 0 and up to {kind.largest:g} ({kind.meaning})"
            )
        if name in found:
            raise FoolscanError(f"--fault {name}: given twice; give it once")
        found[name] = Fault(name, value)
    return tuple(found.values())


def value_of(faults: Faults, kind: str) -> float | None:
    """The value of one kind of fault, None when it was not asked for."""
    return next((fault.value for fault in faults if fault.kind == kind), None)


def kill_this_process() -> NoReturn:
    """End this process as ``kill -9`` does: no handler runs, nothing is flushed."""
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    raise SystemExit("the system did not kill this process")


class FaultyTriggers:
    """A trigger source whose pulses are lost, doubled, late or cut off, and which can kill the process.

    source : the pulses as they should be.
    faults : those of the scanner are used: first-pulse-missed, bounce, jitter, late-start, stop, kill.
    rng    : where bounces and jitter come from.
    kill   : what ``kill`` does (a test hands in its own).
    """

    def __init__(
        self,
        source: TriggerSource,
        faults: Faults,
        rng: np.random.Generator,
        kill: Callable[[], None] = kill_this_process,
    ) -> None:
        self._source, self._faults, self._rng, self._kill = source, faults, rng, kill
        self._missed = value_of(faults, "first-pulse-missed") or 0
        self._bounce = value_of(faults, "bounce") or 0.0
        self._jitter_s = value_of(faults, "jitter") or 0.0
        self._late_s = value_of(faults, "late-start") or 0.0
        self._stop_s = value_of(faults, "stop") or math.inf
        self._kill_s = value_of(faults, "kill") or math.inf
        self._sent = 0
        self._sent_first_s = math.inf
        self._heard_first_s = math.inf
        self._coming: list[tuple[float, float]] = []

    def start(self, now_s: float) -> None:
        """As the source beneath."""
        self._source.start(now_s)

    def due_s(self) -> float:
        """The next pulse that is known of."""
        coming_s = self._coming[0][0] if self._coming else math.inf
        return min(coming_s, self._source.due_s() + self._late_s)

    def poll(self, now_s: float) -> list[Pulse]:
        """What is left of the pulses, and what came on top of them.

        Raises FoolscanError when not one is left: the run would wait for ever.
        """
        for pulse in self._source.poll(now_s):
            self._spoil(pulse)
        if self._sent and math.isinf(self._heard_first_s) and math.isinf(self.due_s()):
            raise FoolscanError(
                f"--fault first-pulse-missed: none of {self._sent} pulses is left to begin with; miss fewer"
            )
        pulses = []
        while self._coming and self._coming[0][0] <= now_s + 1e-9:
            t_s, raw_s = heapq.heappop(self._coming)
            self._heard_first_s = min(self._heard_first_s, t_s)
            pulses.append(Pulse(t_s, raw_s))
        if now_s - self._heard_first_s >= self._kill_s:
            self._kill()
        return pulses

    def close(self) -> None:
        """As the source beneath."""
        self._source.close()

    def facts(self) -> dict[str, Any]:
        """As the source beneath, with the faults."""
        return self._source.facts() | {"faults": [str(fault) for fault in self._faults]}

    def _spoil(self, pulse: Pulse) -> None:
        self._sent_first_s = min(self._sent_first_s, pulse.t_s)
        self._sent += 1
        late_s = self._late_s + abs(self._rng.normal(0.0, self._jitter_s)) if self._jitter_s else self._late_s
        bounces = self._rng.random() < self._bounce
        gap_s = float(self._rng.uniform(*BOUNCE_S))
        if self._sent <= self._missed or pulse.t_s - self._sent_first_s > self._stop_s:
            return
        heapq.heappush(self._coming, (pulse.t_s + late_s, pulse.raw_s + late_s))
        if bounces:
            heapq.heappush(self._coming, (pulse.t_s + late_s + gap_s, pulse.raw_s + late_s + gap_s))


class StormyResponses:
    """A response source whose buttons also press themselves, from the first thing that is shown on.

    source  : the presses as they should be.
    buttons : the rig's buttons.
    per_s   : presses each second, at random times.
    rng     : where times and buttons come from.
    """

    def __init__(self, source: ResponseSource, buttons: Sequence[str], per_s: float, rng: np.random.Generator) -> None:
        self._source, self._buttons, self._per_s, self._rng = source, tuple(buttons), per_s, rng
        self._next_s = math.inf

    def shown(self, row: Row, onset_s: float) -> None:
        """As the source beneath."""
        self._source.shown(row, onset_s)
        if math.isinf(self._next_s):
            self._next_s = onset_s + float(self._rng.exponential(1 / self._per_s))

    def poll(self, now_s: float) -> list[Press]:
        """The presses of the source beneath and the storm's, in the order of their times."""
        presses = list(self._source.poll(now_s))
        while self._next_s <= now_s:
            button = self._buttons[int(self._rng.integers(len(self._buttons)))]
            presses.append(Press(button, "storm", self._next_s, self._next_s))
            self._next_s += float(self._rng.exponential(1 / self._per_s))
        return sorted(presses, key=lambda press: press.t_s)

    def due_s(self) -> float:
        """The next press that is known of."""
        return min(self._source.due_s(), self._next_s)

    def facts(self) -> dict[str, Any]:
        """As the source beneath, with the storm."""
        return self._source.facts() | {"storm_per_s": self._per_s}


class LateClock:
    """Real time in which some flips really come late: the loop is held up between deciding on a frame and showing it.

    clock : the clock beneath.
    late  : number of a flip -> frames by which it comes late.
    sleep : how the loop is held up.
    """

    virtual = False

    def __init__(
        self,
        clock: FrameClock,
        refresh_hz: float,
        late: Mapping[int, int],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._period_s, self._late, self._sleep = clock, 1.0 / refresh_hz, dict(late), sleep
        self._flips = 0

    def now_s(self) -> float:
        """As the clock beneath."""
        return self._clock.now_s()

    def next_flip_s(self) -> float:
        """As the clock beneath, and then the hold-up."""
        due_s = self._clock.next_flip_s()
        held_up = self._late.pop(self._flips, 0)
        if held_up:
            self._sleep(due_s - self._clock.now_s() + (held_up - 0.5) * self._period_s)
        return due_s

    def hold(self) -> None:
        """As the clock beneath."""
        self._clock.hold()

    def flipped(self) -> Flip:
        """As the clock beneath."""
        self._flips += 1
        return self._clock.flipped()

    def skip_to(self, t_s: float) -> None:
        """As the clock beneath."""
        self._clock.skip_to(t_s)

    def facts(self) -> dict[str, Any]:
        """As the clock beneath."""
        return self._clock.facts()


def late_flips(faults: Faults, flips: int, rng: np.random.Generator) -> dict[int, int]:
    """Which flips come late, and by how many frames.

    faults : ``drop`` is used.
    flips  : flips that a run can have at most.
    rng    : where they come from.

    Returns number of the flip -> frames.
    """
    share = value_of(faults, "drop") or 0.0
    late = np.flatnonzero(rng.random(flips) < share)
    return {
        int(n): int(frames) for n, frames in zip(late, rng.integers(1, MOST_FRAMES_LATE + 1, len(late)), strict=True)
    }
