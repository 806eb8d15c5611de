"""Brain RDMs: the chosen voxels of every subject, by themselves and pooled, one RDM per stimulus set and ROI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.category_rows import rows_by_category
from analysis.dissimilarities import Measurements, rdm_of, rdm_of_measurements
from analysis.patterns import Patterns, level_and_scale, mean_over_runs, scaled, scaling_warnings
from analysis.rdm import Rdm
from analysis.selection import CIRCULAR_NOTE, Selection, halves, selections
from analysis.stored_betas import load_patterns
from protocols.analysis_plan import AnalysisPlan
from protocols.dissimilarity_names import NOISE_NORMALISED
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.study import Study
from protocols.voxel_plan import Folds, Pooling

POOLED = "pooled"

SetPatterns = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class SubjectRuns:
    """One subject's part of a choice of voxels, run by run: what measures that need runs and their noise start from.

    runs       : set -> (n_runs, n_categories, n_voxels), the analysed runs, NaN where a run does not show an image.
    halves     : rows of `runs` of every half.
    covariance : (n_voxels, n_voxels) of the noise; None where it is not known or taken out already.
    """

    runs: SetPatterns
    halves: tuple[tuple[int, ...], ...]
    covariance: NDArray[np.float64] | None = None

    def measurements(self, name: str, half: int | None, folds: Folds) -> Measurements:
        """The runs of a set, of one half or of both, or the means of every other run and of the rest (``halves``)."""
        rows = list(range(len(self.runs[name]))) if half is None else list(self.halves[half])
        runs = self.runs[name][rows]
        if folds == "halves":
            runs = np.stack([mean_over_runs(runs[list(part)]) for part in halves(len(runs))])
        return Measurements(runs, self.covariance)


@dataclass(frozen=True)
class VoxelChoice:
    """Patterns over one choice of voxels.

    strata : (n_voxels,) the subject of each voxel.
    voxels : (n_voxels,) its number in that subject's ROI: the same voxel may be in several choices.
    whole  : set -> (n_categories, n_voxels), mean over the analysed runs.
    halves : the same from independent halves of the runs: one when the analysed runs are a half themselves, else two.
    of_subjects : the runs behind them, subject by subject.
    coordinates : (n_voxels, 3) where each lies, mm or voxels: neighbours are resampled together.
    """

    strata: NDArray[np.str_]
    voxels: NDArray[np.intp]
    whole: SetPatterns
    halves: tuple[SetPatterns, ...]
    of_subjects: tuple[SubjectRuns, ...] = ()
    coordinates: NDArray[Any] | None = None


@dataclass(frozen=True)
class RoiSample:
    """What the RDMs of one ROI are computed from, of one subject or of all of them pooled.

    roi, subject : where and whose; subject is ``"pooled"`` for voxels of all subjects side by side.
    categories   : rows of every set's patterns.
    stim_ids     : set -> image of each category.
    choices      : the voxel choices whose RDMs are averaged: two for ``split_half``, one for ``published``; together
                   they hold exactly two independent halves of the runs.
    circular     : voxels were chosen on the runs that are analysed.
    selection    : the rule of the choice, in words; a circular one says so.
    """

    roi: str
    subject: str
    categories: tuple[str, ...]
    stim_ids: Mapping[str, tuple[str, ...]]
    choices: tuple[VoxelChoice, ...]
    circular: bool
    selection: str = ""

    @property
    def n_voxels(self) -> int:
        """Voxels per choice."""
        return int(self.choices[0].strata.size)


def sample_of(
    patterns: Patterns,
    chosen: Sequence[Selection],
    sets: Sequence[str],
    covariance: NDArray[np.float64] | None = None,
) -> RoiSample:
    """One subject's sample of an ROI.

    patterns   : scaled.
    chosen     : the voxel selections (see `analysis.selection.selections`).
    sets       : the stimulus sets that get an RDM.
    covariance : (n_voxels, n_voxels) of the noise over all voxels of `patterns`, in their units.
    """
    rows = rows_by_category(patterns.sets, patterns.categories, sets)
    choices = []
    for selection in chosen:
        runs = selection.analyse_runs
        parts = [tuple(range(len(runs)))] if not selection.circular else list(halves(len(runs)))
        of_runs = [patterns.mean(tuple(runs[i] for i in part)) for part in (range(len(runs)), *parts)]
        whole, *half_patterns = [{name: mean[rows[name]][:, selection.voxels] for name in sets} for mean in of_runs]
        by_run = patterns.betas[list(runs)][:, :, selection.voxels]
        noise = None if covariance is None else covariance[np.ix_(selection.voxels, selection.voxels)]
        subject = SubjectRuns({name: by_run[:, rows[name]] for name in sets}, tuple(parts), noise)
        strata = np.full(selection.voxels.size, patterns.sub)
        of_voxels = patterns.voxels if patterns.positions_mm is None else patterns.positions_mm
        where = of_voxels[selection.voxels]
        choices.append(VoxelChoice(strata, selection.voxels, whole, tuple(half_patterns), (subject,), where))
    return RoiSample(
        patterns.roi,
        patterns.sub,
        tuple(patterns.categories[row] for row in rows[sets[0]]),
        {name: tuple(patterns.stim_ids[row] for row in rows[name]) for name in sets},
        tuple(choices),
        any(selection.circular for selection in chosen),
        chosen[0].words,
    )


def pooled(samples: Sequence[RoiSample], pooling: Pooling = "z_within_subject") -> RoiSample:
    """The voxels of several subjects side by side, as if of one brain (Zhang et al. 2018: 300 = 3 × 100).

    pooling : ``z_within_subject``: every subject's patterns, over all images and chosen voxels, are brought to mean 0 and
              SD 1 first, so that subjects differ neither in level nor in scale; ``raw``: side by side as they are, where
              what subjects differ in on the whole is shared by all images and draws their correlations up.

    Measures that need runs and their noise are in units of the noise whatever the pooling.

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
        on_one_scale = [_z_scored(part) for part in parts] if pooling == "z_within_subject" else parts
        choices.append(
            VoxelChoice(
                np.concatenate([part.strata for part in parts]),
                np.concatenate([part.voxels for part in parts]),
                _beside([part.whole for part in on_one_scale]),
                tuple(_beside(half) for half in zip(*(part.halves for part in on_one_scale), strict=True)),
                tuple(subject for part in parts for subject in part.of_subjects),
                None if any(p.coordinates is None for p in parts) else np.concatenate([p.coordinates for p in parts]),
            )
        )
    circular = any(sample.circular for sample in samples)
    return RoiSample(first.roi, POOLED, first.categories, first.stim_ids, tuple(choices), circular, first.selection)


