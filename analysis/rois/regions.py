"""A region: voxels of a grid or vertices of hemispheres, however it is stored, and how regions are combined."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.nifti import check_same_grid, open_nifti
from analysis.rois.masks import roi_path
from analysis.surfaces import HEMISPHERES, read_labels
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, NotReady

VOLUME = "volume"


@dataclass(frozen=True)
class Region:
    """Where a region is.

    inside : {"volume": (x, y, z)}, or {"L": (n_vertices,), "R": (n_vertices,)}, one hemisphere or both.
    grid   : of a volume, the file whose grid it is on; None on a surface.
    files  : what it was read from.
    """

    inside: dict[str, NDArray[np.bool_]]
    grid: Path | None
    files: tuple[Path, ...]

    @property
    def on_surface(self) -> bool:
        """Whether it has vertices and not voxels."""
        return VOLUME not in self.inside

    @property
    def size(self) -> int:
        """Voxels or vertices inside."""
        return int(sum(part.sum() for part in self.inside.values()))


def vertices_path(folder: StudyFolder, sub: str, roi: str, hemisphere: str) -> Path:
    """``derivatives/foolscan/rois/sub-01/sub-01_hemi-L_roi-V1_mask.label.gii``: a region on one hemisphere's surface."""
    return roi_path(folder, sub, roi).with_name(f"sub-{sub}_hemi-{hemisphere}_roi-{roi}_mask.label.gii")


def region_files(folder: StudyFolder, sub: str, roi: str) -> list[Path]:
    """The files that stand in a region's place: one mask of voxels, or one file for each hemisphere; empty without any."""
    paths = [roi_path(folder, sub, roi), *(vertices_path(folder, sub, roi, hemisphere) for hemisphere in HEMISPHERES)]
    return [path for path in paths if path.exists()]


def read_vertices(folder: StudyFolder, sub: str, roi: str) -> Region:
    """A region on the surface, of the hemispheres that have a file.

    Raises NotReady when neither has one, FoolscanError when one is not readable or no vertex is inside.
    """
    paths = {hemisphere: vertices_path(folder, sub, roi, hemisphere) for hemisphere in HEMISPHERES}
    there = {hemisphere: path for hemisphere, path in paths.items() if path.exists()}
    if not there:
        raise NotReady(
            f"{paths['L']}: no such region (nor one of hemisphere R); put the subject's labels there, or name their source "
            f"in the study file: analysis.roi_sources.{roi}"
        )
    inside = {hemisphere: read_labels(path, hemisphere).numbers != 0 for hemisphere, path in there.items()}
    region = Region(inside, None, tuple(there.values()))
    if region.size == 0:
        raise FoolscanError(f"{', '.join(map(str, there.values()))}: found no vertex inside; draw the ROI again")
    return region


def combined(kind: Literal["union", "intersection", "difference"], regions: list[Region], names: list[str]) -> Region:
    """The union or intersection of regions, or the first less the others.

    regions : at least one, all voxels of one grid or all vertices of the same surfaces.
    names   : theirs, for messages.

    Raises FoolscanError when they are not on one grid or surface, or nothing is left.
    """
    first = regions[0]
    for other in regions[1:]:
        check_same_space(first, other)
    keys = list(dict.fromkeys(key for region in regions for key in region.inside))
    inside = {}
    for key in keys:
        shape = next(region.inside[key].shape for region in regions if key in region.inside)
        # a region that has no file for a hemisphere has nothing there
        parts = [region.inside.get(key, np.zeros(shape, dtype=bool)) for region in regions]
        if kind == "union":
            inside[key] = np.logical_or.reduce(parts)
        elif kind == "intersection":
            inside[key] = np.logical_and.reduce(parts)
        else:
            inside[key] = reduce(lambda left, other: left & ~other, parts)
    files = tuple(dict.fromkeys(path for region in regions for path in region.files))
    region = Region(inside, first.grid, files)
    if region.size == 0:
        raise FoolscanError(f"the {kind} of {', '.join(names)}: found nothing inside; is it what was meant?")
    return region


def check_same_space(first: Region, other: Region) -> None:
    """Refuse two regions that are not of one space: voxels of one grid, or vertices of one surface.

    Raises FoolscanError naming a file of each.
    """
    if first.on_surface != other.on_surface:
        raise FoolscanError(
            f"{other.files[0]}: found {_units(other)}; {first.files[0]} has {_units(first)}. All ROIs of a study are in one "
            "space: bring both there"
        )
    if first.grid is not None and other.grid is not None:
        check_same_grid(other.grid, open_nifti(other.grid), first.grid, open_nifti(first.grid))
    for key in set(first.inside) & set(other.inside):
        if first.inside[key].shape != other.inside[key].shape:
            raise FoolscanError(
                f"{other.files[0]}: hemisphere {key}: found {len(other.inside[key])} vertices; {first.files[0]} has "
                f"{len(first.inside[key])}. Both must be of the same surface"
            )


def _units(region: Region) -> str:
    return "vertices of a surface" if region.on_surface else "voxels of a volume"
