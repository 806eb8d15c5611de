"""Searchlight reliability: a loop over scipy does the same, only slower."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.patterns import Patterns
from analysis.searchlight import LEAST_VOXELS, searchlight_reliability, searchlights
from analysis.selection import selections
from protocols.problems import FoolscanError
from protocols.voxel_plan import VoxelSelection

Doubles = NDArray[np.float64]


def grid(side: int = 4, voxel_mm: float = 2.0) -> Doubles:
    return np.argwhere(np.ones((side, side, side), dtype=bool)) * voxel_mm


def by_loop(first: Doubles, second: Doubles, positions_mm: Doubles, radius_mm: float) -> Doubles:
    found = []
    for centre in positions_mm:
        near = np.flatnonzero(np.linalg.norm(positions_mm - centre, axis=1) <= radius_mm + 1e-3)
        if near.size < LEAST_VOXELS:
            found.append(-np.inf)
            continue
        upper = np.triu_indices(len(first), 1)
        rdms = [(1 - stats.spearmanr(half[:, near], axis=1)[0])[upper] for half in (first, second)]
        found.append(np.corrcoef(*rdms)[0, 1])
    return np.array(found)


@pytest.mark.parametrize("radius_mm", [2.0, 3.0, 4.0])
def test_searchlight_reliability_is_that_of_a_loop(radius_mm: float) -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((7, 64))
    first, second = (np.round(signal + rng.standard_normal(signal.shape), 1) for _ in range(2))  # with ties
    found = searchlight_reliability(first, second, grid(), radius_mm)
    np.testing.assert_allclose(found, by_loop(first, second, grid(), radius_mm), rtol=0, atol=1e-12)


def test_blocks_of_voxels_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, 6, 64))
    whole = searchlight_reliability(first, second, grid(), 3.0)
    monkeypatch.setattr("analysis.searchlight.CELLS", 5 * 36)
    np.testing.assert_array_equal(searchlight_reliability(first, second, grid(), 3.0), whole)


def test_a_searchlight_of_3_mm_holds_19_voxels_of_2_mm_inside_a_region() -> None:
    indices, counts = searchlights(grid(5), 3.0)
    middle = 62
    assert counts[middle].sum() == 19
    assert middle in indices[middle][counts[middle]]
    assert counts.sum(axis=1).min() == 7, "at a corner of the region"


def test_a_voxel_alone_has_no_reliability() -> None:
    rng = np.random.default_rng(2)
    positions = np.concatenate([grid(2), [[100.0, 0, 0]]])
    first, second = rng.standard_normal((2, 6, 9))
    found = searchlight_reliability(first, second, positions, 3.0)
    assert np.isneginf(found[-1])
    assert np.isfinite(found[:-1]).all()


def test_searchlights_smaller_than_a_voxel_are_refused() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(FoolscanError, match=r"at most 1 voxels within 1.5 mm.*larger analysis.voxels.radius_mm"):
        searchlight_reliability(*rng.standard_normal((2, 6, 64)), grid(), 1.5)
    with pytest.raises(FoolscanError, match="found 3 images in both halves; expected at least 4"):
        searchlight_reliability(*rng.standard_normal((2, 3, 64)), grid(), 3.0)


def patterns(n_runs: int = 4, positions: bool = True) -> Patterns:
    """A region whose first half of voxels (by x) carries a geometry that repeats."""
    rng = np.random.default_rng(4)
    signal = rng.standard_normal((8, 64)) * (grid()[:, 0] < 3) * 3
    return Patterns(
        sub="03",
        roi="V2",
        runs=tuple(f"run-{i}" for i in range(n_runs)),
        stim_ids=tuple(f"image-{i}" for i in range(8)),
        sets=("RE",) * 6 + ("AN",) * 2,
        categories=tuple(str(i) for i in range(8)),
        betas=signal + rng.standard_normal((n_runs, 8, 64)),
        voxels=np.argwhere(np.ones((4, 4, 4), dtype=bool)),
        positions_mm=grid() if positions else None,
    )


def test_searchlights_choose_voxels_where_the_geometry_repeats() -> None:
    plan = VoxelSelection(per_subject=20, by="searchlight", images="RE")
    one, two = selections(patterns(8), plan)
    for found in (one, two):
        assert (grid()[found.voxels, 0] < 5).mean() > 0.8
        assert found.everywhere is not None
        assert found.everywhere.shape == (64,)
        assert (found.words, found.circular) == ("searchlight", False)
    assert one.select_runs == two.analyse_runs


def test_what_searchlights_choose_does_not_depend_on_the_runs_that_are_analysed() -> None:
    plan = VoxelSelection(per_subject=20, by="searchlight")
    before = selections(patterns(), plan)[0]
    changed = patterns()
    changed.betas[list(before.analyse_runs)] = np.random.default_rng(5).standard_normal((2, 8, 64))
    np.testing.assert_array_equal(selections(changed, plan)[0].voxels, before.voxels)


def test_the_published_searchlight_says_that_it_is_circular() -> None:
    (only,) = selections(patterns(), VoxelSelection(per_subject=20, by="searchlight_published"))
    assert only.circular
    assert only.words == "searchlight_published (circular)"


def test_searchlights_leave_voxels_that_are_nan_out_of_those_around_them() -> None:
    spoilt = patterns(8)
    spoilt.betas[0, 3, 0] = np.nan
    for found in selections(spoilt, VoxelSelection(per_subject=63, by="searchlight")):
        assert 0 not in found.voxels
        assert found.n_unusable == 1


@pytest.mark.parametrize(("n_runs", "by"), [(1, "searchlight_published"), (2, "searchlight"), (3, "searchlight")])
def test_one_repeat_has_no_searchlight_reliability(n_runs: int, by: str) -> None:
    with pytest.raises(
        FoolscanError, match=r"sub-03 V2: selecting on runs run-\d: .*1 run\(s\).*Remedy: measure more runs"
    ):
        selections(patterns(n_runs), VoxelSelection.model_validate({"per_subject": 20, "by": by}))


def test_patterns_without_positions_have_no_searchlights() -> None:
    with pytest.raises(FoolscanError, match="need the voxels' positions in mm"):
        selections(patterns(positions=False), VoxelSelection(per_subject=20, by="searchlight"))
