"""Background families of the picture book: quiet patterns in two or three colours, disjoint between the splits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from stimuli.picturebook.canvas import Colour

Field = npt.NDArray[np.float32]
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
Pattern = Callable[[Field, Field, np.random.Generator], Field]


def gradient(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Ramp from one side to the other."""
    return _along(u, v, rng) * np.float32(0.5) + np.float32(0.5)


def glow(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Bright spot that fades outwards."""
    x, y = rng.uniform(-0.7, 0.7, 2)
    return np.exp(-((u - x) ** 2 + (v - y) ** 2) / np.float32(rng.uniform(0.4, 1.2)))


def stripes(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Straight stripes in any direction."""
    return _step(np.sin(_along(u, v, rng) * np.float32(rng.uniform(8, 26)) + np.float32(rng.uniform(0, 6))))


def checks(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Chequerboard, turned."""
    a, b = _turned(u, v, rng)
    k = np.float32(rng.uniform(5, 14))
    return _step(np.sin(a * k + np.float32(rng.uniform(0, 6))) * np.sin(b * k))


def dots(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Polka dots on a turned grid."""
    a, b = _turned(u, v, rng)
    k = np.float32(rng.uniform(7, 18))
    return _step(np.cos(a * k) + np.cos(b * k) - np.float32(rng.uniform(0.6, 1.2)))


def clouds(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Soft noise on two scales."""
    coarse, fine = (_noise(len(u), int(cells), rng) for cells in (rng.integers(3, 7), rng.integers(8, 20)))
    return np.float32(0.7) * coarse + np.float32(0.3) * fine


def blobs(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Large soft-edged patches."""
    return _step((_noise(len(u), int(rng.integers(4, 9)), rng) - np.float32(0.5)) * 6)


def horizon(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Sky above ground, with a wavy line between them."""
    line = rng.uniform(0.0, 0.6) + rng.uniform(0, 0.08) * np.sin(u * rng.uniform(2, 6) + rng.uniform(0, 6))
    return _step((v - line).astype(np.float32) * 12) * np.float32(0.75) + v * np.float32(0.12) + np.float32(0.12)


def rays(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Rays from a point."""
    x, y = rng.uniform(-0.8, 0.8, 2)
    return _step(np.sin(np.arctan2(v - y, u - x) * np.float32(rng.integers(5, 13))) * 2)


def waves(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Wavy stripes."""
    a, b = _turned(u, v, rng)
    bend = np.float32(rng.uniform(0.05, 0.15)) * np.sin(a * np.float32(rng.uniform(5, 12)))
    return _step(np.sin((b + bend) * np.float32(rng.uniform(10, 24))))


def tiles(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Tiles of random tone with joints."""
    k = int(rng.integers(4, 9))
    row, column = ((v + 1) * (k / 2.001)).astype(np.int32), ((u + 1) * (k / 2.001)).astype(np.int32)
    tone = rng.random((k, k), dtype=np.float32)[row, column]
    return tone * np.float32(0.8) * (np.minimum((u + 1) * (k / 2.001) % 1, (v + 1) * (k / 2.001) % 1) > 0.07)


def confetti(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Fine noise in flecks."""
    return _step((_noise(len(u), int(rng.integers(18, 34)), rng) - np.float32(0.62)) * 10)


def rings(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Concentric rings around a point."""
    x, y = rng.uniform(-0.8, 0.8, 2)
    return _step(np.sin(np.hypot(u - x, v - y) * np.float32(rng.uniform(8, 24))))


def lattice(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Lattice of crossing lines."""
    a, b = _turned(u, v, rng)
    k, edge = np.float32(rng.uniform(8, 18)), np.float32(rng.uniform(0.75, 0.9))
    return _step((np.maximum(np.cos(a * k), np.cos(b * k)) - edge) * 6)


def hills(u: Field, v: Field, rng: np.random.Generator) -> Field:
    """Rows of hills, each a tone darker."""
    tone = np.zeros_like(u)
    for level in np.sort(rng.uniform(-0.5, 0.9, 3)):
        crest = level + rng.uniform(0.08, 0.22) * np.sin(u * rng.uniform(1.5, 5) + rng.uniform(0, 6))
        tone += _step((v - crest).astype(np.float32) * 14) * np.float32(0.33)
    return tone


FAMILIES: Mapping[str, Mapping[str, Pattern]] = {
    "train": {
        pattern.__name__: pattern for pattern in (gradient, glow, stripes, checks, dots, clouds, blobs, horizon, rays)
    },
    "validation": {pattern.__name__: pattern for pattern in (waves, tiles, confetti)},
    "test": {pattern.__name__: pattern for pattern in (rings, lattice, hills)},
}
"""The pattern of each family, by split; no family occurs in two splits."""


def draw_background(split: str, colours: list[Colour], size_px: int, rng: np.random.Generator) -> Field:
    """Return a background, (size_px, size_px, 3) sRGB 0-1, of one of the split's families.

    Its two tones are kept close, so that a figure can stand out from both.
    """
    families = FAMILIES[split]
    pattern = families[sorted(families)[rng.integers(len(families))]]
    axis = np.linspace(-1, 1, size_px, dtype=np.float32)
    u, v = np.broadcast_to(axis, (size_px, size_px)), np.broadcast_to(axis[:, None], (size_px, size_px))
    tone = pattern(u, v, rng)[..., None].astype(np.float32)
    first, second = _muted(colours[0], rng), _muted(colours[1], rng)
    second = second + np.float32(first @ LUMA - second @ LUMA) * np.float32(0.6)
    return np.clip(first + tone * (second - first), 0, 1)


def _muted(colour: Colour, rng: np.random.Generator) -> Field:
    """Return a colour, (3,), with less chroma and a touch of white, so that figures come forward."""
    rgb = np.asarray(colour, dtype=np.float32)
    grey = np.float32(rgb @ LUMA)
    muted = grey + (rgb - grey) * np.float32(rng.uniform(0.5, 0.85))
    pale: Field = muted + (np.float32(0.96) - muted) * np.float32(rng.uniform(0, 0.3))
    return pale


def _along(u: Field, v: Field, rng: np.random.Generator) -> Field:
    angle = rng.uniform(0, 2 * math.pi)
    return u * np.float32(math.cos(angle)) + v * np.float32(math.sin(angle))


def _turned(u: Field, v: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    angle = rng.uniform(0, 2 * math.pi)
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return u * c + v * s, v * c - u * s


def _step(wave: Field) -> Field:
    return np.clip(wave * 4 + np.float32(0.5), 0, 1).astype(np.float32)


def _noise(size: int, cells: int, rng: np.random.Generator) -> Field:
    grid = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
    return np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)
