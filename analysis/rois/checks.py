"""Every region of every subject, looked at: present, readable, in one space, large enough, inside the brain, apart from others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.fmriprep import find_brain_mask
from analysis.nifti import check_same_grid, open_nifti
from analysis.rois.masks import read_mask, roi_path
from analysis.rois.regions import VOLUME, Region, check_same_space, region_files
from analysis.rois.sources import is_simulated_mask, make_rois, region
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, NotReady
from protocols.roi_plan import Combination
from protocols.study import Study


@dataclass(frozen=True)
class RoiCheck:
    """What was found for one subject and ROI.

    voxels  : voxels (on the surface: vertices) in the mask; None without a usable mask.
    problem : what is wrong, in words; empty when nothing is.
    notes   : what is good to know: overlaps with other ROIs, voxels outside the brain mask.
    """

    sub: str
    roi: str
    path: Path
    voxels: int | None
    problem: str
    notes: tuple[str, ...] = ()


def check_rois(study: Study, folder: StudyFolder, subjects: list[str]) -> list[RoiCheck]:
    """Every mask of every subject: present, readable, on the grid of the subject's first mask, large enough.

    subjects : BIDS labels.

    Regions that the study file defines are made first. Overlaps and voxels outside fMRIPrep's brain mask are noted.
    """
    return [item for sub in subjects for item in _check_subject(study, folder, sub)]


def _check_subject(study: Study, folder: StudyFolder, sub: str) -> list[RoiCheck]:
    asked = study.analysis.voxels.per_subject
    checks: list[RoiCheck] = []
    regions: dict[str, Region] = {}
    first: Region | None = None
    for roi in study.analysis.rois:
        path = roi_path(folder, sub, roi)
        try:
            found = _stored(study, folder, sub, roi)
            path = found.files[0]
            checks.append(RoiCheck(sub, roi, path, found.size, ""))
            if first is not None:
                check_same_space(first, found)
            first = first or found
            regions[roi] = found
            unit = "vertices" if found.on_surface else "voxels"
            if found.size < asked:
                problem = f"{found.size} {unit}; analysis.voxels.per_subject asks for {asked}"
                checks[-1] = replace(checks[-1], problem=problem)
        except FoolscanError as error:
            told = replace(checks[-1], problem=str(error)) if checks and checks[-1].roi == roi else None
            checks[-1:] = [told] if told else [*checks[-1:], RoiCheck(sub, roi, path, None, str(error))]
    return [replace(item, notes=_notes(study, folder, sub, item.roi, regions)) for item in checks]


def _stored(study: Study, folder: StudyFolder, sub: str, roi: str) -> Region:
    """The region in its place, made first where the study file defines it."""
    if roi in study.analysis.roi_sources and not is_simulated_mask(roi_path(folder, sub, roi)):
        make_rois(
            study.model_copy(update={"analysis": study.analysis.model_copy(update={"rois": (roi,)})}), folder, sub
        )
    files = region_files(folder, sub, roi)
    if not files:
        raise NotReady(f"{roi_path(folder, sub, roi)}: no such file; put the subject's mask there")
    if files == [roi_path(folder, sub, roi)]:
        return Region({VOLUME: read_mask(files[0])}, files[0], tuple(files))
    without = study.analysis.model_copy(update={"roi_sources": {}})
    return region(study.model_copy(update={"analysis": without}), folder, sub, roi)


def _notes(study: Study, folder: StudyFolder, sub: str, roi: str, regions: dict[str, Region]) -> tuple[str, ...]:
    if roi not in regions:
        return ()
    notes = []
    for other, region_of in regions.items():
        shared = _shared(regions[roi], region_of) if other != roi and not _made_from(study, roi, other) else 0
        if shared:
            notes.append(f"{shared} also in {other}")
    outside = _outside_brain(folder, sub, regions[roi])
    if outside:
        notes.append(outside)
    return tuple(notes)


def _made_from(study: Study, roi: str, other: str) -> bool:
    """Whether one of the two is combined from the other: then they overlap by definition."""
    sources = study.analysis.roi_sources
    pairs = ((roi, other), (other, roi))
    return any(isinstance(source := sources.get(a), Combination) and b in source.of for a, b in pairs)


def _shared(first: Region, second: Region) -> int:
    return int(sum((first.inside[key] & second.inside[key]).sum() for key in set(first.inside) & set(second.inside)))


def _outside_brain(folder: StudyFolder, sub: str, found: Region) -> str:
    mask_path = None if found.grid is None else find_brain_mask(folder, sub)
    if found.grid is None or mask_path is None:
        return ""
    try:
        check_same_grid(found.grid, open_nifti(found.grid), mask_path, open_nifti(mask_path))
        brain: NDArray[np.bool_] = read_mask(mask_path)
    except FoolscanError as error:
        return f"brain mask: {error}"
    outside = int((found.inside[VOLUME] & ~brain).sum())
    return f"{outside} outside the brain mask {mask_path.name}" if outside else ""
