"""Similarity of network RDMs, with intervals over a layer's units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from analysis.network_rdms import LayerSample
from analysis.resampling import Interval, bootstrap_counts, resampled_rdms, similarity_gradient
from analysis.similarity import correlation
from analysis.similarity_table import DifferenceRow, Pair, SimilarityRow, interval_over, pair_name
from protocols.seeds import generator_for
from protocols.study import Study

FEW_UNITS = 1024  # up to here units are resampled one by one; beyond, the bootstrap's normal limit is used
GROUPS = 50  # of units, for the jackknife where no derivative exists
ESTIMAND = "similarity over all units that this layer's are a sample of; for the layer as it is, no interval is needed"
RESAMPLED = "units of the layer, as if they were drawn independently"


def network_rows(
    study: Study, sample: LayerSample, measured: Mapping[Pair, float]
) -> tuple[list[SimilarityRow], list[DifferenceRow]]:
    """The similarities of one layer, with intervals over its units (arguments as in `brain_rows`)."""
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
                estimand=ESTIMAND,
                resampled=RESAMPLED,
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
                ESTIMAND,
                RESAMPLED,
            )
        )
    return rows, differences


class _LayerSpread:
    """How similarities of one layer spread over its units: resampled when units are few, else by the normal limit."""

    def __init__(self, study: Study, sample: LayerSample) -> None:
        self.plan, self.sample = study.analysis, sample
        self.coverage = study.analysis.bootstrap.interval
        if sample.n_units <= FEW_UNITS:
            generator = generator_for(study.seed, f"bootstrap/{sample.layer}")
            units = np.zeros(sample.n_units, dtype=np.intp)
            self.weights = bootstrap_counts(units, study.analysis.bootstrap.resamples, generator)
        elif self.plan.similarity != "pearson" or self.plan.dissimilarity not in ("spearman", "pearson"):
            generator = generator_for(study.seed, f"jackknife/{sample.layer}")
            group = generator.permutation(sample.n_units) % GROUPS
            self.weights = (group[None, :] != np.arange(GROUPS)[:, None]).astype(np.int32)
        else:
            self.weights = np.empty((0, sample.n_units), dtype=np.int32)
        self.values: dict[Pair, NDArray[np.float64]] = {}
        names = {name for pair in self.plan.pairs for name in pair} if len(self.weights) else set()
        rdms = {name: resampled_rdms(sample.patterns[name], self.weights, self.plan.dissimilarity) for name in names}
        for pair in self.plan.pairs:
            if len(self.weights):
                self.values[pair] = correlation(rdms[pair[0]], rdms[pair[1]], self.plan.similarity)
            else:
                patterns = sample.patterns[pair[0]], sample.patterns[pair[1]]
                self.values[pair] = similarity_gradient(*patterns, self.plan.dissimilarity)[1]

    def interval(self, value: float, contrast: Mapping[Pair, float]) -> Interval:
        """The interval of a weighted sum of similarities."""
        spread = np.sum([weight * self.values[pair] for pair, weight in contrast.items()], axis=0)
        if self.sample.n_units <= FEW_UNITS:
            return interval_over(spread, self.coverage, "units")
        if len(self.weights):
            se = math.sqrt((GROUPS - 1) / GROUPS * float(((spread - spread.mean()) ** 2).sum()))
            return _normal(value, se, self.coverage, f"delete-one-group jackknife over units, {GROUPS} groups")
        se = math.sqrt(float(spread @ spread))
        return _normal(value, se, self.coverage, "infinitesimal jackknife over units (limit of the bootstrap)")


def _normal(value: float, se: float, coverage: float, method: str) -> Interval:
    reach = NormalDist().inv_cdf((1 + coverage) / 2) * se
    return Interval(value - reach, value + reach, method)
