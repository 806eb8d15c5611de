"""Similarity of brain RDMs, with bootstrap over voxels, reliability and the estimate corrected for it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from analysis.brain_rdms import POOLED, RoiSample, half_rdms_of
from analysis.resampling import bootstrap_counts, resampled_rdms
from analysis.selection import CIRCULAR_NOTE
from analysis.similarity import correlation, reliability_corrected
from analysis.similarity_table import DifferenceRow, Pair, SimilarityRow, interval_over, pair_name
from protocols.seeds import generator_for
from protocols.study import Study


def brain_rows(
    study: Study, sample: RoiSample, measured: Mapping[Pair, float], truth: Mapping[str, float]
) -> tuple[list[SimilarityRow], list[DifferenceRow]]:
    """The similarities of one ROI, of one subject or pooled; intervals for the pooled voxels.

    sample   : patterns of the ROI.
    measured : similarity of every pair, from the RDMs on disk.
    truth    : true similarity by pair (``"RE-AN"``), empty for people's data.
    """
    plan = study.analysis
    halves = {
        name: (one.values, other.values) for name, (one, other) in half_rdms_of(sample, plan.dissimilarity).items()
    }
    replicates = _replicates(study, sample) if sample.subject == POOLED else {}
    rows = []
    for first, second in plan.pairs:
        drawn, corrected_drawn = replicates.get((first, second), (np.array([]), np.array([])))
        raw = interval_over(drawn, plan.bootstrap.interval, "voxels, within subject")
        corrected = interval_over(corrected_drawn, plan.bootstrap.interval, "voxels, within subject")
        sides = halves[first], halves[second]
        rows.append(
            SimilarityRow(
                pair=pair_name((first, second)),
                place=sample.roi,
                subject=sample.subject,
                n_features=sample.n_voxels,
                similarity=measured[first, second],
                ci_low=raw.low,
                ci_high=raw.high,
                ci_method=raw.method,
                reliability_first=float(correlation(*sides[0], plan.similarity)),
                reliability_second=float(correlation(*sides[1], plan.similarity)),
                corrected=float(reliability_corrected(*sides, plan.similarity)),
                corrected_low=corrected.low,
                corrected_high=corrected.high,
                truth=truth.get(pair_name((first, second)), math.nan) if sample.subject == POOLED else math.nan,
                note=CIRCULAR_NOTE if sample.circular else "",
            )
        )
    differences = []
    base = plan.pairs[0]
    for other in plan.pairs[1:]:
        drawn = replicates[other][0] - replicates[base][0] if replicates else np.array([])
        interval = interval_over(drawn, plan.bootstrap.interval, "voxels, within subject")
        contrast = f"{pair_name(other)} minus {pair_name(base)}"
        value = measured[other] - measured[base]
        differences.append(
            DifferenceRow(contrast, sample.roi, sample.subject, value, interval.low, interval.high, interval.method)
        )
    return rows, differences


def _replicates(study: Study, sample: RoiSample) -> dict[Pair, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Bootstrap replicates of every pair's similarity and corrected similarity; all pairs share the resamples."""
    plan = study.analysis
    generator = generator_for(study.seed, f"bootstrap/{sample.roi}/{sample.subject}")
    counts = [bootstrap_counts(choice.strata, plan.bootstrap.resamples, generator) for choice in sample.choices]
    whole, halves = {}, {}
    for name in {name for pair in plan.pairs for name in pair}:
        parts = [
            [resampled_rdms(part[name], drawn, plan.dissimilarity) for part in choice.halves]
            for choice, drawn in zip(sample.choices, counts, strict=True)
        ]
        if len(sample.choices) == 1:
            whole[name] = resampled_rdms(sample.choices[0].whole[name], counts[0], plan.dissimilarity)
        else:
            whole[name] = np.mean([choice[0] for choice in parts], axis=0)
        first, second = (rdm for choice in parts for rdm in choice)
        halves[name] = (first, second)
    return {
        (a, b): (
            correlation(whole[a], whole[b], plan.similarity),
            reliability_corrected(halves[a], halves[b], plan.similarity),
        )
        for a, b in plan.pairs
    }
