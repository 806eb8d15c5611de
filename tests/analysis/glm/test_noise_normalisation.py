"""Noise normalisation: the noise is white afterwards, and the covariance on disk is what was estimated."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.glm.noise_normalisation import (
    AVERAGING,
    ESTIMATING,
    WHITENING,
    Noise,
    inverse_root,
    ledoit_wolf,
    mean_covariance,
    noise_of,
    noise_path,
    normalised,
    read_noise,
    refuse_too_large,
    write_noise,
)
from protocols.problems import FoolscanError, NotReady


def correlated(seed: int, n: int, voxels: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with correlations between neighbours and unequal variances, and its covariance."""
    rng = np.random.default_rng(seed)
    distance = np.abs(np.subtract.outer(np.arange(voxels), np.arange(voxels)))
    sd = np.linspace(0.5, 2.0, voxels)
    covariance = 0.7**distance * np.outer(sd, sd)
    return rng.multivariate_normal(np.zeros(voxels), covariance, n), covariance


@given(st.integers(0, 1000), st.integers(5, 60), st.integers(2, 40))
@settings(max_examples=30, deadline=None)
def test_shrinkage_is_scikit_learns(seed: int, n: int, voxels: int) -> None:
    from sklearn.covariance import ledoit_wolf_shrinkage

    rest, _ = correlated(seed, n, voxels)
    ours = ledoit_wolf(rest, rest.T @ rest / n)
    assert ours == pytest.approx(ledoit_wolf_shrinkage(rest, assume_centered=True), abs=1e-9)


def test_whitened_noise_is_white() -> None:
    rest, covariance = correlated(0, 20_000, 12)
    noise = noise_of(rest, 20_000)
    patterns = correlated(1, 20_000, 12)[0][None]
    white = normalised(patterns, noise.shrunk(), "multivariate")[0]
    np.testing.assert_allclose(np.cov(white.T), np.eye(12), atol=0.06)
    np.testing.assert_allclose(noise.covariance, covariance, atol=0.15)
    each = normalised(patterns, noise.shrunk(), "univariate")[0]
    np.testing.assert_allclose(each.std(axis=0), 1.0, atol=0.03)
    assert np.corrcoef(each.T)[0, 1] == pytest.approx(0.7, abs=0.03)


def test_more_voxels_than_volumes_can_be_inverted_after_shrinkage() -> None:
    rest, _ = correlated(2, 30, 80)
    noise = noise_of(rest, 25)
    assert 0 < noise.shrinkage <= 1
    root = inverse_root(noise.shrunk())
    np.testing.assert_allclose(root @ noise.shrunk() @ root, np.eye(80), atol=1e-8)
    with pytest.raises(FoolscanError, match="cannot be inverted"):
        inverse_root(noise.covariance)


def test_runs_count_by_their_degrees_of_freedom() -> None:
    mean = mean_covariance([Noise(np.eye(2), 300, 0.0), Noise(4 * np.eye(2), 100, 0.0)])
    found = normalised(np.ones((2, 3, 2)), mean, "univariate")
    np.testing.assert_allclose(found, 1 / np.sqrt(1.75))


def test_runs_are_averaged_one_at_a_time() -> None:
    """The mean is numpy's of all runs stacked, and takes as many matrices as it says, however many runs there are."""
    n_voxels, n_runs = 400, 12
    rng = np.random.default_rng(5)
    each = [rng.standard_normal((n_voxels, n_voxels)) for _ in range(n_runs)]
    runs = [Noise(covariance, 50 + run, run / n_runs) for run, covariance in enumerate(each)]
    expected = np.average([noise.shrunk() for noise in runs], axis=0, weights=[noise.dof for noise in runs])
    tracemalloc.start()
    try:
        found = mean_covariance(Noise(noise.covariance.copy(), noise.dof, noise.shrinkage) for noise in runs)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    assert peak < (AVERAGING + 0.2) * 8 * n_voxels**2
    np.testing.assert_allclose(
        mean_covariance(runs, shrunk=False), np.average(each, axis=0, weights=[noise.dof for noise in runs]), atol=1e-14
    )


@pytest.mark.parametrize("unusable", [False, True])
def test_estimating_takes_as_many_matrices_as_it_says(unusable: bool) -> None:
    rest = np.random.default_rng(0).standard_normal((10, 600)).astype(np.float32)
    rest[:, 0] = np.nan if unusable else rest[:, 0]
    tracemalloc.start()
    try:
        noise_of(rest, 8)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < (ESTIMATING + 0.2) * 8 * 600**2


def test_a_covariance_that_does_not_fit_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.glm.noise_normalisation.host_free_bytes", lambda: 3 * 2**30)
    refuse_too_large("sub-01 V1", 8_000, WHITENING)
    with pytest.raises(
        FoolscanError,
        match=r"sub-01 V1: the noise covariance of 12000 voxels takes 6\.44 GiB; 3\.00 GiB are free\. Use a smaller mask",
    ):
        refuse_too_large("sub-01 V1", 12_000, WHITENING)


def test_voxels_and_images_without_data_stay_without() -> None:
    rest, _ = correlated(3, 100, 5)
    rest[:, 2] = np.nan
    noise = noise_of(rest, 90)
    patterns = np.random.default_rng(0).normal(size=(1, 4, 5))
    patterns[0, 1] = np.nan
    for kind in ("univariate", "multivariate"):
        found = normalised(patterns, noise.shrunk(), kind)[0]
        assert np.isnan(found[:, 2]).all()
        assert np.isnan(found[1]).all()
        assert np.isfinite(found[[0, 2, 3]][:, [0, 1, 3, 4]]).all()
    assert normalised(patterns, noise.shrunk(), "none") is patterns
    with pytest.raises(FoolscanError, match="found 'both'; allowed"):
        normalised(patterns, noise.shrunk(), "both")


def test_noise_comes_back_from_disk(tmp_path: Path) -> None:
    path = noise_path(tmp_path / "sub-01_betas.nii.gz")
    assert path.name == "sub-01_noise.h5"
    noise = noise_of(correlated(4, 50, 6)[0], 40)
    write_noise(path, [("V1", noise), ("LO", Noise(np.eye(2), 40, 0.5))])
    found = read_noise(path, "V1")
    np.testing.assert_allclose(found.covariance, noise.covariance, rtol=1e-6)
    assert (found.dof, found.shrinkage) == (40, pytest.approx(noise.shrinkage))
    content = path.read_bytes()
    write_noise(path, [("V1", noise), ("LO", Noise(np.eye(2), 40, 0.5))])
    assert path.read_bytes() == content


def test_noise_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "sub-01_noise.h5"
    with pytest.raises(NotReady, match="no noise covariance of these betas"):
        read_noise(path, "V1")
    write_noise(path, [("V1", Noise(np.eye(2), 40, 0.5))])
    with pytest.raises(FoolscanError, match="found V1; expected LO"):
        read_noise(path, "LO")
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = 9
    with pytest.raises(FoolscanError, match="found format 9; expected 1"):
        read_noise(path, "V1")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(FoolscanError, match="cut off or damaged"):
        read_noise(path, "V1")
