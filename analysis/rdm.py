"""Representational dissimilarity matrices, and the exact one: 1 − Spearman from integer ranks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.sorting import CountingSort, begins, counts, doubled_ranks_in_order
from protocols.problems import FoolscanError

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

BLOCK = 16_384  # features per matrix product: 40 images of this many are 5 MB of float64
CELLS = 2**20  # values sorted at a time where features are few
EXACT = 2**53  # integers up to here are exact in float64


@dataclass(frozen=True)
class Rdm:
    """One representational dissimilarity matrix.

    values      : (n_images · (n_images − 1) / 2,) dissimilarities, the upper triangle row by row.
    stim_ids    : the images, in the order of rows and columns.
    measure     : how dissimilarity was measured, e.g. ``"spearman"`` for 1 − Spearman.
    descriptors : what the patterns were, e.g. ``{"roi": "V1", "set": "RE"}``.
    """

    values: NDArray[np.float64]
    stim_ids: tuple[str, ...]
    measure: str
    descriptors: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.stim_ids)
        if self.values.shape != (n * (n - 1) // 2,):
            raise ValueError(
                f"found {self.values.shape} dissimilarities for {n} images; expected ({n * (n - 1) // 2},)"
            )

    @property
    def square(self) -> NDArray[np.float64]:
        """(n_images, n_images), symmetric, zero on the diagonal."""
        return squared(self.values, len(self.stim_ids))


def condensed(square: NDArray[np.float64]) -> NDArray[np.float64]:
    """The upper triangle of (n_images, n_images), row by row (scipy's ``squareform`` order)."""
    return square[np.triu_indices(square.shape[0], 1)]


def squared(values: NDArray[np.float64], n_images: int) -> NDArray[np.float64]:
    """The symmetric (n_images, n_images) matrix of an upper triangle, zero on the diagonal."""
    square = np.zeros((n_images, n_images), dtype=values.dtype)
    square[np.triu_indices(n_images, 1)] = values
    return square + square.T


def spearman_rdm(patterns: Floats, *, block: int = BLOCK) -> NDArray[np.float64]:
    """1 − Spearman correlation of every two patterns, exactly.

    Mid-ranks, doubled and centred, are integers; their inner products are summed without rounding, so the result has the
    same bits whatever the order of the features, the size of the blocks or the number of threads (Zhang et al. 2018,
    Representational similarity analysis).

    patterns : (n_images, n_features) responses, finite, any unit; n_features >= 2.
    block    : features per matrix product.

    Returns (n_images, n_images) in [0, 2], zero on the diagonal.
    Raises FoolscanError for a pattern that is not finite, or constant (its ranks say nothing).
    """
    products = rank_products(doubled_centred_ranks(patterns), block=block)
    return correlation_distances(products)


def pearson_rdm(patterns: Floats, *, block: int = BLOCK) -> NDArray[np.float64]:
    """1 − Pearson correlation of every two patterns, in float64; arguments and errors as in `spearman_rdm`."""
    finite_patterns(patterns)
    # Two passes: the mean first, so that large offsets do not cancel.
    mean = np.mean(patterns, axis=1, dtype=np.float64, keepdims=True)
    products = np.zeros((patterns.shape[0], patterns.shape[0]))
    for start in range(0, patterns.shape[1], block):
        deviations = patterns[:, start : start + block].astype(np.float64) - mean
        products += deviations @ deviations.T
    constant = np.max(patterns, axis=1) == np.min(patterns, axis=1)
    products[constant, constant] = 0.0
    return correlation_distances(products)


class BadPatterns(FoolscanError):
    """Patterns whose dissimilarity is not defined.

    what   : is wrong, in words.
    rows   : the images it is wrong with.
    remedy : what to do.
    """

    def __init__(self, what: str, rows: Sequence[int], remedy: str = "leave these voxels, units or images out") -> None:
        self.what, self.rows, self.remedy = what, list(dict.fromkeys(int(row) for row in rows)), remedy
        super().__init__(f"patterns: {what} in rows {self.rows[:5]}; {remedy}")


def doubled_centred_ranks(patterns: Floats) -> NDArray[np.int32]:
    """Mid-ranks within each row, doubled and centred: the number of smaller minus the number of larger features.

    patterns : (n_images, n_features) finite values.

    Returns (n_images, n_features) integers 2·rank − (n_features + 1), ties sharing their mean rank.
    """
    finite_patterns(patterns)
    ranks = np.empty(patterns.shape, dtype=np.int32)
    if counts(patterns):
        sort = CountingSort(patterns.shape[1])
        for pattern, row in zip(patterns, ranks, strict=True):
            order, new = sort(pattern)
            row[order] = doubled_ranks_in_order(new)
        return ranks
    step = max(1, CELLS // patterns.shape[1])
    for start in range(0, len(patterns), step):
        some = patterns[start : start + step]
        orders = np.argsort(some, axis=1)  # whichever way ties stand, they share their rank
        begin = begins(np.take_along_axis(some, orders, axis=1))
        in_order = np.stack([doubled_ranks_in_order(new) for new in begin])
        np.put_along_axis(ranks[start : start + step], orders, in_order, axis=1)
    return ranks


def rank_products(ranks: Ints, *, block: int = BLOCK) -> NDArray[np.float64]:
    """Inner products of integer rows, summed exactly and rounded once.

    ranks : (n_rows, n_features) integers of size below n_features.
    block : features per matrix product.

    Returns (n_rows, n_rows) float64.
    """
    n = ranks.shape[1]
    step = exact_block(n, block)
    parts = (ranks[:, start : start + step].astype(np.float64) for start in range(0, n, step))
    return summed_exactly(part @ part.T for part in parts)


def exact_block(n_features: int, block: int = BLOCK) -> int:
    """The features of a matrix product of doubled centred ranks whose sums are exact in float64, at most `block`."""
    return max(1, min(block, EXACT // n_features**2))


def summed_exactly(products: Iterable[Floats]) -> NDArray[np.float64]:
    """The sum of matrices of integers below 2**53, rounded once at the end.

    products : float64 matrices of one shape, at least one.
    """
    high: NDArray[np.int64] | int = 0
    low: NDArray[np.int64] | int = 0
    for product in products:
        total = product.astype(np.int64)
        high = high + (total >> 32)  # two counters, because a layer of millions of units overflows 63 bits
        low = low + (total & 0xFFFFFFFF)
    high, low = np.asarray(high + (low >> 32)), np.asarray(low & 0xFFFFFFFF)
    return np.asarray(high.astype(np.float64) * 2.0**32 + low.astype(np.float64))


def finite_patterns(patterns: Floats) -> None:
    """Raise BadPatterns for (n_images, n_features >= 2) responses that are not all finite, with their rows."""
    if patterns.ndim != 2 or patterns.shape[1] < 2:
        raise ValueError(f"found patterns of shape {patterns.shape}; expected (n_images, n_features >= 2)")
    finite = np.isfinite(patterns).all(axis=1)
    if not finite.all():
        raise BadPatterns("responses that are not finite numbers", np.flatnonzero(~finite).tolist())


def correlation_distances(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """From inner products of centred patterns, (n, n), to 1 − their correlations; BadPatterns for a constant one."""
    power = np.diag(products)
    if not (power > 0).all():
        raise BadPatterns("the same response in every voxel or unit", np.flatnonzero(~(power > 0)).tolist())
    # sqrt(a·a) is a to the bit, so that identical patterns have distance 0 exactly.
    distances = 1.0 - np.clip(products / np.sqrt(np.outer(power, power)), -1.0, 1.0)
    np.fill_diagonal(distances, 0.0)
    return distances
