"""Windows: the published sides, and maps with a cell for each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.problems import FoolscanError
from stimuli.fragile.windows import Grid, side_of

LOAD = {0.2: 128_226, 0.4: 78_750, 0.6: 41_676, 0.8: 15_000}


@pytest.mark.parametrize("proportion", LOAD)
@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 375)])
def test_a_photograph_has_as_many_windows_as_the_paper_classifies(proportion: float, height: int, width: int):
    grid = Grid(height, width, side_of(proportion, height, width))
    assert np.prod(grid.shape) == LOAD[proportion]
    assert len(grid.rows(0, grid.shape[0])) == LOAD[proportion]


@given(st.floats(0, 1, exclude_min=True), st.integers(1, 600), st.integers(1, 600))
def test_sides_are_odd_and_within_a_pixel_of_their_share(proportion: float, height: int, width: int):
    shorter = min(height, width)
    try:
        side = side_of(proportion, height, width)
    except FoolscanError:
        assert shorter % 2 == 0
        assert proportion * shorter == shorter  # 1, or so near that the product is
        return
    assert side % 2 == 1
    assert 1 <= side <= shorter
    assert abs(side - proportion * shorter) <= 1


def test_the_whole_of_an_even_picture_is_no_window():
    with pytest.raises(
        FoolscanError, match=r"window of 101 x 101 pixels in a picture of 120 x 100.*sides from 1 to 100.*use larger"
    ):
        side_of(1.0, 100, 120)
    assert side_of(1.0, 101, 120) == 101


@pytest.mark.parametrize("proportion", [0.0, -0.1, 1.01, float("nan")])
def test_a_proportion_is_above_0_and_up_to_1(proportion: float):
    with pytest.raises(FoolscanError, match="expected a share of the shorter side, above 0 and up to 1"):
        side_of(proportion, 100, 120)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_windows_are_all_that_lie_in_the_picture_row_by_row(height: int, width: int, data: st.DataObject):
    side = data.draw(st.integers(1, min(height, width)))
    grid = Grid(height, width, side)
    wanted = [(row, column) for row in range(height - side + 1) for column in range(width - side + 1)]
    assert grid.rows(0, grid.shape[0]).tolist() == [list(place) for place in wanted]
    half = grid.shape[0] // 2
    assert np.array_equal(np.concatenate([grid.rows(0, half), grid.rows(half, grid.shape[0])]), wanted)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 50))
def test_windows_that_are_spread_are_in_order_none_twice_and_from_all_over(height: int, width: int, n: int):
    grid = Grid(height, width, 1)
    numbers = grid.spread(n) @ [width, 1]
    assert len(numbers) == min(n, height * width)
    assert (np.diff(numbers) > 0).all()
    assert numbers[-1] >= height * width - 1 - height * width // len(numbers)


def test_shrunk_windows_are_two_pixels_smaller_where_there_are_any():
    assert Grid(20, 30, 9).shrunk == Grid(20, 30, 7)
    assert Grid(20, 30, 3).shrunk == Grid(20, 30, 1)
    assert Grid(20, 30, 2).shrunk is None
    assert Grid(20, 30, 1).shrunk is None
