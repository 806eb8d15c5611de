"""Fragile recognition images: windows whose recognition flips when they shift or shrink (Srivastava et al. 2019, section 2)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from stimuli.fragile.windows import SHRINK_PX

Correctness = NDArray[np.bool_]
"""Whether each window is recognised, (rows, columns)."""
FragileMap = NDArray[np.int8]
"""(rows, columns): 1 where a right window becomes wrong, −1 where a wrong one becomes right, 0 where recognition holds."""

FragileType = Literal["loose_shift", "strict_shift", "loose_shrink", "strict_shrink"]
FRAGILE_TYPES: tuple[FragileType, ...] = get_args(FragileType)

NEIGHBOURS = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if (row, column) != (0, 0))
"""Shifts by one pixel in any direction: rows and columns."""
INSETS = tuple((row, column) for row in range(SHRINK_PX + 1) for column in range(SHRINK_PX + 1))
"""Where a window that is two pixels smaller may lie in a window: rows and columns from its upper left pixel."""


def shift_neighbours(correct: Correctness) -> tuple[Correctness, Correctness]:
    """Whether each of a window's eight neighbours is right, and whether there is one: both (8, rows, columns).

    The 3 x 3 neighbourhood is cut off at the map's edge. Where there is none, "right" is False.
    """
    rows, columns = correct.shape
    right, there = np.zeros((2, len(NEIGHBOURS), rows, columns), bool)
    for number, (down, across) in enumerate(NEIGHBOURS):
        to = np.s_[max(0, -down) : rows - max(0, down), max(0, -across) : columns - max(0, across)]
        of = np.s_[max(0, down) : rows + min(0, down), max(0, across) : columns + min(0, across)]
        right[number][to], there[number][to] = correct[of], True
    return right, there


def shrink_neighbours(correct: Correctness, shrunk: Correctness) -> tuple[Correctness, Correctness]:
    """As `shift_neighbours`, of the nine windows that are two pixels smaller and lie inside a window: both (9, rows, columns).

    shrunk : their correctness, (rows + 2, columns + 2).
    """
    rows, columns = correct.shape
    right = np.stack([shrunk[down : down + rows, across : across + columns] for down, across in INSETS])
    return right, np.ones_like(right)


def fragile(correct: Correctness, right: Correctness, there: Correctness) -> tuple[FragileMap, FragileMap]:
    """Loose and strict fragility: any of the changed windows flips, or all of them do.

    correct : (…), of the windows themselves.
    right   : (n_changes, …), of the changed windows.
    there   : (n_changes, …), whether there is such a window; a window without any is not fragile.
    """
    flips = there & (right != correct)
    sign = np.where(correct, np.int8(1), np.int8(-1))
    strict = (flips == there).all(axis=0) & there.any(axis=0)
    return sign * flips.any(axis=0), sign * strict


def fragile_maps(correct: Correctness, shrunk: Correctness | None) -> dict[FragileType, FragileMap]:
    """The fragile recognition maps of one side.

    correct : of its windows, (rows, columns).
    shrunk  : of the windows two pixels smaller, (rows + 2, columns + 2); None where there are none: then none shrinks.
    """
    loose_shift, strict_shift = fragile(correct, *shift_neighbours(correct))
    found: dict[FragileType, FragileMap] = {"loose_shift": loose_shift, "strict_shift": strict_shift}
    if shrunk is not None:
        found["loose_shrink"], found["strict_shrink"] = fragile(correct, *shrink_neighbours(correct, shrunk))
    return found
