"""A trigger and button box of state bytes on one pseudo-terminal, in a process of its own with a log of its own.

python _pulse_sender.py LOG JOURNAL PULSES TR_S WIDTH_S: prints the port, waits for the waiting screen in the journal, then
sends the pulses, each a bit that is set for WIDTH_S, and a press of a button between some of them. Each is logged, with the
system-wide monotonic clock, just before it is sent.
"""

from __future__ import annotations

import os
import random
import sys
import time
import tty
from contextlib import suppress
from pathlib import Path

PULSE, BUTTON = 1 << 4, 1 << 0
SETTLE_S = 0.2


def wait_until(t_s: float) -> None:
    """Sleep, and look at the clock for the last half millisecond."""
    time.sleep(max(0.0, t_s - time.perf_counter() - 0.0005))
    while time.perf_counter() < t_s:
        pass


def main(log_path: str, journal_path: str, pulses: str, tr_s: str, width_s: str) -> None:
    """Send them all, and stay until ended."""
    # It stands for a box, which no other program on this computer can hold up.
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    box, computer = os.openpty()
    tty.setraw(computer)
    print(os.ttyname(computer), flush=True)
    journal, chance, log = Path(journal_path), random.Random(1), []
    while not journal.exists() or b'"kind": "flip"' not in journal.read_bytes():
        time.sleep(0.005)
    time.sleep(SETTLE_S)
    first_s = time.perf_counter()
    for number in range(int(pulses)):
        for what, bits, offset_s in (
            ("pulse", PULSE, 0.0),
            ("press", BUTTON, chance.uniform(0.1, 0.9) * float(tr_s)),
        ):
            if what == "press" and chance.random() < 0.5:
                continue
            begin_s = first_s + number * float(tr_s) + offset_s
            wait_until(begin_s)
            log.append(f"{what}\t{time.perf_counter():.9f}\n")
            os.write(box, bytes([bits]))
            wait_until(max(begin_s, time.perf_counter()) + float(width_s))
            os.write(box, bytes([0]))
    Path(log_path).write_text("".join(log), encoding="utf-8", newline="\n")
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
