"""How an image moves up its objective: every image by its own gradient, whatever its batch mates do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from stimuli.synthesis.objectives import Reading

State = dict[str, Tensor]
"""What an optimiser remembers, one row for each slot; cleared when a slot takes a new image."""


class Optimiser(Protocol):
    """Moves a batch one step up."""

    def fresh(self, images: Tensor) -> State:
        """The state before the first step; every tensor has n_images rows, and a zero row means 'nothing yet'."""

    def stepped(self, images: Tensor, gradients: Tensor, reading: Reading, state: State) -> Tensor:
        """The moved images, not yet projected; may update `state` in place, row by row."""


@dataclass(frozen=True)
class NormalisedGradient:
    """Steps of a fixed length along the gradient.

    step : length of a step: root mean square change over pixels and channels, grey levels.
    """

    step: float

    def fresh(self, images: Tensor) -> State:
        """Nothing to remember."""
        return {}

    def stepped(self, images: Tensor, gradients: Tensor, reading: Reading, state: State) -> Tensor:
        """Image plus step times gradient over its root mean square."""
        rms = gradients.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        return images + self.step * gradients / rms.clamp_min(torch.finfo(rms.dtype).tiny)


@dataclass(frozen=True)
class SignGradient:
    """Steps of one size in every value, along the sign of the gradient (Goodfellow et al. 2015; Kurakin et al. 2017).

    step : change of every value, grey levels.
    """

    step: float

    def fresh(self, images: Tensor) -> State:
        """Nothing to remember."""
        return {}

    def stepped(self, images: Tensor, gradients: Tensor, reading: Reading, state: State) -> Tensor:
        """Image plus step times the sign of the gradient."""
        return images + self.step * gradients.sign()
