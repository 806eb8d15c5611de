"""Maps as pictures: what is right, what flips and how sure a network is, in colours, every window a square of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stimuli.fragile.definitions import Correctness, FragileMap
from stimuli.synthesis.starts import ByteImage

RIGHT, WRONG = (255, 255, 255), (0, 0, 0)
TO_WRONG, TO_RIGHT = "#c8401b", "#0b6fb8"
"""Right windows that become wrong, wrong ones that become right: told apart by every kind of colour vision."""
STAYS_RIGHT, STAYS_WRONG = (250, 250, 250), (221, 224, 229)
FRAME = "#9aa0a8"

# Viridis (S. van der Walt and N. Smith, in the public domain), every tenth of its way; between them it is near a straight line.
SCALE = np.array(
    [
        [68, 1, 84],
        [72, 36, 117],
        [65, 68, 135],
        [53, 95, 141],
        [42, 120, 142],
        [33, 145, 140],
        [34, 168, 132],
        [68, 191, 112],
        [122, 209, 81],
        [189, 223, 38],
        [253, 231, 37],
    ],
    float,
)
LESS, NONE, MORE = (11, 111, 184), (250, 250, 250), (200, 64, 27)


def correctness_plate(correct: Correctness) -> ByteImage:
    """White where a window is recognised, black where it is not: (rows, columns, 3)."""
    return np.where(correct[..., None], np.array(RIGHT), np.array(WRONG)).astype(np.uint8)


def fragile_plate(signs: FragileMap, correct: Correctness) -> ByteImage:
    """The colours of what flips, on a pale ground that is lighter where windows are right: (rows, columns, 3)."""
    plate = np.where(correct[..., None], np.array(STAYS_RIGHT), np.array(STAYS_WRONG)).astype(np.uint8)
    plate[signs > 0], plate[signs < 0] = _rgb(TO_WRONG), _rgb(TO_RIGHT)
    return plate


def scale_plate(values: NDArray[np.floating]) -> ByteImage:
    """Values from 0 to 1 on a scale from dark violet to yellow: (…, 3)."""
    places = np.arange(len(SCALE)) / (len(SCALE) - 1)
    return np.stack([np.rint(np.interp(values, places, channel)) for channel in SCALE.T], axis=-1).astype(np.uint8)


def difference_plate(values: NDArray[np.floating], largest: float) -> ByteImage:
    """Differences, blue below 0, red above, (…, 3).

    largest : the absolute difference that has the full colour.
    """
    share = np.clip(values / largest if largest > 0 else np.zeros_like(values), -1, 1)[..., None]
    end = np.where(share < 0, np.array(LESS, float), np.array(MORE, float))
    return np.rint(np.array(NONE) + np.abs(share) * (end - np.array(NONE))).astype(np.uint8)


def factor(shape: tuple[int, ...], room_px: int) -> int:
    """The largest whole number of times that a plate is enlarged within a square; 1 where it is larger itself."""
    return max(1, room_px // max(shape[:2]))


def enlarged(plate: ByteImage, times: int) -> ByteImage:
    """Every pixel a square of so many pixels."""
    return plate.repeat(times, axis=0).repeat(times, axis=1)


def with_window(picture: ByteImage, times: int, row: int, column: int, side: int) -> ByteImage:
    """A picture, enlarged, with a window outlined in white on black."""
    shown = Image.fromarray(enlarged(picture, times))
    draw = ImageDraw.Draw(shown)
    left, top, right, bottom = (
        times * edge - last for edge, last in ((column, 0), (row, 0), (column + side, 1), (row + side, 1))
    )
    for inset, colour in ((0, "#000000"), (1, "#ffffff"), (2, "#ffffff"), (3, "#000000")):
        draw.rectangle((left + inset, top + inset, right - inset, bottom - inset), outline=colour)
    return np.asarray(shown)


def scale_bar(height: int, width: int) -> ByteImage:
    """The scale from 1, above, to 0: (height, width, 3)."""
    return scale_plate(np.repeat(np.linspace(1, 0, height)[:, None], width, axis=1))


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
