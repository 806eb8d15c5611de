"""Correlations of gaps and their intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from analysis.crops.correlations import correlation

RNG = np.random.default_rng(0)
X = RNG.normal(size=40)
Y = 0.5 * X + RNG.normal(size=40)


def test_pearson_is_scipys_with_fishers_interval() -> None:
    found = pearsonr(X, Y)
    interval = found.confidence_interval(0.95)
    assert correlation(X, Y, "pearson", 0.95) == pytest.approx((found.statistic, interval.low, interval.high))


def test_spearman_is_scipys_with_a_wider_interval() -> None:
    r, low, high = correlation(X, Y, "spearman", 0.95)
    assert r == pytest.approx(spearmanr(X, Y).statistic)
    error = math.sqrt((1 + r**2 / 2) / 37)
    assert (math.atanh(high) - math.atanh(low)) / 2 == pytest.approx(1.959964 * error, abs=1e-6)


def test_gaps_that_are_all_alike_have_no_correlation() -> None:
    assert all(math.isnan(number) for number in correlation(X, np.zeros(40), "spearman", 0.95))
    assert all(math.isnan(number) for number in correlation(X[:3], Y[:3], "pearson", 0.95))
