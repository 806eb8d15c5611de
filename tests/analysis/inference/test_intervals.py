"""Intervals: known answers for means and squares, and in simulated studies as many hold the truth as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from analysis.brain_rdms import half_rdms_of
from analysis.inference.intervals import jackknife_interval, jackknife_variance, subsample_interval
from analysis.inference.schemes import scheme_of
from analysis.inference.simulated_studies import Scenario, intervals_of, study, values_of
from analysis.inference.weights import block_deletions, subsample_counts
from analysis.similarity import correlation
from protocols.inference_plan import BootstrapPlan

ONE = np.zeros(20)


def means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray((weights @ values) / weights.sum(axis=1))


def test_of_a_mean_the_jackknife_is_students_t() -> None:
    values = np.random.default_rng(0).standard_normal(20)
    deletions = block_deletions(ONE, np.arange(20))
    replicates = means(values, deletions.weights)
    found = jackknife_variance(replicates, deletions)
    assert found.plain == pytest.approx(values.var(ddof=1) / 20)
    assert found.second_order == pytest.approx(0, abs=1e-20)
    assert found.dof == pytest.approx(19)
    interval = jackknife_interval(replicates, deletions, 0.95)
    assert (interval.low, interval.high) == pytest.approx(stats.t.interval(0.95, 19, values.mean(), stats.sem(values)))


def test_subjects_are_strata_whose_variances_add_up() -> None:
    values = np.concatenate([np.random.default_rng(1).standard_normal(10), 50 + np.zeros(10)])
    deletions = block_deletions(np.repeat([0, 1], 10), np.arange(20))
    found = jackknife_variance(means(values, deletions.weights), deletions)
    assert found.plain == pytest.approx(values[:10].var(ddof=1) / 10 / 4)  # not that between subjects
    assert found.dof == pytest.approx(9)  # Welch: all variance is in one subject


def test_of_a_square_the_jackknife_counts_the_second_order_twice() -> None:
    """The square of a mean of zero is all second order; its variance is 2 σ⁴/n², and the plain jackknife finds twice that."""
    rng = np.random.default_rng(2)
    deletions = block_deletions(ONE, np.arange(20))
    found = [jackknife_variance(means(rng.standard_normal(20), deletions.weights) ** 2, deletions) for _ in range(1500)]
    truth = 2 / 20**2
    assert np.mean([one.plain for one in found]) / truth == pytest.approx(2, abs=0.3)
    assert np.mean([one.plain - one.second_order for one in found]) / truth == pytest.approx(1, abs=0.3)


def test_on_fishers_z_an_interval_stays_below_one() -> None:
    deletions = block_deletions(ONE, np.arange(20))
    replicates = 0.9 + 0.05 * means(np.random.default_rng(3).standard_normal(20), deletions.weights)
    wide = jackknife_interval(np.append(0.97, 0.97 + 9 * (replicates[1:] - 0.9)), deletions, 0.95, fisher=True)
    assert -1 < wide.low < 0.97 < wide.high < 1


def test_without_a_value_for_some_block_there_is_no_interval() -> None:
    deletions = block_deletions(ONE, np.arange(20))
    replicates = means(np.arange(20.0), deletions.weights)
    replicates[5] = math.nan
    found = jackknife_interval(replicates, deletions, 0.95)
    assert math.isnan(found.low)
    assert found.undefined == 1


def test_a_rescaled_subsample_is_as_wide_as_the_spread_of_studies() -> None:
    values = np.random.default_rng(4).standard_normal(400)
    weights = subsample_counts(np.zeros(400), 0.8, 4000, np.random.default_rng(5))
    found = subsample_interval(float(values.mean()), means(values, weights), 0.8, 0.95, rescaled=True)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * stats.sem(values), rel=0.05)
    plain = subsample_interval(float(values.mean()), means(values, weights), 0.8, 0.95, rescaled=False)
    assert (plain.high - plain.low) / (found.high - found.low) == pytest.approx(0.5, rel=0.06)
    assert "80 % sub-sampling" in plain.method


@pytest.mark.parametrize(
    ("plan", "resampled"),
    [
        (BootstrapPlan(), "blocks of neighbouring voxels, within subject"),
        (BootstrapPlan(kind="published", resamples=100), "voxels, within subject"),
        (BootstrapPlan(kind="bootstrap", over="images", resamples=100), "images (categories)"),
        (
            BootstrapPlan(kind="bootstrap", over="both", resamples=100),
            "voxels, within subject, and images (categories)",
        ),
        (
            BootstrapPlan(kind="bootstrap", over="blocks", resamples=100),
            "blocks of neighbouring voxels, within subject",
        ),
        (BootstrapPlan(kind="subsample", resamples=100), "voxels, within subject"),
    ],
)
def test_every_interval_says_what_it_is_of_and_what_was_resampled(plan: BootstrapPlan, resampled: str) -> None:
    scheme = scheme_of(plan, np.repeat([0, 1], 10), np.arange(20)[:, None], 6, np.random.default_rng(0))
    found = scheme.interval(0.3, np.linspace(0.2, 0.4, len(scheme.weights)))
    assert found.resampled == resampled
    assert resampled in found.method
    assert ("none" in found.estimand) == (plan.kind == "published")
    assert found.method.startswith("published") == (plan.kind == "published")


@pytest.mark.parametrize("plan", [{"kind": "jackknife", "over": "images"}, {"kind": "published", "over": "blocks"}])
def test_a_kind_resamples_only_what_it_can(plan: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="resamples"):
        BootstrapPlan(**plan)


SMALL = Scenario(n_images=10, grid=(4, 3, 3), fwhm_voxels=1.5, noise_sd=1.5)


def test_the_default_covers_in_simulated_studies_where_the_published_bootstrap_does_not() -> None:
    """A reduced tests/benchmarks/interval_coverage.py: 150 studies with noise that neighbours share."""
    truth = np.mean([values_of(study(SMALL, np.random.default_rng(seed))) for seed in range(10_000, 10_400)], axis=0)
    default, published = BootstrapPlan(), BootstrapPlan(kind="published", resamples=100)
    hold, hold_published = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        sample = study(SMALL, rng)
        bounds = intervals_of(sample, default, rng)
        hold.append((bounds[:3, 0] <= truth[:3]) & (truth[:3] <= bounds[:3, 1]))
        if seed < 50:
            bounds = intervals_of(sample, published, rng)
            hold_published.append((bounds[:3, 0] <= truth[:3]) & (truth[:3] <= bounds[:3, 1]))
    # 150 studies tell 95 % to 3.5 points
    assert (np.mean(hold, axis=0) > 0.90).all()
    assert (np.mean(hold, axis=0) < 0.995).all()
    assert np.mean(hold_published, axis=0)[:2].max() < 0.85


def test_circular_selection_makes_noise_reliable_and_the_default_does_not() -> None:
    def reliability(by: str) -> float:
        noise = Scenario(n_images=12, grid=(8, 8, 5), per_subject=10, by=by, signal=(0.0, 0.0, 0.0), noise_sd=1.0)
        found = []
        for seed in range(60):
            halves = half_rdms_of(study(noise, np.random.default_rng(seed)), "spearman")
            found += [float(correlation(one.values, other.values, "pearson")) for one, other in halves.values()]
        return float(np.mean(found))

    # the standard error of these means of 180 is 0.010
    assert reliability("published") > 0.04
    assert abs(reliability("split_half")) < 0.03
