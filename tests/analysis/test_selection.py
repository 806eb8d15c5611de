"""Voxel selection: reliability is a plain correlation, and what is chosen on is not what is analysed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.patterns import Patterns
from analysis.selection import halves, selections, usable_voxels, voxel_reliability
from protocols.problems import FoolscanError
from protocols.voxel_plan import VoxelSelection


def patterns(betas: NDArray[np.float64]) -> Patterns:
    n_runs, n_images, n_voxels = betas.shape
    sets = tuple("RE" if i < n_images // 2 else "AN" for i in range(n_images))
    return Patterns(
        sub="07",
        roi="V3",
        runs=tuple(f"run-{i}" for i in range(n_runs)),
        stim_ids=tuple(f"image-{i}" for i in range(n_images)),
        sets=sets,
        categories=tuple(str(i % (n_images // 2)) for i in range(n_images)),
        betas=betas,
        voxels=np.zeros((n_voxels, 3), dtype=np.intp),
    )


def repeated(seed: int, n_runs: int = 4, n_images: int = 20, n_voxels: int = 30) -> NDArray[np.float64]:
    """Voxels from unreliable to reliable."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((1, n_images, n_voxels)) * np.linspace(0, 3, n_voxels)
    return signal + rng.standard_normal((n_runs, n_images, n_voxels))


@pytest.mark.parametrize("n_runs", [2, 3, 5])
def test_reliability_is_the_mean_correlation_over_pairs_of_runs(n_runs: int) -> None:
    betas = repeated(1, n_runs=n_runs)
    expected = [
        np.mean([np.corrcoef(betas[a, :, v], betas[b, :, v])[0, 1] for a, b in combinations(range(n_runs), 2)])
        for v in range(betas.shape[2])
    ]
    np.testing.assert_allclose(voxel_reliability(betas), expected, atol=1e-13)


def test_reliability_uses_the_images_that_both_runs_show() -> None:
    betas = repeated(2, n_runs=3)
    betas[0, :8] = np.nan
    betas[1, 15:] = np.nan
    both = [np.corrcoef(betas[0, 8:15, 0], betas[1, 8:15, 0])[0, 1]]
    both += [np.corrcoef(betas[0, 8:, 0], betas[2, 8:, 0])[0, 1], np.corrcoef(betas[1, :15, 0], betas[2, :15, 0])[0, 1]]
    assert voxel_reliability(betas)[0] == pytest.approx(np.mean(both), abs=1e-13)


@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-1e3, 1e3))
def test_reliability_does_not_depend_on_a_voxels_gain_and_mean(seed: int, gain: float, mean: float) -> None:
    betas = repeated(seed, n_runs=3, n_voxels=5)
    changed = betas.copy()
    changed[1] = gain * changed[1] + mean
    np.testing.assert_allclose(voxel_reliability(changed), voxel_reliability(betas), atol=1e-8)


@given(st.integers(0, 1000))
def test_reliability_goes_with_its_voxel(seed: int) -> None:
    betas = repeated(seed)
    order = np.random.default_rng(seed).permutation(betas.shape[2])
    np.testing.assert_array_equal(voxel_reliability(betas[:, :, order]), voxel_reliability(betas)[order])


def test_voxels_that_are_nan_or_constant_come_last() -> None:
    betas = repeated(3)
    betas[1, 4, 10] = np.nan
    betas[2, :, 20] = 0.1
    found = voxel_reliability(betas)
    assert np.isneginf(found[[10, 20]]).all()
    assert np.isfinite(np.delete(found, [10, 20])).all()


@pytest.mark.parametrize("n_runs", [0, 1])
def test_one_repeat_has_no_reliability(n_runs: int) -> None:
    with pytest.raises(FoolscanError, match=rf"found {n_runs} run\(s\)"):
        voxel_reliability(repeated(0)[:n_runs])


