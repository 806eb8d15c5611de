"""What an earlier mapping left in a study folder, as pictures and pairs are made of it: no network is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from protocols.folder import StudyFolder
from protocols.fragile_plan import FragilePlan
from protocols.problems import FoolscanError, NotReady, near
from protocols.study import Study
from stimuli.fragile.counting import Looked, looked_at_maps, looked_at_sample
from stimuli.fragile.definitions import INSETS, NEIGHBOURS, FragileType
from stimuli.fragile.mapping import Side, sides_of
from stimuli.fragile.reading import RANK, Readings
from stimuli.fragile.run import networks_of, plan_of, refuse_twice
from stimuli.fragile.sources import PictureToMap, pictures_to_map
from stimuli.fragile.store import STORE_FORMAT, Store, is_complete, map_name, opened_group, refuse_other
from stimuli.fragile.windows import SHRINK_PX, Places
from stimuli.fragile.work import CELL_WINDOWS, MapWork, SampleWork, drawn, is_window

SHRINKS: tuple[FragileType, ...] = ("loose_shrink", "strict_shrink")


def offsets_of(kind: FragileType) -> Places:
    """From a window's upper left pixel to those of the windows that it is compared with, (n_changes, 2)."""
    return np.array(INSETS if kind in SHRINKS else NEIGHBOURS)


def side_after(kind: FragileType, side_px: int) -> int:
    """The side of a window after the change of a type, pixels."""
    return side_px - SHRINK_PX if kind in SHRINKS else side_px


@dataclass(frozen=True)
class Seen:
    """What a network made of one side of a picture.

    looked  : cells of the map, all or some.
    itself  : readings of their windows, (n_cells, 3).
    changed : type, numbers of cells (n,) -> readings of the windows that they are compared with, (n, n_changes, 3), in the
              order of `offsets_of`; NaN: there is none.
    """

    picture: PictureToMap
    side: Side
    looked: Looked
    itself: Readings
    changed: Callable[[FragileType, NDArray[np.int64]], Readings]


@dataclass(frozen=True)
class Found:
    """What one network made of the windows of a study's pictures.

    name       : of its store.
    classes    : their names, by number.
    batch_size : windows a forward pass had.
    """

    name: str
    plan: FragilePlan
    store: Store
    seed: int
    classes: tuple[str, ...]
    network_sha256: str
    batch_size: int

    def sides(self, picture: PictureToMap) -> tuple[Side, ...]:
        """The sides that the study maps in a picture."""
        return sides_of(self.plan, picture.height, picture.width)

    def seen(self, picture: PictureToMap, side: Side) -> Seen | None:
        """What was read of one side of a picture: its whole map, else its largest sample; None: nothing yet.

        Raises FoolscanError when another picture of its name was read.
        """
        if picture.picture_id not in self.store.group:
            return None
        self.store.refuse_other(picture.picture_id, picture.identity)
        if self.store.is_mapped_with_shrunk(picture.picture_id, side.grid):
            grids = [side.grid] if side.grid.shrunk is None else [side.grid, side.grid.shrunk]
            works = [
                MapWork(picture.picture_id, grid, self._array(map_name(picture.picture_id, grid))) for grid in grids
            ]
            return _of_maps(picture, side, works[0], works[1] if len(works) > 1 else None, self.plan.top_k)
        sample = self._largest_sample(picture, side)
        return None if sample is None else _of_sample(picture, side, sample, self.plan.top_k)

    def _array(self, name: str) -> zarr.Array:
        found = self.store.group[name]
        if not isinstance(found, zarr.Array):
            raise FoolscanError(f"{self.store.path / name}: found a group, expected an array; delete it and map again")
        return found

    def _largest_sample(self, picture: PictureToMap, side: Side) -> SampleWork | None:
        group, largest = self.store.group[picture.picture_id], 0
        for name in group.group_keys() if isinstance(group, zarr.Group) else ():
            form = re.fullmatch(rf"sample-(\d+)-of-seed-{self.seed}", name)
            path = f"{picture.picture_id}/{name}/side-{side.grid.side:04d}"
            if form and path in self.store.group and is_complete(self._array(path)):
                largest = max(largest, int(form[1]))
        if not largest:
            return None
        array = self._array(f"{picture.picture_id}/sample-{largest}-of-seed-{self.seed}/side-{side.grid.side:04d}")
        return SampleWork(
            picture.picture_id, side.grid, array, drawn(picture.picture_id, side.grid, largest, self.seed)
        )


