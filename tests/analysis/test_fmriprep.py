"""Betas from what fMRIPrep left, where it left anything, and a warning where motion is unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.betas import NO_CONFOUNDS, estimate_betas, runs_without_confounds
from analysis.command_line import app
from analysis.confounds import confounds_path
from analysis.fmriprep import derived_file, find_bold
from analysis.nifti import open_nifti
from analysis.stored_betas import betas_path
from protocols.folder import StudyFolder, read_json
from protocols.problems import FoolscanError
from protocols.provenance import read_provenance, sidecar_path
from protocols.study import Study

Simulated = tuple[Study, StudyFolder]


def given_to_fmriprep(folder: StudyFolder, space: str = "space-T1w_") -> Path:
    """The run's images, moved to where fMRIPrep leaves them."""
    run = folder.runs("animals")[0]
    path = derived_file(folder, run, f"{space}desc-preproc_bold.nii.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    sidecar_path(folder.bold(run)).rename(sidecar_path(path))
    return folder.bold(run).rename(path)


@pytest.mark.parametrize("space", ["space-T1w_", "space-MNI152NLin2009cAsym_res-2_", ""])
def test_betas_are_the_same_from_fmripreps_images(simulated: Simulated, space: str) -> None:
    study, folder = simulated
    run = folder.runs("animals")[0]
    estimate_betas(study, folder)
    before = np.asarray(open_nifti(betas_path(folder, run)).dataobj)
    moved = given_to_fmriprep(folder, space)
    assert estimate_betas(study, folder)
    np.testing.assert_array_equal(np.asarray(open_nifti(betas_path(folder, run)).dataobj), before)
    assert folder.relative(moved) in read_provenance(betas_path(folder, run))["inputs"]


def test_realigned_images_go_before_the_scanners_own(simulated: Simulated) -> None:
    _, folder = simulated
    run = folder.runs("animals")[0]
    assert find_bold(folder, run) == folder.bold(run)
    path = given_to_fmriprep(folder)
    folder.bold(run).touch()
    assert find_bold(folder, run) == path


def test_of_several_spaces_the_one_with_a_common_grid_is_taken(simulated: Simulated) -> None:
    _, folder = simulated
    run = folder.runs("animals")[0]
    path = given_to_fmriprep(folder)
    for space in ("space-MNI152NLin2009cAsym_", "space-MNI152NLin6Asym_"):
        derived_file(folder, run, f"{space}desc-preproc_bold.nii.gz").touch()
    assert find_bold(folder, run) == path
    path.unlink()
    with pytest.raises(FoolscanError, match=r"MNI152NLin2009cAsym.*MNI152NLin6Asym.* none in space T1w; leave the one"):
        find_bold(folder, run)


def test_a_run_without_confounds_is_warned_of(simulated: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    study, folder = simulated
    run = folder.runs("animals")[0]
    estimate_betas(study, folder)
    assert runs_without_confounds(study, folder) == []
    assert "Warnings" not in read_json(sidecar_path(betas_path(folder, run)))
    confounds_path(folder, run).unlink()
    monkeypatch.setattr("protocols.study.load_study", lambda _: study)
    said = CliRunner().invoke(app, ["betas", "small", "--to", str(folder.root)])
    assert f"warning: {run.stem}: {NO_CONFOUNDS}" in said.output
    assert read_json(sidecar_path(betas_path(folder, run)))["Warnings"] == [NO_CONFOUNDS]
