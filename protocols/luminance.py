"""From grey levels to light and back: the measured curve of a display, its inverse, and sRGB."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from protocols.provenance import sha256_of_bytes

Mode = Literal["native", "linearised"]

_ROOT = 2.2
"""Between readings the curve is interpolated in this root of the luminance, where the curve of a display is nearly straight."""


def srgb_to_linear(level: np.ndarray | float) -> np.ndarray:
    """The share of the maximal luminance that an sRGB level stands for (IEC 61966-2-1, eq. 5 and 6).

    level : (…) in 0–1.

    Returns (…) in 0–1.
    """
    level = np.asarray(level, dtype=np.float64)
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(share: np.ndarray | float) -> np.ndarray:
    """The sRGB level that stands for a share of the maximal luminance: the inverse of `srgb_to_linear`.

    share : (…) in 0–1.

    Returns (…) in 0–1.
    """
    share = np.asarray(share, dtype=np.float64)
    return np.where(share <= 0.04045 / 12.92, share * 12.92, 1.055 * np.maximum(share, 0.0) ** (1 / 2.4) - 0.055)


def linear_levels() -> np.ndarray:
    """For each 8-bit sRGB level the 8-bit level of the same luminance on a linearised display, (256,) uint8."""
    return np.rint(255.0 * srgb_to_linear(np.arange(256) / 255.0)).astype(np.uint8)


def sent_levels(levels: np.ndarray, mode: Mode) -> np.ndarray:
    """The grey levels that are sent to a display for those of an image.

    levels : (…) uint8, as in an image (sRGB).

    Returns (…) uint8: native, the same; linearised, decoded from sRGB, so that the luminance contrast stays what it is on a
    display that follows sRGB.
    """
    levels = np.asarray(levels, dtype=np.uint8)
    return levels if mode == "native" else linear_levels()[levels]


@dataclass(frozen=True)
class Curve:
    """The luminance of a display at grey levels from 0 to 255, both rising.

    measured : (grey level, cd/m²) pairs.
    """

    measured: tuple[tuple[int, float], ...]

    @property
    def limits_cd_m2(self) -> tuple[float, float]:
        """The luminance of black and of white."""
        return self.measured[0][1], self.measured[-1][1]

    @property
    def sha256(self) -> str:
        """Hash of the readings."""
        return sha256_of_bytes(json.dumps([[level, float(cd_m2)] for level, cd_m2 in self.measured]).encode())

    def luminance_cd_m2(self, level: np.ndarray | float) -> np.ndarray:
        """The luminance at grey levels, (…) in 0–255, fractions included; monotone between the readings."""
        low, high = self.limits_cd_m2
        return low + (high - low) * _monotone(self._levels, self._roots, np.asarray(level, dtype=np.float64)) ** _ROOT

    def level_of(self, cd_m2: np.ndarray | float) -> np.ndarray:
        """The grey level, fractions included, that gives a luminance (…) within the curve's limits."""
        fine = np.linspace(0.0, 255.0, 255 * 257 + 1)
        return np.interp(np.asarray(cd_m2, dtype=np.float64), self.luminance_cd_m2(fine), fine)

    def inverse_ramp(self, size: int = 256) -> np.ndarray:
        """What to put into the graphics card so that the luminance rises in a straight line with the level sent.

        size : entries of the card's table.

        Returns (size,) in 0–1.
        """
        low, high = self.limits_cd_m2
        ramp = self.level_of(np.linspace(low, high, size)) / 255.0
        ramp[0], ramp[-1] = 0.0, 1.0
        return ramp

    @cached_property
    def _levels(self) -> np.ndarray:
        return np.array([level for level, _ in self.measured], dtype=np.float64)

    @cached_property
    def _roots(self) -> np.ndarray:
        low, high = self.limits_cd_m2
        return np.array([((cd_m2 - low) / (high - low)) ** (1.0 / _ROOT) for _, cd_m2 in self.measured])


def background_level(curve: Curve | None, mode: Mode, cd_m2: float | None, grey: int) -> int:
    """The grey level that is sent for the background.

    curve : the display's; needed when cd_m2 is given.
    cd_m2 : the luminance wanted; None: that of the grey level of an image.
    grey  : 0–255, as in an image.
    """
    if curve is None or cd_m2 is None:
        return int(sent_levels(np.array([grey]), mode)[0])
    low, high = curve.limits_cd_m2
    level = 255.0 * (cd_m2 - low) / (high - low) if mode == "linearised" else float(curve.level_of(cd_m2))
    return round(level)


def _monotone(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A cubic through rising points that rises between them too (Fritsch & Butland 1984, harmonic mean of slopes)."""
    step, slope = np.diff(x), np.diff(y) / np.diff(x)
    weight_1, weight_2 = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    inner = (weight_1 + weight_2) / (weight_1 / slope[:-1] + weight_2 / slope[1:])
    tangent = np.concatenate([[_end(step[:2], slope[:2])], inner, [_end(step[-2:][::-1], slope[-2:][::-1])]])
    place = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    h, t = step[place], (at - x[place]) / step[place]
    return np.asarray(
        y[place] * (1 + 2 * t) * (1 - t) ** 2
        + h * tangent[place] * t * (1 - t) ** 2
        + y[place + 1] * t**2 * (3 - 2 * t)
        + h * tangent[place + 1] * t**2 * (t - 1)
    )


def _end(step: Sequence[float] | np.ndarray, slope: Sequence[float] | np.ndarray) -> float:
    """The one-sided slope at an end, kept from overshooting."""
    value = ((2 * step[0] + step[1]) * slope[0] - step[0] * slope[1]) / (step[0] + step[1])
    return float(min(max(value, 0.0), 3 * slope[0]))
