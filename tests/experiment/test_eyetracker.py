"""Eye trackers: an emulated one in whole runs, and the makers' packages played by stand-ins of the documented shape."""

from __future__ import annotations

import math
import sys
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiment_study import fill, small_study
from hypothesis import given
from hypothesis import strategies as st

from experiment.clock import VirtualClock, WallClock
from experiment.eyetracker import EmulatedEyeTracker, open_eye_tracker
from experiment.eyetracker_devices import EyeLinkEyeTracker, PupilEyeTracker, free_path, from_middle_deg
from experiment.gaze import Gaze
from experiment.gaze_log import GazeLog, breaks_of, gaze_records, message_of, with_gaze
from experiment.journal import Journal, read_journal
from experiment.run import run
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError, ProtocolError
from protocols.rig import Rig, load_rig
from protocols.rig_eyetracker import EmulatedTracker, EyeLinkTracker, PupilTracker
from protocols.study import Study

RUN = RunId("01", "01", "animals", 1)


@pytest.fixture
def short_study(tmp_path: Path, rig: Rig) -> tuple[Study, StudyFolder]:
    study = small_study(tmp_path, scan="{tr_s: 0.5, volumes: 6}", times=0.05)
    return study, fill(tmp_path / "short", study, rig)


def with_tracker(rig: Rig, **plan: Any) -> Rig:
    return rig.model_copy(update={"eye_tracker": EmulatedTracker(kind="emulated", **plan)})


def played(study: Study, rig: Rig, folder: StudyFolder, **more: Any) -> Journal:
    return read_journal(run(study, rig, folder.root, RUN, stage="null", **more).journal)


def of_rows(journal: Journal) -> list[dict[str, Any]]:
    return [record for record in journal.of("gaze") if record["what"] == "row"]


# --- in a run --------------------------------------------------------------------------------------------------------


def test_every_row_has_its_gaze_and_an_observer_who_never_looks_away_has_no_breaks(
    study: Study, rig: Rig, folder: StudyFolder
):
    journal = played(study, with_tracker(rig, breaks_per_minute=0, blinks_per_minute=0), folder)
    rows = of_rows(journal)
    shown = [flip["row"] for flip in journal.of("flip") if flip.get("row") not in (None, -1)]
    assert [record["row"] for record in rows] == shown
    assert all(record["share_on_fixation"] == 1.0 and record["breaks"] == 0 for record in rows)
    planned = {index: row["duration_s"] for index, row in enumerate(journal.header["timeline"]["rows"])}
    assert all(record["samples"] == pytest.approx(120 * planned[record["row"]], abs=2) for record in rows)
    assert journal.header["eye_tracker"] == {"kind": "emulated", "rate_hz": 120.0, "breaks_per_minute": 0.0}


def test_breaks_of_fixation_are_found_and_counted_in_the_certificate(study: Study, rig: Rig, folder: StudyFolder):
    result = run(study, with_tracker(rig, breaks_per_minute=20), folder.root, RUN, stage="null")
    journal = read_journal(result.journal)
    breaks = [record for record in journal.of("gaze") if record["what"] == "fixation break"]
    assert 5 <= len(breaks) <= 40
    assert sum(record["breaks"] for record in of_rows(journal)) == len(breaks)
    assert all(0.1 <= record["duration_s"] <= 0.6 for record in breaks)
    rows = journal.header["timeline"]["rows"]
    during_images = sum(rows[record["row"]]["stim_id"] is not None for record in breaks)
    assert result.certificate.fixation_breaks == during_images > 0
    assert 0.5 < (result.certificate.share_on_fixation or 0.0) < 1.0


def test_the_same_run_with_gaze_twice_gives_the_same_bytes(tmp_path: Path, study: Study, rig: Rig):
    folders = [fill(tmp_path / name, study, rig) for name in ("a", "b")]
    journals = [run(study, with_tracker(rig), place.root, RUN, stage="null").journal.read_bytes() for place in folders]
    assert journals[0] == journals[1]


def test_in_real_time_gaze_comes_from_a_thread_of_its_own(
    tmp_path: Path, rig: Rig, short_study: tuple[Study, StudyFolder]
):
    study, folder = short_study
    journal = played(study, with_tracker(rig, breaks_per_minute=0), folder, real_time=True)
    rows = of_rows(journal)
    assert len(rows) == sum(flip.get("row") not in (None, -1) for flip in journal.of("flip"))
    assert sum(record["samples"] for record in rows) > 100
    assert (journal.end or {})["status"] == "complete"


