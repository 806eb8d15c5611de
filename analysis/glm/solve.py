"""Ordinary least squares for very many voxels at once: one QR of the design, matrix products over blocks of voxels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from threadpoolctl import threadpool_limits

from protocols.problems import FoolscanError

DEPENDENT = 1e-10  # a column of length 1 that is this near to the span of the others cannot be told from them
BLOCK = 4096  # voxels at a time: a block's float64 copy and what is made of it stay small

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """A linear model fitted to every voxel.

    betas             : (p, n_voxels), in the data's unit per unit of the regressor.
    residual_variance : (n_voxels,) sum of squared residuals (whitened ones under AR(1)) / dof.
    dof               : n_volumes - p.
    unscaled          : (n_groups, p, p) covariance of the betas per unit of residual variance, (X'V⁻¹X)⁻¹.
    group             : (n_voxels,) row of `unscaled` that holds for each voxel.
    autocorrelation   : (n_voxels,) the AR(1) coefficient each voxel was whitened with; None for ordinary least squares.
    """

    betas: Floats
    residual_variance: Floats
    dof: int
    unscaled: Floats
    group: NDArray[np.intp]
    autocorrelation: Floats | None = None


@dataclass(frozen=True)
class Factors:
    """X = Q·R of a design of full rank.

    matrix   : X, (n_volumes, p).
    basis    : Q, (n_volumes, p) with orthonormal columns.
    triangle : R, (p, p) upper triangular.
    """

    matrix: Floats
    basis: Floats
    triangle: Floats

    @property
    def dof(self) -> int:
        """Degrees of freedom of the residuals."""
        return self.matrix.shape[0] - self.matrix.shape[1]

    def inverse(self) -> Floats:
        """R⁻¹, (p, p)."""
        return np.asarray(solve_triangular(self.triangle, np.eye(len(self.triangle))))


def least_squares(matrix: NDArray[Any], data: NDArray[Any], names: Sequence[str] = ()) -> Fit:
    """Ordinary least squares of the same design in every voxel.

    matrix : (n_volumes, p) design of full column rank, n_volumes > p.
    data   : (n_volumes, n_voxels), float32 or float64; all sums are in float64. A voxel with NaN has NaN results, and
             no other voxel feels it.
    names  : of the design's columns, for messages.

    Raises FoolscanError with the names of columns that are not independent, or when there are too few volumes.
    """
    factors = factorise(matrix, names)
    check_data(factors.matrix, data)
    inverse = factors.inverse()
    betas, variance = np.empty((factors.basis.shape[1], data.shape[1])), np.empty(data.shape[1])
    for voxels in spans(data.shape[1], BLOCK):
        block = np.asarray(data[:, voxels], dtype=np.float64)
        projected = factors.basis.T @ block
        residual = block - factors.basis @ projected
        betas[:, voxels] = inverse @ projected
        left, rounding = np.einsum("ij,ij->j", residual, residual), np.finfo(np.float64).eps * len(block)
        # where a voxel is a combination of the regressors, as a constant one is, only rounding is left
        left[left <= rounding**2 * np.einsum("ij,ij->j", block, block)] = 0.0
        variance[voxels] = left / factors.dof
    return Fit(betas, variance, factors.dof, (inverse @ inverse.T)[None], np.zeros(data.shape[1], dtype=np.intp))


def residuals(matrix: NDArray[Any], data: NDArray[Any], betas: Floats) -> Floats:
    """What a fitted model leaves of the data, (n_volumes, n_voxels); not whitened.

    matrix, data : as for `least_squares`.
    betas        : (p, n_voxels).
    """
    return np.asarray(data, dtype=np.float64) - np.asarray(matrix, dtype=np.float64) @ betas


def t_values(fit: Fit, contrasts: NDArray[Any]) -> Floats:
    """Student's t of contrasts of the betas; NaN where there is no residual variance.

    fit       : from `least_squares` or `ar1`.
    contrasts : (p,) for one, (n_contrasts, p) for several.

    Returns (n_voxels,) or (n_contrasts, n_voxels).
    """
    weights = np.atleast_2d(np.asarray(contrasts, dtype=np.float64))
    if weights.ndim != 2 or weights.shape[1] != len(fit.betas):
        raise FoolscanError(
            f"contrasts: found shape {np.shape(contrasts)}; expected ({len(fit.betas)},) or (n, {len(fit.betas)})"
        )
    spread = np.sqrt(np.einsum("cp,gpq,cq->cg", weights, fit.unscaled, weights, optimize=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        t = (weights @ fit.betas) / (spread[:, fit.group] * np.sqrt(fit.residual_variance))
    t[:, ~(fit.residual_variance > 0)] = np.nan
    return np.asarray(t[0] if np.ndim(contrasts) == 1 else t)


def column_t_values(fit: Fit, columns: int) -> Floats:
    """Student's t of each of the first columns' betas, (columns, n_voxels); NaN where there is no residual variance."""
    spread = np.sqrt(np.diagonal(fit.unscaled, axis1=1, axis2=2).T[:columns])
    with np.errstate(invalid="ignore", divide="ignore"):
        t = fit.betas[:columns] / np.sqrt(fit.residual_variance)
        t /= spread[:, fit.group]
    t[:, ~(fit.residual_variance > 0)] = np.nan
    return t


def factorise(matrix: NDArray[Any], names: Sequence[str] = ()) -> Factors:
    """QR of a design whose columns must be independent and fewer than its rows; arguments as for `least_squares`."""
    design = np.asarray(matrix, dtype=np.float64)
    if design.ndim != 2:
        raise FoolscanError(f"design: found {design.ndim} dimensions; expected 2: volumes, regressors")
    named = list(names) or [f"column {place}" for place in range(design.shape[1])]
    if len(named) != design.shape[1]:
        raise FoolscanError(f"design: found {len(named)} names for {design.shape[1]} columns; expected one for each")
    damaged = [named[place] for place in np.flatnonzero(~np.isfinite(design).all(axis=0))]
    if damaged:
        raise FoolscanError(
            f"design: found numbers that are not finite in {listed(damaged)}; expected finite regressors"
        )
    if design.shape[0] <= design.shape[1]:
        raise FoolscanError(
            f"design: found {design.shape[1]} regressors for {design.shape[0]} volumes; expected fewer regressors than "
            "volumes: longer runs, or fewer regressors"
        )
    lengths = np.linalg.norm(design, axis=0)
    empty = [name for name, length in zip(named, lengths, strict=True) if length == 0]
    if empty:
        raise FoolscanError(f"design: found only zeros in {listed(empty)}; leave such regressors out")
    basis, triangle = np.linalg.qr(design / lengths)
    dependent = np.flatnonzero(np.abs(np.diagonal(triangle)) < DEPENDENT)
    if dependent.size:
        raise FoolscanError(_dependence(triangle, int(dependent[0]), named))
    return Factors(design, basis, triangle * lengths)


def _dependence(triangle: Floats, last: int, names: Sequence[str]) -> str:
    shares = solve_triangular(triangle[:last, :last], triangle[:last, last])
    others = [name for name, share in zip(names, shares, strict=False) if abs(share) > np.sqrt(DEPENDENT)]
    return (
        f"design: {names[last]} is a combination of {listed(others)}; expected independent regressors: leave one of "
        "them out"
    )


def check_data(matrix: Floats, data: NDArray[Any]) -> None:
    """Raise FoolscanError unless the data are (n_volumes, n_voxels) with the design's number of volumes."""
    if data.ndim != 2 or data.shape[0] != matrix.shape[0]:
        raise FoolscanError(
            f"data: found shape {data.shape}; the design has {matrix.shape[0]} volumes, so expected ({matrix.shape[0]}, n_voxels)"
        )


def spans(n_voxels: int, block: int) -> Iterator[slice]:
    """Consecutive slices of at most `block` voxels."""
    for first in range(0, n_voxels, block):
        yield slice(first, min(first + block, n_voxels))


def over_blocks(work: Callable[[slice], None], n_voxels: int, block: int, threads: int) -> None:
    """Do a piece of work for every block of voxels; with several threads, blocks beside one another and each on one of them.

    Blocks share nothing, so numbers are the same whatever the threads.
    """
    if threads <= 1:
        for voxels in spans(n_voxels, block):
            work(voxels)
        return
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, spans(n_voxels, block)))  # so that what a thread raises is raised


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names in a row, the rest counted."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
