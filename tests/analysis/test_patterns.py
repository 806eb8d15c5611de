"""Patterns: the order of images, means over runs, scaling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analysis.category_rows import rows_by_category
from analysis.patterns import Patterns, is_shown, scaled, scaled_betas
from analysis.stored_betas import load_patterns
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, NotReady
from protocols.study import Study

SETS = ("RE", "RE", "RE", "AN", "AN", "AN")
CATEGORIES = ("otter", "boat", "swan", "swan", "otter", "boat")


def patterns(betas: NDArray[np.float64], sets: tuple[str, ...] = SETS) -> Patterns:
    n_runs, n_images, n_voxels = betas.shape
    return Patterns(
        sub="01",
        roi="V1",
        runs=tuple(f"run-{i}" for i in range(n_runs)),
        stim_ids=tuple(f"{name}-{category}" for name, category in zip(sets, CATEGORIES[:n_images], strict=True)),
        sets=sets,
        categories=CATEGORIES[:n_images],
        betas=betas,
        voxels=np.zeros((n_voxels, 3), dtype=np.intp),
    )


def random_betas(seed: int = 0, n_runs: int = 3, n_voxels: int = 7) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(2.0, 3.0, (n_runs, len(SETS), n_voxels))


def test_rows_of_every_set_are_in_the_same_order_of_categories() -> None:
    found = rows_by_category(SETS, CATEGORIES, ("RE", "AN"))
    for name, rows in found.items():
        assert [CATEGORIES[row] for row in rows] == ["otter", "boat", "swan"]
        assert all(SETS[row] == name for row in rows)


def test_a_set_without_one_of_the_categories_is_refused() -> None:
    with pytest.raises(FoolscanError, match=r"set AI and set RE differ in their categories \(boat, otter, swan\)"):
        rows_by_category(SETS, CATEGORIES, ("RE", "AI"))


def test_a_set_with_a_category_twice_is_refused() -> None:
    with pytest.raises(FoolscanError, match=r"set AN has swan twice; every set needs one image per category"):
        rows_by_category(SETS, ("otter", "boat", "swan", "swan", "swan", "boat"), ("RE", "AN"))


def test_the_mean_is_over_the_runs_that_show_an_image() -> None:
    betas = random_betas()
    betas[1, 2] = np.nan
    mean = patterns(betas).mean()
    np.testing.assert_allclose(mean[2], (betas[0, 2] + betas[2, 2]) / 2, rtol=1e-15)
    np.testing.assert_allclose(mean[0], betas[:, 0].mean(axis=0), rtol=1e-15)
    np.testing.assert_array_equal(patterns(betas).mean((2,)), betas[2])


def test_an_image_that_is_never_shown_is_named() -> None:
    betas = random_betas()
    betas[:2, 4] = np.nan
    with pytest.raises(
        FoolscanError,
        match=r"image AN-otter is never shown in runs run-0, run-1; bring a run that shows .* or set analysis\.voxels\.by",
    ):
        patterns(betas).mean((0, 1))
    betas[:, 4:] = np.nan
    for runs in (None, (0, 1, 2)):
        with pytest.raises(
            FoolscanError,
            match=r"2 images \(first AN-otter\) are never shown in any run; .* or take the set out of the task",
        ):
            patterns(betas).mean(runs)


def test_a_run_shows_an_image_when_one_voxel_has_a_value() -> None:
    betas = random_betas()
    betas[0, 1, 3] = np.nan
    betas[2, 5] = np.nan
    expected = np.ones((3, 6), dtype=bool)
    expected[2, 5] = False
    np.testing.assert_array_equal(is_shown(betas), expected)


def test_z_per_voxel_and_run_gives_mean_0_and_sd_1_over_images() -> None:
    found = scaled(patterns(random_betas()), "z_voxel_run").betas
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(found.std(axis=1), 1, rtol=1e-13)


def test_means_are_removed_over_all_images_or_within_each_type() -> None:
    betas = random_betas()
    np.testing.assert_allclose(
        scaled_betas(betas, SETS, "mean_removed"), betas - betas.mean(axis=1, keepdims=True), atol=1e-14
    )
    within = scaled_betas(betas, SETS, "mean_removed_within_type")
    for of_set in (slice(0, 3), slice(3, 6)):
        np.testing.assert_allclose(within[:, of_set], betas[:, of_set] - betas[:, of_set].mean(axis=1, keepdims=True))
    assert scaled_betas(betas, SETS, "none") is betas


@pytest.mark.parametrize("scaling", ["z_voxel_run", "mean_removed", "mean_removed_within_type"])
def test_images_that_a_run_does_not_show_stay_out_of_the_scaling(scaling: str) -> None:
    betas = random_betas()
    betas[0, 1] = np.nan
    found = scaled_betas(betas, SETS, scaling)  # type: ignore[arg-type]
    shown = [0, 2, 3, 4, 5]
    alone = scaled_betas(betas[:1, shown], tuple(SETS[i] for i in shown), scaling)  # type: ignore[arg-type]
    np.testing.assert_allclose(found[0, shown], alone[0], atol=1e-14)
    assert np.isnan(found[0, 1]).all()


@given(st.floats(-1e6, 1e6), st.integers(0, 100))
def test_a_constant_voxel_has_no_z_however_large_its_value(value: float, seed: int) -> None:
    betas = random_betas(seed)
    betas[1, :, 2] = value
    found = scaled_betas(betas, SETS, "z_voxel_run")
    assert np.isnan(found[1, :, 2]).all()
    assert np.isfinite(np.delete(found[1], 2, axis=1)).all()


def test_an_unknown_scaling_is_refused() -> None:
    with pytest.raises(FoolscanError, match=r"found 'zscore'; allowed: none, z_voxel_run"):
        scaled_betas(random_betas(), SETS, "zscore")  # type: ignore[arg-type]


def test_patterns_of_another_shape_are_refused() -> None:
    good = patterns(random_betas())
    with pytest.raises(FoolscanError, match=r"shape \(3, 6, 7\); expected \(2, 6, 7\)"):
        Patterns("01", "V1", good.runs[:2], good.stim_ids, good.sets, good.categories, good.betas, good.voxels)


def test_patterns_are_read_in_the_order_of_the_manifest(finished: tuple[Study, StudyFolder]) -> None:
    study, folder = finished
    found = load_patterns(study, folder, "02", "LO")
    assert found.betas.shape == (4, 12, 60)
    assert np.isfinite(found.betas).all()
    assert found.stim_ids[:2] == ("RE-category00", "RE-category01")
    assert found.runs[0] == "sub-02_ses-01_task-animals_run-01"


def test_patterns_before_betas_say_what_to_run(simulated: tuple[Study, StudyFolder]) -> None:
    study, folder = simulated
    with pytest.raises(NotReady, match="foolscan analysis betas STUDY"):
        load_patterns(study, folder, "01", "V1")
