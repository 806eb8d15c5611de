"""A scanner and a button box on two pseudo-terminals, in a process of their own with a log of their own.

python _sender.py LOG JOURNAL SEED TR_S: prints the two ports, waits for the waiting screen in a new journal, then sends a
pulse each TR and presses at random, until it is ended. Each thing is logged, with the system-wide monotonic clock just
before and after it is sent. Nothing but the standard library is loaded: it must start at once.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

PULSE, BUTTONS = b"t", (b"l", b"r")
PRESS_EVERY_S = 0.06
# The run listens from its first flip on; its journal says so a moment earlier.
SETTLE_S = 0.15


def port() -> tuple[int, str]:
    """A pseudo-terminal: where we write, and the name that pyserial opens."""
    import tty  # not there on Windows, where this file is imported too

    ours, theirs = os.openpty()
    tty.setraw(theirs)
    return ours, os.ttyname(theirs)


def send(log: int, to: int, content: bytes) -> None:
    """Send it; log the times just before and just after."""
    before_s = time.perf_counter()
    os.write(to, content)
    os.write(log, f"{content.decode()}\t{before_s:.6f}\t{time.perf_counter():.6f}\n".encode())


def file_of(path: Path) -> int | None:
    """Which file has this name; None when none has."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def has_flips(journal: Path, earlier: int | None) -> bool:
    """Whether there is a journal, another than the earlier one, of a run that shows something."""
    return file_of(journal) not in (None, earlier) and b'"kind": "flip"' in journal.read_bytes()


def main(log_path: str, journal_path: str, seed: str, tr_s: str) -> None:
    """Send until ended."""
    chance, journal = random.Random(int(seed)), Path(journal_path)
    earlier = file_of(journal)
    pulses, buttons = port(), port()
    log = os.open(log_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    print(pulses[1], buttons[1], flush=True)
    while not has_flips(journal, earlier):
        time.sleep(0.005)
    time.sleep(SETTLE_S)
    pulse_s = press_s = time.perf_counter()
    while True:
        time.sleep(max(0.0, min(pulse_s, press_s) - time.perf_counter()))
        if pulse_s <= press_s:
            send(log, pulses[0], PULSE)
            pulse_s += float(tr_s)
        else:
            send(log, buttons[0], chance.choice(BUTTONS))
            press_s += chance.expovariate(1 / PRESS_EVERY_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
