"""A trigger and button box of state bytes on one pseudo-terminal, in a process of its own with a log of its own.

python _pulse_sender.py LOG JOURNAL PULSES TR_S WIDTH_S: prints the port, waits for the waiting screen in the journal, then
sends the pulses, each a bit that is set for WIDTH_S, and a press of a button between some of them. Each is logged, with the
system-wide monotonic clock, just before it is sent.

What it sends goes to a second pseudo-terminal too, where another process does nothing but read and stamp: what that one
finds is the delay of such a line on this computer, now, which no program that reads it can undo.
"""

from __future__ import annotations

import os
import random
import subprocess
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


def hurry() -> None:
    """No other program shall hold this one up, as none would hold up a box."""
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def line() -> tuple[int, str]:
    """A pseudo-terminal: the box's end, and the name of the computer's."""
    box, computer = os.openpty()
    tty.setraw(computer)
    return box, os.ttyname(computer)


def read(port: str, log_path: str) -> None:
    """Stamp every byte of a line until a byte 0xff, then write the stamps down."""
    hurry()
    end, log = os.open(port, os.O_RDWR | os.O_NOCTTY), []
    print("ready", flush=True)
    while (content := os.read(end, 1)) != b"\xff":
        log.append(f"{content[0]}\t{time.perf_counter():.9f}\n")
    Path(log_path).write_text("".join(log), encoding="utf-8", newline="\n")


def send(log_path: str, journal_path: str, pulses: str, tr_s: str, width_s: str) -> None:
    """Send them all, and stay until ended."""
    (box, port), (bare, bare_port) = line(), line()
    command = [sys.executable, __file__, "read", bare_port, f"{log_path}.line"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        print(port, flush=True)
        journal, chance, log = Path(journal_path), random.Random(1), []
        while not journal.exists() or b'"kind": "flip"' not in journal.read_bytes():
            time.sleep(0.005)
        time.sleep(SETTLE_S)
        hurry()
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
                sent_s = time.perf_counter()
                os.write(box, bytes([bits]))
                again_s = time.perf_counter()
                os.write(bare, bytes([bits]))
                log.append(f"{what}\t{sent_s:.9f}\t{again_s:.9f}\n")
                wait_until(sent_s + float(width_s))
                os.write(box, bytes([0]))
                os.write(bare, bytes([0]))
        os.write(bare, b"\xff")
    Path(log_path).write_text("".join(log), encoding="utf-8", newline="\n")
    sys.stdin.read()


if __name__ == "__main__":
    read(*sys.argv[2:]) if sys.argv[1] == "read" else send(*sys.argv[1:])
