"""Where synthesis starts: images as float32 (3, height, width) on the 0-255 scale, always drawn on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]
"""(3, height, width), grey levels 0-255."""
ByteImage = npt.NDArray[np.uint8]
"""(height, width, 3), sRGB."""


def mean_image(mean: Sequence[float], size_px: int) -> FloatImage:
    """The network's mean colour everywhere.

    mean    : per channel (red, green, blue), 0 to 1, as the network subtracts it.
    size_px : side of the image.
    """
    levels = np.asarray(mean, np.float32) * np.float32(255)
    return np.broadcast_to(levels[:, None, None], (3, size_px, size_px)).copy()


def from_image(image: ByteImage) -> FloatImage:
    """An 8-bit image as the engine holds it."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)


def with_noise(image: FloatImage, noise_sd: float, draw: np.random.Generator) -> FloatImage:
    """An image plus independent Gaussian noise of SD `noise_sd` (grey levels), within 0-255."""
    noise = draw.standard_normal(image.shape, dtype=np.float32) * np.float32(noise_sd)
    return np.clip(image + noise, np.float32(0), np.float32(255))


def with_uniform_noise(image: FloatImage, noise_sd: float, draw: np.random.Generator) -> FloatImage:
    """An image plus independent uniform noise of SD `noise_sd`, from -√3 SD to √3 SD (grey levels), within 0-255."""
    reach = np.float32(math.sqrt(3) * noise_sd)
    noise = (2 * draw.random(image.shape, dtype=np.float32) - 1) * reach
    return np.clip(image + noise, np.float32(0), np.float32(255))


def over_the_range(image: FloatImage, noise_sd: float, draw: np.random.Generator) -> FloatImage:
    """Independent uniform noise from 0 to 255, of an image's shape; neither the image nor `noise_sd` shows in it."""
    return draw.random(image.shape, dtype=np.float32) * np.float32(255)


NOISE: dict[str, Callable[[FloatImage, float, np.random.Generator], FloatImage]] = {
    "gaussian": with_noise,
    "uniform": with_uniform_noise,
    "uniform_range": over_the_range,
}
"""Starts around an image, by their names in study files; the amplitude of each but the last is its SD."""


def within_ball(image: FloatImage, radius: float, draw: np.random.Generator) -> FloatImage:
    """A random point of the L-infinity ball of `radius` grey levels around an image, within 0-255."""
    offset = draw.uniform(-radius, radius, image.shape).astype(np.float32)
    return np.clip(image + offset, np.float32(0), np.float32(255))


def within_sphere(image: FloatImage, radius: float, draw: np.random.Generator) -> FloatImage:
    """A random point at most `radius` from an image in Euclidean distance (grey levels, over all values), within 0-255."""
    direction = draw.standard_normal(image.shape)
    share = radius * draw.random() ** (1 / image.size) / np.linalg.norm(direction)
    return np.clip(image + (share * direction).astype(np.float32), np.float32(0), np.float32(255))
