"""Which voxels of an ROI are analysed, and how their patterns are scaled."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from protocols.schema import Count, Plan


class VoxelSelection(Plan):
    """Which voxels of an ROI enter: the reliable ones, chosen on other runs than are analysed unless `published`."""

    per_subject: Annotated[Count, Field(le=1_000_000)] = 100
    by: Literal["split_half", "published"] = "split_half"
    images: Literal["all", "RE"] = "all"
