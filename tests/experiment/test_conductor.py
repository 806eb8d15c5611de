"""The conductor keeps to the plan whatever the screen, the scanner and the participant do."""

from __future__ import annotations

import gc
import math
import sys
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.clock import VirtualClock, WallClock
from experiment.conductor import SWITCH_INTERVAL_S, Performance, changes_of, conduct
from experiment.drawings import Nothing, Picture, Still, Words
from experiment.observer import Reaction
from experiment.responses import EmulatedResponses, Press
from experiment.scan import ScanTimes
from experiment.stage import NullStage
from experiment.timeline import Row, Segment, Timeline
from experiment.triggers import EmulatedTriggers, Pulse
from protocols.folder import RunId
from protocols.problems import FoolscanError
from protocols.rig_devices import EmulatedTrigger

HZ = 60.0


@dataclass
class Memory:
    """A journal kept in memory, and a stage that remembers what each flip showed."""

    records: list[dict[str, Any]] = field(default_factory=list)
    failure: OSError | None = None

    def put(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["kind"] == kind]


class RememberingStage(NullStage):
    def __init__(self) -> None:
        self.drawn: Still = Nothing()
        self.shown: list[Still] = []

    def draw(self, still: Still, code: int = 0) -> None:
        self.drawn = still

    def flip(self) -> None:
        self.shown.append(self.drawn)


@dataclass(frozen=True)
class Flicker:
    """A drawing that moves: the image in even frames, nothing in odd ones."""

    moves = True
    name = "flicker"

    def at(self, frame: int) -> Still:
        return Picture("RE-otter") if frame % 2 == 0 else Nothing()


def row(number: int, frame: int, n_frames: int, drawing: Any = None) -> Row:
    drawing = drawing or Picture(f"RE-{number}")
    return Row(
        frame / HZ,
        frame,
        n_frames,
        n_frames / HZ,
        number,
        "RE",
        f"RE-{number}",
        None,
        None,
        None,
        None,
        None,
        0,
        drawing,
    )


def timeline_of(*segments: Segment, pulses: int = 10) -> Timeline:
    scan = ScanTimes(1.0, 0.0, pulses, 0.0, None)
    return Timeline(RunId("01", "01", "animals", 1), HZ, scan, 2.0, segments, 0)


def images(n: int, every: int = 12, length: int = 6) -> Timeline:
    rows = tuple(row(k + 1, 6 + k * every, length) for k in range(n))
    return timeline_of(Segment("trials", "pulse_locked", rows, end_frame=6 + n * every))


def play(
    timeline: Timeline, clock: Any, delay_s: float = 0.5, **more: Any
) -> tuple[Memory, RememberingStage, Performance]:
    memory, stage = Memory(), more.pop("stage", RememberingStage())
    plan = EmulatedTrigger(kind="emulated", delay_s=delay_s)
    triggers = more.pop("triggers", EmulatedTriggers(plan, timeline.scan, np.random.default_rng(0)))
    responses = more.pop("responses", EmulatedResponses({}))
    return memory, stage, conduct(timeline, stage, clock, triggers, responses, memory, **more)


def onsets(memory: Memory) -> dict[int, float]:
    """Row -> time of its first flip from the first pulse, s."""
    zero_s = memory.of("pulse")[0]["t_s"]
    return {r["row"]: r["t_s"] - zero_s for r in memory.of("flip") if r.get("row") is not None and r["row"] >= 0}


@pytest.mark.parametrize("pace", ["changes", "every"])
def test_every_row_appears_on_its_planned_frame(pace: Any):
    timeline = images(10)
    memory, stage, performance = play(timeline, VirtualClock(HZ, pace))
    assert performance.complete
    for index, shown in enumerate(timeline.rows):
        assert onsets(memory)[index] == pytest.approx(shown.onset_s, abs=1e-5)
    assert next(still for still in stage.shown if isinstance(still, Picture)) == Picture("RE-1")
    assert memory.of("flip")[-1]["frame"] == timeline.segments[0].end_frame


def test_a_clock_that_jumps_journals_the_same_changes_as_one_that_draws_every_frame():
    jumping, _, _ = play(images(10), VirtualClock(HZ, "changes"))
    drawing, _, _ = play(images(10), VirtualClock(HZ, "every"))
    changes = [[(r["t_s"], r["shows"]) for r in memory.of("flip") if "shows" in r] for memory in (jumping, drawing)]
    assert changes[0] == changes[1]
    assert jumping.of("pulse") == drawing.of("pulse")
    assert len(jumping.of("flip")) < len(drawing.of("flip")) / 4


@given(delay_s=st.floats(0.01, 2.0))
def test_wherever_in_a_frame_the_pulse_comes_onsets_are_within_half_a_frame(delay_s: float):
    timeline = images(5)
    memory, _, _ = play(timeline, VirtualClock(HZ), delay_s)
    errors = [onsets(memory)[index] - shown.onset_s for index, shown in enumerate(timeline.rows)]
    assert max(map(abs, errors)) <= 0.5 / HZ + 1e-5
    assert np.ptp(errors) < 1e-5  # an error never accumulates


