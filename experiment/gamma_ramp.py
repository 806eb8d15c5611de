"""The graphics card's table from levels to light: put in, read back, and given back at the end."""

from __future__ import annotations

import atexit
import ctypes
import sys
from typing import Any, Protocol

import numpy as np

from experiment.screen_list import Screen
from protocols.problems import FoolscanError

# A card with an 8-bit table keeps the upper 8 bits of what it is given.
READ_BACK_TOLERANCE = 1.5 / 255


class Card(Protocol):
    """One screen's table, as an operating system gives it out."""

    def read(self) -> np.ndarray:
        """The table, (3, size) in 0–1. Raises OSError where it cannot be read."""
        ...

    def write(self, ramp: np.ndarray) -> None:
        """Put a table, (3, size) in 0–1, in. Raises OSError where it cannot be set."""
        ...


class GammaRamp:
    """The table of the participant's screen.

    card : the screen's.
    """

    def __init__(self, card: Card) -> None:
        self._card = card
        self._before: np.ndarray | None = None
        self._wanted: np.ndarray | None = None

    def size(self) -> int:
        """Entries of the table.

        Raises FoolscanError when the driver shows none.
        """
        return self._read().shape[1]

    def is_identity(self) -> bool | None:
        """Whether levels go out as they come in; None when the driver does not say."""
        try:
            ramp = self._card.read()
        except OSError:
            return None
        if not ramp.any():  # a virtual display that nobody has written to: black would be seen at once
            return None
        return bool(np.abs(ramp - np.linspace(0.0, 1.0, ramp.shape[1])).max() <= READ_BACK_TOLERANCE)

    def put(self, ramp: np.ndarray) -> None:
        """Put a table in for all three colours, and check that it is there; what was there before comes back at the end.

        ramp : (size,) in 0–1.

        Raises FoolscanError when the driver does not take it.
        """
        before = self._read()
        wanted = np.tile(np.asarray(ramp, dtype=np.float64), (3, 1))
        try:
            self._card.write(wanted)
        except OSError as error:
            raise _refused(f"does not take the table ({error})") from error
        if self._before is None:
            self._before = before
            atexit.register(self.restore)
        self._wanted = wanted
        self.check()

    def check(self) -> None:
        """Check that the table is still the one that was put in (a night light or a colour profile may have changed it).

        Raises FoolscanError when it is not.
        """
        if self._wanted is None:
            return
        difference = np.abs(self._read() - self._wanted)
        if difference.max() > READ_BACK_TOLERANCE:
            level = int(difference.max(axis=0).argmax())
            raise _refused(
                f"holds another table than was put in: entry {level} is {self._read()[:, level].max():.3f} instead of "
                f"{self._wanted[0, level]:.3f}"
            )

    def restore(self) -> None:
        """Put back what was there before."""
        if self._before is None:
            return
        before, self._before, self._wanted = self._before, None, None
        atexit.unregister(self.restore)
        try:
            self._card.write(before)
        except OSError as error:
            raise FoolscanError(f"display: the screen's own gamma ramp could not be put back ({error})") from error

    def _read(self) -> np.ndarray:
        try:
            return self._card.read()
        except OSError as error:
            raise _refused(f"does not show its table ({error})") from error


def _refused(what: str) -> FoolscanError:
    return FoolscanError(
        f"display.luminance: linearised needs the graphics card's gamma ramp, and the driver {what}. Switch night light, "
        "colour profiles and HDR off for this screen, log in at the computer itself (no remote desktop), or set "
        "luminance.mode: native"
    )


def card_of(window: Any, screen: Screen) -> Card:
    """The table of the screen on which a window is.

    window : PsychoPy's.
    """
    if sys.platform == "win32":
        return WindowsCard(int(window.winHandle._dc))
    if sys.platform == "darwin":
        return MacCard(window)
    return XCard(screen)


