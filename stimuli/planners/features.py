"""Feature adversaries, and the inversion of a representation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.image_sets import FeatureAdversaryRecipe, InversionRecipe
from stimuli.judging import Judged
from stimuli.networks.network import Network
from stimuli.planners.planner import RecipePlanner, Verdict, Wanted
from stimuli.synthesis.constraints import LInfBall, PixelRange
from stimuli.synthesis.engine import Job, Method
from stimuli.synthesis.lbfgsb import BoxLbfgs
from stimuli.synthesis.objectives import FeatureLinear, FeatureMatch, Inversion
from stimuli.synthesis.optimisers import Adam, SignGradient
from stimuli.synthesis.starts import ByteImage, from_image, mean_image, with_noise
from stimuli.synthesis.stopping import StopRule


@dataclass(frozen=True)
class FeaturePlanner(RecipePlanner[FeatureAdversaryRecipe]):
    """A source, hardly changed, with the representation of a guide (Sabour et al. 2016, eqs 1-2).

    seen_by : the network whose layer it is; the study's own, or one with random weights.
    """

    seen_by: Network

    @property
    def method(self) -> Method:
        """Quasi-Newton or one signed step, within the ball around the source."""
        recipe = self.recipe
        if recipe.method == "feature_fgrad":
            return Method(FeatureMatch(self.seen_by, recipe.layer), LInfBall(), SignGradient(recipe.epsilon))
        objective = FeatureLinear if recipe.method == "feature_linear" else FeatureMatch
        return Method(objective(self.seen_by, recipe.layer), LInfBall(), BoxLbfgs(), reads_rounded=False)

    def first(self, wanted: Wanted, attempt: int) -> Job:
        """From the source toward the guide's representation."""
        source, recipe = from_image(wanted.source), self.recipe
        steps = 1 if recipe.method == "feature_fgrad" else recipe.max_steps
        patience = recipe.patience or max(20, steps // 4)
        stop = StopRule(None, steps, patience, least_gain=0.0)
        goal = represented(self.seen_by, recipe.layer, guide_of(wanted))
        return Job(wanted.stim_id, source, source, recipe.epsilon, goal, stop)

    def verdict(self, wanted: Wanted, attempt: int, judged: Judged) -> Verdict:
        """Its distance to the guide, relative to the source's own: d(α, g) / d(s, g)."""
        images = np.stack([judged.image, wanted.source, guide_of(wanted)])
        adversary, source, guide = self.seen_by.activations(images, [self.recipe.layer])[self.recipe.layer]
        apart = float(np.linalg.norm(source - guide))
        ratio = float(np.linalg.norm(adversary - guide)) / apart if apart else float("inf")
        return Verdict(ratio < self.recipe.ratio, ratio)


@dataclass(frozen=True)
class InversionPlanner(RecipePlanner[InversionRecipe]):
    """An image from noise with the representation of a source (Mahendran & Vedaldi 2015)."""

    @property
    def method(self) -> Method:
        """Adam within the pixel range."""
        recipe = self.recipe
        objective = Inversion(
            self.network, recipe.layer, alpha_weight=recipe.range_weight, beta_weight=recipe.variation_weight
        )
        return Method(objective, PixelRange(), Adam(recipe.step))

    def first(self, wanted: Wanted, attempt: int) -> Job:
        """From the mean image and noise."""
        mean = mean_image(self.network.preprocessing.mean, len(wanted.source))
        start = with_noise(mean, self.recipe.noise_sd, self.draw(wanted, attempt))
        goal = represented(self.network, self.recipe.layer, wanted.source)
        stop = StopRule(None, self.recipe.max_steps, patience=self.recipe.max_steps)
        return Job(wanted.stim_id, start, mean, 255.0, goal, stop)

    def verdict(self, wanted: Wanted, attempt: int, judged: Judged) -> Verdict:
        """The relative squared error of its representation."""
        images = np.stack([judged.image, wanted.source])
        found, source = self.network.activations(images, [self.recipe.layer])[self.recipe.layer]
        ratio = float(np.square(found - source).sum() / max(float(np.square(source).sum()), 1e-12))
        return Verdict(ratio < self.recipe.error, ratio)


def represented(network: Network, layer: str, image: ByteImage) -> npt.NDArray[np.float32]:
    """The response of a layer to one image, (n_units,)."""
    return np.asarray(network.activations(image[None], [layer])[layer][0], dtype=np.float32)


def guide_of(wanted: Wanted) -> ByteImage:
    """The guide's pixels."""
    if wanted.guide is None:
        raise ValueError(f"{wanted.stim_id}: a feature adversary needs a guide")
    return wanted.guide
