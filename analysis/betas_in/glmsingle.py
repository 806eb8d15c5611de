"""GLMsingle's single-trial betas: ``TYPED_FITHRF_GLMDENOISE_RR`` as .npy, .mat or HDF5, or the betas alone as NIfTI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.betas_in.given import VOLUME, Given, GivenMap, Values, volumes_of_array, volumes_of_series
from analysis.betas_in.matlab import DAMAGE, is_hdf5, is_matlab_73, read_matlab
from analysis.betas_in.numpy_dictionary import read_dictionary
from analysis.nifti import open_nifti
from analysis.rois import read_mask
from protocols.problems import FoolscanError

STEM = "TYPED_FITHRF_GLMDENOISE_RR"
DESIGN = "DESIGNINFO"
NAMES = ("betasmd", "modelmd")  # as Python's and MATLAB's GLMsingle call them
SUFFIXES = (".npy", ".hdf5", ".h5", ".mat")


@dataclass(frozen=True)
class Space:
    """Where GLMsingle's rows lie, which its files do not say.

    like       : an image on the grid of betas of (x, y, z, trials).
    mask       : the voxels of betas of (voxels, trials).
    mask_order : in which order those voxels are: ``C`` (numpy's mask indexing) or ``F`` (MATLAB's find).
    vertices   : left and right, of betas of (vertices, trials), left first.
    """

    like: Path | None = None
    mask: Path | None = None
    mask_order: Literal["C", "F"] | None = None
    vertices: tuple[int, int] | None = None


def read_glmsingle(path: Path, space: Space) -> Given:
    """GLMsingle's betas, all runs end to end, in the order of trials.

    path : a file, or the folder that has ``TYPED_FITHRF_GLMDENOISE_RR``; DESIGNINFO beside it tells the conditions.

    Raises FoolscanError for what is not readable, and when the space of the betas is not told.
    """
    file = _file_in(path)
    conditions, design = _conditions(file)
    affine: NDArray[np.float64] | None
    if file.name.endswith((".nii", ".nii.gz")):
        read, affine, n_trials = volumes_of_series(file)
    else:
        read, affine, n_trials = _placed(file, _array(file), space)
    if conditions is not None and len(conditions) != n_trials:
        raise FoolscanError(
            f"{design}: stimorder: found {len(conditions)} trials; {file.name} has {n_trials} betas. Are the two of one fit?"
        )
    maps = tuple(
        GivenMap(str(file), f"trial {place + 1}", condition=None if conditions is None else int(conditions[place]))
        for place in range(n_trials)
    )
    extra = [item for item in (design, space.like, space.mask) if item is not None]
    return Given(maps, read, affine, (file,), beside=tuple(extra))


def _file_in(path: Path) -> Path:
    if not path.is_dir():
        if not path.is_file():
            raise FoolscanError(f"{path}: no such file; expected {STEM} as .npy, .mat or .hdf5, or betas as NIfTI")
        return path
    found = [path / f"{STEM}{suffix}" for suffix in SUFFIXES if (path / f"{STEM}{suffix}").is_file()]
    if len(found) != 1:
        names = ", ".join(item.name for item in found) or "none"
        raise FoolscanError(
            f"{path}: found {names}; expected one {STEM} ({', '.join(SUFFIXES)}). Name the file itself with --from"
        )
    return found[0]


def _array(file: Path) -> NDArray[Any]:
    """The betas as GLMsingle's file has them, (x, y, z, trials) or (voxels, 1, 1, trials) or (voxels, trials)."""
    if file.suffix == ".npy":
        content = read_dictionary(file)
    elif file.suffix == ".mat":
        content = read_matlab(file, NAMES)
    else:
        content = _hdf5(file, NAMES)
    found = [np.asarray(content[name]) for name in NAMES if name in content]
    if not found or found[0].dtype.kind not in "fiu" or found[0].ndim < 2:
        told = f"{found[0].dtype} of shape {found[0].shape}" if found else f"only {', '.join(content) or 'nothing'}"
        raise FoolscanError(f"{file}: found {told}; expected betasmd (or modelmd), numbers of (x, y, z, trials)")
    array = found[0]
    return array.reshape(array.shape[0], array.shape[3]) if array.ndim == 4 and array.shape[1:3] == (1, 1) else array


