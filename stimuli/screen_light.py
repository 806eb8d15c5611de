"""What a rig's screen makes of the grey levels of an image: sent, driven, emitted, and seen again as sRGB levels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from protocols.luminance import Mode, linear_to_srgb, sent_levels, srgb_to_linear
from protocols.rig_display import Luminance
from stimuli.synthesis.starts import ByteImage

CARD_BITS = 8
"""Of the graphics card's table and of the link to the display: the least that is in use, so the coarsest case."""

ASSUMPTION = (
    "Every channel follows the one luminance curve; what is seen is the luminance relative to the display's black and "
    "white, encoded as sRGB (IEC 61966-2-1), pixel by pixel: no stray light, blur, colour cast or noise. A linearised "
    f"display goes through a table of 256 entries of {CARD_BITS} bits, of which a card keeps the upper {CARD_BITS}."
)
ASSUMED_CURVE = "no curve was measured: the display is assumed to follow sRGB"


@dataclass(frozen=True)
class ScreenLight:
    """The 256 grey levels of an image on one screen.

    mode       : native, or linearised by the graphics card's table.
    curve      : the luminance (cd/m²) at (256,) driven levels, relative to black and white: 0 to 1; rising.
    table      : (256,) uint8, the level that the card drives the display with for each level sent.
    limits_cd_m2 : luminance of black and white; None where it was not measured.
    """

    mode: Mode
    curve: npt.NDArray[np.float64]
    table: npt.NDArray[np.uint8]
    limits_cd_m2: tuple[float, float] | None

    @property
    def measured(self) -> bool:
        """Whether the display's curve is a measured one, not assumed to be that of sRGB."""
        return self.limits_cd_m2 is not None

    @cached_property
    def driven(self) -> npt.NDArray[np.uint8]:
        """For each level of an image the level that the display is driven with, (256,)."""
        return np.asarray(self.table[sent_levels(np.arange(256, dtype=np.uint8), self.mode)])

    @property
    def n_levels(self) -> int:
        """How many of the 256 grey levels of an image differ on this screen."""
        return len(np.unique(self.driven))

    @cached_property
    def clipped(self) -> npt.NDArray[np.bool_]:
        """(256,) levels of an image, neither black nor white, that come out as black or as white."""
        ends = np.isin(self.driven, self.driven[[0, -1]])
        ends[[0, -1]] = False
        return ends

    @cached_property
    def merged(self) -> npt.NDArray[np.bool_]:
        """(256,) levels of an image that come out like another one, though not as black or white."""
        counts = np.bincount(self.driven, minlength=256)[self.driven]
        return (counts > 1) & ~np.isin(self.driven, self.driven[[0, -1]])

    def meant(self, sent: ByteImage) -> npt.NDArray[np.float64]:
        """The sRGB levels that levels sent, (…) uint8, stand for: 0–255, decoded where the display is linearised."""
        levels = np.arange(256) / 255.0
        decoded = levels if self.mode == "native" else linear_to_srgb(levels)
        return np.asarray(255.0 * decoded[sent])

    def seen(self, sent: ByteImage) -> npt.NDArray[np.float64]:
        """The sRGB levels, 0–255, that an eye or a camera between black and white reads for levels sent, (…) uint8."""
        return np.asarray(255.0 * linear_to_srgb(self.curve)[self.table][sent])


def screen_light(luminance: Luminance) -> ScreenLight:
    """The screen that a rig file describes; one without a measured curve is taken to follow sRGB."""
    curve, levels = luminance.curve, np.arange(256)
    if curve is None:
        return ScreenLight(luminance.mode, srgb_to_linear(levels / 255.0), levels.astype(np.uint8), None)
    low, high = curve.limits_cd_m2
    share = np.clip((curve.luminance_cd_m2(levels) - low) / (high - low), 0.0, 1.0)
    table = levels.astype(np.uint8)
    if luminance.mode == "linearised":
        # drivers take 16 bits; a card with fewer keeps the upper ones
        table = (np.rint(curve.inverse_ramp() * 65535.0).astype(np.int64) >> (16 - CARD_BITS)).astype(np.uint8)
    return ScreenLight(luminance.mode, share, table, (low, high))


def share_of(levels: npt.NDArray[np.bool_], image: ByteImage) -> float:
    """The share of an image's values, (height, width, 3) uint8, whose level is one of (256,) levels."""
    return float(levels[image].mean())
