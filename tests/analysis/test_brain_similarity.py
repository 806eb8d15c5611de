"""Similarity of brain RDMs: with a strong signal the truth is recovered, with none nothing is corrected."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.brain_rdms import POOLED, RoiSample, VoxelChoice, pooled
from analysis.brain_similarity import LEAST_RELIABILITY, brain_rows
from protocols.inference_plan import BootstrapPlan
from protocols.problems import FoolscanError

N_CATEGORIES, N_VOXELS = 16, 150


def sample(sub: str, noise: float, shared: float, *, seed: int = 0) -> RoiSample:
    """One subject: AN shares a part of RE's geometry, AI all of it; two halves of the runs with noise of their own."""
    geometry = np.random.default_rng(7)  # the same for all subjects
    own, other = geometry.standard_normal((2, N_CATEGORIES, 5))
    latent = {"RE": own, "AN": shared * own + np.sqrt(1 - shared**2) * other, "AI": own}
    rng = np.random.default_rng([seed, int(sub)])
    weights = rng.standard_normal((5, N_VOXELS))
    choices = []
    for _ in range(2):
        whole = {
            name: part @ weights + noise * rng.standard_normal((N_CATEGORIES, N_VOXELS))
            for name, part in latent.items()
        }
        choices.append(VoxelChoice(np.full(N_VOXELS, sub), np.arange(N_VOXELS), whole, (whole,)))
    categories = tuple(f"category{i:02d}" for i in range(N_CATEGORIES))
    stim_ids = {name: tuple(f"{name}-{category}" for category in categories) for name in latent}
    return RoiSample("V1", sub, categories, stim_ids, tuple(choices), circular=False)


JACKKNIFE, PUBLISHED = BootstrapPlan(), BootstrapPlan(kind="published", resamples=200)


def rows_of(fake: SimpleNamespace, of: RoiSample, plan: BootstrapPlan = JACKKNIFE) -> dict[str, object]:
    study = fake.study(analysis__bootstrap=plan)
    rows, _ = brain_rows(study, of, dict.fromkeys(study.analysis.pairs, 0.5))
    return {row.pair: row for row in rows}


def test_a_geometry_that_is_shared_wholly_is_recovered_as_one(fake: SimpleNamespace) -> None:
    both = pooled([sample("1", noise=2.0, shared=0.5), sample("2", noise=2.0, shared=0.5)])
    row = rows_of(fake, both)["RE-AI"]
    assert row.subject == POOLED
    assert row.n_features == 2 * N_VOXELS
    assert row.corrected == pytest.approx(1, abs=0.15)
    assert row.corrected_low < row.corrected < row.corrected_high
    assert row.note == ""


def test_noise_is_not_corrected_into_a_number(fake: SimpleNamespace) -> None:
    for row in rows_of(fake, sample("1", noise=200.0, shared=0.5)).values():
        assert min(row.reliability_first, row.reliability_second) < LEAST_RELIABILITY
        assert np.isnan([row.corrected, row.corrected_low, row.corrected_high]).all()
        assert "not corrected" in row.note


def test_resamples_without_a_corrected_value_are_counted(fake: SimpleNamespace) -> None:
    row = rows_of(fake, pooled([sample("1", noise=8.0, shared=0.5), sample("2", noise=8.0, shared=0.5)]), PUBLISHED)[
        "RE-AN"
    ]
    counted = re.fullmatch(
        r"published: percentile bootstrap, 200 resamples, over voxels, within subject; descriptive, biased towards zero; "
        r"(\d+) not defined and left out",
        row.corrected_method,
    )
    assert counted
    assert 0 < int(counted[1]) < 100


def test_a_single_subject_has_an_interval_by_blocks_of_voxels(fake: SimpleNamespace) -> None:
    row = rows_of(fake, sample("1", noise=1.0, shared=0.5))["RE-AN"]
    assert -1 < row.ci_low < row.ci_high < 1
    assert row.ci_method.startswith("delete-block jackknife, 12 blocks of neighbours, t on Fisher's z")
    assert row.resampled == "blocks of neighbouring voxels, within subject"
    assert "other voxels and noise" in row.estimand


def test_a_single_subject_has_an_estimate_and_no_bootstrap(fake: SimpleNamespace) -> None:
    row = rows_of(fake, sample("1", noise=1.0, shared=0.5), PUBLISHED)["RE-AN"]
    assert np.isfinite(row.corrected)
    assert np.isnan(row.ci_low)
    assert row.ci_method == "none: one subject's own estimate"


def test_subjects_who_saw_other_images_are_not_pooled() -> None:
    first, second = sample("1", 1.0, 0.5), sample("2", 1.0, 0.5)
    other = RoiSample(
        second.roi, second.subject, second.categories, {**second.stim_ids, "RE": ("x",) * 16}, second.choices, False
    )
    with pytest.raises(FoolscanError, match="sub-1 and sub-2 were shown different images"):
        pooled([first, other])


@pytest.mark.parametrize(
    "plan",
    [
        BootstrapPlan(kind="bootstrap", over="voxels", resamples=100),
        BootstrapPlan(kind="bootstrap", over="blocks", resamples=100),
        BootstrapPlan(kind="bootstrap", over="images", resamples=100),
        BootstrapPlan(kind="bootstrap", over="both", resamples=100),
        BootstrapPlan(kind="subsample", resamples=100),
        BootstrapPlan(kind="subsample", rescaled=False, resamples=100),
    ],
)
def test_every_way_of_resampling_has_intervals(fake: SimpleNamespace, plan: BootstrapPlan) -> None:
    row = rows_of(fake, pooled([sample("1", noise=1.0, shared=0.5), sample("2", noise=1.0, shared=0.5)]), plan)["RE-AN"]
    assert -1 < row.ci_low < row.ci_high < 1
    assert row.corrected_low < row.corrected_high
    assert row.estimand
    assert row.resampled in row.ci_method


def test_few_subjects_cannot_be_resampled(fake: SimpleNamespace) -> None:
    both = pooled([sample("1", noise=1.0, shared=0.5), sample("2", noise=1.0, shared=0.5)])
    with pytest.raises(FoolscanError, match="found 2; expected at least 8"):
        rows_of(fake, both, BootstrapPlan(kind="bootstrap", over="subjects", resamples=100))
