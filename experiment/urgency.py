"""Asks the system to let a thread run as soon as it can: other programs must not make pulses and flips late."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Urgency = Literal["realtime", "raised", "normal"]

# The lowest real-time level is above every ordinary program, and below what the kernel's own drivers need.
REALTIME_LEVEL = 1
RAISED_NICE = -10
WINDOWS_TIME_CRITICAL, WINDOWS_NORMAL = 15, 0


def make_urgent() -> Urgency:
    """Make the calling thread urgent, as far as the system allows it; what it has granted.

    ``realtime``: it runs before every ordinary program (Linux with the right to; Windows). ``raised``: more often than
    others. ``normal``: the system grants nothing (on Linux, see `foolscan doctor`; on macOS there is nothing to ask).
    """
    if sys.platform == "win32":
        return "realtime" if _windows_priority(WINDOWS_TIME_CRITICAL) else "normal"
    if not sys.platform.startswith("linux"):
        return "normal"
    try:
        # Threads and processes that this one starts shall be ordinary ones.
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(REALTIME_LEVEL))
    except OSError:
        pass
    else:
        return "realtime"
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), RAISED_NICE)
    except OSError:
        return "normal"
    return "raised"


def make_ordinary() -> None:
    """Undo `make_urgent` for the calling thread."""
    if sys.platform == "win32":
        _windows_priority(WINDOWS_NORMAL)
    elif sys.platform.startswith("linux"):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        if os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < 0:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 0)


@contextmanager
def urgent(asked: bool = True) -> Iterator[Urgency]:
    """The calling thread is urgent while the block runs.

    asked : False: it is left as it is (a simulated clock has no hurry).
    """
    if not asked:
        yield "normal"
        return
    granted = make_urgent()
    try:
        yield granted
    finally:
        if granted != "normal":
            make_ordinary()


def _windows_priority(level: int) -> bool:
    if sys.platform != "win32":
        return False
    import ctypes

    kernel = ctypes.WinDLL("kernel32")
    kernel.GetCurrentThread.restype = ctypes.c_void_p
    kernel.SetThreadPriority.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return bool(kernel.SetThreadPriority(kernel.GetCurrentThread(), level))
