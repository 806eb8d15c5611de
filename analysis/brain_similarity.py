"""Similarity of brain RDMs, with intervals, reliability and the estimate corrected for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.brain_rdms import POOLED, RoiSample, VoxelChoice, half_rdms_of, pooled, rdms_of, sample_of, subjects_of
from analysis.inference.intervals import Interval
from analysis.inference.replicates import Part, Similarities, replicates
from analysis.inference.schemes import Scheme, cannot_weight, no_interval, scheme_of
from analysis.inference.weights import Weights
from analysis.network_rdms import measure_of
from analysis.order_model import OrderModel
from analysis.patterns import scaled
from analysis.selection import CIRCULAR_NOTE, Selection, selections
from analysis.similarity import correlation, similarity
from analysis.similarity_table import DifferenceRow, Pair, SimilarityRow, pair_name
from analysis.stored_betas import load_patterns
from analysis.truth_files import amplitudes_path, truth_path
from protocols.analysis_plan import AnalysisPlan
from protocols.folder import StudyFolder, read_json
from protocols.problems import FoolscanError
from protocols.seeds import generator_for
from protocols.study import Study

LEAST_RELIABILITY = 0.1  # dividing by less than this gives any number at all


UNWEIGHTED = Weights(None, None, "nothing", rows=1)


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
    """The similarities of one ROI, of one subject or pooled, with the intervals that the study asks for.

    sample   : patterns of the ROI.
    measured : similarity of every pair, from the RDMs on disk.
    truth    : true similarities of a simulated brain, for the pooled voxels; None for people's data.
    order    : what the order of trials writes into the patterns of the sample; None where it is not known.
    """
    plan = study.analysis
    known = truth if truth is not None and sample.subject == POOLED else Truths({}, {})
    told = similarities_of(plan, sample, order)
    scheme, why = _scheme(study, sample)
    found = replicates(told, scheme.weights) if scheme else {}

    def interval(name: tuple[Pair, str], value: float, *, fisher: bool = False) -> Interval:
        return scheme.interval(value, found[name], fisher=fisher) if scheme else no_interval(why)

    once = told(UNWEIGHTED)
    rows = []
    for pair in plan.pairs:
        first, second = (told.half_rdms[name] for name in pair)
        reliable = [float(correlation(*side, plan.similarity)) for side in (first, second)]
        notes = [sample.selection or CIRCULAR_NOTE] if sample.circular else []
        value, partial_value = float(once[pair, "corrected"][0]), float(once[pair, "partial"][0])
        raw = interval((pair, "raw"), measured[pair], fisher=True)
        corrected = interval((pair, "corrected"), value)
        partial = interval((pair, "partial"), partial_value, fisher=True)
        if min(reliable) < LEAST_RELIABILITY:
            value, corrected = math.nan, no_interval("not corrected")
            notes.append(f"not corrected: a reliability is below {LEAST_RELIABILITY:g}")
        rows.append(
            SimilarityRow(
                pair=pair_name(pair),
                place=sample.roi,
                subject=sample.subject,
                n_features=sample.n_voxels,
                similarity=measured[pair],
                ci_low=raw.low,
                ci_high=raw.high,
                ci_method=raw.method,
                reliability_first=reliable[0],
                reliability_second=reliable[1],
                corrected=value,
                corrected_low=corrected.low,
                corrected_high=corrected.high,
                corrected_method=corrected.method,
                partial=partial_value,
                partial_low=partial.low,
                partial_high=partial.high,
                truth=known.stated.get(pair_name(pair), math.nan),
                truth_chosen=known.chosen.get(pair_name(pair), math.nan),
                note="; ".join(notes),
                estimand=raw.estimand,
                resampled=raw.resampled,
                selection=sample.selection or "n/a",
            )
        )
    differences = []
    base = plan.pairs[0]
    for other in plan.pairs[1:]:
        contrast = f"{pair_name(other)} minus {pair_name(base)}"
        apart = measured[other] - measured[base]
        if scheme:
            drawn = scheme.interval(apart, found[other, "raw"] - found[base, "raw"])
        else:
            drawn = no_interval(why)
        differences.append(
            DifferenceRow(
                contrast,
                sample.roi,
                sample.subject,
                apart,
                drawn.low,
                drawn.high,
                drawn.method,
                drawn.estimand.replace("similarity", "difference of similarities", 1),
                drawn.resampled,
                sample.selection or "n/a",
            )
        )
    return rows, differences


def similarities_of(plan: AnalysisPlan, sample: RoiSample, order: OrderModel | None = None) -> Similarities:
    """Which similarities are told of a sample, under any weights (arguments as in `brain_rows`)."""
    halves = half_rdms_of(sample, plan.dissimilarity, plan.folds)
    models = {name: order.rdm(stim_ids)[None] for name, stim_ids in sample.stim_ids.items()} if order else {}
    columns, _, _ = voxels_of_choices(sample.choices)
    return Similarities(
        [Part(column, choice.whole, choice.halves) for column, choice in zip(columns, sample.choices, strict=True)],
        {name: rdm.values for name, rdm in rdms_of(sample, plan.dissimilarity, plan.folds).items()},
        {name: (one.values, other.values) for name, (one, other) in halves.items()},
        plan.pairs,
        plan.dissimilarity,
        plan.similarity,
        models,
    )


def _scheme(study: Study, sample: RoiSample) -> tuple[Scheme | None, str]:
    """How the sample's intervals are made; None, and why, where it has none."""
    plan = study.analysis
    why = cannot_weight(plan.bootstrap, plan.dissimilarity)
    if sample.subject != POOLED and plan.bootstrap.kind != "jackknife":
        why = "one subject's own estimate"
    if why:
        return None, why
    _, strata, coordinates = voxels_of_choices(sample.choices)
    generator = generator_for(study.seed, f"bootstrap/{sample.roi}/{sample.subject}")
    return scheme_of(plan.bootstrap, strata, coordinates, len(sample.categories), generator), ""