def test_emulated_gaze_makes_a_rehearsal_of_every_run():
    desk = load_rig("desk")
    assert not desk.rehearsal
    assert with_tracker(desk).rehearsal
    eyelink = load_rig("rehearsal").model_copy(update={"eye_tracker": EyeLinkTracker(kind="eyelink")})
    assert eyelink.rehearsal
    assert not eyelink.emulated  # a real device keeps real time


def test_a_rig_file_names_its_eye_tracker(tmp_path: Path, rig: Rig):
    text = (
        "format: 1\nname: lab\n"
        "display: {width_mm: 400.0, distance_mm: 800.0, size_px: [1024, 768], refresh_hz: 60.0, full_screen: false}\n"
        'trigger: {kind: keyboard, key: "5"}\nbuttons: {kind: keyboard, keys: {left: "1", right: "2"}}\n'
    )
    path = tmp_path / "lab.yaml"
    path.write_text(text + "eye_tracker: {kind: eyelink, address: 10.1.1.1}\n", encoding="utf-8")
    assert load_rig(path).eye_tracker == EyeLinkTracker(kind="eyelink", address="10.1.1.1")
    path.write_text(text + "eye_tracker: {kind: tobii}\n", encoding="utf-8")
    with pytest.raises(ProtocolError, match="eye_tracker"):
        load_rig(path)


# --- gaze and its records --------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.lists(st.floats(0.001, 3.0), min_size=1, max_size=20))
def test_emulated_gaze_does_not_depend_on_how_often_it_is_asked_for(seed: int, steps_s: list[float]):
    def gaze(looks_s: list[float]) -> list[Gaze]:
        now_s = 0.0
        tracker = EmulatedEyeTracker(
            EmulatedTracker(kind="emulated", breaks_per_minute=30), np.random.default_rng(seed)
        )
        tracker.start("run", lambda: now_s)
        found = []
        for look_s in looks_s:
            now_s = look_s
            found.append(tracker.samples())
        return found

    looks_s = list(np.cumsum(steps_s))
    often, once = gaze(looks_s), gaze(looks_s[-1:])
    for name in ("t_s", "x_deg", "y_deg"):
        assert np.array_equal(
            np.concatenate([getattr(part, name) for part in often]), getattr(once[0], name), equal_nan=True
        )


def test_a_break_is_looking_away_for_a_tenth_of_a_second_and_a_blink_is_none():
    t_s = np.arange(0, 2, 0.01)
    far = np.zeros(200)
    far[20:25] = 5.0  # 0.04 s
    far[50:70] = 5.0
    far[100:130] = np.nan
    far[150:155] = far[158:165] = 5.0
    far[155:158] = np.nan  # a blink within a break
    assert list(breaks_of(t_s, far, 2.0)) == [
        (pytest.approx(0.5), pytest.approx(0.69)),
        (pytest.approx(1.5), pytest.approx(1.64)),
    ]


def test_only_samples_of_the_row_count_and_lost_ones_are_told_apart():
    gaze = Gaze(np.arange(0, 1, 0.1), np.array([9, 9, 0, 0, np.nan, np.nan, 3, 0, 9, 9.0]), np.zeros(10))
    (record,) = gaze_records(4, 0.2, 0.8, gaze, 2.0)
    assert record == {
        "kind": "gaze",
        "what": "row",
        "row": 4,
        "t_s": 0.2,
        "samples": 6,
        "share_lost": pytest.approx(1 / 3, abs=1e-4),
        "share_on_fixation": 0.75,
        "breaks": 0,
    }
    (empty,) = gaze_records(4, 5.0, 6.0, gaze, 2.0)
    assert (empty["samples"], empty["share_on_fixation"], empty["share_lost"]) == (0, None, None)


def test_the_tracker_hears_of_what_is_new_on_the_screen_and_of_every_pulse_and_press():
    flip = {"kind": "flip", "n": 3, "t_s": 1.0, "frame": 60, "shows": "picture RE-otter", "row": 4}
    assert message_of(flip) == "row 4 picture RE-otter"
    assert message_of({"kind": "flip", "n": 4, "t_s": 1.1}) is None
    assert message_of({"kind": "pulse", "t_s": 1.0, "n": 7, "verdict": "on time"}) == "pulse 7 on time"
    assert message_of({"kind": "press", "button": "left", "t_s": 1.0}) == "press left"
    assert message_of({"kind": "gaze", "what": "row", "t_s": 1.0}) is None


