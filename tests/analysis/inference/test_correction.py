"""Corrected p-values: scipy's and the textbook's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.inference.correction import benjamini_hochberg, holm

P = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_holm_by_hand() -> None:
    """Holm 1979: the smallest times n, the next times n − 1, never below the one before."""
    assert np.allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


@given(P)
def test_benjamini_and_hochberg_is_scipys(p: list[float]) -> None:
    assert np.allclose(benjamini_hochberg(np.array(p)), stats.false_discovery_control(p), rtol=1e-12, atol=0)


@given(P)
def test_corrections_only_raise_and_keep_the_order(p: list[float]) -> None:
    values = np.array(p)
    order = np.argsort(values, kind="stable")
    for corrected in (holm(values), benjamini_hochberg(values)):
        assert (corrected >= values * (1 - 1e-12)).all()
        assert (corrected <= 1).all()
        assert (np.diff(corrected[order]) >= 0).all()
    assert (holm(values) <= np.minimum(1, values * len(p)) * (1 + 1e-12)).all()  # never worse than Bonferroni


def test_a_test_that_there_is_not_counts_for_nothing() -> None:
    with_gap = np.array([0.01, np.nan, 0.04])
    for correct in (holm, benjamini_hochberg):
        found = correct(with_gap)
        assert np.isnan(found[1])
        assert np.array_equal(found[[0, 2]], correct(with_gap[[0, 2]]))
