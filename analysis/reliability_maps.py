"""Which voxels were chosen, and how reliable every voxel of an ROI is: a table and maps for each subject and ROI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.nifti import open_nifti, write_nifti
from analysis.patterns import Patterns
from analysis.rois import roi_path
from analysis.selection import CIRCULAR_NOTE, Selection
from protocols.folder import StudyFolder
from protocols.provenance import write_sidecar
from protocols.tables import write_table

PACKAGES = ("numpy", "nibabel")

COLUMNS = {
    "subject": "Label of the subject.",
    "roi": "Region of interest.",
    "chosen_on": "Runs that the reliability was computed on: one half, or all of them where the choice is circular.",
    "analysed_on": "Runs that these voxels are analysed on.",
    "selection": "Rule of the choice (analysis.voxels.by); a circular one says so.",
    "rank": "Place by reliability, 1 the most reliable.",
    "i": "Index of the voxel in the image; on a surface the hemisphere, 0 left and 1 right.",
    "j": "Index of the voxel in the image; on a surface the vertex.",
    "k": "Index of the voxel in the image; on a surface 0.",
    "x_mm": "Centre of the voxel in the space of the image, mm; n/a on a surface.",
    "y_mm": "Centre of the voxel in the space of the image, mm; n/a on a surface.",
    "z_mm": "Centre of the voxel in the space of the image, mm; n/a on a surface.",
    "reliability": "Mean correlation between repeats, over images, of the voxel's responses; by searchlight, that of the RDMs of the "
    "voxels around it in two halves of the runs.",
}


def chosen_path(folder: StudyFolder, sub: str, roi: str) -> Path:
    """``voxels/sub-01/sub-01_roi-V1_voxels.tsv``: the chosen voxels."""
    return folder.derived("voxels") / f"sub-{sub}" / f"sub-{sub}_roi-{roi}_voxels.tsv"


def map_path(folder: StudyFolder, sub: str, roi: str, name: str) -> Path:
    """``voxels/sub-01/sub-01_roi-V1_desc-half1_reliability.nii.gz``: the reliability of every voxel of the ROI."""
    return chosen_path(folder, sub, roi).with_name(f"sub-{sub}_roi-{roi}_desc-{name}_reliability.nii.gz")


def write_chosen(
    folder: StudyFolder,
    patterns: Patterns,
    chosen: Sequence[Selection],
    inputs: Sequence[Path],
    parameters: Mapping[str, Any],
) -> list[Path]:
    """Write the table of one subject's chosen voxels in an ROI and, where they lie in an image, maps of the reliability.

    patterns   : whose voxels they are.
    chosen     : from `analysis.selection.selections`.
    inputs     : files that the choice is made from.
    parameters : what shapes it.

    Returns the files. Maps are NaN outside the ROI and where a voxel has no reliability.
    """
    path = chosen_path(folder, patterns.sub, patterns.roi)
    write_table(
        path, COLUMNS, [row for number, found in enumerate(chosen, 1) for row in _rows(patterns, found, number)]
    )
    warned = {"Warnings": [CIRCULAR_NOTE]} if any(found.circular for found in chosen) else {}
    more = {name: {"Description": words} for name, words in COLUMNS.items()} | warned
    write_sidecar(folder, path, inputs=inputs, parameters=parameters, packages=PACKAGES, more=more)
    written = [path]
    for number, found in enumerate(chosen, 1):
        if patterns.positions_mm is None or found.everywhere is None:
            continue
        name = _name(found, number)
        image = open_nifti(roi_path(folder, patterns.sub, patterns.roi))
        values = np.full(image.shape[:3], np.nan, dtype=np.float32)
        reliability = np.where(np.isfinite(found.everywhere), found.everywhere, np.nan)
        values[tuple(patterns.voxels.T)] = reliability
        target = map_path(folder, patterns.sub, patterns.roi, name)
        note = f"reliability by {found.words}"
        write_nifti(target, values, np.asarray(image.affine), dtype=np.float32, note=note)
        runs = ", ".join(patterns.runs[row] for row in found.select_runs)
        told = {"Description": f"Reliability of every voxel of {patterns.roi}, by {found.words}; runs: {runs}"} | warned
        write_sidecar(folder, target, inputs=inputs, parameters=parameters, packages=PACKAGES, more=told)
        written.append(target)
    return written


def _rows(patterns: Patterns, found: Selection, number: int) -> list[dict[str, Any]]:
    name = _name(found, number)
    rows = []
    for rank, (voxel, reliability) in enumerate(zip(found.voxels, found.reliability, strict=True), 1):
        i, j, k = (int(index) for index in patterns.voxels[voxel])
        x, y, z = (None,) * 3 if patterns.positions_mm is None else (float(mm) for mm in patterns.positions_mm[voxel])
        rows.append(
            {"subject": patterns.sub, "roi": patterns.roi, "chosen_on": name, "analysed_on": _analysed(found, number)}
            | {"selection": found.words, "rank": rank, "i": i, "j": j, "k": k, "x_mm": x, "y_mm": y, "z_mm": z}
            | {"reliability": float(reliability)}
        )
    return rows


def _name(found: Selection, number: int) -> str:
    """Of the runs that chose: ``half1``, ``half2``, or ``published`` for all of them."""
    return "published" if found.circular else f"half{number}"


def _analysed(found: Selection, number: int) -> str:
    return "published" if found.circular else f"half{3 - number}"
