"""Blocks of voxels are the image's own numbers, whatever memory is stated, and memory stays within what is stated."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest

from analysis.glm.stream import blocks
from analysis.nifti import open_nifti, read_voxels, write_nifti
from protocols.problems import FoolscanError

SHAPE = (9, 8, 7)
MASK = np.random.default_rng(0).random(SHAPE) < 0.4


@pytest.fixture
def series() -> np.ndarray:
    return np.random.default_rng(1).normal(1000, 20, (*SHAPE, 30))


def written(folder: Path, series: np.ndarray, kind: str) -> Path:
    path = folder / {"int16 gz": "a.nii.gz", "float32 gz": "b.nii.gz", "int16": "c.nii", "pair": "d.img"}[kind]
    if kind == "float32 gz":
        write_nifti(path, series, np.eye(4), dtype=np.float32, tr_s=2)
    else:
        packed = folder / "a.nii.gz"
        write_nifti(packed, series, np.eye(4), dtype=np.int16, tr_s=2, slope=0.05)
        if kind == "int16":
            path.write_bytes(gzip.decompress(packed.read_bytes()))
        elif kind == "pair":
            nibabel.save(nibabel.Nifti1Pair(series.astype(">f4"), np.eye(4), dtype=">f4"), path)
    return path


@pytest.mark.parametrize("kind", ["int16 gz", "float32 gz", "int16", "pair"])
@pytest.mark.parametrize("memory_bytes", [10_000_000, 60_000, 30_000])
@pytest.mark.parametrize("first", [0, 3])
def test_every_voxel_comes_once_in_order(tmp_path: Path, series: np.ndarray, kind: str, memory_bytes: int, first: int):
    path = written(tmp_path, series, kind)
    expected = read_voxels(path, open_nifti(path), MASK)[first:]
    found = np.full(expected.shape, np.nan)
    count = 0
    for voxels, data in blocks(path, MASK, memory_bytes, first=first):
        found[:, voxels] = data
        count += data.shape[1]
    assert count == MASK.sum()
    np.testing.assert_array_equal(found, expected)


def test_less_memory_means_smaller_blocks(tmp_path: Path, series: np.ndarray):
    path = written(tmp_path, series, "int16 gz")
    assert len(list(blocks(path, MASK, 10_000_000))) == 1
    assert len(list(blocks(path, MASK, 60_000))) < len(list(blocks(path, MASK, 60_000, working_bytes=2000)))
    assert all(block.data.shape[1] <= 10 for block in blocks(path, MASK, 10_000_000, largest=10))
    assert next(blocks(path, MASK, 10_000_000, dtype=np.float32)).data.dtype == np.float32


@pytest.mark.parametrize("megabytes", [2, 5, 20])
def test_memory_stays_within_what_is_stated(tmp_path: Path, megabytes: int):
    path = tmp_path / "large.nii.gz"
    rng = np.random.default_rng(2)
    write_nifti(path, rng.normal(1000, 20, (30, 30, 20, 90)), np.eye(4), dtype=np.int16, tr_s=2, slope=0.05)
    mask = rng.random((30, 30, 20)) < 0.8
    stated = megabytes * 10**6
    tracemalloc.start()
    try:
        total = sum(float(data.sum()) for _, data in blocks(path, mask, stated))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > 0
    assert peak <= stated + 2**20  # what reading a file takes, whatever its size


def test_what_cannot_be_read(tmp_path: Path, series: np.ndarray):
    path = written(tmp_path, series, "int16 gz")
    whole = path.read_bytes()
    with pytest.raises(FoolscanError, match="State more memory"):
        list(blocks(path, MASK, 1000))
    with pytest.raises(FoolscanError, match=r"a grid of \(9, 8, 7\) voxels; the mask has \(9, 8, 6\)"):
        list(blocks(path, MASK[..., 1:], 10**6))
    with pytest.raises(FoolscanError, match="30 are to be left out"):
        list(blocks(path, MASK, 10**6, first=30))
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FoolscanError, match=r"cut\.nii\.gz: cut off or damaged"):
        list(blocks(cut, MASK, 10**6))
    spoilt = tmp_path / "spoilt.nii.gz"
    spoilt.write_bytes(whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:])  # in the checksum
    with pytest.raises(FoolscanError, match="cut off or damaged"):
        list(blocks(spoilt, MASK, 10**6))
    short = tmp_path / "short.nii"
    short.write_bytes(gzip.decompress(whole)[:-100])
    with pytest.raises(FoolscanError, match="ends within the data"):
        list(blocks(short, MASK, 10**6))
    write_nifti(tmp_path / "one.nii.gz", series[..., 0], np.eye(4), dtype=np.float32)
    with pytest.raises(FoolscanError, match="found 3 dimensions"):
        list(blocks(tmp_path / "one.nii.gz", MASK, 10**6))


def test_an_empty_mask_gives_nothing(tmp_path: Path, series: np.ndarray):
    path = written(tmp_path, series, "int16 gz")
    assert list(blocks(path, np.zeros(SHAPE, dtype=bool), 10**6)) == []
