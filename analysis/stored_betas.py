"""Betas as they are stored: where they lie, and how they are read back as patterns."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from analysis.nifti import check_same_grid, open_nifti, read_voxels
from analysis.patterns import Patterns
from analysis.rois import load_rois, roi_path
from protocols.folder import RunId, StudyFolder
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import read_provenance, sha256_of
from protocols.study import Study


def betas_path(folder: StudyFolder, run: RunId) -> Path:
    """``derivatives/foolscan/betas/sub-*/ses-*/<stem>_betas.nii.gz``; its table of images is ``_betas.tsv``."""
    return folder.derived("betas") / f"sub-{run.sub}" / f"ses-{run.ses}" / f"{run.stem}_betas.nii.gz"


def table_path(path: Path) -> Path:
    """The table of the images of a betas file."""
    return path.with_name(path.name.removesuffix(".nii.gz") + ".tsv")


def load_patterns(study: Study, folder: StudyFolder, sub: str, roi: str) -> Patterns:
    """The betas of one subject in one ROI, all runs, the images in the manifest's order, unscaled.

    study  : names the task and the ROIs.
    folder : the study folder, with betas estimated.
    sub    : BIDS label of the subject.
    roi    : name of the ROI.

    Raises NotReady when the betas are missing, FoolscanError when a table and its image disagree with each other, with
    the manifest or with the mask.
    """
    rois = load_rois(study, folder, sub)
    if roi not in rois:
        raise FoolscanError(f"ROI: found {roi!r}; allowed: {', '.join(rois)}")
    runs = [run for run in folder.runs(study.analysis.task) if run.sub == sub]
    if not runs:
        raise NotReady(f"{folder.root}: no runs of task {study.analysis.task} for sub-{sub}")
    stimuli = read_manifest(folder)
    of_id = {stimulus.stim_id: i for i, stimulus in enumerate(stimuli)}
    mask, mask_path = rois[roi], roi_path(folder, sub, roi)
    betas = np.full((len(runs), len(stimuli), int(mask.sum())), np.nan)
    for place, run in enumerate(runs):
        path = betas_path(folder, run)
        if not path.exists():
            raise NotReady(f"{path}: no betas of this run yet; run: foolscan analysis betas STUDY --to {folder.root}")
        if read_provenance(path)["inputs"].get(folder.relative(mask_path)) != sha256_of(mask_path):
            raise FoolscanError(
                f"{path}: estimated before {mask_path} was made or changed; run foolscan analysis betas again"
            )
        image = open_nifti(path)
        check_same_grid(mask_path, open_nifti(mask_path), path, image)
        rows = [of_id[stim_id] for stim_id in _read_table(table_path(path), image.shape[3], of_id)]
        betas[place, rows] = read_voxels(path, image, mask)
    return Patterns(
        sub=sub,
        roi=roi,
        runs=tuple(run.stem for run in runs),
        stim_ids=tuple(of_id),
        sets=tuple(stimulus.set for stimulus in stimuli),
        categories=tuple(stimulus.category for stimulus in stimuli),
        betas=betas,
        voxels=np.argwhere(mask),
    )


def _read_table(path: Path, n_volumes: int, known: Mapping[str, int]) -> list[str]:
    """The images of a betas file, in its order."""
    if not path.exists():
        raise FoolscanError(f"{path}: no table of images beside the betas; run foolscan analysis betas again")
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    if len(rows) != n_volumes:
        raise FoolscanError(
            f"{path}: found {len(rows)} images for {n_volumes} betas; run foolscan analysis betas again"
        )
    stim_ids = []
    for line, row in enumerate(rows, start=2):
        if row.get("stim_id") not in known:
            raise FoolscanError(
                f"{path}:{line}: stim_id: found {row.get('stim_id')!r}, which stimuli.tsv does not have; "
                "estimate the betas again with this folder's stimuli"
            )
        stim_ids.append(row["stim_id"])
    return stim_ids
