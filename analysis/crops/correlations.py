"""How two gaps of the same pairs go together."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

METHODS = {
    "pearson": "Fisher's z over pairs",
    "spearman": "Fisher's z over pairs with the standard error of Bonett and Wright (2000)",
}


def correlation(
    first: NDArray[np.float64], second: NDArray[np.float64], kind: str, coverage: float
) -> tuple[float, float, float]:
    """Pearson's r or Spearman's rho of pairs, and its interval over pairs; NaN where it is not defined.

    kind : pearson or spearman.
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    if kind == "spearman":
        first, second = rankdata(first), rankdata(second)
    if first.size < 4 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan, math.nan, math.nan
    r = float(np.corrcoef(first, second)[0, 1])
    if abs(r) >= 1 - 1e-12:
        return round(r), math.nan, math.nan
    error = math.sqrt((1 + r**2 / 2 if kind == "spearman" else 1) / (first.size - 3))
    reach = float(ndtri((1 + coverage) / 2)) * error
    return r, math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach)
