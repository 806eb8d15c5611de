"""How sure a number is: what is resampled for intervals, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from protocols.schema import Flag, Inside, Plan

Factor = Literal["voxels", "images", "both", "subjects", "blocks"]
Kind = Literal["jackknife", "bootstrap", "subsample", "published"]

ALLOWED: dict[str, tuple[Factor, ...]] = {
    "jackknife": ("blocks",),
    "bootstrap": ("voxels", "images", "both", "subjects", "blocks"),
    "subsample": ("voxels",),
    "published": ("voxels",),
}
"""Kind -> what it resamples, the first being the default."""


class BootstrapPlan(Plan):
    """Resampling of voxels (or units), images or subjects for intervals."""

    kind: Annotated[
        Kind,
        Field(
            description="`jackknife`: leaves out blocks of neighbouring voxels, and covers what it says; `bootstrap`: percentiles of "
            "resamples with replacement; `subsample`: without (Zhang 2021); `published`: percentile bootstrap over voxels (Zhang "
            "2018), which does not cover ([intervals](analysis.md#intervals))"
        ),
    ] = "jackknife"
    over: Annotated[
        Factor | None,
        Field(
            description="what is resampled; `both`: voxels and images; `blocks`: of neighbouring voxels; left out: `blocks` for "
            "`jackknife`, else `voxels`"
        ),
    ] = None
    resamples: Annotated[
        int, Field(strict=True, ge=100, le=1_000_000, description="the jackknife has as many as its blocks give")
    ] = 1000
    interval: Annotated[Inside, Field(description="share of studies in which the interval is to hold its estimand")] = (
        0.95
    )
    blocks: Annotated[
        int,
        Field(strict=True, ge=4, le=200, description="of neighbouring voxels, over all subjects; at least 2 in each"),
    ] = 12
    subsample_share: Annotated[Inside, Field(description="`subsample`: voxels that stay")] = 0.8
    rescaled: Annotated[
        Flag,
        Field(
            description="`subsample`: widened by the root of share / (1 − share), as sub-samples share most voxels and so differ "
            "less than studies do; else percentiles as they are, as in Zhang 2021"
        ),
    ] = True

    @property
    def factor(self) -> Factor:
        """What is resampled."""
        return self.over or ALLOWED[self.kind][0]

    @model_validator(mode="after")
    def _fits(self) -> BootstrapPlan:
        if self.factor not in ALLOWED[self.kind]:
            raise ValueError(f"kind {self.kind} resamples {', '.join(ALLOWED[self.kind])}; found over: {self.over}")
        return self
