"""Betas: the first-level model of every run (or session), image by image or trial by trial, in % signal change or t."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from analysis.betas_table import COLUMNS, SINGLE_TRIAL_COLUMNS
from analysis.confounds import find_confounds
from analysis.fmriprep import find_bold, find_brain_mask
from analysis.glm.across_runs import Responses, Subject, responses, with_noise_components
from analysis.glm.confounds import asked_for
from analysis.glm.design import Design, design_of
from analysis.glm.drift import polynomial_order
from analysis.glm.estimate import estimate
from analysis.glm.noise_components import BRIGHT_PERCENTILE, BRIGHT_SHARE
from analysis.glm.noise_normalisation import (
    ESTIMATING,
    Noise,
    noise_of,
    noise_path,
    one_at_a_time,
    refuse_too_large,
    write_noise,
)
from analysis.glm.run_model import RunModel, open_run
from analysis.glm.run_series import run_blocks
from analysis.glm.series import refuse_same_images
from analysis.glm.stream import blocks
from analysis.glm.units import Unit, make_room, refuse_imported, units_of
from analysis.nifti import check_same_grid, open_nifti, write_nifti
from analysis.rois import load_rois, read_mask, roi_path
from analysis.stored_betas import table_path
from protocols.dissimilarity_names import NOISE_NORMALISED
from protocols.folder import RunId, StudyFolder
from protocols.locks import exclusive
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import is_current, write_sidecar
from protocols.study import Study
from protocols.tables import write_table

PACKAGES = ("numpy", "scipy", "nibabel", "nilearn")
MEMORY_BYTES = 2**30
"""What time series and what is made of them may hold at a time, unless another budget is given."""
NO_CONFOUNDS = "no confounds table of this run: motion is not in the model, and may pass for responses"

Floats = NDArray[np.float64]
Masks = dict[str, NDArray[np.bool_]]
Progress = Callable[[str, int, int], None]


def estimate_betas(
    study: Study, folder: StudyFolder, progress: Progress | None = None, memory_bytes: int = MEMORY_BYTES
) -> list[Path]:
    """Estimate the betas of every run that has events.

    study        : scan protocol and ``analysis.glm``.
    folder       : with events, images (the scanner's or fMRIPrep's), ROI masks and, where there are any, confounds.
    progress     : called with what is being made, how much is done and how much there is.
    memory_bytes : budget of time series and what is made of them; the betas of one file come on top.

    Returns the files written, one image of (x, y, z, n_patterns) for every run (or session); those that are current are
    left alone. Raises NotReady when a run has no images yet, FoolscanError with file and numbers for what does not fit
    together, for images that two runs have, or while another command estimates betas in this folder.
    """
    runs = folder.runs(study.analysis.task)
    if not runs:
        raise NotReady(f"{folder.root}: no events of task {study.analysis.task} yet; show the runs first")
    units = units_of(study.analysis.glm, folder, runs)
    for images in (find_bold(folder, run) for run in runs), (folder.bold(run) for run in runs):
        refuse_same_images([path for path in images if path is not None and path.is_file()])
    written, done = [], 0
    # threads that wait for one another make these small matrices many times slower on a busy machine
    with exclusive(folder.derived("betas"), "the betas of this study folder"), threadpool_limits(1, user_api="blas"):
        for sub in dict.fromkeys(run.sub for run in runs):
            person = _Person(study, folder, sub, read_manifest(folder), load_rois(study, folder, sub), memory_bytes)
            for unit in [unit for unit in units if unit.runs[0].sub == sub]:
                if progress:
                    progress(unit.stem, done, len(units))
                if person.estimate(unit):
                    written.append(unit.path)
                done += 1
    if progress:
        progress("", len(units), len(units))
    return written


def runs_without_confounds(study: Study, folder: StudyFolder) -> list[RunId]:
    """The runs whose betas have, or will have, no motion in the model although the study asks for it."""
    if not asked_for(study.analysis.glm):
        return []
    return [run for run in folder.runs(study.analysis.task) if find_confounds(folder, run) is None]


def needs_noise(study: Study) -> bool:
    """Whether the analysis divides patterns by the covariance of their noise."""
    return study.analysis.glm.noise_normalisation != "none" or study.analysis.dissimilarity in NOISE_NORMALISED


class _Person:
    """The runs of one subject: opened when first needed, what spans them found once."""

    def __init__(
        self,
        study: Study,
        folder: StudyFolder,
        sub: str,
        stimuli: Sequence[Stimulus],
        masks: Masks,
        memory_bytes: int,
    ) -> None:
        self.study, self.folder, self.sub, self.stimuli, self.masks = study, folder, sub, stimuli, masks
        self.plan, self.memory_bytes = study.analysis.glm, memory_bytes
        self.stim_ids = tuple(stimulus.stim_id for stimulus in stimuli)
        self.rois: NDArray[np.bool_] = np.logical_or.reduce(list(masks.values()))
        self.mask_paths = [roi_path(folder, sub, roi) for roi in masks]
        self._opened: dict[RunId, RunModel] = {}
        self._spanning: tuple[Subject, Responses] | None = None
        self._brain: tuple[NDArray[np.bool_], list[Path]] | None = None

    def run(self, run: RunId) -> RunModel:
        if run not in self._opened:
            opened = open_run(self.study, self.folder, self.stim_ids, run)
            for mask_path in self.mask_paths:
                check_same_grid(mask_path, open_nifti(mask_path), opened.series.path, opened.series.image)
            self._opened[run] = opened
        return self._opened[run]

    def brain(self) -> tuple[NDArray[np.bool_], list[Path]]:
        """The brain's voxels, and the file that says so: fMRIPrep's mask, else bright voxels of the first run."""
        if self._brain is None:
            first = self.run(next(run for run in self.folder.runs(self.study.analysis.task) if run.sub == self.sub))
            path = find_brain_mask(self.folder, self.sub)
            if path is not None:
                check_same_grid(path, open_nifti(path), first.series.path, first.series.image)
                self._brain = read_mask(path), [path]
            else:
                self._brain = _bright(first, self.memory_bytes), [first.series.path]
        return self._brain

    def where(self) -> tuple[NDArray[np.bool_], list[Path]]:
        """The voxels that get betas, and the files that say so."""
        if self.plan.where == "rois":
            return self.rois, self.mask_paths
        brain, files = self.brain()
        return self.rois | brain, [*self.mask_paths, *files]

    def spanning(self) -> tuple[Subject, Responses]:
        """The subject with what is found over all runs: noise components, and each voxel's response."""
        if self._spanning is None:
            runs = tuple(self.run(run) for run in self.folder.runs(self.study.analysis.task) if run.sub == self.sub)
            where, files = self.where()
            brain, brain_files = self.brain() if self.plan.noise_components else (where, [])
            files = list(dict.fromkeys([*files, *brain_files]))
            subject = Subject(self.folder, self.sub, runs, self.stim_ids, brain, where, tuple(files))
            parameters = self.parameters(runs)
            cleaned = with_noise_components(subject, self.plan, parameters, self.memory_bytes)
            subject = replace(subject, runs=cleaned)
            self._spanning = subject, responses(subject, self.plan, parameters, self.memory_bytes)
        return self._spanning

    def parameters(self, runs: Sequence[RunModel]) -> dict[str, Any]:
        """What shapes the betas, for their sidecar."""
        first = runs[0].series
        scans = [run.series.scan for run in runs]
        by_run = {run.run.stem: list(run.inputs.names) for run in runs}
        return {
            "glm": self.plan.model_dump(mode="json"),
            "polynomial_order": polynomial_order(scans[0]) if self.plan.drift == "polynomial" else None,
            "slice_time_ref": round(first.start_s / first.scan.tr_s, 9),
            "slice_time_ref_from": first.start_by,
            "tr_s": first.scan.tr_s,
            "volumes": scans[0].volumes if len(scans) == 1 else [scan.volumes for scan in scans],
            "dummies_left_out": first.skipped,
            "pulses_logged": [run.series.pulses or None for run in runs],
            "confounds": next(iter(by_run.values())) if len(by_run) == 1 else by_run,
        }

    def estimate(self, unit: Unit) -> bool:
        """Estimate one betas file, unless it is current; whether it was written."""
        where, where_files = self.where()
        if self.plan.noise_components or self.plan.hrf == "library":
            subject, chosen = self.spanning()
            runs = [run for run in subject.runs if run.run in unit.runs]
        else:
            runs = [self.run(run) for run in unit.runs]
            chosen = Responses((None,), np.zeros(int(where.sum()), dtype=np.intp), ())
        _check_one_time(runs)
        inputs = [*(path for run in runs for path in run.files), self.folder.manifest, *where_files, *chosen.files]
        parameters = self.parameters(runs)
        made = [unit.path, *([noise_path(unit.path)] if needs_noise(self.study) else [])]
        if all(is_current(self.folder, path, inputs, parameters) for path in made) and table_path(unit.path).exists():
            return False
        refuse_imported(self.folder, unit)
        if needs_noise(self.study):
            for roi, mask in self.masks.items():
                refuse_too_large(f"sub-{self.sub} {roi}", int(mask.sum()), ESTIMATING)
        designs = self._designs(runs, chosen)
        fitted = _fit(self, runs, designs, chosen, where)
        make_room(self.folder, unit, self.plan, with_noise=needs_noise(self.study))
        self._write(unit, runs, designs, fitted, where, inputs, parameters)
        return True

    def _designs(self, runs: Sequence[RunModel], chosen: Responses) -> dict[int, Design]:
        """One design, or one for each response of the library that a voxel has."""
        found = {}
        for place in sorted(set(chosen.choice.tolist()) - {-1}) or [0]:
            try:
                inputs = [run.inputs for run in runs]
                found[place] = design_of(inputs, self.stim_ids, self.plan, chosen.candidates[place])
            except FoolscanError as error:
                raise FoolscanError(f"{runs[0].events}: {error}") from None
        return found

    def _write(
        self,
        unit: Unit,
        runs: Sequence[RunModel],
        designs: dict[int, Design],
        fitted: _Fitted,
        where: NDArray[np.bool_],
        inputs: Sequence[Path],
        parameters: dict[str, Any],
    ) -> None:
        design = next(iter(designs.values()))
        volumes = np.full((*where.shape, len(design.patterns)), np.nan, dtype=np.float32)
        volumes[where] = fitted.patterns.T
        _write_table(table_path(unit.path), design, self.stimuli)
        unit_words = "t" if self.plan.pattern == "t" else "% signal change"
        affine = runs[0].series.image.affine
        write_nifti(unit.path, volumes, affine, dtype=np.float32, note=f"betas, {unit_words}")
        more = _facts(self.study, runs, design, fitted)
        write_sidecar(
            self.folder,
            unit.path,
            inputs=inputs,
            parameters=parameters,
            packages=PACKAGES,
            more=more,
            beside=[table_path(unit.path)],
        )
        if fitted.residuals is None:
            return
        path = noise_path(unit.path)
        write_noise(path, self._noise(fitted.residuals, fitted.dof, where))
        more = {
            "Description": "Covariance over voxels, ROI by ROI, of what the model of the betas leaves of the time series."
        }
        write_sidecar(self.folder, path, inputs=inputs, parameters=parameters, packages=("numpy", "h5py"), more=more)

    def _noise(self, residuals: NDArray[np.float32], dof: int, where: NDArray[np.bool_]) -> Iterator[tuple[str, Noise]]:
        """The noise of each ROI, the next one's only when that of the last was taken."""
        for roi, mask in self.masks.items():
            mine = mask[where][self.rois[where]]
            with one_at_a_time(f"sub-{self.sub} {roi}", int(mine.sum()), ESTIMATING):
                yield roi, noise_of(residuals[mine].T, dof)


