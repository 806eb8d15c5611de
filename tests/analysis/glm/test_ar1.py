"""AR(1) fits are nilearn's, steps of ρ and all; runs end to end and single trials are what whitening by hand gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm.first_level import run_glm
from nilearn.glm.regression import ARModel, OLSModel
from scipy.signal import lfilter

import analysis.glm.ar1
from analysis.glm.ar1 import Residuals, ar1, ar1_lss, follows_of
from analysis.glm.lss import lss
from analysis.glm.solve import column_t_values, factorise, t_values
from protocols.problems import FoolscanError


def autocorrelated(rng: np.random.Generator, n_volumes: int, n_voxels: int):
    noise = rng.standard_normal((n_volumes, n_voxels))
    return np.column_stack(
        [lfilter([1], [1, -rho], noise[:, i]) for i, rho in enumerate(rng.uniform(-0.4, 0.9, n_voxels))]
    )


def problem(seed: int, n_volumes: int, p: int, n_voxels: int, level: float = 0.0):
    rng = np.random.default_rng(seed)
    matrix = np.column_stack(
        [rng.standard_normal((n_volumes, p - 1)) * rng.uniform(0.01, 50, p - 1), np.ones(n_volumes)]
    )
    return matrix, level + matrix @ rng.standard_normal((p, n_voxels)) + autocorrelated(rng, n_volumes, n_voxels)


def nilearns(matrix, data, contrast):
    """Betas, variance, t of a contrast and ρ, gathered from nilearn's groups of voxels."""
    labels, results = run_glm(data, matrix, noise_model="ar1")
    betas, variance, t = np.empty((matrix.shape[1], data.shape[1])), np.empty(data.shape[1]), np.empty(data.shape[1])
    for label, result in results.items():
        members = labels == label
        betas[:, members], variance[members] = result.theta, result.dispersion
        t[members] = result.Tcontrast(contrast).t
    return betas, variance, t, labels.astype(float)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    p=st.integers(1, 20),
    more=st.integers(2, 60),
    n_voxels=st.integers(1, 30),
    level=st.sampled_from([0.0, 1000.0]),
)
def test_it_is_nilearns(seed: int, p: int, more: int, n_voxels: int, level: float):
    matrix, data = problem(seed, p + more, p, n_voxels, level)
    contrast = np.random.default_rng(seed).standard_normal(p)
    betas, variance, t, rho = nilearns(matrix, data, contrast)
    fit = ar1(matrix, data)
    assert fit.autocorrelation is not None
    np.testing.assert_array_equal(fit.autocorrelation, rho)
    np.testing.assert_allclose(fit.betas, betas, rtol=1e-6, atol=1e-6 * np.abs(betas).max())
    np.testing.assert_allclose(fit.residual_variance, variance, rtol=1e-6)
    np.testing.assert_allclose(t_values(fit, contrast), t, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(column_t_values(fit, p), t_values(fit, np.eye(p)), rtol=1e-9)


@pytest.mark.parametrize("p", [10, 45])
def test_both_ways_to_the_autocorrelation_agree(p: int):
    matrix, data = problem(2, 60, p, 50, level=100)
    taken = Residuals.of(factorise(matrix), follows_of(60, (0,)))
    assert (taken.frame is None) == (p == 10)
    left = data - matrix @ np.linalg.lstsq(matrix, data)[0]
    expected = (left[:-1] * left[1:]).sum(axis=0) / 59 / (left**2).mean(axis=0)
    found = taken.autocorrelation(taken(data))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_runs_end_to_end_never_touch():
    matrix, data = problem(3, 90, 8, 25)
    starts = (0, 30, 70)
    fit = ar1(matrix, data, starts=starts)
    left = data - matrix @ np.linalg.lstsq(matrix, data)[0]
    within = [slice(0, 30), slice(30, 70), slice(70, 90)]
    lagged = sum((left[run][:-1] * left[run][1:]).sum(axis=0) for run in within) / 87
    expected = np.trunc(lagged / (left**2).mean(axis=0) * 100) / 100
    assert fit.autocorrelation is not None
    np.testing.assert_allclose(fit.autocorrelation, expected, atol=1e-12)
    for voxel, rho in enumerate(expected):
        model = ARModel(np.zeros((1, 1)) + 1, float(rho))
        x, y = (np.concatenate([model.whiten(part[run]) for run in within]) for part in (matrix, data[:, [voxel]]))
        plain = OLSModel(x).fit(y)
        np.testing.assert_allclose(fit.betas[:, [voxel]], plain.theta, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(fit.residual_variance[voxel], plain.dispersion[0], rtol=1e-8)
    with pytest.raises(FoolscanError, match="0 among them"):
        ar1(matrix, data, starts=(30,))
    with pytest.raises(FoolscanError, match="more than one volume"):
        follows_of(3, (0, 1, 2))


def test_results_do_not_depend_on_blocks_or_the_order_of_voxels(monkeypatch: pytest.MonkeyPatch):
    matrix, data = problem(4, 60, 30, 301)
    whole = ar1(matrix, data)
    order = np.random.default_rng(1).permutation(301)
    shuffled = ar1(matrix, data[:, order])
    np.testing.assert_allclose(shuffled.betas, whole.betas[:, order], rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(analysis.glm.ar1, "BLOCK", 7)
    small = ar1(matrix, data)
    np.testing.assert_allclose(small.betas, whole.betas, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(small.residual_variance, whole.residual_variance, rtol=1e-12)
    np.testing.assert_array_equal(small.autocorrelation, whole.autocorrelation)


def test_results_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(analysis.glm.ar1, "BLOCK", 32)
    matrix, data = problem(4, 60, 30, 301)
    alone, together = (ar1(matrix, data, threads=threads) for threads in (1, 3))
    np.testing.assert_array_equal(together.betas, alone.betas)
    np.testing.assert_array_equal(together.residual_variance, alone.residual_variance)


@pytest.mark.parametrize("p", [6, 30])
def test_a_voxel_of_nan_stays_alone_and_a_constant_one_has_no_t(p: int):
    matrix, data = problem(5, 60, p, 40)
    bad = data.copy()
    bad[:, 7], bad[4, 8], bad[:, 9] = 812.7, np.nan, np.nan
    found, clean = ar1(matrix, bad), ar1(matrix, data)
    others = np.delete(np.arange(40), [7, 8, 9])
    np.testing.assert_allclose(found.betas[:, others], clean.betas[:, others], rtol=1e-12, atol=1e-12)
    assert np.isnan(found.betas[:, 8:10]).all()
    assert found.autocorrelation is not None
    assert np.isnan(found.autocorrelation[8:10]).all()
    assert found.autocorrelation[7] == 0
    assert np.isnan(t_values(found, np.eye(p)[0])[7:10]).all()


def test_float32_data_are_summed_in_float64():
    matrix, data = problem(6, 60, 7, 5, level=1000.0)
    single = data.astype(np.float32)
    np.testing.assert_array_equal(ar1(matrix, single).betas, ar1(matrix, single.astype(np.float64)).betas)


@pytest.mark.parametrize("conditions", [None, list("aabbbabc")])
def test_single_trials_are_nilearns_models_at_one_autocorrelation(conditions: list[str] | None):
    rng = np.random.default_rng(7)
    trials, nuisance = (
        np.abs(rng.standard_normal((70, 8))),
        np.column_stack([rng.standard_normal((70, 3)), np.ones(70)]),
    )
    data = 50 + autocorrelated(rng, 70, 12) + trials @ rng.standard_normal((8, 12))
    kinds = np.array(conditions if conditions else ["a"] * 8)
    sums = [trials[:, kinds == kind].sum(axis=1) for kind in dict.fromkeys(kinds.tolist())]
    rho = ar1(np.column_stack([*sums, nuisance]), data).autocorrelation
    assert rho is not None
    betas, ts = (ar1_lss(trials, nuisance, data, conditions=conditions, pattern=pattern) for pattern in ("beta", "t"))
    for trial in range(8):
        rest = np.arange(8) != trial
        others = [trials[:, rest & (kinds == kind)].sum(axis=1) for kind in dict.fromkeys(kinds[rest].tolist())]
        matrix = np.column_stack([trials[:, trial], *others, nuisance])
        for voxel in range(12):
            result = ARModel(matrix, float(rho[voxel])).fit(data[:, [voxel]])
            np.testing.assert_allclose(betas[trial, voxel], result.theta[0, 0], rtol=1e-7)
            np.testing.assert_allclose(ts[trial, voxel], result.Tcontrast(np.eye(matrix.shape[1])[0]).t, rtol=1e-7)


def test_without_autocorrelation_single_trials_are_least_squares():
    rng = np.random.default_rng(8)
    trials, nuisance = np.abs(rng.standard_normal((70, 8))), np.ones((70, 1))
    data = rng.standard_normal((70, 30))
    coarse = ar1_lss(trials, nuisance, data, bins=1)  # every |ρ| below 1 is cut to 0
    np.testing.assert_allclose(coarse, lss(trials, nuisance, data), rtol=1e-10, atol=1e-12)
    with pytest.raises(FoolscanError, match="expected beta or t"):
        ar1_lss(trials, nuisance, data, pattern="z")


def test_dependent_columns_are_named():
    matrix, data = problem(9, 60, 5, 3)
    with pytest.raises(FoolscanError, match="again is a combination of b"):
        ar1(np.column_stack([matrix, matrix[:, 1]]), data, [*"abcd", "constant", "again"])