def _of_maps(picture: PictureToMap, side: Side, work: MapWork, shrunk: MapWork | None, top_k: int) -> Seen:
    whole = _read(work.array)
    smaller = None if shrunk is None else _read(shrunk.array)
    looked = looked_at_maps(work, shrunk, top_k)

    def changed(kind: FragileType, numbers: NDArray[np.int64]) -> Readings:
        grid, read = (work.grid, whole) if smaller is None or kind not in SHRINKS else (work.grid.shrunk, smaller)
        places = looked.cells[numbers][:, None] + offsets_of(kind)
        there = is_window(places, grid or work.grid)
        found = read[tuple(np.where(there[..., None], places, 0).transpose(2, 0, 1))].copy()
        found[~there] = np.nan
        return found

    return Seen(picture, side, looked, whole.reshape(-1, whole.shape[-1]), changed)


def _of_sample(picture: PictureToMap, side: Side, work: SampleWork, top_k: int) -> Seen:
    readings = _read(work.array, sampled=True)

    def changed(kind: FragileType, numbers: NDArray[np.int64]) -> Readings:
        near_ones, inside = slice(1, len(CELL_WINDOWS)), slice(len(CELL_WINDOWS), None)
        found: Readings = readings[numbers, inside if kind in SHRINKS else near_ones]
        return found

    return Seen(picture, side, looked_at_sample(work, top_k), readings[:, 0], changed)


def _read(array: zarr.Array, *, sampled: bool = False) -> Readings:
    """Readings that were all there once.

    Raises FoolscanError when a chunk of them is damaged or gone.
    """
    try:
        found: Readings = np.asarray(array)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        # a checksum that does not fit, a file cut short, bytes that cannot be unpacked
        raise FoolscanError(f"{array.store_path}: a chunk is damaged ({error}); {_AGAIN}") from error
    itself = found[:, 0, RANK] if sampled else found[..., RANK]  # of a sampled window some neighbours may not be there
    if np.isnan(itself).any():
        raise FoolscanError(f"{array.store_path}: a chunk is gone; {_AGAIN}")
    return found


_AGAIN = "call foolscan stimuli fragile again as before, which reads it anew"


def found_in(study: Study, folder: StudyFolder) -> Mapping[str, Found]:
    """What a study's networks made of its pictures' windows, by the names of their stores.

    Raises NotReady when nothing has been mapped there yet, FoolscanError when a store is of other parameters.
    """
    plan = plan_of(study)
    found = {}
    for name in networks_of(study, plan):
        path = folder.fragile(name)
        if not path.exists():
            raise NotReady(
                f"{path}: no readings yet; map the pictures first: foolscan stimuli fragile {study.name} --to {folder.root}"
            )
        group = opened_group(path, "delete it and map the pictures again")
        facts: dict[str, Any] = dict(group.attrs)
        expected = {
            "format": STORE_FORMAT,
            "crops": plan.crops,
            "filter": plan.filter if plan.crops == "resized" else "none",
            "precision": plan.precision,
            **({"top_k": plan.top_k} if plan.precision != "fp32" else {}),
        }
        refuse_other(path, {key: facts.get(key) for key in expected}, expected)
        classes = tuple(map(str, facts.get("classes") or ()))
        sha256, batch_size = str(facts.get("network_sha256")), int(facts.get("batch_size") or 1)
        found[name] = Found(name, plan, Store(path, group), study.seed, classes, sha256, batch_size)
    return found


def pictures_of(study: Study, only: str | None = None) -> tuple[PictureToMap, ...]:
    """The pictures that a study maps, or one of them.

    only : its picture_id.

    Raises FoolscanError when there is none of that name, or two of one name.
    """
    pictures = pictures_to_map(study, plan_of(study))
    refuse_twice(pictures)
    if only is None:
        return pictures
    chosen = tuple(picture for picture in pictures if picture.picture_id == only)[:1]
    if not chosen:
        names = [picture.picture_id for picture in pictures]
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        raise FoolscanError(
            f"--picture: found {only!r}{near(only, names)}; the pictures of study {study.name} are {shown}"
        )
    return chosen
