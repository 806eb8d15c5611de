"""The same change, made meaningless to a network: controls of equal strength for an adversarial perturbation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from stimuli.synthesis.starts import ByteImage

Change = npt.NDArray[np.float64]
"""(height, width, 3), grey levels added to a source image."""

Kind = Literal["shuffled", "flipped", "sign_randomised", "phase_scrambled"]


def shuffled(change: Change, draw: np.random.Generator) -> Change:
    """The change of every pixel at another pixel: same colours of change, no pattern."""
    pixels = change.reshape(-1, change.shape[2])
    return pixels[draw.permutation(len(pixels))].reshape(change.shape)


def flipped(change: Change, draw: np.random.Generator) -> Change:
    """The change upside down: same pattern, elsewhere."""
    return change[::-1].copy()


def sign_randomised(change: Change, draw: np.random.Generator) -> Change:
    """The change of every value up or down at random: same strength in every place."""
    return change * draw.choice([-1.0, 1.0], size=change.shape)


def phase_scrambled(change: Change, draw: np.random.Generator) -> Change:
    """The change with random phases, the same in the three channels: same amplitude spectrum and colour, no pattern."""
    phases = np.angle(np.fft.fft2(draw.standard_normal(change.shape[:2])))
    return np.fft.ifft2(np.fft.fft2(change, axes=(0, 1)) * np.exp(1j * phases)[..., None], axes=(0, 1)).real


CONTROLS: dict[str, Callable[[Change, np.random.Generator], Change]] = {
    "shuffled": shuffled,
    "flipped": flipped,
    "sign_randomised": sign_randomised,
    "phase_scrambled": phase_scrambled,
}

# Each pass gives back what clipping at black and white and rounding took away.
PASSES = 12


def control_image(kind: Kind, source: ByteImage, adversary: ByteImage, draw: np.random.Generator) -> ByteImage:
    """A source image with a meaningless change of the same Euclidean length as an adversary's.

    kind              : what is done to the change (`CONTROLS`).
    source, adversary : (height, width, 3) uint8; their difference is the change.
    draw              : where chance comes from.

    Returns (height, width, 3) uint8. Clipping and rounding shorten a change, so it is lengthened until the image that is
    saved has the adversary's distance as nearly as whole grey levels allow.
    """
    change = adversary.astype(np.float64) - source
    wanted = float(np.linalg.norm(change))
    moved = CONTROLS[kind](change, draw)
    best, best_error, scale = source, wanted, 1.0
    for _ in range(PASSES):
        image = np.clip(np.rint(source + scale * moved), 0, 255)
        length = float(np.linalg.norm(image - source))
        if abs(length - wanted) < best_error:
            best, best_error = image.astype(np.uint8), abs(length - wanted)
        if length == 0:
            scale *= 2
            continue
        scale *= wanted / length
    return best
