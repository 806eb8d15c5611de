"""The work cut into tiles: which windows each one reads, and where its readings go; names that never change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import zarr
from numpy.typing import NDArray

from protocols.seeds import generator_for
from stimuli.fragile.definitions import INSETS, NEIGHBOURS
from stimuli.fragile.reading import CHANNELS, Readings
from stimuli.fragile.store import Store, chunks_of, is_there, slices
from stimuli.fragile.windows import Grid, Places

CELL_WINDOWS = ((0, 0), *NEIGHBOURS)
"""The windows that a sampled cell is compared with when it shifts, itself first."""


@dataclass(frozen=True)
class Piece:
    """Windows of one side that a tile reads, column by column: neighbours then share what they are resampled from.

    side   : pixels.
    places : (n_windows, 2), each once.
    """

    side: int
    places: Places


@dataclass(frozen=True)
class Tile:
    """A part of the work on one picture.

    name   : ``<picture>/side-0077/0-1``: the same at every call.
    pieces : what is read.
    chunks : the chunks that it fills.
    """

    name: str
    picture_id: str
    pieces: tuple[Piece, ...]
    chunks: tuple[tuple[int, ...], ...]

    @property
    def n_windows(self) -> int:
        """Windows that it reads."""
        return sum(len(piece.places) for piece in self.pieces)


def by_column(places: Places) -> Places:
    """Windows, each once, in the order of columns."""
    return np.unique(places[:, ::-1], axis=0)[:, ::-1]


@dataclass(frozen=True)
class MapWork:
    """All windows of one side of a picture."""

    picture_id: str
    grid: Grid
    array: zarr.Array

    @property
    def n_windows(self) -> int:
        """All that there are."""
        return self.grid.shape[0] * self.grid.shape[1]

    def tiles(self, chunks_a_tile: int) -> Iterator[Tile]:
        """What is still to be read."""
        for chunks in _bundled(self.array, chunks_a_tile):
            places = by_column(np.concatenate([self._places(chunk) for chunk in chunks]))
            name = f"{self.picture_id}/side-{self.grid.side:04d}/{'-'.join(map(str, chunks[0][:2]))}"
            yield Tile(name, self.picture_id, (Piece(self.grid.side, places),), chunks)

    def put(self, tile: Tile, readings: Sequence[Readings]) -> None:
        """Write what was read, a chunk at a time."""
        (piece,), (read,) = tile.pieces, readings
        whole = np.full((*self.grid.shape, len(CHANNELS)), np.nan, np.float32)
        whole[piece.places[:, 0], piece.places[:, 1]] = read
        for chunk in tile.chunks:
            self.array[slices(self.array, chunk)] = whole[slices(self.array, chunk)]

    def _places(self, chunk: tuple[int, ...]) -> Places:
        rows, columns = slices(self.array, chunk)[:2]
        down, across = np.meshgrid(
            np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop), indexing="ij"
        )
        return np.stack([down.ravel(), across.ravel()], axis=1)


@dataclass(frozen=True)
class SampleWork:
    """Cells drawn from a map, each with all that it is compared with.

    cells : (n_cells, 2), rows and columns.
    """

    picture_id: str
    grid: Grid
    array: zarr.Array
    cells: Places

    @cached_property
    def n_windows(self) -> int:
        """All that the cells need; those of one chunk that they share count once."""
        chunks = [self.cells[slices(self.array, chunk)[0]] for chunk in chunks_of(self.array)]
        return sum(len(piece.places) for cells in chunks for piece in self._pieces(cells))

    def tiles(self, chunks_a_tile: int) -> Iterator[Tile]:
        """What is still to be read."""
        for chunks in _bundled(self.array, chunks_a_tile):
            cells = np.concatenate([self.cells[slices(self.array, chunk)[0]] for chunk in chunks])
            name = f"{self.picture_id}/sample-{len(self.cells)}/side-{self.grid.side:04d}/{chunks[0][0]}"
            yield Tile(name, self.picture_id, self._pieces(cells), chunks)

    def put(self, tile: Tile, readings: Sequence[Readings]) -> None:
        """Write what was read, a chunk at a time."""
        for chunk in tile.chunks:
            self.array[slices(self.array, chunk)] = self.of_cells(tile, readings, chunk)

    def of_cells(self, tile: Tile, readings: Sequence[Readings], chunk: tuple[int, ...]) -> Readings:
        """The readings of a chunk's cells, (n_cells, n_windows, 3); NaN where a neighbour would lie outside the picture."""
        cells = self.cells[slices(self.array, chunk)[0]]
        near, inside = shifted(cells), shrunk(cells)
        parts = [_looked_up(tile.pieces[0], readings[0], near, is_window(near, self.grid))]
        if len(tile.pieces) > 1:
            parts.append(_looked_up(tile.pieces[1], readings[1], inside, np.ones(inside.shape[:2], bool)))
        return np.concatenate(parts, axis=1)

    def _pieces(self, cells: Places) -> tuple[Piece, ...]:
        near = shifted(cells)
        pieces = [Piece(self.grid.side, by_column(near[is_window(near, self.grid)]))]
        if self.grid.shrunk is not None:
            pieces.append(Piece(self.grid.shrunk.side, by_column(shrunk(cells).reshape(-1, 2))))
        return tuple(pieces)


