"""Whether values rise or fall over layers or ROIs: Mann–Kendall's S and Spearman's ρ with their exact null distributions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import permutations
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_ENUMERATED = 9  # 9! orders are 3 million ranks


@dataclass(frozen=True)
class Trend:
    """How values go over an ordered series of places.

    n     : places with a value.
    s     : rises minus falls over all pairs of places (Mann 1945); ties are neither.
    tau_a : s over the number of pairs.
    p     : two-sided, exact: that any order of these values gives a |S| as large.
    rho   : Spearman's correlation of value and place; NaN when all values are the same.
    p_rho : two-sided, exact, for up to 9 places; NaN for more.
    """

    n: int
    s: int
    tau_a: float
    p: float
    rho: float
    p_rho: float


def trend(values: NDArray[np.floating[Any]]) -> Trend | None:
    """The trend of values in the order of their places.

    The null hypothesis is that any value might as well have stood at any other place. Each value counts as it is: how sure
    it is does not enter.

    values : (n,), NaN for a place without one, which is left out.

    Returns None with fewer than three values: no order of two is unlikely.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    n = known.size
    if n < 3:
        return None
    s = kendall_s(known)
    sizes, counts = s_distribution(list(Counter(known.tolist()).values()))
    likely = sum(count for size, count in zip(sizes, counts, strict=True) if abs(size) >= abs(s))
    rho, p_rho = _rank_correlation(known)
    return Trend(n, s, s / comb(n, 2), likely / sum(counts), rho, p_rho)


def kendall_s(values: NDArray[np.floating[Any]]) -> int:
    """Rises minus falls over all pairs: Σ_{i<j} sgn(x_j − x_i) (Mann 1945); values (n,), finite."""
    differences = np.sign(values[None, :] - values[:, None])
    return int(np.triu(differences, 1).sum())


def s_distribution(ties: list[int]) -> tuple[list[int], list[int]]:
    """How many of all distinct orders of the values give each S.

    The number of orders of a multiset by inversions is the Gaussian multinomial coefficient (MacMahon 1916), here in exact
    integers; an inversion lowers S by 2 from the number of untied pairs.

    ties : how often each distinct value is there; (1, 1, 1) for three different values.

    Returns the values of S, falling, and as many counts; they sum to n! / Π ties!.
    """
    n = sum(ties)
    polynomial = [1]
    for k in range(2, n + 1):
        polynomial = _times_bracket(polynomial, k)
    for tied in ties:
        for k in range(2, tied + 1):
            polynomial = _over_bracket(polynomial, k)
    untied = comb(n, 2) - sum(comb(tied, 2) for tied in ties)
    return [untied - 2 * inversions for inversions in range(len(polynomial))], polynomial


def _times_bracket(polynomial: list[int], k: int) -> list[int]:
    """Times 1 + q + … + q^(k−1)."""
    product, window = [], 0
    for i in range(len(polynomial) + k - 1):
        window += polynomial[i] if i < len(polynomial) else 0
        window -= polynomial[i - k] if i >= k else 0
        product.append(window)
    return product


def _over_bracket(polynomial: list[int], k: int) -> list[int]:
    """Over 1 + q + … + q^(k−1), which divides it: c_i = a_i − c_(i−1) − … − c_(i−k+1)."""
    quotient: list[int] = []
    for i in range(len(polynomial) - k + 1):
        quotient.append(polynomial[i] - sum(quotient[max(0, i - k + 1) : i]))
    return quotient


def _rank_correlation(values: NDArray[np.float64]) -> tuple[float, float]:
    n = values.size
    ranks = np.sign(values[:, None] - values[None, :]).sum(axis=1)  # doubled and centred; integers
    places = 2.0 * np.arange(n) - (n - 1)
    power = float(np.square(ranks).sum() * np.square(places).sum())
    if power == 0:
        return float("nan"), 1.0
    product = float(ranks @ places)
    rho = product / power**0.5
    if n > MOST_ENUMERATED:
        return rho, float("nan")
    orders = np.array(list(permutations(range(n))))
    return rho, float((np.abs(ranks[orders] @ places) >= abs(product)).mean())