def _hdf5(file: Path, names: Sequence[str]) -> dict[str, Any]:
    import h5py

    if file.stat().st_size == 0 or not is_hdf5(file):
        raise FoolscanError(f"{file}: not HDF5 ({file.stat().st_size} bytes); copy the file again")
    if is_matlab_73(file):
        return read_matlab(file, names)
    try:
        with h5py.File(file, "r") as content:
            return {name: np.asarray(content[name][()]) for name in names if name in content}
    except DAMAGE as error:
        raise FoolscanError(f"{file}: not readable as HDF5 ({error}); copy the file again") from error


def _conditions(file: Path) -> tuple[NDArray[np.int64] | None, Path | None]:
    """The condition number of every trial, from DESIGNINFO beside the betas."""
    design = next((path for suffix in SUFFIXES if (path := file.with_name(f"{DESIGN}{suffix}")).is_file()), None)
    if design is None:
        return None, None
    if design.suffix == ".npy":
        order = read_dictionary(design).get("stimorder")
    elif design.suffix == ".mat":
        order = read_matlab(design, ("stimorder",)).get("stimorder")
    else:
        order = _hdf5(design, ("stimorder",)).get("stimorder")
    if order is None:
        raise FoolscanError(f"{design}: found no stimorder; expected GLMsingle's record of its design")
    try:
        numbers = np.asarray(order, dtype=np.float64).ravel()
    except (ValueError, TypeError) as error:
        raise FoolscanError(f"{design}: stimorder: found no numbers ({error})") from error
    return np.rint(numbers).astype(np.int64), design


def _placed(
    file: Path, array: NDArray[Any], space: Space
) -> tuple[Callable[[Sequence[int]], Values], NDArray[np.float64] | None, int]:
    if array.ndim == 4:
        if space.like is None:
            raise FoolscanError(f"{file}: betas of {array.shape} say no space; name an image on their grid with --like")
        like = open_nifti(space.like)
        if tuple(like.shape[:3]) != array.shape[:3]:
            raise FoolscanError(
                f"{file}: found a grid of {array.shape[:3]} voxels; {space.like} has {tuple(like.shape[:3])}"
            )
        return volumes_of_array(array), np.asarray(like.affine, dtype=np.float64), array.shape[3]
    if array.ndim != 2:
        raise FoolscanError(
            f"{file}: found betas of shape {array.shape}; expected (x, y, z, trials) or (voxels, trials)"
        )
    if space.mask is not None:
        return _in_mask(file, array, space.mask, space.mask_order)
    if space.vertices is not None:
        left, right = space.vertices
        if left + right != array.shape[0]:
            raise FoolscanError(f"{file}: found {array.shape[0]} rows; --vertices says {left} + {right}")
        parts = {"L": array[:left], "R": array[left:]}
        kept = {name: part for name, part in parts.items() if len(part)}
        return (
            lambda places: {name: np.asarray(part[:, list(places)], dtype=np.float32) for name, part in kept.items()},
            None,
            array.shape[1],
        )
    raise FoolscanError(
        f"{file}: betas of {array.shape[0]} rows say no space; name the mask they come from (--mask with --mask-order), or the "
        "surfaces' vertices (--vertices LEFT RIGHT)"
    )


def _in_mask(
    file: Path, array: NDArray[Any], path: Path, order: Literal["C", "F"] | None
) -> tuple[Callable[[Sequence[int]], Values], NDArray[np.float64], int]:
    mask = read_mask(path)
    if int(mask.sum()) != array.shape[0]:
        raise FoolscanError(f"{file}: found {array.shape[0]} rows; {path} has {int(mask.sum())} voxels that are not 0")
    if order is None:
        raise FoolscanError(
            f"{file}: --mask-order: C when the rows are in the order of numpy's mask indexing, F when in that of MATLAB's find"
        )
    places_of = np.flatnonzero(mask.ravel(order=order))

    def read(places: Sequence[int]) -> Values:
        flat = np.full((mask.size, len(places)), np.nan, dtype=np.float32)
        flat[places_of] = array[:, list(places)]
        return {VOLUME: flat.reshape((*mask.shape, len(places)), order=order)}

    return read, np.asarray(open_nifti(path).affine, dtype=np.float64), array.shape[1]
