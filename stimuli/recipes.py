"""The recipes of a study as jobs for the engine: adversarial noise (AN) and adversarial interference (AI)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from protocols.image_sets import AdversarialInterferenceRecipe, AdversarialNoiseRecipe
from protocols.problems import FoolscanError
from protocols.seeds import generator_for
from stimuli.networks.network import Network
from stimuli.pictures import PictureCategory
from stimuli.synthesis.constraints import LInfBall, PixelRange
from stimuli.synthesis.engine import Job, Method, Outcome
from stimuli.synthesis.objectives import LogOdds
from stimuli.synthesis.optimisers import NormalisedGradient
from stimuli.synthesis.starts import ByteImage, from_image, mean_image, with_noise, within_ball
from stimuli.synthesis.stopping import StopRule

RecipeType = TypeVar("RecipeType", AdversarialNoiseRecipe, AdversarialInterferenceRecipe)


@dataclass(frozen=True)
class Wanted:
    """An image to be made.

    stim_id   : ``AN-otter``.
    category  : of the regular image it comes from or is paired with.
    source_id : that image.
    source    : (height, width, 3), its pixels as read from disk.
    targets   : classes of the network in order of preference; AN has one.
    """

    stim_id: str
    category: PictureCategory
    source_id: str
    source: ByteImage
    targets: tuple[str, ...]


class Planner(Protocol):
    """Turns wanted images into jobs, and says what to try next."""

    @property
    def method(self) -> Method:
        """How its jobs are run."""

    @property
    def confidence(self) -> float:
        """The posterior to reach."""

    @property
    def attempts(self) -> int:
        """Seeds that may be tried."""

    def target(self, wanted: Wanted, attempt: int) -> str:
        """The class that an attempt (from 0) is for."""

    def first(self, wanted: Wanted, attempt: int) -> Job:
        """The job that begins an attempt."""

    def next(self, outcome: Outcome, attempt: int) -> Job | None:
        """The job that goes on within an attempt; None when the attempt is over."""


def attempt_id(stim_id: str, attempt: int) -> str:
    """What the seed of an attempt is drawn for (see `seed_for`)."""
    return f"stimulus/{stim_id}/attempt-{attempt}"


@dataclass(frozen=True)
class _RecipePlanner(Generic[RecipeType]):
    """What planners share: a recipe, the network it is for, and the seed of the study."""

    recipe: RecipeType
    network: Network
    study_seed: int

    @property
    def confidence(self) -> float:
        """The posterior to reach."""
        return self.recipe.confidence

    @property
    def attempts(self) -> int:
        """Seeds that may be tried."""
        return self.recipe.attempts

    def draw(self, wanted: Wanted, attempt: int) -> np.random.Generator:
        """Where the chance of an attempt comes from."""
        return generator_for(self.study_seed, attempt_id(wanted.stim_id, attempt))

    def goal(self, label: str) -> np.int64:
        """The network's output for a class."""
        return np.int64(self.network.label_index(label))


@dataclass(frozen=True)
class NoisePlanner(_RecipePlanner[AdversarialNoiseRecipe]):
    """Adversarial noise: from the mean image and Gaussian noise up the posterior of the paired class.

    Nguyen et al. 2015 (gradient ascent); Zhang et al. 2018, Stimuli.
    """

    @property
    def method(self) -> Method:
        """Normalised gradient steps within the pixel range."""
        return Method(LogOdds(self.network), PixelRange(), NormalisedGradient(self.recipe.step))

    def target(self, wanted: Wanted, attempt: int) -> str:
        """The class of the paired regular image."""
        return wanted.targets[0]

    def first(self, wanted: Wanted, attempt: int) -> Job:
        """From the network's mean image and noise of this attempt's seed."""
        mean = mean_image(self.network.preprocessing.mean, len(wanted.source))
        start = with_noise(mean, self.recipe.noise_sd, self.draw(wanted, attempt))
        goal = self.goal(self.target(wanted, attempt))
        return Job(wanted.stim_id, start, mean, 255.0, goal, StopRule(self.confidence, self.recipe.max_steps, 100))

    def next(self, outcome: Outcome, attempt: int) -> None:
        """An attempt is one ascent."""
        return


