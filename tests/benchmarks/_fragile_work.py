"""A picture cut to as many windows as a measurement has time for, and the engine that maps it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from PIL import Image

from protocols.fragile_plan import FragilePlan
from stimuli.fragile import tiles
from stimuli.fragile.counting import Looked
from stimuli.fragile.mapping import Here, Mapper
from stimuli.fragile.reading import preferred_batch
from stimuli.fragile.sources import PictureToMap
from stimuli.fragile.store import open_store
from stimuli.fragile.tiles import Looking, NetworkAt
from stimuli.fragile.windows import Grid
from stimuli.networks.network import Network
from stimuli.synthesis.starts import ByteImage


def picture(height: int, width: int) -> ByteImage:
    """Soft blobs with some noise, as photographs have, (height, width, 3)."""
    rng = np.random.default_rng(height * width)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8))
    soft = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return np.clip(soft + rng.integers(-8, 9, soft.shape), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Engine:
    """Maps pictures into stores that are thrown away.

    network : that reads; as `load_network` gave it.
    options : of the plan, such as `precision`.
    """

    network: Network
    options: dict[str, Any]

    @property
    def batch_size(self) -> int:
        """Windows a forward pass."""
        return self.options.get("batch_size") or preferred_batch(self.network.device)

    def map(self, pixels: ByteImage, sides: tuple[int, ...], sample: int | None = None) -> int:
        """Read all windows of sides and of those two pixels smaller, or a sample, and write the store.

        Returns how many were read again in single precision.
        """
        with self._mapper(sides, sample) as mapper:
            return mapper.read([_shown(pixels)], Here())

    def looked(self, pixels: ByteImage, side: int, sample: int | None = None) -> Looked:
        """What is found of one side (see `Looked`)."""
        with self._mapper((side,), sample) as mapper:
            mapper.read([_shown(pixels)], Here())
            return mapper.looked(_shown(pixels), Grid(*pixels.shape[:2], side))

    @contextmanager
    def _mapper(self, sides: tuple[int, ...], sample: int | None) -> Iterator[Mapper]:
        plan = FragilePlan(
            pictures={"kind": "folder", "folder": "."},  # type: ignore[arg-type]
            proportions=(),
            sides_px=sides,
            **self.options,
        )
        looking = Looking(plan.crops, plan.filter, plan.precision, self.batch_size, plan.top_k)
        at = NetworkAt(self.network.name, None, 0, self.network.weights_sha256, str(self.network.device))
        folder = Path(mkdtemp())
        loaded = tiles.loaded
        tiles.loaded = lambda _: self.network  # type: ignore[assignment]  # it is loaded already, and may be random
        try:
            yield Mapper(plan, self.network, at, looking, open_store(folder / "s.zarr", {}), sample, 0)
        finally:
            tiles.loaded = loaded
            shutil.rmtree(folder)


def _shown(pixels: ByteImage) -> PictureToMap:
    return PictureToMap("p", "p", "p", 0, *pixels.shape[:2], "p", None, lambda: pixels)
