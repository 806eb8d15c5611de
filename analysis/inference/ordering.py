"""Ranks and concordance along the last axis, over any leading axes and weights, in n·log n."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

CELLS = 2**18  # values at a time: the work arrays stay in the processor's cache


def weighted_ranks(values: Floats, weights: Floats) -> Doubles:
    """Doubled centred mid-ranks of values that count several times: the weight below minus the weight above.

    values, weights : (..., n), broadcast against one another; finite, weights not negative.

    Returns (..., n); with counts as weights, the ranks of the values repeated so often.
    """
    values, weights = np.broadcast_arrays(np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64))
    order = np.argsort(values, axis=-1, kind="stable")
    in_order, weight = (np.take_along_axis(part, order, axis=-1) for part in (values, weights))
    upto = np.cumsum(weight, axis=-1)
    first, last = _runs(in_order[..., 1:] != in_order[..., :-1])
    below = np.take_along_axis(upto - weight, first, axis=-1)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, below + np.take_along_axis(upto, last, axis=-1) - upto[..., -1:], axis=-1)
    return ranks


def concordance(first: Floats, second: Floats, weights: Floats | None = None) -> tuple[Doubles, Doubles]:
    """Concordant minus discordant pairs of two rankings, and how many pairs there are (Kendall 1938).

    Pairs that are tied in either ranking are neither. A value that counts w times stands for w values, tied with one
    another.

    first, second : (..., n), broadcast against one another.
    weights       : (..., n) counts; None: every value once.

    Returns (...) each; NaN where a value is not finite.
    """
    parts = [np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)]
    parts += [] if weights is None else [np.asarray(weights, dtype=np.float64)]
    parts = list(np.broadcast_arrays(*parts))
    shape = parts[0].shape[:-1]
    n = parts[0].shape[-1]
    rows = [part.reshape(-1, n) for part in parts]
    excess = np.full(len(rows[0]), np.nan)
    finite = np.flatnonzero(np.isfinite(rows[0]).all(axis=1) & np.isfinite(rows[1]).all(axis=1))
    step = max(1, CELLS // n)
    for start in range(0, finite.size, step):
        some = finite[start : start + step]
        excess[some] = _excess(rows[0][some], rows[1][some], rows[2][some] if weights is not None else None)
    total = np.full(len(rows[0]), float(n)) if weights is None else rows[2].sum(axis=1)
    return excess.reshape(shape), (total * (total - 1) / 2).reshape(shape)


def concordances(many: Floats, few: Floats) -> Doubles:
    """Concordant minus discordant pairs of every one of many rankings with every one of a few, all pairs compared.

    For permutations: quicker than `concordance` for each two, as long as n is thousands at most.

    many : (m, n) integers, such as doubled ranks, up to 2^22 apart; NaN in all of a row that is not known.
    few  : (f, n) alike.

    Returns (m, f).
    """
    found = np.zeros((len(many), len(few)))
    fixed = np.asarray(few, dtype=np.float32)
    step = max(1, CELLS // 4 // many.shape[1])
    for start in range(0, len(many), step):
        rows = np.asarray(many[start : start + step], dtype=np.float32)
        for i in range(many.shape[1] - 1):
            # integers that differ by one or more: cut off at ±1, a difference is its sign
            apart, of_few = (np.clip(part[:, i + 1 :] - part[:, i : i + 1], -1.0, 1.0) for part in (rows, fixed))
            found[start : start + step] += apart @ of_few.T
    return found


def _excess(x: Doubles, y: Doubles, weights: Doubles | None) -> Doubles:
    """(n_rows, n) each -> (n_rows,) concordant minus discordant pairs."""
    order = np.argsort(y, axis=1, kind="stable")
    order = np.take_along_axis(order, np.argsort(np.take_along_axis(x, order, 1), axis=1, kind="stable"), 1)
    x, y = (np.take_along_axis(part, order, 1) for part in (x, y))
    w = np.ones_like(x) if weights is None else np.take_along_axis(weights, order, 1)
    by_y = np.argsort(y, axis=1, kind="stable")
    # ties in y keep the order of x, ties in x that of y: neither kind counts as discordant
    places = np.empty_like(by_y)
    np.put_along_axis(places, by_y, np.broadcast_to(np.arange(x.shape[1]), x.shape), 1)
    new_x, new_y = (part[:, 1:] != part[:, :-1] for part in (x, np.take_along_axis(y, by_y, 1)))
    tied = _tied(new_x, w) + _tied(new_y, np.take_along_axis(w, by_y, 1))
    tied -= _tied(new_x | (y[:, 1:] != y[:, :-1]), w)
    everything = (w.sum(1) ** 2 - (w * w).sum(1)) / 2
    return np.asarray(everything - tied - 2 * _inversions(places, w), dtype=np.float64)


def _inversions(places: NDArray[np.intp], weights: Doubles) -> Doubles:
    """The weight of pairs whose order is reversed: of each bit from the highest, ones that stand before zeros.

    places : (n_rows, n) a permutation of 0 … n − 1 in each row.
    """
    n_rows, n = places.shape
    found = np.zeros(n_rows)
    values, w = places, weights
    here = np.arange(n)
    for bit in reversed(range((n - 1).bit_length())):
        one = (values >> bit) & 1
        start = (here >> (bit + 1)) << (bit + 1)  # values that agree in the higher bits stand together, sorted by them
        heavy = _before(w * one)
        before = heavy[:, :-1] - heavy[:, start]
        found += (w * (1 - one) * before).sum(axis=1)
        if bit == 0:
            break
        counted = _before(one)
        ones = counted[:, :-1] - counted[:, start]
        zeros_of_group = np.minimum(1 << bit, n - start)
        to = start + np.where(one == 1, zeros_of_group + ones, here - start - ones)
        moved, moved_w = np.empty_like(values), np.empty_like(w)
        np.put_along_axis(moved, to, values, 1)
        np.put_along_axis(moved_w, to, w, 1)
        values, w = moved, moved_w
    return found


def _before(values: NDArray[Any]) -> NDArray[Any]:
    """(n_rows, n) -> (n_rows, n + 1): what stands before each place."""
    total = np.zeros((len(values), values.shape[1] + 1), dtype=values.dtype)
    np.cumsum(values, axis=1, out=total[:, 1:])
    return total


def _tied(new: NDArray[np.bool_], weights: Doubles) -> Doubles:
    """The weight of pairs within runs of equal values; new: (n_rows, n − 1), whether a value differs from the one before."""
    upto = np.cumsum(weights, axis=1)
    first, last = _runs(new)
    of_run = np.take_along_axis(upto, last, 1) - np.take_along_axis(upto - weights, first, 1)
    return np.asarray((weights * (of_run - weights)).sum(axis=1) / 2)


def _runs(new: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first and the last place of the run of equal values that each place is in; new: (..., n − 1)."""
    n = new.shape[-1] + 1
    here = np.arange(n)
    edge = np.ones((*new.shape[:-1], 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, new], axis=-1), here, 0), axis=-1)
    ends = np.where(np.concatenate([new, edge], axis=-1), here, n - 1)
    last = np.minimum.accumulate(ends[..., ::-1], axis=-1)[..., ::-1]
    return first, last
