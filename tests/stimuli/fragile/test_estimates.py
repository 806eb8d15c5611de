"""Estimates from sampled windows: right on average, in intervals that hold the rate of all windows as often as they say."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import hypergeom

from stimuli.fragile.definitions import fragile_maps
from stimuli.fragile.estimates import Counted, counted, inside_box, mean_share, share_of
from stimuli.fragile.windows import Grid
from stimuli.fragile.work import drawn

SIDE = 21
SHAPE = (90, 110)
DRAWN = 1000
DRAWS = 1500
BLOBS = (
    (60, 0.997, 0),
    (40, 0.5, 0),
    (20, 0.9, 0),
    (9, 0.5, 0.0005),
    (5, 0.6, 0.003),
    (3, 0.5, 0.01),
    (30, 0.05, 0.002),
)
"""Width of blobs in windows, share of windows that are right, share of windows that are otherwise than their blob."""


def soft_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> NDArray[np.float64]:
    """Noise whose blobs are about `cell` windows wide, (rows, columns)."""
    coarse = rng.standard_normal((max(2, round(shape[0] / cell)), max(2, round(shape[1] / cell)))).astype(np.float32)
    soft = Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC)
    return np.asarray(soft, np.float64)


@lru_cache(maxsize=1)
def realistic_maps() -> tuple[NDArray[np.int8], ...]:
    """Fragile recognition maps of blobs of correctness, from hardly any border to a border everywhere: (rows, columns) each."""
    rng = np.random.default_rng(11)
    found = []
    for cell, right, speckled in BLOBS:
        small = soft_noise(rng, (SHAPE[0] + 2, SHAPE[1] + 2), cell)
        level = np.quantile(small, 1 - right)
        shrunk = (small > level) ^ (rng.random(small.shape) < speckled)
        correct = (small[1:-1, 1:-1] > level) ^ (rng.random(SHAPE) < speckled)
        found += [signs for signs in fragile_maps(correct, shrunk).values() if (signs != 0).any()]
    return tuple(found)


def hits_of_draws(maps: NDArray[np.bool_], n_draws: int) -> NDArray[np.int64]:
    """Hits of each map in samples as they are drawn, one for each seed: (n_draws, n_maps).

    maps : (n_maps, rows, columns).
    """
    grid = Grid(SHAPE[0] + SIDE - 1, SHAPE[1] + SIDE - 1, SIDE)
    assert grid.shape == SHAPE
    cells = (drawn("p", grid, DRAWN, seed).T for seed in range(n_draws))
    return np.array([maps[:, rows, columns].sum(axis=1) for rows, columns in cells])


def test_an_estimate_is_right_on_average_and_its_interval_holds_the_rate_as_often_as_it_says():
    maps = np.stack([signs != 0 for signs in realistic_maps()])
    rates, total = maps.mean(axis=(1, 2)), maps[0].size
    assert rates.min() < 0.003
    assert rates.max() > 0.55
    hits = hits_of_draws(maps, DRAWS)
    error = hits.std(axis=0, ddof=1) / DRAWN / math.sqrt(DRAWS)
    assert (np.abs(hits.mean(axis=0) / DRAWN - rates) < 4 * error).all()
    covered = np.zeros(hits.shape, bool)
    for column, rate in enumerate(rates):
        for row, found in enumerate(hits[:, column].tolist()):
            share = share_of(found, DRAWN, total)
            covered[row, column] = share.low <= rate <= share.high
    coverage = covered.mean(axis=0)
    assert 0.93 <= coverage.mean() <= 0.97
    assert coverage.min() >= 0.90


@pytest.mark.parametrize("total", [1600, 15_000, 128_226])
def test_intervals_hold_rates_of_every_size_of_map(total: int):
    rng = np.random.default_rng(total)
    coverage = []
    for rate in (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.03, 0.1, 0.3, 0.6):
        of = round(rate * total)
        found, times = np.unique(rng.hypergeometric(of, total - of, DRAWN, 6000), return_counts=True)
        shares = [share_of(int(hits), DRAWN, total) for hits in found]
        holds = [share.low <= of / total <= share.high for share in shares]
        coverage.append(float(times[holds].sum() / times.sum()))
    assert 0.93 <= np.mean(coverage) <= 0.97
    assert min(coverage) >= 0.90


@pytest.mark.parametrize(
    ("hits", "n", "total"), [(0, 50, 80), (1, 50, 80), (7, 50, 80), (49, 50, 80), (50, 50, 80), (3, 10, 5000)]
)
def test_the_interval_is_what_the_hypergeometric_distribution_does_not_speak_against(hits: int, n: int, total: int):
    def plausible(of: int) -> bool:
        here = hypergeom.pmf(hits, total, of, n) / 2
        return min(hypergeom.sf(hits, total, of, n), hypergeom.cdf(hits - 1, total, of, n)) + here > 0.025

    wanted = [of / total for of in range(hits, total - n + hits + 1) if plausible(of)]
    share = share_of(hits, n, total)
    assert (share.low, share.high) == pytest.approx((wanted[0], wanted[-1]))
    assert share.share == hits / n


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 300))
def test_intervals_hold_the_share_and_turn_round_with_it(n: int, left: int, hits: int):
    hits = min(hits, n)
    share, other = share_of(hits, n, n + left), share_of(n - hits, n, n + left)
    assert 0 <= share.low <= share.share <= share.high <= 1
    assert share.high > share.low or left < n  # of 20 cells, 19 that are no hits all but say that the last is none
    assert (other.low, other.high) == pytest.approx((1 - share.high, 1 - share.low))


def test_what_was_looked_at_whole_has_no_interval_and_what_was_not_looked_at_no_share():
    share = share_of(3, 12, 12)
    assert (share.share, share.low, share.high) == (0.25, 0.25, 0.25)
    assert math.isnan(share_of(0, 0, 12).share)


@pytest.mark.parametrize("n_pictures", [10, 50])
def test_the_interval_of_a_mean_holds_the_mean_of_all_windows_as_often_as_it_says(n_pictures: int):
    rng = np.random.default_rng(n_pictures)
    coverage = {}
    for total in (1600, 30_000):
        for rate in (0.0005, 0.002, 0.01, 0.1, 0.5):
            covered = []
            for _ in range(250):
                rates = np.minimum(rng.gamma(0.7, rate / 0.7, n_pictures), 1)  # pictures differ much
                of = np.round(rates * total).astype(int)
                found = rng.hypergeometric(of, total - of, DRAWN)
                low, high = mean_share([Counted(total, DRAWN, int(hits), 0) for hits in found]).of_these
                covered.append(low - 1e-12 <= (of / total).mean() <= high + 1e-12)
            coverage[total, rate] = np.mean(covered)
    assert 0.93 <= np.mean([*coverage.values()]) <= 0.97
    assert min(coverage.values()) >= 0.90


def test_pictures_without_a_hit_have_an_interval_all_the_same():
    none = mean_share([Counted(10_000, 1000, 0, 0)] * 10)
    assert (none.mean, none.of_these[0]) == (0, 0)
    assert 0.0002 < none.of_these[1] < 0.0005  # three or four hits in ten thousand would have been seen
    assert none.of_such[1] >= none.of_these[1]
    both = mean_share([Counted(10_000, 1000, 0, 0), Counted(10_000, 1000, 1000, 0)])
    assert both.of_these[0] < both.mean == 0.5 < both.of_these[1]
    whole = mean_share([Counted(1000, 1000, 0, 0), Counted(1000, 1000, 10, 20)])
    assert (whole.mean, *whole.of_these) == pytest.approx((0.015, 0.015, 0.015))


def test_one_pictures_mean_has_its_own_interval_and_says_nothing_of_others():
    alone = mean_share([Counted(10_000, 1000, 20, 3)])
    share = share_of(23, 1000, 10_000)
    assert (alone.mean, alone.of_these) == (share.share, (share.low, share.high))
    assert math.isnan(alone.of_such[0])


def test_pictures_like_these_are_told_by_students_t():
    counts = [Counted(100, 100, hits, 0) for hits in (10, 20, 30)]
    found = mean_share(counts)
    assert found.mean == pytest.approx(0.2)
    assert found.of_such[1] - found.mean == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-6)


def test_counts_tell_both_signs():
    count = counted(np.array([[1, 0, -1], [-1, 0, 0]], np.int8), 60)
    assert count == Counted(60, 6, 1, 2)
    assert count.rate.share == 0.5


def test_a_window_is_in_an_objects_box_when_its_middle_is():
    places = np.array([[0, 0], [2, 3], [3, 3], [2, 8]])
    assert inside_box(places, 5, (4, 5, 5, 9)).tolist() == [False, True, False, False]


def test_the_same_windows_are_drawn_whoever_asks_none_twice():
    grid = Grid(60, 70, 15)
    cells = drawn("p", grid, 300, 4)
    assert np.array_equal(cells, drawn("p", grid, 300, 4))
    assert len(np.unique(cells, axis=0)) == 300
    assert not np.array_equal(cells, drawn("q", grid, 300, 4))
    assert not np.array_equal(cells, drawn("p", grid, 300, 5))
    assert len(drawn("p", grid, 10**6, 4)) == np.prod(grid.shape)


def test_every_window_is_as_likely_as_any_other():
    grid = Grid(14, 16, 9)
    times = np.zeros(grid.shape)
    for seed in range(2000):
        times[tuple(drawn("p", grid, 12, seed).T)] += 1
    share = 12 / times.size
    assert np.abs(times / 2000 - share).max() < 4.5 * math.sqrt(share * (1 - share) / 2000)