@dataclass(frozen=True)
class _Fitted:
    """Patterns (n_patterns, n_voxels) in single precision, NaN in unusable voxels; residuals (n_voxels in ROIs, n_volumes)."""

    patterns: NDArray[np.float32]
    residuals: NDArray[np.float32] | None
    dof: int
    unusable: int


def _fit(
    person: _Person, runs: Sequence[RunModel], designs: dict[int, Design], chosen: Responses, where: NDArray[np.bool_]
) -> _Fitted:
    """Fit all voxels, block by block."""
    design = next(iter(designs.values()))
    n_voxels, (n_volumes, n_regressors) = int(where.sum()), design.matrix.shape
    patterns = np.full((len(design.patterns), n_voxels), np.nan, dtype=np.float32)
    in_rois = person.rois[where]
    kept = _room_for_residuals((int(in_rois.sum()), n_volumes), person) if needs_noise(person.study) else None
    place_in_rois = np.cumsum(in_rois) - 1
    dof, unusable = n_volumes - n_regressors, np.zeros(n_voxels, dtype=bool)
    working = 8 * (3 * n_volumes + 3 * n_regressors + 2 * len(design.patterns))
    memory_bytes = person.memory_bytes - (0 if kept is None or isinstance(kept, np.memmap) else kept.nbytes)
    for block in run_blocks([run.series for run in runs], where, memory_bytes, working):
        percent = np.vstack(block.percent)
        unusable[block.voxels] = np.isnan(percent).any(axis=0)
        choice = chosen.choice[block.voxels]
        for place, of_response in designs.items():
            mine = np.flatnonzero((choice == place) & ~unusable[block.voxels])
            if not mine.size:
                continue
            found = estimate(of_response, percent[:, mine], person.plan, with_residuals=kept is not None)
            voxels = mine + block.voxels.start
            patterns[:, voxels] = found.patterns
            if kept is not None and found.residuals is not None:
                inside = in_rois[voxels]
                kept[place_in_rois[voxels[inside]]] = found.residuals[:, inside].T
                dof = found.dof
    if unusable[in_rois].all():
        raise FoolscanError(
            f"{runs[0].series.path}: all {int(in_rois.sum())} voxels of the ROIs are constant, NaN or without a positive mean; "
            "look at the images, and copy them again"
        )
    return _Fitted(patterns, kept, dof, int(unusable.sum()))


