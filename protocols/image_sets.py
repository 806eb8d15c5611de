"""The image sets of a study file: the recipe of each set, and what all of them share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from protocols.image_sources import FolderSource, NetworkPlan, PictureBookSource, ReferencesPlan
from protocols.schema import EachOnce, Flag, Inside, Label, Plan, Share, Text

Radius = Annotated[int, Field(strict=True, ge=1, le=255)]
Levels = Annotated[float, Field(strict=True, gt=0, le=255)]
Steps = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Attempts = Annotated[int, Field(strict=True, ge=1, le=1000)]
Weight = Annotated[float, Field(strict=True, ge=0, le=1e6)]
WrongClass = Annotated[
    Literal["other_animacy", "random", "least_likely"],
    Field(description="the wrong class: next class of the other animacy, a random one, or the network's least likely"),
]
StartingNoise = Annotated[
    Literal["gaussian", "uniform", "uniform_range"],
    Field(
        description="independent for every value, of SD noise_sd; uniform: from -1.73 SD to 1.73 SD; uniform_range: from 0 to "
        "255, whatever noise_sd and the mean image"
    ),
]
Targets = Annotated[
    dict[Text, Text],
    Field(description="the wrong class of single categories, by name, in place of the rule's first"),
]
Ascends = Annotated[
    Literal["log_odds", "log_posterior", "posterior"],
    Field(
        description="what is made large. All three have gradients along the same line; it matters beside a weighted distance"
    ),
]


class _Recipe(Plan):
    """What every recipe says of its images.

    has_correct_answer : whether a person can see what its category is.
    changes_source     : whether its images are their source, changed.
    """

    has_correct_answer: ClassVar[bool] = True
    changes_source: ClassVar[bool] = False


class _MayFail(_Recipe):
    """A recipe whose criterion some images may be expected not to meet."""

    failures_expected: Annotated[
        Flag, Field(description="images that do not meet the criterion are told of, and do not make the set wanting")
    ] = False


class PicturesRecipe(_Recipe):
    """Regular images (RE): pictures as they are, on the network's pixel grid."""

    kind: Literal["pictures"]


class AdversarialNoiseRecipe(_Recipe):
    """Adversarial noise (AN): from the mean image and noise up the posterior of the paired class (Nguyen 2015)."""

    has_correct_answer: ClassVar[bool] = False  # noise shows nothing that could be recognised

    kind: Literal["adversarial_noise"]
    source: Label = "RE"
    confidence: Annotated[Inside, Field(description="posterior to reach")] = 0.99
    start: StartingNoise = "gaussian"
    noise_sd: Annotated[Levels, Field(description="SD of the starting noise, grey levels 0-255")] = 10.0
    rule: Annotated[
        Literal["normalised", "nguyen2015", "adam"],
        Field(description="how it climbs: steps of one length; Nguyen's step rule with its decay; or Adam"),
    ] = "normalised"
    rise: Annotated[Inside, Field(description="nguyen2015: rise of the posterior that a step aims at")] = 0.03
    late_rise: Annotated[
        Inside, Field(description="nguyen2015: or this times what is left to certainty, where that is less")
    ] = 0.1
    decay: Annotated[
        Share, Field(description="nguyen2015: share of the distance from the mean image lost in a step")
    ] = 0.01
    step: Annotated[Levels, Field(description="length of a step: RMS change per pixel, grey levels")] = 1.0
    ascends: Annotated[Ascends, Field(description="for the other rules; nguyen2015 is on the posterior")] = "log_odds"
    mean_weight: Annotated[
        Weight,
        Field(description="weight of the squared distance from the mean image, per grey level squared (Zhang 2021)"),
    ] = 0.0
    max_steps: Steps = 1000
    patience: Annotated[
        Steps, Field(description="steps in which what it ascends must rise by 0.05, else the attempt ends")
    ] = 100
    attempts: Annotated[Attempts, Field(description="each starts at noise of its own")] = 5


