"""The screens of this computer, and the one that a rig means."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from protocols.problems import FoolscanError
from protocols.rig_display import Display


@dataclass(frozen=True)
class Screen:
    """One screen.

    origin_px : (left, top) on the desktop.
    size_px   : (width, height).
    """

    origin_px: tuple[int, int]
    size_px: tuple[int, int]


def screens() -> list[Screen]:
    """The screens, in the order of their numbers."""
    import pyglet

    found = pyglet.canvas.get_display().get_screens()
    if sys.platform.startswith("linux") and len(found) == 1:
        found = [*found, *_further_x_screens()]
    return [Screen((each.x, each.y), (each.width, each.height)) for each in found]


def _further_x_screens() -> list[object]:
    """Screens of an X server that does not join them to one desktop: each is a display of its own."""
    import pyglet

    further: list[object] = []
    while True:
        try:
            further += pyglet.canvas.Display(x_screen=len(further) + 1).get_screens()[:1]
        except pyglet.canvas.xlib.NoSuchDisplayException:
            return further


def chosen_screen(display: Display, there: Sequence[Screen] | None = None) -> Screen:
    """The screen that a rig means.

    there : None: those of this computer.

    Raises FoolscanError listing the screens there are.
    """
    there = screens() if there is None else there
    if display.screen < len(there):
        return there[display.screen]
    listed = "; ".join(
        f"{number}: {screen.size_px[0]} × {screen.size_px[1]} at {screen.origin_px[0]}, {screen.origin_px[1]}"
        for number, screen in enumerate(there)
    )
    raise FoolscanError(
        f"display.screen: the rig says screen {display.screen}; this computer has {listed}. Counted from 0: mend the rig "
        "file, or connect the screen before foolscan starts"
    )
