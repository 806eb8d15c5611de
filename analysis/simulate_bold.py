"""Writes the images that a scanner would have stored, had a simulated brain with a stated truth lain in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.confounds import confounds_path, write_confounds
from analysis.events import check_images, check_length, read_events, shown_images
from analysis.nifti import open_nifti, write_nifti
from analysis.rois import roi_path, write_mask
from analysis.simulated_brain import Anatomy, affine, anatomy, cumulative_hrfs, responses_pct, run_volumes
from analysis.simulated_patterns import Truth, geometry_of, true_similarity, truth_of
from analysis.truth_files import amplitudes_path, simulation, truth_path
from protocols.folder import REHEARSAL_NOTE, RunId, StudyFolder, read_json, write_bytes, write_json
from protocols.locks import exclusive
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import is_current, write_sidecar
from protocols.seeds import generator_for, seed_for
from protocols.study import Study

TRUTH_FORMAT = 1
MARK = REHEARSAL_NOTE[:9].encode("ascii")
SLOPE = 0.05  # scanner units per stored integer: up to 1638 in 16 bits
PACKAGES = ("numpy", "scipy", "nibabel")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SimulatedSubject:
    """What does not change between a subject's runs."""

    sub: str
    head: Anatomy
    truths: dict[str, Truth]
    hrfs: dict[str, NDArray[np.float64]]


def simulate_bold(study: Study, folder: StudyFolder, progress: Progress | None = None) -> list[Path]:
    """Simulate the images of every run that has events, the ROI masks and the stated truth.

    study    : states the truth (``rehearsal.brain``) and the scan protocol.
    folder   : a rehearsal's study folder, with stimuli and events.
    progress : called with what is being made, how much is done and how much there is.

    Returns the images written; those that are already right are left alone.
    Raises NotReady without events, FoolscanError in a folder that holds people's data, or while another command
    simulates in it.
    """
    runs = folder.runs(study.analysis.task)
    if not runs:
        raise NotReady(
            f"{folder.root}: no events of task {study.analysis.task} yet; run: foolscan experiment rehearse STUDY --to {folder.root}"
        )
    _refuse_real_data(folder, runs)
    stimuli = read_manifest(folder)
    with exclusive(simulation(folder), "the simulated images of this study folder"):
        return _simulate(study, folder, stimuli, runs, progress)


def _simulate(
    study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus], runs: Sequence[RunId], progress: Progress | None
) -> list[Path]:
    subjects: dict[str, SimulatedSubject] = {}
    for sub in dict.fromkeys(run.sub for run in runs):
        subjects[sub] = simulated_subject(study, stimuli, sub)
        _write_masks(study, folder, subjects[sub])
    _write_truth(study, folder, stimuli, subjects)
    written = []
    for done, run in enumerate(runs):
        if progress:
            progress(run.stem, done, len(runs))
        if _simulate_run(study, folder, stimuli, subjects[run.sub], run):
            written.append(folder.bold(run))
    if progress:
        progress("", len(runs), len(runs))
    return written


def simulated_subject(study: Study, stimuli: Sequence[Stimulus], sub: str) -> SimulatedSubject:
    """One subject's anatomy, truth and haemodynamics, from the study's seed and the subject's label."""
    brain, rois = study.rehearsal.brain, study.analysis.rois
    head = anatomy(generator_for(study.seed, f"brain/anatomy/sub-{sub}"), rois, brain.voxels_per_roi)
    truths = {roi: truth_of(study, stimuli, sub, roi, geometry_of(study, stimuli, roi)) for roi in rois}
    hrfs = {
        roi: cumulative_hrfs(
            generator_for(study.seed, f"brain/hrf/sub-{sub}/{roi}"), brain.voxels_per_roi, brain.hrf_delay_sd_s
        )
        for roi in rois
    }
    return SimulatedSubject(sub, head, truths, hrfs)


def parameters_of(study: Study) -> dict[str, Any]:
    """What shapes the simulated images, for their sidecars."""
    return {
        "brain": study.rehearsal.brain.model_dump(mode="json"),
        "rois": list(study.analysis.rois),
        "tr_s": study.scan.tr_s,
        "volumes": study.scan.volumes,
        "stored_dummies": study.scan.stored_dummies,
        "image_s": study.tasks[study.analysis.task].image_s,
        "study_seed": study.seed,
    }