def map_work(store: Store, picture_id: str, grid: Grid) -> MapWork:
    """The work on a whole map."""
    return MapWork(picture_id, grid, store.map_of(picture_id, grid))


def sample_work(store: Store, picture_id: str, grid: Grid, n_cells: int, study_seed: int) -> SampleWork:
    """The work on a sample of a map; the cells are the same for every network, so that networks are compared on them."""
    cells = drawn(picture_id, grid, n_cells, study_seed)
    n_windows = len(CELL_WINDOWS) + (len(INSETS) if grid.shrunk is not None else 0)
    return SampleWork(picture_id, grid, store.sample_of(picture_id, grid, study_seed, len(cells), n_windows), cells)


def drawn(picture_id: str, grid: Grid, n_cells: int, study_seed: int) -> Places:
    """Cells of a map drawn without replacement, each as likely as any other; all of them where there are no more."""
    total = int(np.prod(grid.shape))
    if n_cells >= total:
        return grid.rows(0, grid.shape[0])
    rng = generator_for(study_seed, f"fragile/{picture_id}/side-{grid.side}")
    chosen = np.sort(rng.choice(total, n_cells, replace=False))
    return np.stack(np.divmod(chosen, grid.shape[1]), axis=1)


def shifted(cells: Places) -> Places:
    """The windows that cells are compared with when they shift, themselves first: (n_cells, 9, 2)."""
    return cells[:, None] + np.array(CELL_WINDOWS)


def shrunk(cells: Places) -> Places:
    """The windows two pixels smaller that lie in cells' windows: (n_cells, 9, 2), places in the map of that smaller side."""
    return cells[:, None] + np.array(INSETS)


def is_window(places: Places, grid: Grid) -> NDArray[np.bool_]:
    """Whether places, (…, 2), are on a map."""
    return np.asarray(((places >= 0) & (places < np.array(grid.shape))).all(axis=-1))


def _looked_up(piece: Piece, read: Readings, places: Places, there: NDArray[np.bool_]) -> Readings:
    """The readings of places, (n_cells, n_windows, 3); NaN where there is no window."""
    keys = piece.places[:, 1] * _BASE + piece.places[:, 0]  # in the order of columns: ascending
    wanted = places[..., 1] * _BASE + places[..., 0]
    found = read[np.clip(np.searchsorted(keys, wanted), 0, len(keys) - 1)]
    found[~there] = np.nan
    return found


_BASE = 1 << 32


def _bundled(array: zarr.Array, chunks_a_tile: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The chunks that are not there yet, a tile's together; tiles always begin at the same chunks."""
    chunks = list(chunks_of(array))
    for first in range(0, len(chunks), chunks_a_tile):
        lacking = tuple(chunk for chunk in chunks[first : first + chunks_a_tile] if not is_there(array, chunk))
        if lacking:
            yield lacking
