"""Studies whose windows are read in seconds, and windows that nobody had to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from protocols.study import Study, load_study
from stimuli.fragile.counting import Looked
from stimuli.fragile.definitions import Correctness, FragileType, fragile_maps
from stimuli.fragile.found import SHRINKS, Seen, offsets_of
from stimuli.fragile.mapping import Side
from stimuli.fragile.reading import Readings
from stimuli.fragile.sources import PictureToMap
from stimuli.fragile.windows import Grid

STUDY = """format: 1
extends: srivastava2019
name: windows
title: a few windows
fragile:
  pictures: {kind: picturebook, size_px: 48}
  per_supercategory: 1
  networks: [{name: picturenet}]
  proportions: [0.9]
"""


def study_of_windows(folder: Path, pairs: str = "{proportion: 0.9, n: 3}") -> Study:
    """Ten pictures of 48 pixels, of each 36 windows of 43 pixels and 64 of 41, under the embedded network."""
    path = folder / "windows.yaml"
    path.write_text(f"{STUDY}  pairs: {pairs}\n", encoding="utf-8")
    return load_study(path)


def picture(name: str, supercategory: str = "birds", side: int = 12) -> PictureToMap:
    """A grey picture."""
    pixels = np.full((side, side, 3), 128, np.uint8)
    return PictureToMap(name, name, supercategory, name, side, side, name, None, lambda: pixels)


def seen_of(correct: Correctness, shrunk: Correctness, name: str = "owl", supercategory: str = "birds") -> Seen:
    """What would have been read, had windows been right as given.

    correct : (rows, columns); `shrunk`: (rows + 2, columns + 2).
    """
    rows, columns = correct.shape
    grid = Grid(rows + 4, columns + 4, 5)
    maps = fragile_maps(correct, shrunk)
    cells = grid.rows(0, rows)
    of_map = {kind: signs.ravel() for kind, signs in maps.items()}

    def reading(right: Correctness) -> Readings:
        found = np.stack([np.where(right, 0, 3), np.where(right, 0.9, 0.1), np.where(right, 1, 2)], axis=-1)
        return found.astype(np.float32)

    def changed(kind: FragileType, numbers: np.ndarray) -> Readings:
        source = reading(shrunk if kind in SHRINKS else correct)
        places = cells[numbers][:, None] + offsets_of(kind)
        there = ((places >= 0) & (places < source.shape[:2])).all(axis=-1)
        found = source[tuple(np.where(there[..., None], places, 0).transpose(2, 0, 1))]
        found[~there] = np.nan
        return found

    looked = Looked(True, cells, correct.ravel(), of_map)
    return Seen(
        picture(name, supercategory, rows + 4), Side(0.5, grid), looked, reading(correct).reshape(-1, 3), changed
    )
