"""Weights of voxels, images and subjects: what each way of resampling draws, and what it must not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from analysis.brain_rdms import VoxelChoice
from analysis.brain_similarity import voxels_of_choices
from analysis.inference.weighted_rdms import MEASURES, resampled_rdms
from analysis.inference.weights import (
    block_counts,
    block_deletions,
    bootstrap_counts,
    image_counts,
    pair_weights,
    spatial_blocks,
    subject_counts,
    subsample_counts,
)
from analysis.similarity import correlation
from protocols.problems import FoolscanError

STRATA = np.repeat(["01", "02"], [48, 27])


def grid(*shape: int) -> np.ndarray:
    return np.argwhere(np.ones(shape, dtype=bool))


def choice(voxels: Sequence[int], subject: str = "01") -> VoxelChoice:
    """A choice of voxels whose patterns do not matter here."""
    return VoxelChoice(np.full(len(voxels), subject), np.array(voxels), {}, ())


def test_a_voxel_in_both_choices_is_one_voxel() -> None:
    columns, strata, coordinates = voxels_of_choices([choice([4, 7, 9]), choice([9, 2, 4])])
    assert columns[0].tolist() == [0, 1, 2]
    assert columns[1].tolist() == [2, 3, 0]
    assert strata.tolist() == ["01"] * 4
    assert coordinates[:, 0].tolist() == [4, 7, 9, 2]  # nothing else is known of where they lie


def test_voxels_of_the_same_number_in_two_subjects_are_two_voxels() -> None:
    both = VoxelChoice(np.array(["01", "02"]), np.array([5, 5]), {}, ())
    _, strata, _ = voxels_of_choices([both])
    assert (bootstrap_counts(strata, 20, np.random.default_rng(3)) == 1).all()


def test_blocks_are_of_one_size_in_one_subject_and_of_neighbours() -> None:
    coordinates = np.concatenate([grid(4, 4, 3), grid(3, 3, 3)])
    blocks = spatial_blocks(STRATA, coordinates, 4)
    sizes = np.bincount(blocks)
    assert sizes.tolist() == [12, 12, 12, 12, 7, 7, 6, 7]
    for block in range(8):
        members = blocks == block
        assert len(set(STRATA[members])) == 1
        # a cube of 12 voxels of a grid of 4 x 4 x 3 reaches over half of it at most
        assert np.ptp(coordinates[members], axis=0).min() <= 1


def test_blocks_do_not_depend_on_the_order_of_voxels() -> None:
    coordinates = grid(4, 4, 3)
    order = np.random.default_rng(0).permutation(48)
    one = np.zeros(48)
    blocks, again = spatial_blocks(one, coordinates, 6), spatial_blocks(one, coordinates[order], 6)
    np.testing.assert_array_equal(blocks[order], again)


def test_drawn_blocks_are_drawn_whole_and_within_subjects() -> None:
    blocks = spatial_blocks(STRATA, np.arange(STRATA.size)[:, None], 3)
    counts = block_counts(STRATA, blocks, 50, np.random.default_rng(1))
    for block in range(6):
        assert (counts[:, blocks == block] == counts[:, blocks == block][:, :1]).all()
    assert (counts[:, :48].sum(axis=1) == 48).all()


def test_deletions_leave_a_subject_its_part() -> None:
    blocks = spatial_blocks(STRATA, np.arange(STRATA.size)[:, None], 4)
    found = block_deletions(STRATA, blocks)
    assert len(found.weights) == 1 + 8 + 28
    assert (found.weights[0] == 1).all()
    np.testing.assert_allclose(found.weights[:, :48].sum(axis=1), 48)
    for row, (one, other) in zip(found.weights[9:], found.pairs, strict=True):
        assert set(blocks[row == 0]) == {one, other}


def test_a_subsample_is_without_replacement_and_of_every_subject() -> None:
    counts = subsample_counts(STRATA, 0.8, 100, np.random.default_rng(2))
    assert set(np.unique(counts)) == {0, 1}
    assert (counts[:, :48].sum(axis=1) == 38).all()
    assert (counts[:, 48:].sum(axis=1) == 22).all()


def test_few_subjects_are_not_resampled() -> None:
    with pytest.raises(FoolscanError, match="found 2; expected at least 8"):
        subject_counts(STRATA, 10, np.random.default_rng(0))
    counts = subject_counts(np.repeat(np.arange(8), 5), 30, np.random.default_rng(0))
    assert (counts.reshape(30, 8, 5) == counts.reshape(30, 8, 5)[:, :, :1]).all()


def test_resampled_images_leave_independent_rdms_independent() -> None:
    """With pairs of an image with itself, of dissimilarity 0 in both RDMs, the mean would be well above 0."""
    rng = np.random.default_rng(4)
    means, with_self = [], []
    for _ in range(40):
        first, second = rng.uniform(0.5, 1.5, (2, 190))
        weights = pair_weights(image_counts(20, 100, rng))
        means.append(correlation(first, second, "pearson", weights).mean())
        counts = image_counts(20, 100, rng)
        itself = (counts * (counts - 1) / 2).sum(axis=1, keepdims=True)
        padded = [np.append(rdm, 0.0) for rdm in (first, second)]
        both = np.hstack([pair_weights(counts), itself])
        with_self.append(correlation(*padded, "pearson", both).mean())
    assert np.mean(means) == pytest.approx(0, abs=0.04)
    assert np.mean(with_self) > 0.2


def test_pairs_count_as_often_as_both_images_were_drawn() -> None:
    assert pair_weights(np.array([[2, 0, 3, 1]])).tolist() == [[0, 6, 2, 0, 0, 3]]


@pytest.mark.parametrize("measure", MEASURES)
def test_weights_of_one_are_the_rdm_itself_by_every_measure(measure: str) -> None:
    from analysis.dissimilarities import DISSIMILARITIES
    from analysis.rdm import condensed

    patterns = np.random.default_rng(5).standard_normal((6, 31)) + 10.0
    (found,) = resampled_rdms(patterns, np.ones((1, 31)), measure)
    np.testing.assert_allclose(found, condensed(DISSIMILARITIES[measure](patterns)), atol=1e-12)
    counts = bootstrap_counts(np.zeros(31), 3, np.random.default_rng(6))
    for row, drawn in zip(resampled_rdms(patterns, counts, measure), counts, strict=True):
        repeated = patterns[:, np.repeat(np.arange(31), drawn)]
        np.testing.assert_allclose(row, condensed(DISSIMILARITIES[measure](repeated)), atol=1e-12)