class XCard:
    """A screen of an X server, through its RandR extension (PsychoPy's own way on Linux knows one screen only)."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def read(self) -> np.ndarray:
        """The table, (3, size) in 0–1."""
        with _Server() as server:
            found = server.table(self._screen)
        return np.array(found, dtype=np.float64) / 65535.0

    def write(self, ramp: np.ndarray) -> None:
        """Put a table, (3, size) in 0–1, in."""
        with _Server() as server:
            server.put(self._screen, np.rint(np.clip(ramp, 0.0, 1.0) * 65535.0).astype(int).tolist())


class _Server:
    """A connection to the X server of its own, so that nothing is mixed with the window's."""

    def __enter__(self) -> _Server:
        try:
            from Xlib import display
            from Xlib.error import DisplayError

            self._display = display.Display()
        except (ImportError, DisplayError) as error:
            raise OSError(f"no connection to the X server: {error}") from error
        return self

    def __exit__(self, *error: object) -> None:
        self._display.close()

    def table(self, screen: Screen) -> list[list[int]]:
        """Red, green, blue of the screen at a place."""
        from Xlib.error import XError

        try:
            found = self._display.xrandr_get_crtc_gamma(self._crtc(screen))
        except XError as error:
            raise OSError(f"X server: {error}") from error
        if not found.red:
            raise OSError("its table has no entries")
        return [list(found.red), list(found.green), list(found.blue)]

    def put(self, screen: Screen, ramp: list[list[int]]) -> None:
        """Red, green, blue, 0–65535."""
        from Xlib.error import XError

        try:
            self._display.xrandr_set_crtc_gamma(self._crtc(screen), len(ramp[0]), *ramp)
            self._display.sync()
        except XError as error:
            raise OSError(f"X server: {error}") from error

    def _crtc(self, screen: Screen) -> int:
        if not self._display.has_extension("RANDR"):
            raise OSError("the X server has no RandR extension")
        left, top = screen.origin_px
        resources = self._display.screen(screen.x_screen).root.xrandr_get_screen_resources_current()
        for crtc in resources.crtcs:
            where = self._display.xrandr_get_crtc_info(crtc, resources.config_timestamp)
            if where.x <= left < where.x + where.width and where.y <= top < where.y + where.height:
                return int(crtc)
        raise OSError(f"the X server lights no screen at {left}, {top}")


class WindowsCard:
    """A screen of Windows, through GDI in its 16 bits (PsychoPy's own way writes 8).

    device_context : of the window on that screen.
    """

    def __init__(self, device_context: int) -> None:
        self._device_context = device_context

    def read(self) -> np.ndarray:
        """The table, (3, 256) in 0–1."""
        table = np.zeros((3, 256), dtype=np.uint16)
        self._call("GetDeviceGammaRamp", table)
        return table / 65535.0

    def write(self, ramp: np.ndarray) -> None:
        """Put a table, (3, 256) in 0–1, in; Windows refuses steep ones, and says so."""
        self._call("SetDeviceGammaRamp", np.rint(np.clip(ramp, 0.0, 1.0) * 65535.0).astype(np.uint16))

    def _call(self, name: str, table: np.ndarray) -> None:
        gdi: Any = ctypes.CDLL("gdi32")  # two plain arguments: both calling conventions are one on 64 bits
        table = np.ascontiguousarray(table)
        if not getattr(gdi, name)(ctypes.c_void_p(self._device_context), ctypes.c_void_p(table.ctypes.data)):
            raise OSError(f"{name} was refused")


class MacCard:
    """A screen of macOS, through PsychoPy."""

    def __init__(self, window: Any) -> None:
        self._window = window

    def read(self) -> np.ndarray:
        """The table, (3, size) in 0–1."""
        return np.asarray(self._window.backend.getGammaRamp(), dtype=np.float64)

    def write(self, ramp: np.ndarray) -> None:
        """Put a table, (3, size) in 0–1, in."""
        self._window.backend.gammaRamp = ramp
