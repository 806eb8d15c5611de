"""Which response of a library fits each voxel best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.glm.cross_validation import fitted_r2, left_out_r2, moments
from protocols.problems import FoolscanError

Floats = NDArray[np.float64]


def best_response(
    candidates: Sequence[Sequence[tuple[Floats, Floats]]], percent: Sequence[Floats], by: str
) -> tuple[NDArray[np.intp], Floats]:
    """The response of the library with the highest R² in each voxel.

    candidates : for each response, conditions that the runs share and the nuisance of each run.
    percent    : of each run, (n_volumes, n_voxels), NaN in unusable voxels.
    by         : ``cross_validated`` (of runs predicted from the others) or ``fit`` (of the runs fitted).

    Returns (n_voxels,) places in `candidates`, −1 in voxels that cannot be used, and (n_voxels,) their R².
    Raises FoolscanError for a single run when it is to be cross-validated.
    """
    if by == "cross_validated" and len(percent) < 2:
        raise FoolscanError(
            "analysis.glm.library.by: cross_validated needs at least two runs of a subject; found 1; use fit"
        )
    judge = left_out_r2 if by == "cross_validated" else fitted_r2
    r2 = np.stack(
        [
            judge([moments(x, nuisance, y) for (x, nuisance), y in zip(runs, percent, strict=True)])
            for runs in candidates
        ]
    )
    usable = ~np.isnan(r2).any(axis=0)
    best = np.where(usable, np.nan_to_num(r2, nan=-np.inf).argmax(axis=0), -1)
    return best, np.where(usable, np.take_along_axis(r2, np.maximum(best, 0)[None], axis=0)[0], np.nan)
