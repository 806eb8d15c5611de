"""Noise ceilings: rsatoolbox's over subjects, and the halves' against what a noiseless model reaches."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.inference.ceilings import between_subjects, split_half
from analysis.similarity import NAMES, correlation

RSATOOLBOX = {
    "pearson": "corr",
    "spearman": "spearman",
    "kendall_tau_a": "tau-a",
    "rho_a": "rho-a",
    "cosine": "cosine",
    "whitened_pearson": "corr_cov",
    "whitened_cosine": "cosine_cov",
}


@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
@pytest.mark.parametrize("measure", NAMES)
def test_the_ceiling_over_subjects_is_rsatoolboxs(measure: str) -> None:
    inference = pytest.importorskip("rsatoolbox.inference")
    rdm = pytest.importorskip("rsatoolbox.rdm")
    rng = np.random.default_rng(0)
    rdms = 1 + rng.random(66) + 0.5 * rng.random((4, 66))
    theirs = inference.boot_noise_ceiling(rdm.RDMs(rdms), method=RSATOOLBOX[measure])
    assert between_subjects(rdms, measure) == pytest.approx(theirs, abs=1e-10)


def test_one_subject_has_no_ceiling_over_subjects() -> None:
    assert np.isnan(between_subjects(np.random.default_rng(0).random((1, 66)), "pearson")).all()


def test_a_noiseless_model_reaches_the_upper_bound_of_the_halves() -> None:
    rng = np.random.default_rng(0)
    true, *noise = rng.standard_normal((3, 200_000))
    halves = [true + part for part in noise]
    lower, upper = split_half(halves[0], halves[1], "pearson")
    assert lower == pytest.approx(0.5, abs=0.01)
    assert upper == pytest.approx(float(correlation(true, np.mean(halves, axis=0), "pearson")), abs=0.01)


@pytest.mark.parametrize("measure", ["kendall_tau_a", "rho_a", "cosine", "whitened_cosine"])
def test_without_a_formula_there_is_no_upper_bound(measure: str) -> None:
    lower, upper = split_half(*np.random.default_rng(0).random((2, 66)), measure)
    assert np.isfinite(lower)
    assert np.isnan(upper)


def test_halves_that_disagree_have_no_upper_bound() -> None:
    rdm = np.random.default_rng(0).random(66)
    lower, upper = split_half(rdm, -rdm, "pearson")
    assert lower == pytest.approx(-1)
    assert np.isnan(upper)