class Memory:
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.failure: OSError | None = None

    def put(self, record: dict[str, Any]) -> None:
        self.records.append(record)


class Unplugged(EmulatedEyeTracker):
    """A tracker that is gone after a while."""

    def samples(self) -> Gaze:
        if self._read() > 1.0:
            raise RuntimeError("link is gone")
        return super().samples()

    def stop(self, folder: Path) -> Path | None:
        raise RuntimeError("no file")


@pytest.mark.parametrize("virtual", [True, False])
def test_a_tracker_that_is_lost_costs_its_gaze_and_not_the_run(tmp_path: Path, virtual: bool):
    now_s = 0.0
    clock: Any = VirtualClock(60.0) if virtual else WallClock(60.0, held=True)
    clock.now_s = lambda: now_s
    memory = Memory()
    tracker = Unplugged(EmulatedTracker(kind="emulated"), np.random.default_rng(0))
    with with_gaze(memory, tracker, 2.0, "run", clock, tmp_path) as log:
        for n in range(4):
            now_s = n * 0.9
            log.put({"kind": "flip", "n": n, "t_s": now_s, "shows": "nothing", "row": n})
    assert log.failure is None
    faults = [record["what"] for record in memory.records if record["kind"] == "fault"]
    assert faults == ["eye tracker: lost (link is gone)", "eye tracker: no file"]
    assert sum(record["kind"] == "flip" for record in memory.records) == 4
    rows = [record["row"] for record in memory.records if record["kind"] == "gaze" and record["what"] == "row"]
    assert rows == [0, 1, 2, 3]


def test_without_an_eye_tracker_the_log_is_the_log(tmp_path: Path):
    memory = Memory()
    with with_gaze(memory, None, 2.0, "run", VirtualClock(60.0), tmp_path) as log:
        assert log is memory
    assert not isinstance(log, GazeLog)


# --- EyeLink, played by a stand-in -----------------------------------------------------------------------------------


class Eye:
    def __init__(self, x_px: float, y_px: float) -> None:
        self._gaze = (x_px, y_px)

    def getGaze(self) -> tuple[float, float]:
        return self._gaze


class LinkSample:
    def __init__(self, time_ms: float, left: Eye | None, right: Eye | None) -> None:
        self._time_ms, self._left, self._right = time_ms, left, right

    def getTime(self) -> float:
        return self._time_ms

    def getLeftEye(self) -> Eye | None:
        return self._left

    def getRightEye(self) -> Eye | None:
        return self._right


class HostPC:
    """What pylink's EyeLink does, as far as it is used."""

    def __init__(self, address: str) -> None:
        if address == "10.0.0.9":
            raise RuntimeError("Link initialization failed")
        self.said: list[str] = [f"open {address}"]
        self.sample: LinkSample | None = None

    def __getattr__(self, name: str) -> Any:
        def say(*words: object) -> int:
            self.said.append(" ".join([name, *map(str, words)]))
            return 0

        return say

    def getNewestSample(self) -> LinkSample | None:
        return self.sample

    def receiveDataFile(self, source: str, to: str) -> None:
        self.said.append(f"receiveDataFile {source}")
        Path(to).write_bytes(b"EDF")


