"""What synthesis ascends: one value for each image of a batch, differentiable with respect to the images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Reads(Protocol):
    """A network as objectives see it."""

    def logits(self, images: Tensor) -> Tensor:
        """(n_images, 3, height, width) on the 0-255 scale to (n_images, n_classes)."""


@dataclass(frozen=True)
class Reading:
    """What an objective says of a batch.

    values : (n_images,), to be made large; the gradient is taken of their sum, never of their mean.
    scores : (n_images,), what the stop rule compares with its criterion, e.g. a posterior.
    """

    values: Tensor
    scores: Tensor


class Objective(Protocol):
    """Reads a batch of images against one goal each (a class, a pattern of features, ...)."""

    def __call__(self, images: Tensor, goals: Tensor) -> Reading:
        """images (n_images, 3, height, width), 0-255; goals (n_images, ...): what `Job.goal` holds, stacked."""


@dataclass(frozen=True)
class LogPosterior:
    """Log of the posterior of the goal class (goals: class indices).

    Nguyen et al. 2015 ascend the posterior itself, whose gradient vanishes where the class is unlikely; its logarithm
    points the same way at every image.
    """

    network: Reads

    def __call__(self, images: Tensor, goals: Tensor) -> Reading:
        """Log posterior as value, posterior as score."""
        log_posteriors = torch.log_softmax(self.network.logits(images), dim=1)
        values = log_posteriors.gather(1, goals[:, None]).squeeze(1)
        return Reading(values, values.exp())
