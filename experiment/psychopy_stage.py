"""The participant's window, drawn by PsychoPy: images pixel by pixel, a fixation point over everything."""

from __future__ import annotations

import ctypes
import itertools
import statistics
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from psychopy import __version__ as psychopy_version
from psychopy import logging, monitors, visual
from pyglet import gl
from pyglet.gl import gl_info

from experiment.doctor import SOFTWARE_RENDERERS
from experiment.drawings import Bar, Mask, Nothing, Picture, Rating, Still, Words
from experiment.gamma_ramp import GammaRamp, card_of
from experiment.lettering import Page, lettered, rating_scale
from experiment.psychopy_keys import KeyReader
from experiment.screen_geometry import (
    CHECK_DEG,
    PatchCode,
    as_sent,
    bar_outline,
    checkerboard,
    fixation_point,
    middle_of,
    noise_mask,
    points_as_sent,
)
from experiment.screen_list import chosen_screen
from protocols.luminance import sent_levels
from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.rig_display import REFRESH_TOLERANCE, Display
from protocols.seeds import generator_for
from protocols.study import ImagesTask

FLIPS_MEASURED = 60
LETTER_DEG = 0.85
TEXT_SHARE = 0.8
"""How much of the screen's width and height text may fill."""
LIGHT_TEXT_BELOW = 150
"""Text is white on backgrounds darker than this grey level of an image, black on lighter ones."""


@dataclass(frozen=True)
class Loaded:
    """An image in video memory.

    path  : the file it came from.
    drawn : what PsychoPy draws.
    """

    path: Path
    drawn: Any


