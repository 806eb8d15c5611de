"""A store of format 1 as it was first written: every release reads it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from small_image_study import contents

from protocols.problems import FoolscanError
from stimuli.fragile.counting import keep_maps, looked_at_maps, looked_at_sample
from stimuli.fragile.definitions import FRAGILE_TYPES
from stimuli.fragile.store import Store, chunks_of, is_there, open_store
from stimuli.fragile.windows import Grid
from stimuli.fragile.work import map_work, sample_work

FROZEN = Path(__file__).parents[2] / "formats" / "v1" / "fragile.zarr"
GRID = Grid(12, 15, 7)
RANKS = [
    [0, 0, 0, 2, 2, 2, 2, 1, 1],
    [0, 2, 1, 2, 2, 2, 1, 1, 1],
    [1, 1, 0, 0, 0, 1, 2, 4, 4],
    [4, 1, 0, 0, 0, 1, 4, 5, 4],
    [4, 0, 0, 0, 1, 2, 4, 4, 3],
    [3, 1, 1, 1, 3, 2, 1, 1, 1],
]


def parameters_of(folder: Path) -> dict[str, Any]:
    parameters: dict[str, Any] = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    assert parameters.pop("format") == 1
    assert parameters.pop("channels") == ["rank", "confidence", "label"]
    return parameters


@pytest.fixture
def opened(tmp_path: Path) -> Store:
    folder = Path(shutil.copytree(FROZEN, tmp_path / "tiny.zarr"))
    before = contents(folder)
    found = open_store(folder, parameters_of(folder))
    assert contents(folder) == before
    return found


def test_its_maps_are_whole_and_say_what_they_said(opened: Store):
    assert opened.is_mapped("p0", GRID)
    work, shrunk = map_work(opened, "p0", GRID), map_work(opened, "p0", Grid(12, 15, 5))
    assert all(is_there(work.array, chunk) for chunk in chunks_of(work.array))
    readings = np.asarray(work.array)
    assert readings[..., 0].tolist() == RANKS
    assert readings[2, 3].tolist() == [0.0, pytest.approx(0.9365825653), 1.0]
    looked = looked_at_maps(work, shrunk, 1)
    counts = {kind: (int((signs > 0).sum()), int((signs < 0).sum())) for kind, signs in looked.signs.items()}
    assert counts == {
        "loose_shift": (13, 20),
        "strict_shift": (0, 0),
        "loose_shrink": (13, 23),
        "strict_shrink": (0, 0),
    }
    assert looked.correct.sum() == 13


def test_its_sample_is_of_the_windows_that_are_drawn_today(opened: Store):
    work = sample_work(opened, "p0", GRID, 10, 2019)
    assert [*work.tiles(1)] == []
    looked, ranks = looked_at_sample(work, 1), np.array(RANKS)
    assert not looked.exhaustive
    assert looked.correct.tolist() == (ranks[tuple(work.cells.T)] == 0).tolist()


def test_its_fragile_recognition_maps_are_those_of_its_readings(opened: Store):
    kept = opened.fragile_of("p0", GRID, len(FRAGILE_TYPES))
    assert kept.dtype == np.int8
    assert dict(kept.attrs) == {"types": list(FRAGILE_TYPES), "top_k": 1}
    looked = looked_at_maps(map_work(opened, "p0", GRID), map_work(opened, "p0", Grid(12, 15, 5)), 1)
    for kind, signs in zip(FRAGILE_TYPES, np.asarray(kept), strict=True):
        assert np.array_equal(signs.ravel(), looked.signs[kind])
    before = contents(opened.path)
    keep_maps(opened, "p0", GRID, looked, 1)
    assert contents(opened.path) == before


def test_it_opens_under_any_version_and_takes_nothing_further(opened: Store):
    newer = open_store(opened.path, {**parameters_of(opened.path), "torch": "99.0"})
    assert newer.is_mapped("p0", GRID)
    with pytest.raises(FoolscanError, match=r"torch: found nothing, expected 99\.0"):
        newer.refuse_further()


def test_it_tells_which_picture_it_is_of(opened: Store):
    identity = zarr.open_group(FROZEN, mode="r")["p0"].attrs["identity"]
    before = contents(opened.path)
    opened.refuse_other("p0", str(identity))
    assert contents(opened.path) == before
