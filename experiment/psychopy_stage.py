"""The participant's window, drawn by PsychoPy: images pixel by pixel, a fixation point over everything."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from psychopy import __version__ as psychopy_version
from psychopy import logging, monitors, visual
from pyglet import gl
from pyglet.gl import gl_info

from experiment.doctor import SOFTWARE_RENDERERS
from experiment.drawings import Picture, Still, Words
from experiment.psychopy_keys import KeyReader
from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.study import ImagesTask

FLIPS_MEASURED = 60
# 59.94 Hz is 60 Hz: a rig may round its refresh by this share. A wrong mode (50, 75, 120 Hz) is far beyond it.
REFRESH_TOLERANCE = 0.005
TEXT_DEG = 0.7


class PsychoPyStage:
    """A PsychoPy window as a rig describes it.

    rig  : screen, size, distance.
    task : background and size of the fixation point.

    Raises FoolscanError when the window does not open, or comes out at another size than the rig's.
    """

    def __init__(self, rig: Rig, task: ImagesTask) -> None:
        logging.console.setLevel(logging.ERROR)
        display = rig.display
        self._rig, self._grey = rig, task.background_grey
        monitor = monitors.Monitor(
            f"foolscan {rig.name}", width=display.width_mm / 10, distance=display.distance_mm / 10
        )
        monitor.setSizePix(display.size_px)
        try:
            self.window = visual.Window(
                size=display.size_px,
                fullscr=display.full_screen,
                screen=display.screen,
                monitor=monitor,
                units="pix",
                color=(self._grey,) * 3,
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
        size_px = tuple(int(side) for side in self.window.size)
        if size_px != tuple(display.size_px):
            self.window.close()
            raise FoolscanError(
                f"display.size_px: rig {rig.name} says {display.size_px[0]} × {display.size_px[1]}; "
                f"the window came out as {size_px[0]} × {size_px[1]}: mend the rig file, or the screen's resolution"
            )
        self.window.mouseVisible = False
        self._renderer: str = gl_info.get_renderer()
        self.holds_flips = not any(name in self._renderer.lower() for name in SOFTWARE_RENDERERS)
        self._fixation = self._image(Image.fromarray(fixation_point(display.px(task.fixation_deg))))
        self._pictures: dict[str, tuple[Path, Any]] = {}
        self._words: dict[str, Any] = {}
        self._measured_hz: float | None = None
        self.keys = KeyReader()

    def load(self, pictures: Mapping[str, Path]) -> None:
        """Put images into video memory, those of an earlier run kept, and draw each once, unseen."""
        for stim_id, path in pictures.items():
            if self._pictures.get(stim_id, (None, None))[0] == path:
                continue
            with Image.open(path) as image:
                self._pictures[stim_id] = (path, self._image(image.convert("RGB")))
            self._pictures[stim_id][1].draw()
        self._fixation.draw()
        self.window.clearBuffer()

    def _image(self, image: Image.Image) -> Any:
        # An odd side on an even window needs half a pixel, or the picture would fall between the screen's pixels.
        shift = [
            0.5 if side % 2 != whole % 2 else 0.0
            for side, whole in zip(image.size, self._rig.display.size_px, strict=True)
        ]
        return visual.ImageStim(self.window, image=image, units="pix", size=image.size, pos=shift, interpolate=False)

    def prepare(self, stills: Iterable[Still]) -> None:
        """Lay out the words, each drawn once, unseen."""
        for still in stills:
            if isinstance(still, Words):
                self._text(still.text).draw()
        self.window.clearBuffer()

    def draw(self, still: Still, code: int = 0) -> None:
        """Draw one still into the back buffer; the fixation point lies over it, except over text."""
        if isinstance(still, Words):
            self._text(still.text).draw()
            return
        if isinstance(still, Picture):
            self._pictures[still.stim_id][1].draw()
        self._fixation.draw()

    def _text(self, text: str) -> Any:
        if text not in self._words:
            display = self._rig.display
            light = 255 if self._grey < 150 else 0
            self._words[text] = visual.TextStim(
                self.window,
                text=text,
                units="pix",
                height=max(12, display.px(TEXT_DEG)),
                wrapWidth=display.size_px[0] * 0.8,
                color=(light,) * 3,
                colorSpace="rgb255",
            )
        return self._words[text]

    def flip(self) -> None:
        """Show the back buffer; returns at the display's refresh where there is one."""
        self.window.flip()

    def snapshot(self) -> np.ndarray:
        """The back buffer, (height, width, 3) uint8, row 0 at the top."""
        width, height = self._rig.display.size_px
        buffer = (gl.GLubyte * (width * height * 3))()
        gl.glReadBuffer(gl.GL_BACK)
        gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 1)
        gl.glReadPixels(0, 0, width, height, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, buffer)
        return np.frombuffer(buffer, dtype=np.uint8).reshape(height, width, 3)[::-1].copy()

    def check_refresh(self) -> float | None:
        """Measure the display's refresh and compare it with the rig's; nothing is measured where flips do not wait.

        Raises FoolscanError when they differ by more than `REFRESH_TOLERANCE`.
        """
        if not self.holds_flips:
            return None
        times_s = []
        for _ in range(FLIPS_MEASURED + 10):
            self.window.flip()
            times_s.append(time.perf_counter())
        intervals_s = [later - earlier for earlier, later in itertools.pairwise(times_s[9:])]
        self._measured_hz = round(1.0 / statistics.median(intervals_s), 3)
        expected_hz = self._rig.display.refresh_hz
        if abs(self._measured_hz / expected_hz - 1.0) > REFRESH_TOLERANCE:
            raise FoolscanError(
                f"display.refresh_hz: rig {self._rig.name} says {expected_hz:g} Hz; measured {self._measured_hz:g} Hz. Set the "
                "screen's mode, switch vertical sync on, or mend the rig file"
            )
        return self._measured_hz

    def close(self) -> None:
        """Close the window."""
        self.window.close()

    def facts(self) -> dict[str, Any]:
        """Software, driver, size and measured refresh."""
        return {
            "kind": "window",
            "software": "PsychoPy",
            "software_version": psychopy_version,
            "renderer": self._renderer,
            "holds_flips": self.holds_flips,
            "size_px": list(self._rig.display.size_px),
            "refresh_measured_hz": self._measured_hz,
            "keyboard": self.keys.backend,
        }


def fixation_point(side_px: int) -> np.ndarray:
    """A red disc with a white rim, seen on any picture; (side_px, side_px, 4) uint8 with soft edges.

    side_px : diameter.
    """
    fine = 8
    centre = (side_px * fine - 1) / 2
    y, x = np.mgrid[: side_px * fine, : side_px * fine]
    radius = np.hypot(x - centre, y - centre) / (side_px * fine / 2)
    inside, core = radius <= 1.0, radius <= 0.62
    cover = inside.reshape(side_px, fine, side_px, fine).mean(axis=(1, 3))
    red = core.reshape(side_px, fine, side_px, fine).mean(axis=(1, 3))
    share = np.divide(red, cover, out=np.zeros_like(red), where=cover > 0)[..., None]
    colour = share * np.array([200.0, 0.0, 0.0]) + (1 - share) * 255.0
    return np.rint(np.concatenate([colour, cover[..., None] * 255.0], axis=2)).astype(np.uint8)