@pytest.mark.parametrize("n_runs", [4, 5, 10])
def test_halves_have_no_run_in_common_and_leave_none_out(n_runs: int) -> None:
    first, second = halves(n_runs)
    assert sorted(first + second) == list(range(n_runs))
    assert abs(len(first) - len(second)) <= 1


def test_split_half_chooses_on_the_runs_that_are_not_analysed() -> None:
    found = patterns(repeated(4))
    one, two = selections(found, VoxelSelection(per_subject=10))
    assert (one.select_runs, one.analyse_runs) == (two.analyse_runs, two.select_runs)
    assert not one.circular
    assert not two.circular
    reliability = voxel_reliability(found.betas[list(one.select_runs)])
    np.testing.assert_array_equal(one.voxels, np.argsort(-reliability, kind="stable")[:10])
    np.testing.assert_array_equal(one.reliability, reliability[one.voxels])


def test_what_is_chosen_does_not_depend_on_the_runs_that_are_analysed() -> None:
    betas = repeated(5)
    before = selections(patterns(betas), VoxelSelection(per_subject=10))[0]
    betas[list(before.analyse_runs)] = np.random.default_rng(9).standard_normal(betas[::2].shape)
    after = selections(patterns(betas), VoxelSelection(per_subject=10))[0]
    np.testing.assert_array_equal(before.voxels, after.voxels)


def test_the_published_selection_says_that_it_is_circular() -> None:
    (only,) = selections(patterns(repeated(6)), VoxelSelection(per_subject=10, by="published"))
    assert only.circular
    assert only.select_runs == only.analyse_runs == (0, 1, 2, 3)


def test_selection_on_regular_images_does_not_look_at_the_others() -> None:
    betas = repeated(7)
    plan = VoxelSelection(per_subject=10, images="RE")
    before = selections(patterns(betas), plan)[0]
    betas[:, 10:] = np.random.default_rng(1).standard_normal(betas[:, 10:].shape)
    np.testing.assert_array_equal(selections(patterns(betas), plan)[0].voxels, before.voxels)


def test_a_voxel_unusable_in_any_run_is_never_chosen_and_is_counted() -> None:
    betas = repeated(8)
    betas[0, :, 29] = 5.0
    betas[1, 3, 28] = np.inf
    assert usable_voxels(betas).sum() == 28
    for selection in selections(patterns(betas), VoxelSelection(per_subject=28)):
        assert not {28, 29} & set(selection.voxels.tolist())
        assert selection.n_unusable == 2


def test_an_roi_smaller_than_asked_is_refused_with_names_and_numbers() -> None:
    betas = repeated(8)
    betas[0, :, 29] = 5.0
    with pytest.raises(FoolscanError, match=r"sub-07 V3: found 29 usable voxels of 30.*asks for 100"):
        selections(patterns(betas), VoxelSelection(per_subject=100))


def test_the_runs_that_spoil_voxels_are_named_the_worst_first() -> None:
    betas = repeated(8)
    betas[0, :, 29] = 5.0
    betas[2, :, :20] = np.nan
    with pytest.raises(
        FoolscanError,
        match=r"found 9 usable voxels of 30 \(the others are NaN or constant: 20 in run-2, 1 in run-0\); .*"
        r"Look at the images and betas of run-2, use a larger mask, or ask for fewer",
    ):
        selections(patterns(betas), VoxelSelection(per_subject=10))


def test_too_few_runs_for_halves_are_refused_with_the_remedy() -> None:
    with pytest.raises(FoolscanError, match=r"sub-07 V3: selecting on runs run-1: .*Remedy: measure more runs, or set"):
        selections(patterns(repeated(9, n_runs=3)), VoxelSelection(per_subject=10))


def test_images_of_a_set_that_was_not_shown_are_refused() -> None:
    found = patterns(repeated(9))
    only_noise = Patterns(**{**vars(found), "sets": ("AN",) * 20})
    with pytest.raises(FoolscanError, match="found no image of that set"):
        selections(only_noise, VoxelSelection(per_subject=10, images="RE"))
