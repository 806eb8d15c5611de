"""Label adversaries: Szegedy's least change, the fast gradient methods, projected gradients, label-opt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from protocols.image_sets import LabelAdversaryRecipe
from stimuli.judging import Judged
from stimuli.networks.network import Network
from stimuli.planners.planner import RecipePlanner, Verdict, Wanted
from stimuli.synthesis.constraints import Constraint, L2Ball, LInfBall, PixelRange
from stimuli.synthesis.engine import Job, Method, Outcome
from stimuli.synthesis.ensembles import MeanAndLeast
from stimuli.synthesis.lbfgsb import BoxLbfgs
from stimuli.synthesis.objectives import (
    CrossEntropy,
    LogOfOthers,
    LogPosterior,
    MeanLogPosterior,
    Near,
    Objective,
    Vote,
)
from stimuli.synthesis.optimisers import NormalisedGradient, Optimiser, SignGradient
from stimuli.synthesis.starts import ByteImage, from_image, within_ball, within_sphere
from stimuli.synthesis.stopping import StopRule

# Szegedy's weight of the change, per squared grey level: searched between these.
LEAST_WEIGHT, LARGEST_WEIGHT = 1e-7, 1e-1


@dataclass(frozen=True)
class Search:
    """Where Szegedy's search for the weight stands: the largest at which the minimiser still fools is sought.

    low, high : weights whose minimiser fools, and does not.
    rounds    : weights tried.
    best      : the image of the least change that fools; None yet.
    distance  : its Euclidean distance from the source, grey levels.
    """

    low: float = LEAST_WEIGHT
    high: float = LARGEST_WEIGHT
    rounds: int = 0
    best: ByteImage | None = None
    distance: float = math.inf

    @property
    def weight(self) -> float:
        """The next to try: the smallest first, then in the middle of the interval (on a log scale)."""
        return self.low if self.rounds == 0 else math.sqrt(self.low * self.high)

    def after(self, outcome: Outcome, fools: bool) -> Search:
        """What one more outcome shows, and whether its image, rounded, is what is asked for."""
        weight, rounds = self.weight, self.rounds + 1
        if not fools:
            return replace(self, high=weight, rounds=rounds)
        source = outcome.job.centre.transpose(1, 2, 0)
        distance = float(np.linalg.norm(outcome.image.astype(np.float64) - source))
        found = replace(self, low=weight, rounds=rounds)
        return found if distance >= self.distance else replace(found, best=outcome.image, distance=distance)


@dataclass(frozen=True)
class LabelPlanner(RecipePlanner[LabelAdversaryRecipe]):
    """From a source to a wrong class (or away from its own), against one network or several.

    Szegedy et al. 2014, section 4.1; Goodfellow et al. 2015, section 4; Madry et al. 2018, eq. 2.1; Sabour et al. 2016
    (label-opt).

    ensemble : the networks that are attacked together; empty: the study's own.
    """

    ensemble: tuple[Network, ...] = ()

    @property
    def away(self) -> bool:
        """Whether any class but the source's own will do."""
        return self.recipe.target == "away"

    @property
    def is_euclidean(self) -> bool:
        """Whether the ball is a sphere; its epsilon is a root mean square then."""
        return self.recipe.norm == "l2"

    @property
    def method(self) -> Method:
        """Objective, room and steps of the attack."""
        epsilon, attack = self.recipe.epsilon, self.recipe.attack
        objective, as_is = self._objective(), not_rounded(attack)
        if attack == "szegedy":
            objective = Near(objective)
        constraints: dict[str, Constraint] = {"szegedy": PixelRange(), "fast_gradient": PixelRange()}
        optimisers: dict[str, Optimiser] = {
            "szegedy": BoxLbfgs(),
            "label_opt": BoxLbfgs(),
            "fgsm": SignGradient(epsilon),
            "fast_gradient": NormalisedGradient(epsilon),
            "pgd": NormalisedGradient(self.recipe.step) if self.is_euclidean else SignGradient(self.recipe.step),
        }
        if self.is_euclidean:
            constraints["pgd"] = L2Ball()
        return Method(objective, constraints.get(attack, LInfBall()), optimisers[attack], reads_rounded=not as_is)

    def _objective(self) -> Objective:
        if self.away:
            loss = LogOfOthers if self.recipe.attack == "szegedy" else CrossEntropy
            return MeanAndLeast(tuple(loss(network) for network in self.attacked))
        if len(self.attacked) == 1:
            return LogPosterior(self.attacked[0])
        return Vote(self.attacked) if self.recipe.ensemble == "vote" else MeanLogPosterior(self.attacked)

    @property
    def attacked(self) -> tuple[Network, ...]:
        """The networks that are to be fooled."""
        return self.ensemble or (self.network,)

    def target(self, wanted: Wanted, attempt: int, named: str) -> str:
        """The wrong class; away from the source's own, the class that the network gives."""
        return named if self.away else wanted.targets[0]

    def first(self, wanted: Wanted, attempt: int) -> Job:
        """From the source, or anywhere in the ball around it."""
        centre, recipe = from_image(wanted.source), self.recipe
        start = centre
        radius = recipe.epsilon * math.sqrt(centre.size) if self.is_euclidean else recipe.epsilon
        if recipe.attack == "pgd" and recipe.random_start:
            anywhere = within_sphere if self.is_euclidean else within_ball
            start = anywhere(centre, radius, self.draw(wanted, attempt))
        goal = self.goal(wanted.category.network_class if self.away else wanted.targets[0])
        search = Search() if recipe.attack == "szegedy" else None
        weight = search.weight if search else 0.0
        return Job(wanted.stim_id, start, centre, radius, goal, self._stop(), weight, search)

    def _stop(self) -> StopRule:
        recipe = self.recipe
        if recipe.attack in ("fgsm", "fast_gradient"):
            return StopRule(None, 1, patience=2)
        if recipe.attack == "szegedy":  # every weight to its minimiser: what it is worth is judged there
            return StopRule(None, recipe.max_steps, patience=recipe.patience or 10, least_gain=0.01)
        # all their steps, as published, unless a confidence is asked for
        return StopRule(recipe.confidence, recipe.max_steps, patience=recipe.patience or recipe.max_steps)

    def next(self, outcome: Outcome, attempt: int) -> Job | None:
        """Szegedy: the search for the largest weight of the change whose minimiser still fools."""
        further = self._searched(outcome)
        if further is None or further.best is None or further.rounds > self.recipe.weights_tried:
            return None
        job = outcome.job
        return replace(job, start=job.centre, weight=further.weight, memory=further)

    def image(self, outcome: Outcome) -> ByteImage:
        """Of Szegedy's search the least change that fools; else the last job's image."""
        further = self._searched(outcome)
        return outcome.image if further is None or further.best is None else further.best

    def _searched(self, outcome: Outcome) -> Search | None:
        """Szegedy's search with one more outcome, judged as its file would be; None for other attacks."""
        search = outcome.job.memory
        if not isinstance(search, Search):
            return None
        label = self.network.labels[int(outcome.job.goal)]
        return search.after(
            outcome, self._fool([self._says(one, outcome.image, label) for one in self.attacked], label)
        )

    def verdict(self, wanted: Wanted, attempt: int, judged: Judged) -> Verdict:
        """The target is named, or the source's own class is not: by every network, or in a vote by more than half."""
        label = wanted.category.network_class if self.away else wanted.targets[0]
        told = (judged.label, judged.confidence)
        says = [told if one is self.network else self._says(one, judged.image, label) for one in self.attacked]
        return Verdict(self._fool(says, label))

    def _says(self, network: Network, image: ByteImage, label: str) -> tuple[str, float]:
        """The class that a network gives an image, and its posterior of `label`."""
        (row,) = network.probabilities(image[None], batch_size=1)
        return network.labels[int(row.argmax())], float(row[network.label_index(label)])

    def _fool(self, says: Sequence[tuple[str, float]], label: str) -> bool:
        """Whether what the networks say of an image is enough of them fooled; `label` is the target, or the own class."""
        least = self.recipe.confidence or 0.0
        fooled = [named != label if self.away else named == label and of_it >= least for named, of_it in says]
        return 2 * sum(fooled) > len(fooled) if self.recipe.ensemble == "vote" else all(fooled)


def not_rounded(attack: str) -> bool:
    """Whether an attack reads its images as they are: those that search lines, and PGD as it is published."""
    return attack in ("szegedy", "label_opt", "pgd")
