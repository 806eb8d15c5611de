"""Where the images of a study come from: networks, pictures, and the further pictures that adversaries are compared with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from protocols.schema import Plan, Text

Number = Annotated[int, Field(strict=True, ge=0, le=100_000)]

RANDOM_WEIGHTS = ("random", "random_orthonormal")


class NetworkPlan(Plan):
    """A network by name, and where its weights come from."""

    name: Text
    weights: Annotated[
        Text | None, Field(description="None: the network's own; 'random' or 'random_orthonormal'; or a path to a file")
    ] = None
    seed: Annotated[
        int,
        Field(strict=True, ge=0, le=2**32 - 1, description="of random weights: each is a network of its own"),
    ] = 0

    @field_validator("seed")
    @classmethod
    def _is_of_random_weights(cls, seed: int, info: ValidationInfo) -> int:
        if seed and info.data.get("weights") not in RANDOM_WEIGHTS:
            raise ValueError(f"0, or weights: {' or '.join(RANDOM_WEIGHTS)}; other weights have no seed to choose")
        return seed


class PictureBookSource(Plan):
    """Pictures drawn by foolscan."""

    kind: Literal["picturebook"]
    split: Literal["train", "validation", "test"] = "test"


class FolderSource(Plan):
    """The user's own pictures, with a table: columns file, category, supercategory, animal, network_class."""

    kind: Literal["folder"]
    folder: Text
    labels: Text = "labels.tsv"


class ReferencesPlan(Plan):
    """Further pictures that nobody is shown: their activations are what adversaries are compared with (Sabour 2016)."""

    per_category: Annotated[
        Number, Field(description="further pictures of every category; of a folder at most those that no set shows")
    ] = 20
    random: Annotated[
        Number, Field(description="and pictures of categories drawn at random; of a folder what is left")
    ] = 0
    split: Annotated[
        Literal["train", "validation", "test"], Field(description="of the picture book; a folder has none")
    ] = "train"
    layers: Annotated[
        tuple[Text, ...] | Literal["attacked", "all"],
        Field(min_length=1, description="attacked: those that a recipe of the study names, or all where none does"),
    ] = "attacked"
