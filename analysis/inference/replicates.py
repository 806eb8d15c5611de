"""Similarities under weights: one function, whatever is resampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.inference.weighted_rdms import resampled_rdms
from analysis.inference.weights import Weights, pair_weights
from analysis.similarity import correlation, partial_correlation, reliability_corrected

Pair = tuple[str, str]
SetPatterns = Mapping[str, NDArray[np.floating[Any]]]
Doubles = NDArray[np.float64]
Statistic = Callable[[Weights], Mapping[Any, NDArray[np.float64]]]

ROWS = 1024  # resamples at a time: as many RDMs of 40 images are 6 MB


@dataclass(frozen=True)
class Part:
    """Patterns over one choice of voxels (or units).

    columns : (n_voxels,) place of each voxel among all that are resampled.
    whole   : set -> (n_images, n_voxels) patterns.
    halves  : the same of independent halves of the runs; none for a network.
    """

    columns: NDArray[np.intp]
    whole: SetPatterns
    halves: tuple[SetPatterns, ...] = ()


@dataclass(frozen=True)
class Similarities:
    """Which similarities are told of which patterns: a statistic of weights.

    parts         : choices of voxels whose RDMs are averaged; together they hold two halves, or none.
    rdms          : set -> (n_pairs,) as measured, for weights of images alone.
    half_rdms     : set -> the same of the two halves; empty where there are none.
    pairs         : sets compared.
    dissimilarity : one of `weighted_rdms.MEASURES` where voxels are weighted.
    similarity    : a name in `analysis.similarity.SIMILARITIES`.
    models        : set -> (1, n_pairs) RDM of the order of trials; empty where it is not known.
    """

    parts: Sequence[Part]
    rdms: Mapping[str, Doubles]
    half_rdms: Mapping[str, tuple[Doubles, Doubles]]
    pairs: Sequence[Pair]
    dissimilarity: str
    similarity: str
    models: Mapping[str, Doubles] = field(default_factory=dict)

    def __call__(self, weights: Weights) -> dict[tuple[Pair, str], Doubles]:
        """(pair, quantity) -> (n_resamples,) for ``raw``, ``corrected`` and ``partial``."""
        n = len(weights)
        counted = None if weights.images is None else pair_weights(weights.images)
        of_sets = {
            name: self._rdms(name, weights) for name in dict.fromkeys(name for pair in self.pairs for name in pair)
        }
        found: dict[tuple[Pair, str], Doubles] = {}
        for pair in self.pairs:
            (first, first_halves), (second, second_halves) = of_sets[pair[0]], of_sets[pair[1]]
            corrected = partial = np.full(n, np.nan)
            if first_halves and second_halves:
                corrected = reliability_corrected(first_halves, second_halves, self.similarity, counted)
            if self.models and counted is None:
                models = np.concatenate([self.models[name] for name in pair])
                partial = partial_correlation(first, second, models, self.similarity)
            found[pair, "raw"] = correlation(first, second, self.similarity, counted)
            found[pair, "corrected"], found[pair, "partial"] = corrected, partial
        return {name: np.broadcast_to(values, n) for name, values in found.items()}

    def _rdms(self, name: str, weights: Weights) -> tuple[Doubles, tuple[Doubles, Doubles] | None]:
        """The set's RDM and those of its halves: (n_resamples, n_pairs), or (1, n_pairs) where no voxels are weighted."""
        if weights.voxels is None:
            halves = self.half_rdms.get(name)
            return self.rdms[name][None], (halves[0][None], halves[1][None]) if halves else None

        drawn = weights.voxels

        def of(part: Part, patterns: SetPatterns) -> Doubles:
            return resampled_rdms(patterns[name], drawn[:, part.columns], self.dissimilarity)

        of_halves = [of(part, half) for part in self.parts for half in part.halves]
        # a choice of voxels for one half of the runs is analysed on that half alone: its whole is the half
        alone = all(len(part.halves) == 1 for part in self.parts)
        whole = np.mean(of_halves if alone else [of(part, part.whole) for part in self.parts], axis=0)
        return whole, (of_halves[0], of_halves[1]) if len(of_halves) == 2 else None


def replicates(statistic: Statistic, weights: Weights) -> dict[Any, NDArray[np.float64]]:
    """What a statistic is in every resample: the one function that all resampling goes through.

    statistic : from `Weights` of n resamples to named arrays of (n,) values, such as `Similarities`.
    weights   : a scheme's table (`analysis.inference.schemes`).

    Returns name -> (n_resamples,).
    """
    parts = [statistic(batch) for batch in weights.batches(ROWS)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
