"""Similarity of network RDMs, with intervals over a layer's units or over images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from analysis.inference.influence import similarity_gradient
from analysis.inference.intervals import Interval, t_interval
from analysis.inference.replicates import Part, Similarities, replicates
from analysis.inference.schemes import Scheme, cannot_weight, no_interval, scheme_of
from analysis.inference.weights import Weights, block_deletions, spatial_blocks
from analysis.network_rdms import LayerSample, measure_of, rdms_of
from analysis.similarity_table import DifferenceRow, Pair, SimilarityRow, pair_name
from protocols.seeds import generator_for
from protocols.study import Study

FEW_UNITS = 1024  # up to here units are weighted one by one; beyond, by the derivative or in blocks
BLOCKS = 50  # of units, in a layer of many


def network_rows(
    study: Study, sample: LayerSample, measured: Mapping[Pair, float]
) -> tuple[list[SimilarityRow], list[DifferenceRow]]:
    """The similarities of one layer, with intervals over its units or images (arguments as in `brain_rows`)."""
    plan = study.analysis
    first = plan.pairs[0]
    spread = _LayerSpread(study, sample)
    rows = []
    for pair in plan.pairs:
        interval = spread.interval(measured[pair], {pair: 1.0})
        rows.append(
            SimilarityRow(
                pair=pair_name(pair),
                place=sample.layer,
                subject="n/a",
                n_features=sample.n_units,
                similarity=measured[pair],
                ci_low=interval.low,
                ci_high=interval.high,
                ci_method=interval.method,
                estimand=interval.estimand,
                resampled=interval.resampled,
            )
        )
    differences = []
    for other in plan.pairs[1:]:
        value = measured[other] - measured[first]
        interval = spread.interval(value, {other: 1.0, first: -1.0})
        contrast = f"{pair_name(other)} minus {pair_name(first)}"
        differences.append(
            DifferenceRow(
                contrast,
                sample.layer,
                "n/a",
                value,
                interval.low,
                interval.high,
                interval.method,
                interval.estimand.replace("similarity", "difference of similarities", 1),
                interval.resampled,
            )
        )
    return rows, differences


class _LayerSpread:
    """How similarities of one layer spread: under weights where that is quick, else by their derivative or large blocks."""

    def __init__(self, study: Study, sample: LayerSample) -> None:
        plan = study.analysis
        self.plan, self.sample, self.measure = plan, sample, measure_of(study)
        self.values: dict[Pair, NDArray[np.float64]] = {}
        self.scheme: Scheme | None = None
        self.why = cannot_weight(plan.bootstrap, self.measure)
        self.blocks = np.zeros(sample.n_units, dtype=np.intp)
        if self.why:
            return
        one = np.zeros(sample.n_units, dtype=np.intp)
        generator = generator_for(study.seed, f"bootstrap/{sample.layer}")
        weighted = plan.bootstrap.factor in ("images", "both") or sample.n_units <= FEW_UNITS
        self.blocks = spatial_blocks(
            one, np.arange(sample.n_units)[:, None], plan.bootstrap.blocks if weighted else BLOCKS
        )
        if weighted:
            positions = np.arange(sample.n_units)[:, None]
            self.scheme = scheme_of(
                plan.bootstrap, one, positions, len(next(iter(sample.patterns.values()))), generator, unit="units"
            )
            self.values = self._replicates(self.scheme.weights)
        elif plan.similarity == "pearson" and self.measure in ("spearman", "pearson"):
            for pair in plan.pairs:
                patterns = sample.patterns[pair[0]], sample.patterns[pair[1]]
                gradient = similarity_gradient(*patterns, self.measure)[1]
                self.values[pair] = np.bincount(self.blocks, weights=gradient).astype(np.float64)
        else:
            deletions = block_deletions(one, self.blocks, pairs=False)
            found = self._replicates(Weights(deletions.weights, None, "units"))
            # without a block the similarity is less by its part, as far as a straight line goes
            self.values = {pair: values[0] - values[1:] for pair, values in found.items()}

    def _replicates(self, weights: Weights) -> dict[Pair, NDArray[np.float64]]:
        told = self._told(images_alone=weights.voxels is None)
        found = replicates(told, weights)
        return {pair: found[pair, "raw"] for pair in self.plan.pairs}

    def _told(self, *, images_alone: bool) -> Similarities:
        """The layer's similarities under weights; RDMs as measured only where no unit is weighted."""
        found = rdms_of(self.sample, self.measure) if images_alone else {}
        part = Part(np.arange(self.sample.n_units, dtype=np.intp), self.sample.patterns)
        rdms = {name: rdm.values for name, rdm in found.items()}
        return Similarities([part], rdms, {}, self.plan.pairs, self.measure, self.plan.similarity)

    def interval(self, value: float, contrast: Mapping[Pair, float]) -> Interval:
        """The interval of a weighted sum of similarities."""
        if self.why:
            return no_interval(self.why)
        spread = np.sum([weight * self.values[pair] for pair, weight in contrast.items()], axis=0)
        fisher = len(contrast) == 1
        if self.scheme:
            return self.scheme.interval(value, spread, fisher=fisher)
        n = spread.size
        se = math.sqrt(n / (n - 1) * float(((spread - spread.mean()) ** 2).sum()))
        method = f"infinitesimal jackknife, {n} blocks of neighbouring units, t" + (" on Fisher's z" if fisher else "")
        found = t_interval(value, se, n - 1, self.plan.bootstrap.interval, method, fisher=fisher)
        return Interval(
            found.low,
            found.high,
            found.method,
            estimand="similarity at this number of units, over other units like these; these images",
            resampled="blocks of neighbouring units",
        )
