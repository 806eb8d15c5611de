"""Several objectives as one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stimuli.synthesis.objectives import Objective, Reading, Sought


@dataclass(frozen=True)
class MeanAndLeast:
    """The mean of objectives, of one network each; what counts as reached is what all of them have reached."""

    objectives: tuple[Objective, ...]

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        """The mean of the values; the least of the scores."""
        readings = [objective(images, sought) for objective in self.objectives]
        values = torch.stack([reading.values for reading in readings]).mean(dim=0)
        return Reading(values, torch.stack([reading.scores for reading in readings]).amin(dim=0))
