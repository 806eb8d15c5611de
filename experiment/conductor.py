"""Plays any timeline on any stage against any clock, on an absolute schedule from the first pulse."""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from experiment.clock import FrameClock
from experiment.drawings import Awaiting, Drawing, Nothing, Still, stills_of
from experiment.journal import Record
from experiment.pulse_judge import silence_s
from experiment.responses import Press, ResponseSource
from experiment.stage import Stage
from experiment.timeline import Segment, Timeline
from experiment.triggers import Pulse, SilentTriggers, TriggerSource
from experiment.urgency import Urgency, urgent
from protocols.problems import FoolscanError

# Other threads (journal, serial port) give the interpreter back to the drawing thread within this time.
SWITCH_INTERVAL_S = 0.0001
# Half a frame is "nearest"; this much more keeps sums of floats from deciding.
FRAME_SLACK = 1e-6


class Judge(Protocol):
    """Judges pulses as they come (see `experiment.pulse_judge.PulseJudge`)."""

    def pulse(self, pulse: Pulse) -> Record:
        """What is to be said of a pulse, for its record in the journal."""
        ...

    def tick(self, now_s: float) -> list[Record]:
        """What the time that has passed says: records, each once."""
        ...


class Log(Protocol):
    """Takes records without waiting (see `JournalWriter`)."""

    @property
    def failure(self) -> OSError | None:
        """Why records can no longer be written, if so."""
        ...

    def put(self, record: Record) -> None:
        """Hand one record over."""
        ...


@dataclass(frozen=True)
class Performance:
    """How a run went.

    complete    : whether it came to its planned end.
    reason      : why not (empty when it did).
    end_s       : the run's clock at its last flip.
    snapshots   : name -> back buffer, (height, width, 3) uint8, for those that were asked for.
    loop_cost_s : (n_flips,) what the loop cost beside the flip itself, s; real time even under a simulated clock.
    urgency     : whether the system let the run's threads go before other programs (see `urgent`).
    """

    complete: bool
    reason: str
    end_s: float
    snapshots: Mapping[str, np.ndarray]
    loop_cost_s: np.ndarray
    urgency: Urgency = "normal"


def conduct(
    timeline: Timeline,
    stage: Stage,
    clock: FrameClock,
    triggers: TriggerSource,
    responses: ResponseSource,
    journal: Log,
    *,
    waiting: Drawing | None = None,
    judge: Judge | None = None,
    stop: Callable[[], str | None] = lambda: None,
    warnings: Callable[[], list[str]] = list,
    pictures_of: Mapping[int, str] | None = None,
) -> Performance:
    """Play the screens that come first, wait for the first pulse, then play the rest; all of it goes to the journal.

    timeline    : the plan.
    stage       : loaded with the timeline's images.
    waiting     : what is shown until the first pulse.
    judge       : says of every pulse whether it was on time; None: pulses are recorded only.
    stop        : asked after every flip; a reason ends the run.
    warnings    : asked after every flip what the operator should know of the devices; each is journalled as a fault.
    pictures_of : row index -> name, for rows whose back buffer is kept (costs milliseconds: simulated clocks only);
                  -1 is the waiting screen.

    The loop touches no file, prints nothing, lays out no text and loads no texture, and the garbage collector rests.
    What a flip shows is decided by the planned frame nearest to the time that flip is due, so lateness is never passed on.
    """
    waiting = waiting or Nothing()
    stage.prepare(dict.fromkeys(still for drawing in (waiting, *timeline.drawings) for still in stills_of(drawing)))
    playing = _Playing(
        timeline, stage, clock, triggers, responses, journal, judge, stop, warnings, dict(pictures_of or {})
    )
    with calm_interpreter(), urgent(not clock.virtual) as playing.urgency:
        try:
            playing.play_all(waiting)
        except _Stopped as stopped:
            return playing.result(str(stopped))
    return playing.result("")


@contextmanager
def calm_interpreter() -> Iterator[None]:
    """No garbage collection, and short turns for the other threads, while the block runs."""
    interval_s, collected = sys.getswitchinterval(), gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        gc.unfreeze()
        if collected:
            gc.enable()


class _Stopped(Exception):
    """The run ends here, for the reason given."""


@dataclass(frozen=True)
class Change:
    """From this frame of a segment on, this is shown; row is its index in the timeline, None for the bare background."""

    frame: int
    row: int | None
    drawing: Drawing


def changes_of(segment: Segment, first_row: int) -> list[Change]:
    """The frames of a segment at which the screen changes; the background stands between rows.

    first_row : index of the segment's first row in the timeline.

    The last row of a response-driven segment stands: nothing follows it here.
    """
    changes: list[Change] = []
    if not segment.rows or segment.rows[0].frame > 0:
        changes.append(Change(0, None, Nothing()))
    for index, row in enumerate(segment.rows, start=first_row):
        if changes and changes[-1].frame >= row.frame:
            changes.pop()  # the row before ends where this one begins: no frame lies between them
        changes.append(Change(row.frame, index, row.drawing))
        changes.append(Change(row.frame + row.n_frames, None, Nothing()))
    if segment.mode == "response_driven":
        return changes[:-1]
    if changes and changes[-1].frame >= segment.end_frame:
        changes.pop()
    changes.append(Change(segment.end_frame, None, Nothing()))
    return changes


