"""The square windows of a picture: their sides, and the maps that have one cell for each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocols.problems import FoolscanError

Places = NDArray[np.int64]
"""Rows and columns of windows' upper left pixels, (n_windows, 2)."""

SHRINK_PX = 2
"""How much shorter the sides of a shrunk window are."""


@dataclass(frozen=True)
class Grid:
    """All windows of one side in a picture, at stride 1.

    height, width : of the picture, pixels.
    side          : of a window, pixels.
    """

    height: int
    width: int
    side: int

    def __post_init__(self) -> None:
        if not 1 <= self.side <= min(self.height, self.width):
            raise FoolscanError(
                f"found a window of {self.side} x {self.side} pixels in a picture of {self.width} x {self.height}; windows have "
                f"sides from 1 to {min(self.height, self.width)}: use larger pictures, or smaller proportions"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of its map: (height − side + 1, width − side + 1)."""
        return self.height - self.side + 1, self.width - self.side + 1

    @property
    def shrunk(self) -> Grid | None:
        """The windows that are two pixels smaller; None where none are."""
        return Grid(self.height, self.width, self.side - SHRINK_PX) if self.side > SHRINK_PX else None

    def rows(self, first: int, last: int) -> Places:
        """The windows of map rows from `first` to before `last`, row by row, (n_windows, 2)."""
        across = self.shape[1]
        return np.stack(np.divmod(np.arange(first * across, last * across), across), axis=1)

    def spread(self, n_windows: int) -> Places:
        """So many windows at equal distances in the order of rows, or all where there are no more: (n_windows, 2)."""
        total = self.shape[0] * self.shape[1]
        chosen = np.arange(min(n_windows, total)) * total // min(n_windows, total)
        return np.stack(np.divmod(chosen, self.shape[1]), axis=1)


def side_of(proportion: float, height: int, width: int) -> int:
    """The side of a window, pixels: 2⌊P·min(h, w)/2⌋ + 1, always odd (Srivastava et al. 2019, authors' code).

    proportion : of the picture's shorter side, in (0, 1].

    Raises FoolscanError when the proportion is none, or when such a window is larger than the picture (P = 1 of an even
    number of pixels).
    """
    if not 0 < proportion <= 1:
        raise FoolscanError(
            f"proportion: found {proportion:g}, expected a share of the shorter side, above 0 and up to 1"
        )
    return Grid(height, width, nearest_side(proportion, height, width)).side


def nearest_side(proportion: float, height: int, width: int) -> int:
    """The same, whether or not such a window fits."""
    return 2 * math.floor(proportion * min(height, width) / 2) + 1