@dataclass(frozen=True)
class InterferencePlanner(_RecipePlanner[AdversarialInterferenceRecipe]):
    """Adversarial interference: from the regular image to a wrong class, in the smallest L-infinity ball that will do.

    Zhang et al. 2018, Stimuli; the paper gives neither bound nor class, so the search is ours, and the recipe states it:
    an attempt tries the radii of `linf_tried` up to its largest, each from where the smaller one ended; `linf_max_on`
    says which attempts may go beyond `linf_preferred`; a further attempt begins at a random point near the image, and
    `retry_class` says what class it is for.
    """

    @property
    def method(self) -> Method:
        """Normalised gradient steps within the ball."""
        return Method(LogOdds(self.network), LInfBall(), NormalisedGradient(self.recipe.step))

    def is_last(self, attempt: int) -> bool:
        """Whether no attempt follows this one (from 0)."""
        return attempt == self.attempts - 1

    def radii(self, attempt: int) -> tuple[int, ...]:
        """The radii that an attempt may use, in order."""
        recipe = self.recipe
        goes_beyond = recipe.linf_max_on == "every_attempt" or self.is_last(attempt)
        largest = recipe.linf_max if goes_beyond else recipe.linf_preferred
        return tuple(
            sorted({radius for radius in recipe.linf_tried if radius <= largest} | {recipe.linf_preferred, largest})
        )

    def target(self, wanted: Wanted, attempt: int) -> str:
        """The attempt's class: the first, or down the order of preference and at last the first again."""
        if self.recipe.retry_class == "same" or self.is_last(attempt):
            return wanted.targets[0]
        return wanted.targets[attempt % len(wanted.targets)]

    def first(self, wanted: Wanted, attempt: int) -> Job:
        """From the regular image itself; at later attempts from a random point near it."""
        centre, radius = from_image(wanted.source), self.radii(attempt)[0]
        start = centre if attempt == 0 else within_ball(centre, radius, self.draw(wanted, attempt))
        goal = self.goal(self.target(wanted, attempt))
        return Job(wanted.stim_id, start, centre, float(radius), goal, self._stop(radius))

    def next(self, outcome: Outcome, attempt: int) -> Job | None:
        """On from where the smaller ball gave no more, in the next larger one."""
        wider = [radius for radius in self.radii(attempt) if radius > outcome.job.radius]
        if outcome.verdict == "reached" or not wider:
            return None
        job, radius = outcome.job, wider[0]
        return Job(job.job_id, outcome.position, job.centre, float(radius), job.goal, self._stop(radius))

    def _stop(self, radius: int) -> StopRule:
        """Small balls are left soon; from the preferred radius on there is more patience."""
        if radius < self.recipe.linf_preferred:
            return StopRule(self.confidence, self.recipe.max_steps, patience=5, least_gain=0.5)
        return StopRule(self.confidence, self.recipe.max_steps, patience=20, least_gain=0.05)


def planner_for(
    recipe: AdversarialNoiseRecipe | AdversarialInterferenceRecipe, network: Network, study_seed: int
) -> Planner:
    """The planner of a recipe."""
    if isinstance(recipe, AdversarialNoiseRecipe):
        return NoisePlanner(recipe, network, study_seed)
    return InterferencePlanner(recipe, network, study_seed)


def wrong_classes(
    rule: str,
    categories: Sequence[PictureCategory],
    network: Network,
    posteriors: npt.NDArray[np.float64],
    draws: Mapping[str, np.random.Generator],
) -> list[tuple[str, ...]]:
    """The wrong classes that each category's image may be given, in order of preference.

    rule       : 'other_animacy': the study's classes of the other animacy, for the k-th animal from the k-th class that
                 is no animal on, round, and vice versa; 'random': the network's other classes in random order;
                 'least_likely': the same from the least posterior up.
    categories : (n_categories,).
    posteriors : (n_categories, n_classes), the network's for the regular images.
    draws      : for each category's name, what the random order is drawn from.

    Raises FoolscanError when there is no class of the other animacy, or the rule gives a category its own class.
    """
    if rule == "other_animacy":
        return [_other_animacy(category, categories) for category in categories]
    if rule == "least_likely":
        orders = list(np.argsort(posteriors, axis=1, kind="stable"))
    else:
        orders = [draws[category.name].permutation(len(network.labels)) for category in categories]
    return [
        tuple(network.labels[int(index)] for index in order if network.labels[int(index)] != category.network_class)
        for category, order in zip(categories, orders, strict=True)
    ]


def _other_animacy(category: PictureCategory, categories: Sequence[PictureCategory]) -> tuple[str, ...]:
    place = [c for c in categories if c.animal is category.animal].index(category)
    others = [c.network_class for c in categories if c.animal is not category.animal]
    if not others:
        what = "an animal" if category.animal else "no animal"
        raise FoolscanError(
            f"target other_animacy: every category of the study is {what}; use target: random or least_likely"
        )
    if category.network_class in others:
        raise FoolscanError(
            f"target other_animacy: network_class {category.network_class!r} of {category.name} is given to an animal and "
            "to something else, so the target could be the source's own class: mend the table of labels"
        )
    first = place % len(others)
    return (*others[first:], *others[:first])