def _z_scored(choice: VoxelChoice) -> VoxelChoice:
    """One subject's patterns at mean 0 and SD 1 over images and voxels; halves by the mean and SD of the whole."""
    mean, sd = level_and_scale(choice.whole.values())
    whole, *parts = [
        {name: (pattern - mean) / sd for name, pattern in part.items()} for part in (choice.whole, *choice.halves)
    ]
    return replace(choice, whole=whole, halves=tuple(parts))


def _beside(parts: Iterable[SetPatterns]) -> dict[str, NDArray[np.float64]]:
    listed = list(parts)
    return {name: np.concatenate([part[name] for part in listed], axis=1) for name in listed[0]}


def rdms_of(sample: RoiSample, measure: str, folds: Folds = "runs") -> dict[str, Rdm]:
    """The RDM of every set: per voxel choice, then averaged over choices.

    measure : a name of `analysis.dissimilarities`.
    folds   : what crossnobis takes products between.
    """
    found = {}
    for name, stim_ids in sample.stim_ids.items():
        descriptors = _descriptors(sample, name, "all")
        parts = [_rdm(choice, None, name, stim_ids, measure, descriptors, folds) for choice in sample.choices]
        values = np.mean([part.values for part in parts], axis=0)
        found[name] = Rdm(values, stim_ids, measure, descriptors)
    return found


def half_rdms_of(sample: RoiSample, measure: str, folds: Folds = "runs") -> dict[str, tuple[Rdm, Rdm]]:
    """The RDMs of every set from the two independent halves of the runs; arguments as in `rdms_of`."""
    found = {}
    for name, stim_ids in sample.stim_ids.items():
        halved = [(choice, half) for choice in sample.choices for half in range(len(choice.halves))]
        first, second = (
            _rdm(choice, half, name, stim_ids, measure, _descriptors(sample, name, f"half{number}"), folds)
            for number, (choice, half) in enumerate(halved, start=1)
        )
        found[name] = (first, second)
    return found


def _descriptors(sample: RoiSample, name: str, part: str) -> dict[str, str]:
    told = {"roi": sample.roi, "subject": sample.subject, "set": name, "part": part}
    return told | {"selection": sample.selection}


def _rdm(
    choice: VoxelChoice,
    half: int | None,
    name: str,
    stim_ids: Sequence[str],
    measure: str,
    descriptors: Mapping[str, str],
    folds: Folds,
) -> Rdm:
    if measure in NOISE_NORMALISED:
        of_subjects = [subject.measurements(name, half, folds) for subject in choice.of_subjects]
        return rdm_of_measurements(of_subjects, stim_ids, measure, descriptors)
    patterns = choice.whole[name] if half is None else choice.halves[half][name]
    return rdm_of(patterns, stim_ids, measure, descriptors)


def warnings_of(study: Study, folder: StudyFolder) -> list[str]:
    """What to know before quoting a number that comes from the patterns of this study's brains, missing runs among it."""
    plan = study.analysis
    found = scaling_warnings(study.tasks[plan.task].presentation, plan.pattern_scaling)
    if plan.voxels.circular:
        found.append(
            f"analysis.voxels.by: {plan.voxels.by}: {CIRCULAR_NOTE}; reliabilities and similarities are too high"
        )
    return found + missing_runs(study, folder)


