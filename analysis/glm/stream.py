"""Time series from an image file, block of voxels by block of voxels, within a stated amount of memory.

An image holds whole volumes one after the other, and a compressed one can only be read from its beginning. So every file
is read once from first to last, its voxels within the mask are kept as they are stored (often 2 bytes each), and blocks
are cut from those. Where even they do not fit, they wait in a temporary file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from nibabel.openers import ImageOpener
from numpy.typing import DTypeLike, NDArray

from analysis.glm.solve import spans
from analysis.nifti import DAMAGE, open_nifti
from protocols.problems import FoolscanError

READ = 2**20  # bytes at a time where bytes are only passed over
LARGEST_BLOCK = 16_384  # voxels; larger ones save nothing


class Block(NamedTuple):
    """Some voxels' time series.

    voxels : their places among the mask's voxels (the order of ``volume[mask]``), a slice of consecutive ones.
    data   : (n_volumes, n_voxels), scaled as the header says.
    """

    voxels: slice
    data: NDArray[Any]


def blocks(
    path: Path,
    mask: NDArray[np.bool_],
    memory_bytes: int,
    *,
    first: int = 0,
    dtype: DTypeLike = np.float64,
    working_bytes: int = 0,
    largest: int = LARGEST_BLOCK,
) -> Iterator[Block]:
    """The time series of a mask's voxels, in blocks.

    path          : a 4D image (x, y, z, n_stored), NIfTI or what else nibabel opens; compressed or not.
    mask          : (x, y, z) the voxels wanted.
    memory_bytes  : what reading may hold at a time: one volume, the stored values where they fit into half of it, and
                    a block with what the caller makes of it.
    first         : volumes at the beginning to leave out.
    dtype         : of the data handed out.
    working_bytes : what the caller makes of each voxel of a block, bytes; counted with the block.
    largest       : voxels in a block at most.

    Yields `Block`s, together every voxel of the mask once, in order.
    Raises FoolscanError when the file is cut off or damaged, or cannot be read within the memory.
    """
    image = open_nifti(path)
    if len(image.shape) != 4:
        raise FoolscanError(
            f"{path}: found {len(image.shape)} dimensions {image.shape}; a time series has 4: x, y, z, time"
        )
    if mask.shape != image.shape[:3]:
        raise FoolscanError(f"{path}: found a grid of {image.shape[:3]} voxels; the mask has {mask.shape}")
    n_volumes = image.shape[3] - first
    if n_volumes < 1:
        raise FoolscanError(f"{path}: found {image.shape[3]} volumes; {first} are to be left out, so expected more")
    source, n_voxels = image.dataobj, int(mask.sum())
    stored = np.dtype(source.dtype)
    kept, volume = n_volumes * n_voxels * stored.itemsize, mask.size * stored.itemsize
    in_memory = kept <= memory_bytes // 2
    # scaling and converting take a float64 block besides the one handed out
    per_voxel = n_volumes * (stored.itemsize + 8 + np.dtype(dtype).itemsize) + working_bytes
    room = memory_bytes - (kept if in_memory else 0) - (volume if in_memory else 0)
    size = min(largest, room // per_voxel)
    if size < 1 or volume > memory_bytes:
        raise FoolscanError(
            f"{path}: cannot be read within {memory_bytes / 2**20:.0f} MiB; one volume takes {volume / 2**20:.1f} MiB and one "
            f"voxel's time series {per_voxel / 2**20:.3f} MiB. State more memory"
        )
    if in_memory:
        series = np.empty((n_volumes, n_voxels), dtype=stored)
        for row, values in enumerate(_volumes(path, image, mask, first)):
            series[row] = values
        for voxels in spans(n_voxels, size):
            yield Block(voxels, _scaled(series[:, voxels], source, dtype))
        return
    with tempfile.TemporaryFile() as waiting:
        for values in _volumes(path, image, mask, first):
            waiting.write(values.tobytes())
        for voxels in spans(n_voxels, size):
            yield Block(voxels, _scaled(_columns(waiting, voxels, n_volumes, n_voxels, stored), source, dtype))


def _volumes(path: Path, image: Any, mask: NDArray[np.bool_], first: int) -> Iterator[NDArray[Any]]:
    """The mask's voxels of each volume from `first` on, as stored; the whole file is read, so its checksum is checked."""
    source = image.dataobj
    # stored x fastest; the mask's voxels are wanted z fastest
    places = np.ravel_multi_index(np.nonzero(mask), mask.shape, order="F")
    stored = np.dtype(source.dtype)
    n_bytes = mask.size * stored.itemsize
    try:
        with ImageOpener(source.file_like) as content:
            _pass_over(path, content, source.offset + first * n_bytes)
            for _ in range(image.shape[3] - first):
                found = content.read(n_bytes)
                if len(found) != n_bytes:
                    raise FoolscanError(f"{path}: cut off or damaged (ends within the data); copy the image again")
                yield np.frombuffer(found, dtype=stored).take(places)
            while content.read(READ):
                pass
    except DAMAGE as error:
        raise FoolscanError(f"{path}: cut off or damaged ({error}); copy the image again") from error


def _pass_over(path: Path, content: Any, n_bytes: int) -> None:
    while n_bytes:
        found = len(content.read(min(READ, n_bytes)))
        if not found:
            raise FoolscanError(f"{path}: cut off or damaged (ends before the data); copy the image again")
        n_bytes -= found


def _columns(waiting: IO[bytes], voxels: slice, n_volumes: int, n_voxels: int, stored: np.dtype[Any]) -> NDArray[Any]:
    series = np.empty((n_volumes, voxels.stop - voxels.start), dtype=stored)
    for row in range(n_volumes):
        waiting.seek((row * n_voxels + voxels.start) * stored.itemsize)
        series[row] = np.frombuffer(waiting.read(series.shape[1] * stored.itemsize), dtype=stored)
    return series


def _scaled(series: NDArray[Any], source: Any, dtype: DTypeLike) -> NDArray[Any]:
    slope, inter = float(source.slope), float(source.inter)
    if slope == 1 and inter == 0:
        return series.astype(dtype)
    scaled = series.astype(np.float64)
    scaled *= slope
    scaled += inter
    return scaled.astype(dtype, copy=False)
