"""How large gaps between two shares are by chance alone, when both members of every pair are recognised alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.crops.crossed_interval import Answered, unit_values

Floats = NDArray[np.float64]
MOST_STEPS = 200_000
"""Of the grid on which the distribution of a mean gap is exact; with more, it is drawn."""
DRAWS = 100_000


@dataclass(frozen=True)
class Counts:
    """Right answers and answers to the two members of a pair."""

    right: tuple[int, int]
    answers: tuple[int, int]

    @property
    def gap(self) -> float:
        """The absolute difference of the shares."""
        return abs(self.right[0] / self.answers[0] - self.right[1] / self.answers[1])

    @property
    def rate(self) -> float:
        """The share of both together."""
        return sum(self.right) / sum(self.answers)


@dataclass(frozen=True)
class Chance:
    """Distribution of an absolute gap, or of the mean of several, under the null.

    gap   : (n,) its values, ascending.
    share : (n,) their probabilities.
    how   : exact, or by how many draws.
    """

    gap: Floats
    share: Floats
    how: str

    @property
    def mean(self) -> float:
        """The gap to be expected."""
        return float(self.gap @ self.share)

    def at_least(self, gap: float) -> float:
        """The probability of a gap as large, or larger."""
        return float(min(1.0, self.share[self.gap >= gap - 1e-9].sum()))

    def bounds(self, coverage: float) -> tuple[float, float]:
        """Within which so much of it lies, the same share outside on either side."""
        upto = np.cumsum(self.share)
        low, high = np.searchsorted(upto, [(1 - coverage) / 2 + 1e-12, (1 + coverage) / 2 - 1e-12])
        return float(self.gap[low]), float(self.gap[min(int(high), self.gap.size - 1)])


def chance_of_pair(counts: Counts) -> Chance:
    """The exact distribution of |difference| of two binomial shares with the pair's pooled rate."""
    steps, shares = _on_grid(counts, math.lcm(*counts.answers))
    kept = np.flatnonzero(shares)
    return Chance(kept / steps, shares[kept], "exact")


def chance_of_mean(pairs: Sequence[Counts], generator: np.random.Generator, draws: int = DRAWS) -> Chance:
    """The distribution of the mean absolute gap over pairs: exact on a common grid, or drawn where that is too fine.

    pairs     : every one with answers to both members.
    generator : for the draws.
    """
    grid = math.lcm(*(n for pair in pairs for n in pair.answers))
    if grid * len(pairs) <= MOST_STEPS:
        total = np.array([1.0])
        for pair in pairs:
            total = np.convolve(total, _on_grid(pair, grid)[1])
        kept = np.flatnonzero(total > 0)
        return Chance(kept / (grid * len(pairs)), total[kept] / total[kept].sum(), "exact")
    sums = np.zeros(draws)
    for pair in pairs:
        first, second = (generator.binomial(n, pair.rate, draws) / n for n in pair.answers)
        sums += np.abs(first - second)
    return Chance(np.sort(sums / len(pairs)), np.full(draws, 1 / draws), f"{_spaced(draws)} draws")


def dealt_again(answered: Answered, generator: np.random.Generator, draws: int) -> tuple[Chance, float]:
    """The mean absolute gap when people are dealt anew to the lists of the same pairs, and the p-value of one as large as found.

    answered : complete units, two signs.

    If every person answers both members of a pair alike, it does not matter whose answers came from which list: this null,
    unlike the binomial one, keeps that one person's answers go together, so that one group's being better than the other's
    is no gap. Lists that share pairs are dealt among each other. p counts the true deal (Phipson & Smyth 2010).
    """
    names, unit = np.unique(answered.unit, return_inverse=True)
    workers, first, worker = np.unique(answered.worker, return_index=True, return_inverse=True)
    lists = answered.of_list[first]
    table = np.full((workers.size, names.size), np.nan)
    table[worker, unit] = answered.value
    signs = {name: _signs(answered, name, unit, names.size) for name in np.unique(lists)}
    groups = _sharing(signs)
    observed = float(np.abs(unit_values(answered)[1]).mean())
    drawn = np.empty(draws)
    for k in range(draws):
        dealt = lists.copy()
        for group in groups:
            mine = np.flatnonzero(np.isin(lists, group))
            dealt[mine] = lists[mine][generator.permutation(mine.size)]
        drawn[k] = _mean_gap(table, dealt, signs)
    p = (1 + int((drawn >= observed - 1e-9).sum())) / (1 + draws)
    return Chance(np.sort(drawn), np.full(draws, 1 / draws), f"{_spaced(draws)} deals"), p


def _on_grid(counts: Counts, grid: int) -> tuple[int, Floats]:
    """The probability of every multiple of 1 / grid, and the grid."""
    from scipy.stats import binom

    n_1, n_2 = counts.answers
    both = np.outer(binom.pmf(np.arange(n_1 + 1), n_1, counts.rate), binom.pmf(np.arange(n_2 + 1), n_2, counts.rate))
    steps = np.abs(np.arange(n_1 + 1)[:, None] * (grid // n_1) - np.arange(n_2 + 1)[None, :] * (grid // n_2))
    return grid, np.bincount(steps.ravel(), both.ravel(), grid + 1).astype(np.float64)


def _spaced(count: int) -> str:
    return f"{count:,}".replace(",", "\u2009")


def _signs(answered: Answered, name: int, unit: NDArray[np.intp], n_units: int) -> NDArray[np.int_]:
    found = np.zeros(n_units, dtype=np.int_)
    mine = answered.of_list == name
    found[unit[mine]] = answered.sign[mine]
    return found


def _sharing(signs: dict[int, NDArray[np.int_]]) -> list[list[int]]:
    """Lists that show the very same units."""
    found: dict[bytes, list[int]] = {}
    for name, of_list in signs.items():
        found.setdefault((of_list != 0).tobytes(), []).append(int(name))
    return list(found.values())


def _mean_gap(table: Floats, lists: NDArray[np.intp], signs: dict[int, NDArray[np.int_]]) -> float:
    sums, counts = np.zeros((2, table.shape[1])), np.zeros((2, table.shape[1]))
    known = np.isfinite(table)
    filled = np.where(known, table, 0.0)
    for name, sign in signs.items():
        mine = lists == name
        right, n = filled[mine].sum(axis=0), known[mine].sum(axis=0)
        for side, wanted in enumerate((1, -1)):
            sums[side] += right * (sign == wanted)
            counts[side] += n * (sign == wanted)
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = np.abs(sums[0] / counts[0] - sums[1] / counts[1])
    return float(np.nanmean(gaps))