def _room_for_residuals(shape: tuple[int, int], person: _Person) -> NDArray[np.float32]:
    """NaN in single precision: in memory where half the budget holds it, else in a temporary file."""
    if 4 * shape[0] * shape[1] <= person.memory_bytes // 2:
        return np.full(shape, np.nan, dtype=np.float32)
    with tempfile.TemporaryFile() as waiting:  # the map keeps it open
        kept = np.memmap(waiting, dtype=np.float32, mode="w+", shape=shape)
    kept[:] = np.nan
    return kept


def _bright(run: RunModel, memory_bytes: int) -> NDArray[np.bool_]:
    """The voxels of a run's mean image above half its 99th percentile."""
    shape = run.series.image.shape[:3]
    mean = np.empty(int(np.prod(shape)))
    for block in blocks(run.series.path, np.ones(shape, dtype=bool), memory_bytes, first=run.series.skipped):
        mean[block.voxels] = block.data.mean(axis=0)
    mean = np.nan_to_num(mean)
    return np.asarray((mean > BRIGHT_SHARE * np.percentile(mean, BRIGHT_PERCENTILE)).reshape(shape))


def _check_one_time(runs: Sequence[RunModel]) -> None:
    for run in runs[1:]:
        if abs(run.series.start_s - runs[0].series.start_s) > 1e-6:
            raise FoolscanError(
                f"{run.series.path}: slices were corrected to {run.series.start_s:g} s of the TR; in {runs[0].series.path.name} to "
                f"{runs[0].series.start_s:g} s. Preprocess the runs alike"
            )


