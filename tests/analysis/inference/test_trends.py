"""Trends: Mann–Kendall's S with its exact null distribution, ties and all, against brute force."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from math import factorial, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.inference.trends import kendall_s, s_distribution, trend


def brute(values: list[float]) -> Counter[int]:
    """S of every order of the values."""
    return Counter(kendall_s(np.array(order, dtype=float)) for order in permutations(values))


@pytest.mark.parametrize(
    "values", [[1, 2, 3], [1, 2, 3, 4, 5], [1, 1, 2, 3, 3], [2, 2, 2, 5, 5, 7], [1, 1, 1, 1], list(range(7))]
)
def test_the_distribution_is_that_of_all_orders(values: list[float]) -> None:
    ties = list(Counter(values).values())
    sizes, counts = s_distribution(ties)
    found = {
        size: count * prod(factorial(tied) for tied in ties) for size, count in zip(sizes, counts, strict=True) if count
    }
    assert found == dict(brute(values))


@given(st.lists(st.integers(0, 4), min_size=3, max_size=6))
@settings(deadline=None, max_examples=40)
def test_p_is_the_share_of_orders_as_extreme(values: list[int]) -> None:
    found = trend(np.array(values, dtype=float))
    assert found is not None
    counts = brute([float(value) for value in values])
    extreme = sum(count for size, count in counts.items() if abs(size) >= abs(found.s))
    assert found.p == pytest.approx(extreme / counts.total(), abs=1e-12)


@pytest.mark.parametrize("n", [5, 8])
def test_without_ties_p_is_scipys_exact(n: int) -> None:
    for seed in range(5):
        values = np.random.default_rng([n, seed]).standard_normal(n)
        found = trend(values)
        assert found is not None
        theirs = stats.kendalltau(np.arange(n), values, method="exact")
        assert found.tau_a == pytest.approx(theirs.statistic, abs=1e-12)
        assert found.p == pytest.approx(theirs.pvalue, abs=1e-12)
        assert found.rho == pytest.approx(stats.spearmanr(np.arange(n), values).statistic, abs=1e-12)


def test_five_places_that_rise_all_along() -> None:
    """Kendall 1938: of 120 orders one rises all along and one falls."""
    found = trend(np.array([0.1, 0.2, 0.3, 0.4, 0.5]))
    assert found is not None
    assert (found.s, found.tau_a, found.rho) == (10, 1.0, 1.0)
    assert found.p == found.p_rho == pytest.approx(2 / 120)
    eight = trend(np.arange(8.0))
    assert eight is not None
    assert eight.p == eight.p_rho == pytest.approx(2 / 40320)


def test_rank_correlation_with_ties_is_that_of_all_orders() -> None:
    values = np.array([1.0, 1.0, 2.0, 3.0, 2.0])
    found = trend(values)
    rho = [stats.spearmanr(range(5), order).statistic for order in permutations(values)]
    assert found is not None
    assert found.p_rho == pytest.approx(np.mean(np.abs(rho) >= abs(found.rho) - 1e-12))


def test_many_places_are_exact_still() -> None:
    found = trend(np.random.default_rng(0).standard_normal(60))
    assert found is not None
    assert found.p == pytest.approx(
        stats.kendalltau(range(60), np.random.default_rng(0).standard_normal(60), method="exact").pvalue, rel=1e-9
    )
    assert np.isnan(found.p_rho)


def test_places_without_values_are_left_out_and_two_are_no_trend() -> None:
    assert trend(np.array([0.1, np.nan, 0.2])) is None
    found = trend(np.array([0.1, np.nan, 0.2, 0.3]))
    assert found is not None
    assert (found.n, found.s) == (3, 3)


def test_values_that_are_all_the_same_have_no_trend() -> None:
    found = trend(np.full(5, 0.3))
    assert found is not None
    assert (found.s, found.p, found.p_rho) == (0, 1.0, 1.0)
    assert np.isnan(found.rho)
