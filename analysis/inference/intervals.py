"""Intervals from replicates: what each covers is measured in tests/benchmarks/interval_coverage.py."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.inference.weights import Deletions

SHARE_CORRECTED = 0.5  # of the second-order part: see `jackknife_variance`
CLOSE_TO_ONE = 1.0 - 1e-6


@dataclass(frozen=True)
class Interval:
    """An interval of a statistic and how it came about.

    low, high : the bounds; NaN when there is none.
    method    : how, in words.
    undefined : resamples in which the statistic was not defined, and which were left out.
    estimand  : what it is an interval of, in words.
    resampled : what was resampled, in words.
    """

    low: float
    high: float
    method: str
    undefined: int = 0
    estimand: str = ""
    resampled: str = ""


def percentile_interval(replicates: NDArray[np.float64], interval: float) -> Interval:
    """The percentile bootstrap interval, undefined replicates left out and counted.

    replicates : (n_resamples,) values of the statistic.
    interval   : coverage asked for, e.g. 0.95.
    """
    kept = replicates[np.isfinite(replicates)]
    method = f"percentile bootstrap, {len(replicates)} resamples"
    if kept.size < len(replicates) / 2:
        return Interval(np.nan, np.nan, method, len(replicates) - kept.size)
    low, high = np.quantile(kept, [(1 - interval) / 2, (1 + interval) / 2])
    return Interval(float(low), float(high), method, len(replicates) - kept.size)


def subsample_interval(
    value: float, replicates: NDArray[np.float64], share: float, interval: float, *, rescaled: bool
) -> Interval:
    """The interval of sub-samples without replacement (Zhang et al. 2021: 80 % of the voxels).

    Sub-samples of a large share have most voxels in common: their variance is (1 − share) / share of that of studies with
    other voxels. Rescaled, the interval is the value and as much as a normal spread of that size reaches (Politis, Romano
    & Wolf 1999); else the percentiles as they are, which describe the sub-samples and cover nothing.

    value      : the statistic on all voxels.
    replicates : (n_resamples,).
    share      : of the voxels in a sub-sample.
    interval   : coverage asked for.
    """
    kept = replicates[np.isfinite(replicates)]
    undefined = len(replicates) - kept.size
    method = f"{100 * share:g} % sub-sampling without replacement, {len(replicates)} sub-samples"
    method += ", rescaled" if rescaled else ", percentiles as they are"
    if kept.size < len(replicates) / 2:
        return Interval(np.nan, np.nan, method, undefined)
    if not rescaled:
        low, high = np.quantile(kept, [(1 - interval) / 2, (1 + interval) / 2])
        return Interval(float(low), float(high), method, undefined)
    reach = float(stats.norm.ppf((1 + interval) / 2)) * float(kept.std(ddof=1)) * math.sqrt(share / (1 - share))
    return Interval(value - reach, value + reach, method, undefined)


@dataclass(frozen=True)
class Variance:
    """A delete-block jackknife's variance.

    plain        : Σ over subjects of (B − 1)/B · Σ (T without a block − their mean)².
    second_order : what the plain one counts twice of how pairs of blocks act together (Efron & Stein 1981); 0 without pairs.
    dof          : degrees of freedom of `plain` (Welch–Satterthwaite over subjects).
    """

    plain: float
    second_order: float
    dof: float

    @property
    def corrected(self) -> float:
        """`plain` less half of `second_order`, of which at most three quarters of `plain` are believed.

        The plain jackknife is too large on average (Efron & Stein 1981), the wholly corrected one is a little too small, as
        third orders and its own noise enter; between the two lies the variance of simulated studies.
        """
        return self.plain - SHARE_CORRECTED * min(self.second_order, 0.75 * self.plain)


def jackknife_variance(replicates: NDArray[np.float64], deletions: Deletions) -> Variance:
    """The variance of a statistic by leaving out blocks of voxels, each subject's by themselves.

    replicates : (1 + n_blocks + n_pairs,) the statistic on all voxels, without each block, without each two.
    deletions  : what was left out.
    """
    n = len(deletions.strata)
    whole, ones, twos = replicates[0], replicates[1 : 1 + n], replicates[1 + n :]
    subjects = np.unique(deletions.strata)
    sizes = {int(s): int((deletions.strata == s).sum()) for s in subjects}
    parts = [ones[deletions.strata == s] for s in subjects]
    of_subjects = [(b.size - 1) / b.size * float(((b - b.mean()) ** 2).sum()) for b in parts]
    plain = sum(of_subjects)
    spread = sum(v**2 / (b.size - 1) for v, b in zip(of_subjects, parts, strict=True))
    dof = plain**2 / spread if spread > 0 else float(n - len(subjects))
    second = 0.0
    if len(twos):
        first, other = deletions.pairs.T
        where = np.stack([deletions.strata[first], deletions.strata[other]])
        for a in subjects:
            m = sizes[int(a)]
            own = (where == a).all(axis=0)
            if own.sum() > 1:
                i, j = first[own], other[own]
                together = m * whole - (m - 1) * (ones[i] + ones[j]) + (m - 2) * twos[own]
                second += float(((together - together.mean()) ** 2).sum()) / (m * (m - 1))
            for b in subjects[subjects > a]:
                k = sizes[int(b)]
                across = (where[0] == a) & (where[1] == b) | (where[0] == b) & (where[1] == a)
                together = whole - ones[first[across]] - ones[other[across]] + twos[across]
                second += float(((together - together.mean()) ** 2).sum()) * (m - 1) * (k - 1) / (m * k)
    return Variance(plain, second, dof)


def jackknife_interval(
    replicates: NDArray[np.float64],
    deletions: Deletions,
    interval: float,
    *,
    fisher: bool = False,
    correct: bool = True,
) -> Interval:
    """The t interval of a delete-block jackknife.

    Blocks of neighbouring voxels are nearly independent where single voxels are not, so that few large blocks with the t
    distribution's degrees of freedom cover under spatially correlated noise (Bester, Conley & Hansen 2011).

    replicates : (1 + n_blocks + n_pairs,) see `jackknife_variance`.
    deletions  : what was left out.
    interval   : coverage asked for.
    fisher     : on Fisher's z, for a similarity in (−1, 1).
    correct    : the variance for its second order.

    Returns NaN bounds when the statistic is not defined without some block.
    """
    n = len(deletions.strata)
    method = f"delete-block jackknife, {n} blocks of neighbours, t"
    method += " on Fisher's z" if fisher else ""
    undefined = int((~np.isfinite(replicates)).sum())
    if undefined:
        return Interval(np.nan, np.nan, method, undefined)
    found = jackknife_variance(replicates, deletions)
    se = math.sqrt(found.corrected if correct else found.plain)
    return t_interval(float(replicates[0]), se, found.dof, interval, method, fisher=fisher)


def t_interval(value: float, se: float, dof: float, interval: float, method: str, *, fisher: bool) -> Interval:
    """A value and as far as its standard error reaches with Student's t, on Fisher's z or as it is."""
    reach = float(stats.t.ppf((1 + interval) / 2, max(dof, 1.0))) * se
    if not fisher or abs(value) >= CLOSE_TO_ONE:
        return Interval(value - reach, value + reach, method)
    z, scale = math.atanh(value), 1.0 / (1.0 - value**2)
    return Interval(math.tanh(z - reach * scale), math.tanh(z + reach * scale), method)
