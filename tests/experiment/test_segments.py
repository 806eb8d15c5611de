"""Segments: a bar that sweeps at 60 Hz in step with the pulses, and self-paced ones that end with a press."""

from __future__ import annotations

import csv
import sys
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.clock import VirtualClock
from experiment.conductor import Performance, conduct
from experiment.drawings import (
    Bar,
    Chosen,
    Drawing,
    Feedback,
    Mask,
    Nothing,
    Picture,
    Rating,
    Still,
    SweepingBar,
    Words,
    drawing_named,
)
from experiment.observer import Reaction
from experiment.responses import EmulatedResponses, Press
from experiment.rows import RowMaker
from experiment.scan import ScanTimes
from experiment.stage import HashingStage, NullStage
from experiment.timeline import COLUMNS, Segment, Timeline, timeline_text, write_timeline
from experiment.triggers import EmulatedTriggers
from protocols.folder import RunId, StudyFolder
from protocols.provenance import read_provenance, sha256_of
from protocols.rig import Rig, load_rig
from protocols.rig_devices import EmulatedTrigger
from protocols.session import record_for
from protocols.study import Study

HZ = 60.0
SCAN = ScanTimes(1.0, 0.0, 6, 0.0, 6.0)
# 24 degrees in 4 s: a tenth of a degree each frame.
SWEEP = SweepingBar(Bar(0.0, -12.0, 2.0, 20.0), 11.9, 240)


class Memory:
    """A journal kept in memory."""

    failure: OSError | None = None

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def put(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["kind"] == kind]


class RememberingStage(NullStage):
    def __init__(self) -> None:
        self.prepared: list[Still] = []
        self.shown: list[tuple[Still, int]] = []

    def prepare(self, stills: Any) -> None:
        self.prepared = list(stills)

    def draw(self, still: Still, code: int = 0) -> None:
        self.drawn = (still, code)

    def flip(self) -> None:
        self.shown.append(self.drawn)

    def snapshot(self) -> np.ndarray:
        return np.frombuffer(repr(self.drawn[0]).encode(), dtype=np.uint8)


def instruction(name: str, until: tuple[str, ...], **more: Any) -> Segment:
    row = RowMaker(name, load_rig("rehearsal")).row(0.0, 1.0, "screen", drawing=Words(f"{name}?"))
    return Segment(name, "response_driven", (row,), until=until, **more)


def sweep_after_instructions() -> Timeline:
    """A self-paced instruction, then rest, the sweep from 1 s to 5 s, rest."""
    make = RowMaker("sweep", load_rig("rehearsal"), SCAN).row
    rows = (make(0.0, 1.0, "rest"), make(1.0, 4.0, "bar", drawing=SWEEP), make(5.0, 1.0, "rest"))
    bars = Segment("sweep", "pulse_locked", rows, end_frame=360)
    return Timeline(RunId("01", "01", "bars", 1), HZ, SCAN, 2.0, (instruction("ready", ("left",)), bars), 7)


def play(
    timeline: Timeline,
    clock: Any,
    reactions: dict[str, tuple[str, float]] | None = None,
    stage: Any = None,
    **more: Any,
) -> tuple[Memory, Any, Performance]:
    """Play a timeline; reactions: name of a segment -> button, and time after its first row appeared."""
    first = {segment.name: segment.rows[0] for segment in timeline.segments}
    presses = {first[name]: Reaction(*reaction) for name, reaction in (reactions or {}).items()}
    of_trials = {row.trial: reaction for row, reaction in presses.items() if row.trial is not None}
    memory, stage = Memory(), stage or RememberingStage()
    plan = EmulatedTrigger(kind="emulated", delay_s=0.5)
    triggers = EmulatedTriggers(plan, timeline.scan, np.random.default_rng(0))
    responses = more.pop("responses", EmulatedResponses(of_trials, presses))
    return memory, stage, conduct(timeline, stage, clock, triggers, responses, memory, **more)


# --- a bar that moves in every frame -------------------------------------------------------------------------------


