"""Measures the curve of a display: grey levels on the whole screen, one after the other, and what a photometer reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.rig_display import LEAST_POINTS, Luminance


@dataclass(frozen=True)
class Readings:
    """Grey levels and what was read at them.

    through_curve : whether the rig's own inverse curve was in the graphics card: then this is a check of it.
    """

    measured: tuple[tuple[int, float], ...]
    through_curve: bool

    @property
    def furthest_from_straight(self) -> float:
        """The largest distance from a straight line between black and white, as a share of white minus black."""
        levels, cd_m2 = np.array(self.measured).T
        straight = cd_m2[0] + (cd_m2[-1] - cd_m2[0]) * levels / 255
        return float(np.abs(cd_m2 - straight).max() / (cd_m2[-1] - cd_m2[0]))

    def yaml(self) -> str:
        """The table as it goes into the rig file, below ``display:``."""
        rows = ", ".join(f"[{level}, {cd_m2:g}]" for level, cd_m2 in self.measured)
        return f"  luminance:\n    mode: linearised\n    measured: [{rows}]\n"


def levels_to_measure(n: int) -> tuple[int, ...]:
    """Grey levels from 0 to 255, evenly spread.

    Raises FoolscanError when there are too few for a curve.
    """
    if not LEAST_POINTS <= n <= 256:
        raise FoolscanError(f"--levels: found {n}; a curve needs {LEAST_POINTS} to 256")
    return tuple(round(255 * k / (n - 1)) for k in range(n))


def measure(
    rig: Rig,
    levels: Sequence[int],
    read: Callable[[int], float],
    screen: Callable[[Rig], Any] | None = None,
) -> Readings:
    """Show each grey level on the whole screen and take its reading.

    rig    : native: measured with a straight table in the graphics card; linearised: through the rig's own curve, as a check.
    read   : asked for the cd/m² of the level that is on the screen.
    screen : opens what shows grey levels (`grey_screen`).

    Raises FoolscanError when the readings make no curve.
    """
    with (screen or grey_screen)(rig) as show:
        readings = []
        for level in levels:
            show(level)
            readings.append((level, read(level)))
    measured = tuple(readings)
    try:
        Luminance(mode="native", measured=measured)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise FoolscanError(f"these readings make no curve: {why}") from error
    return Readings(measured, rig.display.luminance.mode == "linearised")


@contextmanager
def grey_screen(rig: Rig) -> Iterator[Callable[[int], None]]:
    """A window on the rig's screen that shows one grey level at a time."""
    from experiment.rigging import make_window_possible

    make_window_possible(rig)
    from experiment.gamma_ramp import GammaRamp, card_of
    from experiment.psychopy_stage import open_window
    from experiment.screen_list import chosen_screen

    chosen = chosen_screen(rig.display)
    window = open_window(rig, 0)
    ramp = GammaRamp(card_of(window, chosen))

    def show(level: int) -> None:
        window.color = (level,) * 3
        for _ in range(3):  # both buffers, and one more for drivers that queue
            window.flip()

    try:
        curve = rig.display.luminance.curve
        if rig.display.luminance.mode == "linearised" and curve is not None:
            ramp.put(curve.inverse_ramp(ramp.size()))
        else:
            ramp.put(np.linspace(0.0, 1.0, ramp.size()))
        yield show
    finally:
        try:
            ramp.restore()
        finally:
            window.close()
