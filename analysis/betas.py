"""Betas: one first-level GLM per run, one regressor per image, in % signal change."""

from __future__ import annotations

import csv
import io
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from analysis.confounds import MOTION_COLUMNS, find_confounds, read_motion
from analysis.events import Event, check_images, check_length, read_events, shown_images
from analysis.fmriprep import find_bold
from analysis.nifti import check_same_grid, open_nifti, read_voxels, write_nifti
from analysis.rois import load_rois, roi_path
from analysis.stored_betas import betas_path, table_path
from protocols.folder import RunId, StudyFolder, read_json, write_text
from protocols.glm_plan import GlmPlan
from protocols.locks import exclusive
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import is_current, sidecar_path, write_sidecar
from protocols.study import ScanProtocol, Study

PACKAGES = ("numpy", "scipy", "pandas", "nibabel", "nilearn")
CONVOLUTION_STEP_S = 0.1  # onsets are rounded to this grid or a finer one before they are convolved with the HRF
NO_CONFOUNDS = "no confounds table of this run: motion is not in the model, and may pass for responses"
COLUMNS = ("index", "stim_id", "set", "category", "presentations")

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Design:
    """The design matrix of one run.

    matrix    : (n_volumes, n_regressors); the first `len(stim_ids)` columns are the images'.
    names     : of the columns.
    stim_ids  : the images shown, in manifest order.
    peak      : height of an image's regressor for one isolated presentation: a beta times this is the height of the response.
    """

    matrix: Floats
    names: tuple[str, ...]
    stim_ids: tuple[str, ...]
    peak: float


def design_of(
    images: Sequence[Event],
    stim_ids: Sequence[str],
    scan: ScanProtocol,
    start_s: float,
    plan: GlmPlan,
    motion: Floats | None = None,
) -> Design:
    """One regressor per image (all its presentations in the run), drift, motion and a constant, built by nilearn.

    images   : the rows of events.tsv that show an image, onsets from the first volume that is analysed.
    stim_ids : the manifest's identifiers, which give the order of columns.
    scan     : TR and number of volumes.
    start_s  : time within the TR that a volume's signal stands for, s (slice_time_ref · TR).
    plan     : HRF, drift, high-pass.
    motion   : (n_volumes, 6) or None.

    Raises FoolscanError when the regressors are not independent.
    """
    import pandas as pd
    from nilearn.glm.first_level import compute_regressor, make_first_level_design_matrix

    shown = [stim_id for stim_id in stim_ids if any(event.stim_id == stim_id for event in images)]
    # nilearn sorts conditions by name: numbers in the manifest's order keep that order
    condition = {stim_id: f"image_{place:05d}" for place, stim_id in enumerate(shown)}
    table = pd.DataFrame(
        {
            "onset": [event.onset_s for event in images],
            "duration": [event.duration_s for event in images],
            "trial_type": [condition[str(event.stim_id)] for event in images],
        }
    )
    frame_times = start_s + np.arange(scan.volumes) * scan.tr_s
    with warnings.catch_warnings():
        # nilearn warns of dependent regressors, changes them, and goes on
        warnings.filterwarnings("error", message="Matrix is singular", category=UserWarning)
        try:
            frame = make_first_level_design_matrix(
                frame_times,
                table,
                hrf_model=plan.hrf,
                drift_model=plan.drift,
                high_pass=plan.high_pass_hz,
                drift_order=polynomial_order(scan),
                oversampling=math.ceil(scan.tr_s / CONVOLUTION_STEP_S),
                add_regs=None if motion is None else motion - motion.mean(axis=0),
                add_reg_names=None if motion is None else list(MOTION_COLUMNS),
            )
        except UserWarning:
            raise FoolscanError(
                f"{len(shown)} images: found regressors that are not independent of one another; are two images at the "
                "same time, or is one so late that its response is not recorded?"
            ) from None
    matrix = frame.to_numpy(dtype=np.float64)
    rank = int(np.linalg.matrix_rank(matrix / np.linalg.norm(matrix, axis=0)))
    if rank < matrix.shape[1] or scan.volumes <= matrix.shape[1]:
        raise FoolscanError(
            f"found {matrix.shape[1]} regressors of rank {rank} for {scan.volumes} volumes; betas need independent "
            "regressors and more volumes than regressors: longer runs, or fewer images in a run"
        )
    duration_s = float(np.median([event.duration_s for event in images]))
    fine_s = np.arange(0.0, 40.0, 0.05)
    alone, _ = compute_regressor(np.array([[0.0], [duration_s], [1.0]]), plan.hrf, fine_s)
    return Design(matrix, tuple(map(str, frame.columns)), tuple(shown), float(alone.max()))


