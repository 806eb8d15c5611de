"""Beta maps as another program left them: what its files say of each map, and how the values are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from analysis.nifti import check_same_grid, open_nifti, read_all, read_volumes
from protocols.problems import FoolscanError

Kind = Literal["nilearn", "spm", "fsl", "glmsingle", "trials4d", "gifti"]
KINDS: tuple[str, ...] = get_args(Kind)
SINGLE_TRIALS = ("glmsingle", "trials4d", "gifti")
"""Kinds whose maps are single trials unless it is said otherwise."""
VOLUME = "volume"

Values = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class GivenMap:
    """One beta map, and what its source says of it.

    where     : file and row, for messages.
    name      : what the source calls it.
    stim_id   : the image it is of; None where the source does not say.
    part      : which run of the source it is of, from 1; None where that is the only one, or it does not say.
    ses, run  : labels of session and run, where a table of trials has them.
    trial     : the number of the presentation in its run, from 1, where a table says it.
    onsets_s  : onsets that went into the map, s on the source's own clock; empty where it does not say.
    condition : a number that stands for the image without saying which.
    """

    where: str
    name: str
    stim_id: str | None = None
    part: int | None = None
    ses: str | None = None
    run: int | None = None
    trial: int | None = None
    onsets_s: tuple[float, ...] = ()
    condition: int | None = None


@dataclass(frozen=True)
class Given:
    """The beta maps of one source.

    maps     : in the source's order.
    read     : the values of some maps, by their places: {"volume": (x, y, z, n)} or {"L": (n_vertices, n), "R": …}.
    affine   : (4, 4) voxel indices to mm; None on surfaces.
    files    : what the values of all maps are read from; empty where every map has a file of its own.
    own      : the file of each map, where every map has one; else empty.
    beside   : designs, tables and masks that say what the maps are.
    left_out : names of maps of the source that are not betas of images.
    notes    : what was concluded rather than read.
    """

    maps: tuple[GivenMap, ...]
    read: Callable[[Sequence[int]], Values]
    affine: NDArray[np.float64] | None
    files: tuple[Path, ...]
    own: tuple[Path, ...] = ()
    beside: tuple[Path, ...] = ()
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def volumes_of_files(paths: Sequence[Path]) -> tuple[Callable[[Sequence[int]], Values], NDArray[np.float64]]:
    """How to read maps that lie in files of their own, and their affine.

    paths : one 3D image each.

    Raises FoolscanError for one that is not readable, has more than one volume, or lies on another grid than the first.
    """
    first = open_nifti(paths[0])
    for path in paths:
        image = open_nifti(path)
        if tuple(image.shape[3:]) not in ((), (1,)):
            raise FoolscanError(f"{path}: found {len(image.shape)} dimensions {image.shape}; a beta map has 3: x, y, z")
        check_same_grid(path, image, paths[0], first)

    def read(places: Sequence[int]) -> Values:
        shape = tuple(int(n) for n in first.shape[:3])
        values = np.empty((*shape, len(places)), dtype=np.float32)
        for column, place in enumerate(places):
            values[..., column] = np.asarray(read_all(paths[place], open_nifti(paths[place]))).reshape(shape)
        return {VOLUME: values}

    return read, np.asarray(first.affine, dtype=np.float64)


def volumes_of_series(path: Path) -> tuple[Callable[[Sequence[int]], Values], NDArray[np.float64], int]:
    """How to read maps that are the volumes of one 4D image, its affine, and how many there are."""
    image = open_nifti(path)
    if len(image.shape) != 4:
        raise FoolscanError(f"{path}: found {len(image.shape)} dimensions {image.shape}; expected 4: x, y, z, maps")

    def read(places: Sequence[int]) -> Values:
        return {VOLUME: read_volumes(path, image, places)}

    return read, np.asarray(image.affine, dtype=np.float64), int(image.shape[3])


def volumes_of_array(array: NDArray[Any]) -> Callable[[Sequence[int]], Values]:
    """How to read maps from an array, (x, y, z, n_maps)."""
    return lambda places: {VOLUME: np.asarray(array[..., list(places)], dtype=np.float32)}
