"""Regions that the study file defines: read from a lab's own files, combined, and written as masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from analysis.nifti import open_nifti
from analysis.rois.label_names import numbers_of, read_names
from analysis.rois.masks import inside_mask, read_volume, roi_path, write_mask
from analysis.rois.regions import VOLUME, Region, combined, read_vertices, vertices_path
from analysis.surfaces import HEMISPHERES, read_labels, write_vertices
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import is_current, read_provenance, sidecar_path, write_sidecar
from protocols.roi_plan import Combination, LabelsSource, MaskSource, SurfaceSource
from protocols.study import Study

PACKAGES = ("numpy", "nibabel")


def make_rois(study: Study, folder: StudyFolder, sub: str) -> list[Path]:
    """Write the masks of the regions that the study file defines and analyses, for one subject.

    Returns the files written; those that are current are left alone. In a rehearsal the simulated masks stand for them.
    Raises NotReady when a source is missing, FoolscanError for one that is not readable or does not fit, and when there
    is a mask in the place that foolscan did not make.
    """
    written: list[Path] = []
    for roi in study.analysis.rois:
        if roi in study.analysis.roi_sources and not is_simulated_mask(roi_path(folder, sub, roi)):
            written += _make(study, folder, sub, roi)
    return written


def is_simulated_mask(path: Path) -> bool:
    """Whether a mask is a rehearsal's own, made without any source."""
    if not path.exists() or not sidecar_path(path).exists():
        return False
    return "brain" in read_provenance(path)["parameters"]


def region(study: Study, folder: StudyFolder, sub: str, roi: str) -> Region:
    """A region as the study file defines it, or the mask or surface labels in its place.

    Raises NotReady when a file is missing, FoolscanError for what is not readable or does not fit together.
    """
    source = study.analysis.roi_sources.get(roi)
    where = f"analysis.roi_sources.{roi}, sub-{sub}"
    try:
        if source is None:
            return _in_place(folder, sub, roi)
        if isinstance(source, Combination):
            return combined(source.kind, [region(study, folder, sub, part) for part in source.of], list(source.of))
        if isinstance(source, MaskSource):
            path = _path(folder, source.file, sub)
            return Region({VOLUME: inside_mask(path, source.above)}, path, (path,))
        if isinstance(source, LabelsSource):
            return _of_labels(folder, source, sub)
        return _of_surface(folder, source, sub)
    except NotReady as error:
        raise error if source is None else NotReady(f"{where}: {error}") from None
    except FoolscanError as error:
        raise error if source is None else FoolscanError(f"{where}: {error}") from None


def _make(study: Study, folder: StudyFolder, sub: str, roi: str) -> list[Path]:
    found = region(study, folder, sub, roi)
    sources = study.analysis.roi_sources
    # a combination is shaped by the definitions of its parts, too
    parameters: dict[str, Any] = {
        "sub": sub,
        "definitions": {name: sources[name].model_dump(mode="json") for name in _made_of(study, roi)},
    }
    kinds = {VOLUME} if not found.on_surface else set(HEMISPHERES)
    paths = {
        key: roi_path(folder, sub, roi) if key == VOLUME else vertices_path(folder, sub, roi, key)
        for key in sorted(kinds)
    }
    written = []
    for key, path in paths.items():
        if is_current(folder, path, found.files, parameters):
            continue
        if path.exists() and not _is_ours(path):
            raise FoolscanError(
                f"{path}: found a mask that was not made from analysis.roi_sources.{roi}; move it elsewhere, or take the key out "
                "of the study file"
            )
        if key not in found.inside:
            continue
        if found.grid is not None:
            write_mask(path, found.inside[key], open_nifti(found.grid).affine)
        else:
            write_vertices(path, found.inside[key], key)
        more = {
            "Description": f"Region {roi} of sub-{sub}, as the study file defines it.",
            "Size": int(found.inside[key].sum()),
        }
        write_sidecar(folder, path, inputs=found.files, parameters=parameters, packages=PACKAGES, more=more)
        written.append(path)
    return written


def _is_ours(path: Path) -> bool:
    return sidecar_path(path).exists() and "definitions" in read_provenance(path)["parameters"]


def _made_of(study: Study, roi: str) -> list[str]:
    """The defined regions that a region is made of, itself among them."""
    source = study.analysis.roi_sources.get(roi)
    if source is None:
        return []
    names = [roi]
    if isinstance(source, Combination):
        names += [name for part in source.of for name in _made_of(study, part)]
    return list(dict.fromkeys(names))


def _in_place(folder: StudyFolder, sub: str, roi: str) -> Region:
    path = roi_path(folder, sub, roi)
    on_surface = any(vertices_path(folder, sub, roi, hemisphere).exists() for hemisphere in HEMISPHERES)
    if path.exists() and on_surface:
        raise FoolscanError(f"{path}: found a mask of voxels and one of vertices of {roi}; leave one of them there")
    if on_surface:
        return read_vertices(folder, sub, roi)
    if not path.exists():
        raise NotReady(f"{path}: no such mask; put the subject's mask there")
    return Region({VOLUME: inside_mask(path, None)}, path, (path,))


def _of_labels(folder: StudyFolder, source: LabelsSource, sub: str) -> Region:
    path = _path(folder, source.file, sub)
    table = None if source.table is None else _path(folder, source.table, sub)
    values = read_volume(path, "an image of labels")
    finite = np.nan_to_num(values)
    if not np.array_equal(finite, np.rint(finite)):
        place = np.argwhere(finite != np.rint(finite))[0]
        raise FoolscanError(
            f"{path}: voxel {', '.join(map(str, place))}: found {finite[tuple(place)]:g}; labels are whole numbers. Was it "
            "resampled with interpolation? Use nearest neighbour"
        )
    inside = np.zeros(values.shape, dtype=bool)
    for label, number in zip(
        source.labels, numbers_of(source.labels, read_names(table) if table else None, str(path)), strict=True
    ):
        voxels = finite == number
        if not voxels.any():
            raise FoolscanError(f"{path}: found no voxel with label {label!r} ({number}); expected some for sub-{sub}")
        inside |= voxels
    return Region({VOLUME: inside}, path, (path, *([table] if table else [])))


def _of_surface(folder: StudyFolder, source: SurfaceSource, sub: str) -> Region:
    inside, files = {}, []
    for hemisphere, pattern, n_vertices in (
        ("L", source.left, source.left_vertices),
        ("R", source.right, source.right_vertices),
    ):
        if pattern is None:
            continue
        path = _path(folder, pattern, sub)
        labels = read_labels(path, hemisphere, n_vertices)
        named = [name for name, number in labels.names.items() if number != 0]
        if len(named) > 1 and not source.labels:
            raise FoolscanError(
                f"{path}: found {len(named)} labels ({', '.join(named[:8])} …); name those of the region: labels"
            )
        numbers = numbers_of(source.labels, labels.names or None, str(path))
        inside[hemisphere] = np.isin(labels.numbers, numbers) if source.labels else labels.numbers != 0
        files.append(path)
    found = Region(inside, None, tuple(files))
    if found.size == 0:
        which = f"with label {', '.join(map(str, source.labels))}" if source.labels else "inside"
        raise FoolscanError(f"{', '.join(map(str, files))}: found no vertex {which}")
    return found


def _path(folder: StudyFolder, pattern: str, sub: str) -> Path:
    path = folder.root / pattern.replace("{sub}", sub)
    if not path.is_file():
        raise NotReady(f"{path}: no such file")
    return path
