"""Masks in the image grid: where they lie, how they are written and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.nifti import open_nifti, read_all, write_nifti
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError


def roi_path(folder: StudyFolder, sub: str, roi: str) -> Path:
    """``derivatives/foolscan/rois/sub-01/sub-01_roi-V1_mask.nii.gz``: the lab's own, made by the study file, or simulated."""
    return folder.derived("rois") / f"sub-{sub}" / f"sub-{sub}_roi-{roi}_mask.nii.gz"


def write_mask(path: Path, mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> None:
    """Write a mask, (x, y, z), as 0 and 1."""
    write_nifti(path, mask, affine, dtype=np.uint8)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """The voxels of a mask that are not 0, (x, y, z).

    Raises FoolscanError when it is not a single volume, or has no voxels.
    """
    return inside_mask(path, None)


def inside_mask(path: Path, above: float | None) -> NDArray[np.bool_]:
    """The voxels of a mask or a map of probabilities, (x, y, z).

    above : voxels with a larger value are inside; None: all that are not 0. NaN is outside.
    """
    values = read_volume(path, "a mask")
    mask = np.asarray(np.isfinite(values) & ((values != 0) if above is None else (values > above)))
    if not mask.any():
        what = "that is not 0" if above is None else f"above {above:g}"
        raise FoolscanError(f"{path}: found no voxel {what}; draw the ROI again")
    return mask


def read_volume(path: Path, what: str) -> NDArray[np.float64]:
    """The values of an image of one volume, (x, y, z); a fourth dimension of length 1 is left out.

    what : what it should be, for the message.
    """
    image = open_nifti(path)
    shape = tuple(int(n) for n in image.shape)
    if len(shape) == 4 and shape[3] == 1:
        shape = shape[:3]
    if len(shape) != 3:
        raise FoolscanError(f"{path}: found {len(image.shape)} dimensions {image.shape}; {what} has 3: x, y, z")
    return np.asarray(read_all(path, image), dtype=np.float64).reshape(shape)
