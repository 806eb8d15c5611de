"""Generalised least squares under AR(1) noise, as nilearn's `run_glm(noise_model="ar1")` defines it, many times faster.

nilearn (0.14, `regression.py`, `first_level.py`): the autocorrelation ρ of the residuals of ordinary least squares by
Yule–Walker with unbiased sums, cut to steps of 1/100 toward 0; every voxel is then whitened by y_t − ρ·y_{t−1}, its first
volume as it is, and fitted again. Here the second fit is a correction of the first one's betas, made from its residuals
by one small operator per step of ρ: the data are read once, no whitened copy is made, and nothing is refitted.

Two things differ. Where runs are fitted end to end, each one's first volume is as it is and no product is taken across.
And nilearn takes the mean over all voxels and volumes from the residuals first, which is 0 wherever the design holds a
constant; here a voxel's result never depends on other voxels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from analysis.glm.lss import Separate, check_pattern, patterns_of, separate
from analysis.glm.solve import Factors, Fit, Floats, check_data, factorise, over_blocks, spans
from protocols.problems import FoolscanError

BINS = 100  # nilearn's: steps of ρ per unit
BLOCK = 16_384  # voxels at a time, grouped by their step of ρ within the block


@dataclass(frozen=True)
class Left:
    """What ordinary least squares finds in a block of voxels, and the residuals e that it leaves.

    betas       : (n_voxels, p).
    coordinates : (n_voxels, m) of e in the rows of a frame.
    square      : (n_voxels,) Σ e_t².
    lagged      : (n_voxels,) Σ e_t·e_{t+1} within runs.
    last        : (n_voxels,) Σ e_t² over the runs' last volumes.
    """

    betas: Floats
    coordinates: Floats
    square: Floats
    lagged: Floats
    last: Floats


@dataclass(frozen=True)
class Residuals:
    """Takes betas and residuals of ordinary least squares, X = Q·R.

    Where the design leaves few dimensions, residuals are given in an orthonormal basis of those in which Σ e_t·e_{t+1}
    is diagonal: both sums are then sums of squares of one product with the data. Elsewhere they are plain volumes.

    follows  : (n_volumes − 1,) from `follows_of`.
    inverse  : (p, p) R⁻¹.
    frame    : (m, n_volumes), coordinates @ frame = e; None for plain volumes.
    lags     : (m, 2) what Σ e_t² and Σ e_t·e_{t+1} are of squared coordinates, with a frame.
    operator : (n_volumes, m or p, + p) y @ operator are coordinates (without a frame: y'Q) and betas.
    """

    factors: Factors
    follows: Floats
    inverse: Floats
    frame: Floats | None
    lags: Floats | None
    operator: Floats

    @classmethod
    def of(cls, factors: Factors, follows: Floats) -> Residuals:
        """Prepared for a design."""
        n_volumes, p = factors.basis.shape
        inverse = factors.inverse()
        plain = factors.basis @ inverse.T
        if n_volumes - p >= 2 * p:
            return cls(factors, follows, inverse, None, None, np.column_stack([factors.basis, plain]))
        complement = np.linalg.qr(factors.basis, mode="complete")[0][:, p:]
        values, vectors = np.linalg.eigh(complement.T @ neighbours(complement, follows) / 2)
        frame = (complement @ vectors).T
        lags = np.column_stack([np.ones_like(values), values])
        return cls(factors, follows, inverse, frame, lags, np.column_stack([frame.T, plain]))

    def __call__(self, series: Floats) -> Left:
        """Of a block (n_volumes, n_voxels); residuals are zeros for a voxel in which only rounding is left."""
        basis, ends = self.factors.basis, np.append(self.follows == 0, True)
        both = series.T @ self.operator
        found, betas = both[:, : -basis.shape[1]], both[:, -basis.shape[1] :]
        if self.frame is None or self.lags is None:
            found = series.T - found @ basis.T
            square, lagged, last = squares(found), products(found, self.follows), squares(found[:, ends])
        else:
            square, lagged = (np.square(found) @ self.lags).T
            last = squares(found @ self.frame[:, ends])
        exact = square <= (np.finfo(np.float64).eps * len(series)) ** 2 * np.einsum("ij,ij->j", series, series)
        for part in (found, square, lagged, last):
            part[exact] = 0.0
        return Left(betas, found, square, lagged, last)

    def autocorrelation(self, left: Left) -> Floats:
        """Yule–Walker ρ of each voxel, (n_voxels,), unbiased as nilearn's; 0 where nothing is left."""
        with np.errstate(invalid="ignore"):
            rho = (left.lagged / self.follows.sum()) / (left.square / len(self.factors.basis))
        return np.where(left.square == 0, 0.0, rho)


@dataclass(frozen=True)
class Whitened:
    """One design at one step of ρ: everything that is done to a voxel of it.

    scores   : (m, p); residuals' coordinates @ scores are those of whitened residuals in the whitened design's
               orthonormal basis.
    to_betas : (p, p); scores @ to_betas is what the betas of ordinary least squares lack.
    """

    scores: Floats
    to_betas: Floats


@dataclass
class Steps:
    """The design at every step of ρ that has occurred so far, made when it first occurs.

    With L the whitening, L'L = 1 − ρ·N + ρ²·D: N adds a volume's neighbours, D leaves a run's last volume out. So what is
    needed of L'L·Q at any ρ is a sum of three matrices that are made once.

    bins    : steps of ρ per unit.
    squared : Q'Q, Q'NQ, Q'DQ, each (p, p).
    framed  : the frame times Q, NQ, DQ, each (m, p).
    """

    bins: int
    inverse: Floats
    squared: tuple[Floats, Floats, Floats]
    framed: tuple[Floats, Floats, Floats]
    made: dict[int, Whitened] = field(default_factory=dict)

    @classmethod
    def of(cls, residuals: Residuals, bins: int) -> Steps:
        """Prepared for a design."""
        basis, frame, follows = residuals.factors.basis, residuals.frame, residuals.follows
        parts = (basis, neighbours(basis, follows), np.append(follows, 0.0)[:, None] * basis)
        squared = tuple(basis.T @ part for part in parts)
        framed = parts if frame is None else tuple(frame @ part for part in parts)
        return cls(bins, residuals.inverse, (squared[0], squared[1], squared[2]), (framed[0], framed[1], framed[2]))

    def at(self, step: int) -> Whitened:
        """The design whitened with ρ = step / bins.

        Q is well conditioned, and whitening changes that little, so the Cholesky factor C of Q'L'LQ is accurate:
        scores = L'L·Q·C⁻', betas = R⁻¹·C⁻'·(scores'·y).
        """
        if step not in self.made:
            rho = step / self.bins
            inner, outer = (one - rho * two + rho**2 * three for one, two, three in (self.squared, self.framed))
            lower = cholesky(inner, lower=True)
            scores = solve_triangular(lower, outer.T, lower=True).T
            to_betas = solve_triangular(lower, self.inverse.T, lower=True)
            self.made[step] = Whitened(np.ascontiguousarray(scores), np.ascontiguousarray(to_betas))
        return self.made[step]


def ar1(
    matrix: NDArray[Any],
    data: NDArray[Any],
    names: Sequence[str] = (),
    *,
    bins: int = BINS,
    starts: Sequence[int] = (0,),
    threads: int = 1,
) -> Fit:
    """Betas under AR(1) noise, one ρ per voxel in steps of 1/bins.

    matrix : (n_volumes, p) design of full column rank, n_volumes > p.
    data   : (n_volumes, n_voxels), float32 or float64; all sums are in float64. A voxel with NaN has NaN results, and
             no other voxel feels it.
    names  : of the design's columns, for messages.
    bins   : steps of ρ per unit, > 0.
    starts : the first volume of each run, where runs are fitted end to end.
    threads: on which blocks of voxels are worked on beside one another; the numbers do not depend on it.

    Returns the fit; its `autocorrelation` is the ρ used (NaN for a voxel with NaN, 0 for one without residuals).
    Raises FoolscanError with the names of columns that are not independent, or when there are too few volumes.
    """
    factors = factorise(matrix, names)
    check_data(factors.matrix, data)
    follows = follows_of(len(factors.matrix), starts)
    residuals = Residuals.of(factors, follows)
    steps = Steps.of(residuals, bins)
    p, n_voxels = factors.matrix.shape[1], data.shape[1]
    betas, variance = np.empty((p, n_voxels)), np.empty(n_voxels)
    rho, step = np.empty(n_voxels), np.empty(n_voxels, dtype=np.intp)

    def work(voxels: slice) -> None:
        left = residuals(np.asarray(data[:, voxels], dtype=np.float64))
        rho[voxels] = residuals.autocorrelation(left)
        step[voxels] = steps_of(rho[voxels], bins)
        correction, square = _by_step(steps, left, step[voxels])
        np.add(left.betas.T, correction.T, out=betas[:, voxels])
        variance[voxels] = square / factors.dof

    over_blocks(work, n_voxels, BLOCK, threads)
    used, group = np.unique(step, return_inverse=True)
    to_betas = np.array([steps.at(int(one)).to_betas for one in used]).reshape(-1, p, p)
    unscaled = np.swapaxes(to_betas, 1, 2) @ to_betas
    return Fit(betas, variance, factors.dof, unscaled, group.reshape(-1), np.where(np.isnan(rho), np.nan, step / bins))


def ar1_lss(
    trials: NDArray[Any],
    nuisance: NDArray[Any],
    data: NDArray[Any],
    *,
    conditions: Sequence[object] | None = None,
    pattern: str = "beta",
    names: Sequence[str] = (),
    bins: int = BINS,
    starts: Sequence[int] = (0,),
) -> Floats:
    """Single-trial patterns by least squares separate under AR(1) noise; arguments and errors as for `lss` and `ar1`.

    A voxel's ρ is estimated once, from the model with all trials as one regressor (per condition, if given), which is
    what every trial's own model nearly is; data and regressors are whitened with it.

    Returns (n_trials, n_voxels).
    """
    check_pattern(pattern)
    trials, nuisance = np.asarray(trials, dtype=np.float64), np.asarray(nuisance, dtype=np.float64)
    separate(trials, nuisance, conditions, names)  # what is wrong with the models is told before anything is estimated
    of = list(conditions) if conditions is not None else [None] * trials.shape[1]
    sums = [trials[:, [one == kind for one in of]].sum(axis=1) for kind in dict.fromkeys(of)]
    factors = factorise(np.column_stack([*sums, nuisance]))
    check_data(factors.matrix, data)
    follows = follows_of(len(factors.matrix), starts)
    residuals = Residuals.of(factors, follows)
    models: dict[int, Separate] = {}
    found = np.empty((trials.shape[1], data.shape[1]))
    for voxels in spans(data.shape[1], BLOCK):
        block = np.asarray(data[:, voxels], dtype=np.float64)
        for one, members in _groups(steps_of(residuals.autocorrelation(residuals(block)), bins)):
            rho = one / bins
            if one not in models:
                whitened_nuisance = filtered(nuisance, rho, follows)
                models[one] = separate(filtered(trials, rho, follows), whitened_nuisance, conditions, names)
            fitted = np.empty((trials.shape[1], members.size))
            patterns_of(models[one], filtered(block[:, members], rho, follows), pattern, fitted)
            found[:, voxels.start + members] = fitted
    return found


def follows_of(n_volumes: int, starts: Sequence[int]) -> Floats:
    """(n_volumes − 1,) 1 where a volume is of the same run as the one before it, else 0.

    starts : the first volume of each run, 0 among them.
    """
    if 0 not in starts or min(starts) < 0 or max(starts) >= n_volumes:
        raise FoolscanError(
            f"starts: found {list(starts)}; expected first volumes of runs, 0 to {n_volumes - 1}, 0 among them"
        )
    follows = np.ones(n_volumes)
    follows[list(starts)] = 0.0
    if not follows.any():
        raise FoolscanError(f"starts: found {list(starts)}; expected runs of more than one volume")
    return follows[1:]


def squares(rows: Floats) -> Floats:
    """Σ y_t² of each row."""
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def products(rows: Floats, follows: Floats) -> Floats:
    """Σ y_t·y_{t+1} of each row, within runs."""
    if follows.all():
        return np.asarray(np.einsum("ij,ij->i", rows[:, :-1], rows[:, 1:]))
    return np.asarray(np.einsum("ij,ij,j->i", rows[:, :-1], rows[:, 1:], follows))


def neighbours(columns: Floats, follows: Floats) -> Floats:
    """x_{t−1} + x_{t+1} down each column, within runs: N·x."""
    found = np.zeros_like(columns)
    found[1:] += follows[:, None] * columns[:-1]
    found[:-1] += follows[:, None] * columns[1:]
    return found


def steps_of(rho: Floats, bins: int) -> NDArray[np.intp]:
    """ρ in whole steps of 1/bins, cut toward 0; 0 for NaN."""
    return (np.nan_to_num(rho) * bins).astype(np.intp)


def filtered(columns: Floats, rho: float, follows: Floats) -> Floats:
    """x_t − ρ·x_{t−1} down each column, a run's first row as it is: L·x."""
    whitened_columns = columns.copy()
    whitened_columns[1:] -= (rho * follows)[:, None] * columns[:-1]
    return whitened_columns


def _groups(step: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Each step that occurs, and the places where it does."""
    order = np.argsort(step, kind="stable")
    values, first = np.unique(step[order], return_index=True)
    yield from zip(values.tolist(), np.split(order, first[1:]), strict=False)


def _by_step(steps: Steps, left: Left, step: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """What the betas lack (n_voxels, p), and sums of squared whitened residuals (n_voxels,)."""
    n_voxels = len(step)
    correction, explained = np.empty(left.betas.shape), np.empty(n_voxels)
    for one, members in _groups(step):
        design = steps.at(one)
        scores = left.coordinates[members] @ design.scores
        correction[members] = scores @ design.to_betas
        explained[members] = squares(scores)
    rho = step / steps.bins
    # the squares of e_t − ρ·e_{t−1}, summed without making the differences
    total = left.square - 2 * rho * left.lagged + rho**2 * (left.square - left.last)
    return correction, np.where(left.square == 0, 0.0, total - explained)
