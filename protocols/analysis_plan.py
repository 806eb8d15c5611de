"""The analysis of a study file: from betas and activations to RDMs and their similarity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from protocols.glm_plan import GlmPlan
from protocols.inference_plan import BootstrapPlan
from protocols.schema import EachOnce, Label, Plan, Text
from protocols.voxel_plan import VoxelSelection


class AnalysisPlan(Plan):
    """From betas and activations to RDMs and their similarity."""

    task: Label
    rois: Annotated[tuple[Label, ...], EachOnce, Field(min_length=1)]
    glm: GlmPlan = GlmPlan()
    voxels: VoxelSelection = VoxelSelection()
    pattern_scaling: Literal["none", "z_voxel_run", "mean_removed", "mean_removed_within_type"] = "z_voxel_run"
    dissimilarity: Literal["spearman", "pearson"] = "spearman"
    similarity: Annotated[Literal["pearson", "spearman"], Field(description="correlation of two RDMs")] = "pearson"
    pairs: Annotated[
        tuple[Annotated[tuple[Label, Label], EachOnce], ...], EachOnce, Field(min_length=1, description="sets compared")
    ] = (("RE", "AN"), ("RE", "AI"))
    layers: Annotated[tuple[Text, ...] | Literal["all"], Field(min_length=1, description="network layers")] = "all"
    bootstrap: BootstrapPlan = BootstrapPlan()
