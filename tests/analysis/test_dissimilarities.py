"""Measures of dissimilarity: rsatoolbox's and scipy's to rounding, unbiased where they say so, and by name."""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from analysis.dissimilarities import (
    DISSIMILARITIES,
    Measurements,
    crossnobis_rdm,
    dissimilarity,
    rdm_of,
    rdm_of_measurements,
    squared_mahalanobis_rdm,
)
from analysis.rdm import condensed
from protocols import dissimilarity_names
from protocols.dissimilarity_names import NOISE_NORMALISED, PLAIN, in_words, known_dissimilarity
from protocols.problems import FoolscanError

Doubles = NDArray[np.float64]
N_RUNS, N_IMAGES, N_VOXELS = 4, 6, 30


def responses(seed: int = 0) -> Doubles:
    return np.random.default_rng(seed).standard_normal((N_RUNS, N_IMAGES, N_VOXELS)) + 3.0


def covariance(seed: int = 1) -> Doubles:
    noise = np.random.default_rng(seed).standard_normal((80, N_VOXELS))
    return noise.T @ noise / 80


def by_rsatoolbox(runs: Doubles, method: str, **more: object) -> Doubles:
    rsatoolbox = pytest.importorskip("rsatoolbox")
    n_runs, n_images, n_voxels = runs.shape
    of_rows = {"image": np.tile(np.arange(n_images), n_runs), "run": np.repeat(np.arange(n_runs), n_images)}
    data = rsatoolbox.data.Dataset(runs.reshape(-1, n_voxels), obs_descriptors=of_rows)
    return np.asarray(rsatoolbox.rdm.calc_rdm(data, method=method, descriptor="image", **more).dissimilarities[0])


@pytest.mark.parametrize(("ours", "theirs"), [("pearson", "correlation"), ("squared_euclidean", "euclidean")])
def test_measures_of_mean_patterns_are_rsatoolboxs(ours: str, theirs: str) -> None:
    found = condensed(DISSIMILARITIES[ours](responses().mean(axis=0)))
    np.testing.assert_allclose(found, by_rsatoolbox(responses(), theirs), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["cosine", "euclidean"])
def test_measures_of_mean_patterns_are_scipys(name: str) -> None:
    patterns = responses()[0]
    expected = pdist(patterns, name) / (np.sqrt(N_VOXELS) if name == "euclidean" else 1)
    np.testing.assert_allclose(condensed(DISSIMILARITIES[name](patterns)), expected, rtol=0, atol=1e-12)


