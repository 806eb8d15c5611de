"""Voxels that are in both choices of a split half are resampled together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.brain_rdms import VoxelChoice
from analysis.brain_similarity import counts_of_choices


def choice(voxels: Sequence[int], subject: str = "01") -> VoxelChoice:
    """A choice of voxels whose patterns do not matter here."""
    return VoxelChoice(np.full(len(voxels), subject), np.array(voxels), {}, ())


def test_a_voxel_in_both_choices_is_drawn_as_often_in_both() -> None:
    first, second = counts_of_choices([choice([4, 7, 9]), choice([9, 2, 4])], 200, np.random.default_rng(1))
    assert np.array_equal(first[:, 0], second[:, 2])
    assert np.array_equal(first[:, 2], second[:, 0])
    # the draw is from the four voxels 4, 7, 9 and 2
    assert ((first.sum(axis=1) + second[:, 1]) == 4).all()


def test_one_choice_is_the_ordinary_bootstrap() -> None:
    (counts,) = counts_of_choices([choice(range(50))], 30, np.random.default_rng(2))
    assert (counts.sum(axis=1) == 50).all()


def test_voxels_of_the_same_number_in_two_subjects_are_two_voxels() -> None:
    both = VoxelChoice(np.array(["01", "02"]), np.array([5, 5]), {}, ())
    (counts,) = counts_of_choices([both], 20, np.random.default_rng(3))
    assert (counts == 1).all()
