"""RDMs of the same patterns under many weightings of their voxels or units: resampling without sorting again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.rdm import Floats
from analysis.sorting import sorted_order

EXACT_FLOAT32 = 2**24  # integers up to here are exact in float32
BATCH = 32  # resamples at a time: few enough for the processor's cache
PRODUCTS = 2**21  # products of pairs of images, over voxels, held at a time
MEASURES = ("spearman", "pearson", "cosine", "euclidean", "squared_euclidean")
"""Dissimilarities that weights of voxels are defined for here."""


def resampled_rdms(patterns: Floats, weights: NDArray[Any], measure: str) -> NDArray[np.float64]:
    """The RDM of the same patterns under many weightings of their voxels.

    With counts as weights, each row is the RDM of the patterns with their voxels repeated so often, to the bit for
    ``"spearman"``: the doubled centred mid-rank of voxel v is Σ_u w_u·sgn(x_v − x_u), read off cumulative counts in the
    fixed order of sorting.

    patterns : (n_images, n_voxels) finite responses.
    weights  : (n_resamples, n_voxels) non-negative.
    measure  : one of `MEASURES`.

    Returns (n_resamples, n_pairs) dissimilarities, NaN where a pattern is constant in a resample.
    """
    if measure not in MEASURES:
        raise ValueError(f"found dissimilarity {measure!r}; with weights there are: {', '.join(MEASURES)}")
    if measure == "spearman":
        return _spearman(patterns, weights)
    return _of_products(patterns, weights, measure)


@dataclass(frozen=True)
class _Places:
    """Where the voxels of one image stand in its sorted order, cut into blocks of equal size for the cumulative sum.

    order : (size, n_blocks) voxel at each place, block after block down the columns; n_voxels where there is none.
    sums  : (2, n_voxels) row of the running sums, 0 before the first, that holds what lies below each voxel, and what lies
            below or is tied.
    """

    order: NDArray[np.intp]
    sums: NDArray[np.intp]


def place(pattern: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The sorted order of one pattern, and for every voxel how many are below, and how many below or tied."""
    n = pattern.size
    order, new = sorted_order(pattern)
    starts = np.flatnonzero(new)
    lengths = np.diff(starts, append=n)
    first, after = np.empty(n, dtype=np.intp), np.empty(n, dtype=np.intp)
    first[order] = np.repeat(starts, lengths)
    after[order] = np.repeat(starts + lengths, lengths)
    return order, first, after