@pytest.mark.parametrize("pace", ["changes", "every"])
def test_a_bar_sweeps_a_tenth_of_a_degree_each_frame_locked_to_the_pulse(pace: Any):
    memory, stage, performance = play(sweep_after_instructions(), VirtualClock(HZ, pace), {"ready": ("left", 1.0)})
    assert performance.complete
    bars = [still for still, _ in stage.shown if isinstance(still, Bar)]
    assert len(bars) == 240
    assert [bar.position_deg for bar in bars] == pytest.approx(np.arange(-12.0, 11.95, 0.1))
    pulse_s = memory.of("pulse")[0]["t_s"]
    onset = next(flip for flip in memory.of("flip") if flip.get("shows") == SWEEP.name)
    assert onset["t_s"] - pulse_s == pytest.approx(1.0, abs=1e-5)
    assert onset["frame"] == 60


def test_every_frame_of_a_sweep_has_a_hash_of_its_own_and_the_same_twice():
    seen = []
    for _ in range(2):
        stage = HashingStage(RememberingStage())
        play(sweep_after_instructions(), VirtualClock(HZ), {"ready": ("left", 1.0)}, stage)
        seen.append(stage.hashes)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 240 + 2  # the bar's places, the instruction, the background


@given(late=st.dictionaries(st.integers(90, 420), st.integers(1, 6), max_size=10))
def test_frames_that_are_lost_leave_the_bar_where_it_belongs(late: dict[int, int]):
    memory, stage, _ = play(
        sweep_after_instructions(), VirtualClock(HZ, "every", late_frames=late), {"ready": ("left", 0.5)}
    )
    pulse_s = memory.of("pulse")[0]["t_s"]
    for flip, (still, _) in zip(memory.of("flip"), stage.shown, strict=True):
        if isinstance(still, Bar):
            # what is drawn is right for the frame that was due; lost frames are skipped, not made up for
            assert still == SWEEP.at(flip["frame"] - 60)
            lost = next((r["lost"] for r in memory.of("late") if r["n"] == flip["n"]), 0)
            assert round((flip["t_s"] - pulse_s) * HZ) == flip["frame"] + lost
    # the run ends on its planned frame, unless just those flips come late that should have shown its end
    end = memory.of("flip")[-1]
    lost = {record["n"]: record["lost"] for record in memory.of("late")}
    allowed = lost.get(end["n"], 0) + lost.get(end["n"] - 1, 0)
    assert -1e-5 <= end["t_s"] - pulse_s - 6.0 <= allowed / HZ + 1e-5


# --- self-paced ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pace", ["changes", "every"])
def test_a_self_paced_segment_ends_with_its_press_and_comes_before_the_first_pulse(pace: Any):
    memory, stage, _ = play(sweep_after_instructions(), VirtualClock(HZ, pace), {"ready": ("left", 1.234)})
    names = [(record["kind"], record.get("name", record.get("shows"))) for record in memory.records]
    places = [names.index(item) for item in (("segment", "ready"), ("flip", "waiting"), ("pulse", None))]
    assert places == sorted(places)
    assert names.index(("segment", "sweep")) > places[-1]
    began_s = memory.of("segment")[0]["t_s"]
    left_s = next(flip["t_s"] for flip in memory.of("flip") if flip.get("shows") == "waiting")
    assert 1.234 <= left_s - began_s <= 1.234 + 3 / HZ
    assert Words("ready?") in stage.prepared  # laid out before the run, not in it


def after(*segments: Segment) -> Timeline:
    rest = RowMaker("rest", load_rig("rehearsal"), SCAN).row(0.0, 1.0, "rest")
    locked = Segment("rest", "pulse_locked", (rest,), end_frame=60)
    return Timeline(RunId("01", "01", "x", 1), HZ, SCAN, 2.0, (locked, *segments), 0)


def begins(memory: Memory) -> dict[str, float]:
    return {record["name"]: record["t_s"] for record in memory.of("segment")}


