"""From a study's plan to weights, and from the replicates under them to intervals that say what they cover."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.inference.intervals import Interval, jackknife_interval, percentile_interval, subsample_interval
from analysis.inference.weighted_rdms import MEASURES
from analysis.inference.weights import (
    Deletions,
    Weights,
    block_counts,
    block_deletions,
    bootstrap_counts,
    image_counts,
    spatial_blocks,
    subject_counts,
    subsample_counts,
)
from protocols.inference_plan import BootstrapPlan

MOST_BLOCKS = 60  # with more, the second order is small, and pairs of blocks are many
RESAMPLED = {
    "voxels": "voxels, within subject",
    "images": "images (categories)",
    "both": "voxels, within subject, and images (categories)",
    "subjects": "subjects",
    "blocks": "blocks of neighbouring voxels, within subject",
}
ESTIMANDS = {
    "voxels": "similarity at this noise, number of voxels and of runs, over other voxels and noise; these images and subjects",
    "images": "similarity at this noise, over other images; these voxels and subjects",
    "both": "similarity at this noise, number of voxels and of runs, over other voxels, noise and images; these subjects",
    "subjects": "similarity at this noise, number of voxels and of runs, over other people; these images",
}
ESTIMANDS["blocks"] = ESTIMANDS["voxels"]
DESCRIPTIVE = "none: the spread of resamples, which noise and voxels drawn twice pull below the similarity as measured"


@dataclass(frozen=True)
class Scheme:
    """How intervals of one sample are made.

    plan      : kind, factor, coverage.
    weights   : the resamples; for the jackknife, its rows.
    deletions : of the jackknife; None else.
    unit      : what a voxel is called: ``"voxels"`` or ``"units"``.
    """

    plan: BootstrapPlan
    weights: Weights
    deletions: Deletions | None
    unit: str = "voxels"

    @property
    def resampled(self) -> str:
        """What is resampled, in words."""
        if self.unit == "voxels":
            return RESAMPLED[self.plan.factor]
        return {
            "blocks": "blocks of neighbouring units",
            "voxels": "units",
            "both": "units and images (categories)",
        }.get(self.plan.factor, RESAMPLED[self.plan.factor])

    @property
    def estimand(self) -> str:
        """What the interval of a similarity is an interval of, in words."""
        if self.plan.kind == "published" or (self.plan.kind == "subsample" and not self.plan.rescaled):
            return DESCRIPTIVE
        if self.unit == "units":
            return {
                "images": "similarity over other images; this network and these units",
                "both": "similarity at this number of units, over other units and images",
            }.get(self.plan.factor, "similarity at this number of units, over other units like these; these images")
        return ESTIMANDS[self.plan.factor]

    def interval(self, value: float, replicates: NDArray[np.float64], *, fisher: bool = False) -> Interval:
        """The interval of a statistic.

        value      : the statistic as measured.
        replicates : its values under `weights`.
        fisher     : whether the jackknife works on Fisher's z, for a similarity.
        """
        plan = self.plan
        if self.deletions is not None:
            found = jackknife_interval(replicates, self.deletions, plan.interval, fisher=fisher)
        elif plan.kind == "subsample":
            found = subsample_interval(value, replicates, plan.subsample_share, plan.interval, rescaled=plan.rescaled)
        else:
            found = percentile_interval(replicates, plan.interval)
        method = f"{found.method}, over {self.resampled}"
        if plan.kind == "published":
            method = f"published: {method}; descriptive, biased towards zero"
        if found.undefined and self.deletions is not None:
            method += f"; none, as it is not defined without some blocks ({found.undefined} of {len(replicates)})"
        elif found.undefined:
            method += f"; {found.undefined} not defined and left out"
        return replace(found, method=method, estimand=self.estimand, resampled=self.resampled)


def no_interval(why: str) -> Interval:
    """None, and why."""
    return Interval(math.nan, math.nan, f"none: {why}", estimand="none", resampled="none")


def cannot_weight(plan: BootstrapPlan, dissimilarity: str) -> str:
    """Why a scheme does not go with a measure of dissimilarity; empty where it does."""
    if plan.factor == "images" or dissimilarity in MEASURES:
        return ""
    return (
        f"voxels have no weights under {dissimilarity}, which takes their noise together; "
        "analysis.bootstrap {kind: bootstrap, over: images} resamples images"
    )


def scheme_of(
    plan: BootstrapPlan,
    strata: NDArray[Any],
    coordinates: NDArray[Any],
    n_images: int,
    generator: np.random.Generator,
    unit: str = "voxels",
) -> Scheme:
    """The weights that a plan asks for.

    strata      : (n_voxels,) the subject of each voxel; all alike for units.
    coordinates : (n_voxels, n_dimensions) where it lies.
    n_images    : images (categories) of a set.
    generator   : the source of randomness; the jackknife uses none.

    Raises FoolscanError when subjects are to be resampled and there are too few.
    """
    n, factor = plan.resamples, plan.factor
    n_subjects = np.unique(strata).size
    blocks = spatial_blocks(strata, coordinates, max(2, round(plan.blocks / n_subjects)))
    if plan.kind == "jackknife":
        deletions = block_deletions(strata, blocks, pairs=int(blocks.max()) < MOST_BLOCKS)
        return Scheme(plan, Weights(deletions.weights, None, RESAMPLED[factor]), deletions, unit)
    voxels: NDArray[np.int32] | None = None
    if plan.kind == "subsample":
        voxels = subsample_counts(strata, plan.subsample_share, n, generator)
    elif factor in ("voxels", "both"):
        voxels = bootstrap_counts(strata, n, generator)
    elif factor == "blocks":
        voxels = block_counts(strata, blocks, n, generator)
    elif factor == "subjects":
        voxels = subject_counts(strata, n, generator)
    images = image_counts(n_images, n, generator) if factor in ("images", "both") else None
    return Scheme(plan, Weights(voxels, images, RESAMPLED[factor]), None, unit)