class AdversarialInterferenceRecipe(_Recipe):
    """Adversarial interference (AI): from the RE image to a wrong class, the change kept small (Zhang 2018)."""

    changes_source: ClassVar[bool] = True

    kind: Literal["adversarial_interference"]
    source: Label = "RE"
    confidence: Annotated[Inside, Field(description="posterior to reach")] = 0.99
    target: WrongClass = "other_animacy"
    targets: Targets = Field(default_factory=dict)
    ascends: Ascends = "log_odds"
    source_weight: Annotated[
        Weight, Field(description="weight of the squared distance from the source, per grey level squared (Zhang 2021)")
    ] = 0.0
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
    linf_refined: Annotated[
        Flag,
        Field(
            description="after the first of linf_tried that will do, the whole grey levels between it and the largest that "
            "would not are tried by halves; the smallest that will do is kept"
        ),
    ] = True
    linf_max_on: Annotated[
        Literal["last_attempt", "every_attempt"],
        Field(description="which attempts may go on from linf_preferred to linf_max"),
    ] = "last_attempt"
    step: Annotated[Levels, Field(description="length of a step: RMS change per value, grey levels")] = 1.5
    max_steps: Annotated[Steps, Field(description="at each largest change tried")] = 500
    patience: Annotated[
        Steps,
        Field(
            description="steps in which what it ascends must rise by 0.05, else the next largest change is tried (5 steps and 0.5 "
            "below linf_preferred; 10 steps and 0.2 where linf_refined tries a smaller one)"
        ),
    ] = 20
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


