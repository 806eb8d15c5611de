"""Pillow's bilinear resampling as integers, so that tensors on any device come out with Pillow's very bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

BITS = 22
"""Of the fractions of a weight: Pillow's 32, less 8 for the levels and 2 to spare."""


@dataclass(frozen=True)
class Taps:
    """How each value of a resampled line is made of the values of the line it comes from.

    sources : places in that line, (size_out, n_taps).
    weights : in units of 2**-22, (size_out, n_taps), int32; 0 where there is nothing to add.
    """

    sources: NDArray[np.int64]
    weights: NDArray[np.int32]


@lru_cache(maxsize=256)
def taps(size_in: int, size_out: int) -> Taps:
    """The taps of a triangle filter, which is as wide as a pixel of the shorter of both lines (Pillow's `BILINEAR`).

    size_in, size_out : values in the line, and in the line that is made of it.
    """
    step = size_in / size_out
    wide = max(step, 1.0)
    lines = []
    for place in range(size_out):
        centre = (place + 0.5) * step
        first = max(0, int(centre - wide + 0.5))
        last = min(size_in, int(centre + wide + 0.5))
        weights = [max(0.0, 1.0 - abs((source - centre + 0.5) / wide)) for source in range(first, last)]
        whole = 1.0 / sum(weights)
        lines.append((first, [math.floor(0.5 + weight * whole * (1 << BITS)) for weight in weights]))
    return _trimmed(lines, size_in)


def _trimmed(lines: list[tuple[int, list[int]]], size_in: int) -> Taps:
    """The taps without those that add nothing at either end of a line's own, all lines as long as the longest."""
    kept = []
    for first, weights in lines:
        there = np.flatnonzero(weights)
        kept.append((first + int(there[0]), weights[there[0] : there[-1] + 1]))
    longest = max(len(weights) for _, weights in kept)
    sources = np.minimum(np.array([[first] for first, _ in kept]) + np.arange(longest), size_in - 1)
    return Taps(sources, np.array([[*weights, *[0] * (longest - len(weights))] for _, weights in kept], np.int32))
