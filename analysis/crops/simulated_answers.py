"""Simulated crowds with known gaps: what the intervals of `crossed_interval` are measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray

from analysis.crops.crossed_interval import Answered

Floats = NDArray[np.float64]
Members = Literal["separate", "counterbalanced", "square"]


@dataclass(frozen=True)
class Crowd:
    """People who recognise with a probability whose log odds are a sum of normal effects.

    easy, easy_sd       : log odds of an image of the pair, mean and SD over pairs.
    gap, gap_sd         : log odds of the first member minus the second, mean and SD over pairs.
    ability_sd          : SD over people.
    knack_sd            : SD of every person's own liking of every pair.
    lapse               : share of answers that are a guess among ten.
    members             : separate: people see one kind of member; counterbalanced: half of each; square: the same, and all
                          gaps of one person are larger or smaller than others' (SD `knack_sd`).
    pairs, workers      : pairs, and people of each list.
    blocks              : parts of the pairs; a person sees one.
    """

    easy: float = 0.3
    easy_sd: float = 1.2
    gap: float = 1.0
    gap_sd: float = 1.0
    ability_sd: float = 0.7
    knack_sd: float = 0.3
    lapse: float = 0.02
    members: Members = "separate"
    pairs: int = 40
    workers: int = 20
    blocks: int = 1

    def true_gap(self, points: int = 24) -> float:
        """The mean difference of the probabilities over pairs and people, by Gauss-Hermite quadrature."""
        at, weight = hermegauss(points)
        weight = weight / weight.sum()
        sd = np.sqrt(self.ability_sd**2 + self.knack_sd**2 + self.easy_sd**2)
        base = self.easy + sd * at[:, None]
        own = self.knack_sd if self.members == "square" else 0.0
        gap = self.gap + np.sqrt(self.gap_sd**2 + own**2) * at[None, :]
        both = weight[:, None] * weight[None, :]
        return float((1 - self.lapse) * ((_share(base + gap / 2) - _share(base - gap / 2)) * both).sum())

    def answers(self, generator: np.random.Generator) -> Answered:
        """One study of such pairs and people."""
        easy = self.easy + self.easy_sd * generator.standard_normal(self.pairs)
        gap = self.gap + self.gap_sd * generator.standard_normal(self.pairs)
        found: list[tuple[Floats, NDArray[np.intp], NDArray[np.int_], int]] = []
        for block in range(self.blocks):
            units = np.arange(block, self.pairs, self.blocks)
            for group in (0, 1):
                sign = np.where((np.arange(units.size) * (self.members != "separate") + group) % 2 == 0, 1, -1)
                ability = self.ability_sd * generator.standard_normal((self.workers, 1))
                knack = self.knack_sd * generator.standard_normal((self.workers, units.size))
                if self.members == "square":
                    knack = knack + self.knack_sd * generator.standard_normal((self.workers, 1)) * sign / 2
                p = _share(easy[units] + sign * gap[units] / 2 + ability + knack)
                p = (1 - self.lapse) * p + self.lapse / 10
                found.append(((generator.random(p.shape) < p).astype(np.float64), units, sign, len(found)))
        shape = [value.shape for value, *_ in found]
        workers = [
            np.arange(n)[:, None] + 1000 * place + np.zeros((n, m), dtype=np.intp) for place, (n, m) in enumerate(shape)
        ]
        return Answered(
            np.concatenate([value.ravel() for value, *_ in found]),
            np.concatenate(
                [np.broadcast_to(unit, size).ravel() for (_, unit, _, _), size in zip(found, shape, strict=True)]
            ),
            np.concatenate(
                [np.broadcast_to(sign, size).ravel() for (_, _, sign, _), size in zip(found, shape, strict=True)]
            ),
            np.concatenate([worker.ravel() for worker in workers]),
            np.concatenate([np.full(size, name).ravel() for (*_, name), size in zip(found, shape, strict=True)]),
        )


SCENARIOS: dict[str, Crowd] = {
    "separate groups": Crowd(),
    "counterbalanced": Crowd(members="counterbalanced"),
    "no gap": Crowd(gap=0.0, gap_sd=0.0),
    "no gap on average": Crowd(gap=0.0),
    "pairs alike": Crowd(easy_sd=0.3, gap=0.8, gap_sd=0.0, ability_sd=0.5),
    "people alike": Crowd(ability_sd=0.0, knack_sd=0.0),
    "people differ": Crowd(ability_sd=1.5, gap_sd=0.5),
    "people differ, counterbalanced": Crowd(ability_sd=1.5, gap_sd=0.5, members="square"),
    "near the ceiling": Crowd(easy=2.5, gap=0.8),
    "large gaps": Crowd(gap=2.0, gap_sd=1.5),
    "four blocks": Crowd(blocks=4),
    "four blocks, counterbalanced": Crowd(blocks=4, members="counterbalanced"),
}


def pigeonhole(
    answered: Answered, resamples: int, coverage: float, generator: np.random.Generator
) -> tuple[float, float]:
    """Owen's (2007) bootstrap, which draws pairs and people again, for comparison: it counts the answers' own chance twice more.

    Returns the percentile interval of the mean difference.
    """
    units, unit = np.unique(answered.unit, return_inverse=True)
    workers, first, worker = np.unique(answered.worker, return_index=True, return_inverse=True)
    lists = answered.of_list[first]
    values = np.empty(resamples)
    for k in range(resamples):
        of_unit = np.bincount(generator.integers(0, units.size, units.size), minlength=units.size)
        of_worker = np.zeros(workers.size)
        for name in np.unique(lists):
            mine = np.flatnonzero(lists == name)
            of_worker[mine] = np.bincount(generator.integers(0, mine.size, mine.size), minlength=mine.size)
        weight = of_worker[worker]
        cell = 2 * unit + (answered.sign < 0)
        n = np.bincount(cell, weight, 2 * units.size)
        means = np.bincount(cell, weight * answered.value, 2 * units.size) / n
        values[k] = (of_unit * (means[0::2] - means[1::2])).sum() / units.size
    low, high = np.quantile(values, [(1 - coverage) / 2, (1 + coverage) / 2])
    return float(low), float(high)


def _share(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)))
