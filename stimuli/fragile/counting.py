"""What is known of a picture's windows once they have been read: which are right, and which are fragile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stimuli.fragile.definitions import FRAGILE_TYPES, Correctness, FragileMap, FragileType, fragile, fragile_maps
from stimuli.fragile.reading import RANK, Readings
from stimuli.fragile.store import Store
from stimuli.fragile.windows import Grid, Places
from stimuli.fragile.work import CELL_WINDOWS, MapWork, SampleWork


@dataclass(frozen=True)
class Looked:
    """Cells of a map that were looked at, and what was found.

    exhaustive : whether they are all.
    cells      : (n_cells, 2), rows and columns.
    correct    : (n_cells,).
    signs      : fragility type -> (n_cells,), 1, −1 or 0; without shrinking where windows are too small for it.
    """

    exhaustive: bool
    cells: Places
    correct: NDArray[np.bool_]
    signs: Mapping[FragileType, FragileMap]


def correctness(readings: Readings, top_k: int) -> Correctness:
    """Whether windows are right: the true class is among the `top_k` most probable.

    readings : (…, 3); a window that is not there is wrong.
    """
    return np.asarray(readings[..., RANK] < top_k)


def maps_of(work: MapWork, shrunk: MapWork | None, top_k: int) -> tuple[Correctness, dict[FragileType, FragileMap]]:
    """The correctness map of a side, and its fragile recognition maps, each (rows, columns).

    work, shrunk : of that side, and of the one two pixels smaller, both read.
    """
    correct = correctness(np.asarray(work.array), top_k)
    return correct, fragile_maps(correct, None if shrunk is None else correctness(np.asarray(shrunk.array), top_k))


def looked_at_maps(work: MapWork, shrunk: MapWork | None, top_k: int) -> Looked:
    """All cells of a map."""
    correct, maps = maps_of(work, shrunk, top_k)
    cells = work.grid.rows(0, work.grid.shape[0])
    return Looked(True, cells, correct.ravel(), {kind: signs.ravel() for kind, signs in maps.items()})


def looked_at_sample(work: SampleWork, top_k: int) -> Looked:
    """The cells that were drawn."""
    readings = np.asarray(work.array)
    exhaustive = len(work.cells) == int(np.prod(work.grid.shape))
    return Looked(exhaustive, work.cells, correctness(readings[:, 0], top_k), signs_of_cells(readings, top_k))


def keep_maps(store: Store, picture_id: str, grid: Grid, looked: Looked, top_k: int) -> None:
    """Put the fragile recognition maps of one side into the store, ``<picture>/fragile/side-0077``: (n_types, rows, columns).

    looked : at all windows.

    They are in the order of the attribute ``types``.
    """
    types = [kind for kind in FRAGILE_TYPES if kind in looked.signs]
    array = store.fragile_of(picture_id, grid, len(types))
    array[:] = np.stack([looked.signs[kind].reshape(grid.shape) for kind in types])
    array.attrs.update({"types": list(types), "top_k": top_k})


def signs_of_cells(readings: Readings, top_k: int) -> dict[FragileType, FragileMap]:
    """The fragility of sampled cells, (n_cells,) for each type.

    readings : (n_cells, n_windows, 3): of each cell itself, its eight neighbours (NaN: none), and the nine windows two
               pixels smaller, if there are any.
    """
    right = correctness(readings, top_k).T
    there = ~np.isnan(readings[..., RANK]).T
    itself, near, inside = 0, slice(1, len(CELL_WINDOWS)), slice(len(CELL_WINDOWS), None)
    found = list(fragile(right[itself], right[near], there[near]))
    if len(right) > len(CELL_WINDOWS):
        found += fragile(right[itself], right[inside], there[inside])
    return dict(zip(FRAGILE_TYPES, found, strict=False))
