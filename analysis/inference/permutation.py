"""Permutation tests: all rearrangements where they are few, else random ones; p-values, also of the largest over places."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations as all_orders
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.inference.ordering import concordances
from analysis.similarity import Doubles, Floats, n_images_of, prepared, units

CELLS = 2**22  # dissimilarities at a time: 32 MB of float64
SLACK = 1e-12  # rounding does not make a rearrangement that gives the same value a smaller one


@dataclass(frozen=True)
class Rearrangements:
    """What is exchangeable under the null hypothesis, exchanged.

    rows  : (m, n): the place each image's row is taken from, or for `swaps` and `sign_flips` whether it is exchanged.
    exact : these are all there are, the one as measured first; else they are random, and the one as measured is not
            among them.
    """

    rows: NDArray[np.intp]
    exact: bool


def label_orders(n_images: int, permutations: int, generator: np.random.Generator) -> Rearrangements:
    """Orders of the images, for a similarity of two RDMs that have nothing to do with one another.

    permutations : random ones; all n! are taken instead when there are no more than these.
    """
    if n_images <= 12 and math.factorial(n_images) <= permutations:
        return Rearrangements(np.array(list(all_orders(range(n_images))), dtype=np.intp), exact=True)
    rows = np.tile(np.arange(n_images, dtype=np.intp), (permutations, 1))
    return Rearrangements(generator.permuted(rows, axis=1), exact=False)


def swaps(n_sources: int, permutations: int, generator: np.random.Generator) -> Rearrangements:
    """Which sources' two images (AN and AI) are swapped, for sets that differ in nothing but their name.

    permutations : random ones; all 2^n are taken instead when there are no more than these.
    """
    if n_sources <= 40 and 2**n_sources <= permutations:
        rows = np.arange(2**n_sources)[:, None] >> np.arange(n_sources) & 1
        return Rearrangements(rows.astype(np.intp), exact=True)
    return Rearrangements(generator.integers(2, size=(permutations, n_sources)).astype(np.intp), exact=False)


def condensed_places(rows: NDArray[np.integer[Any]], n_all: int) -> NDArray[np.intp]:
    """Where the dissimilarities between chosen images stand in the upper triangle of all.

    rows  : (m, n) which of all images is in each place; those of one row differ.
    n_all : images in all.

    Returns (m, n·(n − 1)/2).
    """
    first, second = np.triu_indices(rows.shape[1], 1)
    a, b = rows[:, first], rows[:, second]
    low, high = np.minimum(a, b), np.maximum(a, b)
    return np.asarray(low * (2 * n_all - low - 1) // 2 + high - low - 1, dtype=np.intp)


def label_null(fixed: Floats, permuted: Floats, measure: str, orders: Rearrangements) -> Doubles:
    """The similarity of RDMs when the images of one are permuted.

    fixed    : (n_fixed, n_pairs).
    permuted : (n_pairs,).
    measure  : a name in `analysis.similarity.SIMILARITIES`.
    orders   : from `label_orders`.

    Returns (m, n_fixed).
    """
    n_images = n_images_of(permuted.size)
    ready, others = prepared(permuted, measure), prepared(fixed, measure)
    found = np.empty((len(orders.rows), len(fixed)))
    for part, places in _parts(orders.rows, n_images):
        found[part] = _similarities(ready[places], others, measure)
    return found


def swap_null(reference: Floats, united: Floats, measure: str, swapped: Rearrangements) -> Doubles:
    """The difference of similarities when the images of some sources are swapped between two sets.

    reference : (n_pairs,) the RDM that both are compared with (RE).
    united    : (2n·(2n − 1)/2,) the RDM of the first set's n images (AN) followed by the second's (AI), by source.
    measure   : as in `label_null`.
    swapped   : from `swaps`.

    Returns (m,) similarity with the second set minus similarity with the first.
    """
    n = n_images_of(reference.size)
    fixed = prepared(reference[None], measure)
    found = np.empty(len(swapped.rows))
    first = np.arange(n) + n * swapped.rows
    second = np.arange(n) + n * (1 - swapped.rows)
    for (part, of_first), (_, of_second) in zip(_parts(first, 2 * n), _parts(second, 2 * n), strict=True):
        sides = [
            _similarities(prepared(united[places], measure), fixed, measure)[:, 0] for places in (of_first, of_second)
        ]
        found[part] = sides[1] - sides[0]
    return found


def sign_flip_null(differences: Floats, permutations: int, generator: np.random.Generator) -> tuple[Doubles, bool]:
    """The mean of differences when each may as well have been the other way round.

    differences : (n, ...).

    Returns (m, ...) means, and whether these are all 2^n.
    """
    flips = swaps(len(differences), permutations, generator)
    return np.asarray(np.tensordot(1.0 - 2.0 * flips.rows, differences, axes=1) / len(differences)), flips.exact


def p_values(observed: Floats, null: Doubles, exact: bool, alternative: str) -> tuple[Doubles, Doubles]:
    """How often a rearrangement gives a value as extreme as the one measured: of each place, and of the largest of all.

    A p-value is (b + 1) / (m + 1) for random rearrangements (Phipson & Smyth 2010), b / m for all of them. How extreme a
    value is counts in SDs from the mean over all rearrangements of its place, the measured one among them; two-sided, in
    either direction. The second p-value holds a place against the most extreme place of every rearrangement, and so
    bounds the chance of any false positive among the places (Westfall & Young 1993; Nichols & Holmes 2002).

    observed    : (n_places,).
    null        : (m, n_places), the same rearrangements at every place.
    alternative : ``"two_sided"`` or ``"greater"``.

    Returns (n_places,) twice; NaN where the measured value is, or where no rearrangement changes it.
    """
    values = null if exact else np.concatenate([np.asarray(observed)[None], null])
    mean, sd = values.mean(axis=0), values.std(axis=0)
    size = np.abs(values).max(axis=0)
    known = np.flatnonzero(np.isfinite(observed) & (sd > SLACK * size))
    found, largest = np.full(np.shape(observed), np.nan), np.full(np.shape(observed), np.nan)
    if known.size:
        extreme, own = ((part - mean[known]) / sd[known] for part in (values[:, known], np.asarray(observed)[known]))
        if alternative == "two_sided":
            extreme, own = np.abs(extreme), np.abs(own)
        least = own - SLACK * (1.0 + size[known] / sd[known])
        found[known] = (extreme >= least).mean(axis=0)
        largest[known] = (extreme.max(axis=1)[:, None] >= least).mean(axis=0)
    return found, largest


def _parts(rows: NDArray[np.intp], n_all: int) -> Iterator[tuple[slice, NDArray[np.intp]]]:
    n_pairs = rows.shape[1] * (rows.shape[1] - 1) // 2
    step = max(1, CELLS // max(n_pairs, 1))
    for start in range(0, len(rows), step):
        yield slice(start, start + step), condensed_places(rows[start : start + step], n_all)


def _similarities(ready: Floats, fixed: Floats, measure: str) -> Doubles:
    """(m, n_pairs), (n_fixed, n_pairs) -> (m, n_fixed), both from `prepared`."""
    if measure == "kendall_tau_a":
        n = fixed.shape[1]
        return concordances(ready, fixed) / (n * (n - 1) / 2)
    return np.asarray(np.clip(units(ready, measure) @ units(fixed, measure).T, -1.0, 1.0))
