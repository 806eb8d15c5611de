"""How betas are estimated: the first-level model of a study file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from protocols.schema import Plan, Positive


class GlmPlan(Plan):
    """How betas are estimated."""

    model: Annotated[Literal["run_condition"], Field(description="one regressor per image and run")] = "run_condition"
    hrf: Literal["spm", "glover"] = "spm"
    drift: Literal["cosine", "polynomial"] = "cosine"
    high_pass_hz: Annotated[Positive, Field(le=1)] = 0.01
    noise: Literal["ols", "ar1"] = "ols"
