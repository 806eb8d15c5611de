"""Tests over layers and subjects, and which differences can be tested by swapping."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.inference.places import Place, brain_places
from analysis.inference.similarity_tests import (
    FLIPS_OF_LAYERS,
    PAIRED_T,
    group_rows,
    label_rows,
    paired_t,
    rows_over_layers,
    swap_rows,
    swapped_pairs,
    swapped_sets,
)
from analysis.rdm import Rdm, condensed, pearson_rdm
from protocols.analysis_plan import AnalysisPlan
from protocols.problems import FoolscanError
from protocols.significance_plan import SignificancePlan

N = 9  # 512 swaps


def plan(**more: object) -> AnalysisPlan:
    return AnalysisPlan.model_validate({"task": "animals", "rois": ["V1", "LO"], **more})


def place(name: str, seed: int, an: float = 0.5, ai: float = 0.5) -> Place:
    """One place where AN and AI share so much of RE's patterns."""
    rng = np.random.default_rng(seed)
    patterns = {"RE": rng.standard_normal((N, 30))}
    for other, shared in (("AN", an), ("AI", ai)):
        patterns[other] = shared * patterns["RE"] + (1 - shared) * rng.standard_normal((N, 30))
    of_set = {
        key: Rdm(condensed(pearson_rdm(values)), tuple(f"{key}{i}" for i in range(N)), "pearson", {"set": key})
        for key, values in patterns.items()
    }
    united = condensed(pearson_rdm(np.concatenate([patterns["AN"], patterns["AI"]])))
    return Place(name, "01", of_set, {}, {("AN", "AI"): united})


def test_the_paired_t_is_scipys() -> None:
    apart = np.random.default_rng(0).standard_normal(8) + 0.5
    for alternative, theirs in (("two_sided", "two-sided"), ("greater", "greater")):
        t, p = paired_t(apart, alternative)
        expected = stats.ttest_1samp(apart, 0, alternative=theirs)
        assert (t, p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)
    assert np.isnan(paired_t(np.array([0.1]), "two_sided")).all()
    assert np.isnan(paired_t(np.array([0.1, 0.1]), "two_sided")).all()


def test_only_pairs_that_share_a_set_can_be_swapped() -> None:
    assert swapped_sets(("RE", "AI"), ("RE", "AN")) == ("RE", ("AN", "AI"))
    assert swapped_sets(("AI", "RE"), ("RE", "AN")) == ("RE", ("AN", "AI"))
    assert swapped_sets(("RE", "AI"), ("AN", "XX")) is None
    assert swapped_sets(("AN", "RE"), ("RE", "AN")) is None
    three = plan(pairs=[["RE", "AN"], ["RE", "AI"], ["AI", "AN"]])
    assert swapped_pairs(three) == [("AN", "AI"), ("RE", "AI")]


def test_a_set_that_is_nearer_is_found_and_one_that_is_not_is_not() -> None:
    rows = swap_rows(plan(), 1, [place("V1", 0), place("LO", 1, an=0.1, ai=0.9)])
    assert [row.place for row in rows] == ["V1", "LO"]
    assert rows[0].p > 0.05
    assert rows[1].p < 0.05
    assert rows[1].exact
    assert rows[1].n_rearranged == 2**N


def test_tests_have_the_same_seed_and_so_the_same_values() -> None:
    places = [place("V1", 0), place("LO", 1)]
    assert label_rows(plan(), 1, places) == label_rows(plan(), 1, places)
    some = plan(tests={"permutations": 99})
    assert [row.p for row in label_rows(some, 1, places)] != [row.p for row in label_rows(some, 2, places)]


def test_the_correction_of_the_study_is_p_corrected() -> None:
    places = [place("V1", 0), place("LO", 1, an=0.1, ai=0.9)]
    for correction, column in (
        ("max_statistic", "p_max"),
        ("holm", "p_holm"),
        ("benjamini_hochberg", "p_fdr"),
        ("none", "p"),
    ):
        for row in swap_rows(plan(tests={"correction": correction}), 1, places):
            assert row.p_corrected == getattr(row, column)


def test_layers_are_tested_as_published_and_by_flipping_signs() -> None:
    places = [place(f"layer{i}", i, an=0.2, ai=0.8) for i in range(8)]
    t, flips = rows_over_layers(plan(), 1, places)
    assert (t.test, flips.test) == (PAIRED_T, FLIPS_OF_LAYERS)
    assert t.value == flips.value > 0
    assert (t.n, flips.n_rearranged, flips.exact) == (8, 256, True)
    assert flips.p == 2 / 256  # all eight differences are above zero
    assert t.p < 0.01
    assert "not inference" in t.note
    assert "not inference" in flips.note


def test_a_group_is_tested_from_enough_subjects_on() -> None:
    rng = np.random.default_rng(0)
    values = {
        ("RE-AI minus RE-AN", roi): {f"{i:02d}": 1 + 0.1 * rng.standard_normal() for i in range(8)}
        for roi in ("V1", "LO")
    }
    rows = group_rows(plan(), 1, values, "difference")
    assert [row.place for row in rows] == ["V1", "LO"]
    for row in rows:
        assert row.p == row.p_max == 2 / 256
        assert row.p_holm == 4 / 256
        assert row.note == ""
    fewer = {key: dict(list(of.items())[:7]) for key, of in values.items()}
    for row in group_rows(plan(), 1, fewer, "difference"):
        assert np.isnan([row.p, row.p_max, row.p_holm, row.p_fdr, row.p_corrected]).all()
        assert row.note == "7 subjects with this difference; a test over subjects needs 8: see each"
    assert group_rows(plan(tests={"subjects_for_group": 7}), 1, fewer, "difference")[0].p == 2 / 128


def test_rdms_that_are_not_there_are_named() -> None:
    rdm = Rdm(np.zeros(3), ("a", "b", "c"), "pearson", {"roi": "V1", "subject": "01", "set": "RE", "part": "all"})
    with pytest.raises(FoolscanError, match="none of AN for V1, subject 01"):
        brain_places([rdm], ["V1"], ["RE", "AN"])


def test_the_default_asks_for_eight_subjects() -> None:
    assert SignificancePlan().subjects_for_group == 8