class PsychoPyStage:
    """A PsychoPy window as a rig describes it.

    rig  : screen, size, distance, light, mirrors, photodiode patch.
    task : background and size of the fixation point.

    Raises FoolscanError when the window does not open, comes out at another size than the rig's, or the driver does not
    take the gamma ramp of a linearised display.
    """

    def __init__(self, rig: Rig, task: ImagesTask) -> None:
        logging.console.setLevel(logging.ERROR)
        display = rig.display
        self._rig, self._display = rig, display
        self._background = display.background(task.background_grey)
        self._image_px = display.px(task.image_deg)
        chosen = chosen_screen(display)
        self.window = open_window(rig, self._background)
        try:
            self._ramp = GammaRamp(card_of(self.window, chosen))
        except BaseException:
            self.window.close()
            raise
        try:
            if display.luminance.mode == "linearised" and display.luminance.curve is not None:
                self._ramp.put(display.luminance.curve.inverse_ramp(self._ramp.size()))
        except BaseException:
            self.close()
            raise
        self.window.mouseVisible = False
        self._renderer: str = gl_info.get_renderer()
        self.holds_flips = not any(name in self._renderer.lower() for name in SOFTWARE_RENDERERS)
        point = fixation_point(display.px(task.fixation_deg))
        point[..., :3] = sent_levels(point[..., :3], display.luminance.mode)
        self._fixation = self._drawable(point)
        self._pictures: dict[str, Loaded] = {}
        self._others: dict[Still, Any] = {}
        self._checks: Checks | None = None
        self._code = PatchCode(display.patch.bits if display.patch else 0)
        self._measured_hz: float | None = None
        self.keys = KeyReader()

    def load(self, pictures: Mapping[str, Path]) -> None:
        """Put images into video memory, those of an earlier run kept, and draw each once, unseen."""
        for stim_id, path in pictures.items():
            if stim_id in self._pictures and self._pictures[stim_id].path == path:
                continue
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            self._pictures[stim_id] = Loaded(path, self._drawable(pixels))
            self._pictures[stim_id].drawn.draw()
        self._fixation.draw()
        self.window.clearBuffer()

    def prepare(self, stills: Iterable[Still]) -> None:
        """Make words, masks and scales ready, each drawn once, unseen: nothing is laid out while a run lasts."""
        for still in stills:
            self._draw_still(still)
        self.window.clearBuffer()

    def draw(self, still: Still, code: int = 0) -> None:
        """Draw one still into the back buffer; the fixation point lies over it, except over text, the patch over all.

        code : 1-based number of the timeline's row that is on the screen, 0 for none.
        """
        self._draw_still(still)
        if not isinstance(still, Words | Rating):
            self._fixation.draw()
        if self._display.patch is not None:
            self._draw_patch(code)

    def _draw_still(self, still: Still) -> None:
        if isinstance(still, Picture):
            self._pictures[still.stim_id].drawn.draw()
        elif isinstance(still, Bar):
            if self._checks is None:
                self._checks = Checks(self._display)
            self._checks.draw(bar_outline(still, self._display))
        elif not isinstance(still, Nothing):
            if still not in self._others:
                self._others[still] = self._drawable(self._pixels_of(still))
            self._others[still].draw()

    def _pixels_of(self, still: Words | Mask | Rating) -> np.ndarray:
        """What is drawn once and kept: text with its cover, (height, width, 4); a mask, (height, width, 3)."""
        if isinstance(still, Mask):
            noise = noise_mask(self._image_px, generator_for(0, f"mask/{still.key}"))
            return sent_levels(noise, self._display.luminance.mode)
        width, height = (round(TEXT_SHARE * side) for side in self._display.upright_px)
        page = Page(self._display.px(LETTER_DEG), (width, height))
        if isinstance(still, Words):
            cover = lettered(still.text, page, right_to_left=still.right_to_left)
        else:
            cover = rating_scale(still, page)
        limit = int(sent_levels(np.array([LIGHT_TEXT_BELOW]), self._display.luminance.mode)[0])
        ink = np.full((*cover.shape, 3), 255 if self._background < limit else 0, dtype=np.uint8)
        return np.concatenate([ink, cover[..., None]], axis=2)

    def _drawable(self, pixels: np.ndarray) -> Any:
        """Pixels, upright, as PsychoPy draws them: one of theirs on one of the screen's, through the rig's mirrors."""
        height, width = pixels.shape[:2]
        image = Image.fromarray(as_sent(pixels, self._display))
        place = middle_of((width, height), self._display)
        return visual.ImageStim(self.window, image=image, units="pix", size=image.size, pos=place, interpolate=False)

    def _draw_patch(self, code: int) -> None:
        gl.glPushAttrib(gl.GL_COLOR_BUFFER_BIT | gl.GL_SCISSOR_BIT)
        gl.glEnable(gl.GL_SCISSOR_TEST)
        for (left, top, right, bottom), white in zip(
            self._display.patch_squares(), self._code.squares(code), strict=True
        ):
            gl.glScissor(left, self._display.size_px[1] - bottom, right - left, bottom - top)
            level = 1.0 if white else 0.0
            gl.glClearColor(level, level, level, 1.0)
            gl.glClear(gl.GL_COLOR_BUFFER_BIT)
        gl.glPopAttrib()

    def flip(self) -> None:
        """Show the back buffer; returns at the display's refresh where there is one."""
        self.window.flip()

    def snapshot(self) -> np.ndarray:
        """The back buffer, (height, width, 3) uint8, row 0 at the top: what is sent, before any mirror."""
        width, height = self._display.size_px
        buffer = (gl.GLubyte * (width * height * 3))()
        gl.glReadBuffer(gl.GL_BACK)
        gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 1)
        gl.glReadPixels(0, 0, width, height, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, buffer)
        return np.frombuffer(buffer, dtype=np.uint8).reshape(height, width, 3)[::-1].copy()

    def check_refresh(self) -> float | None:
        """Measure the display's refresh and compare it with the rig's; nothing is measured where flips do not wait.

        Raises FoolscanError when they differ by more than `REFRESH_TOLERANCE`, or when the gamma ramp is no longer there.
        """
        self._ramp.check()
        if not self.holds_flips:
            return None
        times_s = []
        for _ in range(FLIPS_MEASURED + 10):
            self.window.flip()
            times_s.append(time.perf_counter())
        intervals_s = [later - earlier for earlier, later in itertools.pairwise(times_s[9:])]
        self._measured_hz = round(1.0 / statistics.median(intervals_s), 3)
        expected_hz = self._display.refresh_hz
        if abs(self._measured_hz / expected_hz - 1.0) > REFRESH_TOLERANCE:
            raise FoolscanError(
                f"display.refresh_hz: rig {self._rig.name} says {expected_hz:g} Hz; measured {self._measured_hz:g} Hz, more than "
                f"{REFRESH_TOLERANCE:.1%} off. Set the screen's mode, switch vertical sync on, or mend the rig file"
            )
        return self._measured_hz

    def close(self) -> None:
        """Give the gamma ramp back, close the window."""
        try:
            self._ramp.restore()
        finally:
            self.window.close()

    def facts(self) -> dict[str, Any]:
        """Software, driver, size, measured refresh, light, mirrors and patch."""
        display = self._display
        return {
            "kind": "window",
            "software": "PsychoPy",
            "software_version": psychopy_version,
            "renderer": self._renderer,
            "holds_flips": self.holds_flips,
            "screen": display.screen,
            "size_px": list(display.size_px),
            "refresh_measured_hz": self._measured_hz,
            "refresh_tolerance": REFRESH_TOLERANCE,
            "luminance": self._luminance_facts(),
            "seen": {
                "flip_horizontal": display.flip_horizontal,
                "flip_vertical": display.flip_vertical,
                "rotation_deg": display.rotation_deg,
            },
            "patch": None if display.patch is None else display.patch.model_dump(exclude_none=True),
            "light": None if display.measured is None else display.measured.model_dump(),
            "keyboard": self.keys.backend,
        }

    def _luminance_facts(self) -> dict[str, Any]:
        light = self._display.luminance
        # a virtual display's table is whatever stood in its memory
        identity = self._ramp.is_identity() if self.holds_flips else None
        native = {True: "identity", False: "not the identity: the system has put its own in", None: "not known"}
        found = self._display.background_luminance_cd_m2(self._background)
        return {
            "mode": light.mode,
            "gamma_ramp": "inverse of the measured curve" if light.mode == "linearised" else native[identity],
            "curve_sha256": light.curve.sha256 if light.curve else None,
            "background_level": self._background,
            "background_cd_m2": None if found is None else round(found, 3),
        }


