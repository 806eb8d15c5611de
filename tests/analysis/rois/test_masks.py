"""ROIs: simulated masks or the lab's own, checked against one another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.command_line import app
from analysis.nifti import open_nifti, write_nifti
from analysis.rois import check_rois, load_rois, read_mask, roi_path, write_mask
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, NotReady
from protocols.study import Study

Simulated = tuple[Study, StudyFolder]


def test_masks_have_the_stated_number_of_voxels_and_share_none(simulated: Simulated) -> None:
    study, folder = simulated
    masks = load_rois(study, folder, "01")
    assert list(masks) == ["V1", "LO"]
    assert {int(mask.sum()) for mask in masks.values()} == {60}
    assert not (masks["V1"] & masks["LO"]).any()


def test_any_value_but_0_and_nan_is_inside(tmp_path: Path) -> None:
    values = np.zeros((3, 2, 2))
    values[0, 0, 0], values[1, 1, 1], values[2, 0, 1] = 0.25, -1.0, np.nan
    write_nifti(tmp_path / "mask.nii.gz", values, np.eye(4), dtype=np.float32)
    assert np.argwhere(read_mask(tmp_path / "mask.nii.gz")).tolist() == [[0, 0, 0], [1, 1, 1]]


def test_a_missing_mask_says_where_it_should_be(simulated: Simulated) -> None:
    study, folder = simulated
    roi_path(folder, "01", "LO").unlink()
    with pytest.raises(NotReady, match=r"sub-01_roi-LO_mask\.nii\.gz: no such mask \(1 of 2 missing for sub-01\)"):
        load_rois(study, folder, "01")


def test_an_empty_mask_is_refused(simulated: Simulated) -> None:
    study, folder = simulated
    path = roi_path(folder, "01", "LO")
    write_mask(path, np.zeros((24, 20, 12), dtype=bool), open_nifti(path).affine)
    with pytest.raises(FoolscanError, match="found no voxel that is not 0"):
        load_rois(study, folder, "01")


def test_a_time_series_is_not_a_mask(simulated: Simulated) -> None:
    _, folder = simulated
    bold = folder.bold(folder.runs("animals")[0])
    with pytest.raises(FoolscanError, match="a mask has 3: x, y, z"):
        read_mask(bold)


def test_masks_on_other_grids_are_refused(simulated: Simulated) -> None:
    study, folder = simulated
    write_mask(roi_path(folder, "01", "LO"), np.ones((5, 5, 5), dtype=bool), np.eye(4))
    with pytest.raises(FoolscanError, match=r"roi-LO_mask\.nii\.gz: found a grid of 5x5x5 voxels"):
        load_rois(study, folder, "01")


def test_every_problem_is_listed(simulated: Simulated) -> None:
    study, folder = simulated
    assert [item.problem for item in check_rois(study, folder, ["01"])] == ["", ""]
    roi_path(folder, "01", "V1").write_bytes(b"")
    path = roi_path(folder, "01", "LO")
    mask = np.zeros((24, 20, 12), dtype=bool)
    mask[5, 5, :7] = True
    write_mask(path, mask, open_nifti(path).affine)
    first, second = check_rois(study, folder, ["01"])
    assert (first.voxels, second.voxels) == (None, 7)
    assert "found 0 bytes" in first.problem
    assert second.problem == "7 voxels; analysis.voxels.per_subject asks for 20"


def test_the_command_lists_them_and_exits_1_when_one_is_wanting(finished: Simulated) -> None:
    _, folder = finished
    result = CliRunner().invoke(app, ["rois", "demo", "--to", str(folder.root)])
    assert result.exit_code == 1  # the demo study asks for five ROIs, this folder has two
    assert "no such file" in " ".join(result.output.split())