def test_only_its_own_buttons_end_it_and_only_from_its_frame_on():
    waits = instruction("a", ("right",), until_from_frame=60, timeout_s=10.0)
    ends = instruction("b", ("left",), timeout_s=1.0)
    for button, time_s, expected_s in (("left", 2.0, 10.0), ("right", 0.5, 10.0), ("right", 2.0, 2.0)):
        memory, _, _ = play(after(waits, ends), VirtualClock(HZ), {"a": (button, time_s)})
        assert begins(memory)["b"] - begins(memory)["a"] == pytest.approx(expected_s, abs=3 / HZ)


def test_a_press_does_not_cut_short_what_was_promised_its_time():
    image = instruction("a", ("left",), ends_from_frame=90, timeout_s=5.0)
    for pace in ("changes", "every"):
        memory, _, _ = play(
            after(image, instruction("b", (), timeout_s=0.5)), VirtualClock(HZ, pace), {"a": ("left", 0.3)}
        )  # type: ignore[arg-type]
        assert begins(memory)["b"] - begins(memory)["a"] == pytest.approx(1.5, abs=1e-5)


def test_what_follows_an_answer_is_left_out_when_there_was_none():
    asks = instruction("asks", ("left",), timeout_s=1.0)
    then = instruction("then", ("right",), timeout_s=1.0, only_after_press=True)
    last = instruction("last", ("right",), timeout_s=1.0, only_after_press=True)
    memory, _, _ = play(after(asks, then, last), VirtualClock(HZ), {"asks": ("left", 0.5)})
    assert list(begins(memory)) == ["rest", "asks", "then"]
    memory, _, _ = play(after(asks, then, last), VirtualClock(HZ), {"then": ("right", 0.5)})
    assert list(begins(memory)) == ["rest", "asks"]


def test_feedback_is_chosen_by_the_press_that_ended_the_trial():
    right, wrong, missed, noted = (Words(word) for word in ("right", "wrong", "missed", "noted"))
    make = RowMaker("says", load_rig("rehearsal")).row
    asks = instruction("asks", ("left", "right"), timeout_s=1.0)
    for correct, pressed, expected in (("left", "left", right), ("left", "right", wrong), (None, "left", noted)):
        row = make(0.0, 0.5, "feedback", drawing=Feedback(correct, right, wrong, missed, noted))
        says = Segment("says", "response_driven", (row,), timeout_s=0.5)
        _, stage, _ = play(after(asks, says), VirtualClock(HZ), {"asks": (pressed, 0.3)})
        assert (expected, 3) in stage.shown
        assert set(stage.prepared) >= {right, wrong, missed, noted}
        _, stage, _ = play(after(asks, says), VirtualClock(HZ))
        assert (missed, 3) in stage.shown


def test_rows_of_a_self_paced_segment_come_at_their_frames_after_its_first_flip():
    make = RowMaker("trial", load_rig("rehearsal")).row
    rows = (
        make(0.5, 0.1, "RE", drawing=Picture("RE-a"), trial=1),
        make(0.6, 0.2, "mask", drawing=Mask("RE-a")),
        make(0.8, 1.0, "response"),
    )
    trial = Segment("trial", "response_driven", rows, until=("left",), until_from_frame=30, timeout_s=3.0)
    for pace in ("changes", "every"):
        memory, _, _ = play(after(trial), VirtualClock(HZ, pace), {"trial": ("left", 0.9)})  # type: ignore[arg-type]
        flips = {flip["shows"]: flip["t_s"] for flip in memory.of("flip") if flip.get("row") in (1, 2)}
        began_s = begins(memory)["trial"]
        assert flips["picture RE-a"] - began_s == pytest.approx(0.5, abs=1e-5)
        assert flips["mask RE-a"] - began_s == pytest.approx(0.6, abs=1e-5)
        end_s = memory.of("flip")[-1]["t_s"]
        assert end_s - flips["picture RE-a"] == pytest.approx(0.9, abs=3 / HZ)


