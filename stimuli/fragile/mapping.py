"""Maps the fragility of pictures under a network: what is not on disk yet is read there, then everything is counted."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from protocols.fragile_plan import FragilePlan
from stimuli.fragile.counting import (
    Looked,
    correctness,
    keep_maps,
    looked_at_maps,
    looked_at_sample,
    signs_of_cells,
)
from stimuli.fragile.definitions import FragileType, fragile, shift_neighbours
from stimuli.fragile.estimates import Counted, counted, inside_box
from stimuli.fragile.reading import Readings
from stimuli.fragile.sources import PictureToMap
from stimuli.fragile.store import Store, mark_complete
from stimuli.fragile.tiles import Answer, Looking, NetworkAt, Request, read_tile
from stimuli.fragile.windows import Grid, side_of
from stimuli.fragile.work import MapWork, SampleWork, Tile, map_work, sample_work
from stimuli.networks.network import Network

Work = MapWork | SampleWork


@dataclass(frozen=True)
class Side:
    """A side of windows that is mapped in a picture.

    proportion : of the picture's shorter side that it was computed from; None for one that the study gives in pixels.
    """

    proportion: float | None
    grid: Grid


@dataclass(frozen=True)
class Finding:
    """What was found of one picture and side, for one fragility type.

    exhaustive      : whether every window was looked at.
    right           : share of the windows looked at that are recognised.
    everywhere      : all cells; `inside`, `outside`: those whose window's middle is in the object's box, or is not (None:
                      no box).
    """

    picture: PictureToMap
    side: Side
    type: FragileType
    exhaustive: bool
    right: float
    everywhere: Counted
    inside: Counted | None = None
    outside: Counted | None = None


@dataclass(frozen=True)
class Told:
    """How far the reading is.

    done, total : windows, those included that were there before.
    found       : of those done, windows that were there before.
    fragile     : share of the cells read by now that are loosely fragile to a shift; None before the first.
    """

    done: int
    total: int
    found: int
    fragile: float | None


@dataclass(frozen=True)
class Job:
    """A tile to be read: what a worker must know, and where the answer goes."""

    request: Request
    tile: Tile
    work: Work


class Executor(Protocol):
    """Who reads tiles."""

    @property
    def device_type(self) -> str | None:
        """What they compute on ('cpu', 'cuda', …); None: on the device that this process computes on."""

    @property
    def gpu(self) -> str | None:
        """The name of their GPUs, where they compute on some and are not this process."""

    def run(self, jobs: Iterator[Job]) -> Generator[tuple[Job, Answer], None, None]:
        """Read every job's tile; answers come in any order."""


class Here:
    """Reads tiles in this process, one after the other."""

    device_type: str | None = None
    gpu: str | None = None

    def run(self, jobs: Iterator[Job]) -> Generator[tuple[Job, Answer], None, None]:
        """Read every job's tile, in order."""
        for job in jobs:
            yield job, read_tile(job.request)


def sides_of(plan: FragilePlan, height: int, width: int) -> tuple[Side, ...]:
    """The sides that a study maps in a picture; of two that are the same number of pixels both.

    Raises FoolscanError where the picture is smaller than a window.
    """
    found = [Side(share, Grid(height, width, side_of(share, height, width))) for share in plan.proportions]
    found += [Side(None, Grid(height, width, side)) for side in plan.sides_px]
    return tuple(dict.fromkeys(found))


@dataclass
class _Tally:
    """Counts while tiles are read; `lacking`: tiles of an array, by its path, that have not been put there yet."""

    done: int = 0
    found: int = 0
    fragile: int = 0
    cells: int = 0
    read_again: int = 0
    lacking: dict[str, int] = field(default_factory=dict)

    def told(self, total: int) -> Told:
        return Told(self.done, total, self.found, self.fragile / self.cells if self.cells else None)