class LabelAdversaryRecipe(_MayFail):
    """Label adversaries: the smallest or the quickest change that makes a network, or several, say another class."""

    changes_source: ClassVar[bool] = True

    kind: Literal["label_adversary"]
    source: Label = "RE"
    attack: Annotated[
        Literal["szegedy", "fgsm", "fast_gradient", "pgd", "label_opt"],
        Field(
            description="szegedy: least change, quasi-Newton within the pixel range (Szegedy 2014); fgsm: one step along the "
            "gradient's sign (Goodfellow 2015); fast_gradient: one step along the gradient; pgd: many steps within the "
            "ball (Madry 2018); label_opt: quasi-Newton within the ball (Sabour 2016)"
        ),
    ]
    target: Annotated[
        Literal["other_animacy", "random", "least_likely", "away"],
        Field(description="the wrong class, as for adversarial_interference; away: any but the source's own"),
    ] = "other_animacy"
    targets: Targets = Field(default_factory=dict)
    epsilon: Annotated[
        Levels,
        Field(
            description="largest change of a value, grey levels (fast_gradient and norm l2: root mean square change); szegedy has "
            "none"
        ),
    ] = 8.0
    norm: Annotated[
        Literal["linf", "l2"],
        Field(
            description="pgd: the ball that epsilon is of; l2: Euclidean, with steps along the gradient in place of its sign "
            "(Madry 2018)"
        ),
    ] = "linf"
    step: Annotated[
        Levels,
        Field(description="pgd: change of every value in a step, grey levels (norm l2: root mean square change)"),
    ] = 1.0
    random_start: Annotated[Flag, Field(description="pgd: begin anywhere in the ball, not at the source")] = False
    max_steps: Annotated[Steps, Field(description="fgsm and fast_gradient take one")] = 100
    patience: Annotated[
        Steps | None,
        Field(description="steps without gain, then it ends; None: 10 for szegedy, else all steps, as published"),
    ] = None
    confidence: Annotated[
        Inside | None, Field(description="posterior of the target that counts as success; None: it need only be named")
    ] = None
    networks: Annotated[
        tuple[NetworkPlan, ...], Field(description="attacked together; empty: the study's network alone")
    ] = ()
    ensemble: Annotated[
        Literal["mean_log_posterior", "vote"],
        Field(
            description="of several networks: the mean of their log posteriors (success: each names the target), or as many "
            "as possible that name it (success: more than half do)",
            validate_default=True,
        ),
    ] = "mean_log_posterior"
    weights_tried: Annotated[
        Attempts,
        Field(
            description="szegedy: halvings of the interval of the weight of the change, for the largest whose minimiser fools"
        ),
    ] = 8

    @field_validator("norm")
    @classmethod
    def _is_of_a_ball(cls, norm: str, info: ValidationInfo) -> str:
        if norm == "l2" and info.data.get("attack") != "pgd":
            raise ValueError("linf; l2 is for attack: pgd")
        return norm

    @field_validator("targets")
    @classmethod
    def _are_not_away(cls, targets: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if targets and info.data.get("target") == "away":
            raise ValueError("none with target: away, which has no target class")
        return targets

    @field_validator("ensemble")
    @classmethod
    def _votes_for_a_class(cls, ensemble: str, info: ValidationInfo) -> str:
        if ensemble == "vote" and info.data.get("target") == "away":
            raise ValueError("mean_log_posterior with target: away; a vote is for a target class")
        return ensemble


class FeatureAdversaryRecipe(_MayFail):
    """Feature adversaries: a source, hardly changed, whose inner representation is another image's (Sabour 2016)."""

    changes_source: ClassVar[bool] = True

    kind: Literal["feature_adversary"]
    source: Label = "RE"
    guide: Annotated[
        Literal["other_animacy", "random"],
        Field(
            description="whose representation it takes: the next regular image of the other animacy, or a random one"
        ),
    ] = "other_animacy"
    layer: Text
    epsilon: Annotated[Levels, Field(description="largest change of a value, grey levels")] = 10.0
    method: Annotated[
        Literal["lbfgs", "feature_fgrad", "feature_linear"],
        Field(
            description="lbfgs: quasi-Newton within the ball; feature_fgrad: one signed step; feature_linear: the best change "
            "for the layer's linear approximation at the source"
        ),
    ] = "lbfgs"
    max_steps: Steps = 500
    patience: Annotated[
        Steps | None,
        Field(
            description="steps in which the distance must shrink, else it ends; None: a quarter of max_steps, 20 at least"
        ),
    ] = None
    network: Annotated[
        NetworkPlan | None, Field(description="weights may be random or random_orthonormal; None: the study's network")
    ] = None
    ratio: Annotated[
        Inside, Field(description="success: distance to the guide, relative to the source's own distance, below this")
    ] = 0.5


class InversionRecipe(_MayFail):
    """What a layer holds of an image: another image with the same representation (Mahendran & Vedaldi 2015)."""

    has_correct_answer: ClassVar[bool] = False  # what can still be seen is the question

    kind: Literal["inversion"]
    source: Label = "RE"
    layer: Text
    noise_sd: Annotated[Levels, Field(description="SD of the starting noise around the mean image, grey levels")] = 10.0
    step: Annotated[Levels, Field(description="of Adam, grey levels")] = 2.0
    max_steps: Steps = 400
    range_weight: Annotated[Weight, Field(description="weight of the norm that keeps values in range")] = 1e-6
    variation_weight: Annotated[Weight, Field(description="weight of the total variation")] = 1e-4
    error: Annotated[Inside, Field(description="success: relative squared error of the representation below this")] = (
        0.2
    )


class ControlRecipe(_Recipe):
    """The same change made meaningless: shuffled, flipped, signs or phases at random, at equal Euclidean length."""

    changes_source: ClassVar[bool] = True

    kind: Literal["control"]
    of: Annotated[Label, Field(description="the set whose changes are taken, e.g. AI")]
    change: Literal["shuffled", "flipped", "sign_randomised", "phase_scrambled"]


class NoiseRecipe(_Recipe):
    """Noise alone, which the network is not sure of: the start of adversarial noise, before any optimisation."""

    has_correct_answer: ClassVar[bool] = False

    kind: Literal["noise"]
    source: Label = "RE"
    start: StartingNoise = "gaussian"
    noise_sd: Annotated[Levels, Field(description="SD around the mean image, grey levels")] = 10.0
    most_confidence: Annotated[Inside, Field(description="largest posterior of any class")] = 0.5
    attempts: Attempts = 100


Recipe = Annotated[
    PicturesRecipe
    | AdversarialNoiseRecipe
    | AdversarialInterferenceRecipe
    | LabelAdversaryRecipe
    | FeatureAdversaryRecipe
    | InversionRecipe
    | ControlRecipe
    | NoiseRecipe,
    Field(discriminator="kind"),
]


def made_from(recipe: Recipe) -> str | None:
    """The set that must be there before a recipe's; None for pictures."""
    return recipe.of if isinstance(recipe, ControlRecipe) else getattr(recipe, "source", None)


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
    references: Annotated[
        ReferencesPlan | None, Field(description="nothing: no activations of further pictures are written")
    ] = None
    n_categories: Annotated[int, Field(strict=True, ge=2, le=10_000)]
    batch_size: Annotated[
        int | None,
        Field(strict=True, ge=1, le=1024, description="images a step; None: chosen from the device and its memory"),
    ] = None
    sets: Annotated[dict[Label, Recipe], Field(min_length=1)]
