"""What synthesis ascends: one value for each image of a batch, differentiable with respect to the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Reads(Protocol):
    """A network as objectives see it."""

    def logits(self, images: Tensor) -> Tensor:
        """(n_images, 3, height, width) on the 0-255 scale to (n_images, n_classes)."""

    def responses(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """The responses of layers to the images, (n_images, ...) each."""


@dataclass(frozen=True)
class Sought:
    """What every image of a batch is after.

    goals   : (n_images, ...), what `Job.goal` holds: a class index, or a pattern of features.
    centres : (n_images, 3, height, width), grey levels: the image it is compared with (a source, a mean image).
    weights : (n_images,), of the squared distance from the centre, per squared grey level.
    """

    goals: Tensor
    centres: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Reading:
    """What an objective says of a batch.

    values : (n_images,), to be made large; the gradient is taken of their sum, never of their mean.
    scores : (n_images,), what the stop rule compares with its criterion, e.g. a posterior.
    """

    values: Tensor
    scores: Tensor


class Objective(Protocol):
    """Reads a batch of images against what each is after."""

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """Images (n_images, 3, height, width), 0-255."""


@dataclass(frozen=True)
class LogOdds:
    """Log of p / (1 - p), p the posterior of the goal class (goals: class indices).

    The posterior (Nguyen et al. 2015), its logarithm and its log odds have gradients along the same line, so steps of a
    fixed length are the same for all three; but that of the posterior vanishes where the class is unlikely, and that of
    its logarithm where it is certain.
    """

    network: Reads

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """Log odds as value, posterior as score."""
        of_goal, others = _goal_and_others(self.network.logits(images), sought.goals)
        values = of_goal - others.logsumexp(dim=1)
        return Reading(values, values.sigmoid())


@dataclass(frozen=True)
class LogPosterior:
    """Log of the posterior of the goal class (Zhang et al. 2018): minus the cross-entropy with it."""

    network: Reads

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """Log posterior as value, posterior as score."""
        values = _log_posteriors(self.network, images, sought.goals)
        return Reading(values, values.exp())


@dataclass(frozen=True)
class Posterior:
    """The posterior of the goal class itself, as Nguyen et al. (2015) ascend it."""

    network: Reads

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """The posterior as value and score."""
        values = _log_posteriors(self.network, images, sought.goals).exp()
        return Reading(values, values)


@dataclass(frozen=True)
class CrossEntropy:
    """The loss of the goal class, to be made large: away from it (Goodfellow et al. 2015, section 4)."""

    network: Reads

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """Cross-entropy as value, the posterior of all other classes together as score."""
        values = -_log_posteriors(self.network, images, sought.goals)
        return Reading(values, 1 - (-values).exp())


@dataclass(frozen=True)
class LogOfOthers:
    """Log of the posterior of all classes but the goal class: away from it, as far as will do and no further.

    Unlike `CrossEntropy` it has a gradient where the network is certain of the goal class, and an end.
    """

    network: Reads

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """That logarithm as value, the posterior of all other classes together as score."""
        logits = self.network.logits(images)
        values = _goal_and_others(logits, sought.goals)[1].logsumexp(dim=1) - logits.logsumexp(dim=1)
        return Reading(values, values.exp())


@dataclass(frozen=True)
class MeanLogPosterior:
    """The mean over networks of the log posterior of the goal class; all networks have the same classes."""

    networks: tuple[Reads, ...]

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """The mean log posterior as value, the least posterior among the networks as score."""
        of_networks = torch.stack([_log_posteriors(network, images, sought.goals) for network in self.networks])
        return Reading(of_networks.mean(dim=0), of_networks.amin(dim=0).exp())


@dataclass(frozen=True)
class Vote:
    """As many networks as possible that name the goal class: the mean of how far it is ahead of the next, where it is not.

    margin : logits by which it shall be ahead; a network that is convinced no longer pulls.
    """

    networks: tuple[Reads, ...]
    margin: float = 1.0

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """The mean capped lead as value, the share of networks that name the class as score."""
        leads = torch.stack([self._lead(network.logits(images), sought.goals) for network in self.networks])
        return Reading(leads.clamp_max(self.margin).mean(dim=0), (leads > 0).float().mean(dim=0))

    def _lead(self, logits: Tensor, goals: Tensor) -> Tensor:
        of_goal, others = _goal_and_others(logits, goals)
        return of_goal - others.amax(dim=1)


@dataclass(frozen=True)
class FeatureMatch:
    """Minus the squared distance of a layer's response from a goal pattern (Sabour et al. 2016, eq. 1).

    goals : (n_images, n_units) or in the layer's own shape.
    """

    network: Reads
    layer: str

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """Minus the squared distance as value, minus the distance as score."""
        features = self.network.responses(images, [self.layer])[self.layer].flatten(1)
        squared = (features - sought.goals.flatten(1)).square().sum(dim=1)
        return Reading(-squared, -squared.detach().sqrt())


@dataclass(frozen=True)
class Inversion:
    """An image whose response is a given one, and that is otherwise plain (Mahendran & Vedaldi 2015, eqs 1-4).

    Values are in units of the input around mid-grey (-1 to 1 is 0 to 255).

    alpha, alpha_weight : exponent and weight of the norm that keeps values in range.
    beta, beta_weight   : exponent and weight of the total variation.
    """

    network: Reads
    layer: str
    alpha: float = 6.0
    alpha_weight: float = 1e-6
    beta: float = 2.0
    beta_weight: float = 1e-4

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """Minus the loss as value, minus the relative squared error of the response as score."""
        features = self.network.responses(images, [self.layer])[self.layer].flatten(1)
        goals = sought.goals.flatten(1)
        error = (features - goals).square().sum(dim=1) / goals.square().sum(dim=1).clamp_min(1e-12)
        x = images / 127.5 - 1
        range_norm = x.abs().pow(self.alpha).sum(dim=(1, 2, 3))
        right, down = x[..., :-1, 1:] - x[..., :-1, :-1], x[..., 1:, :-1] - x[..., :-1, :-1]
        variation = (right.square() + down.square() + 1e-12).pow(self.beta / 2).sum(dim=(1, 2, 3))
        return Reading(-(error + self.alpha_weight * range_norm + self.beta_weight * variation), -error)


@dataclass(frozen=True)
class FeatureLinear:
    """As `FeatureMatch`, for the layer's linear approximation at the source (Sabour et al. 2016, feature-linear).

    -|f(s) + J (I - s) - f(g)|^2, with f the layer, J its Jacobian at the source s (the centre), and f(g) the goal.
    """

    network: Reads
    layer: str

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """Minus the squared distance as value, minus the distance as score; both of the approximation."""

        def features(inputs: Tensor) -> Tensor:
            return self.network.responses(inputs, [self.layer])[self.layer].flatten(1)

        at_source, moved = torch.func.jvp(features, (sought.centres,), (images - sought.centres,))[:2]
        squared = (at_source.detach() + moved - sought.goals.flatten(1)).square().sum(dim=1)
        return Reading(-squared, -squared.detach().sqrt())


@dataclass(frozen=True)
class Near:
    """Another objective less a weighted squared distance from the centre: -λ‖I - I₀‖² (Zhang et al. 2021)."""

    objective: Objective

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """The penalised value; the score is the objective's own."""
        reading = self.objective(images, sought)
        distance = (images - sought.centres).square().sum(dim=(1, 2, 3))
        return Reading(reading.values - sought.weights * distance, reading.scores)


def _log_posteriors(network: Reads, images: Tensor, goals: Tensor) -> Tensor:
    chosen = network.logits(images).log_softmax(dim=1).gather(1, goals[:, None])
    return chosen[:, 0]


def _goal_and_others(logits: Tensor, goals: Tensor) -> tuple[Tensor, Tensor]:
    """The logits of the goal classes, (n_images,), and all logits with minus infinity in their place.

    By index, because selecting by a mask makes a GPU count it first.
    """
    index = goals[:, None]
    return logits.gather(1, index)[:, 0], logits.scatter(1, index, float("-inf"))
