"""Fragile recognition by its definition: a slow loop over windows, one crop of Pillow's at a time, comes to the same maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from tiny_fragile import CLASSES, LOOKING, CountingNetwork, picture

from protocols.fragile_plan import FragilePlan
from stimuli.fragile.counting import Looked
from stimuli.fragile.definitions import FRAGILE_TYPES, fragile_maps
from stimuli.fragile.mapping import Here, Mapper
from stimuli.fragile.sources import PictureToMap
from stimuli.fragile.store import open_store
from stimuli.fragile.tiles import NetworkAt
from stimuli.fragile.windows import Grid
from stimuli.synthesis.starts import ByteImage

IsRight = Callable[[int, int, int], bool]
"""Whether the window of a side at a row and column is recognised."""


def slowly(height: int, width: int, side: int, is_right: IsRight) -> dict[str, list[list[int]]]:
    """Every definition as it is written, window by window."""
    maps: dict[str, list[list[int]]] = {kind: [] for kind in FRAGILE_TYPES}
    rows, columns = height - side + 1, width - side + 1
    for row in range(rows):
        lines: dict[str, list[int]] = {kind: [] for kind in FRAGILE_TYPES}
        for column in range(columns):
            own = is_right(side, row, column)
            shifted = [
                is_right(side, r, c)
                for r in range(max(0, row - 1), min(rows, row + 2))
                for c in range(max(0, column - 1), min(columns, column + 2))
                if (r, c) != (row, column)
            ]
            changes = {"shift": shifted}
            if side > 2:
                changes["shrink"] = [is_right(side - 2, row + r, column + c) for r in range(3) for c in range(3)]
            for change, right in changes.items():
                sign = 1 if own else -1
                flips = [other != own for other in right]
                lines[f"loose_{change}"].append(sign if any(flips) else 0)
                lines[f"strict_{change}"].append(sign if flips and all(flips) else 0)
        for kind in FRAGILE_TYPES:
            if lines[kind]:
                maps[kind].append(lines[kind])
    return {kind: lines for kind, lines in maps.items() if lines}


def right_by_pillow(pixels: ByteImage, network: CountingNetwork, true: int, top_k: int) -> IsRight:
    """One window, one crop, one forward pass of the batch's shape; a rank counted in a loop."""
    known: dict[tuple[int, int, int], bool] = {}

    def is_right(side: int, row: int, column: int) -> bool:
        if (side, row, column) not in known:
            window = Image.fromarray(pixels).crop((column, row, column + side, row + side))
            levels = np.asarray(window.resize((network.input_px,) * 2, Image.Resampling.BILINEAR), np.float32)
            batch = torch.from_numpy(levels.transpose(2, 0, 1).copy()).expand(LOOKING.batch_size, -1, -1, -1)
            logits = network.logits(batch)[0].tolist()
            above = [
                n for n, value in enumerate(logits) if value > logits[true] or (value == logits[true] and n < true)
            ]
            known[side, row, column] = len(above) < top_k
        return known[side, row, column]

    return is_right


@pytest.mark.parametrize(
    ("height", "width", "sides", "top_k"),
    [(7, 9, (1, 2, 3, 6, 7), 1), (7, 7, (7,), 2), (3, 3, (3,), 1), (12, 9, (6, 9), 2)],
)
def test_maps_are_those_of_a_loop_over_windows(
    network: CountingNetwork, tmp_path: Path, height: int, width: int, sides: tuple[int, ...], top_k: int
):
    pixels = picture(height + width, height, width)
    shown = PictureToMap("p", "boat", "things", CLASSES[1], height, width, "p", None, lambda: pixels)
    plan = FragilePlan(
        pictures={"kind": "folder", "folder": "."},  # type: ignore[arg-type]
        proportions=(),
        sides_px=sides,
        top_k=top_k,
    )
    looking = type(LOOKING)("resized", "pil_bilinear", "fp32", LOOKING.batch_size, top_k)
    at = NetworkAt("tiny", None, 0, network.weights_sha256, "cpu")
    mapper = Mapper(plan, network, at, looking, open_store(tmp_path / "whole.zarr", {}), None, 0)
    mapper.read([shown], Here())
    some = Mapper(plan, network, at, looking, open_store(tmp_path / "some.zarr", {}), 15, 0)
    some.read([shown], Here())
    is_right = right_by_pillow(pixels, network, 1, top_k)
    for side in sides:
        wanted = slowly(height, width, side, is_right)
        looked = mapper.looked(shown, Grid(height, width, side))
        compare(looked, wanted)
        assert looked.exhaustive
        compare(some.looked(shown, Grid(height, width, side)), wanted)


