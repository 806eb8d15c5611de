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
        """Images (n_images, 3, height, width), 0-255; goals (n_images, ...): what `Job.goal` holds, stacked."""


@dataclass(frozen=True)
class LogOdds:
    """Log of p / (1 - p), p the posterior of the goal class (goals: class indices).

    The posterior (Nguyen et al. 2015), its logarithm and its log odds have gradients along the same line, so steps of a
    fixed length are the same for all three; but that of the posterior vanishes where the class is unlikely, and that of
    its logarithm where it is certain.
    """

    network: Reads

    def __call__(self, images: Tensor, goals: Tensor) -> Reading:
        """Log odds as value, posterior as score."""
        logits = self.network.logits(images)
        goal = torch.nn.functional.one_hot(goals, logits.shape[1]).bool()
        values = logits.masked_select(goal) - logits.masked_fill(goal, float("-inf")).logsumexp(dim=1)
        return Reading(values, values.sigmoid())