@dataclass
class _Playing:
    """The state of a run while it lasts."""

    timeline: Timeline
    stage: Stage
    clock: FrameClock
    triggers: TriggerSource
    responses: ResponseSource
    journal: Log
    judge: Judge | None
    stop: Callable[[], str | None]
    warnings: Callable[[], list[str]]
    pictures_of: dict[int, str]
    origin_s: float | None = None
    listening: bool = False
    flips: int = 0
    now_s: float = 0.0
    beginning: Segment | None = None
    presses: list[Press] = field(default_factory=list)
    ended_by: str | None = None
    snapshots: dict[str, np.ndarray] = field(default_factory=dict)
    costs_s: list[float] = field(default_factory=list)
    turn_s: float = 0.0
    urgency: Urgency = "normal"

    def __post_init__(self) -> None:
        """Work out every change of the screen before the first flip."""
        first, self.changes = 0, []
        for segment in self.timeline.segments:
            self.changes.append(changes_of(segment, first))
            first += len(segment.rows)

    def play_all(self, waiting: Drawing) -> None:
        """The segments in order; the first that is pulse-locked waits for the first pulse."""
        self.turn_s = time.perf_counter()
        for segment, changes in zip(self.timeline.segments, self.changes, strict=True):
            if segment.only_after_press and self.ended_by is None:
                continue
            self.beginning = segment
            if segment.mode == "response_driven":
                self.play_response_driven(segment, changes)
            else:
                if self.origin_s is None:
                    self.wait_for_pulse(waiting)
                self.play_pulse_locked(segment, changes)
        if self.timeline.segments and self.timeline.segments[-1].mode == "response_driven":
            self.step(Nothing(), None, Change(0, None, Nothing()))

    def wait_for_pulse(self, waiting: Drawing) -> None:
        """Show the waiting screen until the first pulse; its time is the origin of the schedule."""
        beginning, self.beginning = self.beginning, None
        self.step(waiting.at(0), None, Change(0, -1, waiting))
        early = self.pulses_before_start()
        self.triggers.start(self.now_s)
        self.listening = True
        frame = 0
        while self.origin_s is None:
            if not waiting.moves:
                self.clock.skip_to(self.triggers.due_s())
            frame += 1
            self.step(waiting.at(frame), None)
        self.beginning = beginning
        since_s = self.origin_s - early[-1].t_s if early else math.inf
        if since_s <= silence_s(self.timeline.scan):
            what = (
                f"the scanner was running before the run waited for it ({len(early)} pulses, the last {since_s:.2f} s before "
                "the first that counts): the images do not begin with this run. Start scan and run again"
            )
            self.journal.put({"kind": "fault", "t_s": round(self.now_s, 6), "what": what})

    def pulses_before_start(self) -> list[Pulse]:
        """Pulses that came while nobody waited for one; they are journalled and start nothing."""
        early = self.triggers.poll(self.now_s)
        if self.timeline.scan.end_s is None:
            return []  # at a desk: the participant's key, pressed too soon
        for pulse in early:
            stamps = {"t_s": round(pulse.t_s, 6), "raw_s": round(pulse.raw_s, 6)}
            self.journal.put({"kind": "scanner", "what": "pulse before start", **stamps})
        return early

    def play_pulse_locked(self, segment: Segment, changes: list[Change]) -> None:
        """Rows at their absolute frames: what a flip shows depends on its own time alone."""
        origin_s = self.origin_s or 0.0
        place, shown, frame = -1, -1, -1
        while frame < segment.end_frame:
            frame = self.frame_due(origin_s)
            while place + 1 < len(changes) and changes[place + 1].frame <= frame:
                place += 1
            change = changes[max(place, 0)]
            self.step(change.drawing.at(frame - change.frame), frame, change if place != shown else None, change.row)
            shown = place
            if frame < segment.end_frame and not change.drawing.moves:
                self.clock.skip_to(origin_s + changes[place + 1].frame / self.timeline.refresh_hz)

    def play_response_driven(self, segment: Segment, changes: list[Change]) -> None:
        """Rows at their frames from the segment's own first flip, until one of its buttons, or until its time is up."""
        hz = self.timeline.refresh_hz
        changes = [self.resolved(change) for change in changes]
        stays_until = math.inf if segment.timeout_s is None else max(1, round(segment.timeout_s * hz))
        begin_s, open_s = None, math.inf
        place, shown, frame = 0, -1, 0
        self.ended_by = None
        while frame < stays_until:
            while place + 1 < len(changes) and changes[place + 1].frame <= frame:
                place += 1
            change = changes[place]
            self.step(change.drawing.at(frame - change.frame), frame, change if place != shown else None, change.row)
            shown = place
            begin_s = self.now_s if begin_s is None else begin_s
            if frame >= segment.until_from_frame:
                open_s = min(open_s, self.now_s)
            if self.ended_by is None:
                ends = [press for press in self.presses if press.button in segment.until and press.t_s >= open_s]
                if ends:
                    self.ended_by = ends[0].button
                    stays_until = min(stays_until, segment.ends_from_frame)
            if frame < stays_until and not change.drawing.moves:
                following = changes[place + 1].frame if place + 1 < len(changes) else math.inf
                turns = (following, stays_until, segment.until_from_frame, segment.ends_from_frame)
                next_s = begin_s + min(turn for turn in turns if turn > frame) / hz
                self.clock.skip_to(min(next_s, self.responses.due_s()))
            frame = self.frame_due(begin_s)

    def resolved(self, change: Change) -> Change:
        """A change whose drawing waited for the button that ended the segment before."""
        if not isinstance(change.drawing, Awaiting):
            return change
        return Change(change.frame, change.row, change.drawing.given(self.ended_by))

    def frame_due(self, origin_s: float) -> int:
        """The planned frame nearest to the time the next flip is due."""
        return math.floor((self.clock.next_flip_s() - origin_s) * self.timeline.refresh_hz + 0.5 + FRAME_SLACK)

    def step(self, still: Still, frame: int | None, change: Change | None = None, row: int | None = None) -> None:
        """Draw, flip, stamp; then hand what happened meanwhile to the journal.

        frame  : the planned frame, counted from the first pulse, or from the segment's first flip.
        change : what is new on the screen with this flip, if anything.
        row    : the row that is on the screen, for the photodiode's code.
        """
        row = change.row if change is not None else row
        self.stage.draw(still, 0 if row is None else row + 1)
        if change is not None and change.row is not None and change.row in self.pictures_of:
            self.snapshots[self.pictures_of[change.row]] = self.stage.snapshot()
        self.costs_s.append(time.perf_counter() - self.turn_s)
        self.clock.hold()
        self.stage.flip()
        flip = self.clock.flipped()
        self.turn_s = time.perf_counter()
        self.now_s = flip.t_s
        if self.beginning is not None:
            segment, self.beginning = self.beginning, None
            begins = {"kind": "segment", "name": segment.name, "mode": segment.mode}
            self.journal.put({**begins, "t_s": round(flip.t_s, 6)})
        record: Record = {"kind": "flip", "n": self.flips, "t_s": round(flip.t_s, 6)}
        if frame is not None:
            record["frame"] = frame
        if change is not None:
            record["shows"] = change.drawing.name
            record["row"] = change.row
            if change.row == -1:
                record["shows"] = "waiting"
            elif change.row is not None:
                self.responses.shown(self.timeline.rows[change.row], flip.t_s)
        self.journal.put(record)
        if flip.lost and frame is not None:
            self.journal.put({"kind": "late", "n": self.flips, "frame": frame, "lost": flip.lost})
        self.flips += 1
        self.listen()

    def listen(self) -> None:
        """Pulses, presses, and whether to stop."""
        for pulse in self.pulses() if self.listening else ():
            if self.origin_s is None:
                self.origin_s = pulse.t_s
            verdict = self.judge.pulse(pulse) if self.judge is not None else {}
            stamps = {"t_s": round(pulse.t_s, 6), "raw_s": round(pulse.raw_s, 6)}
            bounces = {"bounces": pulse.bounces} if pulse.bounces else {}
            self.journal.put({"kind": "pulse", **stamps, **bounces, **verdict})
        for news in self.judge.tick(self.now_s) if self.judge is not None and self.listening else ():
            self.journal.put(news)
        self.presses = self.responses.poll(self.now_s)
        for press in self.presses:
            stamps = {"t_s": round(press.t_s, 6), "raw_s": round(press.raw_s, 6)}
            self.journal.put({"kind": "press", "button": press.button, "key": press.key, **stamps})
        for what in self.warnings():
            self.journal.put({"kind": "fault", "t_s": round(self.now_s, 6), "what": what})
        if self.journal.failure is not None:
            raise _Stopped(f"the journal could not be written ({self.journal.failure.strerror})")
        reason = self.stop()
        if reason:
            raise _Stopped(reason)

    def pulses(self) -> list[Pulse]:
        """New pulses; a trigger box that is lost after the first pulse costs pulses, not the run."""
        try:
            return self.triggers.poll(self.now_s)
        except FoolscanError as error:
            if self.origin_s is None:
                raise
            self.journal.put({"kind": "fault", "t_s": round(self.now_s, 6), "what": str(error)})
            self.triggers = SilentTriggers()
            return []

    def result(self, reason: str) -> Performance:
        """The run as it stands now."""
        costs_s = np.array(self.costs_s)
        return Performance(not reason, reason, self.now_s, self.snapshots, costs_s, self.urgency)
