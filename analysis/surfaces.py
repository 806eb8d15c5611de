"""Reads and writes data on cortical surfaces: GIFTI, and FreeSurfer's labels and annotations."""

from __future__ import annotations

import binascii
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

import nibabel
import numpy as np
from nibabel import freesurfer, gifti
from numpy.typing import NDArray

from protocols.folder import write_bytes
from protocols.problems import FoolscanError

HEMISPHERES = ("L", "R")
STRUCTURES = {"L": "CortexLeft", "R": "CortexRight"}
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    zlib.error,
    binascii.Error,
    ExpatError,
)


@dataclass(frozen=True)
class VertexLabels:
    """The label of every vertex of one hemisphere.

    numbers : (n_vertices,); 0 outside all labels.
    names   : the number of every name; empty when the file has none.
    """

    numbers: NDArray[np.int64]
    names: Mapping[str, int]


def read_maps(path: Path, hemisphere: str) -> NDArray[np.float32]:
    """The maps of a GIFTI file of one hemisphere, (n_vertices, n_maps).

    hemisphere : ``L`` or ``R``; a file that says it is of the other one is refused.

    Raises FoolscanError with the file and what is wrong: missing, 0 bytes, cut off, maps of different length.
    """
    image = _open_gifti(path)
    said = str(image.meta.get("AnatomicalStructurePrimary", "")).replace("_", "").lower()
    if said and said.startswith("cortex") and said != STRUCTURES[hemisphere].lower():
        raise FoolscanError(
            f"{path}: found a map of {said}; expected {STRUCTURES[hemisphere]}. Are the hemispheres swapped?"
        )
    arrays = [np.asarray(array.data) for array in image.darrays]
    if not arrays:
        raise FoolscanError(f"{path}: found no map in it; export it again")
    maps = [array[:, None] if array.ndim == 1 else array for array in arrays]
    for place, array in enumerate(maps):
        if array.ndim != 2 or array.shape[0] != maps[0].shape[0]:
            raise FoolscanError(
                f"{path}: data array {place + 1}: found shape {array.shape}; the first has {maps[0].shape[0]} vertices. "
                "All maps of a file are on one surface"
            )
    return np.asarray(np.concatenate(maps, axis=1), dtype=np.float32)


def write_maps(path: Path, maps: NDArray[np.float32], hemisphere: str) -> None:
    """Write maps of one hemisphere, (n_vertices, n_maps), as ``.func.gii``, whole or not at all."""
    arrays = [
        gifti.GiftiDataArray(
            np.ascontiguousarray(column, dtype=np.float32), intent="NIFTI_INTENT_NONE", datatype="NIFTI_TYPE_FLOAT32"
        )
        for column in maps.T
    ]
    _write_gifti(path, arrays, hemisphere, None)


def write_vertices(path: Path, inside: NDArray[np.bool_], hemisphere: str) -> None:
    """Write which vertices of one hemisphere are inside, (n_vertices,), as ``.label.gii``: 1 inside, 0 outside."""
    table = gifti.GiftiLabelTable()
    for key, name in enumerate(("outside", "inside")):
        label = gifti.GiftiLabel(key=key, red=float(key), green=float(key), blue=float(key), alpha=float(key))
        setattr(label, "label", name)  # noqa: B010 - nibabel's class does not declare it
        table.labels.append(label)
    array = gifti.GiftiDataArray(inside.astype(np.int32), intent="NIFTI_INTENT_LABEL", datatype="NIFTI_TYPE_INT32")
    _write_gifti(path, [array], hemisphere, table)


