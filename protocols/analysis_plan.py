"""The analysis of a study file: from betas and activations to RDMs and their similarity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from protocols.glm_plan import GlmPlan
from protocols.inference_plan import BootstrapPlan
from protocols.roi_plan import RoiSource
from protocols.schema import EachOnce, Label, Plan, Text
from protocols.significance_plan import Ceiling, ModelName, SignificancePlan
from protocols.similarity_names import Similarity
from protocols.voxel_plan import Dissimilarity, Folds, PatternScaling, Pooling, VoxelSelection


class AnalysisPlan(Plan):
    """From betas and activations to RDMs and their similarity."""

    task: Label
    rois: Annotated[tuple[Label, ...], EachOnce, Field(min_length=1)]
    roi_sources: Annotated[
        dict[Label, RoiSource],
        Field(
            description="where regions come from; those that are not named have a mask of their own in derivatives/foolscan/rois"
        ),
    ] = Field(default_factory=dict)
    glm: GlmPlan = GlmPlan()
    voxels: VoxelSelection = VoxelSelection()
    pattern_scaling: Annotated[PatternScaling, Field(description="within each run, before voxels are chosen")] = (
        "z_voxel_run"
    )
    pooling: Annotated[
        Pooling,
        Field(
            description="a subject's patterns to mean 0 and SD 1 before voxels of subjects are pooled, or as they are"
        ),
    ] = "z_within_subject"
    dissimilarity: Dissimilarity = "spearman"
    folds: Annotated[Folds, Field(description="`crossnobis`: products between runs, or between halves of the runs")] = (
        "runs"
    )
    similarity: Annotated[
        Similarity,
        Field(description="of two RDMs ([measures](analysis.md#similarity)); the tables' intervals are of it"),
    ] = "pearson"
    further_similarities: Annotated[
        tuple[Similarity, ...], EachOnce, Field(description="measures told and tested beside it, without intervals")
    ] = ()
    pairs: Annotated[
        tuple[Annotated[tuple[Label, Label], EachOnce], ...], EachOnce, Field(min_length=1, description="sets compared")
    ] = (("RE", "AN"), ("RE", "AI"))
    layers: Annotated[tuple[Text, ...] | Literal["all"], Field(min_length=1, description="network layers")] = "all"
    models: Annotated[
        tuple[ModelName, ...],
        EachOnce,
        Field(
            description="RDMs that every ROI's and layer's RDM is compared with: `supercategory`, `animacy`, `target_animacy`, "
            "`pixel`, `layer:NAME` (of the same set), `layer:NAME:SET`, `set:NAME` (at the same place)"
        ),
    ] = ("supercategory", "animacy", "pixel")
    noise_ceilings: Annotated[
        tuple[Ceiling, ...],
        EachOnce,
        Field(description="over subjects (Nili 2014), and from the halves of each subject's runs"),
    ] = ("between_subjects", "split_half")
    bootstrap: BootstrapPlan = BootstrapPlan()
    tests: SignificancePlan = SignificancePlan()
