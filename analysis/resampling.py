"""Resampling of voxels or units as weights: bootstrap RDMs without sorting again, and the bootstrap's normal limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.rdm import Floats, doubled_centred_ranks, rank_products, sorted_order
from protocols.problems import FoolscanError

CELLS = 2**14  # voxels × resamples at a time: few enough to stay in the processor's cache
EXACT_FLOAT32 = 2**24  # integers up to here are exact in float32


@dataclass(frozen=True)
class Interval:
    """An interval of a statistic and how it came about.

    low, high : the bounds; NaN when there is none.
    method    : how, in words.
    undefined : resamples in which the statistic was not defined, and which were left out.
    """

    low: float
    high: float
    method: str
    undefined: int = 0


def bootstrap_counts(strata: NDArray[Any], resamples: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """How often every voxel is drawn when as many are drawn with replacement from each stratum as it has.

    strata    : (n_voxels,) stratum of each voxel, such as its subject: voxels are resampled within strata.
    resamples : number of resamples.
    generator : the source of randomness.

    Returns (resamples, n_voxels) counts; every row sums to n_voxels.
    """
    counts = np.zeros((resamples, strata.size), dtype=np.int32)
    for stratum in dict.fromkeys(strata.tolist()):
        members = np.flatnonzero(strata == stratum)
        drawn = generator.integers(members.size, size=(resamples, members.size))
        flat = (drawn + members.size * np.arange(resamples)[:, None]).ravel()
        counts[:, members] = np.bincount(flat, minlength=resamples * members.size).reshape(resamples, members.size)
    return counts


def resampled_rdms(patterns: Floats, weights: NDArray[Any], measure: str) -> NDArray[np.float64]:
    """The RDM of the same patterns under many weightings of their voxels.

    With counts as weights, each row is the RDM of the patterns with their voxels repeated so often, to the bit for
    ``"spearman"``: the doubled centred mid-rank of voxel v is Σ_u w_u·sgn(x_v − x_u), read off cumulative counts in the
    fixed order of sorting.

    patterns : (n_images, n_voxels) finite responses.
    weights  : (n_resamples, n_voxels) non-negative.
    measure  : ``"spearman"`` or ``"pearson"``.

    Returns (n_resamples, n_pairs) dissimilarities, NaN where a pattern is constant in a resample.
    """
    n_images, n_voxels = patterns.shape
    upper = np.triu_indices(n_images, 1)
    places = _places(patterns) if measure == "spearman" else None
    exact = np.issubdtype(weights.dtype, np.integer) and weights.sum(axis=1).max(initial=0) ** 3 / 3 < EXACT_FLOAT32
    precision: type[np.floating[Any]] = np.float32 if exact and places is not None else np.float64
    result = np.empty((len(weights), upper[0].size))
    step = max(16, CELLS // n_voxels)
    for start in range(0, len(weights), step):
        batch: Floats = weights[start : start + step].T.astype(precision)
        ranks = _weighted_deviations(patterns, batch) if places is None else _weighted_ranks(places, batch)
        result[start : start + step] = _distances(ranks, batch, upper)
    return result


def percentile_interval(replicates: NDArray[np.float64], interval: float) -> Interval:
    """The percentile bootstrap interval, undefined replicates left out and counted.

    replicates : (n_resamples,) values of the statistic.
    interval   : coverage asked for, e.g. 0.95.
    """
    kept = replicates[np.isfinite(replicates)]
    method = f"percentile bootstrap, {len(replicates)} resamples"
    if kept.size < len(replicates) / 2:
        return Interval(np.nan, np.nan, method, len(replicates) - kept.size)
    low, high = np.quantile(kept, [(1 - interval) / 2, (1 + interval) / 2])
    return Interval(float(low), float(high), method, len(replicates) - kept.size)


def similarity_gradient(first: Floats, second: Floats, measure: str) -> tuple[float, NDArray[np.float64]]:
    """The Pearson similarity of two RDMs and its derivative with respect to the weight of every unit.

    The sum of the squared derivatives is the infinitesimal-jackknife variance (Efron 1982, ch. 6), which is what the
    variance of the bootstrap over units tends to when there are many; it costs as much as a few RDMs instead of
    thousands.

    first, second : (n_images, n_units) patterns of the two sets over the same units.
    measure       : the dissimilarity, ``"spearman"`` or ``"pearson"``.

    Returns the similarity and (n_units,) derivatives at weight 1; they sum to zero.
    """
    sides = [_products(patterns, measure) for patterns in (first, second)]
    rdms = [_one_minus(products) for _, products in sides]
    upper = np.triu_indices(len(first), 1)
    a, b = (rdm[upper] - rdm[upper].mean() for rdm in rdms)
    norm_a, norm_b = float(np.sqrt(a @ a)), float(np.sqrt(b @ b))
    if not (norm_a > 0 and norm_b > 0):
        raise FoolscanError("similarity: found an RDM that is constant; expected dissimilarities that vary")
    r = float(a @ b) / (norm_a * norm_b)
    slopes = (b / (norm_a * norm_b) - r * a / norm_a**2, a / (norm_a * norm_b) - r * b / norm_b**2)
    gradient = np.zeros(first.shape[1])
    for patterns, (values, products), rdm, slope in zip((first, second), sides, rdms, slopes, strict=True):
        gradient += _gradient(patterns, values, _slope_of_products(slope, upper, products, rdm), measure)
    return r, gradient


@dataclass(frozen=True)
class _Places:
    """Where each voxel stands in the sorted order of every image: voxels before the first and up to the last of its ties."""

    order: NDArray[np.intp]
    first: NDArray[np.intp]
    after: NDArray[np.intp]


def _places(patterns: Floats) -> _Places:
    order, first, after = (np.empty(patterns.shape, dtype=np.intp) for _ in range(3))
    for row, pattern in enumerate(patterns):
        order[row], first[row], after[row] = _place(pattern)
    return _Places(order, first, after)


def _place(pattern: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    n = pattern.size
    order, new = sorted_order(pattern)
    starts = np.flatnonzero(new)
    lengths = np.diff(starts, append=n)
    first, after = np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp)
    first[order] = np.repeat(starts, lengths)
    after[order] = np.repeat(starts + lengths, lengths)
    return order, first, after


def _weighted_ranks(places: _Places, weights: Floats) -> Floats:
    """(n_images, n_voxels), (n_voxels, n_batch) -> (n_images, n_voxels, n_batch) doubled centred mid-ranks."""
    n_images, n_voxels = places.order.shape
    ranks = np.empty((n_images, *weights.shape), weights.dtype)
    below = np.zeros((n_voxels + 1, weights.shape[1]), weights.dtype)
    for image in range(n_images):
        np.cumsum(weights[places.order[image]], axis=0, out=below[1:])
        # voxels below (first) minus voxels above (total − after)
        np.take(below, places.first[image], axis=0, out=ranks[image], mode="clip")
        ranks[image] += below[places.after[image]]
        ranks[image] -= below[-1]
    return ranks


def _weighted_deviations(patterns: Floats, weights: Floats) -> Floats:
    mean = (patterns.astype(np.float64) @ weights) / weights.sum(axis=0)
    return np.asarray(patterns[:, :, None] - mean[:, None, :])


def _distances(values: Floats, weights: Floats, upper: tuple[NDArray[Any], NDArray[Any]]) -> NDArray[np.float64]:
    by_resample = np.ascontiguousarray(values.transpose(2, 0, 1))
    products = ((by_resample * weights.T[:, None, :]) @ by_resample.transpose(0, 2, 1)).astype(np.float64)
    power = np.diagonal(products, axis1=1, axis2=2)
    power = np.where(power > 0, power, np.nan)
    norm = np.sqrt(power[:, upper[0]] * power[:, upper[1]])
    return np.asarray(1.0 - np.clip(products[:, upper[0], upper[1]] / norm, -1.0, 1.0))


def _products(patterns: Floats, measure: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if measure == "spearman":
        ranks = doubled_centred_ranks(patterns)
        return ranks.astype(np.float64), rank_products(ranks)
    deviations = patterns - patterns.mean(axis=1, dtype=np.float64, keepdims=True)
    return deviations, deviations @ deviations.T


def _one_minus(products: NDArray[np.float64]) -> NDArray[np.float64]:
    power = np.diag(products)
    return np.asarray(1.0 - products / np.sqrt(np.outer(power, power)))


def _slope_of_products(
    slope: NDArray[np.float64],
    upper: tuple[NDArray[Any], NDArray[Any]],
    products: NDArray[np.float64],
    rdm: NDArray[np.float64],
) -> NDArray[np.float64]:
    """From ∂s/∂d to ∂s/∂G, where d_ij = 1 − G_ij / √(G_ii·G_jj)."""
    half = np.zeros_like(products)
    half[upper] = slope / 2
    half += half.T
    power = np.diag(products)
    of_products = -half / np.sqrt(np.outer(power, power))
    np.fill_diagonal(of_products, (half * (1.0 - rdm)).sum(axis=1) / power)
    return of_products


def _gradient(
    patterns: Floats, values: NDArray[np.float64], slope: NDArray[np.float64], measure: str
) -> NDArray[np.float64]:
    """From ∂s/∂G to ∂s/∂w: each unit's own products and, for ranks, its part in the ranks of all others."""
    weighted = slope @ values
    gradient = np.einsum("iu,iu->u", values, weighted)
    if measure == "spearman":
        for pattern, row in zip(patterns, weighted, strict=True):
            order, first, after = _place(pattern)
            below = np.concatenate([[0.0], np.cumsum(row[order])])
            gradient += 2.0 * (below[-1] - below[after] - below[first])
    return np.asarray(gradient)
