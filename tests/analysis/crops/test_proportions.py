"""Score intervals of shares and of their differences against published numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.crops.proportions import difference, wilson


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_is_that_of_newcombes_table(right: int, of: int, low: float, high: float) -> None:
    """Newcombe 1998, Statistics in Medicine 17:857, table I, method 3."""
    assert wilson(right, of, 0.95) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((5, 56), (0, 29), -0.0381, 0.1926),
    ],
)
def test_a_difference_is_that_of_newcombes_table(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    """Newcombe 1998, Statistics in Medicine 17:873, table II, method 10."""
    assert difference(first, second, 0.95) == pytest.approx((low, high), abs=5e-5)


def test_no_answers_have_no_interval() -> None:
    assert all(math.isnan(bound) for bound in (*wilson(0, 0, 0.95), *difference((1, 2), (0, 0), 0.95)))


@given(st.integers(1, 60).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))), st.floats(0.5, 0.999))
def test_wilson_holds_the_share_and_mirrors(counts: tuple[int, int], coverage: float) -> None:
    right, of = counts
    low, high = wilson(right, of, coverage)
    assert 0 <= low <= right / of <= high <= 1
    assert low < high
    assert wilson(of - right, of, coverage) == pytest.approx((1 - high, 1 - low))


@given(*[st.integers(1, 30).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))] * 2)
def test_a_difference_turned_round_is_its_negative(first: tuple[int, int], second: tuple[int, int]) -> None:
    low, high = difference(first, second, 0.95)
    assert -1 <= low <= first[0] / first[1] - second[0] / second[1] <= high <= 1
    assert difference(second, first, 0.95) == pytest.approx((-high, -low))
