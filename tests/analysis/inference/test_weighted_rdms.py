"""The bootstrap over voxels: the same bits as repeating the voxels, and its normal limit for many units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from analysis.inference.influence import similarity_gradient
from analysis.inference.intervals import percentile_interval
from analysis.inference.weighted_rdms import resampled_rdms
from analysis.inference.weights import bootstrap_counts
from analysis.rdm import condensed, spearman_rdm
from analysis.similarity import correlation
from protocols.problems import FoolscanError

Oracle = Callable[[np.ndarray], np.ndarray]


def geometry(n_images: int, n_units: int, noise: float = 0.4) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of patterns that share a geometry of few dimensions."""
    rng = np.random.default_rng(1)
    latent, weights = rng.standard_normal((n_images, 5)), rng.standard_normal((5, n_units))
    other = latent + noise * rng.standard_normal(latent.shape)
    return latent @ weights, other @ weights


def test_counts_resample_within_subjects() -> None:
    strata = np.repeat(["01", "02"], [7, 5])
    counts = bootstrap_counts(strata, 200, np.random.default_rng(0))
    assert (counts[:, :7].sum(axis=1) == 7).all()
    assert (counts[:, 7:].sum(axis=1) == 5).all()
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.35)
    again = bootstrap_counts(strata, 200, np.random.default_rng(0))
    np.testing.assert_array_equal(counts, again)


@pytest.mark.parametrize("n_voxels", [12, 60, 700])
def test_weights_are_repeated_voxels_to_the_bit(n_voxels: int) -> None:
    rng = np.random.default_rng(0)
    patterns = rng.standard_normal((7, n_voxels)).round(1)  # rounded: many ties
    counts = bootstrap_counts(np.zeros(n_voxels), 30, rng)
    resampled = resampled_rdms(patterns, counts, "spearman")
    for row, weights in zip(resampled, counts, strict=True):
        repeated = patterns[:, np.repeat(np.arange(n_voxels), weights)]
        np.testing.assert_array_equal(row, condensed(spearman_rdm(repeated)))


@pytest.mark.parametrize(
    ("measure", "oracle"), [("spearman", lambda rows: stats.spearmanr(rows.T)[0]), ("pearson", np.corrcoef)]
)
def test_the_bootstrap_is_the_loop_over_scipy_and_numpy(measure: str, oracle: Oracle) -> None:
    rng = np.random.default_rng(0)
    patterns = rng.standard_normal((6, 40))
    counts = bootstrap_counts(np.zeros(40), 25, rng)
    for row, weights in zip(resampled_rdms(patterns, counts, measure), counts, strict=True):
        repeated = patterns[:, np.repeat(np.arange(40), weights)]
        np.testing.assert_allclose(row, condensed(1 - oracle(repeated)), rtol=0, atol=1e-12)


def test_a_resample_in_which_a_pattern_is_constant_is_undefined() -> None:
    patterns = np.array([[1.0, 2.0, 3.0], [0.0, 5.0, 1.0]])
    assert np.isnan(resampled_rdms(patterns, np.array([[3, 0, 0]]), "spearman")).all()


def test_undefined_replicates_are_left_out_and_counted() -> None:
    replicates = np.append(np.linspace(0, 1, 101), [np.nan, np.nan])
    interval = percentile_interval(replicates, 0.9)
    assert (interval.low, interval.high) == pytest.approx((0.05, 0.95))
    assert interval.undefined == 2
    assert np.isnan(percentile_interval(np.array([np.nan, np.nan, 1.0]), 0.9).low)


@pytest.mark.parametrize("measure", ["spearman", "pearson"])
def test_the_gradient_is_the_derivative_by_a_units_weight(measure: str) -> None:
    first, second = geometry(8, 50)
    value, gradient = similarity_gradient(first, second, measure)
    ones = np.ones((1, 50))
    plain = [resampled_rdms(patterns, ones, measure) for patterns in (first, second)]
    assert value == pytest.approx(float(correlation(*plain, "pearson")[0]), abs=1e-12)
    assert gradient.sum() == pytest.approx(0, abs=1e-10)
    for unit in (0, 17, 49):
        weights = np.ones((2, 50))
        weights[:, unit] += [1e-5, -1e-5]
        nudged = [resampled_rdms(patterns, weights, measure) for patterns in (first, second)]
        up, down = correlation(*nudged, "pearson")
        assert gradient[unit] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("measure", ["spearman", "pearson"])
def test_for_many_units_the_jackknife_is_what_the_bootstrap_tends_to(measure: str) -> None:
    first, second = geometry(12, 1500)
    _, gradient = similarity_gradient(first, second, measure)
    counts = bootstrap_counts(np.zeros(1500), 400, np.random.default_rng(2))
    replicates = correlation(resampled_rdms(first, counts, measure), resampled_rdms(second, counts, measure), "pearson")
    assert np.sqrt(gradient @ gradient) == pytest.approx(replicates.std(), rel=0.15)


def test_a_constant_rdm_has_no_gradient() -> None:
    flat = np.eye(4)
    with pytest.raises(FoolscanError, match="constant"):
        similarity_gradient(flat, flat, "pearson")
