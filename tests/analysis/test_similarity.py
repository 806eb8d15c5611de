"""Similarity of RDMs, and what correcting for reliability recovers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.rdm import Rdm
from analysis.similarity import correlation, reliability_corrected, similarity
from protocols.problems import FoolscanError


def test_both_correlations_are_scipys() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 5, 30)).round(1)
    for row in range(5):
        pearson, spearman = stats.pearsonr(first[row], second[row])[0], stats.spearmanr(first[row], second[row])[0]
        assert correlation(first, second, "pearson")[row] == pytest.approx(pearson, abs=1e-12)
        assert correlation(first, second, "spearman")[row] == pytest.approx(spearman, abs=1e-12)


def test_a_constant_or_undefined_rdm_has_no_similarity() -> None:
    rdm = np.array([0.1, 0.2, 0.3])
    for other in (np.full(3, 0.7), np.array([np.nan, 0.1, 0.2])):
        for measure in ("pearson", "spearman"):
            assert np.isnan(correlation(rdm, other, measure))


def test_unlike_rdms_are_not_compared() -> None:
    first = Rdm(np.array([0.1, 0.2, 0.3]), ("a", "b", "c"), "spearman")
    second = Rdm(np.array([0.1]), ("a", "b"), "spearman")
    third = Rdm(np.array([0.1, 0.2, 0.3]), ("a", "b", "c"), "pearson")
    assert similarity(first, first, "pearson") == pytest.approx(1)
    for other in (second, third):
        with pytest.raises(FoolscanError, match="must be the same"):
            similarity(first, other, "pearson")
    with pytest.raises(ValueError, match="allowed"):
        correlation(first.values, first.values, "kendall")


def test_correction_recovers_the_noiseless_similarity() -> None:
    rng = np.random.default_rng(0)
    n_pairs, truth = 200_000, 0.6
    shared, own = rng.standard_normal((2, n_pairs))
    first, second = shared, truth * shared + np.sqrt(1 - truth**2) * own
    noisy = [(rdm + rng.standard_normal(n_pairs), rdm + rng.standard_normal(n_pairs)) for rdm in (first, second)]
    assert correlation(noisy[0][0], noisy[1][0], "pearson") == pytest.approx(truth / 2, abs=0.01)
    assert reliability_corrected(noisy[0], noisy[1], "pearson") == pytest.approx(truth, abs=0.02)


def test_without_reliability_there_is_no_correction() -> None:
    up, down = np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 3.0, 2.0, 1.0])
    assert np.isnan(reliability_corrected((up, down), (up, up), "pearson"))
    assert np.isnan(reliability_corrected((up, down), (up, down), "pearson"))
