"""Ordinary least squares is nilearn's, voxel by voxel, whatever lies beside a voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm.first_level import run_glm

import analysis.glm.solve
from analysis.glm.solve import column_t_values, factorise, least_squares, residuals, t_values
from protocols.problems import FoolscanError


def problem(seed: int, n_volumes: int, p: int, n_voxels: int, level: float = 0.0):
    rng = np.random.default_rng(seed)
    matrix = np.column_stack(
        [rng.standard_normal((n_volumes, p - 1)) * rng.uniform(0.01, 50, p - 1), np.ones(n_volumes)]
    )
    data = matrix @ rng.standard_normal((p, n_voxels)) + rng.standard_normal((n_volumes, n_voxels)) + level
    return matrix, data


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    p=st.integers(1, 12),
    more=st.integers(1, 40),
    n_voxels=st.integers(1, 9),
    level=st.sampled_from([0.0, 1000.0]),
)
def test_betas_variance_and_t_are_nilearns(seed: int, p: int, more: int, n_voxels: int, level: float):
    matrix, data = problem(seed, p + more, p, n_voxels, level)
    fit = least_squares(matrix, data)
    theirs = run_glm(data, matrix, noise_model="ols")[1][0.0]
    contrasts = np.random.default_rng(seed).standard_normal((2, p))
    assert fit.dof == more
    np.testing.assert_allclose(fit.betas, theirs.theta, rtol=1e-6, atol=1e-6 * np.abs(theirs.theta).max())
    np.testing.assert_allclose(fit.residual_variance, theirs.dispersion, rtol=1e-6)
    np.testing.assert_allclose(t_values(fit, contrasts)[1], theirs.Tcontrast(contrasts[1]).t, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(t_values(fit, contrasts)[0], t_values(fit, contrasts[0]), rtol=1e-12)
    np.testing.assert_allclose(column_t_values(fit, p), t_values(fit, np.eye(p)), rtol=1e-9)
    np.testing.assert_allclose(residuals(matrix, data, fit.betas), theirs.residuals, rtol=0, atol=1e-8)


def test_a_known_answer():
    # a line through (0, 1), (1, 3), (2, 5), (3, 7.4): normal equations by hand
    matrix = np.column_stack([np.arange(4.0), np.ones(4)])
    fit = least_squares(matrix, np.array([[1.0], [3.0], [5.0], [7.4]]))
    np.testing.assert_allclose(fit.betas[:, 0], [2.12, 0.92], rtol=1e-14)
    np.testing.assert_allclose(fit.residual_variance, [0.048 / 2], rtol=1e-12)


def test_float32_data_are_summed_in_float64():
    matrix, data = problem(3, 60, 7, 5, level=1000.0)
    single = data.astype(np.float32)
    found, same = least_squares(matrix, single), least_squares(matrix, single.astype(np.float64))
    np.testing.assert_array_equal(found.betas, same.betas)


def test_results_do_not_depend_on_blocks_or_the_order_of_voxels(monkeypatch: pytest.MonkeyPatch):
    matrix, data = problem(4, 50, 9, 101)
    whole = least_squares(matrix, data)
    order = np.random.default_rng(1).permutation(101)
    shuffled = least_squares(matrix, data[:, order])
    np.testing.assert_allclose(shuffled.betas, whole.betas[:, order], rtol=1e-12, atol=1e-14)
    monkeypatch.setattr(analysis.glm.solve, "BLOCK", 7)
    small = least_squares(matrix, data)
    np.testing.assert_allclose(small.betas, whole.betas, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(small.residual_variance, whole.residual_variance, rtol=1e-12)


def test_a_voxel_of_nan_or_infinity_stays_alone():
    matrix, data = problem(5, 40, 6, 30)
    bad = data.copy()
    bad[3, 11], bad[:, 12], bad[5, 13] = np.nan, np.nan, np.inf
    with np.errstate(invalid="ignore"):
        found, clean = least_squares(matrix, bad), least_squares(matrix, data)
    others = np.delete(np.arange(30), [11, 12, 13])
    assert not np.isfinite(found.betas[:, 11:14]).any()
    np.testing.assert_array_equal(found.betas[:, others], clean.betas[:, others])
    np.testing.assert_array_equal(found.residual_variance[others], clean.residual_variance[others])


def test_a_constant_voxel_has_no_variance_and_no_t():
    matrix, data = problem(6, 40, 6, 3)
    data[:, 1] = 812.7
    fit = least_squares(matrix, data)
    assert fit.residual_variance[1] == 0
    assert np.isnan(t_values(fit, np.eye(6)[0])).tolist() == [False, True, False]
    np.testing.assert_allclose(fit.betas[:, 1], [0, 0, 0, 0, 0, 812.7], atol=1e-9)


@pytest.mark.parametrize("slightly", [0.0, 1e-13])
def test_dependent_columns_are_named(slightly: float):
    matrix, data = problem(7, 40, 5, 3)
    noise = slightly * np.random.default_rng(0).standard_normal(40)
    matrix = np.column_stack([matrix, 2 * matrix[:, 1] - 3 * matrix[:, 3] + noise])
    names = ["a", "b", "c", "d", "constant", "twin"]
    with pytest.raises(FoolscanError, match="twin is a combination of b, d; expected independent"):
        least_squares(matrix, data, names)


def test_nearly_dependent_columns_are_told_apart():
    matrix, data = problem(8, 40, 5, 3)
    near = matrix[:, :1] + 1e-6 * np.random.default_rng(0).standard_normal((40, 1))
    matrix = np.column_stack([matrix, near])
    fit = least_squares(matrix, data)
    np.testing.assert_allclose(fit.betas, run_glm(data, matrix, noise_model="ols")[1][0.0].theta, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:5], "5 regressors for 5 volumes"),
        (lambda x: np.column_stack([x, np.zeros(40)])[:, 1:], "only zeros in column 4"),
        (lambda x: np.where(np.arange(40)[:, None] == 3, np.nan, x), "not finite in column 0, column 1"),
        (lambda x: x[:, 0], "1 dimensions"),
    ],
)
def test_designs_that_cannot_be_fitted(change, message: str):
    with pytest.raises(FoolscanError, match=message):
        factorise(change(problem(9, 40, 5, 1)[0]))


def test_data_of_another_length():
    matrix, data = problem(9, 40, 5, 2)
    with pytest.raises(FoolscanError, match=r"expected \(40, n_voxels\)"):
        least_squares(matrix, data[1:])
    with pytest.raises(FoolscanError, match="3 names for 5 columns"):
        least_squares(matrix, data, ["a", "b", "c"])
    with pytest.raises(FoolscanError, match="contrasts"):
        t_values(least_squares(matrix, data), np.ones(4))
