"""Several runs, block by block: the same voxels of each, whatever the budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.glm.run_series import percent_signal, run_blocks
from analysis.glm.series import Series
from analysis.nifti import open_nifti, write_nifti
from protocols.study import ScanProtocol


def stored(path: Path, volumes: int, skipped: int, seed: int) -> tuple[Series, np.ndarray]:
    values = np.random.default_rng(seed).integers(900, 1100, (7, 6, 5, volumes))
    write_nifti(path, values, np.eye(4), dtype=np.int16, tr_s=2.0)
    scan = ScanProtocol(tr_s=2.0, volumes=volumes - skipped)
    return Series(path, open_nifti(path), scan, skipped, 1.0, "StartTime", "", (path,)), values[..., skipped:]


@pytest.mark.parametrize("memory_bytes", [60_000, 200_000, 10_000_000])
def test_runs_are_read_whole_in_step_and_without_their_dummies(tmp_path: Path, memory_bytes: int) -> None:
    mask = np.random.default_rng(0).random((7, 6, 5)) < 0.5
    (first, one), (second, other) = (stored(tmp_path / f"{n}.nii.gz", n, n - 40, n) for n in (43, 40))
    found = [np.empty((40, int(mask.sum()))) for _ in range(2)]
    blocks = 0
    for block in run_blocks([first, second], mask, memory_bytes):
        blocks += 1
        for place, (percent, mean) in enumerate(zip(block.percent, block.means, strict=True)):
            found[place][:, block.voxels] = mean * (1 + percent / 100)
    np.testing.assert_allclose(found[0], one[mask].T, rtol=1e-12)
    np.testing.assert_allclose(found[1], other[mask].T, rtol=1e-12)
    assert (blocks > 1) == (memory_bytes < 10_000_000)


def test_percent_signal_is_nan_for_what_cannot_be_used() -> None:
    series = np.array([[1.0, 5.0, 0.0, -1.0, 2.0], [3.0, 5.0, 0.0, -2.0, np.nan]])
    np.testing.assert_array_equal(np.isnan(percent_signal(series)).any(axis=0), [False, True, True, True, True])
    np.testing.assert_allclose(percent_signal(series)[:, 0], [-50.0, 50.0])
