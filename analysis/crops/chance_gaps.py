"""How large gaps between two shares are by chance alone, when both members of every pair are recognised alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.crops.crossed_interval import Answered, unit_values

Floats = NDArray[np.float64]
MOST_STEPS = 40_000
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
    groups = _groups(answered)
    observed = float(np.abs(unit_values(answered)[1]).mean())
    drawn = np.empty(draws)
    for k in range(draws):
        found = [group.gaps(group.lists[generator.permutation(group.lists.size)]) for group in groups]
        drawn[k] = np.nanmean(np.concatenate(found))
    p = (1 + int((drawn >= observed - 1e-9).sum())) / (1 + draws)
    return Chance(np.sort(drawn), np.full(draws, 1 / draws), f"{_spaced(draws)} deals"), p


def _on_grid(counts: Counts, grid: int) -> tuple[int, Floats]:
    """The probability of every multiple of 1 / grid, and the grid."""
    from scipy.stats import binom

    n_1, n_2 = counts.answers
    both = np.outer(binom.pmf(np.arange(n_1 + 1), n_1, counts.rate), binom.pmf(np.arange(n_2 + 1), n_2, counts.rate))
    steps = np.abs(np.arange(n_1 + 1)[:, None] * (grid // n_1) - np.arange(n_2 + 1)[None, :] * (grid // n_2))
    return grid, np.bincount(steps.ravel(), both.ravel(), grid + 1).astype(np.float64)


@dataclass(frozen=True)
class _Group:
    """People who saw the same pairs, by lists that differ in which member was shown.

    right, known : (n_workers, n_units) right answers, and where there is an answer.
    lists        : (n_workers,) everybody's list.
    signs        : list -> (n_units,) +1 or -1, which member it shows.
    """

    right: Floats
    known: Floats
    lists: NDArray[np.intp]
    signs: dict[int, NDArray[np.int_]]

    def gaps(self, lists: NDArray[np.intp]) -> Floats:
        """(n_units,) absolute gaps if everybody had been given these lists, (n_workers,)."""
        right, n = np.zeros((2, self.right.shape[1])), np.zeros((2, self.right.shape[1]))
        for name, sign in self.signs.items():
            mine = (lists == name).astype(np.float64)
            of_right, of_n = mine @ self.right, mine @ self.known
            for side, wanted in enumerate((1, -1)):
                right[side] += of_right * (sign == wanted)
                n[side] += of_n * (sign == wanted)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.abs(right[0] / n[0] - right[1] / n[1]))


def _groups(answered: Answered) -> list[_Group]:
    """People by the units that their lists show."""
    shown: dict[bytes, list[int]] = {}
    for name in np.unique(answered.of_list):
        shown.setdefault(np.unique(answered.unit[answered.of_list == name]).tobytes(), []).append(int(name))
    found = []
    for names in shown.values():
        mine = answered.only(np.isin(answered.of_list, names))
        units, unit = np.unique(mine.unit, return_inverse=True)
        workers, first, worker = np.unique(mine.worker, return_index=True, return_inverse=True)
        right, known = np.zeros((workers.size, units.size)), np.zeros((workers.size, units.size))
        right[worker, unit], known[worker, unit] = mine.value, 1.0
        signs = {}
        for name in names:
            sign, here = np.zeros(units.size, dtype=np.int_), mine.of_list == name
            sign[unit[here]] = mine.sign[here]
            signs[name] = sign
        found.append(_Group(right, known, mine.of_list[first], signs))
    return found


def _spaced(count: int) -> str:
    return f"{count:,}".replace(",", "\u2009")