def missing_runs(study: Study, folder: StudyFolder) -> list[str]:
    """Which runs of the design a subject lacks, subject by subject; empty when there is nothing to say."""
    told = {sub: _missing(study, folder, sub) for sub in subjects_of(study, folder)}
    return [
        f"sub-{sub}: {words}; what there is was analysed: bring the run's files here, or say in the text how many runs each "
        "subject has"
        for sub, words in told.items()
        if words
    ]


def _missing(study: Study, folder: StudyFolder, sub: str) -> str:
    """How many runs of the design one subject lacks, and the first of them; empty without any."""
    there = set(folder.runs(study.analysis.task))
    planned = [
        RunId(sub, f"{ses:02d}", study.analysis.task, run)
        for ses in range(1, study.design.sessions + 1)
        for run in range(1, study.design.runs + 1)
    ]
    lacking = [run for run in planned if run not in there]
    if not lacking:
        return ""
    return f"{len(lacking)} of {len(planned)} runs are not there, first {folder.events(lacking[0])}"


def subjects_of(study: Study, folder: StudyFolder) -> list[str]:
    """The subjects who did the analysed task in a scanner, in order."""
    return list(dict.fromkeys(run.sub for run in folder.runs(study.analysis.task)))


@dataclass(frozen=True)
class SubjectRoi:
    """What is known of one subject's ROI.

    patterns   : unscaled.
    covariance : (n_voxels, n_voxels) of the noise in the patterns' units; None where no measure needs it.
    missing    : which runs of the design are not there, in words; empty without any.
    """

    patterns: Patterns
    covariance: NDArray[np.float64] | None = None
    missing: str = ""


def load_subjects(study: Study, folder: StudyFolder, roi: str) -> list[SubjectRoi]:
    """The patterns of every subject in one ROI, and their noise where the dissimilarity needs it.

    Raises NotReady when betas, masks or the noise are missing.
    """
    return [
        SubjectRoi(patterns, _covariance(study, folder, patterns), _missing(study, folder, patterns.sub))
        for patterns in (load_patterns(study, folder, sub, roi) for sub in subjects_of(study, folder))
    ]


@dataclass(frozen=True)
class ChosenRoi:
    """One subject's ROI with its voxels chosen.

    patterns   : scaled.
    selections : see `analysis.selection.selections`.
    covariance : as in `SubjectRoi`.
    """

    patterns: Patterns
    selections: Sequence[Selection]
    covariance: NDArray[np.float64] | None = None


def choose(plan: AnalysisPlan, subjects: Sequence[SubjectRoi]) -> list[ChosenRoi]:
    """Scale the patterns of one ROI and choose every subject's voxels, by the study's rules.

    Raises FoolscanError when too few runs are there or too few voxels usable; runs that are missing are told.
    """
    found = []
    for subject in subjects:
        patterns = scaled(subject.patterns, plan.pattern_scaling)
        try:
            chosen = selections(patterns, plan.voxels)
        except FoolscanError as error:
            raise FoolscanError(f"{error}. {subject.missing}") if subject.missing else error from None
        found.append(ChosenRoi(patterns, chosen, subject.covariance))
    return found


def samples_of(plan: AnalysisPlan, sets: Sequence[str], chosen: Sequence[ChosenRoi]) -> list[RoiSample]:
    """The sample of every subject in one ROI, the pooled one first.

    sets : the stimulus sets that get an RDM.
    """
    samples = [sample_of(subject.patterns, subject.selections, sets, subject.covariance) for subject in chosen]
    return [pooled(samples, plan.pooling), *samples]


def load_samples(study: Study, folder: StudyFolder, roi: str) -> list[RoiSample]:
    """The sample of every subject in one ROI, the pooled one first (see `load_subjects`, `choose`, `samples_of`)."""
    plan = study.analysis
    return samples_of(plan, study.tasks[plan.task].sets, choose(plan, load_subjects(study, folder, roi)))


def _covariance(study: Study, folder: StudyFolder, patterns: Patterns) -> NDArray[np.float64] | None:
    """One covariance over all runs, weighted by degrees of freedom, in the units of the patterns."""
    done = study.analysis.glm.noise_normalisation
    if study.analysis.dissimilarity not in NOISE_NORMALISED or done == "multivariate":
        return None
    from analysis.glm.noise_normalisation import AVERAGING, noise_covariance, one_at_a_time

    with one_at_a_time(f"sub-{patterns.sub} {patterns.roi}", len(patterns.voxels), AVERAGING):
        mean = noise_covariance(study, folder, patterns.sub, patterns.roi)
        if done == "univariate":
            sd = np.sqrt(np.diag(mean))
            mean /= sd
            mean /= sd[:, None]
    return mean
