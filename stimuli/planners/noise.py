"""Adversarial noise (AN), and noise alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.image_sets import AdversarialNoiseRecipe, NoiseRecipe
from stimuli.judging import Judged
from stimuli.planners.ascents import ascent
from stimuli.planners.planner import RecipePlanner, Verdict, Wanted, is_named
from stimuli.synthesis.constraints import PixelRange
from stimuli.synthesis.engine import Job, Method
from stimuli.synthesis.optimisers import Adam, NguyenRule, NormalisedGradient, Optimiser
from stimuli.synthesis.starts import NOISE, ByteImage, mean_image
from stimuli.synthesis.stopping import StopRule


@dataclass(frozen=True)
class NoisePlanner(RecipePlanner[AdversarialNoiseRecipe]):
    """Adversarial noise: from the mean image and noise up the posterior of the paired class.

    Nguyen et al. 2015 (gradient ascent); Zhang et al. 2018, Stimuli; with `mean_weight`, Zhang et al. 2021.
    """

    @property
    def method(self) -> Method:
        """Steps by the recipe's rule, within the pixel range."""
        recipe = self.recipe
        climbs = "posterior" if recipe.rule == "nguyen2015" else recipe.ascends
        rules: dict[str, Optimiser] = {
            "normalised": NormalisedGradient(recipe.step),
            "nguyen2015": NguyenRule(recipe.rise, recipe.late_rise, recipe.decay),
            "adam": Adam(recipe.step),
        }
        return Method(ascent(climbs, self.network, recipe.mean_weight), PixelRange(), rules[recipe.rule])

    def first(self, wanted: Wanted, attempt: int) -> Job:
        """From the network's mean image and noise of this attempt's seed."""
        mean = mean_image(self.network.preprocessing.mean, len(wanted.source))
        start = NOISE[self.recipe.start](mean, self.recipe.noise_sd, self.draw(wanted, attempt))
        stop = StopRule(self.recipe.confidence, self.recipe.max_steps, self.recipe.patience)
        goal = self.goal(wanted.targets[0])
        return Job(wanted.stim_id, start, mean, 255.0, goal, stop, self.recipe.mean_weight)

    def verdict(self, wanted: Wanted, attempt: int, judged: Judged) -> Verdict:
        """The paired class, with the confidence."""
        return Verdict(is_named(judged, wanted.targets[0], self.recipe.confidence))


@dataclass(frozen=True)
class NoiseAlonePlanner(RecipePlanner[NoiseRecipe]):
    """Noise around the mean image that the network is not sure of: adversarial noise of generation 0."""

    def drawn(self, wanted: Wanted, attempt: int) -> ByteImage:
        """Noise of this attempt's seed."""
        mean = mean_image(self.network.preprocessing.mean, len(wanted.source))
        noise = NOISE[self.recipe.start](mean, self.recipe.noise_sd, self.draw(wanted, attempt))
        return np.ascontiguousarray(np.rint(noise).astype(np.uint8).transpose(1, 2, 0))

    def verdict(self, wanted: Wanted, attempt: int, judged: Judged) -> Verdict:
        """No class is likelier than the recipe allows."""
        return Verdict(judged.largest <= self.recipe.most_confidence)
