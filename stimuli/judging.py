"""Judges images as they are on disk: what the networks say of the file, and what it is in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from protocols.provenance import sha256_of
from stimuli.image_files import read_rgb
from stimuli.networks.network import BATCH_SIZE, Network
from stimuli.synthesis.starts import ByteImage


@dataclass(frozen=True)
class Judged:
    """What a network says of one image file.

    label      : its class.
    largest    : posterior of that class, 0 to 1.
    confidence : posterior of the target class, 0 to 1.
    image      : (height, width, 3), as read from the file.
    sha256     : of the file.
    """

    label: str
    largest: float
    confidence: float
    image: ByteImage
    sha256: str

    def distance(self, source: ByteImage) -> tuple[float, int]:
        """L2 and L-infinity distance to a source image, grey levels."""
        change = self.image.astype(np.int64) - source.astype(np.int64)
        return float(np.sqrt((change**2).sum())), int(np.abs(change).max())


def judge(
    network: Network, paths: Sequence[Path], targets: Sequence[str], batch_size: int = BATCH_SIZE
) -> list[Judged]:
    """Read image files and judge them; an image's numbers do not depend on the others.

    paths      : (n_images,), all of one size.
    targets    : (n_images,), the class whose posterior is the confidence.
    batch_size : images a forward pass, which short passes are filled up to; another one moves the last digits.
    """
    if not paths:
        return []
    images = [read_rgb(path) for path in paths]
    posteriors = network.probabilities(np.stack(images), batch_size)
    return [
        Judged(
            network.labels[int(row.argmax())],
            float(row.max()),
            float(row[network.label_index(target)]),
            image,
            sha256_of(path),
        )
        for path, target, image, row in zip(paths, targets, images, posteriors, strict=True)
    ]


def own_labels(network: Network, images: npt.NDArray[np.uint8]) -> list[tuple[str, float]]:
    """The class that a network gives each image, (n, height, width, 3) uint8, and its posterior."""
    posteriors = network.probabilities(images)
    return [(network.labels[int(row.argmax())], float(row.max())) for row in posteriors]
