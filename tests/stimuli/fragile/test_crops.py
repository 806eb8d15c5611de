"""Crops: Pillow's bytes and torch's bits, in any batch and any order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional

from protocols.problems import FoolscanError
from stimuli.fragile import crops
from stimuli.fragile.crops import cutter
from stimuli.fragile.windows import Grid, Places
from stimuli.synthesis.starts import ByteImage

CPU = torch.device("cpu")


def by_pillow(picture: ByteImage, place: tuple[int, int], side: int, size_px: int) -> ByteImage:
    row, column = place
    window = Image.fromarray(picture).crop((column, row, column + side, row + side))
    return np.asarray(window.resize((size_px, size_px), Image.Resampling.BILINEAR))


def levels(crops_of: torch.Tensor) -> ByteImage:
    assert crops_of.dtype == torch.float32
    found = crops_of.permute(0, 2, 3, 1).numpy()
    assert np.array_equal(found, found.round())
    return found.astype(np.uint8)


@st.composite
def cut_up(draw: Callable) -> tuple[ByteImage, int, int, Places]:
    """A picture, a side, a size, and windows in any order, some of them several times."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    side = draw(st.integers(1, min(height, width)))
    kind = draw(st.sampled_from(["noise", "edges", "flat"]))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == "edges":
        picture = np.where(picture < 128, np.uint8(0), np.uint8(255))
    if kind == "flat":
        picture[:] = picture[0, 0]
    rows = st.integers(0, height - side)
    columns = st.integers(0, width - side)
    places = draw(st.lists(st.tuples(rows, columns), min_size=1, max_size=12))
    return picture, side, draw(st.integers(1, 48)), np.array(places)


@settings(max_examples=150)
@given(cut_up())
def test_windows_are_pillows_bytes(work: tuple[ByteImage, int, int, Places]):
    picture, side, size_px, places = work
    wanted = [by_pillow(picture, (row, column), side, size_px) for row, column in places.tolist()]
    assert np.array_equal(levels(cutter(picture, side, size_px, CPU)(places)), wanted)


@settings(max_examples=100)
@given(cut_up())
def test_windows_are_pillows_bytes_where_a_gpu_cuts_them_all_at_once(work: tuple[ByteImage, int, int, Places]):
    picture, side, size_px, places = work
    cut = crops._all_at_once(picture, Grid(*picture.shape[:2], side), size_px, CPU)
    wanted = [by_pillow(picture, (row, column), side, size_px) for row, column in places.tolist()]
    assert np.array_equal(levels(cut(places)), wanted)


@pytest.mark.parametrize(("side", "size_px"), [(75, 224), (151, 224), (225, 224), (301, 224), (225, 299), (299, 299)])
def test_windows_of_a_photographs_size_are_pillows_bytes(side: int, size_px: int):
    picture = np.random.default_rng(side).integers(0, 256, (375, 500, 3), dtype=np.uint8)
    grid = Grid(375, 500, side)
    places = np.array([(0, 0), (1, 0), (3, 0), (grid.shape[0] - 1, grid.shape[1] - 1), (10, 20)])
    wanted = [by_pillow(picture, (row, column), side, size_px) for row, column in places.tolist()]
    assert np.array_equal(levels(cutter(picture, side, size_px, CPU)(places)), wanted)


@settings(max_examples=100)
@given(cut_up())
def test_torchs_bilinear_is_that_of_each_window_alone(work: tuple[ByteImage, int, int, Places]):
    picture, side, size_px, places = work
    found = cutter(picture, side, size_px, CPU, resize="torch_bilinear")(places)
    for crop, (row, column) in zip(found, places.tolist(), strict=True):
        window = torch.from_numpy(picture[row : row + side, column : column + side].copy()).permute(2, 0, 1).float()
        alone = functional.interpolate(window[None], size=(size_px, size_px), mode="bilinear", align_corners=False)
        assert torch.equal(crop, alone[0])


@settings(max_examples=60)
@given(cut_up())
def test_centred_windows_lie_unchanged_in_the_middle_of_black(work: tuple[ByteImage, int, int, Places]):
    picture, side, size_px, places = work
    if side > size_px:
        with pytest.raises(FoolscanError, match=f"centred: found windows of {side} pixels; .* {size_px}: use resized"):
            cutter(picture, side, size_px, CPU, "centred")
        return
    found = levels(cutter(picture, side, size_px, CPU, "centred")(places))
    first = (size_px - side) // 2
    for crop, (row, column) in zip(found, places.tolist(), strict=True):
        wanted = np.zeros((size_px, size_px, 3), np.uint8)
        wanted[first : first + side, first : first + side] = picture[row : row + side, column : column + side]
        assert np.array_equal(crop, wanted)


def test_in_place_all_but_the_window_is_black():
    picture = np.random.default_rng(0).integers(1, 256, (20, 20, 3), dtype=np.uint8)
    places = np.array([(0, 0), (13, 13), (4, 9), (4, 9)])
    found = levels(cutter(picture, 7, 20, CPU, "in_place")(places))
    for crop, (row, column) in zip(found, places.tolist(), strict=True):
        window = np.s_[row : row + 7, column : column + 7]
        assert np.array_equal(crop[window], picture[window])
        assert (crop > 0).all(axis=2).sum() == 49


def test_in_place_needs_pictures_of_the_inputs_size():
    picture = np.zeros((20, 24, 3), np.uint8)
    with pytest.raises(
        FoolscanError, match=r"in_place: found a picture of 24 x 20 pixels; .* 20 x 20: give pictures of that"
    ):
        cutter(picture, 7, 20, CPU, "in_place")


@pytest.mark.parametrize("resize", ["pil_bilinear", "torch_bilinear"])
@pytest.mark.parametrize("how", ["resized", "centred"])
def test_windows_of_the_inputs_size_are_the_pictures_own_pixels(how: crops.How, resize: crops.Filter):
    picture = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    places = np.array([(0, 0), (5, 7), (13, 23)])
    found = levels(cutter(picture, 17, 17, CPU, how, resize)(places))
    for crop, (row, column) in zip(found, places.tolist(), strict=True):
        assert np.array_equal(crop, picture[row : row + 17, column : column + 17])


def test_a_windows_pixels_do_not_depend_on_its_batch_mates():
    picture = np.random.default_rng(2).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    cut = cutter(picture, 21, 32, CPU)
    places = Grid(60, 70, 21).rows(0, 40)
    shuffled = np.random.default_rng(3).permutation(len(places))
    together = cut(places)
    assert torch.equal(cut(places[shuffled]), together[shuffled])
    assert torch.equal(torch.cat([cut(places[n : n + 1]) for n in range(5)]), together[:5])
