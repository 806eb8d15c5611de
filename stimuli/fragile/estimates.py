"""How much of a picture is fragile: counted where its map is whole, estimated with an interval where it was sampled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from stimuli.fragile.definitions import FragileMap


@dataclass(frozen=True)
class Share:
    """A share of a map's cells.

    share      : 0 to 1.
    low, high  : of the 95 % interval for the share of all cells; both `share` where all were looked at.
    """

    share: float
    low: float
    high: float


@lru_cache(maxsize=1 << 16)
def share_of(hits: int, looked_at: int, total: int, level: float = 0.95) -> Share:
    """The share of all cells that are hits, from cells drawn without replacement.

    hits      : of those looked at.
    looked_at : cells drawn.
    total     : cells there are.
    level     : of the interval.

    The share is unbiased. The interval holds the numbers of hits in all that the hypergeometric distribution does not speak
    against, what was found counting half (mid-P; Berry and Armitage 1995): it holds for rare hits too, and is the share itself
    when all are drawn.
    """
    if looked_at == 0:
        return Share(math.nan, math.nan, math.nan)
    share = hits / looked_at
    if looked_at >= total:
        return Share(share, share, share)
    low = _fewest(hits, looked_at, total, (1 - level) / 2) / total
    high = 1 - _fewest(looked_at - hits, looked_at, total, (1 - level) / 2) / total
    return Share(share, min(low, share), max(high, share))


def _fewest(hits: int, looked_at: int, total: int, tail: float) -> int:
    """The smallest number of hits in all with which so many among those drawn, or more, are likelier than `tail`."""
    if hits == 0:
        return 0
    below, enough = hits - 1, min(math.ceil(hits * total / looked_at), total - looked_at + hits)
    while enough - below > 1:
        middle = (below + enough) // 2
        if _mid_p(hits, looked_at, middle, total) > tail:
            enough = middle
        else:
            below = middle
    return enough


def _mid_p(hits: int, looked_at: int, of: int, total: int) -> float:
    """P(X > hits) + P(X = hits)/2 of a hypergeometric X: hits among `looked_at` of `total`, which hold `of`."""
    here = math.exp(_log_ways(of, hits) + _log_ways(total - of, looked_at - hits) - _log_ways(total, looked_at))
    k = np.arange(hits, min(of, looked_at))
    steps = (of - k) * (looked_at - k) / ((k + 1) * (total - of - looked_at + k + 1))
    return here * (0.5 + float(np.cumprod(steps).sum()))


def _log_ways(of: int, chosen: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)


@dataclass(frozen=True)
class Counted:
    """One fragility type in one map.

    total              : cells of the map.
    looked_at          : cells whose fragility is known.
    to_incorrect, to_correct : cells where a right window becomes wrong, and a wrong one right.
    """

    total: int
    looked_at: int
    to_incorrect: int
    to_correct: int

    @property
    def rate(self) -> Share:
        """The share of fragile cells, of either sign."""
        return share_of(self.to_incorrect + self.to_correct, self.looked_at, self.total)


def counted(signs: FragileMap, total: int) -> Counted:
    """The counts of a map, or of cells drawn from one.

    signs : of cells, any shape: 1, −1 or 0.
    total : cells of the whole map.
    """
    return Counted(total, signs.size, int((signs > 0).sum()), int((signs < 0).sum()))


@dataclass(frozen=True)
class MeanShare:
    """The mean of several pictures' shares.

    of_these : interval for the mean over these very pictures, had all their windows been looked at.
    of_such  : interval for the mean over pictures like these (their differences included); NaN for one picture.
    """

    mean: float
    of_these: tuple[float, float]
    of_such: tuple[float, float]


def mean_share(counts: Sequence[Counted], level: float = 0.95) -> MeanShare:
    """The mean share over pictures, each counting the same, as the paper's percentages do.

    Pictures are strata: the variance of their mean is the sum of those of their shares over n² (Cochran 1977, eq. 5.7). Where
    hits are rare this variance is small when few happened to be found, so it is taken to grow with the mean (a score interval,
    as Wilson's 1927): pictures without a hit have an interval too. The second interval is Student's t over pictures; the
    error within pictures is part of how they differ, and it is never narrower than the first.
    """
    shares = np.array([count.rate.share for count in counts])
    mean, n = float(shares.mean()), len(shares)
    if n < 2:
        rate = counts[0].rate
        return MeanShare(mean, (rate.low, rate.high), (math.nan, math.nan))
    low, high = _of_these(counts, shares, NormalDist().inv_cdf((1 + level) / 2))
    from scipy.stats import t

    between = float(t.ppf((1 + level) / 2, n - 1)) * float(shares.std(ddof=1)) / math.sqrt(n)
    return MeanShare(mean, (low, high), (max(0.0, min(low, mean - between)), min(1.0, max(high, mean + between))))


def _of_these(counts: Sequence[Counted], shares: NDArray[np.float64], z: float) -> tuple[float, float]:
    """The means θ with |mean − θ| ≤ z·√(V + slope·(θ − mean)), V the variance as it was estimated."""
    mean, n = float(shares.mean()), len(shares)
    units = np.array([_unit(count) for count in counts]) / n**2
    sampled = max(1, int((units > 0).sum()))
    variance = float((units * shares * (1 - shares)).sum())
    slopes = n / sampled * units * (1 - 2 * shares)
    if variance == 0:  # no picture has both: none had a hit, or all had nothing else
        down, up = (z**2 * float(slopes[shares == all_of_it].sum()) for all_of_it in (1, 0))
        return max(0.0, mean + down), min(1.0, mean + up)
    bend = z**2 * float(slopes.sum()) / 2
    half = math.sqrt(z**2 * variance + bend**2)
    return max(0.0, mean + bend - half), min(1.0, mean + bend + half)


def _unit(count: Counted) -> float:
    """What share · (1 − share) is multiplied by in a share's variance (without replacement; Cochran 1977, eq. 3.8)."""
    if count.looked_at >= count.total:
        return 0.0
    return (1 - count.looked_at / count.total) / max(1, count.looked_at - 1)


Box = tuple[int, int, int, int]
"""Of an object in a picture, pixels: first row, first column, row after the last, column after the last."""


def inside_box(places: NDArray[np.int64], side: int, box: Box) -> NDArray[np.bool_]:
    """Whether the middle of each window lies in an object's box.

    places : (n_windows, 2), rows and columns of their upper left pixels.
    """
    middle = places + side / 2
    top, left, bottom, right = box
    return (middle[:, 0] >= top) & (middle[:, 0] < bottom) & (middle[:, 1] >= left) & (middle[:, 1] < right)
