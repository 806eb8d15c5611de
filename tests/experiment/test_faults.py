"""Faults on request: what journal and certificate say of each, and that none costs more than it must."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiment_study import fill, small_study
from hypothesis import given
from hypothesis import strategies as st

from experiment.clock import Flip, WallClock
from experiment.events import events_of
from experiment.faults import KINDS, Fault, FaultyTriggers, LateClock, StormyResponses, faults_of, late_flips
from experiment.journal import Journal, read_journal
from experiment.pulse_report import pulse_report
from experiment.recover import recover
from experiment.responses import EmulatedResponses
from experiment.run import RunResult, run
from experiment.scan import ScanTimes, scan_times
from experiment.triggers import EmulatedTriggers, Pulse
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.rig import Rig, load_rig
from protocols.rig_devices import EmulatedTrigger
from protocols.study import Study

RUN = RunId("01", "01", "animals", 1)


def played(study: Study, rig: Rig, folder: StudyFolder, *faults: str, **more: Any) -> tuple[RunResult, Journal]:
    result = run(study, rig, folder.root, RUN, stage="null", faults=faults_of(faults), **more)
    return result, read_journal(result.journal)


def pulse_times(journal: Journal) -> np.ndarray:
    return np.array([pulse["t_s"] for pulse in journal.of("pulse")])


# --- asking for faults -----------------------------------------------------------------------------------------------


def test_a_fault_has_a_value_of_its_own_or_the_one_that_is_given():
    assert faults_of(["drop", "stop=30"]) == (Fault("drop", KINDS["drop"].default), Fault("stop", 30.0))
    assert [str(fault) for fault in faults_of(["jitter=0.015"])] == ["jitter=0.015"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["dropp"], "found 'dropp'; expected one of first-pulse-missed, bounce"),
        (["drop=2"], "--fault drop: found '2'; expected a number above 0 and up to 1"),
        (["stop=soon"], "--fault stop: found 'soon'"),
        (["stop=0"], "--fault stop: found '0'"),
        (["drop=nan"], "--fault drop: found 'nan'"),
        (["drop", "drop=0.5"], "--fault drop: given twice"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(texts: list[str], message: str):
    with pytest.raises(FoolscanError, match=message):
        faults_of(texts)


def test_a_real_rig_has_no_faults_on_request(tmp_path: Path, study: Study):
    desk = load_rig("desk")
    folder = fill(tmp_path / "real", study, desk)
    with pytest.raises(FoolscanError, match="--fault: rig desk is a real one"):
        run(study, desk, folder.root, RUN, stage="null", faults=faults_of(["drop"]))
    assert not folder.journals.exists()


def test_the_same_faults_come_again(tmp_path: Path, study: Study, rig: Rig):
    faults = ["jitter", "bounce", "drop=0.2", "button-storm"]
    journals = [
        played(study, rig, fill(tmp_path / name, study, rig), *faults)[0].journal.read_bytes() for name in ("a", "b")
    ]
    assert journals[0] == journals[1]
    assert json.loads(journals[0].splitlines()[0])["faults"] == [
        "jitter=0.02",
        "bounce=0.2",
        "drop=0.2",
        "button-storm=10",
    ]


# --- the scanner -----------------------------------------------------------------------------------------------------


def test_a_missed_first_pulse_is_asked_about_and_both_hypotheses_are_told(study: Study, rig: Rig, folder: StudyFolder):
    result, journal = played(study, rig, folder, "first-pulse-missed")
    assert not result.certificate.passed
    assert (result.certificate.pulses_seen, result.certificate.pulses_expected) == (59, 60)
    assert any("59 pulses" in remark or "first" in remark for remark in result.certificate.remarks)
    report = pulse_report(journal)
    assert report.lacking == 1
    assert {hypothesis.name for hypothesis in report.hypotheses} == {"first-missed", "stopped-early"}


def test_the_run_begins_a_tr_later_when_the_first_pulse_was_missed(tmp_path: Path, study: Study, rig: Rig):
    begins = [
        pulse_times(played(study, rig, fill(tmp_path / name, study, rig), *faults)[1])[0]
        for name, faults in (("as planned", ()), ("missed", ("first-pulse-missed",)))
    ]
    assert begins[1] - begins[0] == pytest.approx(1.0)


def test_bounces_are_recorded_as_extra_and_move_nothing(study: Study, rig: Rig, folder: StudyFolder):
    result, journal = played(study, rig, folder, "bounce=0.5")
    verdicts = [pulse["verdict"] for pulse in journal.of("pulse")]
    assert verdicts.count("on time") == 60
    assert 15 <= verdicts.count("extra") <= 45
    assert set(verdicts) == {"on time", "extra"}
    assert all(event.onset == pytest.approx(event.planned_onset, abs=0.5 / 60) for event in events_of(journal))
    assert result.certificate.trials_shown == result.certificate.trials_planned


def test_jitter_of_the_pulses_is_measured_and_onsets_stay_on_the_grid_of_the_first(
    study: Study, rig: Rig, folder: StudyFolder
):
    _, journal = played(study, rig, folder, "jitter=0.03")
    report = pulse_report(journal)
    assert report.jitter_s == pytest.approx(0.03 * math.sqrt(1 - 2 / math.pi), rel=0.3)
    assert {"early", "late"} & {pulse["verdict"] for pulse in journal.of("pulse")}
    assert all(event.onset == pytest.approx(event.planned_onset, abs=0.5 / 60) for event in events_of(journal))


def test_a_scanner_that_starts_late_is_waited_for(study: Study, rig: Rig, folder: StudyFolder):
    result, journal = played(study, rig, folder, "late-start=120")
    waiting = journal.of("flip")[0]["t_s"]
    assert pulse_times(journal)[0] - waiting == pytest.approx(121.5, abs=0.1)
    assert result.certificate.passed
    assert result.certificate.length_s == 60.0


def test_a_scanner_that_stops_is_noticed_while_it_lasts_and_the_run_goes_on(
    study: Study, rig: Rig, folder: StudyFolder
):
    result, journal = played(study, rig, folder, "stop=20")
    assert len(journal.of("pulse")) == 21
    stopped = [record for record in journal.of("scanner") if record["what"] == "stopped"]
    assert len(stopped) == 1
    assert stopped[0]["t_s"] - pulse_times(journal)[-1] < 6.0
    assert not result.certificate.passed
    assert result.certificate.trials_shown == 14


class Steady:
    """A source that gives a pulse each second, from 1 s on."""

    def __init__(self, pulses: int = 20) -> None:
        self._coming = [float(n) for n in range(1, pulses + 1)]

    def start(self, now_s: float) -> None: ...

    def due_s(self) -> float:
        return self._coming[0] if self._coming else math.inf

    def poll(self, now_s: float) -> list[Pulse]:
        found = [t_s for t_s in self._coming if t_s <= now_s]
        self._coming = self._coming[len(found) :]
        return [Pulse(t_s, t_s) for t_s in found]

    def close(self) -> None: ...

    def facts(self) -> dict[str, Any]:
        return {"kind": "steady"}


def heard(source: FaultyTriggers, until_s: float = 30.0) -> Iterator[float]:
    now_s = 0.0
    while now_s < until_s:
        now_s += 1 / 60
        yield from (pulse.t_s for pulse in source.poll(now_s))


@given(st.integers(1, 5), st.floats(0.001, 0.05), st.floats(5, 15), st.integers(0, 1000))
def test_pulses_that_are_left_keep_their_order_and_their_number(missed: int, jitter_s: float, stop_s: float, seed: int):
    faults = faults_of([f"first-pulse-missed={missed}", f"jitter={jitter_s}", f"stop={stop_s}"])
    times_s = list(heard(FaultyTriggers(Steady(), faults, np.random.default_rng(seed))))
    assert times_s == sorted(times_s)
    assert len(times_s) == max(0, math.floor(stop_s) + 1 - missed)
    assert all(0 <= t_s - (missed + 1 + n) < 0.5 for n, t_s in enumerate(times_s))


def test_the_process_is_killed_so_long_after_the_first_pulse_that_was_heard():
    killed: list[bool] = []
    source = FaultyTriggers(
        Steady(), faults_of(["kill=3.5"]), np.random.default_rng(0), kill=lambda: killed.append(True)
    )
    source.poll(0.9)
    source.poll(1.1)
    source.poll(4.4)
    assert not killed
    source.poll(4.6)
    assert killed == [True]


SCRIPT = """
import sys
from experiment.faults import faults_of
from experiment.run import run
from protocols.folder import RunId
from protocols.rig import load_rig
from protocols.study import load_study
run(load_study(sys.argv[1]), load_rig("rehearsal"), sys.argv[2], RunId("01", "01", "animals", 1), stage="null",
    real_time=True, faults=faults_of(["kill=1.6"]))
