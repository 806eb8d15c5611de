"""The thinnest thread, for real: four categories and one subject from the study file to the report, interrupted on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from watermark import unmarked

from experiment.bids import validate
from protocols.folder import StudyFolder
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError, ProtocolError
from rehearsal import online_steps, rehearse, rehearse_online, steps

ROOT = Path(__file__).parent.parent

SMALL = """format: 1
extends: demo
name: small
design: {subjects: 1, sessions: 1, runs: 4}
scan: {tr_s: 2.0, volumes: 53}
stimuli: {n_categories: 4}
tasks: {animals: {stimulus_trials: 12, blank_trials: 2}}
analysis: {rois: [V1, LO], voxels: {per_subject: 30}, bootstrap: {resamples: 100}}
rehearsal: {brain: {voxels_per_roi: 60}}
"""


def start(study: Path, to: Path) -> subprocess.Popen[str]:
    """Start a rehearsal as a terminal would: in a process group of its own, to which Ctrl-C goes."""
    command = [sys.executable, "-m", "foolscan", "rehearse", str(study), "--to", str(to)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )


def interrupted_when(study: Path, to: Path, ready: Callable[[], bool]) -> str:
    process = start(study, to)
    deadline = time.monotonic() + 300
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Traceback" not in output, output
    return output


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C reaches a process group in another way there")
def test_the_thinnest_thread_interrupted_in_three_rooms_and_run_again(tmp_path: Path) -> None:
    study, folder = tmp_path / "small.yaml", StudyFolder(tmp_path / "out")
    study.write_text(SMALL, encoding="utf-8")
    interrupted_when(study, folder.root, lambda: (folder.stimuli / "AN").is_dir())
    assert not folder.manifest.exists()
    interrupted_when(study, folder.root, lambda: len(folder.runs("animals")) == 1)
    interrupted_when(study, folder.root, lambda: folder.derived("betas").is_dir())

    process = start(study, folder.root)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    assert len(folder.runs("animals")) == 4
    assert all(stimulus.success for stimulus in read_manifest(folder))
    assert [
        path for path in folder.root.rglob("*") if path.name.endswith((".lock", ".tmp")) or ".tmp." in path.name
    ] == []
    report = folder.derived("report") / "report.html"
    page = report.read_text(encoding="utf-8")
    assert "imulated" in page
    assert 'src="http' not in page
    assert validate(folder.root).errors == ()
    assert validate(folder.derivatives).errors == ()
    assert unmarked(folder.root) == []  # nothing in it could be mistaken for a participant's data

    uninterrupted = tmp_path / "again"
    process = start(study, uninterrupted)
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    for path in (
        folder.manifest,
        folder.derived("rdms") / "similarity_brain.tsv",
        folder.derived("rdms") / "brain_rdms.h5",
    ):
        other = uninterrupted / path.relative_to(folder.root)
        assert path.read_bytes() == other.read_bytes(), f"{path.name}: an interruption changed what came out"


def test_a_rehearsal_walks_through_the_rooms_in_order() -> None:
    for at_desk in (False, True):
        walked = steps("demo", "rehearsal", Path("x"), at_desk=at_desk)
        rooms = [step.arguments[0] for step in walked]
        assert rooms == sorted(rooms, key=["stimuli", "experiment", "analysis"].index)
        assert walked[-1].arguments[1] == ("behaviour" if at_desk else "report")


def test_a_rehearsal_online_walks_from_the_images_over_the_crowd_to_the_analysis() -> None:
    for of_crops, makes in ((True, ["fragile", "fragile-pairs"]), (False, ["make"])):
        walked = online_steps("crops_demo", Path("x"), of_crops=of_crops, people=50, browsers=1)
        assert [step.arguments[1] for step in walked] == [*makes, "rehearse", "export", "verify", "crops", "report"]
    assert walked[-5].arguments[3:7] == ("--workers", "50", "--browsers", "1")


def test_a_study_without_a_task_in_the_browser_is_not_rehearsed_online(tmp_path: Path) -> None:
    with pytest.raises(FoolscanError, match="online: found nothing; a task in the browser"):
        rehearse_online("demo", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_when_study_and_rig_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(FoolscanError, match="emulated"):
        rehearse("demo", tmp_path / "out", rig="desk")
    with pytest.raises(ProtocolError, match="pictures"):
        rehearse("zhang2018", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