def _places(pattern: Floats) -> _Places:
    n = pattern.size
    order, first, after = place(pattern)
    size = max(1, math.isqrt(n))
    n_blocks = -(-n // size)
    padded = np.full(size * n_blocks, n, dtype=np.intp)
    padded[:n] = order
    # the k-th running sum stands in row (k − 1) % size, column (k − 1) // size, after a row of its own for k = 0
    stands = np.concatenate([[0], 1 + np.arange(n) % size * n_blocks + np.arange(n) // size])
    return _Places(np.ascontiguousarray(padded.reshape(n_blocks, size).T), stands[np.stack([first, after])])


def _spearman(patterns: Floats, weights: NDArray[Any]) -> NDArray[np.float64]:
    n_images, n_voxels = patterns.shape
    places = [_places(pattern) for pattern in patterns]
    size, n_blocks = places[0].order.shape
    exact = np.issubdtype(weights.dtype, np.integer) and weights.sum(axis=1).max(initial=0) ** 3 / 3 < EXACT_FLOAT32
    precision: type[np.floating[Any]] = np.float32 if exact else np.float64
    running = np.tril(np.ones((size, size), precision))
    upper = _upper(n_images)
    result = np.empty((len(weights), upper.size))
    # made once: fresh memory for every batch costs as much as filling it
    most = min(BATCH, len(weights))
    all_ranks, all_weighted = np.empty((2, most, n_images, n_voxels), precision)
    all_products = np.empty((most, n_images, n_images), precision)
    for start in range(0, len(weights), BATCH):
        batch = weights[start : start + BATCH].astype(precision)
        n = len(batch)
        ranks, weighted, products = all_ranks[:n], all_weighted[:n], all_products[:n]
        of_voxel = np.zeros((n_voxels + 1, n), precision)  # the last row is that of no voxel
        of_voxel[:-1] = batch.T
        half = batch.sum(axis=1) / 2
        below = np.empty((1 + size * n_blocks, n), precision)
        below[0] = -half
        sums = below[1:].reshape(size, n_blocks, n)
        drawn, offset = np.empty((size, n_blocks, n), precision), np.empty((n_blocks, n), precision)
        both = np.empty((2, n_voxels, n), precision)
        for image, where in enumerate(places):
            of_voxel.take(where.order, axis=0, out=drawn, mode="clip")
            np.matmul(running, drawn.reshape(size, -1), out=sums.reshape(size, -1))
            # half of all weight taken off twice centres the ranks: voxels below minus voxels above
            offset[0] = -half
            offset[1:] = sums[-1, :-1]
            offset.cumsum(axis=0, out=offset)
            sums += offset
            below.take(where.sums, axis=0, out=both, mode="clip")
            both[0] += both[1]
            ranks[:, image, :] = both[0].T
        np.multiply(ranks, batch[:, None, :], out=weighted)
        np.matmul(weighted, ranks.transpose(0, 2, 1), out=products)
        result[start : start + BATCH] = _one_minus_correlation(products.astype(np.float64), upper)
    return result


def _of_products(patterns: Floats, weights: NDArray[Any], measure: str) -> NDArray[np.float64]:
    """Measures of weighted inner products: one matrix product of weights with the products of every two images."""
    n_images, n_voxels = patterns.shape
    values = patterns.astype(np.float64)
    if measure != "cosine":  # differences and deviations stay; large offsets no longer cancel
        values = values - (values.mean(axis=1, keepdims=True) if measure == "pearson" else values.mean(axis=0))
    rows, columns = np.triu_indices(n_images)
    of_weights = weights.astype(np.float64)
    triangle = np.zeros((len(weights), rows.size))
    step = max(1, PRODUCTS // rows.size)
    for start in range(0, n_voxels, step):
        part = values[:, start : start + step]
        triangle += of_weights[:, start : start + step] @ (part[rows] * part[columns]).T
    total = of_weights.sum(axis=1)[:, None]
    total = np.where(total > 0, total, np.nan)
    if measure == "pearson":
        sums = of_weights @ values.T
        triangle -= sums[:, rows] * sums[:, columns] / total
    products = np.empty((len(weights), n_images, n_images))
    products[:, rows, columns] = products[:, columns, rows] = triangle
    upper = _upper(n_images)
    if measure in ("pearson", "cosine"):
        return _one_minus_correlation(products, upper)
    power = np.einsum("bii->bi", products)
    squared = (power[:, :, None] + power[:, None, :] - 2.0 * products).reshape(len(weights), -1)[:, upper]
    squared = np.maximum(squared, 0.0) / total
    return squared if measure == "squared_euclidean" else np.asarray(np.sqrt(squared))


def _upper(n_images: int) -> NDArray[np.intp]:
    """Places of the upper triangle in a flattened square."""
    rows, columns = np.triu_indices(n_images, 1)
    return np.asarray(rows * n_images + columns)


def _one_minus_correlation(products: NDArray[np.float64], upper: NDArray[np.intp]) -> NDArray[np.float64]:
    """(n_resamples, n_images, n_images) inner products of deviations -> (n_resamples, n_pairs)."""
    n_images = products.shape[1]
    power = np.einsum("bii->bi", products)
    power = np.where(power > 0, power, np.nan)
    rows, columns = np.divmod(upper, n_images)
    # the root of a product, as the RDM itself takes it: the same bits
    norm = power.take(rows, axis=1)
    norm *= power.take(columns, axis=1)
    np.sqrt(norm, out=norm)
    flat = products.reshape(len(products), -1).take(upper, axis=1)
    flat /= norm
    np.clip(flat, -1.0, 1.0, out=flat)
    return np.asarray(np.subtract(1.0, flat, out=flat))
