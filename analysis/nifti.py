"""Reads and writes NIfTI images: one message for what is wrong with one, the same bytes for the same numbers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from protocols.folder import write_bytes
from protocols.problems import FoolscanError

INT16_LARGEST = 32_767
DAMAGE = (OSError, EOFError, ValueError, zlib.error)


def write_nifti(
    path: Path,
    volumes: NDArray[Any],
    affine: NDArray[np.float64],
    *,
    dtype: type[np.generic],
    tr_s: float | None = None,
    slope: float = 1.0,
    note: str = "",
) -> None:
    """Write ``.nii.gz`` whole or not at all, without the time of day in it.

    volumes : (x, y, z) or (x, y, z, n).
    affine  : (4, 4) voxel indices to mm.
    dtype   : type on disk; integers hold ``round(volumes / slope)``.
    tr_s    : s between volumes, for time series.
    note    : the header's description, up to 79 characters.
    """
    stored = np.rint(volumes / slope) if np.issubdtype(dtype, np.integer) else volumes
    image = nibabel.Nifti1Image(np.asarray(stored, dtype=dtype), affine, dtype=dtype)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = note[:79].encode("ascii", "replace")
    if tr_s is not None:
        image.header.set_zooms((*image.header.get_zooms()[:3], tr_s))
    content = image.to_bytes()
    # nibabel resets the slope on writing: it is put into the header afterwards
    header = nibabel.Nifti1Header(content[:348])
    header["scl_slope"], header["scl_inter"] = slope, 0.0
    write_bytes(path, gzip.compress(header.binaryblock + content[348:], compresslevel=1, mtime=0))


def open_nifti(path: Path) -> Any:
    """A NIfTI image whose header has been read, its data not yet.

    Raises FoolscanError with the file and what is wrong: missing, 0 bytes, not NIfTI, cut off.
    """
    if not path.exists():
        raise FoolscanError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise FoolscanError(f"{path}: found 0 bytes; copy the image again")
    try:
        return nibabel.load(path)
    except (*DAMAGE, nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError) as error:
        raise FoolscanError(f"{path}: not readable as NIfTI ({error}); copy the image again") from error


def read_voxels(path: Path, image: Any, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The values of some voxels, (n, n_voxels) for 4D images, in the order of the mask's voxels.

    path  : the image's file, for the message.
    image : from `open_nifti`, (x, y, z, n).
    mask  : (x, y, z).
    """
    return np.asarray(read_all(path, image)[mask].T, dtype=np.float64)


def read_all(path: Path, image: Any) -> NDArray[Any]:
    """All values of an image, in its own shape; arguments as for `read_voxels`.

    Raises FoolscanError when the file is cut off or damaged.
    """
    try:
        _check_whole(path)
        return np.asanyarray(image.dataobj)
    except DAMAGE as error:
        raise FoolscanError(f"{path}: cut off or damaged ({error}); copy the image again") from error


def read_volumes(path: Path, image: Any, places: Sequence[int]) -> NDArray[np.float32]:
    """Some volumes of a 4D image, (x, y, z, n), without holding those before the first and after the last of them.

    places : of the volumes, from 0. Other arguments as for `read_voxels`.

    Raises FoolscanError when the file is cut off or damaged.
    """
    first, last = min(places), max(places)
    try:
        _check_whole(path)
        part = np.asarray(image.dataobj[..., first : last + 1], dtype=np.float32)
    except DAMAGE as error:
        raise FoolscanError(f"{path}: cut off or damaged ({error}); copy the image again") from error
    wanted = [place - first for place in places]
    return part if wanted == list(range(part.shape[3])) else part[..., wanted]


def _check_whole(path: Path) -> None:
    """Read a compressed file to its end: nibabel stops before the checksum there."""
    if path.suffix == ".gz":
        with gzip.open(path) as content:
            while content.read(1 << 20):
                pass


def check_same_grid(path: Path, image: Any, other_path: Path, other: Any) -> None:
    """Raise FoolscanError when two images lie on different grids.

    path, image             : the image to check.
    other_path, other       : the image it must match, in its first three dimensions and its affine.
    """
    if image.shape[:3] != other.shape[:3]:
        raise FoolscanError(
            f"{path}: found a grid of {_times(image.shape[:3])} voxels; {other_path} has {_times(other.shape[:3])}. "
            "Resample one to the other's grid"
        )
    difference = np.abs(image.affine - other.affine)
    if difference.max() > 1e-3:
        row, column = np.unravel_index(int(difference.argmax()), difference.shape)
        raise FoolscanError(
            f"{path}: affine[{row},{column}] is {image.affine[row, column]:g}; in {other_path} it is "
            f"{other.affine[row, column]:g}. Both must be in the same space: resample one to the other's grid"
        )


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)