class Checks:
    """A checkerboard that stands still on the screen; a bar uncovers it.

    display : says how large a check is.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._period_px = 2 * max(1, display.px(CHECK_DEG))
        pixels = checkerboard(self._period_px // 2, 0, 255)
        self._texture = gl.GLuint()
        gl.glGenTextures(1, self._texture)
        gl.glBindTexture(gl.GL_TEXTURE_2D, self._texture)
        for name, value in (
            (gl.GL_TEXTURE_WRAP_S, gl.GL_REPEAT),
            (gl.GL_TEXTURE_WRAP_T, gl.GL_REPEAT),
            (gl.GL_TEXTURE_MIN_FILTER, gl.GL_NEAREST),
            (gl.GL_TEXTURE_MAG_FILTER, gl.GL_NEAREST),
        ):
            gl.glTexParameteri(gl.GL_TEXTURE_2D, name, value)
        gl.glPixelStorei(gl.GL_UNPACK_ALIGNMENT, 1)
        side = self._period_px
        data = (gl.GLubyte * pixels.size).from_buffer_copy(pixels.tobytes())
        gl.glTexImage2D(gl.GL_TEXTURE_2D, 0, gl.GL_RGB8, side, side, 0, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, data)
        gl.glBindTexture(gl.GL_TEXTURE_2D, 0)

    def draw(self, outline: np.ndarray) -> None:
        """Draw what an outline uncovers.

        outline : (n, 2) px from the middle of the screen, upright, convex.
        """
        if len(outline) < 3:
            return
        width, height = self._display.size_px
        corners = points_as_sent(outline, self._display) / (width / 2, height / 2)
        gl.glPushAttrib(gl.GL_ALL_ATTRIB_BITS)
        gl.glUseProgram(0)
        for mode in (gl.GL_PROJECTION, gl.GL_MODELVIEW):
            gl.glMatrixMode(mode)
            gl.glPushMatrix()
            gl.glLoadIdentity()
        gl.glActiveTexture(gl.GL_TEXTURE0)
        gl.glEnable(gl.GL_TEXTURE_2D)
        gl.glBindTexture(gl.GL_TEXTURE_2D, self._texture)
        gl.glTexEnvi(gl.GL_TEXTURE_ENV, gl.GL_TEXTURE_ENV_MODE, gl.GL_REPLACE)
        gl.glDisable(gl.GL_DEPTH_TEST)
        gl.glDisable(gl.GL_BLEND)  # the checks have no alpha: they would take that of whatever was drawn last
        floats = np.concatenate([corners, outline / self._period_px], axis=1).astype(np.float32)
        first, row = floats.ctypes.data, floats.strides[0]
        gl.glPushClientAttrib(gl.GL_CLIENT_VERTEX_ARRAY_BIT)
        gl.glBindBuffer(gl.GL_ARRAY_BUFFER, 0)
        gl.glClientActiveTexture(gl.GL_TEXTURE0)
        gl.glEnableClientState(gl.GL_VERTEX_ARRAY)
        gl.glEnableClientState(gl.GL_TEXTURE_COORD_ARRAY)
        gl.glVertexPointer(2, gl.GL_FLOAT, row, ctypes.c_void_p(first))
        gl.glTexCoordPointer(2, gl.GL_FLOAT, row, ctypes.c_void_p(first + 2 * floats.itemsize))
        gl.glDrawArrays(gl.GL_TRIANGLE_FAN, 0, len(floats))
        gl.glPopClientAttrib()
        for mode in (gl.GL_MODELVIEW, gl.GL_PROJECTION):
            gl.glMatrixMode(mode)
            gl.glPopMatrix()
        gl.glPopAttrib()


def open_window(rig: Rig, background: int) -> Any:
    """A PsychoPy window on the rig's screen.

    background : grey level that is sent.

    Raises FoolscanError when the driver refuses it, or it comes out at another size than the rig's.
    """
    display = rig.display
    monitor = monitors.Monitor(f"foolscan {rig.name}", width=display.width_mm / 10, distance=display.distance_mm / 10)
    monitor.setSizePix(display.size_px)
    try:
        window = visual.Window(
            size=display.size_px,
            fullscr=display.full_screen,
            screen=display.screen,
            monitor=monitor,
            units="pix",
            color=(background,) * 3,
            colorSpace="rgb255",
            allowGUI=False,
            waitBlanking=True,
            checkTiming=False,
            winType="pyglet",
        )
    except Exception as error:  # every driver has its own
        raise FoolscanError(
            f"display: no window opens on screen {display.screen} ({error}); see foolscan doctor"
        ) from error
    _hold_no_repeats(window)
    size_px = tuple(int(side) for side in window.size)
    if size_px != tuple(display.size_px):
        window.close()
        raise FoolscanError(
            f"display.size_px: rig {rig.name} says {display.size_px[0]} × {display.size_px[1]}; "
            f"the window came out as {size_px[0]} × {size_px[1]}: mend the rig file, or the screen's resolution"
        )
    return window


def _hold_no_repeats(window: Any) -> None:
    """A key that is held down is one press: X repeats keys, and pyglet asks it to mark repeats on its first connection only."""
    if not sys.platform.startswith("linux"):
        return
    from pyglet.window import xlib

    xlib.XkbSetDetectableAutoRepeat(window.winHandle.display._display, 1, None)