@given(late=st.dictionaries(st.integers(40, 230), st.integers(1, 5), max_size=8))
def test_late_frames_are_logged_exactly_and_none_pushes_a_later_onset(late: dict[int, int]):
    timeline = images(15)
    memory, _, performance = play(timeline, VirtualClock(HZ, "every", late_frames=late))
    seen = {record["n"]: record["lost"] for record in memory.of("late")}
    flips = {record["n"] for record in memory.of("flip") if "frame" in record}
    assert seen == {number: lost for number, lost in late.items() if number in flips}
    assert performance.complete
    times = [round(record["t_s"] * HZ) for record in memory.of("flip")]
    shown_at = onsets(memory)
    lost_times = {(record["n"]) for record in memory.of("late")}
    for index, planned in enumerate(timeline.rows):
        if index not in shown_at:
            continue
        off_frames = round((shown_at[index] - planned.onset_s) * HZ)
        flip = next(r["n"] for r in memory.of("flip") if r.get("row") == index)
        # an onset is late only by the frames lost in its own flip, or in the flip before it
        allowed = sum(seen.get(number, 0) for number in (flip, flip - 1) if number in lost_times)
        assert 0 <= off_frames <= allowed
    assert all(later > earlier for earlier, later in pairwise(times))


def test_an_image_whose_whole_time_was_lost_is_skipped_and_the_next_is_on_time():
    timeline = images(3)
    # flip 35 is the last before the first image: 1 waiting, 30 until the pulse, frames 1 to 5
    memory, stage, _ = play(timeline, VirtualClock(HZ, "every", late_frames={35: 12}))
    assert Picture("RE-1") not in stage.shown
    assert 0 not in onsets(memory)
    assert onsets(memory)[1] == pytest.approx(timeline.rows[1].onset_s, abs=1e-5)


def test_the_run_ends_on_its_planned_frame_after_late_frames():
    timeline = images(10)
    memory, _, _ = play(timeline, VirtualClock(HZ, "every", late_frames={50: 3, 90: 2}))
    last = memory.of("flip")[-1]
    assert last["t_s"] - memory.of("pulse")[0]["t_s"] == pytest.approx(timeline.length_s, abs=1e-5)


def test_a_moving_drawing_is_drawn_in_every_frame_even_by_a_clock_that_jumps():
    timeline = timeline_of(Segment("trials", "pulse_locked", (row(1, 60, 30, Flicker()),), end_frame=600))
    memory, stage, _ = play(timeline, VirtualClock(HZ))
    assert sum(isinstance(still, Picture) for still in stage.shown) == 15
    assert len(memory.of("flip")) < 45


def test_a_self_paced_segment_waits_for_its_button_and_the_schedule_stays_absolute():
    instruction = row(1, 0, 1, Words("press right when ready"))
    timeline = timeline_of(
        Segment("screen", "response_driven", (instruction,), until=("right",), timeout_s=5.0),
        Segment("trials", "pulse_locked", (row(2, 120, 6),), end_frame=180),
    )
    reaction = EmulatedResponses({1: Reaction("right", 0.7)})
    memory, stage, _ = play(timeline, VirtualClock(HZ, "every"), responses=reaction)
    assert onsets(memory)[1] == pytest.approx(2.0, abs=1e-5)
    reading = [still for still in stage.shown if isinstance(still, Words)]
    assert len(reading) == pytest.approx(0.7 * HZ, abs=2)


def test_a_self_paced_segment_ends_at_its_time_out():
    timeline = timeline_of(
        Segment("screen", "response_driven", (row(1, 0, 1, Words("wait")),), until=("left",), timeout_s=1.0)
    )
    _, stage, performance = play(timeline, VirtualClock(HZ, "every"))
    assert performance.complete
    assert sum(isinstance(still, Words) for still in stage.shown) == pytest.approx(HZ, abs=1)


def test_reasons_to_stop_end_the_run_and_what_was_seen_is_kept():
    reasons = iter([None] * 50 + ["Escape was pressed twice"] * 10)
    memory, _, performance = play(images(20), VirtualClock(HZ, "every"), stop=lambda: next(reasons))
    assert not performance.complete
    assert performance.reason == "Escape was pressed twice"
    assert len(memory.of("flip")) == 51


def test_a_disk_that_fails_ends_the_run():
    class Full(Memory):
        def put(self, record: dict[str, Any]) -> None:
            super().put(record)
            if len(self.records) == 30:
                self.failure = OSError(28, "No space left on device")

    memory, timeline = Full(), images(20)
    plan = EmulatedTrigger(kind="emulated", delay_s=0.1)
    triggers = EmulatedTriggers(plan, timeline.scan, np.random.default_rng(0))
    performance = conduct(timeline, NullStage(), VirtualClock(HZ, "every"), triggers, EmulatedResponses({}), memory)
    assert "No space left" in performance.reason


