"""How sure a number is: resampling and tests."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from protocols.schema import Inside, Plan


class BootstrapPlan(Plan):
    """Resampling of voxels (or units) for intervals."""

    resamples: Annotated[int, Field(strict=True, ge=100, le=1_000_000)] = 1000
    interval: Inside = 0.95
