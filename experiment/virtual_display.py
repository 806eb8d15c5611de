"""A display for windows where there is none: Xvfb, started for this process."""

from __future__ import annotations

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


# Holds the server until this process is gone, however it ended: the end of its standard input is the sign. Ending the
# server earlier would cut X off under a driver's thread, which then takes the process down.
_KEEPER = '"$0" "$@" & server=$!; read -r _; kill $server'


def _start(program: str, size_px: tuple[int, int]) -> str:
    read_end, write_end = os.pipe()
    # A bare descriptor: the system closes it when this process is gone, not Python while it shuts down.
    held_end, _kept_end = os.pipe()
    width, height = size_px
    screen = ["-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    keeper = subprocess.Popen(
        ["sh", "-c", _KEEPER, program, "-displayfd", str(write_end), *screen],
        pass_fds=(write_end,),
        stdin=held_end,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C ends the run, not the display under its window
    )
    os.close(write_end)
    os.close(held_end)
    with os.fdopen(read_end, encoding="ascii") as answer:
        number = answer.readline().strip()  # Xvfb takes the first free number and says which
    if not number:
        keeper.kill()
        raise FoolscanError("no display: Xvfb did not start; run `Xvfb :99` by hand to see why")
    os.environ["DISPLAY"] = f":{number}"
    return f":{number}"
