"""Similarity of brain RDMs, with bootstrap over voxels, reliability and the estimate corrected for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.brain_rdms import POOLED, RoiSample, VoxelChoice, half_rdms_of, pooled, rdms_of, sample_of, subjects_of
from analysis.order_model import OrderModel
from analysis.patterns import scaled
from analysis.resampling import Interval, bootstrap_counts, resampled_rdms
from analysis.selection import CIRCULAR_NOTE, Selection, selections
from analysis.similarity import correlation, partial_correlation, reliability_corrected, similarity
from analysis.similarity_table import DifferenceRow, Pair, SimilarityRow, interval_over, pair_name
from analysis.stored_betas import load_patterns
from analysis.truth_files import amplitudes_path, truth_path
from protocols.folder import StudyFolder, read_json
from protocols.problems import FoolscanError
from protocols.seeds import generator_for
from protocols.study import Study

LEAST_RELIABILITY = 0.1  # dividing by less than this gives any number at all


@dataclass(frozen=True)
class Truths:
    """True similarities of a simulated brain in one ROI, by pair (``"RE-AN"``).

    stated : over all informative voxels.
    chosen : over the voxels that were chosen for the analysis.
    """

    stated: Mapping[str, float]
    chosen: Mapping[str, float]


def brain_rows(
    study: Study,
    sample: RoiSample,
    measured: Mapping[Pair, float],
    truth: Truths | None = None,
    order: OrderModel | None = None,
) -> tuple[list[SimilarityRow], list[DifferenceRow]]:
    """The similarities of one ROI, of one subject or pooled; intervals for the pooled voxels.

    sample   : patterns of the ROI.
    measured : similarity of every pair, from the RDMs on disk.
    truth    : true similarities of a simulated brain, for the pooled voxels; None for people's data.
    order    : what the order of trials writes into the patterns of the sample; None where it is not known.
    """
    plan = study.analysis
    known = truth if truth is not None and sample.subject == POOLED else Truths({}, {})
    halves = {
        name: (one.values, other.values) for name, (one, other) in half_rdms_of(sample, plan.dissimilarity).items()
    }
    models = {name: order.rdm(stim_ids)[None] for name, stim_ids in sample.stim_ids.items()} if order else {}
    replicates = _replicates(study, sample, models) if sample.subject == POOLED else {}
    whole = rdms_of(sample, plan.dissimilarity)
    rows = []
    for first, second in plan.pairs:
        drawn = replicates.get((first, second), _Drawn())
        raw, corrected, partial = (
            interval_over(values, plan.bootstrap.interval, "voxels, within subject")
            for values in (drawn.raw, drawn.corrected, drawn.partial)
        )
        sides = halves[first], halves[second]
        reliable = [float(correlation(*side, plan.similarity)) for side in sides]
        notes = [CIRCULAR_NOTE] if sample.circular else []
        value = float(reliability_corrected(*sides, plan.similarity))
        if min(reliable) < LEAST_RELIABILITY:
            value, corrected = math.nan, Interval(math.nan, math.nan, "none")
            notes.append(f"not corrected: a reliability is below {LEAST_RELIABILITY:g}")
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
                reliability_first=reliable[0],
                reliability_second=reliable[1],
                corrected=value,
                corrected_low=corrected.low,
                corrected_high=corrected.high,
                corrected_method=corrected.method,
                partial=float(
                    _partial(whole[first].values, whole[second].values, (first, second), models, plan.similarity)
                ),
                partial_low=partial.low,
                partial_high=partial.high,
                truth=known.stated.get(pair_name((first, second)), math.nan),
                truth_chosen=known.chosen.get(pair_name((first, second)), math.nan),
                note="; ".join(notes),
            )
        )
    differences = []
    base = plan.pairs[0]
    for other in plan.pairs[1:]:
        apart = replicates[other].raw - replicates[base].raw if replicates else np.array([])
        interval = interval_over(apart, plan.bootstrap.interval, "voxels, within subject")
        contrast = f"{pair_name(other)} minus {pair_name(base)}"
        value = measured[other] - measured[base]
        differences.append(
            DifferenceRow(contrast, sample.roi, sample.subject, value, interval.low, interval.high, interval.method)
        )
    return rows, differences


@dataclass(frozen=True)
class _Drawn:
    """Bootstrap replicates of a pair's similarity, (n_resamples,) each: as measured, corrected, without the order."""

    raw: NDArray[np.float64] = field(default_factory=lambda: np.array([]))
    corrected: NDArray[np.float64] = field(default_factory=lambda: np.array([]))
    partial: NDArray[np.float64] = field(default_factory=lambda: np.array([]))


