"""Weightings of volumes that are short regressors plus a few common series, applied without the zeros.

A trial's response lasts a fraction of a run, so its regressor is mostly zeros. What least squares separate weighs volumes
with is that regressor less combinations of the nuisance and of the sums over trials: a few dozen products with the common
series and some short ones with the regressors do what a product with the whole weightings does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TOGETHER = 8  # regressors in one product: more have more zeros between them, fewer leave the processor idle
WORTHWHILE = 0.5  # of the multiplications that the whole weightings take
STEEP = 1e3  # times larger than the weighting it makes, a regressor takes digits from it


@dataclass(frozen=True)
class Banded:
    """Weightings (n_rows, n_volumes) taken apart: row i = scaled regressor i + mix[i] @ common.

    bands  : rows (places), volumes (a slice) and the scaled regressors there, (n_band_rows, n_band_volumes).
    mix    : (n_rows, n_common).
    common : (n_common, n_volumes) orthonormal.
    """

    bands: tuple[tuple[NDArray[np.intp], slice, Floats], ...]
    mix: Floats
    common: Floats

    def apply(self, block: Floats, found: Floats) -> None:
        """Weightings @ block (n_volumes, n_voxels), into `found` (n_rows, n_voxels)."""
        np.matmul(self.mix, self.common @ block, out=found)
        for rows, volumes, regressors in self.bands:
            found[rows] += regressors @ block[volumes]


def taken_apart(weightings: Floats, regressors: Floats, common: Floats) -> Banded | None:
    """Take weightings apart, where that saves work and costs no digits; None elsewhere.

    weightings : (n_rows, n_volumes), row i in the span of regressor i and the common series.
    regressors : (n_rows, n_volumes), mostly zeros.
    common     : (n_volumes, n_common) orthonormal columns.
    """
    n_rows, n_volumes = weightings.shape
    apart = regressors - (regressors @ common) @ common.T
    size = np.einsum("ij,ij->i", apart, apart)
    if (size <= np.einsum("ij,ij->i", regressors, regressors) / STEEP**2).any():
        return None
    scale = np.einsum("ij,ij->i", weightings, apart) / size
    scaled = scale[:, None] * regressors
    if (np.linalg.norm(scaled, axis=1) > STEEP * np.linalg.norm(weightings, axis=1)).any():
        return None
    present = regressors != 0
    first, end = present.argmax(axis=1), n_volumes - present[:, ::-1].argmax(axis=1)
    order = np.argsort(first, kind="stable")
    bands = []
    for start in range(0, n_rows, TOGETHER):
        rows = order[start : start + TOGETHER]
        volumes = slice(int(first[rows].min()), int(end[rows].max()))
        bands.append((rows, volumes, np.ascontiguousarray(scaled[rows, volumes])))
    work = sum(regressor.size for _, _, regressor in bands) + common.shape[1] * (n_rows + n_volumes)
    if work > WORTHWHILE * weightings.size:
        return None
    return Banded(tuple(bands), (weightings - scaled) @ common, np.ascontiguousarray(common.T))
