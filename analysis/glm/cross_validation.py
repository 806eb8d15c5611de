"""How well a model predicts a run from the subject's other runs, for every voxel at once, without fitting anything twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.problems import FoolscanError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """A run's data and conditions once the nuisance is projected out of both.

    gram   : (n_conditions, n_conditions), X'X.
    cross  : (n_conditions, n_voxels), X'Y.
    energy : (n_voxels,), the sum of squares of Y.
    """

    gram: Floats
    cross: Floats
    energy: Floats


def moments(conditions: Floats, nuisance: Floats, data: Floats) -> Moments:
    """A run's moments.

    conditions : (n_volumes, n_conditions).
    nuisance   : (n_volumes, n_nuisance), of full rank.
    data       : (n_volumes, n_voxels).
    """
    basis, _ = np.linalg.qr(nuisance)
    left, rest = without(basis, conditions), without(basis, data)
    return Moments(left.T @ left, left.T @ rest, np.einsum("ij,ij->j", rest, rest))


def without(basis: Floats, columns: Floats) -> Floats:
    """Columns with what lies in an orthonormal basis taken out."""
    return np.asarray(columns - basis @ (basis.T @ columns))


def left_out_r2(runs: Sequence[Moments], targets: Sequence[Moments] | None = None) -> Floats:
    """R² of every run predicted by the betas of all others, over all runs together.

    runs    : at least two, with the same conditions and voxels: what betas are fitted to.
    targets : of the same runs, what is predicted; None for the same. Fits with more nuisance than others are comparable
              when they predict the same data.

    A condition that no other run has is predicted as no response. R² is 1 − (squared errors) / (squares of the data, the
    nuisance projected out); it is negative where the prediction is worse than none, NaN in voxels without variance.

    Returns (n_voxels,). Raises FoolscanError for a single run.
    """
    if len(runs) < 2:
        raise FoolscanError("found one run; cross-validation leaves out one run at a time, and needs at least two")
    gram, cross = sum_of([run.gram for run in runs]), sum_of([run.cross for run in runs])
    targets = runs if targets is None else targets
    error = np.zeros_like(runs[0].energy)
    for run, target in zip(runs, targets, strict=True):
        betas = np.linalg.pinv(gram - run.gram, rcond=1e-9, hermitian=True) @ (cross - run.cross)
        error += target.energy - 2 * np.einsum("ij,ij->j", betas, target.cross)
        error += np.einsum("ij,ij->j", betas, target.gram @ betas)
    return _share(error, sum_of([target.energy for target in targets]))


def fitted_r2(runs: Sequence[Moments]) -> Floats:
    """R² of every run fitted by betas of its own, over all runs together; arguments as for `left_out_r2`."""
    explained = np.zeros_like(runs[0].energy)
    for run in runs:
        explained += np.einsum("ij,ij->j", run.cross, np.linalg.pinv(run.gram, rcond=1e-9, hermitian=True) @ run.cross)
    total = sum_of([run.energy for run in runs])
    return _share(total - explained, total)


def sum_of(arrays: Sequence[Floats]) -> Floats:
    """The sum of arrays, in order."""
    total = np.array(arrays[0])
    for array in arrays[1:]:
        total += array
    return total


def _share(error: Floats, total: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, 1 - error / total, np.nan)
