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

    Attributes:
        turn_deg: largest rotation, either way.
        zoom: smallest and largest magnification.
        shift: largest displacement, as a share of the picture's side.
        flip: probability of a mirror image.
        recolour: probability that the three channels are mixed by a random rotation and permutation.
        contrast: smallest and largest contrast factor.
        brightness: largest change of brightness (0 to 255 scale).
        noise: largest standard deviation of pixel noise (0 to 255 scale).
    """

    turn_deg: float = 12.0
    zoom: tuple[float, float] = (0.85, 1.2)
    shift: float = 0.08
    flip: float = 0.5
    recolour: float = 0.8
    contrast: tuple[float, float] = (0.6, 1.3)
    brightness: float = 30.0
    noise: float = 6.0


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
    """Return the images turned, zoomed, shifted and mirrored, mirrored again beyond their edges."""
    n_images = len(images)
    angle = _between(n_images, -how.turn_deg, how.turn_deg, generator) * (math.pi / 180)
    scale = 1 / _between(n_images, *how.zoom, generator)
    mirror = 1 - 2 * (torch.rand(n_images, generator=generator) < how.flip).float()
    shift = _between(2 * n_images, -2 * how.shift, 2 * how.shift, generator).view(2, n_images)
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    top = torch.stack([cos * mirror, -sin, shift[0]], dim=1)
    bottom = torch.stack([sin * mirror, cos, shift[1]], dim=1)
    grid = functional.affine_grid(torch.stack([top, bottom], dim=1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def recoloured(images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    """Return the images with mixed channels, another contrast and brightness, and a little noise."""
    n_images = len(images)
    mixing = colour_rotations(n_images, generator)
    keep = torch.rand(n_images, generator=generator) >= how.recolour
    mixing[keep] = torch.eye(3)
    contrast = _between(n_images, *how.contrast, generator)
    brightness = _between(n_images, -how.brightness, how.brightness, generator)
    sigma = _between(n_images, 0.0, how.noise, generator)
    middle = 127.5
    matrix = mixing * contrast.view(-1, 1, 1)
    pixels = torch.bmm(matrix, (images - middle).flatten(2)).view(images.shape)
    noise = torch.randn(images.shape, generator=generator)
    out = pixels.addcmul_(noise, sigma.view(-1, 1, 1, 1)).add_((brightness + middle).view(-1, 1, 1, 1))
    return out.clamp_(0, 255)


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
