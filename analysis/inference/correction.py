"""P-values of many tests, corrected: Holm for any false positive, Benjamini and Hochberg for their share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def holm(p: NDArray[np.floating[Any]]) -> Doubles:
    """P-values such that at most a share α of families has any false one below α (Holm 1979), whatever their dependence.

    p : (n_tests,) in [0, 1]; NaN for a test that there is not, which counts for nothing.
    """
    order, ordered = _ordered(p)
    steps = np.arange(ordered.size, 0, -1)
    return _back(p, order, np.minimum(1.0, np.maximum.accumulate(ordered * steps)))


def benjamini_hochberg(p: NDArray[np.floating[Any]]) -> Doubles:
    """P-values such that at most a share α of those below α is false on average (Benjamini & Hochberg 1995).

    For tests that are independent or go together positively. Arguments as in `holm`.
    """
    order, ordered = _ordered(p)
    steps = ordered.size / np.arange(1, ordered.size + 1)
    return _back(p, order, np.minimum(1.0, np.minimum.accumulate((ordered * steps)[::-1])[::-1]))


def _ordered(p: NDArray[np.floating[Any]]) -> tuple[NDArray[np.intp], Doubles]:
    values = np.asarray(p, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    return order, values[order]


def _back(p: NDArray[np.floating[Any]], order: NDArray[np.intp], corrected: Doubles) -> Doubles:
    found = np.full(np.shape(p), np.nan)
    found[order] = corrected
    return found
