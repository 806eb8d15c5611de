"""The stated truth: categories that are alike have like patterns, and a set shares what the study says it shares."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from analysis.rdm import condensed, pearson_rdm
from analysis.simulated_patterns import (
    ANIMACY,
    PATTERN_SD,
    SUPERCATEGORY,
    category_features,
    geometry_of,
    patterns_of,
    true_similarity,
    truth_of,
    unlike,
)
from protocols.problems import FoolscanError
from protocols.study import Study


def study_sharing(fake: SimpleNamespace, an: float, ai: float, **changes: Any) -> Study:
    shared = {roi: {"AN": an, "AI": ai} for roi in ("V1", "LO")}
    study: Study = fake.study(rehearsal__brain__shared=shared, rehearsal__brain__voxels_per_roi=3000, **changes)
    return study


def similarity_of(study: Study, stimuli: list[Any], roi: str = "V1") -> dict[str, float]:
    truth = truth_of(study, stimuli, "01", roi, geometry_of(study, stimuli, roi))
    return true_similarity(study.analysis, stimuli, roi, {"01": truth})


def test_true_correlations_follow_animacy_and_supercategory(fake: SimpleNamespace) -> None:
    features = category_features(fake.manifest(16, sets=("RE",)))
    inner = features @ features.T
    np.testing.assert_allclose(np.diag(inner), 1.0)
    assert inner[0, 1] == pytest.approx(ANIMACY + SUPERCATEGORY)  # both of the first supercategory
    assert inner[0, 9] == pytest.approx(ANIMACY)  # animals of two supercategories
    assert inner[0, 5] == pytest.approx(-ANIMACY)  # an animal and a thing


def test_patterns_have_the_stated_correlations(fake: SimpleNamespace) -> None:
    study = study_sharing(fake, an=0.5, ai=1.0)
    stimuli = fake.manifest(16)
    geometry = geometry_of(study, stimuli, "V1")
    patterns = patterns_of(np.random.default_rng(0), geometry, stimuli, 200_000)
    products = patterns @ patterns.T / 200_000
    expected = geometry.features @ geometry.features.T
    np.testing.assert_allclose(products[:16, :16], expected, atol=0.015)
    np.testing.assert_allclose(products[:16, 16:32], np.sqrt(0.5) * expected, atol=0.015)
    np.testing.assert_allclose(patterns[32:], patterns[:16], rtol=1e-12)


def test_an_unrelated_geometry_has_the_same_structure_and_is_uncorrelated(fake: SimpleNamespace) -> None:
    features = category_features(fake.manifest(40, sets=("RE",)))
    other = unlike(np.random.default_rng(0), features)
    upper = np.triu_indices(40, 1)
    own, others = (features @ features.T)[upper], (other @ other.T)[upper]
    np.testing.assert_allclose(np.sort(own), np.sort(others))
    assert abs(np.corrcoef(own, others)[0, 1]) < 0.01


@pytest.mark.parametrize("measure", ["pearson", "spearman"])
def test_sharing_all_is_similarity_1_and_sharing_nothing_is_about_0(fake: SimpleNamespace, measure: str) -> None:
    study = study_sharing(fake, an=0.0, ai=1.0, analysis__similarity=measure)
    found = similarity_of(study, fake.manifest(40))
    assert found["RE-AI"] == pytest.approx(1.0, abs=1e-9)
    assert abs(found["RE-AN"]) < 0.1


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7])
def test_with_many_voxels_the_similarity_follows_from_the_share(fake: SimpleNamespace, share: float) -> None:
    """With an unrelated geometry of the same variance it is s / sqrt(s² + (1 − s)²)."""
    stimuli = fake.manifest(40)
    geometry = geometry_of(study_sharing(fake, an=share, ai=1.0), stimuli, "V1")
    patterns = patterns_of(np.random.default_rng(0), geometry, stimuli, 20_000)
    regular, noise = (condensed(pearson_rdm(patterns[rows])) for rows in (slice(0, 40), slice(40, 80)))
    assert np.corrcoef(regular, noise)[0, 1] == pytest.approx(share / np.hypot(share, 1 - share), abs=0.02)


def test_similarity_rises_with_the_share(fake: SimpleNamespace) -> None:
    stimuli = fake.manifest(40)
    found = [similarity_of(study_sharing(fake, an=share, ai=1.0), stimuli)["RE-AN"] for share in (0.1, 0.3, 0.5, 0.7)]
    assert found == sorted(found)
    assert found[-1] - found[0] > 0.5


def test_voxels_answer_with_the_stated_peak_and_only_some_tell_images_apart(fake: SimpleNamespace) -> None:
    study = study_sharing(
        fake, an=0.5, ai=0.9, rehearsal__brain__peak_signal_pct=2.0, rehearsal__brain__informative=0.25
    )
    stimuli = fake.manifest(40)
    truth = truth_of(study, stimuli, "01", "V1", geometry_of(study, stimuli, "V1"))
    assert truth.informative.sum() == 750
    assert truth.amplitudes_pct.mean() == pytest.approx(2.0, rel=0.05)
    sd = truth.amplitudes_pct.std(axis=0) / truth.amplitudes_pct.mean(axis=0)
    np.testing.assert_allclose(sd[~truth.informative], 0, atol=1e-12)
    spread = truth.amplitudes_pct[:, truth.informative]
    gain = np.abs(spread).mean()
    assert 0.5 * PATTERN_SD < spread.std(axis=0).mean() / gain < 1.5 * PATTERN_SD


def test_subjects_share_the_geometry_but_not_the_voxels(fake: SimpleNamespace) -> None:
    study, stimuli = study_sharing(fake, an=0.5, ai=0.9), fake.manifest(40)
    geometry = geometry_of(study, stimuli, "V1")
    truths = {sub: truth_of(study, stimuli, sub, "V1", geometry) for sub in ("01", "02")}
    assert not np.allclose(truths["01"].amplitudes_pct, truths["02"].amplitudes_pct)
    both = [true_similarity(study.analysis, stimuli, "V1", {sub: truth})["RE-AN"] for sub, truth in truths.items()]
    assert both[0] == pytest.approx(both[1], abs=0.05)


def test_the_same_seed_is_the_same_truth_and_another_is_not(fake: SimpleNamespace) -> None:
    stimuli = fake.manifest(8)
    one, again, other = (study_sharing(fake, 0.5, 0.9, seed=seed) for seed in (1, 1, 2))
    truths = [
        truth_of(s, stimuli, "01", "V1", geometry_of(s, stimuli, "V1")).amplitudes_pct for s in (one, again, other)
    ]
    np.testing.assert_array_equal(truths[0], truths[1])
    assert not np.array_equal(truths[0], truths[2])


def test_a_set_whose_share_is_not_stated_is_refused(fake: SimpleNamespace) -> None:
    study = fake.study()
    study = fake.changed(study, stimuli__sets={**study.stimuli.sets, "XX": study.stimuli.sets["AN"]})
    with pytest.raises(FoolscanError, match=r"rehearsal\.brain\.shared\.V1: found no share for set XX"):
        geometry_of(study, fake.manifest(4, sets=("RE", "XX")), "V1")
