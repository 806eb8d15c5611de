"""Judges every pulse as it comes: its number on the planned grid, and whether pulses are missing, extra or off their time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

from experiment.scan import Per, ScanTimes

Verdict = Literal["on time", "early", "late", "off grid", "extra", "after gap"]

# A pulse this far from its time is early or late: what a scanner's clock and a good interface never do.
TOLERANCE_S, TOLERANCE_SHARE = 0.010, 0.01
# Farther than this share of an interval from the grid, its number is not to be told: a pulse far off its time, or noise.
OFF_GRID_SHARE = 0.25
# Sooner than this share of an interval after the pulse before, it is no volume's: noise on the line, or a bounce.
EXTRA_SHARE = 0.5
# The scanner has stopped when nothing came for this many intervals, and no less than this many TRs.
STOPPED_AFTER, STOPPED_AFTER_TR = 2.5, 1.5
# So many pulses at an even distance that is off the plan's by this share are the scanner's TR, not jitter.
EVEN_PULSES, UNPLANNED_SHARE = 5, 0.005
# Fewer pulses than this give a slope worse than the plan's.
ENOUGH_FOR_A_SLOPE = 4


class Stamped(Protocol):
    """A pulse: all that is judged is when it came."""

    @property
    def t_s(self) -> float:
        """When it came, s on the run's clock."""
        ...


@dataclass
class Line:
    """A running least-squares line through (number, time), in constant time per point.

    Sums are of differences to the first point, so that no precision is lost late in a long run.
    """

    count: int = 0
    first_s: float = 0.0
    sum_n: float = 0.0
    sum_t: float = 0.0
    sum_nn: float = 0.0
    sum_nt: float = 0.0

    def add(self, number: int, t_s: float) -> None:
        """One more point."""
        if not self.count:
            self.first_s = t_s
        t_s -= self.first_s
        self.count += 1
        self.sum_n += number
        self.sum_t += t_s
        self.sum_nn += number * number
        self.sum_nt += number * t_s

    @property
    def slope_s(self) -> float | None:
        """Seconds per number; None before two different numbers."""
        spread = self.count * self.sum_nn - self.sum_n**2
        return (self.count * self.sum_nt - self.sum_n * self.sum_t) / spread if spread > 0 else None

    def at(self, number: int, slope_s: float) -> float:
        """The time at a number, along a line of the given slope through the points' centre, s."""
        return self.first_s + self.sum_t / self.count + slope_s * (number - self.sum_n / self.count)


def silence_s(scan: ScanTimes) -> float:
    """How long no pulse comes before the scanner is said to have stopped, s."""
    return max(STOPPED_AFTER * scan.pulse_interval_s, STOPPED_AFTER_TR * scan.tr_s)


