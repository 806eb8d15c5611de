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
    x_screen  : number of the desktop, for X servers that do not join their screens to one.
    """

    origin_px: tuple[int, int]
    size_px: tuple[int, int]
    x_screen: int = 0


def screens() -> list[Screen]:
    """The screens, in the order of their numbers."""
    import pyglet

    display = pyglet.canvas.get_display()
    found = [(0, screen) for screen in display.get_screens()]
    if sys.platform.startswith("linux") and len(found) == 1:
        from pyglet.libs.x11 import xlib

        for number in range(1, xlib.XScreenCount(display._display)):
            found += [(number, screen) for screen in pyglet.canvas.Display(x_screen=number).get_screens()[:1]]
    return [Screen((each.x, each.y), (each.width, each.height), number) for number, each in found]


def listed(there: Sequence[Screen]) -> tuple[str, ...]:
    """Number, size and place of each screen, in words."""
    return tuple(
        f"{number}: {screen.size_px[0]} × {screen.size_px[1]} at {screen.origin_px[0]}, {screen.origin_px[1]}"
        for number, screen in enumerate(there)
    )


def chosen_screen(display: Display, there: Sequence[Screen] | None = None) -> Screen:
    """The screen that a rig means.

    there : None: those of this computer.

    Raises FoolscanError listing the screens there are.
    """
    there = screens() if there is None else there
    if display.screen < len(there):
        return there[display.screen]
    raise FoolscanError(
        f"display.screen: the rig says screen {display.screen}; this computer has {'; '.join(listed(there))}. Counted from 0: mend the rig "
        "file, or connect the screen before foolscan starts"
    )
