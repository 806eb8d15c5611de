"""Regions of interest: one mask per subject and ROI, checked against one another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.nifti import check_same_grid, open_nifti, read_all, write_nifti
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, NotReady
from protocols.study import Study


@dataclass(frozen=True)
class RoiCheck:
    """What was found for one subject and ROI.

    voxels  : voxels in the mask; None without a usable mask.
    problem : what is wrong, in words; empty when nothing is.
    """

    sub: str
    roi: str
    path: Path
    voxels: int | None
    problem: str


def roi_path(folder: StudyFolder, sub: str, roi: str) -> Path:
    """``derivatives/foolscan/rois/sub-01/sub-01_roi-V1_mask.nii.gz``: a simulated mask or the lab's own."""
    return folder.derived("rois") / f"sub-{sub}" / f"sub-{sub}_roi-{roi}_mask.nii.gz"


def write_mask(path: Path, mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> None:
    """Write a mask, (x, y, z), as 0 and 1."""
    write_nifti(path, mask, affine, dtype=np.uint8)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """The voxels of a mask that are not 0, (x, y, z).

    Raises FoolscanError when it is not a single volume, or has no voxels.
    """
    image = open_nifti(path)
    if len(image.shape) != 3:
        raise FoolscanError(f"{path}: found {len(image.shape)} dimensions {image.shape}; a mask has 3: x, y, z")
    values = read_all(path, image)
    mask = np.asarray(np.isfinite(values) & (values != 0))
    if not mask.any():
        raise FoolscanError(f"{path}: found no voxel that is not 0; draw the ROI again")
    return mask


def load_rois(study: Study, folder: StudyFolder, sub: str) -> dict[str, NDArray[np.bool_]]:
    """The masks of one subject, by ROI name in the study's order.

    Raises NotReady when a mask is missing, FoolscanError when one is unreadable, empty, or on another grid than the first.
    """
    paths = {roi: roi_path(folder, sub, roi) for roi in study.analysis.rois}
    missing = [path for path in paths.values() if not path.exists()]
    if missing:
        raise NotReady(
            f"{missing[0]}: no such mask ({len(missing)} of {len(paths)} missing for sub-{sub}); "
            "put the subject's masks there, or for a rehearsal: foolscan analysis simulate-bold"
        )
    first_path = next(iter(paths.values()))
    first = open_nifti(first_path)
    for path in paths.values():
        check_same_grid(path, open_nifti(path), first_path, first)
    return {roi: read_mask(path) for roi, path in paths.items()}


def check_rois(study: Study, folder: StudyFolder, subjects: list[str]) -> list[RoiCheck]:
    """Every mask of every subject: present, readable, on the grid of the subject's first mask, large enough.

    subjects : BIDS labels.
    """
    found = []
    for sub in subjects:
        first: Path | None = None
        for roi in study.analysis.rois:
            path = roi_path(folder, sub, roi)
            voxels, problem = None, ""
            try:
                voxels = int(read_mask(path).sum())
                if first is not None:
                    check_same_grid(path, open_nifti(path), first, open_nifti(first))
                first = first or path
                if voxels < study.analysis.voxels.per_subject:
                    problem = (
                        f"{voxels} voxels; analysis.voxels.per_subject asks for {study.analysis.voxels.per_subject}"
                    )
            except FoolscanError as error:
                problem = str(error)
            found.append(RoiCheck(sub, roi, path, voxels, problem))
    return found
