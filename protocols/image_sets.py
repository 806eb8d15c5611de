"""The image sets of a study file: networks, pictures, and the recipe of each set."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from protocols.schema import EachOnce, Inside, Label, Plan, Text

Radius = Annotated[int, Field(strict=True, ge=1, le=255)]
Levels = Annotated[float, Field(strict=True, gt=0, le=255)]
Steps = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Attempts = Annotated[int, Field(strict=True, ge=1, le=1000)]


class NetworkPlan(Plan):
    """A network by name, and where its weights come from."""

    name: Text
    weights: Annotated[Text | None, Field(description="None: the network's own; 'random'; or a path to a file")] = None


class PictureBookSource(Plan):
    """Pictures drawn by foolscan."""

    kind: Literal["picturebook"]
    split: Literal["train", "validation", "test"] = "test"


class FolderSource(Plan):
    """The user's own pictures, with a table: columns file, category, supercategory, animal, network_class."""

    kind: Literal["folder"]
    folder: Text
    labels: Text = "labels.tsv"


class PicturesRecipe(Plan):
    """Regular images (RE): pictures as they are, on the network's pixel grid."""

    has_correct_answer: ClassVar[bool] = True

    kind: Literal["pictures"]


class AdversarialNoiseRecipe(Plan):
    """Adversarial noise (AN): from the mean image and Gaussian noise up the posterior of the paired class (Nguyen 2015)."""

    has_correct_answer: ClassVar[bool] = False  # noise shows nothing that could be recognised

    kind: Literal["adversarial_noise"]
    source: Label = "RE"
    confidence: Annotated[Inside, Field(description="posterior to reach")] = 0.99
    noise_sd: Annotated[Levels, Field(description="SD of the starting noise, grey levels 0-255")] = 10.0
    step: Annotated[Levels, Field(description="length of a step: RMS change per pixel, grey levels")] = 1.0
    max_steps: Steps = 1000
    attempts: Annotated[Attempts, Field(description="each starts at noise of its own")] = 5


class AdversarialInterferenceRecipe(Plan):
    """Adversarial interference (AI): from the RE image to a wrong class, the change kept small (Zhang 2018)."""

    has_correct_answer: ClassVar[bool] = True

    kind: Literal["adversarial_interference"]
    source: Label = "RE"
    confidence: Annotated[Inside, Field(description="posterior to reach")] = 0.99
    target: Annotated[
        Literal["other_animacy", "random", "least_likely"],
        Field(
            description="the wrong class: next class of the other animacy, a random one, or the network's least likely"
        ),
    ] = "other_animacy"
    linf_preferred: Annotated[
        Radius,
        Field(description="largest change of a pixel in all attempts but the last, grey levels (see linf_max_on)"),
    ] = 8
    linf_max: Annotated[
        Radius, Field(description="never exceeded; grey levels; at least linf_preferred", validate_default=True)
    ] = 16
    linf_tried: Annotated[
        tuple[Radius, ...],
        EachOnce,
        Field(
            min_length=1,
            description="largest changes tried in turn within an attempt, each from where the smaller one ended, until "
            "the confidence is reached; those above the attempt's own largest are left out, and that one is always tried",
        ),
    ] = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 255)
    linf_max_on: Annotated[
        Literal["last_attempt", "every_attempt"],
        Field(description="which attempts may go on from linf_preferred to linf_max"),
    ] = "last_attempt"
    step: Annotated[Levels, Field(description="length of a step: RMS change per value, grey levels")] = 1.5
    max_steps: Annotated[Steps, Field(description="at each largest change tried")] = 500
    attempts: Annotated[
        Attempts, Field(description="the first starts at the RE image, a further one at a random point near it")
    ] = 5
    retry_class: Annotated[
        Literal["next", "same"],
        Field(
            description="the wrong class of a further attempt: the next one by the rule of target, and the first one again "
            "in the last attempt; or the first one always"
        ),
    ] = "next"

    @field_validator("linf_max")
    @classmethod
    def _holds_the_preferred(cls, linf_max: int, info: ValidationInfo) -> int:
        preferred = info.data.get("linf_preferred", linf_max)
        if linf_max < preferred:
            raise ValueError(f"at least linf_preferred, which is {preferred}")
        return linf_max


Recipe = Annotated[PicturesRecipe | AdversarialNoiseRecipe | AdversarialInterferenceRecipe, Field(discriminator="kind")]


class StimulusPlan(Plan):
    """The image sets of a study."""

    network: NetworkPlan
    second_network: Annotated[
        NetworkPlan | None, Field(description="an independent network whose labels are reported")
    ] = None
    size_px: Annotated[
        int, Field(strict=True, ge=32, le=4096, description="side of every image: the pixel grid all sets share")
    ]
    pictures: Annotated[PictureBookSource | FolderSource, Field(discriminator="kind")]
    n_categories: Annotated[int, Field(strict=True, ge=2, le=10_000)]
    sets: Annotated[dict[Label, Recipe], Field(min_length=1)]
