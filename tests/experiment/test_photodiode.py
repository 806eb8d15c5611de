"""Light against flips: what a photodiode says is found again, through emulated, serial, audio and eye-tracker inputs."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serial_cable import Cable, serial_cable

from experiment.certificate import timing_of as certified
from experiment.clock import VirtualClock, WallClock
from experiment.light_sensors import AudioIn, EyeLinkInput, open_sensor
from experiment.photodiode import Flashes, flash, photodiode, summary, timing_of
from experiment.rigging import opened_stage
from experiment.screen_geometry import read_patch
from experiment.stage import NullStage
from protocols.problems import FoolscanError, WorkWanting
from protocols.rig import Rig, load_rig
from protocols.rig_photodiode import AudioDiode, EyeLinkDiode, MeasuredLight
from protocols.study import load_study

HZ = 60.0
FRAME_S = 1 / HZ


def rig_file(folder: Path, diode: str = "{kind: emulated}", more: str = "") -> Path:
    path = folder / "bench.yaml"
    path.write_text(
        "# the bench in the cellar\nformat: 1\nextends: rehearsal\nname: bench  # one of two\n"
        f"display:\n  patch: {{corner: top_left, size_px: 40}}  # under the tape\nphotodiode: {diode}\n{more}",
        encoding="utf-8",
    )
    return path


def measured(path: Path, **options: Any) -> tuple[Any, MeasuredLight]:
    return photodiode(
        path, stage="null", rng=np.random.default_rng(4), today=lambda: datetime(2026, 11, 21, tzinfo=UTC), **options
    )


# --- the figures -----------------------------------------------------------------------------------------------------


@given(
    offset_ms=st.floats(-5.0, 90.0),
    late=st.sets(st.integers(0, 99), max_size=30),
    unseen=st.sets(st.integers(0, 99), max_size=30),
)
def test_offset_late_and_unseen_flashes_are_found_again(offset_ms: float, late: set[int], unseen: set[int]):
    onsets_s = np.arange(100) * 0.2
    seen_s = [t + offset_ms / 1000 + FRAME_S * (n in late) for n, t in enumerate(onsets_s) if n not in unseen]
    found = timing_of(Flashes(tuple(onsets_s), 3, tuple(seen_s)), HZ)
    assert math.isclose(found.offset_ms, offset_ms, abs_tol=1e-6)
    assert (found.late, found.unseen, found.missed) == (len(late - unseen), len(unseen), len(late | unseen))
    assert (found.surplus, found.dropped) == (0, 3)
    assert found.sd_ms < 1e-6


def test_the_spread_is_that_of_the_flashes_on_time():
    rng = np.random.default_rng(2)
    onsets_s = np.arange(2000) * 0.2
    seen_s = onsets_s + 0.010 + rng.normal(0, 0.0005, 2000)
    seen_s[::50] += FRAME_S
    found = timing_of(Flashes(tuple(onsets_s), 0, tuple(seen_s)), HZ)
    assert found.late == 40
    assert math.isclose(found.sd_ms, 0.5, rel_tol=0.1)


def test_a_pulsed_lamp_gives_surplus_light_and_the_first_of_each_flash_counts():
    onsets_s = np.arange(50) * 0.2
    seen_s = [t + 0.005 + extra for t in onsets_s for extra in (0.0, 0.008, 0.016)]
    found = timing_of(Flashes(tuple(onsets_s), 0, tuple(seen_s)), HZ)
    assert math.isclose(found.offset_ms, 5.0, abs_tol=1e-6)
    assert (found.missed, found.surplus) == (0, 100)
    assert any("pulsed lamp" in line for line in summary(found))


# --- the whole, with an emulated photodiode -------------------------------------------------------------------------


def test_what_was_measured_stands_in_the_rig_file_and_its_comments_stay(tmp_path: Path):
    path = rig_file(tmp_path, "{kind: emulated, offset_ms: 12.0, sd_ms: 0.2, missed: 0.02}")
    timing, light = measured(path)
    assert timing.flashes == 500
    assert math.isclose(timing.offset_ms, 12.0, abs_tol=0.1)
    assert math.isclose(timing.sd_ms, 0.2, rel_tol=0.2)
    assert 1 <= timing.late <= 25
    assert load_rig(path).display.measured == light
    assert (light.flashes, light.missed, light.date, light.method) == (500, timing.missed, "2026-11-21", "emulated")
    assert not light.real, "an emulated measurement says so"
    text = path.read_text(encoding="utf-8")
    assert all(comment in text for comment in ("# the bench in the cellar", "# one of two", "# under the tape"))
    assert load_rig(path).display.patch == load_rig(rig_file(tmp_path)).display.patch


def test_measuring_again_replaces_the_older_figures(tmp_path: Path):
    path = rig_file(tmp_path)
    measured(path)
    first = path.read_text(encoding="utf-8")
    measured(path, flashes=600)
    second = path.read_text(encoding="utf-8")
    assert second.count("measured:") == 1
    assert "flashes: 600" in second
    assert len(first.splitlines()) == len(second.splitlines())


@pytest.mark.parametrize(
    ("diode", "more", "words"),
    [
        ("{kind: serial, port: /dev/nowhere}", "", "photodiode: /dev/nowhere does not open"),
        ("null", "", "does not say where its signal comes in"),
    ],
)
def test_a_photodiode_that_is_not_there_is_named(tmp_path: Path, diode: str, more: str, words: str):
    path = rig_file(tmp_path, diode, more)
    before = path.read_text(encoding="utf-8")
    with pytest.raises(FoolscanError, match=words):
        measured(path)
    assert path.read_text(encoding="utf-8") == before


def test_too_few_flashes_no_patch_and_a_shipped_rig_are_refused(tmp_path: Path):
    with pytest.raises(FoolscanError, match="--flashes: found 499"):
        measured(rig_file(tmp_path), flashes=499)
    path = tmp_path / "bare.yaml"
    path.write_text("format: 1\nextends: rehearsal\nname: bare\nphotodiode: {kind: emulated}\n", encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"display\.patch: rig bare has none"):
        measured(path)
    with pytest.raises(FoolscanError, match="comes with foolscan"):
        photodiode("rehearsal", rng=np.random.default_rng(0))


def test_the_certificate_says_whether_the_light_was_measured():
    light = MeasuredLight(onset_offset_ms=8.1, sd_ms=0.2, missed=1, flashes=500, date="2026-11-21", method="audio")
    assert "8.1 ms after the flip, SD 0.2 ms, 1 of 500" in certified({"light": light.model_dump()})
    for stage in ({}, {"light": None}, {"light": {**light.model_dump(), "method": "emulated"}}):
        assert "light is not measured yet" in certified(stage)


def test_in_a_window_the_square_in_the_corner_is_white_while_a_flash_lasts_and_black_else(tmp_path: Path):
    rig, study = load_rig(rig_file(tmp_path)), load_study("demo")
    with opened_stage("window", rig, study.tasks[study.analysis.task]) as window:
        seen: list[tuple[bool, bool]] = []

        class Watched(NullStage):
            def draw(self, still: Any, code: int = 0) -> None:
                window.draw(still, code)
                seen.append((code > 0, read_patch(window.snapshot(), rig.display)[0]))

        clock = VirtualClock(rig.display.refresh_hz, "every")
        sensor = open_sensor(rig, clock.now_s, np.random.default_rng(0))
        timing = timing_of(flash(Watched(), clock, sensor, rig, 4, np.random.default_rng(0)), rig.display.refresh_hz)
    assert timing.flashes == 4
    assert {lit for lit, _ in seen} == {True, False}
    assert all(lit == white for lit, white in seen)


# --- real inputs -----------------------------------------------------------------------------------------------------


class Lamp(NullStage):
    """A stage whose patch switches something on when it is flipped to light."""

    def __init__(self, on: Any) -> None:
        self._on, self._code, self._lit = on, 0, False

    def draw(self, still: Any, code: int = 0) -> None:
        self._code = code

    def flip(self) -> None:
        lit, before = self._code > 0, self._lit
        self._lit = lit
        if lit and not before:
            self._on(self._code)


def small_flashes(rig: Rig, stage: NullStage, n: int = 25) -> Any:
    clock = WallClock(rig.display.refresh_hz, held=False)
    sensor = open_sensor(rig, clock.now_s, np.random.default_rng(0))
    try:
        return timing_of(flash(stage, clock, sensor, rig, n, np.random.default_rng(1)), rig.display.refresh_hz)
    finally:
        sensor.close()


def test_flashes_come_back_as_bytes_on_a_serial_line(tmp_path: Path):
    with serial_cable() as cable:
        rig = load_rig(rig_file(tmp_path, f"{{kind: serial, port: {cable.port}, byte: D}}"))
        timing = small_flashes(rig, Lamp(lambda code: cable.send(b"D")))
    assert (timing.flashes, timing.unseen, timing.surplus) == (25, 0, 0)


def test_flashes_that_the_sensor_did_not_see_are_counted(tmp_path: Path):
    with serial_cable() as cable:
        rig = load_rig(rig_file(tmp_path, f"{{kind: serial, port: {cable.port}}}"))
        timing = small_flashes(rig, Lamp(lambda code: cable.send(b"D") if code % 5 else None))
    assert timing.unseen == 5


def test_a_sensor_that_looks_elsewhere_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("experiment.photodiode.LEAST_FLASHES", 10)
    with serial_cable() as cable:
        path = rig_file(tmp_path, f"{{kind: serial, port: {cable.port}}}")
        before = path.read_text(encoding="utf-8")
        with pytest.raises(WorkWanting, match="saw 0 of 10 flashes"):
            measured(path, flashes=10)
    assert path.read_text(encoding="utf-8") == before


def test_an_unplugged_sensor_ends_the_measurement(tmp_path: Path):
    with serial_cable() as cable:
        rig = load_rig(rig_file(tmp_path, f"{{kind: serial, port: {cable.port}}}"))

        def on(code: int, cable: Cable = cable) -> None:
            if code == 3:
                cable.unplug()
            elif code < 3:
                cable.send(b"D")

        with pytest.raises(FoolscanError, match="was lost"):
            small_flashes(rig, Lamp(on))


class SoundCard:
    """Stands in for sounddevice: hands blocks of samples to the callback, as PortAudio does."""

    def InputStream(self, *, callback: Any, samplerate: int, **options: Any) -> SoundCard:
        self.callback, self.rate = callback, samplerate
        return self

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...

    def hear(self, samples: np.ndarray, age_s: float) -> None:
        times = SimpleNamespace(inputBufferAdcTime=100.0, currentTime=100.0 + age_s)
        self.callback(samples[:, None].astype(np.float32), len(samples), times, None)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_crossing_on_the_sound_input_is_stamped_to_the_sample(sign: int):
    card = SoundCard()
    sensor = AudioIn(AudioDiode(kind="audio", rate_hz=48_000, threshold=0.3, falling=sign < 0), card)
    block = np.zeros(480)
    block[240:260] = 0.8 * sign  # 5 ms into a block whose first sample is 10 ms old
    block[300:310] = 0.8 * sign  # rings
    card.hear(block, 0.010)
    (sample,) = sensor.wait()
    assert sample.code == "edge"
    assert 0.005 <= sample.age_s < 0.05
    assert sensor.wait() == []
    sensor.close()


def test_a_flash_over_two_blocks_of_sound_is_one():
    card = SoundCard()
    sensor = AudioIn(AudioDiode(kind="audio"), card)
    card.hear(np.concatenate([np.zeros(100), np.ones(100)]), 0.0)
    time.sleep(0.03)
    card.hear(np.ones(200), 0.0)
    assert len(sensor.wait()) == 1
    assert sensor.wait() == []


class Tracker:
    """Stands in for pylink and its tracker."""

    INPUTEVENT = 28

    def __init__(self) -> None:
        self.events: list[tuple[int, int]] = []
        self.commands: list[str] = []
        self._next: tuple[int, int] = (0, 0)

    def EyeLink(self, address: str) -> Tracker:
        return self

    def sendCommand(self, command: str) -> None:
        self.commands.append(command)

    def startRecording(self, *flags: int) -> int:
        return 0

    def getNextData(self) -> int:
        if not self.events:
            return 0
        self._next = self.events.pop(0)
        return self.INPUTEVENT

    def getFloatData(self) -> Any:
        ms, data = self._next
        return SimpleNamespace(getTime=lambda: ms, getData=lambda: data)

    def trackerTime(self) -> int:
        return 1000

    def stopRecording(self) -> None: ...
    def close(self) -> None: ...


def test_changes_of_the_eyelinks_input_are_light_when_the_bit_goes_up():
    tracker = Tracker()
    sensor = EyeLinkInput(EyeLinkDiode(kind="eyelink", bit=2), tracker)
    tracker.events = [(970, 0b001), (980, 0b101), (985, 0b100), (990, 0b000), (996, 0b100)]
    found = sensor.wait()
    assert [round(sample.age_s, 6) for sample in found] == [0.020, 0.004]
    assert "link_event_filter = INPUT" in tracker.commands
    sensor.close()


def test_the_sensors_threads_end_with_them(tmp_path: Path):
    before = threading.active_count()
    with serial_cable() as cable:
        rig = load_rig(rig_file(tmp_path, f"{{kind: serial, port: {cable.port}}}"))
        open_sensor(rig, time.perf_counter, np.random.default_rng(0)).close()
    assert threading.active_count() == before
