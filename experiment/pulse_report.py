"""What the pulses of a run say once it is over: clock against clock, and what it means when there were too few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from experiment.journal import Journal
from experiment.pulse_judge import EVEN_PULSES, UNPLANNED_SHARE, PulseJudge, Verdict, silence_s
from experiment.scan import ScanTimes
from experiment.triggers import Pulse

# So many volumes may begin unheard; more are likelier to be lacking because the scanner stopped: the likelier comes first.
FEW_VOLUMES = 3
# Pulses that are due this short before a run was cut off, s, may be late: they are not awaited yet.
UNHEARD_S = 0.1


@dataclass(frozen=True)
class Hypothesis:
    """One way in which fewer pulses than expected can have come about.

    name          : ``first-missed`` (the scanner ran before the first pulse was seen) or ``stopped-early``.
    pulses        : how many pulses are lacking at that end.
    onset_shift_s : what is to be added to every onset of events.tsv if it is true, s.
    volumes       : volumes that the image file then has, stored dummies included.
    """

    name: Literal["first-missed", "stopped-early"]
    pulses: int
    onset_shift_s: float
    volumes: int

    @property
    def sentence(self) -> str:
        """The hypothesis in words."""
        if self.name == "first-missed":
            first = "pulse was" if self.pulses == 1 else f"{self.pulses} were"
            return (
                f"if the first {first} missed, every onset is {self.onset_shift_s:g} s too early and the image "
                f"file has {self.volumes} volumes"
            )
        return f"if the scanner stopped early, the onsets are right and the image file has {self.volumes} volumes"


@dataclass(frozen=True)
class PulseReport:
    """The pulses of a run, judged together.

    expected     : pulses that the plan expects until the run ended.
    seen         : pulses that stand for a volume each; `extra` ones not counted.
    off_grid     : of these, those that came so far off their time that they only stand for a volume that has no other.
    missed       : lacking between the first and the last one seen.
    lacking      : lacking at the beginning or the end: which of both cannot be known from the pulses (`hypotheses`).
    jitter_s     : SD of the pulses on the grid around the line through them, s; `jitter_max_s` the farthest one.
    tr_s         : slope of that line, s of the stimulus clock per TR; `tr_se_s` its standard error.
    drift_ppm    : how much faster the scanner's clock runs than the stimulus clock, taking the planned TR as the scanner's
                   second hand, millionths; `drift_se_ppm` its standard error.
    stops        : times, s from the first pulse, at which the scanner fell silent.
    """

    expected: int
    seen: int
    extra: int
    missed: int
    lacking: int
    early: int
    late: int
    tr_planned_s: float
    tr_s: float | None
    tr_se_s: float | None
    jitter_s: float | None
    jitter_max_s: float | None
    drift_ppm: float | None
    drift_se_ppm: float | None
    stops: tuple[float, ...]
    hypotheses: tuple[Hypothesis, ...]
    off_grid: int = 0


@dataclass(frozen=True)
class JudgedPulses:
    """The pulses of a run, each counted once.

    planned, awaited : pulses of the whole plan, and of these due until the run ended.
    numbers, kept_s  : number on the grid and time, s, of each pulse that has its place there.
    verdicts         : number -> verdict, for each number that a pulse stands for.
    extra            : pulses that stand for no volume.
    """

    planned: int
    awaited: int
    numbers: tuple[int, ...]
    kept_s: tuple[float, ...]
    verdicts: dict[int, Verdict]
    extra: int

    @property
    def missed(self) -> int:
        """Numbers between the first and the last on the grid for which no pulse stands."""
        return sum(number not in self.verdicts for number in range(max(self.numbers, default=0)))

    @property
    def lacking(self) -> int:
        """Numbers awaited after the last on the grid for which no pulse stands."""
        first = max(self.numbers) + 1 if self.numbers else 0
        return sum(number not in self.verdicts for number in range(first, self.awaited))


def judged_pulses(journal: Journal) -> JudgedPulses:
    """A journal's pulses, complete or cut off, judged anew, from their stamps alone.

    A pulse off the grid stands for a volume if there is one without a pulse of its own between its neighbours on the grid.
    """
    scan = scan_of(journal)
    stamps_s = [float(record["t_s"]) for record in journal.of("pulse")]
    judge = PulseJudge(_as_it_was(scan, stamps_s))
    numbers, kept_s, verdicts, extra = [], [], dict[int, Verdict](), 0
    strays: list[int] = []
    last = -1
    for t_s in stamps_s:
        said = judge.pulse(Pulse(t_s, t_s))
        if said["verdict"] == "extra":
            extra += 1
        elif said["verdict"] == "off grid":
            strays.append(said["n"])
        else:
            extra += _placed(strays, range(last + 1, said["n"]), verdicts)
            strays, last = [], said["n"]
            numbers.append(said["n"])
            kept_s.append(t_s)
            verdicts[said["n"]] = said["verdict"]
    awaited = judge.expected
    if not journal.complete:
        heard_s = _heard_until_s(journal) - UNHEARD_S - stamps_s[0] if stamps_s else -1.0
        awaited = min(awaited, max(last + 1, 1 + int(heard_s / scan.pulse_interval_s) if heard_s > 0 else 0))
    extra += _placed(strays, range(last + 1, max(awaited, last + 1)), verdicts)
    return JudgedPulses(judge.expected, awaited, tuple(numbers), tuple(kept_s), verdicts, extra)


def _placed(strays: Sequence[int], gap: range, verdicts: dict[int, Verdict]) -> int:
    """Give pulses off the grid the numbers of a gap, each its own if that is free; returns how many find no place."""
    left = 0
    for number in strays:
        free = [place for place in gap if place not in verdicts]
        if free:
            verdicts[number if number in free else free[0]] = "off grid"
        left += not free
    return left


def _heard_until_s(journal: Journal) -> float:
    """Until when each pulse that came has been written down: a flip's are, before the next one's record."""
    flips = journal.of("flip")
    return float(flips[-2]["t_s"]) if journal.end is None and len(flips) > 1 else _end_s(journal)


def _end_s(journal: Journal) -> float:
    flips = journal.of("flip")
    return float(flips[-1]["t_s"]) if flips else 0.0


def pulse_report(journal: Journal) -> PulseReport:
    """The report on a journal's pulses, complete or cut off; it judges them anew, from their stamps alone."""
    scan, pulses, stops = scan_of(journal), judged_pulses(journal), []
    for number, (before_s, after_s) in zip(pulses.numbers, pairwise([*pulses.kept_s, _end_s(journal)]), strict=True):
        if after_s - before_s > silence_s(scan) and number + 1 not in pulses.verdicts and number < pulses.planned - 1:
            stops.append(round(before_s - pulses.kept_s[0], 6))
    told = list(pulses.verdicts.values())
    line = _line(np.array(pulses.numbers), np.array(pulses.kept_s), scan)
    return PulseReport(
        expected=pulses.awaited,
        seen=len(told),
        extra=pulses.extra,
        missed=pulses.missed,
        lacking=pulses.lacking,
        early=told.count("early"),
        late=told.count("late"),
        tr_planned_s=scan.tr_s,
        stops=tuple(stops),
        hypotheses=_hypotheses(scan, pulses.lacking) if journal.complete and pulses.numbers else (),
        off_grid=told.count("off grid"),
        **line,
    )