"""


def test_a_run_that_is_killed_on_request_leaves_a_journal_from_which_events_come_back(
    tmp_path: Path, rig: Rig, project_root: Path
):
    study = small_study(tmp_path, scan="{tr_s: 0.5, volumes: 20}", times=0.1)
    folder = fill(tmp_path / "study", study, rig)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "small.yaml"), str(folder.root)]
    done = subprocess.run(command, cwd=project_root, timeout=120, capture_output=True, text=True)
    assert done.returncode != 0, done.stderr
    assert "Traceback" not in done.stderr
    journal = read_journal(folder.journal(RUN))
    assert journal.end is None
    assert journal.of("flip")[-1]["t_s"] - pulse_times(journal)[0] == pytest.approx(1.6, abs=0.2)
    recovered = recover(folder.root)[0]
    assert recovered.events is not None
    assert recovered.note.startswith("cut off")


# --- display and buttons ---------------------------------------------------------------------------------------------


def test_dropped_frames_are_counted_exactly_and_none_pushes_a_later_onset(study: Study, rig: Rig, folder: StudyFolder):
    result, journal = played(study, rig, folder, "drop=0.1", pace="every")
    flips = [flip["t_s"] for flip in journal.of("flip")]
    lost = sum(round((after - before) * 60) - 1 for before, after in pairwise(flips))
    waiting = lost - sum(record["lost"] for record in journal.of("late"))
    assert result.certificate.frames_dropped > 100
    assert 0 <= waiting <= 60  # frames lost while the scanner was waited for have no plan to be late against
    assert result.certificate.length_s == pytest.approx(60.0, abs=3 / 60 + 1e-6)
    errors_s = [event.onset - event.planned_onset for event in events_of(journal)]
    assert max(errors_s) <= 6.5 / 60  # a late flip that hides the onset, and the next one late as well
    assert np.median(np.abs(errors_s)) <= 0.5 / 60


def test_in_real_time_a_late_flip_really_is_late():
    now_s = 0.0
    slept: list[float] = []

    def sleep(for_s: float) -> None:
        nonlocal now_s
        slept.append(for_s)
        now_s += for_s

    wall = WallClock(50.0, held=False, read=lambda: now_s, sleep=sleep)
    clock = LateClock(wall, 50.0, {2: 3}, sleep)
    seen: list[Flip] = []
    for _ in range(5):
        clock.next_flip_s()
        clock.hold()
        seen.append(clock.flipped())
    assert [flip.lost for flip in seen] == [0, 0, 3, 0, 0]
    assert [flip.t_s for flip in seen] == pytest.approx([0.02, 0.04, 0.12, 0.14, 0.16])
    assert clock.facts() == wall.facts()
    assert not clock.virtual
    clock.skip_to(9.0)
    assert clock.now_s() == pytest.approx(0.16)


def test_late_flips_are_of_the_share_that_was_asked_for():
    late = late_flips(faults_of(["drop=0.05"]), 100_000, np.random.default_rng(3))
    assert len(late) == pytest.approx(5000, rel=0.1)
    assert set(late.values()) == {1, 2, 3}
    assert late_flips((), 1000, np.random.default_rng(3)) == {}


def test_in_a_storm_of_buttons_every_press_is_kept_and_no_trial_is_lost(study: Study, rig: Rig, folder: StudyFolder):
    result, journal = played(study, rig, folder, "button-storm=20")
    presses = [press["t_s"] for press in journal.of("press")]
    assert len(presses) == pytest.approx(20 * 60, rel=0.15)
    assert presses == sorted(presses)
    certificate = result.certificate
    assert certificate.trials_shown == 14
    assert certificate.extra_presses + certificate.late_presses > 200
    assert all(event.response_time is None or event.response_time >= 0 for event in events_of(journal))


def test_a_storm_knows_its_next_press():
    storm = StormyResponses(EmulatedResponses({}), ["left", "right"], 10.0, np.random.default_rng(0))
    assert math.isinf(storm.due_s())
    assert storm.facts()["storm_per_s"] == 10.0


# --- a whole run without a display -----------------------------------------------------------------------------------


def test_a_run_of_556_s_takes_no_time_and_writes_what_real_time_writes(tmp_path: Path, rig: Rig):
    """The same kinds of files, records and columns; only what the clocks say of themselves differs."""
    long = small_study(tmp_path, scan="{tr_s: 2.0, volumes: 278}", times=1.0)
    simulated = fill(tmp_path / "simulated", long, rig)
    result, journal = played(long, rig, simulated)
    assert result.certificate.length_s == 556.0
    short = small_study(tmp_path, scan="{tr_s: 0.5, volumes: 8}", times=0.05)
    real = fill(tmp_path / "real", short, rig)
    other, other_journal = played(short, rig, real, real_time=True)
    names = [{str(path.relative_to(place.root)) for path in place.root.rglob("*")} for place in (simulated, real)]
    assert {name for name in names[0] if "_design." not in name} == names[1]  # 4 s are too short for a design
    assert journal.header.keys() == other_journal.header.keys()
    kinds = [{record["kind"] for record in found.records} for found in (journal, other_journal)]
    assert kinds[0] - {"late"} == kinds[1] - {"late"}
    for kind in ("flip", "pulse", "press", "end"):
        simulated_keys, real_keys = (
            {key for record in found.of(kind) for key in record} for found in (journal, other_journal)
        )
        assert simulated_keys == {key for key in real_keys if "loop_cost" not in key and key != "urgency"}
    headers = [path.read_text(encoding="utf-8").splitlines()[0] for path in (result.events, other.events)]
    assert headers[0] == headers[1]
    assert [len(path.read_text(encoding="utf-8").splitlines()) for path in (result.events, other.events)] == [15, 15]


def test_the_emulated_scanner_of_a_plan_can_be_made_faulty(study: Study, rig: Rig):
    scan: ScanTimes = scan_times(study.scan, rig)
    plan = EmulatedTrigger(kind="emulated", delay_s=0.5)
    source = FaultyTriggers(
        EmulatedTriggers(plan, replace(scan), np.random.default_rng(0)),
        faults_of(["late-start=2"]),
        np.random.default_rng(0),
    )
    source.start(10.0)
    assert source.due_s() == pytest.approx(12.5)
    assert source.facts()["faults"] == ["late-start=2"]
    source.close()
