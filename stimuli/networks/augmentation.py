"""Random changes to training pictures: what a drawing shows must not depend on its colours, place or background."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """How far a training picture may be changed.

    Nothing here blurs a picture or adds noise to it: either would teach the network to overlook fine detail, and its
    adversarial images would need larger changes. Turning and zooming are left to the drawings, whose pose is random.

    Attributes:
        shift_px: largest displacement, in whole pixels, either way; what moves in is the mirrored edge.
        flip: probability of a mirror image.
        recolour: probability that the three channels are mixed by a random rotation and permutation.
        contrast: smallest and largest contrast factor.
        brightness: largest change of brightness (0 to 255 scale).
    """

    shift_px: int = 8
    flip: float = 0.5
    recolour: float = 0.8
    contrast: tuple[float, float] = (0.4, 1.1)
    brightness: float = 30.0


def augmented(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Return changed copies of a batch.

    Args:
        images: (n_images, 3, height, width), float, on the 0 to 255 scale.
        how: how far they may be changed.
        generator: draws the changes.

    Returns:
        the same shape and scale.
    """
    return recoloured(moved(images, how, generator), how, generator)


def moved(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Return the images shifted by whole pixels and mirrored, without interpolation."""
    n_images, _, height, width = images.shape
    wide = functional.pad(images, [how.shift_px] * 4, mode="reflect")
    corners = torch.randint(0, 2 * how.shift_px + 1, (n_images, 2), generator=generator).tolist()
    mirrored = (torch.rand(n_images, generator=generator) < how.flip).tolist()
    cut = [image[:, y : y + height, x : x + width] for image, (y, x) in zip(wide, corners, strict=True)]
    return torch.stack([image.flip(2) if mirror else image for image, mirror in zip(cut, mirrored, strict=True)])


def recoloured(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Return the images with mixed channels, another contrast and another brightness."""
    n_images = len(images)
    mixing = colour_rotations(n_images, generator)
    keep = torch.rand(n_images, generator=generator) >= how.recolour
    mixing[keep] = torch.eye(3)
    contrast = _between(n_images, *how.contrast, generator)
    brightness = _between(n_images, -how.brightness, how.brightness, generator)
    middle = 127.5
    matrix = mixing * contrast.view(-1, 1, 1)
    pixels = torch.bmm(matrix, (images - middle).flatten(2)).view(images.shape)
    pixels += (brightness + middle).view(-1, 1, 1, 1)
    return pixels.clamp_(0, 255)


def colour_rotations(n_images: int, generator: torch.Generator) -> Tensor:
    """Return colour mixings that keep greys grey: a turn of the hue circle, a permutation, a change of saturation.

    Returns:
        (n_images, 3, 3), to be applied to (red, green, blue) around mid-grey.
    """
    angle = _between(n_images, -math.pi, math.pi, generator).view(-1, 1, 1)
    saturation = _between(n_images, 0.3, 1.3, generator).view(-1, 1, 1)
    grey = torch.full((3, 3), 1 / 3)
    axis = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    # Rodrigues' rotation about the grey axis; the part across the axis is also scaled (saturation).
    turned = grey + saturation * (torch.cos(angle) * (torch.eye(3) - grey) + torch.sin(angle) * axis)
    order = torch.stack([torch.randperm(3, generator=generator) for _ in range(n_images)])
    return torch.gather(turned, 1, order.unsqueeze(2).expand(-1, -1, 3))


def _between(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)