@given(late=st.dictionaries(st.integers(95, 200), st.integers(1, 4), max_size=6))
def test_late_frames_do_not_move_what_comes_later_in_a_self_paced_segment(late: dict[int, int]):
    make = RowMaker("trial", load_rig("rehearsal")).row
    rows = tuple(make(0.2 * k, 0.1, "RE", drawing=Picture(f"RE-{k}"), trial=k) for k in range(1, 9))
    trial = Segment("trial", "response_driven", rows, timeout_s=2.0)
    memory, _, _ = play(after(trial), VirtualClock(HZ, "every", late_frames=late))
    began_s = begins(memory)["trial"]
    lost = {record["n"]: record["lost"] for record in memory.of("late")}
    for flip in memory.of("flip"):
        if str(flip.get("shows", "")).startswith("picture"):
            planned_s = rows[flip["row"] - 1].onset_s
            allowed = lost.get(flip["n"], 0) + lost.get(flip["n"] - 1, 0)
            assert -1e-5 <= flip["t_s"] - began_s - planned_s <= allowed / HZ + 1e-5


def test_the_code_for_the_photodiode_is_the_rows_number():
    _, stage, _ = play(sweep_after_instructions(), VirtualClock(HZ), {"ready": ("left", 1.0)})
    codes = {type(still): code for still, code in stage.shown if not isinstance(still, Nothing)}
    assert codes == {Words: 1, Bar: 3}


@pytest.mark.parametrize(("early_s", "length_s"), [(0.01, 1.0), (-0.01, 2 / HZ)])
def test_a_press_of_before_the_segment_does_not_end_it(early_s: float, length_s: float):
    class Overlapping(EmulatedResponses):
        """A press that is heard of with the segment's first flips; it was made before, or after, the first of them."""

        at_s = np.inf

        def shown(self, row: Any, onset_s: float) -> None:
            if row.segment == "asks":
                self.at_s = onset_s - early_s

        def poll(self, now_s: float) -> list[Press]:
            made_s, self.at_s = self.at_s, (np.inf if self.at_s <= now_s else self.at_s)
            return [Press("left", "left", made_s, made_s)] if made_s <= now_s else []

    asks = instruction("asks", ("left",), timeout_s=1.0)
    timeline = after(asks, instruction("next", (), timeout_s=0.5))
    memory, _, _ = play(timeline, VirtualClock(HZ, "every"), responses=Overlapping({}))
    assert len(memory.of("press")) == 1
    assert begins(memory)["next"] - begins(memory)["asks"] == pytest.approx(length_s, abs=1e-5)


# --- names and files -----------------------------------------------------------------------------------------------


@given(text=st.text(), left=st.booleans())
def test_any_text_reads_back_from_its_line_in_a_table(text: str, left: bool):
    words = Words(text, right_to_left=left)
    if text:
        assert drawing_named(words.name) == words
    assert "\n" not in words.name.replace("\r", "").replace("\x0b", "")
    assert "\t" not in words.name


@pytest.mark.parametrize(
    "drawing",
    [
        Nothing(),
        Picture("RE-a"),
        Mask("RE-a"),
        Bar(90.0, -1.5, 2.0, 12.0),
        SWEEP,
        Rating(("a|b", "c\\p"), 1, "how\nsure?", right_to_left=True),
    ],
)
def test_a_drawing_reads_back_from_its_name(drawing: Drawing):
    assert drawing_named(drawing.name) == drawing


def test_the_step_that_was_chosen_is_the_button_that_was_pressed():
    scale = Rating(("no", "maybe", "yes"))
    chosen = Chosen(scale, ("1", "2", "3")).given("2")
    assert isinstance(chosen, Rating)
    assert chosen.chosen == 1


def test_a_plan_with_segments_is_written_with_them_and_hashed(folder: StudyFolder, study: Study, rig: Rig):
    timeline = sweep_after_instructions()
    path = write_timeline(folder, timeline, rig, record_for(study, "01", "01", "animals", rehearsal=True))
    assert sha256_of(path) == timeline.sha256
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert [row["segment"] for row in rows] == ["ready", "sweep", "sweep", "sweep"]
    assert [drawing_named(row["drawing"]) for row in rows] == list(timeline.drawings)
    assert list(rows[0]) == list(COLUMNS)
    rules = read_provenance(path)["parameters"]["segments"]
    assert rules[0]["until"] == ["left"]
    assert rules[1] == {"name": "sweep", "mode": "pulse_locked", "end_frame": 360}
    other = replace(timeline, segments=(instruction("steady", ("left",)), timeline.segments[1]))
    assert timeline_text(other) != timeline_text(timeline)