def test_losing_the_trigger_box_costs_pulses_but_not_the_run():
    class Unplugged:
        start_s = math.inf

        def start(self, now_s: float) -> None:
            self.start_s = now_s

        def due_s(self) -> float:
            return math.inf

        def poll(self, now_s: float) -> list[Pulse]:
            if now_s > self.start_s + 1.0:
                raise FoolscanError("trigger: the serial port was lost")
            return [Pulse(now_s, now_s)]

        def close(self) -> None: ...

        def facts(self) -> dict[str, Any]:
            return {}

    memory, _, performance = play(images(10), VirtualClock(HZ, "every"), triggers=Unplugged())
    assert performance.complete
    assert [fault["what"] for fault in memory.of("fault")] == ["trigger: the serial port was lost"]


@pytest.mark.parametrize("early_s", [0.6, 30.0])
def test_pulses_before_the_run_waits_are_journalled_and_a_scan_that_runs_already_is_a_fault(early_s: float):
    class Early(EmulatedTriggers):
        """Three pulses, a second apart, before anybody listens; the last `early_s` before the first that counts."""

        before = True

        def poll(self, now_s: float) -> list[Pulse]:
            if not self.before:
                return super().poll(now_s)
            self.before = False
            return [Pulse(0.5 - early_s - ago_s, 0.5 - early_s - ago_s) for ago_s in (2.0, 1.0, 0.0)]

    timeline = images(10)
    timeline = replace(timeline, scan=replace(timeline.scan, end_s=10.0))
    plan = EmulatedTrigger(kind="emulated", delay_s=0.5)
    triggers = Early(plan, timeline.scan, np.random.default_rng(0))
    memory, _, performance = play(timeline, VirtualClock(HZ, "every"), triggers=triggers)
    assert performance.complete
    assert [record["what"] for record in memory.of("scanner")][:3] == ["pulse before start"] * 3
    assert len(memory.of("pulse")) <= timeline.scan.pulses
    faults = [fault["what"] for fault in memory.of("fault")]
    assert len(faults) == (1 if early_s < 2.5 else 0)
    assert all("was running before" in what for what in faults)


def test_garbage_collection_rests_during_the_run_and_comes_back():
    seen: list[tuple[bool, float]] = []

    class Watching(RememberingStage):
        def flip(self) -> None:
            seen.append((gc.isenabled(), sys.getswitchinterval()))

    before = sys.getswitchinterval()
    play(images(2), VirtualClock(HZ), stage=Watching())
    assert {collecting for collecting, _ in seen} == {False}
    assert [interval for _, interval in seen] == pytest.approx([SWITCH_INTERVAL_S] * len(seen), rel=1e-3)
    assert gc.isenabled()
    assert sys.getswitchinterval() == before


def test_rows_that_touch_have_no_background_between_them():
    segment = Segment("trials", "pulse_locked", (row(1, 0, 10), row(2, 10, 10)), end_frame=20)
    assert [(change.frame, change.row) for change in changes_of(segment, 0)] == [(0, 0), (10, 1), (20, None)]


class Hand:
    """Time that a test moves by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def read(self) -> float:
        return self.now_s

    def sleep(self, s: float) -> None:
        self.now_s += s


def test_the_wall_clock_waits_for_the_refresh_where_the_display_does_not():
    hand = Hand()
    clock = WallClock(HZ, held=False, read=hand.read, sleep=hand.sleep)
    times = []
    for _ in range(100):
        clock.hold()
        hand.now_s += 0.3 / HZ  # what the flip itself costs does not add up
        times.append(clock.flipped().t_s)
    assert np.diff(times) == pytest.approx(np.full(99, 1 / HZ))


def test_a_flip_that_misses_its_refresh_waits_for_the_next_one_and_says_so():
    hand = Hand()
    clock = WallClock(HZ, held=False, read=hand.read, sleep=hand.sleep)
    begin_s = hand.now_s
    hand.now_s += 1.3 / HZ
    assert clock.next_flip_s() == pytest.approx(begin_s + 2 / HZ)
    clock.hold()
    flip = clock.flipped()
    assert (flip.t_s, flip.lost) == (pytest.approx(begin_s + 2 / HZ), 1)


def test_the_wall_clock_counts_the_frames_that_a_slow_flip_lost():
    hand = Hand()
    clock = WallClock(HZ, held=True, read=hand.read, sleep=hand.sleep)
    hand.now_s += 1 / HZ
    assert clock.flipped().lost == 0
    hand.now_s += 4 / HZ
    assert clock.next_flip_s() == pytest.approx(hand.now_s, abs=1e-9)
    assert clock.flipped().lost == 3


def test_presses_are_stamped_when_they_came_not_when_they_were_read():
    reaction = EmulatedResponses({1: Reaction("left", 0.123)})
    memory, _, _ = play(images(3, every=60), VirtualClock(HZ), responses=reaction)
    zero_s = memory.of("pulse")[0]["t_s"]
    assert memory.of("press")[0]["t_s"] - zero_s == pytest.approx(onsets(memory)[0] + 0.123, abs=1e-5)
    assert Press("left", "left", 1.0, 1.0).button == memory.of("press")[0]["button"]
