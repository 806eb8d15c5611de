"""Sampled windows against whole maps: how much work an estimate is, and how far it is off. No speed: other things are computed.

A picture of the picture book is mapped in whole at all four proportions, then sampled again and again from what is known.
`--small` runs a reduced form and writes no record.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from _fragile_work import Engine
from _record import measure_once

from stimuli.fragile.estimates import share_of
from stimuli.fragile.store import open_store
from stimuli.fragile.windows import Grid, side_of
from stimuli.fragile.work import drawn, sample_work
from stimuli.networks.loading import load_network
from stimuli.picturebook.book import render

PROPORTIONS = (0.2, 0.4, 0.6, 0.8)
PICTURE = ("cat", "test", 0)
TARGETS = {"largest_standard_error_points": "<= 1.6", "intervals_that_hold_the_rate_pct": "93 to 97"}


def windows_of_sample(grid: Grid, n_cells: int) -> int:
    """Windows that a sample reads."""
    with TemporaryDirectory() as folder:
        return sample_work(open_store(Path(folder) / "s.zarr", {}), "p", grid, n_cells, 0).n_windows


def measure(size_px: int, n_cells: int, n_draws: int) -> dict[str, float]:
    """Map in whole, then draw."""
    torch.set_num_threads(1)
    engine, pixels = Engine(load_network("picturenet", None, "cpu"), {}), render(*PICTURE, size_px)
    figures: dict[str, float] = {}
    errors, held = [], []
    for proportion in PROPORTIONS:
        grid = Grid(size_px, size_px, side_of(proportion, size_px, size_px))
        assert grid.shrunk is not None
        total = int(np.prod(grid.shape))
        whole = total + int(np.prod(grid.shrunk.shape))
        figures[f"windows_of_whole_map_over_those_of_sample_p{proportion:g}"] = whole / windows_of_sample(grid, n_cells)
        looked = engine.looked(pixels, grid.side)
        maps = np.stack([signs != 0 for signs in looked.signs.values()]).reshape(-1, *grid.shape)
        rates = maps.mean(axis=(1, 2))
        hits = np.array([maps[:, rows, columns].sum(axis=1) for rows, columns in
                         (drawn("p", grid, n_cells, seed).T for seed in range(n_draws))])  # fmt: skip
        found = np.minimum(n_cells, total)
        deviation = np.sqrt(np.square(hits / found - rates).mean(axis=0))
        figures[f"standard_error_points_p{proportion:g}"] = 100 * float(deviation.max())
        errors.append(float(deviation.max()))
        for column, rate in enumerate(rates):
            if 0 < rate < 1 and found < total:
                shares = [share_of(int(each), int(found), total) for each in hits[:, column]]
                held.append(float(np.mean([share.low <= rate <= share.high for share in shares])))
    figures["largest_standard_error_points"] = 100 * max(errors)
    figures["intervals_that_hold_the_rate_pct"] = 100 * float(np.mean(held)) if held else math.nan
    return figures


def met(figures: Mapping[str, float]) -> bool:
    """Whether estimates are as near as they should be."""
    return figures["largest_standard_error_points"] <= 1.6 and 93 <= figures["intervals_that_hold_the_rate_pct"] <= 97


if __name__ == "__main__":
    if "--small" in sys.argv:
        print(json.dumps(measure(40, 100, 100), indent=2))
        raise SystemExit(0)
    what = "1000 sampled windows a map with all they are compared with, against all windows of a 192-pixel picture (picturenet)"
    raise SystemExit(measure_once(__file__, what, TARGETS, lambda: measure(192, 1000, 1000), met, {"threads": 1}))
