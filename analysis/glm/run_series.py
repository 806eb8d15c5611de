"""Time series of several runs, block of voxels by block of voxels, in % signal change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.glm.series import Series
from analysis.glm.stream import blocks

Floats = NDArray[np.float64]


class RunBlock(NamedTuple):
    """Some voxels in every run.

    voxels  : their places among the mask's voxels.
    percent : of each run, (n_volumes, n_voxels), see `percent_signal`.
    means   : of each run, (n_voxels,) mean over the volumes, in the scanner's units.
    """

    voxels: slice
    percent: list[Floats]
    means: list[Floats]


def run_blocks(
    runs: Sequence[Series], mask: NDArray[np.bool_], memory_bytes: int, working_bytes: int = 0
) -> Iterator[RunBlock]:
    """The time series of a mask's voxels in all runs, the same voxels of each at a time.

    mask          : (x, y, z).
    memory_bytes  : what all runs together may hold.
    working_bytes : what the caller makes of each voxel.
    """
    share = memory_bytes // len(runs)
    streams = [
        # a block's own values, their change in %, and what percent_signal holds on the way
        blocks(run.path, mask, share, first=run.skipped, working_bytes=working_bytes + 24 * run.scan.volumes)
        for run in runs
    ]
    current = [next(stream) for stream in streams]
    done, n_voxels = 0, int(mask.sum())
    while done < n_voxels:
        stop = min(block.voxels.stop for block in current)
        cut = [block.data[:, done - block.voxels.start : stop - block.voxels.start] for block in current]
        yield RunBlock(
            slice(done, stop), [percent_signal(series) for series in cut], [series.mean(axis=0) for series in cut]
        )
        done = stop
        if done < n_voxels:
            current = [
                next(stream) if block.voxels.stop == done else block
                for stream, block in zip(streams, current, strict=True)
            ]
    for stream in streams:
        next(stream, None)  # to the end, so that the file is closed and its checksum has been seen


def percent_signal(series: Floats) -> Floats:
    """Time series as % change from each voxel's mean over the run: (n_volumes, n_voxels); NaN for a voxel that is
    constant, not finite, or without a positive mean.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = series.mean(axis=0)
        usable = np.isfinite(series).all(axis=0) & (mean > 0) & (series.max(axis=0) > series.min(axis=0))
        return np.where(usable, 100.0 * (series / mean - 1.0), np.nan)
