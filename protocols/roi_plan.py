"""Where the regions of interest come from: a lab's masks, label images, surface labels, and combinations of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from protocols.schema import Count, EachOnce, Label, Plan, Positive, Text

FilePattern = Annotated[
    Text, Field(description="file in the study folder (or an absolute path); {sub} stands for the subject's label")
]
Labels = Annotated[
    tuple[Text | Annotated[int, Field(strict=True)], ...],
    EachOnce,
    Field(description="labels that belong to the region: names, or the numbers in the image"),
]
SurfaceFile = Annotated[
    Text | None,
    Field(
        description="label.gii, shape.gii or func.gii, or FreeSurfer's .label or .annot; {sub} for the subject's label"
    ),
]


class MaskSource(Plan):
    """A region that is a mask of its own."""

    kind: Literal["mask"]
    file: FilePattern
    above: Annotated[
        Positive | None,
        Field(description="voxels with a larger value are inside (probabilities); nothing: all that are not 0"),
    ] = None


class LabelsSource(Plan):
    """A region that is one label of an image of labels, or several together."""

    kind: Literal["labels"]
    file: FilePattern
    labels: Annotated[Labels, Field(min_length=1)]
    table: Annotated[
        Text | None,
        Field(
            description="names of the labels: TSV with index and name (BIDS dseg.tsv), JSON, or FreeSurfer's colour table "
            "(.txt); needed for names"
        ),
    ] = None


class SurfaceSource(Plan):
    """A region on the cortical surface, one file for each hemisphere that it is in."""

    kind: Literal["surface"]
    left: SurfaceFile = None
    right: Annotated[SurfaceFile, Field(validate_default=True)] = None
    labels: Annotated[Labels, Field(description="labels of .annot and label.gii; none: all that are not 0")] = ()
    left_vertices: Annotated[
        Count | None,
        Field(description="of the left hemisphere's surface; needed with a .label, which does not tell it"),
    ] = None
    right_vertices: Annotated[Count | None, Field(description="of the right hemisphere's surface")] = None

    @field_validator("right")
    @classmethod
    def _is_somewhere(cls, right: str | None, info: ValidationInfo) -> str | None:
        if right is None and info.data.get("left") is None:
            raise ValueError("left, right or both")
        return right


class UnionSource(Plan):
    """A region of all voxels that are in any of the named regions."""

    kind: Literal["union"]
    of: Annotated[tuple[Label, ...], EachOnce, Field(min_length=2, description="regions")]


class IntersectionSource(Plan):
    """A region of the voxels that are in all of the named regions."""

    kind: Literal["intersection"]
    of: Annotated[tuple[Label, ...], EachOnce, Field(min_length=2, description="regions")]


class DifferenceSource(Plan):
    """A region of the voxels of the first named region that are in none of the others."""

    kind: Literal["difference"]
    of: Annotated[tuple[Label, ...], EachOnce, Field(min_length=2, description="the first, less the others")]


Combination = UnionSource | IntersectionSource | DifferenceSource
RoiSource = Annotated[
    MaskSource | LabelsSource | SurfaceSource | UnionSource | IntersectionSource | DifferenceSource,
    Field(discriminator="kind"),
]


def unknown_regions(sources: Mapping[str, RoiSource], rois: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """What is wrong between combined regions: key below ``roi_sources``, what was found, what is allowed.

    sources : regions that are defined in the study file.
    rois    : regions that are analysed; those without a definition have a mask of their own.
    """
    known = dict.fromkeys([*rois, *sources])
    for name, source in sources.items():
        if isinstance(source, Combination):
            for part in source.of:
                if part not in known:
                    yield f"{name}.of", repr(part), f"a region of analysis.rois or roi_sources: {', '.join(known)}"
            if name in _parts(name, sources):
                yield f"{name}.of", repr(list(source.of)), "regions that are not made of this one"


def _parts(name: str, sources: Mapping[str, RoiSource]) -> set[str]:
    """All regions that a region is made of, at any depth."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        source = sources.get(waiting.pop())
        if isinstance(source, Combination):
            waiting += [part for part in source.of if part not in found]
            found.update(source.of)
    return found
