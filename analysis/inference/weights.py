"""Weights of voxels, images and subjects: every way of resampling is a table of how much each of them counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.problems import FoolscanError

LEAST_SUBJECTS = 8  # with fewer, a resample of subjects is mostly the same two or three of them


@dataclass(frozen=True)
class Weights:
    """A table of weights, one row per resample.

    voxels    : (n_resamples, n_voxels) how much each voxel (or unit) counts; None: all alike.
    images    : (n_resamples, n_images) how often each image (category) was drawn; None: once each.
    resampled : what was resampled, in words.
    rows      : number of resamples where neither voxels nor images have weights.
    """

    voxels: NDArray[Any] | None
    images: NDArray[Any] | None
    resampled: str
    rows: int = 0

    def __len__(self) -> int:
        table = self.voxels if self.voxels is not None else self.images
        return self.rows if table is None else len(table)

    def batches(self, size: int) -> Iterator[Weights]:
        """The same table in pieces of up to `size` rows."""
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            voxels = None if self.voxels is None else self.voxels[rows]
            images = None if self.images is None else self.images[rows]
            yield Weights(voxels, images, self.resampled)


def bootstrap_counts(strata: NDArray[Any], resamples: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """How often every voxel is drawn when as many are drawn with replacement from each stratum as it has.

    strata    : (n_voxels,) stratum of each voxel, such as its subject: voxels are resampled within strata.
    resamples : number of resamples.
    generator : the source of randomness.

    Returns (resamples, n_voxels) counts; every row sums to n_voxels.
    """
    counts = np.zeros((resamples, strata.size), dtype=np.int32)
    for stratum in dict.fromkeys(strata.tolist()):
        members = np.flatnonzero(strata == stratum)
        drawn = generator.integers(members.size, size=(resamples, members.size))
        flat = (drawn + members.size * np.arange(resamples)[:, None]).ravel()
        counts[:, members] = np.bincount(flat, minlength=resamples * members.size).reshape(resamples, members.size)
    return counts


def block_counts(
    strata: NDArray[Any], blocks: NDArray[np.intp], resamples: int, generator: np.random.Generator
) -> NDArray[np.int32]:
    """How often every voxel is drawn when whole blocks are drawn with replacement, within strata.

    strata : (n_voxels,) the subject of each voxel.
    blocks : (n_voxels,) its block (`spatial_blocks`); a block lies in one stratum.
    """
    names, of_voxel = np.unique(blocks, return_inverse=True)
    of_block = np.empty(names.size, dtype=strata.dtype)
    of_block[of_voxel] = strata
    return bootstrap_counts(of_block, resamples, generator)[:, of_voxel]


def subject_counts(strata: NDArray[Any], resamples: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """How often every voxel is drawn when whole subjects are drawn with replacement.

    strata : (n_voxels,) the subject of each voxel.

    Raises FoolscanError with fewer than `LEAST_SUBJECTS` subjects.
    """
    n = np.unique(strata).size
    if n < LEAST_SUBJECTS:
        raise FoolscanError(
            f"resampling of subjects: found {n}; expected at least {LEAST_SUBJECTS}, since a resample of so few says nothing of "
            "other people. Remedy: read the results of each subject by itself, which the tables hold, and resample within "
            "subjects (analysis.bootstrap.over: blocks)"
        )
    return block_counts(
        np.zeros(strata.size, dtype=np.intp), np.unique(strata, return_inverse=True)[1], resamples, generator
    )


def subsample_counts(
    strata: NDArray[Any], share: float, resamples: int, generator: np.random.Generator
) -> NDArray[np.int32]:
    """1 for the voxels of a sub-sample without replacement, 0 for the others (Zhang et al. 2021: 80 %).

    strata : (n_voxels,) stratum of each voxel: the share is taken of every stratum.
    share  : of the voxels that stay, 0 to 1; at least one does.
    """
    counts = np.zeros((resamples, strata.size), dtype=np.int32)
    for stratum in dict.fromkeys(strata.tolist()):
        members = np.flatnonzero(strata == stratum)
        keep = max(1, round(share * members.size))
        place = np.argsort(generator.random((resamples, members.size)), axis=1)[:, :keep]
        np.put_along_axis(counts, members[place], 1, axis=1)
    return counts


def image_counts(n_images: int, resamples: int, generator: np.random.Generator) -> NDArray[np.int32]:
    """How often every image (category) is drawn with replacement: (resamples, n_images)."""
    return bootstrap_counts(np.zeros(n_images, dtype=np.intp), resamples, generator)


def pair_weights(images: NDArray[Any]) -> NDArray[np.float64]:
    """How often every dissimilarity stands in the RDM of the drawn images.

    An image that was drawn twice makes pairs with itself, whose dissimilarity is 0 in every RDM: they would make any two
    RDMs alike. They are no part of an upper triangle of different images, and so are dropped.

    images : (n_resamples, n_images) counts.

    Returns (n_resamples, n_pairs).
    """
    rows, columns = np.triu_indices(images.shape[1], 1)
    return np.asarray(images[:, rows] * images[:, columns], dtype=np.float64)


def spatial_blocks(strata: NDArray[Any], coordinates: NDArray[Any], n_blocks: int) -> NDArray[np.intp]:
    """Blocks of neighbouring voxels, of equal size within each subject.

    The voxels of a subject are cut in two across the axis along which they spread most, and each part again, until there
    are `n_blocks`: neighbours then are in the same block, save at the cuts.

    strata      : (n_voxels,) the subject of each voxel.
    coordinates : (n_voxels, n_dimensions) where it lies.
    n_blocks    : per subject; fewer where a subject has fewer voxels.

    Returns (n_voxels,) numbers of blocks, each in one stratum.
    """
    found = np.empty(strata.size, dtype=np.intp)
    number = 0
    for stratum in dict.fromkeys(strata.tolist()):
        members = np.flatnonzero(strata == stratum)
        for part in _cut(members, np.asarray(coordinates, dtype=np.float64), min(n_blocks, members.size)):
            found[part] = number
            number += 1
    return found


def _cut(members: NDArray[np.intp], coordinates: NDArray[np.float64], n_blocks: int) -> list[NDArray[np.intp]]:
    if n_blocks <= 1:
        return [members]
    where = coordinates[members]
    widest = int(np.argmax(np.ptp(where, axis=0)))
    ordered = members[np.lexsort((*where.T, where[:, widest]))]
    fewer = n_blocks // 2
    first = round(ordered.size * fewer / n_blocks)
    return _cut(ordered[:first], coordinates, fewer) + _cut(ordered[first:], coordinates, n_blocks - fewer)


@dataclass(frozen=True)
class Deletions:
    """The rows of a delete-block jackknife: all voxels, without each block, without each two blocks.

    weights : (1 + n_blocks + n_pairs, n_voxels); where blocks of a subject are left out, its others count the more, so that
              every subject keeps its part in the whole.
    strata  : (n_blocks,) number of the subject of each block.
    pairs   : (n_pairs, 2) blocks left out together, both of one subject or of two; none where they were not asked for.
    """

    weights: NDArray[np.float64]
    strata: NDArray[np.intp]
    pairs: NDArray[np.intp]


def block_deletions(strata: NDArray[Any], blocks: NDArray[np.intp], *, pairs: bool = True) -> Deletions:
    """Leave out every block of voxels, and every two.

    strata : (n_voxels,) the subject of each voxel.
    blocks : (n_voxels,) 0 to n_blocks − 1, each in one subject.
    pairs  : whether two at a time are left out as well, for the correction of the variance.
    """
    n_blocks = int(blocks.max()) + 1
    subjects, of_voxel = np.unique(strata, return_inverse=True)
    of_block = np.empty(n_blocks, dtype=np.intp)
    of_block[blocks] = of_voxel
    twos = np.array(list(combinations(range(n_blocks), 2)), dtype=np.intp).reshape(-1, 2)
    twos = twos if pairs else twos[:0]
    kept = np.ones((1 + n_blocks + len(twos), n_blocks), dtype=bool)
    kept[np.arange(1, 1 + n_blocks), np.arange(n_blocks)] = False
    rows = np.arange(1 + n_blocks, len(kept))[:, None]
    kept[rows, twos] = False
    weights = kept[:, blocks].astype(np.float64)
    for subject in range(subjects.size):
        mine = of_voxel == subject
        weights[:, mine] *= mine.sum() / np.maximum(weights[:, mine].sum(axis=1, keepdims=True), 1.0)
    return Deletions(weights, of_block, twos)