# --- the real thing ------------------------------------------------------------------------------------------------


def test_in_a_real_window_every_frame_of_the_sweep_shows_the_bar_in_its_place(window: Any):
    hashing = HashingStage(window)
    memory, _, performance = play(sweep_after_instructions(), VirtualClock(HZ), {"ready": ("left", 1.0)}, hashing)
    assert performance.complete
    frames = [flip["frame"] for flip in memory.of("flip") if "frame" in flip]
    assert len(hashing.hashes) == len(memory.of("flip"))
    sweep = [
        seen
        for flip, seen in zip(memory.of("flip"), hashing.hashes, strict=True)
        if 60 <= flip.get("frame", 0) < 300 and flip["t_s"] > memory.of("pulse")[0]["t_s"]
    ]
    assert len(sweep) == 240
    visible = [seen for place, seen in enumerate(sweep) if abs(SWEEP.at(place).position_deg) < 10.0]  # type: ignore[union-attr]
    assert len(set(visible)) == len(visible)  # another picture in every frame
    assert max(frames) == 360
    # and the bar moves to the right: its centre of light, read from the back buffer
    centres = []
    for place in (40, 120, 200):
        window.draw(SWEEP.at(place))
        shown = window.snapshot().astype(float)
        window.flip()
        column = np.abs(shown - np.median(shown)).sum(axis=(0, 2))
        centres.append(float((column * np.arange(column.size)).sum() / column.sum()))
    px_per_deg = load_rig("rehearsal").display.px(1.0)
    assert centres[1] == pytest.approx(512, abs=px_per_deg / 2)
    assert centres[1] - centres[0] == pytest.approx(8 * px_per_deg, rel=0.15)
    assert centres[2] - centres[1] == pytest.approx(8 * px_per_deg, rel=0.15)


# What the interpreter is asked for while a run lasts: one hook for this process, which listens only when it is told to.
OPENED: list[str] | None = None


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if OPENED is not None and event in ("open", "os.listdir", "subprocess.Popen", "import", "socket.connect"):
        OPENED.append(f"{event} {arguments[0]!r} in {threading.current_thread().name}")


sys.addaudithook(_listen)


def test_while_a_run_lasts_nothing_is_opened_printed_imported_laid_out_or_uploaded(
    window: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    global OPENED
    drawn: list[str] = []
    uploads: list[Any] = []

    class Watched(HashingStage):
        def flip(self) -> None:
            global OPENED
            super().flip()
            if OPENED is None:
                OPENED = []
                monkeypatch.setattr(window, "_drawable", uploads.append)
            drawn.append("")

    right, wrong, missed, noted = (Words(word) for word in ("right", "wrong", "missed", "noted"))
    make = RowMaker("says", load_rig("rehearsal")).row
    says = Segment(
        "says",
        "response_driven",
        (make(0.0, 0.5, "feedback", drawing=Feedback("left", right, wrong, missed, noted)),),
        timeout_s=0.5,
    )
    scale = Segment(
        "scale", "response_driven", (make(0.0, 0.5, "confidence", drawing=Rating(("no", "yes"))),), timeout_s=0.5
    )
    bars = sweep_after_instructions()
    timeline = replace(bars, segments=(*bars.segments, instruction("asks", ("left",), timeout_s=1.0), says, scale))
    try:
        play(timeline, VirtualClock(HZ), {"ready": ("left", 1.0), "asks": ("left", 0.5)}, Watched(window))
    finally:
        opened, OPENED = OPENED, None
    assert len(drawn) > 240
    assert opened == []
    assert uploads == []
    assert capfd.readouterr() == ("", "")