@pytest.fixture
def pylink(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = types.ModuleType("pylink")
    module.EyeLink, module.MISSING_DATA = HostPC, -32768
    module.openGraphics = module.closeGraphics = lambda *size: None
    monkeypatch.setitem(sys.modules, "pylink", module)
    return module


def test_an_eyelink_records_hears_and_gives_its_file(pylink: Any, tmp_path: Path, rig: Rig):
    tracker = EyeLinkEyeTracker(EyeLinkTracker(kind="eyelink"), rig.display)
    host: HostPC = tracker._tracker
    tracker.calibrate()
    tracker.start("sub-01_ses-02_task-animals_run-03", lambda: 10.0)
    assert "openDataFile F010203.EDF" in host.said
    assert "startRecording 1 1 1 1" in host.said
    assert host.said[:2] == ["open 100.1.1.1", "sendCommand screen_pixel_coords = 0 0 1023 767"]
    tracker.message("row 4 picture RE-otter", 9.988)
    assert host.said[-1] == "sendMessage -12 foolscan t=9.988000 row 4 picture RE-otter"
    assert len(tracker.samples().t_s) == 0
    host.sample = LinkSample(1000.0, None, Eye(511.5, 383.5))
    gaze = tracker.samples()
    assert (gaze.t_s.tolist(), gaze.x_deg.tolist(), gaze.y_deg.tolist()) == ([10.0], [0.0], [0.0])
    assert len(tracker.samples().t_s) == 0  # the same sample again
    host.sample = LinkSample(1002.0, Eye(-32768, -32768), Eye(-32768, -32768))
    assert np.isnan(tracker.samples().distance_deg).all()
    host.sample = LinkSample(1004.0, Eye(500.0, 383.5), Eye(523.0, 383.5))
    assert tracker.samples().distance_deg == pytest.approx([0.0])  # both eyes: the middle
    path = tracker.stop(tmp_path / "eyetracking")
    assert path == tmp_path / "eyetracking" / "sub-01_ses-02_task-animals_run-03.edf"
    assert host.said[-5:] == [
        "stopRecording",
        "setOfflineMode",
        "closeDataFile",
        "receiveDataFile F010203.EDF",
        "close",
    ]


def test_an_eyelink_takes_part_in_a_run(pylink: Any, tmp_path: Path, rig: Rig, short_study: tuple[Study, StudyFolder]):
    study, folder = short_study
    place = rig.model_copy(update={"eye_tracker": EyeLinkTracker(kind="eyelink")})
    journal = played(study, place, folder)
    files = [record["file"] for record in journal.of("gaze") if record["what"] == "file"]
    assert files == [f"{RUN.stem}.edf"]
    assert (folder.root / "sourcedata" / "eyetracking" / files[0]).read_bytes() == b"EDF"
    assert journal.header["clock"]["kind"] == "wall"


def test_an_eyelink_that_does_not_answer_and_a_package_that_is_not_there_are_named(
    pylink: Any, monkeypatch: pytest.MonkeyPatch, rig: Rig
):
    with pytest.raises(FoolscanError, match=r"eye_tracker\.address: no EyeLink answers at 10\.0\.0\.9"):
        open_eye_tracker(EyeLinkTracker(kind="eyelink", address="10.0.0.9"), rig.display, np.random.default_rng(0))
    monkeypatch.setitem(sys.modules, "pylink", None)
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(FoolscanError, match="needs SR Research's pylink"):
        open_eye_tracker(EyeLinkTracker(kind="eyelink"), rig.display, np.random.default_rng(0))
    with pytest.raises(FoolscanError, match="needs pylsl"):
        open_eye_tracker(PupilTracker(kind="pupil", field_deg=(40.0, 30.0)), rig.display, np.random.default_rng(0))


def test_gaze_in_pixels_is_degrees_from_the_middle_of_the_screen(rig: Rig):
    display = rig.display  # 400 mm in 1024 px at 800 mm
    assert from_middle_deg(511.5, 383.5, display) == (0.0, 0.0)
    right_deg, up_deg = from_middle_deg(511.5 + 256, 383.5 - 128, display)
    assert right_deg == pytest.approx(math.degrees(math.atan(100 / 800)))
    assert up_deg == pytest.approx(math.degrees(math.atan(50 / 800)))
    assert math.isnan(from_middle_deg(math.nan, math.nan, display)[0])


def test_a_recording_that_is_there_is_not_overwritten(tmp_path: Path):
    free_path(tmp_path, "run", ".edf").touch()
    assert free_path(tmp_path, "run", ".edf").name == "run-2.edf"


# --- Pupil, played by a stand-in -------------------------------------------------------------------------------------


class Channels:
    """A stream's description, walked as pylsl's XMLElement is."""

    def __init__(self, labels: list[str]) -> None:
        self._labels = labels

    def child(self, name: str) -> Channels:
        return self

    def child_value(self, name: str) -> str:
        return self._labels[0]

    def next_sibling(self, name: str) -> Channels:
        return Channels(self._labels[1:])


class StreamInfo:
    def __init__(self, *words: Any) -> None:
        self.words = words
        self.labels = ["confidence", "norm_pos_x", "norm_pos_y", "gaze_point_3d_x"]

    def channel_count(self) -> int:
        return len(self.labels)

    def desc(self) -> Channels:
        return Channels(self.labels)


class Inlet:
    def __init__(self, info: StreamInfo) -> None:
        self._info, self.waiting = info, ([[0.9, 0.5, 0.5, 0.0]], [1.0])
        self.open = True

    def info(self) -> StreamInfo:
        return self._info

    def pull_chunk(self, timeout: float, max_samples: int) -> Any:
        found, self.waiting = self.waiting, ([], [])
        return found

    def time_correction(self) -> float:
        return 0.5

    def close_stream(self) -> None:
        self.open = False


class Outlet:
    def __init__(self, info: StreamInfo) -> None:
        self.info, self.pushed = info, list[tuple[str, float]]()

    def push_sample(self, sample: list[str], t_s: float) -> None:
        self.pushed.append((sample[0], t_s))


@pytest.fixture
def pylsl(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = types.ModuleType("pylsl")
    module.local_clock = lambda: 100.0
    module.resolve_byprop = lambda prop, value, timeout: [StreamInfo()] if value == "pupil_capture" else []
    module.StreamInlet, module.StreamOutlet, module.StreamInfo = Inlet, Outlet, StreamInfo
    monkeypatch.setitem(sys.modules, "pylsl", module)
    return module


def test_pupil_gives_gaze_in_degrees_on_the_runs_clock_and_hears_messages(pylsl: Any, tmp_path: Path):
    tracker = PupilEyeTracker(PupilTracker(kind="pupil", field_deg=(40.0, 30.0)))
    tracker.calibrate()
    tracker.start("run", lambda: 7.0)
    assert len(tracker.samples().t_s) == 0  # what came before the start is forgotten
    tracker._inlet.waiting = ([[0.9, 0.6, 0.4, 0.0], [0.1, 0.9, 0.9, 0.0]], [99.0, 99.1])
    gaze = tracker.samples()
    assert gaze.t_s == pytest.approx([6.5, 6.6])
    assert (gaze.x_deg[0], gaze.y_deg[0]) == (pytest.approx(4.0), pytest.approx(-3.0))
    assert np.isnan(gaze.x_deg[1])  # not sure of it
    tracker.message("press left", 6.9)
    assert tracker._markers.pushed == [("foolscan t=6.900000 press left", pytest.approx(99.9))]
    assert tracker._markers.info.words == ("foolscan", "Markers", 1, 0, "string", "foolscan-markers")
    assert tracker.stop(tmp_path) is None
    assert not tracker._inlet.open


def test_pupil_without_its_stream_or_with_another_one_is_refused(pylsl: Any, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(FoolscanError, match=r"eye_tracker\.stream: no LSL stream 'other' within 5 s"):
        PupilEyeTracker(PupilTracker(kind="pupil", stream="other", field_deg=(40.0, 30.0)))

    class Strange(StreamInfo):
        def __init__(self) -> None:
            super().__init__()
            self.labels = ["x", "y"]

    monkeypatch.setattr(pylsl, "resolve_byprop", lambda prop, value, timeout: [Strange()])
    with pytest.raises(FoolscanError, match="found channels x, y; expected confidence"):
        PupilEyeTracker(PupilTracker(kind="pupil", field_deg=(40.0, 30.0)))


def test_pupil_remote_starts_calibrates_and_ends_a_recording(pylsl: Any, tmp_path: Path):
    zmq = pytest.importorskip("zmq", reason="pyzmq is not installed: Pupil Remote cannot be played")
    context = zmq.Context()
    socket = context.socket(zmq.REP)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    asked: list[str] = []

    def answer() -> None:
        for _ in range(3):
            asked.append(socket.recv_string())
            socket.send_string("OK")

    pupil = threading.Thread(target=answer, daemon=True)
    pupil.start()
    plan = PupilTracker(kind="pupil", field_deg=(40.0, 30.0), remote="127.0.0.1", remote_port=port)
    tracker = PupilEyeTracker(plan)
    tracker.calibrate()
    tracker.start("sub-01", lambda: 0.0)
    tracker.stop(tmp_path)
    pupil.join(timeout=10)
    assert asked == ["C", "R sub-01", "r"]
    socket.close()
    with pytest.raises(
        FoolscanError, match=r"eye_tracker\.remote: Pupil Remote at tcp://127\.0\.0\.1:\d+ does not answer"
    ):
        PupilEyeTracker(plan).calibrate()
    context.term()
