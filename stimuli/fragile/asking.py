"""Single windows put to a network again, in single precision: the bits that a map of `fp32` has of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from protocols.problems import FoolscanError
from protocols.study import Study
from stimuli.fragile.crops import Cut, cutter
from stimuli.fragile.found import Found
from stimuli.fragile.reading import Readings, of_logits
from stimuli.fragile.run import networks_of, plan_of
from stimuli.fragile.tiles import one_thread
from stimuli.make import network_of
from stimuli.networks.network import Network
from stimuli.synthesis.starts import ByteImage


@dataclass(frozen=True)
class Question:
    """A window, and the class that is right.

    picture : (height, width, 3), uint8.
    side    : of the window, pixels.
    true    : number of the right class.
    """

    picture: ByteImage
    row: int
    column: int
    side: int
    true: int

    @property
    def crop(self) -> ByteImage:
        """The window's pixels, (side, side, 3)."""
        return np.ascontiguousarray(
            self.picture[self.row : self.row + self.side, self.column : self.column + self.side]
        )


@dataclass(frozen=True)
class Said:
    """What the network says of a window.

    reading       : (3,), see `Readings`.
    labels        : the most probable classes, best first.
    probabilities : theirs.
    """

    reading: Readings
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]


def network_again(study: Study, found: Found, device: str = "auto") -> Network:
    """The network whose readings stand in a store.

    Raises FoolscanError when its weights are others by now.
    """
    network = network_of(networks_of(study, plan_of(study))[found.name], study.folder, device)
    if network.weights_sha256 != found.network_sha256:
        raise FoolscanError(
            f"network {found.name}: found weights {network.weights_sha256[:12]}, the readings in {found.store.path} are of "
            f"{found.network_sha256[:12]}; put the weights back, or map into another folder"
        )
    return network


def inputs(network: Network, found: Found, question: Question) -> Tensor:
    """The network's input for one window, made as its map was: (1, 3, input_px, input_px), 0 to 255.

    It is made of the window's own pixels, but where windows stay in place in their picture.
    """
    plan, in_place = found.plan, found.plan.crops == "in_place"
    pixels = question.picture if in_place else question.crop
    cut: Cut = cutter(pixels, question.side, network.input_px, network.device, plan.crops, plan.filter)
    return cut(np.array([[question.row, question.column]] if in_place else [[0, 0]]))


def ask(network: Network, found: Found, questions: Sequence[Question], n_labels: int) -> Iterator[Said]:
    """What a network says of windows, in batches of the shape that their maps were read in."""
    batch_size = found.batch_size
    for start in range(0, len(questions), batch_size):
        some = questions[start : start + batch_size]
        with torch.inference_mode(), one_thread(network.device):
            crops = torch.cat([inputs(network, found, question) for question in some])
            filled = torch.cat([crops, crops[-1:].expand(batch_size - len(crops), -1, -1, -1)])
            logits = network.logits(filled)[: len(some)]
        for question, row in zip(some, logits, strict=True):
            yield _said(network, row, question.true, n_labels)


def _said(network: Network, row: Tensor, true: int, n_labels: int) -> Said:
    shares = functional.softmax(row.double(), dim=0).cpu().numpy()
    best = np.argsort(-shares, kind="stable")[:n_labels]
    return Said(
        of_logits(row[None], true)[0].cpu().numpy(),
        tuple(network.labels[place] for place in best),
        tuple(float(shares[place]) for place in best),
    )
