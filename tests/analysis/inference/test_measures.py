"""Measures of similarity: those of rsatoolbox and scipy, over resamples and weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.inference.ordering import concordance, concordances, weighted_ranks
from analysis.similarity import NAMES, SIMILARITIES, correlation, n_images_of

RSATOOLBOX = {
    "pearson": "corr",
    "spearman": "spearman",
    "kendall_tau_a": "tau-a",
    "rho_a": "rho-a",
    "cosine": "cosine",
    "whitened_pearson": "corr_cov",
    "whitened_cosine": "cosine_cov",
}
WEIGHTED = [name for name in NAMES if not name.startswith("whitened")]


@pytest.mark.parametrize("measure", NAMES)
@pytest.mark.parametrize(("n_images", "decimals"), [(6, 1), (12, 2), (20, 12)])
def test_every_measure_is_rsatoolboxs(measure: str, n_images: int, decimals: int) -> None:
    rsatoolbox = pytest.importorskip("rsatoolbox.rdm")
    rng = np.random.default_rng([n_images, decimals])
    n_pairs = n_images * (n_images - 1) // 2
    first = 0.1 + rng.random((4, n_pairs)).round(decimals)  # few decimals: many ties
    second = 0.1 + rng.random((5, n_pairs)).round(decimals)
    theirs = rsatoolbox.compare(rsatoolbox.RDMs(first), rsatoolbox.RDMs(second), RSATOOLBOX[measure])
    assert np.allclose(correlation(first[:, None], second[None], measure), theirs, rtol=0, atol=1e-10)
    assert np.array_equal(SIMILARITIES[measure](first[0], second[0]), correlation(first[0], second[0], measure))


def test_ranks_are_scipys() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, 300)), rng.standard_normal((2, 300))
    for a, b in zip(first, second, strict=True):
        assert correlation(a, b, "kendall_tau_a") == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-12)
        for measure in ("spearman", "rho_a"):  # without ties they are one
            assert correlation(a, b, measure) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_rho_a_is_the_mean_over_random_breaking_of_ties() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.integers(3, size=(2, 21)).astype(float)
    broken = correlation(first + 1e-6 * rng.random((20_000, 21)), second + 1e-6 * rng.random((20_000, 21)), "spearman")
    assert correlation(first, second, "rho_a") == pytest.approx(np.mean(broken), abs=4 * np.std(broken) / 20_000**0.5)


@pytest.mark.parametrize("measure", WEIGHTED)
def test_a_weight_is_how_often_a_dissimilarity_counts(measure: str) -> None:
    rng = np.random.default_rng(3)
    weights = rng.integers(0, 4, (6, 66))
    first, second = rng.random((2, 6, 66)).round(1)
    repeated = [
        float(correlation(np.repeat(a, w), np.repeat(b, w), measure))
        for a, b, w in zip(first, second, weights, strict=True)
    ]
    assert np.allclose(correlation(first, second, measure, weights), repeated, rtol=0, atol=1e-12)
    # one RDM under many weights, as resampling has it
    assert correlation(first[0], second[0], measure, weights).shape == (6,)
    assert np.allclose(
        correlation(first, second, measure, np.ones(66)), correlation(first, second, measure), atol=1e-12
    )


def test_whitening_has_no_weights() -> None:
    first, second = np.random.default_rng(0).random((2, 66))
    assert np.isnan(correlation(first, second, "whitened_pearson", np.ones(66)))


@pytest.mark.parametrize("measure", NAMES)
def test_leading_axes_are_resamples(measure: str) -> None:
    first, second = np.random.default_rng(4).random((2, 3, 7, 66))
    found = correlation(first, second, measure)
    assert found.shape == (3, 7)
    assert found[2, 5] == pytest.approx(float(correlation(first[2, 5], second[2, 5], measure)), abs=1e-14)


@pytest.mark.parametrize("measure", NAMES)
def test_what_is_not_defined_is_nan(measure: str) -> None:
    rdm = np.random.default_rng(5).random(66)
    assert np.isnan(correlation(rdm, np.where(np.arange(66) == 3, np.nan, rdm), measure))
    flat = float(correlation(rdm, np.full(66, 0.7), measure))
    if measure in ("cosine", "whitened_cosine"):
        assert 0 < flat < 1  # all images alike far apart is a geometry, too
    elif measure in ("kendall_tau_a", "rho_a"):
        assert flat == 0  # ties broken at random agree with anything as often as not
    else:
        assert np.isnan(flat)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=40))
@settings(deadline=None, max_examples=100)
def test_concordance_counts_pairs(values: list[tuple[int, int, int]]) -> None:
    x, y, w = (np.array(column, dtype=float) for column in zip(*values, strict=True))
    signs = np.sign(x[:, None] - x) * np.sign(y[:, None] - y)
    excess, pairs = concordance(x, y, w)
    assert excess == (signs * np.outer(w, w)).sum() / 2
    assert pairs == w.sum() * (w.sum() - 1) / 2
    assert concordance(x, y)[0] == signs.sum() / 2


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3)), min_size=1, max_size=30))
@settings(deadline=None, max_examples=100)
def test_weighted_ranks_are_those_of_repeated_values(values: list[tuple[int, int]]) -> None:
    x, w = (np.array(column) for column in zip(*values, strict=True))
    of_repeated = 2 * stats.rankdata(np.repeat(x, w)) - (w.sum() + 1)
    assert np.array_equal(np.repeat(weighted_ranks(x.astype(float), w.astype(float)), w), of_repeated)


def test_an_rdm_has_a_triangular_number_of_pairs() -> None:
    assert [n_images_of(n) for n in (1, 780, 4186)] == [2, 40, 92]
    with pytest.raises(ValueError, match="779"):
        n_images_of(779)


def test_many_against_few_are_each_against_each() -> None:
    ranks = np.random.default_rng(6).integers(-20, 20, (9, 60)).astype(float)
    many, few = ranks[:7], ranks[7:]
    assert np.array_equal(concordances(many, few), concordance(many[:, None], few[None])[0])
    with_gap = np.vstack([many, np.full(60, np.nan)])
    assert np.isnan(concordances(with_gap, few)[-1]).all()
