"""Which voxels of an ROI are analysed, how their patterns are scaled, and how unlike two patterns are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from protocols.dissimilarity_names import known_dissimilarity
from protocols.schema import Count, Label, Plan, Positive, Text

PatternScaling = Literal["none", "z_voxel_run", "mean_removed", "mean_removed_within_type"]
Pooling = Literal["z_within_subject", "raw"]
Folds = Literal["runs", "halves"]
Dissimilarity = Annotated[
    Text,
    AfterValidator(known_dissimilarity),
    Field(
        description="`spearman`, `pearson`, `cosine` (1 − similarity), `euclidean`, `squared_euclidean`, `mahalanobis`, "
        "`squared_mahalanobis` (per voxel), `crossnobis`, or a package's own ([growing](growing.md#a-dissimilarity))"
    ),
]


class VoxelSelection(Plan):
    """Which voxels of an ROI enter: the reliable ones, chosen on other runs than are analysed unless `published`."""

    per_subject: Annotated[Count, Field(le=1_000_000)] = 100
    by: Annotated[
        Literal["split_half", "published", "searchlight", "searchlight_published"],
        Field(
            description="a voxel's own responses repeat, or (`searchlight`) the RDM of the voxels around it does; "
            "`published` chooses on the runs that are analysed: circular"
        ),
    ] = "split_half"
    images: Annotated[Label, Field(description="reliable over which images: `all`, or one set, such as `RE`")] = "all"
    radius_mm: Annotated[Positive, Field(le=100, description="of a searchlight; voxels of the same ROI")] = 3.0

    @property
    def circular(self) -> bool:
        """Whether voxels are chosen on the very runs that are analysed."""
        return self.by in ("published", "searchlight_published")

    @property
    def in_searchlights(self) -> bool:
        """Whether what repeats is the RDM around a voxel, not its own responses."""
        return self.by in ("searchlight", "searchlight_published")