@dataclass(frozen=True)
class Mapper:
    """Maps pictures under one network.

    at            : how a worker loads the network.
    sample        : windows drawn of each map; None: all.
    seed          : the study's.
    chunks_a_tile : how much is read before it is written.
    """

    plan: FragilePlan
    network: Network
    at: NetworkAt
    looking: Looking
    store: Store
    sample: int | None
    seed: int
    chunks_a_tile: int = 1

    def read(
        self, pictures: Sequence[PictureToMap], executor: Executor, told: Callable[[Told], None] = lambda _: None
    ) -> int:
        """Read what is not there yet.

        Returns how many windows were read again in single precision.
        """
        for picture in pictures:
            self.store.refuse_other(picture.picture_id, picture.identity)
        works = [(picture, work) for picture in pictures for work in self._works(picture)]
        total, tally = sum(work.n_windows for _, work in works), _Tally()
        told(tally.told(total))
        with closing(executor.run(self._jobs(works, tally))) as answers:
            for job, answer in answers:
                job.work.put(job.tile, answer.readings)
                tally.lacking[job.work.array.path] -= 1
                if not tally.lacking[job.work.array.path]:
                    mark_complete(job.work.array)
                fragile_cells, cells = glimpse(job, answer.readings)
                tally.fragile, tally.cells = tally.fragile + fragile_cells, tally.cells + cells
                tally.done, tally.read_again = tally.done + job.tile.n_windows, tally.read_again + answer.read_again
                told(tally.told(total))
        if tally.found == total:
            told(tally.told(total))
        return tally.read_again

    def findings(self, pictures: Iterable[PictureToMap]) -> Iterator[Finding]:
        """Count what has been read, picture by picture; fragile recognition maps are put into the store."""
        for picture in pictures:
            for side in sides_of(self.plan, picture.height, picture.width):
                looked = self.looked(picture, side.grid)
                if looked.exhaustive:
                    keep_maps(self.store, picture.picture_id, side.grid, looked, self.looking.top_k)
                yield from found_in(picture, side, looked)

    def looked(self, picture: PictureToMap, grid: Grid) -> Looked:
        """What was read of one side of a picture: its whole map where there is one, else its sample."""
        if self._is_mapped(picture, grid):
            return looked_at_maps(*self._whole(picture, grid), self.looking.top_k)
        return looked_at_sample(self._sampled(picture, grid), self.looking.top_k)

    def _jobs(self, works: Sequence[tuple[PictureToMap, Work]], tally: _Tally) -> Iterator[Job]:
        for picture, work in works:
            tiles = [*work.tiles(self.chunks_a_tile)]  # a chunk may be damaged where all had been read
            there = work.n_windows - sum(tile.n_windows for tile in tiles)
            tally.done, tally.found = tally.done + there, tally.found + there
            tally.lacking[work.array.path] = len(tiles)
            if not tiles:
                mark_complete(work.array)
                continue
            self.store.refuse_further()
            pixels, true = picture.read(), picture.true(self.network)
            for tile in tiles:
                yield Job(Request(tile.name, self.at, self.looking, pixels, true, tile.pieces), tile, work)

    def _works(self, picture: PictureToMap) -> Iterator[Work]:
        """What must be read of a picture, each side once."""
        seen: set[Grid] = set()
        for side in {side.grid: side for side in sides_of(self.plan, picture.height, picture.width)}.values():
            if self.sample is not None and not self._is_mapped(picture, side.grid):
                yield self._sampled(picture, side.grid)
                continue
            for work in self._whole(picture, side.grid):
                if work is not None and work.grid not in seen:
                    seen.add(work.grid)
                    yield work

    def _is_mapped(self, picture: PictureToMap, grid: Grid) -> bool:
        return self.store.is_mapped_with_shrunk(picture.picture_id, grid)

    def _whole(self, picture: PictureToMap, grid: Grid) -> tuple[MapWork, MapWork | None]:
        smaller = None if grid.shrunk is None else map_work(self.store, picture.picture_id, grid.shrunk)
        return map_work(self.store, picture.picture_id, grid), smaller

    def _sampled(self, picture: PictureToMap, grid: Grid) -> SampleWork:
        n_cells = self.sample if self.sample is not None else self.plan.sample
        return sample_work(self.store, picture.picture_id, grid, n_cells, self.seed)


def found_in(picture: PictureToMap, side: Side, looked: Looked) -> Iterator[Finding]:
    """What was found in one side of a picture, for each fragility type."""
    total = int(np.prod(side.grid.shape))
    inside = n_inside = None
    if picture.box is not None:
        inside = inside_box(looked.cells, side.grid.side, picture.box)
        n_inside = int(inside_box(side.grid.rows(0, side.grid.shape[0]), side.grid.side, picture.box).sum())
    for kind, signs in looked.signs.items():
        parts: tuple[Counted | None, Counted | None] = (None, None)
        if inside is not None and n_inside is not None:
            parts = counted(signs[inside], n_inside), counted(signs[~inside], total - n_inside)
        right = float(looked.correct.mean())
        yield Finding(picture, side, kind, looked.exhaustive, right, counted(signs, total), *parts)


def glimpse(job: Job, readings: Sequence[Readings]) -> tuple[int, int]:
    """How many cells of a tile are loosely fragile to a shift, of how many: of a map those that have all neighbours in it."""
    top_k, tile = job.request.looking.top_k, job.tile
    if isinstance(job.work, SampleWork):
        cells = np.concatenate([job.work.of_cells(tile, readings, chunk) for chunk in tile.chunks])
        signs = signs_of_cells(cells, top_k)["loose_shift"]
        return int((signs != 0).sum()), signs.size
    places = tile.pieces[0].places
    first, last = places.min(axis=0), places.max(axis=0)
    correct, read = np.zeros((2, *(last - first + 1)), bool)
    correct[tuple((places - first).T)] = correctness(readings[0], top_k)
    read[tuple((places - first).T)] = True
    near, _ = shift_neighbours(read)
    loose, _ = fragile(correct, shift_neighbours(correct)[0], near)
    whole = read & near.all(axis=0)
    return int((loose[whole] != 0).sum()), int(whole.sum())