def voxels_of_choices(
    choices: Sequence[VoxelChoice],
) -> tuple[list[NDArray[np.intp]], NDArray[np.str_], NDArray[Any]]:
    """The voxels that are in any choice, once each: a voxel that two choices share is resampled as one.

    Resampled for each choice by itself, shared voxels would pass for twice as many, and the interval of the mean RDM would
    come out too short.

    Returns the place of each choice's voxels among all, the subject of each, and where it lies (its number where it is not
    known).
    """
    names = [list(zip(choice.strata.tolist(), choice.voxels.tolist(), strict=True)) for choice in choices]
    place = {voxel: i for i, voxel in enumerate(dict.fromkeys(voxel for of_choice in names for voxel in of_choice))}
    columns = [np.array([place[voxel] for voxel in of_choice], dtype=np.intp) for of_choice in names]
    where = [choice.voxels[:, None] if choice.coordinates is None else choice.coordinates for choice in choices]
    coordinates = np.empty((len(place), where[0].shape[1]))
    for column, of_choice in zip(columns, where, strict=True):
        coordinates[column] = of_choice
    return columns, np.array([sub for sub, _ in place]), coordinates


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
        # what has no noise has no units of it
        rdms = rdms_of(pooled(samples, plan.pooling), measure_of(study))
        chosen = {pair_name((a, b)): similarity(rdms[a], rdms[b], plan.similarity) for a, b in plan.pairs}
    return Truths(read_json(stated).get("rois", {}).get(roi, {}), chosen)


def _amplitudes(path: Path) -> NDArray[np.float32]:
    try:
        return np.asarray(np.load(path), dtype=np.float32)
    except (ValueError, EOFError) as error:
        raise FoolscanError(
            f"{path}: cut off or damaged ({error}); run foolscan analysis simulate-bold again"
        ) from error
