"""Brain RDMs: the chosen voxels of every subject, pooled, one RDM per stimulus set and ROI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.category_rows import rows_by_category
from analysis.dissimilarities import rdm_of
from analysis.patterns import Patterns, scaled, scaling_warnings
from analysis.rdm import Rdm
from analysis.selection import Selection, halves, selections
from analysis.stored_betas import load_patterns
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError
from protocols.study import Study

POOLED = "pooled"

SetPatterns = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class VoxelChoice:
    """Patterns over one choice of voxels.

    strata : (n_voxels,) the subject of each voxel.
    voxels : (n_voxels,) its number in that subject's ROI: the same voxel may be in several choices.
    whole  : set -> (n_categories, n_voxels), mean over the analysed runs.
    halves : the same from independent halves of the runs: one when the analysed runs are a half themselves, else two.
    """

    strata: NDArray[np.str_]
    voxels: NDArray[np.intp]
    whole: SetPatterns
    halves: tuple[SetPatterns, ...]


@dataclass(frozen=True)
class RoiSample:
    """What the RDMs of one ROI are computed from, of one subject or of all of them pooled.

    roi, subject : where and whose; subject is ``"pooled"`` for voxels of all subjects side by side.
    categories   : rows of every set's patterns.
    stim_ids     : set -> image of each category.
    choices      : the voxel choices whose RDMs are averaged: two for ``split_half``, one for ``published``; together
                   they hold exactly two independent halves of the runs.
    circular     : voxels were chosen on the runs that are analysed.
    """

    roi: str
    subject: str
    categories: tuple[str, ...]
    stim_ids: Mapping[str, tuple[str, ...]]
    choices: tuple[VoxelChoice, ...]
    circular: bool

    @property
    def n_voxels(self) -> int:
        """Voxels per choice."""
        return int(self.choices[0].strata.size)


def sample_of(patterns: Patterns, chosen: Sequence[Selection], sets: Sequence[str]) -> RoiSample:
    """One subject's sample of an ROI.

    patterns : scaled.
    chosen   : the voxel selections (see `analysis.selection.selections`).
    sets     : the stimulus sets that get an RDM.
    """
    rows = rows_by_category(patterns.sets, patterns.categories, sets)
    choices = []
    for selection in chosen:
        runs = selection.analyse_runs
        parts = [runs] if not selection.circular else [tuple(runs[i] for i in half) for half in halves(len(runs))]
        of_runs = [patterns.mean(part)[:, selection.voxels] for part in [runs, *parts]]
        whole, *half_patterns = [{name: means[rows[name]] for name in sets} for means in of_runs]
        strata = np.full(selection.voxels.size, patterns.sub)
        choices.append(VoxelChoice(strata, selection.voxels, whole, tuple(half_patterns)))
    return RoiSample(
        patterns.roi,
        patterns.sub,
        tuple(patterns.categories[row] for row in rows[sets[0]]),
        {name: tuple(patterns.stim_ids[row] for row in rows[name]) for name in sets},
        tuple(choices),
        any(selection.circular for selection in chosen),
    )


def pooled(samples: Sequence[RoiSample]) -> RoiSample:
    """The voxels of several subjects side by side, as if of one brain (Zhang et al. 2018: 300 = 3 × 100).

    Raises FoolscanError when the subjects saw different images.
    """
    first = samples[0]
    for other in samples[1:]:
        if other.stim_ids != first.stim_ids or len(other.choices) != len(first.choices):
            raise FoolscanError(
                f"{first.roi}: sub-{first.subject} and sub-{other.subject} were shown different images; "
                "voxels can be pooled only over the same images"
            )
    choices = []
    for parts in zip(*(sample.choices for sample in samples), strict=True):
        choices.append(
            VoxelChoice(
                np.concatenate([part.strata for part in parts]),
                np.concatenate([part.voxels for part in parts]),
                _beside([part.whole for part in parts]),
                tuple(_beside(half) for half in zip(*(part.halves for part in parts), strict=True)),
            )
        )
    circular = any(sample.circular for sample in samples)
    return RoiSample(first.roi, POOLED, first.categories, first.stim_ids, tuple(choices), circular)


def _beside(parts: Iterable[SetPatterns]) -> dict[str, NDArray[np.float64]]:
    listed = list(parts)
    return {name: np.concatenate([part[name] for part in listed], axis=1) for name in listed[0]}


def rdms_of(sample: RoiSample, measure: str) -> dict[str, Rdm]:
    """The RDM of every set: per voxel choice, then averaged over choices.

    measure : ``"spearman"`` (1 − Spearman) or ``"pearson"``.
    """
    found = {}
    for name, stim_ids in sample.stim_ids.items():
        descriptors = {"roi": sample.roi, "subject": sample.subject, "set": name, "part": "all"}
        parts = [rdm_of(choice.whole[name], stim_ids, measure, descriptors) for choice in sample.choices]
        values = np.mean([part.values for part in parts], axis=0)
        found[name] = Rdm(values, stim_ids, measure, descriptors)
    return found


def half_rdms_of(sample: RoiSample, measure: str) -> dict[str, tuple[Rdm, Rdm]]:
    """The RDMs of every set from the two independent halves of the runs."""
    found = {}
    parts = [half for choice in sample.choices for half in choice.halves]
    for name, stim_ids in sample.stim_ids.items():
        descriptors = {"roi": sample.roi, "subject": sample.subject, "set": name}
        first, second = (
            rdm_of(part[name], stim_ids, measure, descriptors | {"part": f"half{number}"})
            for number, part in enumerate(parts, start=1)
        )
        found[name] = (first, second)
    return found


def warnings_of(study: Study) -> list[str]:
    """What to know before quoting a number that comes from the patterns of this study's brains."""
    plan = study.analysis
    return scaling_warnings(study.tasks[plan.task].presentation, plan.pattern_scaling)


def subjects_of(study: Study, folder: StudyFolder) -> list[str]:
    """The subjects who did the analysed task in a scanner, in order."""
    return list(dict.fromkeys(run.sub for run in folder.runs(study.analysis.task)))


def load_samples(study: Study, folder: StudyFolder, roi: str) -> list[RoiSample]:
    """The sample of every subject in one ROI, the pooled one first.

    Raises NotReady when betas or masks are missing, FoolscanError when too few voxels are usable.
    """
    plan = study.analysis
    sets = study.tasks[plan.task].sets
    samples = []
    for sub in subjects_of(study, folder):
        patterns = scaled(load_patterns(study, folder, sub, roi), plan.pattern_scaling)
        samples.append(sample_of(patterns, selections(patterns, plan.voxels), sets))
    return [pooled(samples), *samples]