def test_mahalanobis_is_rsatoolboxs() -> None:
    found = condensed(squared_mahalanobis_rdm(Measurements(responses(), covariance())))
    expected = by_rsatoolbox(responses(), "mahalanobis", noise=np.linalg.inv(covariance()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("whitened", [True, False])
def test_crossnobis_is_rsatoolboxs(whitened: bool) -> None:
    noise = None if whitened else covariance()
    found = condensed(crossnobis_rdm(Measurements(responses(), noise)))
    precision = np.eye(N_VOXELS) if noise is None else np.linalg.inv(noise)
    expected = by_rsatoolbox(responses(), "crossnobis", cv_descriptor="run", noise=precision)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def test_crossnobis_uses_the_runs_that_show_both_images() -> None:
    runs = responses()
    runs[2:, 0] = np.nan
    found = crossnobis_rdm(Measurements(runs))
    both = crossnobis_rdm(Measurements(runs[:2]))
    np.testing.assert_allclose(found[0, 1:], both[0, 1:], rtol=1e-12)
    every = crossnobis_rdm(Measurements(runs[:, 1:]))
    np.testing.assert_allclose(found[1:, 1:], every, rtol=1e-12)


def test_crossnobis_of_the_same_pattern_is_zero_on_average_and_mahalanobis_is_not() -> None:
    """2,000 draws: the mean must lie within 4 standard errors of 0, and of the truth for images that differ."""
    rng = np.random.default_rng(0)
    noise = covariance()
    factor = np.linalg.cholesky(noise)
    true = np.zeros((3, N_VOXELS))
    true[2] = 0.5
    draws = rng.standard_normal((2000, 3, 3, N_VOXELS)) @ factor.T + true
    found = np.stack([condensed(crossnobis_rdm(Measurements(runs, noise))) for runs in draws])
    error = found.std(axis=0) / np.sqrt(len(found))
    truth = true[2] @ np.linalg.inv(noise) @ true[2] / N_VOXELS
    assert (np.abs(found.mean(axis=0) - [0, truth, truth]) < 4 * error).all()
    assert (found[:, 0] < 0).any(), "an unbiased estimate of 0 is negative half of the time"
    biased = [condensed(squared_mahalanobis_rdm(Measurements(runs, noise)))[0] for runs in draws[:200]]
    assert np.mean(biased) == pytest.approx(2 / 3, abs=0.1), "twice the variance of a mean over 3 runs, per voxel"


@given(st.integers(0, 1000))
def test_voxels_in_another_order_are_no_further_apart(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(N_VOXELS)
    noise = covariance()
    one = crossnobis_rdm(Measurements(responses(), noise))
    other = crossnobis_rdm(Measurements(responses()[:, :, order], noise[np.ix_(order, order)]))
    np.testing.assert_allclose(one, other, atol=1e-12)


def test_pooled_subjects_are_those_of_all_their_voxels_side_by_side() -> None:
    first, second = responses(2)[:, :, :20], responses(3)
    one, other = covariance()[:20, :20], covariance(5)
    together = np.zeros((50, 50))
    together[:20, :20], together[20:, 20:] = one, other
    whole = Measurements(np.concatenate([first, second], axis=2), together)
    ids = tuple("abcdef")
    for name in NOISE_NORMALISED:
        parts = rdm_of_measurements([Measurements(first, one), Measurements(second, other)], ids, name, {})
        np.testing.assert_allclose(parts.values, rdm_of_measurements([whole], ids, name, {}).values, rtol=1e-10)


def test_mahalanobis_is_the_root_of_the_squared_one() -> None:
    measured = [Measurements(responses(), covariance())]
    root, square = (
        rdm_of_measurements(measured, tuple("abcdef"), name, {}) for name in ("mahalanobis", "squared_mahalanobis")
    )
    np.testing.assert_allclose(root.values**2, square.values, rtol=1e-12)


def test_one_repeat_cannot_be_cross_validated() -> None:
    with pytest.raises(
        FoolscanError, match=r"RDM of roi V1: no two folds .* 6 of 6 images \(a, b.*one repeat cannot be cross-val"
    ):
        rdm_of_measurements([Measurements(responses()[:1])], tuple("abcdef"), "crossnobis", {"roi": "V1"})


def test_a_voxel_that_is_nan_names_the_image() -> None:
    runs = responses()
    runs[1, 3, 7] = np.nan
    for name in NOISE_NORMALISED:
        with pytest.raises(
            FoolscanError, match=r"roi LO: responses that are not finite numbers for 1 of 6 images \(d\); leave"
        ):
            rdm_of_measurements([Measurements(runs, covariance())], tuple("abcdef"), name, {"roi": "LO"})
    for name in PLAIN:
        with pytest.raises(
            FoolscanError, match=r"roi LO: responses that are not finite numbers for 1 of 6 images \(d\)"
        ):
            rdm_of(runs[1], tuple("abcdef"), name, {"roi": "LO"})


def test_a_covariance_that_cannot_be_inverted_is_refused() -> None:
    with pytest.raises(FoolscanError, match="30 voxels: found one that is not positive definite"):
        crossnobis_rdm(Measurements(responses(), np.ones((N_VOXELS, N_VOXELS))))


def test_a_pattern_of_zeros_has_no_direction() -> None:
    patterns = responses()[0]
    patterns[4] = 0.0
    with pytest.raises(FoolscanError, match=r"zero in every voxel or unit for 1 of 6 images \(e\)"):
        rdm_of(patterns, tuple("abcdef"), "cosine", {"layer": "fc8"})


def test_every_name_has_a_measure_and_words() -> None:
    assert set(DISSIMILARITIES) == set(PLAIN)
    for name in (*PLAIN, *NOISE_NORMALISED):
        assert known_dissimilarity(name) == name
        assert in_words(name) != f"dissimilarity {name!r}"


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(ValueError, match=r"one of spearman, pearson.*did you mean 'crossnobis'"):
        known_dissimilarity("crosnobis")
    with pytest.raises(FoolscanError, match="measures of mean patterns: spearman"):
        dissimilarity("nothing")
    with pytest.raises(FoolscanError, match="it needs runs and their noise"):
        dissimilarity("crossnobis")


def city_block(patterns: Doubles) -> Doubles:
    """What another package might offer."""
    return np.abs(patterns[:, None] - patterns[None]).mean(axis=2)


def half_a_matrix(patterns: Doubles) -> Doubles:
    """What another package must not offer."""
    return city_block(patterns)[:2]


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that offers three measures, one of them wrong and one that is not there."""
    names = {"city": "city_block", "half": "half_a_matrix", "gone": "nothing"}
    points = {
        name: EntryPoint(name, f"lab_measures:{value}", dissimilarity_names.ENTRY_POINTS)
        for name, value in names.items()
    }
    module = type(
        "lab_measures", (), {"city_block": staticmethod(city_block), "half_a_matrix": staticmethod(half_a_matrix)}
    )
    monkeypatch.setitem(__import__("sys").modules, "lab_measures", module)
    monkeypatch.setattr("protocols.dissimilarity_names.offered", lambda: points)
    monkeypatch.setattr("analysis.dissimilarities.offered", lambda: points)


@pytest.mark.usefixtures("offered")
def test_another_packages_measure_goes_by_its_name() -> None:
    assert known_dissimilarity("city") == "city"
    patterns = responses()[0]
    found = rdm_of(patterns, tuple("abcdef"), "city", {"roi": "V1"})
    np.testing.assert_allclose(found.values, pdist(patterns, "cityblock") / N_VOXELS, rtol=1e-12)
    assert found.measure == "city"


@pytest.mark.usefixtures("offered")
def test_another_packages_measure_is_checked() -> None:
    with pytest.raises(FoolscanError, match=re.escape("'half': found (2, 6); expected (6, 6)")):
        rdm_of(responses()[0], tuple("abcdef"), "half", {})
    with pytest.raises(FoolscanError, match=r"'gone': entry point lab_measures:nothing .* cannot be imported"):
        dissimilarity("gone")