def scan_of(journal: Journal) -> ScanTimes:
    """The scanner's part of the plan of a journal (of any release: what it does not say has its default)."""
    known = {field.name for field in fields(ScanTimes)}
    return ScanTimes(**{key: value for key, value in journal.header["scan"].items() if key in known})


def _as_it_was(scan: ScanTimes, stamps_s: Sequence[float]) -> ScanTimes:
    """The scan at the TR that its pulses had, where the plan's was wrong: or pulses would be given wrong numbers."""
    if len(stamps_s) < EVEN_PULSES:
        return scan
    interval_s = float(np.median(np.diff(stamps_s)))
    off = abs(interval_s / scan.pulse_interval_s - 1.0)
    return replace(scan, tr_s=interval_s * scan.slices) if UNPLANNED_SHARE < off < 0.5 else scan


def _hypotheses(scan: ScanTimes, lacking: int) -> tuple[Hypothesis, ...]:
    if not lacking or scan.end_s is None or scan.per == "run":
        return ()
    volumes = round(scan.end_s / scan.tr_s)
    shift_s = round(lacking * scan.pulse_interval_s, 6)
    lost = -(-lacking // scan.slices)
    first = Hypothesis("first-missed", lacking, shift_s, volumes)
    stopped = Hypothesis("stopped-early", lacking, 0.0, volumes - lost)
    return (first, stopped) if lost <= FEW_VOLUMES else (stopped, first)


def _line(numbers: np.ndarray, kept_s: np.ndarray, scan: ScanTimes) -> dict[str, float | None]:
    """Least squares of the scanner's time (number x interval) against the stimulus clock, with standard errors."""
    nothing = dict.fromkeys(("tr_s", "tr_se_s", "jitter_s", "jitter_max_s", "drift_ppm", "drift_se_ppm"))
    if len(numbers) < 2 or numbers[-1] == numbers[0]:
        return dict(nothing)
    # Along both directions of the regression the line is the same to first order: residuals are millionths of its length.
    scanner_s = (numbers - numbers[0]) * scan.pulse_interval_s
    stimulus_s = kept_s - kept_s[0]
    centred_s = stimulus_s - stimulus_s.mean()
    spread = float(centred_s @ centred_s)
    rate = float(centred_s @ scanner_s) / spread
    rest_s = scanner_s - scanner_s.mean() - rate * centred_s
    found: dict[str, float | None] = nothing | {
        "tr_s": round(scan.tr_s / rate, 9),
        "jitter_s": round(float(np.sqrt(np.mean(rest_s**2))), 9),
        "jitter_max_s": round(float(np.abs(rest_s).max()), 9),
        "drift_ppm": round((rate - 1.0) * 1e6, 3),
    }
    if len(numbers) > 2:
        se = float(np.sqrt(rest_s @ rest_s / (len(numbers) - 2) / spread))
        found |= {"tr_se_s": round(scan.tr_s * se / rate**2, 9), "drift_se_ppm": round(se * 1e6, 3)}
    return found
