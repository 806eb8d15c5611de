"""Response patterns: the betas of one subject's ROI, runs × images × voxels, and how they are scaled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from protocols.problems import FoolscanError
from protocols.voxel_plan import PatternScaling as Scaling


@dataclass(frozen=True)
class Patterns:
    """The betas of one subject in one ROI.

    sub, roi   : whose, and where.
    runs       : stem of each run, in order of session and run; length n_runs.
    stim_ids   : the images in manifest order; length n_images.
    sets       : stimulus set of each image (RE, AN, AI …).
    categories : category of each image (of its source for AN and AI): what pairs images of different sets.
    betas      : (n_runs, n_images, n_voxels) float64, % signal change until scaled; NaN in all voxels where a run
                 does not show an image; a voxel without a usable time series is NaN or constant.
    voxels     : (n_voxels, 3) indices of the voxels in the image grid.
    positions_mm : (n_voxels, 3) centres of the voxels in space; None where it is not known.
    """

    sub: str
    roi: str
    runs: tuple[str, ...]
    stim_ids: tuple[str, ...]
    sets: tuple[str, ...]
    categories: tuple[str, ...]
    betas: NDArray[np.float64]
    voxels: NDArray[np.intp]
    positions_mm: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        expected = (len(self.runs), len(self.stim_ids), len(self.voxels))
        if self.betas.shape != expected:
            raise FoolscanError(
                f"sub-{self.sub} {self.roi}: found betas of shape {self.betas.shape}; expected {expected}"
            )
        if not len(self.stim_ids) == len(self.sets) == len(self.categories):
            raise FoolscanError(f"sub-{self.sub} {self.roi}: stim_ids, sets and categories differ in length")

    def mean(self, runs: tuple[int, ...] | None = None) -> NDArray[np.float64]:
        """Mean pattern of each image over the runs that show it: (n_images, n_voxels).

        runs : indices of the runs to average; None for all.

        Raises FoolscanError naming an image that none of these runs shows.
        """
        betas = self.betas if runs is None else self.betas[list(runs)]
        shown = is_shown(betas)
        never = [stim_id for stim_id, times in zip(self.stim_ids, shown.sum(axis=0), strict=True) if times == 0]
        if never:
            every = runs is None or set(runs) == set(range(len(self.runs)))
            among = "any run" if every or runs is None else f"runs {', '.join(self.runs[i] for i in runs)}"
            told = f"image {never[0]} is" if len(never) == 1 else f"{len(never)} images (first {never[0]}) are"
            other = (
                "take the set out of the task's sets"
                if every
                else "set analysis.voxels.by to a published rule, which takes all"
            )
            raise FoolscanError(
                f"sub-{self.sub} {self.roi}: {told} never shown in {among}; bring a run that shows what is lacking and its betas "
                f"here, or {other}"
            )
        return mean_over_runs(betas)


def scaling_warnings(presentation: str, scaling: Scaling) -> list[str]:
    """What to know of a scaling within runs when a run does not show all categories; empty when there is nothing.

    presentation : the task's, ``all_once`` or ``half_twice``.
    """
    if presentation != "half_twice" or scaling == "none":
        return []
    return [
        f"half_twice with {scaling}: the two halves of the categories were shown, and are scaled, in different sessions; each "
        "half has its own mean (and spread), so that dissimilarities between categories of different halves are not on one "
        "scale with those within a half"
    ]


def level_and_scale(patterns: Iterable[NDArray[np.float64]]) -> tuple[float, float]:
    """Mean and SD (1 where there is none) of one subject's patterns, over all images and voxels.

    patterns : (n_images, n_voxels) each.
    """
    values = np.concatenate([pattern.ravel() for pattern in patterns])
    return float(values.mean()), float(values.std()) or 1.0


def mean_over_runs(betas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean pattern of each image over the runs that show it, (n_images, n_voxels); NaN for an image that none shows.

    betas : (n_runs, n_images, n_voxels).
    """
    shown = is_shown(betas)
    total = np.where(shown[:, :, None], betas, 0.0).sum(axis=0)
    times = shown.sum(axis=0)[:, None].astype(np.float64)
    return np.asarray(total / np.where(times > 0, times, np.nan))


def is_shown(betas: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which run shows which image, (n_runs, n_images): an image that a run does not show is NaN in every voxel."""
    return np.asarray(~np.isnan(betas).all(axis=2))


def scaled(patterns: Patterns, scaling: Scaling) -> Patterns:
    """The patterns scaled within each run, so that runs stay independent of one another.

    scaling : ``none``; ``z_voxel_run``: each voxel to mean 0 and SD 1 (population) over the run's images;
              ``mean_removed``: each voxel's mean over the run's images removed; ``mean_removed_within_type``: the mean
              over the run's images of the same set removed.

    A voxel that is constant over a run's images becomes NaN under ``z_voxel_run``.
    """
    return replace(patterns, betas=scaled_betas(patterns.betas, patterns.sets, scaling))


def scaled_betas(betas: NDArray[np.float64], sets: tuple[str, ...], scaling: Scaling) -> NDArray[np.float64]:
    """`scaled` on bare arrays.

    betas : (n_runs, n_images, n_voxels), NaN rows for images that a run does not show.
    sets  : stimulus set of each image.
    """
    if scaling not in get_args(Scaling):
        raise FoolscanError(f"pattern_scaling: found {scaling!r}; allowed: {', '.join(get_args(Scaling))}")
    if scaling == "none":
        return betas
    if scaling == "mean_removed_within_type":
        result = np.empty_like(betas)
        for name in dict.fromkeys(sets):
            of_set = np.array([other == name for other in sets])
            result[:, of_set] = _centred(betas[:, of_set])
        return result
    centred = _centred(betas)
    if scaling == "mean_removed":
        return centred
    shown = is_shown(betas)[:, :, None]
    n_shown = np.maximum(shown.sum(axis=1, keepdims=True), 1)
    variance = np.where(shown, centred, 0.0)
    variance = (variance**2).sum(axis=1, keepdims=True) / n_shown
    largest = np.where(shown, np.abs(betas), 0.0).max(axis=1, keepdims=True)
    # rounding leaves a constant voxel with a tiny SD: relative to its values it is none
    constant = variance <= (1e-12 * largest) ** 2
    sd = np.sqrt(np.where(constant, np.nan, variance))
    return np.asarray(centred / sd, dtype=np.float64)


def _centred(betas: NDArray[np.float64]) -> NDArray[np.float64]:
    shown = is_shown(betas)[:, :, None]
    n_shown = np.maximum(shown.sum(axis=1, keepdims=True), 1)
    mean = np.where(shown, betas, 0.0).sum(axis=1, keepdims=True) / n_shown
    return np.asarray(betas - mean, dtype=np.float64)
