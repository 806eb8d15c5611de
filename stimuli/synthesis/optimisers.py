"""How an image moves up its objective: every image by its own gradient, whatever its batch mates do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from stimuli.synthesis.constraints import Room
from stimuli.synthesis.objectives import Reading

State = dict[str, Tensor]
"""What an optimiser remembers, one row for each slot; cleared when a slot takes a new image."""


class Optimiser(Protocol):
    """Moves a batch one step up."""

    searches_lines: bool
    """Whether it compares readings of neighbouring points, which rounding would make alike, before it goes to one."""

    def fresh(self, images: Tensor) -> State:
        """The state before the first step; every tensor has n_images rows, and a zero row means 'nothing yet'."""

    def stepped(self, images: Tensor, gradients: Tensor, reading: Reading, state: State, room: Room) -> Tensor:
        """The moved images, not yet projected; may update `state` in place, row by row."""

    def standing(self, images: Tensor, state: State) -> Tensor:
        """The images it has gone to so far, where `images` are what it tries now."""


class Stepper:
    """An optimiser that goes wherever it steps."""

    searches_lines = False

    def fresh(self, images: Tensor) -> State:
        """Nothing to remember."""
        return {}

    def standing(self, images: Tensor, state: State) -> Tensor:
        """The images themselves."""
        return images


@dataclass(frozen=True)
class NormalisedGradient(Stepper):
    """Steps of a fixed length along the gradient.

    step : length of a step: root mean square change over pixels and channels, grey levels.
    """

    step: float

    def stepped(self, images: Tensor, gradients: Tensor, reading: Reading, state: State, room: Room) -> Tensor:
        """Image plus step times gradient over its root mean square."""
        rms = gradients.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        return torch.addcmul(images, gradients, self.step / rms.clamp_min(torch.finfo(rms.dtype).tiny))


@dataclass(frozen=True)
class SignGradient(Stepper):
    """Steps of one size in every value, along the sign of the gradient (Goodfellow et al. 2015; Kurakin et al. 2017).

    step : change of every value, grey levels.
    """

    step: float

    def stepped(self, images: Tensor, gradients: Tensor, reading: Reading, state: State, room: Room) -> Tensor:
        """Image plus step times the sign of the gradient."""
        return torch.add(images, gradients.sign(), alpha=self.step)


@dataclass(frozen=True)
class NguyenRule(Stepper):
    """The step rule of Nguyen et al. (2015), as their released code has it; for the objective `Posterior`.

    The step is min(early, late (1 - p)) over the squared norm of the gradient, and the image decays toward the centre.

    early, late : least of both is the rise of the posterior that a step aims at.
    decay       : share of the distance from the centre that is lost in each step.
    max_rate    : largest factor on the gradient.
    """

    early: float = 0.03
    late: float = 0.1
    decay: float = 0.01
    max_rate: float = 1e12

    def stepped(self, images: Tensor, gradients: Tensor, reading: Reading, state: State, room: Room) -> Tensor:
        """The image's distance from the centre plus the scaled gradient, decayed."""
        power = gradients.square().sum(dim=(1, 2, 3)).clamp_min(torch.finfo(gradients.dtype).tiny)
        rise = (self.late * (1 - reading.scores)).clamp_max(self.early)
        rate = (rise / power).clamp_max(self.max_rate).view(-1, 1, 1, 1)
        return room.centres + (images - room.centres + rate * gradients) * (1 - self.decay)


@dataclass(frozen=True)
class Adam(Stepper):
    """Adam (Kingma & Ba 2015, algorithm 1), upward.

    step : length of a step in each value, grey levels.
    """

    step: float
    first_decay: float = 0.9
    second_decay: float = 0.999

    def fresh(self, images: Tensor) -> State:
        """Zero moments."""
        steps = torch.zeros(len(images), dtype=images.dtype, device=images.device)
        return {"first": torch.zeros_like(images), "second": torch.zeros_like(images), "steps": steps}

    def stepped(self, images: Tensor, gradients: Tensor, reading: Reading, state: State, room: Room) -> Tensor:
        """Image plus step times the corrected first moment over the root of the second."""
        state["steps"] += 1
        state["first"].lerp_(gradients, 1 - self.first_decay)
        state["second"].lerp_(gradients.square(), 1 - self.second_decay)
        n = state["steps"].view(-1, 1, 1, 1)
        first = state["first"] / (1 - self.first_decay**n)
        second = state["second"] / (1 - self.second_decay**n)
        return images + self.step * first / second.sqrt().clamp_min(torch.finfo(second.dtype).tiny)