def polynomial_order(scan: ScanProtocol) -> int:
    """Degree of a polynomial drift: half the run's minutes, rounded (GLMdenoise's rule), at least 1."""
    return max(1, round(scan.volumes * scan.tr_s / 60 / 2))


def percent_signal(series: Floats) -> Floats:
    """Time series as % change from each voxel's mean over the run: (n_volumes, n_voxels); NaN for a voxel that is
    constant, not finite, or without a positive mean.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = series.mean(axis=0)
        usable = np.isfinite(series).all(axis=0) & (mean > 0) & (series.max(axis=0) > series.min(axis=0))
        return np.where(usable, 100.0 * (series / mean - 1.0), np.nan)


def fit(design: Design, percent: Floats, noise: str) -> Floats:
    """The betas of every image, in % signal change at the peak of one isolated presentation.

    design  : of the run.
    percent : (n_volumes, n_voxels), from `percent_signal`.
    noise   : ``ols``, or ``ar1`` (nilearn's, in 100 bins of the autocorrelation).

    Returns (n_images, n_voxels), NaN in unusable voxels.
    """
    from nilearn.glm.first_level import run_glm

    n_images = len(design.stim_ids)
    betas = np.full((n_images, percent.shape[1]), np.nan)
    usable = ~np.isnan(percent).any(axis=0)
    if not usable.any():
        return betas
    labels, results = run_glm(percent[:, usable], design.matrix, noise_model=noise)
    found = np.empty((n_images, int(usable.sum())))
    for label, result in results.items():
        found[:, labels == label] = result.theta[:n_images]
    betas[:, usable] = found * design.peak
    return betas


def estimate_betas(study: Study, folder: StudyFolder, progress: Progress | None = None) -> list[Path]:
    """Estimate the betas of every run that has events.

    study    : scan protocol and ``analysis.glm``.
    folder   : with events, images (the scanner's or fMRIPrep's), ROI masks and, where there are any, confounds.
    progress : called with what is being made, how much is done and how much there is.

    Returns the files written, one image of (x, y, z, n_images) for every run; those that are current are left alone.
    Raises NotReady when a run has no images yet, FoolscanError with file and numbers for what does not fit together, or
    while another command estimates betas in this folder.
    """
    runs = folder.runs(study.analysis.task)
    if not runs:
        raise NotReady(f"{folder.root}: no events of task {study.analysis.task} yet; show the runs first")
    stimuli = read_manifest(folder)
    masks = {sub: load_rois(study, folder, sub) for sub in dict.fromkeys(run.sub for run in runs)}
    written = []
    # threads that wait for one another make these small matrices many times slower on a busy machine
    with exclusive(folder.derived("betas"), "the betas of this study folder"), threadpool_limits(1, user_api="blas"):
        for done, run in enumerate(runs):
            if progress:
                progress(run.stem, done, len(runs))
            if _estimate_run(study, folder, stimuli, masks[run.sub], run):
                written.append(betas_path(folder, run))
    if progress:
        progress("", len(runs), len(runs))
    return written


def runs_without_confounds(study: Study, folder: StudyFolder) -> list[RunId]:
    """The runs whose betas have, or will have, no motion in the model."""
    return [run for run in folder.runs(study.analysis.task) if find_confounds(folder, run) is None]


def _estimate_run(
    study: Study,
    folder: StudyFolder,
    stimuli: Sequence[Stimulus],
    masks: Mapping[str, NDArray[np.bool_]],
    run: RunId,
) -> bool:
    bold_path, events_path, path = find_bold(folder, run), folder.events(run), betas_path(folder, run)
    if bold_path is None:
        raise NotReady(
            f"{folder.bold(run)}: no images of this run yet; put the scanner's there, or fMRIPrep's into "
            "derivatives/fmriprep, or for a rehearsal: foolscan analysis simulate-bold"
        )
    image = open_nifti(bold_path)
    start_s = _check_series(study.scan, bold_path, image)
    confounds = find_confounds(folder, run)
    mask_paths = [roi_path(folder, run.sub, roi) for roi in masks]
    inputs = [bold_path, sidecar_path(bold_path), events_path, folder.manifest, *mask_paths]
    inputs += [confounds] if confounds else []
    parameters = {
        "glm": study.analysis.glm.model_dump(mode="json"),
        "polynomial_order": polynomial_order(study.scan) if study.analysis.glm.drift == "polynomial" else None,
        "slice_time_ref": round(start_s / study.scan.tr_s, 9),
        "tr_s": study.scan.tr_s,
        "volumes": study.scan.volumes,
        "dummies_left_out": study.scan.stored_dummies,
        "confounds": list(MOTION_COLUMNS) if confounds else [],
    }
    if is_current(folder, path, inputs, parameters) and table_path(path).exists():
        return False
    for mask_path in mask_paths:
        check_same_grid(mask_path, open_nifti(mask_path), bold_path, image)
    images = shown_images(read_events(events_path))
    stim_ids = [stimulus.stim_id for stimulus in stimuli]
    check_images(events_path, images, stim_ids)
    skipped = study.scan.stored_dummies
    n_stored = skipped + study.scan.volumes
    check_length(events_path, images, n_stored, study.scan.tr_s)
    motion = read_motion(confounds, n_stored)[skipped:] if confounds else None
    # the first volume that is analysed is time 0 of the design
    from_first = [replace(event, onset_s=event.onset_s - skipped * study.scan.tr_s) for event in images]
    try:
        design = design_of(from_first, stim_ids, study.scan, start_s, study.analysis.glm, motion)
    except FoolscanError as error:
        raise FoolscanError(f"{events_path}: {error}") from None
    union = np.logical_or.reduce(list(masks.values()))
    percent = percent_signal(read_voxels(bold_path, image, union)[skipped:])
    if np.isnan(percent).any(axis=0).all():
        raise FoolscanError(
            f"{bold_path}: all {percent.shape[1]} voxels of the ROIs are constant, NaN or without a positive mean; "
            "look at the images, and copy them again"
        )
    betas = fit(design, percent, study.analysis.glm.noise)
    volumes = np.full((*union.shape, len(design.stim_ids)), np.nan, dtype=np.float32)
    volumes[union] = betas.T
    write_text(table_path(path), _table(design, stimuli, images))
    write_nifti(path, volumes, image.affine, dtype=np.float32, note="betas, % signal change")
    more: dict[str, Any] = {
        "Description": "Betas of one first-level GLM per run, one regressor per image; NaN outside the ROIs.",
        "Units": "percent signal change at the peak of the response to one isolated presentation",
        "Regressors": list(design.names[len(design.stim_ids) :]),
        "UnusableVoxels": int(np.isnan(percent).any(axis=0).sum()),
    }
    if confounds is None:
        more["Warnings"] = [NO_CONFOUNDS]
    write_sidecar(folder, path, inputs=inputs, parameters=parameters, packages=PACKAGES, more=more)
    return True


def _check_series(scan: ScanProtocol, path: Path, image: Any) -> float:
    """Check a run's images against the scan protocol; returns the time within the TR that they stand for, s."""
    if len(image.shape) != 4:
        raise FoolscanError(
            f"{path}: found {len(image.shape)} dimensions {image.shape}; a time series has 4: x, y, z, time"
        )
    skipped = scan.stored_dummies
    if image.shape[3] != skipped + scan.volumes:
        before = f" after {skipped} stored dummies" if skipped else ""
        raise FoolscanError(
            f"{path}: found {image.shape[3]} volumes; scan.volumes is {scan.volumes}{before}. Was the run cut short, or are "
            "scan.dummies otherwise than the study says?"
        )
    sidecar = sidecar_path(path)
    if not sidecar.exists():
        raise FoolscanError(f"{path}: no sidecar {sidecar.name} beside it; expected RepetitionTime and StartTime there")
    facts = read_json(sidecar)
    tr_s = facts.get("RepetitionTime")
    if not isinstance(tr_s, int | float) or abs(tr_s - scan.tr_s) > 1e-3:
        raise FoolscanError(f"{sidecar}: RepetitionTime: found {tr_s}; scan.tr_s is {scan.tr_s:g}")
    header_s = float(image.header.get_zooms()[3])
    if header_s > 0 and abs(header_s - scan.tr_s) > 1e-3:
        raise FoolscanError(f"{path}: the header says {header_s:g} s between volumes; scan.tr_s is {scan.tr_s:g}")
    start_s = facts.get("StartTime")
    if not isinstance(start_s, int | float) or not 0 <= start_s < scan.tr_s:
        raise FoolscanError(
            f"{sidecar}: StartTime: found {start_s}; expected the time within the TR that slices were corrected to, 0 to "
            f"{scan.tr_s:g} s (fMRIPrep writes it; without slice-time correction write {scan.tr_s / 2:g}, the middle)"
        )
    return float(start_s)


def _table(design: Design, stimuli: Sequence[Stimulus], images: Sequence[Event]) -> str:
    of_id = {stimulus.stim_id: stimulus for stimulus in stimuli}
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for index, stim_id in enumerate(design.stim_ids):
        times = sum(event.stim_id == stim_id for event in images)
        writer.writerow([index, stim_id, of_id[stim_id].set, of_id[stim_id].category, times])
    return text.getvalue()
