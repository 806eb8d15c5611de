"""What RDMs are compared with besides one another, and how differences are tested."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from protocols.schema import Flag, Plan, Text

FROM_IMAGES = ("supercategory", "animacy", "target_animacy", "pixel")
"""Models that the manifest and the images alone make."""
Correction = Literal["max_statistic", "holm", "benjamini_hochberg", "none"]
Ceiling = Literal["between_subjects", "split_half"]


def _known_model(name: str) -> str:
    kind, _, rest = name.partition(":")
    if name in FROM_IMAGES or (kind in ("layer", "set") and rest and not rest.endswith(":")):
        return name
    raise ValueError(f"allowed: {', '.join(FROM_IMAGES)}, layer:NAME, layer:NAME:SET, set:NAME")


ModelName = Annotated[Text, AfterValidator(_known_model)]


class SignificancePlan(Plan):
    """Permutation tests of similarities and of their differences."""

    permutations: Annotated[
        int,
        Field(
            strict=True,
            ge=99,
            le=1_000_000,
            description="random ones; where there are no more than these in all, each is taken once (exact)",
        ),
    ] = 1000
    alternative: Annotated[
        Literal["two_sided", "greater"],
        Field(description="`greater`: only similarities above chance, and only the later pair above the first, count"),
    ] = "two_sided"
    correction: Annotated[
        Correction,
        Field(
            description="which of the corrected p-values over ROIs or layers is `p_corrected`; all stand in the tables"
        ),
    ] = "max_statistic"
    subjects_for_group: Annotated[
        int,
        Field(
            strict=True,
            ge=5,
            le=1000,
            description="from so many subjects on there is a test over subjects; with fewer each is told alone",
        ),
    ] = 8
    bootstrap_t: Annotated[
        Flag,
        Field(
            description="the t-test over bootstrap replicates, marked `published`: no inference, as it grows with them"
        ),
    ] = False
