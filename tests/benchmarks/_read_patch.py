"""An X client of its own that watches the coded squares in the corner of the screen and stamps every change.

Arguments: x, y, side, number of squares, file to write. Ends when its standard input is closed.

One line for each change: when the picture before it was last seen, when the new one was seen first (both s on the
system's monotonic clock), the sync square, the code.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

from Xlib import X
from Xlib.display import Display

PAUSE_S = 0.0005


def main() -> None:
    """Watch until standard input ends."""
    x, y, side, squares = map(int, sys.argv[1:5])
    with contextlib.suppress(OSError, AttributeError):
        os.nice(-15)  # where it may: a reader that has to wait for the processor says nothing about the screen
    root = Display().screen().root
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    before_s, seen = time.perf_counter(), b""
    with Path(sys.argv[5]).open("w", encoding="utf-8") as out:
        while not ended.is_set():
            asked_s = time.perf_counter()
            column = root.get_image(
                x + side // 2, y + side // 2, 1, side * (squares - 1) + 1, X.ZPixmap, 0xFFFFFFFF
            ).data
            came_s = time.perf_counter()
            now = bytes(column[4 * side * square] > 127 for square in range(squares))
            if now != seen:
                code = sum(1 << bit for bit, white in enumerate(now[1:]) if white)
                out.write(f"{before_s:.6f}\t{came_s:.6f}\t{now[0]}\t{code}\n")
                out.flush()
                seen = now
            before_s = asked_s
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
