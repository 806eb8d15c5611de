"""Fragile recognition: which pictures, networks and window sides a study maps (Srivastava et al. 2019)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from protocols.image_sets import FolderSource, NetworkPlan
from protocols.schema import Count, EachOnce, Plan, Text, Whole

Proportion = Annotated[float, Field(strict=True, gt=0, le=1)]
Side = Annotated[int, Field(strict=True, ge=1, le=100_000)]


class BookPicturesToMap(Plan):
    """Pictures of the picture book, whose ten supercategories they are spread over."""

    kind: Literal["picturebook"]
    split: Literal["train", "validation", "test"] = "test"
    size_px: Annotated[int, Field(strict=True, ge=8, le=4096, description="side of every picture")] = 192


class ImageNetToMap(Plan):
    """ImageNet's validation pictures, in the order of its list (`ILSVRC2012_val_00000001.JPEG 65` on every line)."""

    kind: Literal["imagenet"]
    folder: Annotated[Text, Field(description="of the picture files")]
    truth: Annotated[Text, Field(description="the list: file name and class number, from 0, on every line")] = "val.txt"
    boxes: Annotated[
        Text | None,
        Field(
            description="folder of ImageNet's annotations of the objects' boxes, in `folder` (`ILSVRC2012_val_00000001.xml` for "
            "the picture of that name); nothing: no boxes"
        ),
    ] = None
    left_out: Annotated[
        tuple[Whole, ...],
        EachOnce,
        Field(description="pictures by their line in the list, from 0, that are not mapped"),
    ] = ()
    supercategories: Annotated[
        dict[Text, Annotated[tuple[Whole, ...], EachOnce, Field(min_length=1)]],
        Field(min_length=1, description="for each supercategory, class numbers of ImageNet"),
    ]


class PairsPlan(Plan):
    """Pairs of windows that a network tells apart and people hardly do, exported as a stimulus set."""

    type: Annotated[
        Literal["loose_shrink", "strict_shrink", "loose_shift", "strict_shift"],
        Field(description="of the fragile windows; the other member is drawn from the changed windows that flip"),
    ] = "loose_shrink"
    direction: Annotated[
        Literal["to_incorrect", "to_correct", "both"],
        Field(
            description="to_incorrect: the fragile window is right and the changed one wrong; to_correct: the reverse"
        ),
    ] = "to_incorrect"
    proportion: Annotated[
        Proportion | None, Field(description="side of the windows, one of `proportions`; nothing: the first of them")
    ] = None
    n: Annotated[Count, Field(le=100_000, description="pairs, each of another picture")] = 40
    shown_px: Annotated[
        int | None,
        Field(
            strict=True,
            ge=8,
            le=4096,
            description="side that both members are resized to, once, by Pillow; nothing: they stay as they are",
        ),
    ] = 256
    filter: Annotated[
        Literal["lanczos", "bilinear"], Field(description="of Pillow, by which they are resized to `shown_px`")
    ] = "lanczos"
    network: Annotated[
        Text | None, Field(description="whose pairs: as its store is called; nothing: the first network")
    ] = None


class FragilePlan(Plan):
    """Which windows of which pictures are classified by which networks."""

    pictures: Annotated[BookPicturesToMap | FolderSource | ImageNetToMap, Field(discriminator="kind")]
    per_supercategory: Annotated[Count, Field(le=100_000, description="pictures; the first that there are")] = 50
    networks: Annotated[
        tuple[NetworkPlan, ...], EachOnce, Field(description="each maps all pictures; empty: the study's network alone")
    ] = ()
    proportions: Annotated[
        tuple[Proportion, ...], EachOnce, Field(description="sides of windows, as shares of a picture's shorter side")
    ] = (0.2, 0.4, 0.6, 0.8)
    sides_px: Annotated[
        tuple[Side, ...],
        EachOnce,
        Field(description="further sides, such as the network's input size: windows that need no resizing (a control)"),
    ] = ()
    top_k: Annotated[
        Count, Field(le=1000, description="right: the true class is among the so many most probable (ImageNet: 5)")
    ] = 1
    crops: Annotated[
        Literal["resized", "centred", "in_place"],
        Field(
            description="a window fills the network's input; or, not resized, lies in the middle of black; or stays where it "
            "is in its picture, of which the rest is black (pictures of the input's size)"
        ),
    ] = "resized"
    filter: Annotated[
        Literal["pil_bilinear", "torch_bilinear"],
        Field(
            description="how windows are resized: as Pillow does, to the bit (antialiased where they are made smaller), or as "
            "torch's interpolate does without antialiasing"
        ),
    ] = "pil_bilinear"
    precision: Annotated[
        Literal["fp32", "bf16_checked"],
        Field(
            description="bf16_checked: half precision first, and single precision where the class is not beyond doubt (GPUs)"
        ),
    ] = "fp32"
    sample: Annotated[
        Count,
        Field(le=1_000_000, description="windows drawn of each map when it is estimated and not computed in full"),
    ] = 1000
    batch_size: Annotated[
        int | None,
        Field(strict=True, ge=1, le=4096, description="windows a forward pass; None: 32 on a processor, 256 on a GPU"),
    ] = None
    pairs: PairsPlan = PairsPlan()