class PulseJudge:
    """Judges the pulses of a run one by one; knows no clock but their stamps.

    scan : how many pulses are expected, and how far apart.
    per  : what a pulse stands for; None: as `scan` says.
    """

    def __init__(self, scan: ScanTimes, per: Per | None = None) -> None:
        self.expected = 1 if (per or scan.per) == "run" else scan.pulses
        self._interval_s = scan.pulse_interval_s
        self._pulses_per_tr = scan.tr_s / scan.pulse_interval_s
        self._tolerance_s = min(max(TOLERANCE_S, TOLERANCE_SHARE * self._interval_s), OFF_GRID_SHARE * self._interval_s)
        self._silence_s = silence_s(scan)
        self._line = Line()
        self._first_s: float | None = None
        self._last_s = 0.0
        self._last_n = -1
        self._recent: deque[float] = deque(maxlen=EVEN_PULSES)
        self._stray_s: float | None = None
        self._strays = 0
        self._stopped = False
        self._finished = False
        self._warned: set[float] = set()
        self._news: list[dict[str, Any]] = []

    @property
    def seen(self) -> int:
        """The pulses that have a number on the grid, so far."""
        return self._line.count

    @property
    def tr_s(self) -> float | None:
        """The scanner's TR as the pulses so far give it, s; None before the second."""
        slope_s = self._line.slope_s
        return None if slope_s is None else slope_s * self._pulses_per_tr

    def pulse(self, pulse: Stamped) -> dict[str, Any]:
        """What is to be said of a pulse.

        Returns n (its number on the planned grid, from 0), verdict, missed (how many are lacking since the one before),
        error_s (how far it is from where the pulses before it put it), and tr_s (the TR so far, when there is one). A pulse
        that is off the grid may be a volume's or noise; as long as it can be that of a volume, this one is not missed.
        """
        t_s = pulse.t_s
        if self._first_s is None:
            self._first_s = t_s
            self._recent.append(t_s)
            return self._accepted(0, t_s, 0.0)
        if self.expected == 1:
            return self._extra(0, 0.0)
        self._recent.append(t_s)
        if self._even_at_another_distance(t_s):
            return self._accepted(self._last_n + 1, t_s, t_s - self._due_s(self._last_n + 1), restart=True)
        number, error_s = self._place(t_s)
        if t_s - self._last_s > self._silence_s and abs(error_s) > self._tolerance_s:
            # After a pause the scanner starts anew, at a time of its own.
            return self._accepted(max(number, self._last_n + 1), t_s, error_s, restart=True)
        if abs(error_s) >= OFF_GRID_SHARE * self._interval_s:
            before_s, self._stray_s = self._stray_s, t_s
            if before_s is None or abs(t_s - before_s - self._interval_s) > self._tolerance_s:
                return self._off_grid(max(number, 0), error_s)
            if max(number, self._last_n + 1) < self.expected:
                self._tell(t_s, "shifted", shift_s=round(error_s, 6))
            return self._accepted(max(number, self._last_n + 1), t_s, error_s, restart=True)
        if number <= self._last_n:
            return self._extra(number, error_s)
        return self._accepted(number, t_s, error_s)

    def tick(self, now_s: float) -> list[dict[str, Any]]:
        """What the time that has passed says: records of kind ``scanner``, each once.

        now_s : s on the run's clock.

        ``what`` is stopped (no pulse for a while, and more are expected), resumed, finished (all are there), shifted (the
        pulses keep a new time), or tr (they come at another distance than planned: ``interval_s``).
        """
        if self._first_s is not None and self.expected > 1 and not self._finished:
            silent_s = now_s - self._last_s
            if self._last_n >= self.expected - 1:
                self._finished = True
                self._tell(now_s, "finished")
            elif not self._stopped and silent_s > self._silence_s:
                self._stopped = True
                self._tell(now_s, "stopped", last_s=round(self._last_s, 6), pulses=self._last_n + 1)
        news, self._news = self._news, []
        return news

    def _due_s(self, number: int) -> float:
        return self._line.at(number, self._slope_s())

    def _slope_s(self) -> float:
        slope_s = self._line.slope_s if self._line.count >= ENOUGH_FOR_A_SLOPE else None
        return self._interval_s if slope_s is None else slope_s

    def _place(self, t_s: float) -> tuple[int, float]:
        slope_s = self._slope_s()
        number = round((t_s - self._line.at(0, slope_s)) / slope_s)
        return number, t_s - self._line.at(number, slope_s)

    def _accepted(self, number: int, t_s: float, error_s: float, *, restart: bool = False) -> dict[str, Any]:
        if number >= self.expected:  # after the last one that the plan expects
            return self._extra(number, error_s)
        missed = max(0, number - self._last_n - 1 - self._strays)
        if self._stopped:
            self._tell(t_s, "resumed", missed=missed)
            self._stopped = False
        if restart:
            self._line = Line(count=0)
        if restart or abs(error_s) <= self._tolerance_s:
            self._line.add(number, t_s)
        self._last_n, self._last_s, self._stray_s, self._strays = number, t_s, None, 0
        verdict: Verdict = "on time"
        if missed:
            verdict = "after gap"
        elif abs(error_s) > self._tolerance_s:
            verdict = "late" if error_s > 0 else "early"
        return self._record(number, verdict, missed, error_s)

    def _off_grid(self, number: int, error_s: float) -> dict[str, Any]:
        before_s, t_s = list(self._recent)[-2:]
        if t_s - before_s <= EXTRA_SHARE * self._interval_s or number >= self.expected:
            return self._extra(number, error_s)
        self._strays += 1
        return self._record(number, "off grid", 0, error_s)

    def _extra(self, number: int, error_s: float) -> dict[str, Any]:
        return self._record(number, "extra", 0, error_s)

    def _record(self, number: int, verdict: Verdict, missed: int, error_s: float) -> dict[str, Any]:
        record: dict[str, Any] = {"n": number, "verdict": verdict, "missed": missed, "error_s": round(error_s, 6)}
        if self.tr_s is not None:
            record["tr_s"] = round(self.tr_s, 6)
        return record

    def _even_at_another_distance(self, t_s: float) -> bool:
        """Whether the last pulses are even, at a distance that is not the plan's; a near one is taken over."""
        if len(self._recent) < EVEN_PULSES:
            return False
        stamps_s = list(self._recent)
        interval_s = (stamps_s[-1] - stamps_s[0]) / (EVEN_PULSES - 1)
        uneven_s = max(abs(late - early - interval_s) for early, late in pairwise(stamps_s))
        share = interval_s / self._slope_s()
        if uneven_s > min(self._tolerance_s, 0.05 * interval_s) or abs(share - 1) < UNPLANNED_SHARE:
            return False
        if round(interval_s, 2) not in self._warned:
            self._warned.add(round(interval_s, 2))
            self._tell(t_s, "tr", interval_s=round(interval_s, 6), planned_s=round(self._interval_s, 6))
        if not 0.5 < share < 1.5:  # a pulse per slice, or every second one: a matter for the rig file, not for a guess
            return False
        self._interval_s = interval_s
        return True

    def _tell(self, t_s: float, what: str, **more: Any) -> None:
        self._news.append({"kind": "scanner", "t_s": round(t_s, 6), "what": what, **more})
