"""What can be asked of a rehearsal on the command line: faults, and the hash of every frame."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from experiment_study import fill, small_study

from experiment.faults import faults_of
from experiment.journal import read_journal
from experiment.rehearse import rehearse
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.rig import Rig, load_rig
from protocols.study import Study

RUN = RunId("01", "01", "animals", 1)


def foolscan(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "foolscan", "experiment", *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)


@pytest.fixture
def one_run(tmp_path: Path, rig: Rig) -> tuple[Path, StudyFolder]:
    study = small_study(tmp_path)
    return tmp_path / "small.yaml", fill(tmp_path / "study", study, rig)


def words(study: Path, folder: StudyFolder, *more: str) -> list[str]:
    run = ["run", str(study), "--rig", "rehearsal", "--sub", "01", "--ses", "01", "--run", "1"]
    return [*run, "--stage", "null", "--to", str(folder.root), *more]


def test_faults_are_asked_for_by_name_and_the_certificate_says_what_they_did(
    one_run: tuple[Path, StudyFolder], project_root: Path
):
    study, folder = one_run
    done = foolscan(project_root, *words(study, folder, "--fault", "first-pulse-missed", "--fault", "drop=0.5"))
    assert done.returncode == 1, done.stderr
    assert "wanting" in done.stdout
    assert "59/60 pulses" in done.stdout
    assert read_journal(folder.journal(RUN)).header["faults"] == ["first-pulse-missed=1", "drop=0.5"]


def test_a_mistake_in_a_fault_is_one_message_and_nothing_is_written(
    one_run: tuple[Path, StudyFolder], project_root: Path
):
    study, folder = one_run
    done = foolscan(project_root, *words(study, folder, "--fault", "thunder"))
    assert done.returncode == 2
    assert done.stderr.startswith("foolscan: --fault: found 'thunder'; expected one of first-pulse-missed, ")
    done = foolscan(project_root, *words(study, folder, "--hash-frames"))
    assert done.returncode == 2
    assert "no screen to read back" in done.stderr
    assert not folder.journals.exists()


def test_a_rehearsal_of_all_runs_takes_faults_too(study: Study, rig: Rig, folder: StudyFolder):
    results = rehearse(study, rig, folder.root, stage="null", faults=faults_of(["stop=20"]))
    assert len(results) == 4
    assert not any(result.certificate.passed for result in results)
    assert all(read_journal(result.journal).header["faults"] == ["stop=20"] for result in results)


def test_a_rehearsal_needs_an_emulated_rig(study: Study, folder: StudyFolder):
    with pytest.raises(FoolscanError, match="rig desk: a rehearsal needs emulated trigger and buttons"):
        rehearse(study, load_rig("desk"), folder.root, stage="null")
