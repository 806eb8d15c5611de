"""Plays any timeline on any stage against any clock, on an absolute schedule from the first pulse."""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from experiment.clock import FrameClock
from experiment.drawings import Drawing, Nothing, Still
from experiment.journal import Record
from experiment.responses import ResponseSource
from experiment.stage import Stage
from experiment.timeline import Segment, Timeline
from experiment.triggers import Pulse, TriggerSource
from protocols.problems import FoolscanError

# Other threads (journal, serial port) give the interpreter back to the drawing thread within this time.
SWITCH_INTERVAL_S = 0.001
# Half a frame is "nearest"; this much more keeps sums of floats from deciding.
FRAME_SLACK = 1e-6


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
    """

    complete: bool
    reason: str
    end_s: float
    snapshots: Mapping[str, np.ndarray]
    loop_cost_s: np.ndarray


def conduct(
    timeline: Timeline,
    stage: Stage,
    clock: FrameClock,
    triggers: TriggerSource,
    responses: ResponseSource,
    journal: Log,
    *,
    waiting: Drawing | None = None,
    stop: Callable[[], str | None] = lambda: None,
    pictures_of: Mapping[int, str] | None = None,
) -> Performance:
    """Wait for the first pulse, then play the timeline; every flip, pulse and press goes to the journal.

    timeline    : the plan.
    stage       : loaded with the timeline's images.
    waiting     : what is shown until the first pulse.
    stop        : asked after every flip; a reason ends the run.
    pictures_of : row index -> name, for rows whose back buffer is kept (costs milliseconds: simulated clocks only);
                  -1 is the waiting screen.

    The loop touches no file, prints nothing, loads no texture, and the garbage collector rests. What a flip shows is
    decided by the planned frame nearest to the time that flip is due, so lateness is never passed on.
    """
    playing = _Playing(timeline, stage, clock, triggers, responses, journal, stop, dict(pictures_of or {}))
    with calm_interpreter():
        try:
            playing.wait_for_pulse(waiting or Nothing())
            for segment in timeline.segments:
                playing.play(segment)
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
class _Change:
    """From this frame on, this is shown."""

    frame: int
    row: int | None
    drawing: Drawing


def changes_of(segment: Segment, first_row: int) -> list[_Change]:
    """The frames of a pulse-locked segment at which the screen changes; the background stands between rows.

    first_row : index of the segment's first row in the timeline.
    """
    changes: list[_Change] = []
    for index, row in enumerate(segment.rows, start=first_row):
        if changes and changes[-1].frame >= row.frame:
            changes.pop()  # the row before ends where this one begins: no frame lies between them
        changes.append(_Change(row.frame, index, row.drawing))
        changes.append(_Change(row.frame + row.n_frames, None, Nothing()))
    if changes and changes[-1].frame >= segment.end_frame:
        changes.pop()
    changes.append(_Change(segment.end_frame, None, Nothing()))
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
    stop: Callable[[], str | None]
    pictures_of: dict[int, str]
    origin_s: float | None = None
    listening: bool = False
    flips: int = 0
    rows_before: int = 0
    now_s: float = 0.0
    pressed: set[str] = field(default_factory=set)
    snapshots: dict[str, np.ndarray] = field(default_factory=dict)
    costs_s: list[float] = field(default_factory=list)
    turn_s: float = 0.0

    def wait_for_pulse(self, waiting: Drawing) -> None:
        """Show the waiting screen until the first pulse; its time is the origin of the schedule."""
        self.turn_s = time.perf_counter()
        self.step(waiting.at(0), None, "waiting", row=-1)
        self.triggers.start(self.now_s)
        self.listening = True
        frame = 0
        while self.origin_s is None:
            if not waiting.moves:
                self.clock.skip_to(self.triggers.due_s())
            frame += 1
            self.step(waiting.at(frame), None)

    def play(self, segment: Segment) -> None:
        """Play one segment by its own rule of time."""
        if segment.mode == "pulse_locked":
            self.play_pulse_locked(segment)
        else:
            self.play_response_driven(segment)
        self.rows_before += len(segment.rows)

    def play_pulse_locked(self, segment: Segment) -> None:
        """Rows at their absolute frames: what a flip shows depends on its own time alone."""
        hz, origin_s = self.timeline.refresh_hz, self.origin_s or 0.0
        changes = changes_of(segment, self.rows_before)
        place, shown = -1, -1
        while True:
            frame = math.floor((self.clock.next_flip_s() - origin_s) * hz + 0.5 + FRAME_SLACK)
            while place + 1 < len(changes) and changes[place + 1].frame <= frame:
                place += 1
            change = changes[place] if place >= 0 else _Change(0, None, Nothing())
            still = change.drawing.at(frame - change.frame)
            if place != shown:
                self.step(still, frame, change.drawing.name, change.row)
                shown = place
            else:
                self.step(still, frame)
            if frame >= segment.end_frame:
                return
            if not change.drawing.moves:
                self.clock.skip_to(origin_s + changes[place + 1].frame / hz)

    def play_response_driven(self, segment: Segment) -> None:
        """One row until a button of its own, or until its time is up."""
        row = segment.rows[0]
        self.pressed.clear()
        self.step(row.drawing.at(0), None, row.drawing.name, self.rows_before)
        until_s = math.inf if segment.timeout_s is None else self.now_s + segment.timeout_s
        frame = 0
        while not self.pressed & set(segment.until) and self.clock.next_flip_s() < until_s:
            frame += 1
            self.step(row.drawing.at(frame), None)

    def step(self, still: Still, frame: int | None, shows: str | None = None, row: int | None = None) -> None:
        """Draw, flip, stamp; then hand what happened meanwhile to the journal.

        frame : the planned frame, counted from the first pulse.
        shows : name of the drawing when it is a new one.
        row   : its row in the timeline (-1: the waiting screen).
        """
        self.stage.draw(still)
        if shows is not None and row is not None and row in self.pictures_of:
            self.snapshots[self.pictures_of[row]] = self.stage.snapshot()
        self.costs_s.append(time.perf_counter() - self.turn_s)
        self.stage.flip()
        flip = self.clock.flipped()
        self.turn_s = time.perf_counter()
        self.now_s = flip.t_s
        record: Record = {"kind": "flip", "n": self.flips, "t_s": round(flip.t_s, 6)}
        if frame is not None:
            record["frame"] = frame
        if shows is not None:
            record["shows"] = shows
            record["row"] = row
            if row is not None and row >= 0:
                self.responses.shown(self.timeline.rows[row], flip.t_s)
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
            self.journal.put({"kind": "pulse", "t_s": round(pulse.t_s, 6), "raw_s": round(pulse.raw_s, 6)})
        for press in self.responses.poll(self.now_s):
            self.pressed.add(press.button)
            stamps = {"t_s": round(press.t_s, 6), "raw_s": round(press.raw_s, 6)}
            self.journal.put({"kind": "press", "button": press.button, "key": press.key, **stamps})
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
            self.triggers = _Silence()
            return []

    def result(self, reason: str) -> Performance:
        """The run as it stands now."""
        return Performance(not reason, reason, self.now_s, self.snapshots, np.array(self.costs_s))


class _Silence:
    """A scanner that is no longer heard."""

    def start(self, now_s: float) -> None:
        """Nothing starts."""

    def poll(self, now_s: float) -> list[Pulse]:
        """Nothing."""
        return []

    def due_s(self) -> float:
        """Never."""
        return math.inf

    def close(self) -> None:
        """Nothing to close."""

    def facts(self) -> dict[str, Any]:
        """Nothing to say."""
        return {}
