"""Least squares separate: for each trial a model of its own (the trial, the sum of the others), all of them at once.

With the nuisance projected out of the trials, each trial's model has two regressors (or a few), so its beta is a fixed
weighting of the volumes: one matrix product over voxels gives all trials' betas, and nothing is fitted again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.glm.banded import Banded, taken_apart
from analysis.glm.solve import BLOCK, DEPENDENT, Floats, check_data, factorise, over_blocks
from protocols.problems import FoolscanError


@dataclass(frozen=True)
class Separate:
    """The models of all trials, reduced to weightings of volumes.

    weights : (n_trials, n_volumes); weights @ data are the betas.
    length  : (n_trials,) of the part of each trial's regressor that nothing else in its model explains.
    others  : (n_trials, most_others, n_volumes) orthonormal bases of the other trials' regressors without the nuisance;
              rows of zeros fill up.
    nuisance: (n_volumes, q) orthonormal.
    dof     : (n_trials,) degrees of freedom of each model's residuals.
    banded  : the weights taken apart, where that makes them quicker to apply.
    """

    weights: Floats
    length: Floats
    others: Floats
    nuisance: Floats
    dof: NDArray[np.intp]
    banded: Banded | None


def lss(
    trials: NDArray[Any],
    nuisance: NDArray[Any],
    data: NDArray[Any],
    *,
    conditions: Sequence[object] | None = None,
    pattern: str = "beta",
    names: Sequence[str] = (),
    threads: int = 1,
) -> Floats:
    """Single-trial patterns by least squares separate (Mumford et al. 2012, model LS-S).

    trials     : (n_volumes, n_trials) one regressor per trial.
    nuisance   : (n_volumes, q) what every model holds besides: drift, motion, constant, blanks; q may be 0.
    data       : (n_volumes, n_voxels), float32 or float64; all sums are in float64. A voxel with NaN has NaN results,
                 and no other voxel feels it.
    conditions : of each trial; the other trials are then one regressor per condition (Turner et al. 2012) rather than one.
    pattern    : ``"beta"``, or ``"t"`` for Student's t of the beta; t is NaN where there is no residual variance.
    names      : of trials and nuisance columns, for messages.
    threads    : on which blocks of voxels are worked on beside one another; the numbers do not depend on it.

    Returns (n_trials, n_voxels).
    Raises FoolscanError for a trial that its model cannot tell from the rest, for dependent nuisance columns, and for too
    few volumes.
    """
    check_pattern(pattern)
    models = separate(trials, nuisance, conditions, names)
    check_data(models.nuisance, data)
    found = np.empty((len(models.weights), data.shape[1]))

    def work(voxels: slice) -> None:
        patterns_of(models, np.asarray(data[:, voxels], dtype=np.float64), pattern, found[:, voxels])

    over_blocks(work, data.shape[1], BLOCK, threads)
    return found


def separate(
    trials: NDArray[Any],
    nuisance: NDArray[Any],
    conditions: Sequence[object] | None = None,
    names: Sequence[str] = (),
) -> Separate:
    """Reduce every trial's model to a weighting of volumes; arguments as for `lss`."""
    trials, nuisance = np.asarray(trials, dtype=np.float64), np.asarray(nuisance, dtype=np.float64)
    n_volumes, n_trials = trials.shape
    if nuisance.ndim != 2 or nuisance.shape[0] != n_volumes:
        raise FoolscanError(
            f"nuisance: found shape {nuisance.shape}; the trials have {n_volumes} volumes, so expected ({n_volumes}, q)"
        )
    named = list(names) or [f"trial {place}" for place in range(n_trials)]
    member = _membership(conditions, n_trials)
    basis = factorise(nuisance, named[n_trials:]).basis if nuisance.shape[1] else nuisance
    left = _without(basis, trials).T
    sums, scale = member.T @ left, np.linalg.norm(trials, axis=0)
    others = np.zeros((n_trials, member.shape[1], n_volumes))
    n_others = np.zeros(n_trials, dtype=np.intp)
    for place, of_condition in enumerate(member.T):
        some = of_condition.sum() - of_condition > 0  # whether there is another trial of that condition
        rest = _orthogonal(others[:, :place], sums[place] - of_condition[:, None] * left)
        length = np.linalg.norm(rest, axis=1)
        for trial in np.flatnonzero(some & (length <= DEPENDENT * (of_condition @ scale - of_condition * scale))):
            raise FoolscanError(
                f"{named[trial]}: the other trials cannot be told from the nuisance or from one another; expected "
                "independent regressors"
            )
        others[some, place] = rest[some] / length[some, None]
        n_others += some
    own = _orthogonal(others, left)
    length = np.linalg.norm(own, axis=1)
    for trial in np.flatnonzero(length <= DEPENDENT * scale):
        raise FoolscanError(
            f"{named[trial]}: its regressor is a combination of the other trials and the nuisance; expected one of its "
            "own. Is it shown at the same time as another, or so late that its response is not recorded?"
        )
    dof = n_volumes - basis.shape[1] - 1 - n_others
    if dof.min() < 1:
        raise FoolscanError(
            f"design: found {n_volumes - dof.min()} regressors for {n_volumes} volumes; expected fewer regressors than volumes"
        )
    weights = own / length[:, None] ** 2
    common = np.linalg.qr(np.column_stack([basis, sums.T]))[0]
    return Separate(weights, length, others, basis, dof, taken_apart(weights, trials.T, common))


def _membership(conditions: Sequence[object] | None, n_trials: int) -> Floats:
    if conditions is None:
        return np.ones((n_trials, 1))
    if len(conditions) != n_trials:
        raise FoolscanError(f"conditions: found {len(conditions)} for {n_trials} trials; expected one for each")
    kinds = list(dict.fromkeys(conditions))
    return np.array([[float(kind == condition) for kind in kinds] for condition in conditions])


def _without(basis: Floats, columns: Floats) -> Floats:
    # twice: once leaves rounding errors along the basis where little of a column is left
    columns = columns - basis @ (basis.T @ columns)
    return np.asarray(columns - basis @ (basis.T @ columns))


def _orthogonal(others: Floats, rows: Floats) -> Floats:
    """Each row without its trial's others: (n_trials, n_volumes), from (n_trials, n_others, n_volumes)."""
    for _ in range(2):
        for place in range(others.shape[1]):
            rows = rows - np.einsum("ij,ij->i", others[:, place], rows)[:, None] * others[:, place]
    return rows


def check_pattern(pattern: str) -> None:
    """Raise FoolscanError unless a kind of single-trial pattern is known."""
    if pattern not in ("beta", "t"):
        raise FoolscanError(f"pattern: found {pattern!r}; expected beta or t")


def patterns_of(models: Separate, block: Floats, pattern: str, found: Floats) -> None:
    """The betas, or t values, of all trials, into `found` (n_trials, n_voxels), from a block (n_volumes, n_voxels)."""
    betas = found
    if models.banded is None:
        np.matmul(models.weights, block, out=found)
    else:
        models.banded.apply(block, found)
    if pattern == "beta":
        return
    left = block - models.nuisance @ (models.nuisance.T @ block)
    total = np.einsum("ij,ij->j", left, left)
    own = betas * models.length[:, None]
    rest = total - own**2
    for other in range(models.others.shape[1]):
        rest -= (models.others[:, other] @ left) ** 2
    total += np.finfo(np.float64).eps * np.einsum("ij,ij->j", block, block)
    rest[rest <= total * len(block) * np.finfo(np.float64).eps] = np.nan  # nothing but rounding is left
    found[...] = own / np.sqrt(rest / models.dof[:, None])