def _facts(study: Study, runs: Sequence[RunModel], design: Design, fitted: _Fitted) -> dict[str, Any]:
    plan = study.analysis.glm
    of = {
        "run_condition": "one first-level GLM per run, one regressor per image",
        "single_trial": "one first-level GLM per run, one regressor per presentation",
        "lss": "a first-level GLM for each presentation of a run: that presentation, all others together",
        "session_condition": "one first-level GLM per session, its runs end to end, one regressor per image",
    }[plan.model]
    height = "percent signal change at the peak of the response to one isolated presentation"
    if plan.hrf == "fir":
        height = f"percent signal change, mean from {plan.fir_window_s[0]:g} to {plan.fir_window_s[1]:g} s after onset"
    where = "the ROIs" if plan.where == "rois" else "the brain and the ROIs"
    blanks = ["blank"] if plan.blanks == "one_regressor" else []
    more: dict[str, Any] = {
        "Description": f"{'Betas' if plan.pattern == 'beta' else 'Student’s t'} of {of}; NaN outside {where}.",
        "Units": height if plan.pattern == "beta" else "t",
        "Regressors": [*blanks, *design.names[design.n_conditions :]],
        "DegreesOfFreedom": fitted.dof,
        "UnusableVoxels": fitted.unusable,
    }
    dropped = {run.run.stem: list(run.dropped) for run in runs if run.dropped}
    if dropped:
        more["ConstantConfoundsLeftOut"] = dropped
    if asked_for(plan) and not all(run.moves for run in runs):
        more["Warnings"] = [NO_CONFOUNDS]
    return more


def _write_table(path: Path, design: Design, stimuli: Sequence[Stimulus]) -> None:
    of_id = {stimulus.stim_id: stimulus for stimulus in stimuli}
    single = any(pattern.trial is not None for pattern in design.patterns)
    rows = [
        {
            "index": index,
            "stim_id": pattern.stim_id,
            "set": of_id[pattern.stim_id].set,
            "category": of_id[pattern.stim_id].category,
            "presentations": pattern.presentations,
            "trial": pattern.trial,
            "onset_s": pattern.onset_s,
        }
        for index, pattern in enumerate(design.patterns)
    ]
    write_table(path, SINGLE_TRIAL_COLUMNS if single else COLUMNS, rows)
