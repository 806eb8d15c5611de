"""Cross-validated prediction: the same numbers as fitting every time anew."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.glm.cross_validation import Moments, fitted_r2, left_out_r2, moments
from protocols.problems import FoolscanError

N, RUNS, CONDITIONS, VOXELS = 60, 4, 5, 9


def simulated(seed: int, noise: float) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    designs = [rng.normal(size=(N, CONDITIONS)) for _ in range(RUNS)]
    nuisance = [np.column_stack([np.ones(N), np.linspace(-1, 1, N), rng.normal(size=N)]) for _ in range(RUNS)]
    betas = rng.normal(size=(CONDITIONS, VOXELS))
    data = [
        x @ betas + z @ rng.normal(size=(3, VOXELS)) + noise * rng.normal(size=(N, VOXELS))
        for x, z in zip(designs, nuisance, strict=True)
    ]
    return designs, nuisance, data


def all_moments(seed: int, noise: float) -> list[Moments]:
    return [moments(x, z, y) for x, z, y in zip(*simulated(seed, noise), strict=True)]


def test_left_out_runs_are_predicted_as_by_fitting_without_them() -> None:
    designs, nuisance, data = simulated(0, 1.0)
    error, total = np.zeros(VOXELS), np.zeros(VOXELS)
    for left_out in range(RUNS):
        rest = [i for i in range(RUNS) if i != left_out]
        blocks = np.zeros((N * len(rest), CONDITIONS + 3 * len(rest)))
        for place, i in enumerate(rest):
            blocks[place * N : (place + 1) * N, :CONDITIONS] = designs[i]
            blocks[place * N : (place + 1) * N, CONDITIONS + 3 * place : CONDITIONS + 3 * place + 3] = nuisance[i]
        betas = np.linalg.lstsq(blocks, np.vstack([data[i] for i in rest]), rcond=None)[0][:CONDITIONS]
        z = nuisance[left_out]
        left = [
            part - z @ np.linalg.lstsq(z, part, rcond=None)[0] for part in (data[left_out], designs[left_out] @ betas)
        ]
        error += ((left[0] - left[1]) ** 2).sum(axis=0)
        total += (left[0] ** 2).sum(axis=0)
    np.testing.assert_allclose(left_out_r2(all_moments(0, 1.0)), 1 - error / total, rtol=1e-9)


def test_a_signal_without_noise_is_predicted_wholly_and_noise_worse_than_not_at_all() -> None:
    np.testing.assert_allclose(left_out_r2(all_moments(1, 0.0)), 1.0, atol=1e-9)
    rng = np.random.default_rng(2)
    noise = [moments(rng.normal(size=(N, CONDITIONS)), np.ones((N, 1)), rng.normal(size=(N, 200))) for _ in range(RUNS)]
    assert np.median(left_out_r2(noise)) < 0
    assert (fitted_r2(noise) > 0).all()


def test_what_is_predicted_may_be_other_than_what_is_fitted() -> None:
    runs = all_moments(3, 1.0)
    np.testing.assert_array_equal(left_out_r2(runs), left_out_r2(runs, runs))
    silent = [Moments(run.gram, np.zeros_like(run.cross), run.energy) for run in runs]
    np.testing.assert_allclose(left_out_r2(silent, runs), 0.0, atol=1e-12)


def test_a_condition_that_no_other_run_has_is_predicted_as_no_response() -> None:
    designs, nuisance, data = simulated(4, 0.5)
    for i in range(1, RUNS):
        designs[i][:, 0] = 0.0
    alone = [moments(x, z, y) for x, z, y in zip(designs, nuisance, data, strict=True)]
    assert np.isfinite(left_out_r2(alone)).all()


def test_voxels_that_cannot_be_used_have_no_r2() -> None:
    designs, nuisance, data = simulated(5, 0.5)
    data[1][:, 2] = np.nan
    found = left_out_r2([moments(x, z, y) for x, z, y in zip(designs, nuisance, data, strict=True)])
    assert np.isnan(found).tolist() == [voxel == 2 for voxel in range(VOXELS)]


def test_one_run_cannot_be_left_out() -> None:
    with pytest.raises(FoolscanError, match="needs at least two"):
        left_out_r2(all_moments(6, 1.0)[:1])
