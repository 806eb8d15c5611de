"""Whole runs in real time with a box on a serial line: answers, unplugging, the wrong baud rate."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from experiment_study import fill, small_study
from serial_cable import Cable, serial_cable

from experiment.journal import Journal, read_journal
from experiment.run import RunResult, run
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.rig import Rig, load_rig
from protocols.study import Study

RUN = RunId("01", "01", "animals", 1)
TR_S, VOLUMES = 0.1, 20
RIG = """format: 1
name: box
display: {{width_mm: 400.0, distance_mm: 800.0, size_px: [1024, 768], refresh_hz: 60.0, full_screen: false}}
trigger: {{preset: lumina, port: {port}}}
buttons: {{preset: lumina, port: {port}}}
"""


@pytest.fixture
def cable() -> Iterator[Cable]:
    with serial_cable() as cable:
        yield cable


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return small_study(tmp_path, scan=f"{{tr_s: {TR_S}, volumes: {VOLUMES}}}", times=0.05)


def rig_at(port: str, folder: Path) -> Rig:
    (folder / "box.yaml").write_text(RIG.format(port=port), encoding="utf-8")
    return load_rig(folder / "box.yaml")


@pytest.fixture
def rig(cable: Cable, tmp_path: Path) -> Rig:
    return rig_at(cable.port, tmp_path)


@pytest.fixture
def folder(tmp_path: Path, study: Study, rig: Rig) -> StudyFolder:
    return fill(tmp_path / "study", study, rig)


def during(box: Callable[[], None], study: Study, rig: Rig, folder: StudyFolder) -> RunResult:
    """A run beside which the box does its part, as soon as the run is listening."""

    def wait_and_act() -> None:
        path, end_s = folder.journal(RUN), time.monotonic() + 20
        while time.monotonic() < end_s and not (path.exists() and b'"flip"' in path.read_bytes()):
            time.sleep(0.01)
        time.sleep(0.1)
        box()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    try:
        return run(study, rig, folder.root, RUN, stage="null")
    finally:
        thread.join()


def scanner(cable: Cable, pulses: int, between: bytes = b"") -> None:
    first_s = time.monotonic()
    for number in range(pulses):
        time.sleep(max(0.0, first_s + number * TR_S - time.monotonic()))
        cable.send(b"5")
        if between:
            time.sleep(TR_S / 2)
            cable.send(between)


def events(result: RunResult) -> list[dict[str, str]]:
    with result.events.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def faults(journal: Journal) -> list[str]:
    return [record["what"] for record in journal.of("fault")]


def test_pulses_and_answers_of_one_box_reach_the_events(cable: Cable, study: Study, rig: Rig, folder: StudyFolder):
    result = during(lambda: scanner(cable, VOLUMES, b"1"), study, rig, folder)
    journal = read_journal(result.journal)
    assert [record["n"] for record in journal.of("pulse")] == list(range(VOLUMES))
    assert {record["button"] for record in journal.of("press")} == {"left"}
    assert len(journal.of("press")) == VOLUMES
    assert faults(journal) == []
    answered = [event for event in events(result) if event["button"] == "left"]
    assert len(answered) == 12
    assert all(0 < float(event["response_time"]) <= TR_S for event in answered)


def test_a_box_that_is_unplugged_costs_pulses_and_not_the_run(
    cable: Cable, study: Study, rig: Rig, folder: StudyFolder
):
    def box() -> None:
        scanner(cable, 5)
        time.sleep(0.05)  # the system drops what is still in a line that is cut
        cable.unplug()

    result = during(box, study, rig, folder)
    journal = read_journal(result.journal)
    assert journal.complete
    assert len(journal.of("pulse")) == 5
    assert any("trigger" in fault and "was lost" in fault for fault in faults(journal))
    assert len(events(result)) == 14
    assert not result.certificate.passed
    assert "stopped" in [record["what"] for record in journal.of("scanner")]


def test_a_box_that_is_unplugged_while_it_is_waited_for_ends_the_run(
    cable: Cable, study: Study, rig: Rig, folder: StudyFolder
):
    with pytest.raises(FoolscanError, match="was lost"):
        during(cable.unplug, study, rig, folder)
    assert not folder.events(RUN).exists()
    assert list(folder.journals.glob("*_aborted-*_journal.jsonl"))


def test_a_box_that_is_not_there_is_told_before_anything_is_written(study: Study, folder: StudyFolder, tmp_path: Path):
    with pytest.raises(FoolscanError, match=r"trigger\.port: /dev/no-such-port does not open"):
        run(study, rig_at("/dev/no-such-port", tmp_path), folder.root, RUN, stage="null")
    assert not folder.journal(RUN).exists()
    assert not folder.events(RUN).exists()


def test_the_wrong_baud_rate_is_told_while_the_run_waits(cable: Cable, study: Study, rig: Rig, folder: StudyFolder):
    def box() -> None:
        for _ in range(5):
            cable.send(b"\xf8\x80\xfe")
            time.sleep(0.02)
        scanner(cable, VOLUMES)  # someone has put it right

    journal = read_journal(during(box, study, rig, folder).journal)
    (fault,) = faults(journal)
    assert "the rig gives no meaning" in fault
    assert "Compare baud" in fault
    kinds = [record["kind"] for record in journal.records if record["kind"] in ("fault", "pulse")]
    assert kinds[0] == "fault"


def test_a_run_whose_first_pulse_was_missed_is_told_with_both_explanations(
    cable: Cable, study: Study, rig: Rig, folder: StudyFolder
):
    result = during(lambda: scanner(cable, VOLUMES - 1), study, rig, folder)
    assert not result.certificate.passed
    assert any("pulses" in remark for remark in result.certificate.remarks)