def _replicates(study: Study, sample: RoiSample, models: Mapping[str, NDArray[np.float64]]) -> dict[Pair, _Drawn]:
    """Bootstrap replicates of every pair; all pairs share the resamples.

    models : set -> (1, n_pairs), the order-model RDM; empty where there is none.
    """
    plan = study.analysis
    generator = generator_for(study.seed, f"bootstrap/{sample.roi}/{sample.subject}")
    counts = counts_of_choices(sample.choices, plan.bootstrap.resamples, generator)
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
        (a, b): _Drawn(
            correlation(whole[a], whole[b], plan.similarity),
            reliability_corrected(halves[a], halves[b], plan.similarity),
            _partial(whole[a], whole[b], (a, b), models, plan.similarity),
        )
        for a, b in plan.pairs
    }


def _partial(
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    pair: Pair,
    models: Mapping[str, NDArray[np.float64]],
    measure: str,
) -> NDArray[np.float64]:
    """The similarity with what the order wrote into either set taken out; NaN where the order is not known."""
    if not models:
        return np.full(first.shape[:-1], np.nan)
    return partial_correlation(first, second, np.concatenate([models[name] for name in pair]), measure)


def counts_of_choices(
    choices: Sequence[VoxelChoice], resamples: int, generator: np.random.Generator
) -> list[NDArray[np.int32]]:
    """How often every voxel of every choice is drawn: one draw per subject from the voxels that are in any choice.

    A voxel that two choices share is drawn as often in both. Drawn for each choice by itself, shared voxels would pass
    for twice as many, and the interval of the mean RDM would come out too short.

    Returns for each choice (resamples, n_voxels) counts.
    """
    names = [list(zip(choice.strata.tolist(), choice.voxels.tolist(), strict=True)) for choice in choices]
    place = {voxel: i for i, voxel in enumerate(dict.fromkeys(voxel for of_choice in names for voxel in of_choice))}
    counts = bootstrap_counts(np.array([sub for sub, _ in place]), resamples, generator)
    return [counts[:, [place[voxel] for voxel in of_choice]] for of_choice in names]


def load_truths(study: Study, folder: StudyFolder, roi: str) -> Truths | None:
    """The true similarities of a simulated brain in one ROI; None for people's data.

    Reliable voxels are not a random sample of an ROI: their geometry, noiseless, is somewhat another than that of all
    voxels. Both truths are therefore told apart.
    """
    stated = truth_path(folder)
    if not stated.exists():
        return None
    of_subjects = [(sub, amplitudes_path(folder, sub, roi)) for sub in subjects_of(study, folder)]
    chosen: dict[str, float] = {}
    if all(path.exists() for _, path in of_subjects):
        plan, samples = study.analysis, []
        for sub, path in of_subjects:
            patterns = load_patterns(study, folder, sub, roi)
            measured = selections(scaled(patterns, plan.pattern_scaling), plan.voxels)
            noiseless = scaled(
                replace(patterns, betas=_amplitudes(path)[None].astype(np.float64), runs=("noiseless",)),
                plan.pattern_scaling,
            )
            # a voxel that answers all images alike has no z-score, and adds nothing to a geometry
            noiseless = replace(noiseless, betas=np.nan_to_num(noiseless.betas))
            once = [Selection((), (0,), found.voxels, found.reliability, found.n_unusable) for found in measured]
            samples.append(sample_of(noiseless, once, study.tasks[plan.task].sets))
        rdms = rdms_of(pooled(samples), plan.dissimilarity)
        chosen = {pair_name((a, b)): similarity(rdms[a], rdms[b], plan.similarity) for a, b in plan.pairs}
    return Truths(read_json(stated).get("rois", {}).get(roi, {}), chosen)


def _amplitudes(path: Path) -> NDArray[np.float32]:
    try:
        return np.asarray(np.load(path), dtype=np.float32)
    except (ValueError, EOFError) as error:
        raise FoolscanError(
            f"{path}: cut off or damaged ({error}); run foolscan analysis simulate-bold again"
        ) from error
