"""NIfTI files: numbers come back, bytes repeat, and damage is named."""

from __future__ import annotations

import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

from analysis.nifti import check_same_grid, open_nifti, read_voxels, write_nifti
from protocols.problems import FoolscanError

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


def series(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(500, 1500, (4, 3, 2, 5))


def test_integers_come_back_to_half_a_step(tmp_path: Path) -> None:
    path = tmp_path / "bold.nii.gz"
    write_nifti(path, series(), AFFINE, dtype=np.int16, tr_s=1.5, slope=0.05, note="SIMULATED")
    image = nibabel.load(path)
    assert np.abs(np.asarray(image.dataobj) - series()).max() <= 0.025 + 1e-9
    assert image.get_data_dtype() == np.int16
    np.testing.assert_array_equal(image.affine, AFFINE)
    assert image.header.get_zooms() == (3.0, 3.0, 3.0, 1.5)
    assert image.header["descrip"].item() == b"SIMULATED"


def test_floats_come_back_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "betas.nii.gz"
    volumes = series().astype(np.float32)
    volumes[0, 0, 0] = np.nan
    write_nifti(path, volumes, AFFINE, dtype=np.float32)
    np.testing.assert_array_equal(np.asarray(nibabel.load(path).dataobj), volumes)


def test_the_same_numbers_are_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_nifti(tmp_path / "a.nii.gz", series(), AFFINE, dtype=np.int16, slope=0.05)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    write_nifti(tmp_path / "b.nii.gz", series(), AFFINE, dtype=np.int16, slope=0.05)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_voxels_are_read_in_the_order_of_the_mask(tmp_path: Path) -> None:
    path = tmp_path / "betas.nii.gz"
    write_nifti(path, series(), AFFINE, dtype=np.float64)
    mask = np.random.default_rng(1).random((4, 3, 2)) < 0.5
    found = read_voxels(path, open_nifti(path), mask)
    np.testing.assert_array_equal(found, np.array([series()[tuple(voxel)] for voxel in np.argwhere(mask)]).T)


def test_missing_empty_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FoolscanError, match=r"none\.nii\.gz: no such file"):
        open_nifti(tmp_path / "none.nii.gz")
    (tmp_path / "empty.nii.gz").touch()
    with pytest.raises(FoolscanError, match=r"empty\.nii\.gz: found 0 bytes"):
        open_nifti(tmp_path / "empty.nii.gz")
    (tmp_path / "text.nii.gz").write_text("not an image", encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"text\.nii\.gz: not readable as NIfTI"):
        open_nifti(tmp_path / "text.nii.gz")


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bold.nii.gz"
    write_nifti(path, np.random.default_rng(0).random((20, 20, 20, 5)), AFFINE, dtype=np.float32)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(FoolscanError, match=r"bold\.nii\.gz: cut off or damaged"):
        read_voxels(path, open_nifti(path), np.ones((20, 20, 20), dtype=bool))


def test_images_on_different_grids_are_refused_with_the_numbers(tmp_path: Path) -> None:
    shifted = AFFINE.copy()
    shifted[1, 3] = 2.5
    paths = {}
    for name, shape, affine in (("a", (4, 3, 2), AFFINE), ("b", (4, 3, 3), AFFINE), ("c", (4, 3, 2), shifted)):
        paths[name] = tmp_path / f"{name}.nii.gz"
        write_nifti(paths[name], np.ones(shape), affine, dtype=np.uint8)
    first = paths["a"], open_nifti(paths["a"])
    check_same_grid(*first, *first)
    with pytest.raises(FoolscanError, match=r"b\.nii\.gz: found a grid of 4x3x3 voxels; .*a\.nii\.gz has 4x3x2"):
        check_same_grid(paths["b"], open_nifti(paths["b"]), *first)
    with pytest.raises(FoolscanError, match=r"c\.nii\.gz: affine\[1,3\] is 2.5; in .*a\.nii\.gz it is 0"):
        check_same_grid(paths["c"], open_nifti(paths["c"]), *first)