def compare(looked: Looked, wanted: dict[str, list[list[int]]]) -> None:
    assert list(looked.signs) == list(wanted)
    for kind, signs in looked.signs.items():
        assert signs.tolist() == [wanted[kind][row][column] for row, column in looked.cells.tolist()]


@st.composite
def correct_and_shrunk(draw: Callable) -> tuple[np.ndarray, np.ndarray | None]:
    rows, columns = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    correct = draw(arrays(bool, (rows, columns)))
    return correct, draw(st.none() | arrays(bool, (rows + 2, columns + 2)))


@given(correct_and_shrunk())
def test_maps_of_any_correctness_are_those_of_the_loop(maps: tuple[np.ndarray, np.ndarray | None]):
    correct, shrunk = maps
    side = 2 if shrunk is None else 5
    of_side = {side: correct} | ({} if shrunk is None else {side - 2: shrunk})
    rows, columns = correct.shape
    wanted = slowly(rows + side - 1, columns + side - 1, side, lambda s, r, c: bool(of_side[s][r, c]))
    found = fragile_maps(correct, shrunk)
    assert {kind: signs.tolist() for kind, signs in found.items()} == wanted
    assert all(signs.dtype == np.int8 for signs in found.values())


@given(correct_and_shrunk())
def test_what_is_strict_is_loose_and_what_was_right_is_wrong_when_all_is_turned_round(maps):
    correct, shrunk = maps
    found = fragile_maps(correct, shrunk)
    turned = fragile_maps(~correct, None if shrunk is None else ~shrunk)
    for kind, signs in found.items():
        assert np.array_equal(turned[kind], -signs)
        if kind.startswith("strict"):
            loose = found[f"loose_{kind.removeprefix('strict_')}"]  # type: ignore[index]
            assert ((signs == 0) | (signs == loose)).all()


def test_one_right_window_among_wrong_ones_is_strictly_fragile_and_its_neighbours_loosely():
    correct = np.zeros((4, 5), bool)
    correct[1, 1] = True
    maps = fragile_maps(correct, None)
    assert maps["strict_shift"].tolist() == [[0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert maps["loose_shift"].tolist() == [[-1, -1, -1, 0, 0], [-1, 1, -1, 0, 0], [-1, -1, -1, 0, 0], [0, 0, 0, 0, 0]]


def test_at_a_corner_three_neighbours_decide():
    correct = np.array([[True, False, True], [False, False, True], [True, True, True]])
    assert fragile_maps(correct, None)["strict_shift"][0, 0] == 1
    assert fragile_maps(correct, None)["strict_shift"][2, 2] == 0
    assert fragile_maps(correct, None)["loose_shift"][2, 2] == 1


@pytest.mark.parametrize("place", [(row, column) for row in range(3) for column in range(3)])
def test_every_one_of_the_nine_smaller_windows_can_break_recognition(place: tuple[int, int]):
    correct, shrunk = np.ones((1, 1), bool), np.ones((3, 3), bool)
    shrunk[place] = False
    maps = fragile_maps(correct, shrunk)
    assert (maps["loose_shrink"][0, 0], maps["strict_shrink"][0, 0]) == (1, 0)
    maps = fragile_maps(~correct, shrunk)
    assert (maps["loose_shrink"][0, 0], maps["strict_shrink"][0, 0]) == (-1, 0)
    assert fragile_maps(correct, np.zeros((3, 3), bool))["strict_shrink"][0, 0] == 1
    assert fragile_maps(~correct, np.ones((3, 3), bool))["strict_shrink"][0, 0] == -1


def test_a_window_without_neighbours_is_not_fragile():
    for correct in (np.zeros((1, 1), bool), np.ones((1, 1), bool)):
        assert {kind: int(signs[0, 0]) for kind, signs in fragile_maps(correct, None).items()} == {
            "loose_shift": 0,
            "strict_shift": 0,
        }