def read_labels(path: Path, hemisphere: str, n_vertices: int | None = None) -> VertexLabels:
    """The labels of one hemisphere's vertices.

    path       : ``.annot`` or ``.label`` of FreeSurfer, or GIFTI with one map; a ``.label`` has the one label 1, and maps
                 that are no labels the label 1 wherever they are not 0.
    n_vertices : of the surface; a ``.label`` needs it, in others it is checked.

    Raises FoolscanError with the file and what is wrong.
    """
    if path.suffix == ".label":
        found = _read_label(path, n_vertices)
    elif path.suffix == ".annot":
        found = _read_annotation(path)
    else:
        found = _read_gifti_labels(path, hemisphere)
    if n_vertices is not None and len(found.numbers) != n_vertices:
        raise FoolscanError(
            f"{path}: found {len(found.numbers)} vertices; expected {n_vertices}. Is it of another surface (or subject)?"
        )
    return found


def _read_label(path: Path, n_vertices: int | None) -> VertexLabels:
    if n_vertices is None:
        raise FoolscanError(
            f"{path}: a .label does not tell how many vertices the surface has; give left_vertices or right_vertices"
        )
    _check_there(path)
    try:
        told = int(path.read_text(encoding="utf-8", errors="replace").splitlines()[1])
        with warnings.catch_warnings(action="error"):
            vertices = np.atleast_1d(freesurfer.read_label(path)).astype(np.int64)
    except (*DAMAGE, UserWarning) as error:
        raise FoolscanError(f"{path}: not readable as a FreeSurfer label ({error}); copy it again") from error
    if len(vertices) != told:
        raise FoolscanError(
            f"{path}:2: found {len(vertices)} vertices where it says {told}; is it cut off? Copy it again"
        )
    if vertices.size and not 0 <= vertices.min() <= vertices.max() < n_vertices:
        odd = int(vertices[(vertices < 0) | (vertices >= n_vertices)][0])
        raise FoolscanError(
            f"{path}: found vertex {odd}; the surface has vertices 0 to {n_vertices - 1}. Is it of another surface?"
        )
    numbers = np.zeros(n_vertices, dtype=np.int64)
    numbers[vertices] = 1
    return VertexLabels(numbers, {})


def _read_annotation(path: Path) -> VertexLabels:
    _check_there(path)
    try:
        places, _, names = freesurfer.read_annot(path)
    except DAMAGE as error:
        raise FoolscanError(f"{path}: not readable as a FreeSurfer annotation ({error}); copy it again") from error
    # its numbers are places in its own table, -1 for none: counted from 1 here, so that 0 is none
    known = {bytes(name).decode("utf-8", "replace"): place + 1 for place, name in enumerate(names)}
    return VertexLabels(np.asarray(places, dtype=np.int64) + 1, known)


def _read_gifti_labels(path: Path, hemisphere: str) -> VertexLabels:
    maps = read_maps(path, hemisphere)
    if maps.shape[1] != 1:
        raise FoolscanError(f"{path}: found {maps.shape[1]} maps; a region has one. Save it alone")
    image = _open_gifti(path)
    names = {str(label.label): int(label.key) for label in image.labeltable.labels}
    values = maps[:, 0]
    if not names:
        return VertexLabels((np.isfinite(values) & (values != 0)).astype(np.int64), {})
    return VertexLabels(np.asarray(np.rint(np.nan_to_num(values)), dtype=np.int64), names)


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise FoolscanError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise FoolscanError(f"{path}: found 0 bytes; copy the file again")


def _open_gifti(path: Path) -> Any:
    _check_there(path)
    try:
        image = nibabel.load(path)
    except (*DAMAGE, nibabel.filebasedimages.ImageFileError) as error:
        raise FoolscanError(f"{path}: not readable as GIFTI ({error}); copy the file again") from error
    if not isinstance(image, gifti.GiftiImage):
        raise FoolscanError(f"{path}: found {type(image).__name__}; expected GIFTI (.gii)")
    return image


def _write_gifti(path: Path, arrays: list[Any], hemisphere: str, table: Any) -> None:
    meta = gifti.GiftiMetaData({"AnatomicalStructurePrimary": STRUCTURES[hemisphere]})
    image = gifti.GiftiImage(meta=meta, labeltable=table, darrays=arrays)
    write_bytes(path, image.to_bytes())
