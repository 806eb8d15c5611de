"""Least squares separate is what nilearn finds when it fits every trial's model again, to rounding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nilearn.glm.first_level import run_glm

import analysis.glm.lss
from analysis.glm.lss import lss, separate
from protocols.problems import FoolscanError


def problem(seed: int, n_trials: int, n_nuisance: int, more: int, n_voxels: int):
    rng = np.random.default_rng(seed)
    n_volumes = n_trials + n_nuisance + more
    trials = np.abs(rng.standard_normal((n_volumes, n_trials))) * rng.uniform(0.1, 2, n_trials)
    nuisance = rng.standard_normal((n_volumes, n_nuisance)) * 30
    if n_nuisance:
        nuisance[:, -1] = 1
    data = (
        100
        + rng.standard_normal((n_volumes, n_voxels)).cumsum(axis=0)
        + trials @ rng.standard_normal((n_trials, n_voxels))
    )
    return trials, nuisance, data


def refitted(trials, nuisance, data, conditions: Sequence[object] | None = None):
    """nilearn, one fit per trial: betas and t, each (n_trials, n_voxels)."""
    betas, ts = [], []
    kinds = np.array(conditions if conditions is not None else [0] * trials.shape[1])
    for trial in range(trials.shape[1]):
        rest = np.arange(trials.shape[1]) != trial
        others = [trials[:, rest & (kinds == kind)].sum(axis=1) for kind in dict.fromkeys(kinds[rest].tolist())]
        matrix = np.column_stack([trials[:, trial], *others, nuisance])
        result = run_glm(data, matrix, noise_model="ols")[1][0.0]
        betas.append(result.theta[0])
        ts.append(np.atleast_1d(result.Tcontrast(np.eye(matrix.shape[1])[0]).t))
    return np.array(betas), np.array(ts)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_trials=st.integers(1, 10),
    n_nuisance=st.integers(0, 8),
    more=st.integers(2, 30),
    n_voxels=st.integers(1, 6),
)
def test_it_is_nilearns_refitting(seed: int, n_trials: int, n_nuisance: int, more: int, n_voxels: int):
    trials, nuisance, data = problem(seed, n_trials, n_nuisance, more, n_voxels)
    betas, ts = refitted(trials, nuisance, data)
    scale = np.abs(betas).max()
    np.testing.assert_allclose(lss(trials, nuisance, data), betas, rtol=1e-6, atol=1e-6 * scale)
    np.testing.assert_allclose(lss(trials, nuisance, data, pattern="t"), ts, rtol=1e-6, atol=1e-6 * np.abs(ts).max())


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), conditions=st.lists(st.sampled_from("abc"), min_size=2, max_size=9))
def test_the_others_by_condition(seed: int, conditions: list[str]):
    trials, nuisance, data = problem(seed, len(conditions), 3, 20, 4)
    betas, ts = refitted(trials, nuisance, data, conditions)
    np.testing.assert_allclose(lss(trials, nuisance, data, conditions=conditions), betas, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        lss(trials, nuisance, data, conditions=conditions, pattern="t"), ts, rtol=1e-6, atol=1e-9
    )


def test_overlapping_responses_do_not_upset_it():
    # 4 s apart at a TR of 2 s, a response lasts 20 s: neighbours correlate at about .8, where refitting matters
    onsets, times = 4 * np.arange(60), 2 * np.arange(140)
    trials = np.maximum(0, times[:, None] - onsets) ** 5 * np.exp(-np.maximum(0, times[:, None] - onsets))
    drift = np.vander(np.linspace(-1, 1, 140), 4)
    data = 1000 + np.random.default_rng(0).standard_normal((140, 20)).cumsum(axis=0)
    betas, ts = refitted(trials, drift, data)
    np.testing.assert_allclose(lss(trials, drift, data), betas, rtol=1e-6, atol=1e-6 * np.abs(betas).max())
    np.testing.assert_allclose(lss(trials, drift, data, pattern="t"), ts, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("conditions", [None, [trial % 3 for trial in range(60)]])
@pytest.mark.parametrize("shuffled", [False, True])
def test_responses_that_end_are_quicker_and_the_same(conditions: list[int] | None, shuffled: bool):
    rng = np.random.default_rng(0)
    since = 2 * np.arange(300)[:, None] - 9.4 * np.arange(60)
    trials = np.where((since > 0) & (since < 30), np.maximum(since, 0) ** 5 * np.exp(-np.maximum(since, 0)), 0)
    trials = trials[:, rng.permutation(60)] if shuffled else trials
    nuisance = np.vander(np.linspace(-1, 1, 300), 4)
    data = 1000 + rng.standard_normal((300, 9)).cumsum(axis=0)
    assert separate(trials, nuisance, conditions).banded is not None
    betas, ts = refitted(trials, nuisance, data, conditions)
    np.testing.assert_allclose(lss(trials, nuisance, data, conditions=conditions), betas, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        lss(trials, nuisance, data, conditions=conditions, pattern="t"), ts, rtol=1e-6, atol=1e-9
    )


def test_one_trial_alone_is_a_plain_model():
    trials, nuisance, data = problem(1, 1, 3, 20, 4)
    plain = run_glm(data, np.column_stack([trials, nuisance]), noise_model="ols")[1][0.0].theta[:1]
    np.testing.assert_allclose(lss(trials, nuisance, data), plain, rtol=1e-9)


def test_results_do_not_depend_on_blocks_or_the_order_of_voxels(monkeypatch: pytest.MonkeyPatch):
    trials, nuisance, data = problem(2, 12, 4, 40, 101)
    for pattern in ("beta", "t"):
        whole = lss(trials, nuisance, data, pattern=pattern)
        order = np.random.default_rng(1).permutation(101)
        np.testing.assert_allclose(
            lss(trials, nuisance, data[:, order], pattern=pattern), whole[:, order], rtol=1e-12, atol=1e-13
        )
        with monkeypatch.context() as patched:
            patched.setattr(analysis.glm.lss, "BLOCK", 7)
            np.testing.assert_allclose(lss(trials, nuisance, data, pattern=pattern), whole, rtol=1e-12, atol=1e-13)


def test_results_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(analysis.glm.lss, "BLOCK", 16)
    trials, nuisance, data = problem(2, 12, 4, 40, 101)
    for pattern in ("beta", "t"):
        alone, together = (lss(trials, nuisance, data, pattern=pattern, threads=threads) for threads in (1, 3))
        np.testing.assert_array_equal(together, alone)


def test_a_voxel_of_nan_stays_alone_and_a_constant_one_has_no_t():
    trials, nuisance, data = problem(3, 8, 4, 30, 20)
    bad = data.copy()
    bad[:, 4], bad[2, 5] = 700.0, np.nan
    others = np.delete(np.arange(20), [4, 5])
    for pattern in ("beta", "t"):
        found, clean = (lss(trials, nuisance, one, pattern=pattern) for one in (bad, data))
        np.testing.assert_array_equal(found[:, others], clean[:, others])
        assert np.isnan(found[:, 5]).all()
        assert np.isnan(found[:, 4]).all() == (pattern == "t")


def test_what_cannot_be_told_apart_is_named():
    trials, nuisance, data = problem(4, 5, 3, 20, 2)
    twice = np.column_stack([trials[:, :1], trials[:, :1]])
    with pytest.raises(FoolscanError, match=r"(first|second): its regressor is"):
        lss(twice, nuisance, data, names=["first", "second", "a", "b", "c"])
    late = trials.copy()
    late[:, 2] = 0
    with pytest.raises(FoolscanError, match="trial 2: its regressor is a combination"):
        lss(late, nuisance, data)
    with pytest.raises(FoolscanError, match="column 3 is a combination of column 0"):
        lss(trials, np.column_stack([nuisance, nuisance[:, 0]]), data)
    names = [*"vwxyz", "motion", "drift", "constant", "again"]
    with pytest.raises(FoolscanError, match="again is a combination of drift"):
        lss(trials, np.column_stack([nuisance, nuisance[:, 1]]), data, names=names)


def test_bad_use():
    trials, nuisance, data = problem(5, 5, 3, 20, 2)
    with pytest.raises(FoolscanError, match="expected beta or t"):
        lss(trials, nuisance, data, pattern="z")
    with pytest.raises(FoolscanError, match="found 4 for 5 trials"):
        lss(trials, nuisance, data, conditions="aabb")
    with pytest.raises(FoolscanError, match="nuisance: found shape"):
        lss(trials, nuisance[1:], data)
    with pytest.raises(FoolscanError, match="data: found shape"):
        lss(trials, nuisance, data[1:])
    with pytest.raises(FoolscanError, match="5 regressors for 5 volumes"):
        lss(trials[:5], nuisance[:5], data[:5])
