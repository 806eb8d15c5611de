"""What has been read of a network's windows, on disk: Zarr, a chunk at a time, so that nothing finished is done again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from protocols.problems import FoolscanError
from stimuli.fragile.reading import CHANNELS, Readings
from stimuli.fragile.remote import differences, shown
from stimuli.fragile.windows import Grid

STORE_FORMAT = 1
CHUNK = 64
"""Cells of a map along either side of a chunk: what one chunk holds is lost at most when the work is cut off."""
CHUNK_CELLS = 128
"""Sampled windows a chunk."""
MADE_WITH = ("numpy", "pillow", "torch", "gpu")
"""Attributes: versions, and the model of GPU, that may change the last bits of what is read."""
SHOWN = 80
"""Characters of a parameter in a message."""
PARTIAL = "*.partial"
"""What zarr calls a chunk that is being written."""


@dataclass(frozen=True)
class Store:
    """The readings of one network.

    path       : its folder, ``<network>.zarr``.
    group      : open in it.
    other      : in what it was made with something else than would be read with now; empty: nothing.
    """

    path: Path
    group: zarr.Group
    other: str = ""

    def map_of(self, picture_id: str, grid: Grid) -> zarr.Array:
        """The readings of all windows of one side: (rows, columns, 3), float32; made anew when there is none yet."""
        return self._array(
            map_name(picture_id, grid), (*grid.shape, len(CHANNELS)), (CHUNK, CHUNK, len(CHANNELS)), np.float32, np.nan
        )

    def refuse_other(self, picture_id: str, identity: str) -> None:
        """Note what tells that a picture is the same one, or raise FoolscanError when the store has another one of its name."""
        group = self.group.require_group(picture_id)
        found = group.attrs.get("identity")
        if found is None:
            group.attrs["identity"] = identity
        elif found != identity:
            raise FoolscanError(
                f"{self.path / picture_id}: holds readings of another picture of that name (found {shown(found, SHOWN)}, expected "
                f"{shown(identity, SHOWN)}); put the picture back, or delete that folder to have it mapped anew"
            )

    def refuse_further(self) -> None:
        """Raise FoolscanError where what is read now may have other bits than what is there."""
        if self.other:
            raise FoolscanError(
                f"{self.path}: was read with something else ({self.other}), which may give other bits; what is there can be counted "
                "and drawn. To read more, install what it was read with, use the same model of GPU, or map into another folder (--to)"
            )

    def is_mapped(self, picture_id: str, grid: Grid) -> bool:
        """Whether all windows of one side have been read."""
        name = map_name(picture_id, grid)
        return name in self.group and is_complete(self.map_of(picture_id, grid))

    def is_mapped_with_shrunk(self, picture_id: str, grid: Grid) -> bool:
        """Whether all windows of one side, and of the one two pixels smaller, have been read."""
        return all(self.is_mapped(picture_id, each) for each in (grid, grid.shrunk) if each is not None)

    def sample_of(self, picture_id: str, grid: Grid, seed: int, n_cells: int, n_windows: int) -> zarr.Array:
        """The readings of sampled cells: (n_cells, n_windows, 3), float32: of each the window and all it is compared with.

        seed : the study's, which says with the number of cells which ones they are.
        """
        name = f"{picture_id}/sample-{n_cells}-of-seed-{seed}/side-{grid.side:04d}"
        shape = (n_cells, n_windows, len(CHANNELS))
        return self._array(name, shape, (CHUNK_CELLS, *shape[1:]), np.float32, np.nan)

    def fragile_of(self, picture_id: str, grid: Grid, n_types: int) -> zarr.Array:
        """The fragile recognition maps of one side: (n_types, rows, columns), int8."""
        shape = (n_types, *grid.shape)
        return self._array(f"{picture_id}/fragile/side-{grid.side:04d}", shape, shape, np.int8, 0)

    def _array(self, name: str, shape: tuple[int, ...], chunk: tuple[int, ...], kind: type, fill: float) -> zarr.Array:
        if name in self.group:
            with zarr.config.set({"array.write_empty_chunks": True}):  # a map without a fragile window is a file, too
                found = self.group[name]
            if isinstance(found, zarr.Array) and found.shape == shape:
                return found
            raise FoolscanError(
                f"{self.path / name}: found {getattr(found, 'shape', 'a group')}, expected {shape}: its picture has changed; delete "
                f"{self.path / name.split('/')[0]} to have it mapped anew"
            )
        return self.group.create_array(
            name,
            shape=shape,
            chunks=tuple(min(part, side) for part, side in zip(chunk, shape, strict=True)),
            dtype=kind,
            fill_value=fill,
            serializer=BytesCodec(),
            compressors=[ZstdCodec(level=3), Crc32cCodec()],
            config={"write_empty_chunks": True},
        )


def map_name(picture_id: str, grid: Grid) -> str:
    """Where the readings of one side of a picture stand in a store."""
    return f"{picture_id}/side-{grid.side:04d}"


def open_store(path: Path, parameters: Mapping[str, Any]) -> Store:
    """The store at a path, made if there is none.

    parameters : of everything that decides what is read; they stand in its attributes. Where those of `MADE_WITH` are others,
                 it opens, and nothing further may be read into it.

    Raises FoolscanError, naming the first difference, for a store of another format or other parameters.
    """
    expected = {"format": STORE_FORMAT, "channels": list(CHANNELS), **parameters}
    if not path.exists() or _is_begun(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Store(path, zarr.create_group(path, attributes=expected))
        _sweep(path)
        return made
    group = opened_group(path, "delete it to have it made anew")
    found = dict(group.attrs)
    refuse_other(path, *(_without(each, MADE_WITH) for each in (found, expected)))
    _sweep(path)
    with_now, with_then = ({key: each[key] for key in MADE_WITH if key in each} for each in (expected, found))
    return Store(path, group, differences(with_now, with_then, SHOWN))


def opened_group(path: Path, mend: str) -> zarr.Group:
    """What is a store's group already.

    mend : what to do with a folder that is none.

    Raises FoolscanError for such a folder.
    """
    try:
        return zarr.open_group(path, mode="r+")
    except (PermissionError, MemoryError):
        raise
    except Exception as error:
        # whatever zarr meets in a folder that is none of its own: each release has another class for it
        raise FoolscanError(f"{path}: not readable as a Zarr group ({error}); {mend}") from error


def _without(parameters: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in parameters.items() if key not in keys}


def _sweep(path: Path) -> None:
    """Remove what a process left that was killed while it wrote."""
    for left in path.rglob(PARTIAL):
        left.unlink(missing_ok=True)


def _is_begun(path: Path) -> bool:
    """Whether a folder is what is left of a process that was killed before it had made its store."""
    return path.is_dir() and all(part.match(PARTIAL) for part in path.iterdir())


def refuse_other(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Raise FoolscanError with every key in which two stores' parameters differ: what was found and what is expected."""
    told = differences(expected, found, SHOWN)
    if told:
        raise FoolscanError(
            f"{path}: holds readings of other parameters. {told}. Map into another folder (--to), put the study back "
            "as it was, or delete this store to have it made anew"
        )


