"""Sorting of patterns: the order of their features and where values tie, for a layer's units by counting instead of comparing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

COUNTED_FROM = 2**14  # features: below, counting into 65,536 places costs more than comparing
LARGEST = 2**31 - 1  # features that can be counted: places are 32-bit integers
DIGIT = 16  # bits


def sorted_order(pattern: NDArray[np.floating[Any]]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The order of a pattern's features and where, in that order, a new value begins.

    pattern : (n_features,) finite values; −0 and 0 are the same.

    Returns the sorting indices, ties in the order of the features, and a mask that is True at the first of every run of
    equal values.
    """
    if counts(pattern):
        return CountingSort(pattern.size)(pattern)
    order = np.argsort(pattern, kind="stable")
    return order, begins(pattern[order])


def counts(patterns: NDArray[np.floating[Any]]) -> bool:
    """Whether patterns, features along the last axis, are sorted by counting."""
    return patterns.dtype == np.float32 and COUNTED_FROM <= patterns.shape[-1] <= LARGEST


class CountingSort:
    """Sorts float32 patterns of one length, 16 bits at a time, the lower first (radix sort, Knuth vol. 3, 5.2.5).

    A sparse matrix with one entry for each feature, in the row of its 16 bits, gives its entries row by row in order of
    the columns when it changes from columns to rows: that is a stable sort by counting. IEEE 754 floats sort as unsigned
    integers once all bits of negatives, and the sign bit of the rest, are flipped.
    """

    def __init__(self, n: int) -> None:
        self._columns = np.arange(n + 1, dtype=np.int32)

    def __call__(self, pattern: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """The order of a pattern's features and where a new value begins; see `sorted_order`."""
        signed = (pattern + np.float32(0)).view(np.int32)  # adding zero makes −0 and +0 the same value
        flip = signed >> 31
        flip |= np.int32(-(2**31))
        keys = signed.view(np.uint32) ^ flip.view(np.uint32)
        low = (keys & np.uint32(2**DIGIT - 1)).view(np.int32)
        high = (keys >> np.uint32(DIGIT)).astype(np.uint16)
        order, high = self._by_digit(low, high)
        _, order = self._by_digit(high.astype(np.int32), order)
        by_value = order.astype(np.intp)
        return by_value, begins(keys[by_value])

    def _by_digit(self, digits: NDArray[np.int32], values: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Where each feature stood, and the values, in order of the digits."""
        from scipy.sparse import csc_array

        by_column = csc_array((values, digits, self._columns), shape=(2**DIGIT, digits.size))
        by_row = by_column.tocsr()
        return by_row.indices, by_row.data


def begins(in_order: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a new value begins, along the last axis."""
    new = np.ones(in_order.shape, dtype=bool)
    np.not_equal(in_order[..., 1:], in_order[..., :-1], out=new[..., 1:])
    return new


def doubled_ranks_in_order(new: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Doubled centred mid-ranks of sorted features: at the places from s to e of a run of ties, counted from 0, s + e + 1 − n.

    new : (n_features,) where a new value begins.
    """
    n = new.size
    ranks = np.arange(1 - n, n, 2, dtype=np.int32)
    if not new.all():
        later = np.flatnonzero(~new)
        gaps = np.flatnonzero(np.diff(later) > 1)
        first = later[np.concatenate([[0], gaps + 1])] - 1
        last = later[np.concatenate([gaps, [-1]])]
        tied = ~new
        tied[first] = True
        ranks[tied] = np.repeat((first + last + 1 - n).astype(np.int32), last - first + 1)
    return ranks