def _simulate_run(
    study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus], subject: SimulatedSubject, run: RunId
) -> bool:
    path, events_path = folder.bold(run), folder.events(run)
    inputs, parameters = [events_path, folder.manifest], parameters_of(study)
    if is_current(folder, path, inputs, parameters) and confounds_path(folder, run).exists():
        return False
    images = shown_images(read_events(events_path))
    check_images(events_path, images, [stimulus.stim_id for stimulus in stimuli])
    # a simulated scanner has no approach to steady state: its dummies are volumes like all others
    scan = study.scan.model_copy(update={"volumes": study.scan.stored_dummies + study.scan.volumes})
    check_length(events_path, images, scan.volumes, scan.tr_s)
    rng = generator_for(study.seed, f"brain/run/{run.stem}")
    row = {stimulus.stim_id: i for i, stimulus in enumerate(stimuli)}
    signal = {}
    for roi, truth in subject.truths.items():
        amplitudes = {stim_id: truth.amplitudes_pct[i] for stim_id, i in row.items()}
        signal[roi] = responses_pct(rng, images, amplitudes, subject.hrfs[roi], scan, parameters["image_s"])
    volumes, motion = run_volumes(rng, subject.head, signal, scan, study.rehearsal.brain)
    seed = seed_for(study.seed, f"brain/run/{run.stem}")
    table = write_confounds(folder, run, motion)
    marked = {"Simulated": True, "Description": REHEARSAL_NOTE}
    write_sidecar(folder, table, inputs=inputs, parameters=parameters, packages=PACKAGES, seed=seed, more=marked)
    write_nifti(
        path,
        np.moveaxis(volumes, 0, -1),
        affine(),
        dtype=np.int16,
        tr_s=study.scan.tr_s,
        slope=SLOPE,
        note=REHEARSAL_NOTE,
    )
    facts = {
        "TaskName": run.task,
        "RepetitionTime": study.scan.tr_s,
        "StartTime": study.scan.tr_s / 2,
        **marked,
    }
    write_sidecar(folder, path, inputs=inputs, parameters=parameters, packages=PACKAGES, seed=seed, more=facts)
    return True


def _write_masks(study: Study, folder: StudyFolder, subject: SimulatedSubject) -> None:
    parameters = parameters_of(study)
    for roi in study.analysis.rois:
        path = roi_path(folder, subject.sub, roi)
        write_mask(path, subject.head.mask(roi), affine())
        more = {"Simulated": True, "Description": REHEARSAL_NOTE}
        write_sidecar(folder, path, inputs=[], parameters=parameters, packages=PACKAGES, seed=study.seed, more=more)


def _write_truth(
    study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus], subjects: dict[str, SimulatedSubject]
) -> None:
    plan = study.analysis
    for subject in subjects.values():
        for roi, truth in subject.truths.items():
            path = amplitudes_path(folder, subject.sub, roi)
            content = BytesIO()
            np.save(content, truth.amplitudes_pct.astype(np.float32))
            write_bytes(path, content.getvalue())
            more = {
                "Simulated": True,
                "Description": "Peak of the noiseless BOLD response to each image (rows, as in stimuli.tsv) in each voxel "
                "of the mask (columns, in the mask's order).",
                "Units": "percent",
                "Informative": truth.informative.tolist(),
            }
            write_sidecar(
                folder, path, inputs=[folder.manifest], parameters=parameters_of(study), seed=study.seed, more=more
            )
    rois = {
        roi: true_similarity(plan, stimuli, roi, {sub: subject.truths[roi] for sub, subject in subjects.items()})
        for roi in plan.rois
    }
    record = {
        "format": TRUTH_FORMAT,
        "Simulated": True,
        "Description": f"{REHEARSAL_NOTE} Similarities of the noiseless RDMs.",
        "rois": rois,
        "measure": {
            "pattern_scaling": plan.pattern_scaling,
            "pooling": plan.pooling,
            "dissimilarity": plan.dissimilarity,
            "similarity": plan.similarity,
            "voxels": "all informative voxels of all subjects, pooled",
            "subjects": list(subjects),
        },
        "shared": {roi: study.rehearsal.brain.shared[roi] for roi in plan.rois},
    }
    write_json(truth_path(folder), record)


def _refuse_real_data(folder: StudyFolder, runs: Sequence[RunId]) -> None:
    description = folder.root / "dataset_description.json"
    if not description.exists() or read_json(description).get("Simulated") is not True:
        raise FoolscanError(
            f"{folder.root}: not a rehearsal's folder (dataset_description.json does not say Simulated); "
            "simulated images are never written among people's data"
        )
    for run in runs:
        path = folder.bold(run)
        # the mark is in the image itself: a sidecar may be missing after an interruption
        if path.exists() and not bytes(open_nifti(path).header["descrip"].item()).startswith(MARK):
            raise FoolscanError(f"{path}: found images that foolscan did not simulate; move them out of this folder")
