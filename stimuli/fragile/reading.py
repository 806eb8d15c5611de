"""What a network makes of windows: the rank and the confidence of the true class, and the class it names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from stimuli.fragile.crops import Cut
from stimuli.fragile.windows import Places
from stimuli.networks.network import Network

Precision = Literal["fp32", "bf16_checked"]
Readings = NDArray[np.float32]
"""Of windows, (n_windows, 3): `RANK`, `CONFIDENCE` and `LABEL`. All that is kept of a forward pass."""

RANK, CONFIDENCE, LABEL = 0, 1, 2
CHANNELS = ("rank", "confidence", "label")
PREFERRED_BATCH = {"cpu": 32, "cuda": 256}
BATCH_ELSEWHERE = 64
DOUBT = 4.0
"""A class is beyond doubt in half precision when its margin is so many times the largest error seen on windows of the same side."""


def of_logits(logits: Tensor, true: int) -> Tensor:
    """Rank of the true class (0: the most probable; equal ones in their order), its probability, and the class named.

    logits : (n_windows, n_classes).
    true   : number of the true class.

    Returns (n_windows, 3), float32: whole numbers are exact in it.
    """
    own = logits[:, true, None]
    rank = (logits > own).sum(dim=1) + (logits[:, :true] == own).sum(dim=1)
    confidence = torch.exp(functional.log_softmax(logits.double(), dim=1)[:, true])
    return torch.stack([rank.float(), confidence.float(), logits.argmax(dim=1).float()], dim=1)


def margin(logits: Tensor, true: int, top_k: int) -> Tensor:
    """How far the true class is from changing between right and wrong, in logits, (n_windows,).

    top_k : right is a class among the so many most probable.
    """
    others = torch.cat([logits[:, :true], logits[:, true + 1 :]], dim=1)
    if top_k > others.shape[1]:
        return logits.new_full((len(logits),), torch.inf)
    return logits[:, true] - others.topk(top_k, dim=1).values[:, -1]


@dataclass
class Reader:
    """Reads windows in batches of one shape, the last one filled up: a window's bits do not depend on its batch mates.

    network    : asked.
    true       : number of the class that is right.
    batch_size : windows a forward pass.
    precision  : 'bf16_checked': in half precision first; windows whose class is not beyond doubt are read again in single.
    top_k      : what is right, which is what 'bf16_checked' must not change.
    """

    network: Network
    true: int
    batch_size: int
    precision: Precision = "fp32"
    top_k: int = 1
    read_again: int = field(default=0, init=False)

    def __call__(self, cut: Cut, places: Places, off_by: float = 0.0) -> Readings:
        """What the network makes of windows, (n_windows, 3).

        off_by : what half precision may be off by (see `off_by`); of no use in single precision.
        """
        parts = [
            self._batch(cut, places[start : start + self.batch_size], off_by)
            for start in range(0, len(places), self.batch_size)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 3), np.float32)

    def off_by(self, cut: Cut, places: Places) -> float:
        """By how much half precision changes a margin, at most, in windows that are read both ways."""
        largest = 0.0
        for start in range(0, len(places), self.batch_size):
            with torch.inference_mode():
                crops = cut(self._filled(places[start : start + self.batch_size]))
                half, single = self._half(crops), self.network.logits(crops)
                both = margin(half, self.true, self.top_k) - margin(single, self.true, self.top_k)
                largest = max(largest, float(both.abs().nan_to_num(0.0).max()))
        return largest

    def _batch(self, cut: Cut, places: Places, off_by: float) -> Readings:
        with torch.inference_mode():
            crops = cut(self._filled(places))
            found = self._single(crops) if self.precision == "fp32" else self._checked(crops, off_by)
            return found[: len(places)].cpu().numpy()

    def _filled(self, places: Places) -> Places:
        return np.concatenate([places, np.repeat(places[-1:], self.batch_size - len(places), axis=0)])

    def _single(self, crops: Tensor) -> Tensor:
        return of_logits(self.network.logits(crops), self.true)

    def _half(self, crops: Tensor) -> Tensor:
        with torch.autocast(self.network.device.type, torch.bfloat16):
            return self.network.logits(crops).float()

    def _checked(self, crops: Tensor, off_by: float) -> Tensor:
        half = self._half(crops)
        found = of_logits(half, self.true)
        beyond = margin(half, self.true, self.top_k).abs() > DOUBT * off_by  # NaN is not
        doubtful = (~beyond).nonzero().squeeze(1)
        for again in doubtful.split(self.batch_size) if len(doubtful) else ():
            whole = torch.cat([again, again[-1:].expand(self.batch_size - len(again))])
            found[again] = self._single(crops[whole])[: len(again)]
        self.read_again += len(doubtful)
        return found


def preferred_batch(device: torch.device) -> int:
    """Windows a forward pass where the study does not say."""
    return PREFERRED_BATCH.get(device.type, BATCH_ELSEWHERE)