def chunks_of(array: zarr.Array) -> Iterator[tuple[int, ...]]:
    """The chunks of an array, as their numbers along each of its axes."""
    counts = [-(-side // part) for side, part in zip(array.shape, array.chunks, strict=True)]
    yield from np.ndindex(*counts)


def slices(array: zarr.Array, chunk: tuple[int, ...]) -> tuple[slice, ...]:
    """Where a chunk lies in its array."""
    return tuple(
        slice(place * part, min(side, (place + 1) * part))
        for place, part, side in zip(chunk, array.chunks, array.shape, strict=True)
    )


def is_there(array: zarr.Array, chunk: tuple[int, ...]) -> bool:
    """Whether a chunk has been written, whole: its checksum is looked at, and one that is damaged is done again.

    Raises OSError where the disk does not let it be read: that says nothing of what is there.
    """
    try:
        found: Readings = np.asarray(array[slices(array, chunk)])
    except (OSError, MemoryError):
        raise
    except Exception:
        # a checksum that does not fit, a file cut short, bytes that cannot be unpacked: all mean that it is not there
        return False
    return not _is_filler(found)


def _is_filler(found: NDArray[np.float32]) -> bool:
    """Whether a chunk holds nothing but what stands for 'not written': ranks are never NaN."""
    return bool(np.isnan(found[..., 0]).all())


def mark_complete(array: zarr.Array) -> None:
    """Note that all of an array has been read: it counts as a whole map or sample."""
    if not is_complete(array):
        array.attrs["complete"] = True


def is_complete(array: zarr.Array) -> bool:
    """Whether all of an array has been read."""
    return bool(array.attrs.get("complete", False))
