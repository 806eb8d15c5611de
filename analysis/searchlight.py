"""Searchlights within an ROI: whether the RDM of the voxels around a voxel repeats (Zhang et al. 2021, vertex selection)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protocols.problems import FoolscanError

LEAST_VOXELS = 4  # around a voxel: ranks of fewer say next to nothing
LEAST_IMAGES = 4  # six pairs
CELLS = 2**21  # values at a time: some tens of MB
ROUNDING_MM = 1e-3  # positions come from affines in single precision


def searchlights(positions_mm: NDArray[np.float64], radius_mm: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The voxels around every voxel, itself included.

    positions_mm : (n_voxels, 3) centres.
    radius_mm    : voxels whose centres are no farther than this belong to a searchlight.

    Returns indices, (n_voxels, n_most), and which of them count: rows are filled up with voxel 0.
    """
    from scipy.spatial import cKDTree

    found = cKDTree(positions_mm).query_ball_point(positions_mm, radius_mm + ROUNDING_MM, return_sorted=True)
    around = [np.asarray(members, dtype=np.intp) for members in found]
    sizes = np.array([members.size for members in around])
    counts = np.arange(sizes.max(initial=0)) < sizes[:, None]
    indices = np.zeros(counts.shape, dtype=np.intp)
    indices[counts] = np.concatenate(around)
    return indices, counts


def searchlight_reliability(
    first: NDArray[np.float64], second: NDArray[np.float64], positions_mm: NDArray[np.float64], radius_mm: float
) -> NDArray[np.float64]:
    """How alike the RDM around a voxel is in two halves of the trials: Pearson correlation of 1 − Spearman RDMs.

    first, second : (n_images, n_voxels) patterns of the halves, finite.
    positions_mm  : (n_voxels, 3) centres of the voxels.
    radius_mm     : of the searchlights.

    Returns (n_voxels,), -inf where fewer than `LEAST_VOXELS` voxels are around, or a pattern or an RDM is constant there.
    Raises FoolscanError for too few images, and when every searchlight is too small.
    """
    n_images, n_voxels = first.shape
    if n_images < LEAST_IMAGES:
        raise FoolscanError(
            f"searchlight RDMs: found {n_images} images in both halves; expected at least {LEAST_IMAGES}"
        )
    indices, counts = searchlights(positions_mm, radius_mm)
    sizes = counts.sum(axis=1)
    large = np.flatnonzero(sizes >= LEAST_VOXELS)
    if large.size == 0:
        most = int(sizes.max(initial=0))
        raise FoolscanError(
            f"searchlight RDMs: found at most {most} voxels within {radius_mm:g} mm of a voxel; expected at least {LEAST_VOXELS}: "
            "set a larger analysis.voxels.radius_mm"
        )
    reliability = np.full(n_voxels, -np.inf)
    step = max(1, CELLS // max(n_images * n_images, n_images * indices.shape[1]))
    for start in range(0, large.size, step):
        centres = large[start : start + step]
        one, other = (_rdms(half, indices[centres], counts[centres]) for half in (first, second))
        reliability[centres] = _rows_correlated(one, other)
    return np.where(np.isnan(reliability), -np.inf, reliability)


def _rdms(patterns: NDArray[np.float64], indices: NDArray[np.intp], counts: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 − Spearman RDMs of searchlights, (n_centres, n_pairs); NaN where a pattern is constant."""
    from scipy.stats import rankdata

    values = np.where(counts[:, None, :], patterns[:, indices].transpose(1, 0, 2), np.inf)
    # what fills a row up ranks last, and moves no rank of the others
    ranks = 2.0 * rankdata(values, axis=2) - (counts.sum(axis=1)[:, None, None] + 1.0)
    ranks *= counts[:, None, :]
    products = ranks @ ranks.transpose(0, 2, 1)
    power = np.diagonal(products, axis1=1, axis2=2)
    power = np.where(power > 0, power, np.nan)
    a, b = np.triu_indices(len(patterns), 1)
    # in one piece, so that sums over pairs do not depend on how many centres there are
    return np.ascontiguousarray(1.0 - products[:, a, b] / np.sqrt(power[:, a] * power[:, b]))


def _rows_correlated(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    a, b = (rdms - rdms.mean(axis=1, keepdims=True) for rdms in (first, second))
    power = (a * a).sum(axis=1) * (b * b).sum(axis=1)
    return np.asarray((a * b).sum(axis=1) / np.sqrt(np.where(power > 1e-24, power, np.nan)))
