"""A display for windows where there is none: Xvfb, started for this process."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys

from experiment.doctor import has_display
from protocols.problems import FoolscanError


def ensure_display(size_px: tuple[int, int]) -> str | None:
    """Make sure that a window can open; without any display, start Xvfb and point this process at it until it ends.

    size_px : (width, height) that the virtual screen must hold.

    Returns the name of the virtual display that was started, None where a display is there already.
    Raises FoolscanError when there is neither a display nor Xvfb.
    """
    if has_display(sys.platform, os.environ):
        return None
    program = shutil.which("Xvfb")
    if program is None:
        raise FoolscanError(
            "no display: DISPLAY is not set and there is no Xvfb to stand in for one. Run this where a screen is attached, "
            "or install it: sudo apt-get install --no-install-recommends xvfb libgl1-mesa-dri (or rehearse with --stage null)"
        )
    return _start(program, size_px)


def _start(program: str, size_px: tuple[int, int]) -> str:
    read_end, write_end = os.pipe()
    width, height = size_px
    screen = ["-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    # -terminate: it ends with its last client, this process; ending it from here would cut X off under a driver's thread.
    server = subprocess.Popen(
        [program, "-displayfd", str(write_end), "-terminate", *screen],
        pass_fds=(write_end,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C ends the run, not the display under its window
    )
    os.close(write_end)
    with os.fdopen(read_end, encoding="ascii") as answer:
        number = answer.readline().strip()  # Xvfb takes the first free number and says which
    if not number:
        raise FoolscanError("no display: Xvfb did not start; run `Xvfb :99` by hand to see why")
    name = f":{number}"
    os.environ["DISPLAY"] = name
    atexit.register(_stop_if_unused, server)
    return name


def _stop_if_unused(server: subprocess.Popen[bytes]) -> None:
    if "pyglet" not in sys.modules:  # no window ever opened
        server.terminate()
        server.wait(timeout=10)
