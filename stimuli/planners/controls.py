"""Controls: an adversary's change, made meaningless at equal length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from protocols.image_sets import ControlRecipe
from stimuli.judging import Judged
from stimuli.planners.planner import RecipePlanner, Verdict, Wanted
from stimuli.synthesis.controls import control_image
from stimuli.synthesis.starts import ByteImage

# Whole grey levels and the ends of the scale may leave the length off by this share.
LENGTH_SLACK = 0.05


@dataclass(frozen=True)
class ControlPlanner(RecipePlanner[ControlRecipe]):
    """The change of an adversary from its source, shuffled, flipped, or with random signs or phases."""

    def drawn(self, wanted: Wanted, attempt: int) -> ByteImage:
        """The source with the changed change; `guide` is the adversary."""
        return control_image(self.recipe.change, wanted.source, _adversary(wanted), self.draw(wanted, attempt))

    def verdict(self, wanted: Wanted, attempt: int, judged: Judged) -> Verdict:
        """As far from the source as the adversary; what the network says is told, and no criterion."""
        length = _length(_adversary(wanted), wanted.source)
        return Verdict(abs(_length(judged.image, wanted.source) - length) <= LENGTH_SLACK * length)


def _adversary(wanted: Wanted) -> ByteImage:
    if wanted.guide is None:
        raise ValueError(f"{wanted.stim_id}: a control needs the image whose change it takes")
    return wanted.guide


def _length(image: ByteImage, source: ByteImage) -> float:
    return float(np.linalg.norm(image.astype(np.float64) - source))
