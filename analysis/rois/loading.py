"""The regions of a subject, ready for use: every one readable, not empty, on one grid or surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.nifti import check_same_grid, open_nifti
from analysis.rois.masks import read_mask, roi_path
from analysis.rois.regions import Region, read_vertices
from analysis.rois.sources import make_rois
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, NotReady
from protocols.study import Study


def load_rois(study: Study, folder: StudyFolder, sub: str) -> dict[str, NDArray[np.bool_]]:
    """The masks of one subject, by ROI name in the study's order; those that the study file defines are made first.

    Raises NotReady when a mask is missing, FoolscanError when one is unreadable, empty, or on another grid than the first.
    """
    make_rois(study, folder, sub)
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


def load_surface_rois(study: Study, folder: StudyFolder, sub: str) -> dict[str, Region]:
    """The regions of one subject on the cortical surface, by ROI name in the study's order.

    Raises NotReady when a region has no file, FoolscanError when one is unreadable, empty, or of another surface.
    """
    make_rois(study, folder, sub)
    found = {roi: read_vertices(folder, sub, roi) for roi in study.analysis.rois}
    counts: dict[str, tuple[int, str]] = {}
    for roi, region in found.items():
        for hemisphere, inside in region.inside.items():
            n_vertices, first = counts.setdefault(hemisphere, (len(inside), roi))
            if len(inside) != n_vertices:
                raise FoolscanError(
                    f"{region.files[0]}: hemisphere {hemisphere}: found {len(inside)} vertices; {first} of sub-{sub} has "
                    f"{n_vertices}. Both must be of the same surface"
                )
    return found
