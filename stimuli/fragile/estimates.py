"""How much of a picture is fragile: counted where its map is whole, estimated with an interval where it was sampled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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


def share_of(hits: int, looked_at: int, total: int, level: float = 0.95) -> Share:
    """The share of all cells that are hits, from cells drawn without replacement.

    hits      : of those looked at.
    looked_at : cells drawn.
    total     : cells there are.
    level     : of the interval.

    The share is unbiased. The interval is Wilson's (1927) with the number drawn replaced by n(N − 1)/(N − n), which has the
    variance of a draw without replacement (Cochran 1977, eq. 3.8): it shrinks to the share itself when all are drawn.
    """
    if looked_at == 0:
        return Share(math.nan, math.nan, math.nan)
    share = hits / looked_at
    if looked_at >= total:
        return Share(share, share, share)
    n = looked_at * (total - 1) / (total - looked_at)
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Share(share, max(0.0, centre - half), min(1.0, centre + half))


@dataclass(frozen=True)
class Counted:
    """One fragility type in one map.

    total              : cells of the map.
    looked_at          : cells whose fragility is known.
    to_wrong, to_right : cells where a right window becomes wrong, and a wrong one right.
    """

    total: int
    looked_at: int
    to_wrong: int
    to_right: int

    @property
    def rate(self) -> Share:
        """The share of fragile cells, of either sign."""
        return share_of(self.to_wrong + self.to_right, self.looked_at, self.total)


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

    Pictures are strata: the variance of their mean is the sum of those of their shares over n² (Cochran 1977, eq. 5.7). The
    second interval is Student's t over pictures; the error within pictures is part of how they differ.
    """
    shares = np.array([count.rate.share for count in counts])
    mean, n = float(shares.mean()), len(shares)
    within = math.sqrt(sum(_variance(count) for count in counts)) / n
    z = NormalDist().inv_cdf((1 + level) / 2)
    of_these = (max(0.0, mean - z * within), min(1.0, mean + z * within))
    if n < 2:
        return MeanShare(mean, of_these, (math.nan, math.nan))
    from scipy.stats import t

    between = float(t.ppf((1 + level) / 2, n - 1)) * float(shares.std(ddof=1)) / math.sqrt(n)
    return MeanShare(mean, of_these, (max(0.0, mean - between), min(1.0, mean + between)))


def _variance(count: Counted) -> float:
    """Of a share, as estimated without bias from cells drawn without replacement (Cochran 1977, eq. 3.8)."""
    if count.looked_at >= count.total:
        return 0.0
    share = count.rate.share
    return share * (1 - share) / max(1, count.looked_at - 1) * (1 - count.looked_at / count.total)


Box = tuple[int, int, int, int]
"""Of an object in a picture, pixels: first row, first column, row after the last, column after the last."""


def inside_box(places: NDArray[np.int64], side: int, box: Box) -> NDArray[np.bool_]:
    """Whether the middle of each window lies in an object's box.

    places : (n_windows, 2), rows and columns of their upper left pixels.
    """
    middle = places + side / 2
    top, left, bottom, right = box
    return (middle[:, 0] >= top) & (middle[:, 0] < bottom) & (middle[:, 1] >= left) & (middle[:, 1] < right)
