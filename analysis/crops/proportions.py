"""Shares of right answers, and differences of two, with score intervals."""

from __future__ import annotations

import math

WILSON = "Wilson's score interval (Wilson 1927)"
NEWCOMBE = "Newcombe's hybrid of two score intervals (Newcombe 1998, method 10)"


def wilson(successes: int, of: int, coverage: float) -> tuple[float, float]:
    """Wilson's score interval of a share, without continuity correction; NaN for no answers.

    It holds 0 for none and 1 for all, and is no point then.
    """
    from scipy.special import ndtri

    if not of:
        return math.nan, math.nan
    z = float(ndtri((1 + coverage) / 2))
    share = successes / of
    middle = (share + z**2 / (2 * of)) / (1 + z**2 / of)
    reach = z / (1 + z**2 / of) * math.sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    return (0.0 if successes == 0 else middle - reach), (1.0 if successes == of else middle + reach)


def difference(first: tuple[int, int], second: tuple[int, int], coverage: float) -> tuple[float, float]:
    """Newcombe's interval of the difference of two independent shares (method 10); NaN where one has no answers.

    first, second : right answers, and answers.
    """
    if not first[1] or not second[1]:
        return math.nan, math.nan
    share_1, share_2 = first[0] / first[1], second[0] / second[1]
    (low_1, high_1), (low_2, high_2) = wilson(*first, coverage), wilson(*second, coverage)
    gap = share_1 - share_2
    below = math.hypot(share_1 - low_1, high_2 - share_2)
    above = math.hypot(high_1 - share_1, share_2 - low_2)
    return gap - below, gap + above
