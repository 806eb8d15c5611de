"""Asks the system to let threads run as soon as they can: other programs must not make pulses and flips late."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

Urgency = Literal["realtime", "normal"]

# The lowest real-time level is above every ordinary program, and below what the kernel's own drivers need.
REALTIME_LEVEL = 1
WINDOWS_TIME_CRITICAL = 15
WINDOWS_HIGH, WINDOWS_NORMAL = 0x80, 0x20
TASKS = Path("/proc/self/task")


def make_urgent() -> Urgency:
    """Make the calling thread urgent, as far as the system allows it; what it has granted.

    ``realtime``: it runs before every ordinary program (Linux with the right to; Windows). ``normal``: the system grants
    nothing (on Linux, see `foolscan doctor`; on macOS there is nothing to ask).
    """
    if sys.platform == "win32":
        return "realtime" if _windows_thread(WINDOWS_TIME_CRITICAL) else "normal"
    return "realtime" if _scheduled(0) else "normal"


@contextmanager
def urgent(asked: bool = True) -> Iterator[Urgency]:
    """All threads of this process are urgent while the block runs.

    asked : False: they are left as they are (a simulated clock has no hurry).

    All, not only the one that draws: Python lets one thread run at a time, and an ordinary one that is held up by another
    program (the journal's) would hold up those that wait for it.
    """
    if not asked:
        yield "normal"
        return
    if sys.platform == "win32":
        granted = _windows_process(WINDOWS_HIGH)
        try:
            yield "realtime" if granted else "normal"
        finally:
            _windows_process(WINDOWS_NORMAL)
        return
    ordinary = [thread for thread in _threads() if _is_ordinary(thread)]
    raised = [thread for thread in ordinary if _scheduled(thread)]
    try:
        yield "realtime" if raised or not ordinary else "normal"
    finally:
        for thread in raised:
            _make_ordinary(thread)


def _threads() -> list[int]:
    """The threads of this process, where the system lists them (Linux)."""
    try:
        return [int(task.name) for task in TASKS.iterdir()]
    except OSError:
        return []


def _is_ordinary(thread: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        return os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER
    except OSError:
        return False


def _scheduled(thread: int) -> bool:
    """Whether a thread (0: the calling one) could be put on the real-time level."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        # Threads and processes that it starts shall be ordinary ones.
        os.sched_setscheduler(thread, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(REALTIME_LEVEL))
    except OSError:
        return False
    return True


def _make_ordinary(thread: int) -> None:
    if sys.platform.startswith("linux"):
        with suppress(OSError):  # a thread that has ended meanwhile
            os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _windows_thread(level: int) -> bool:
    if sys.platform != "win32":
        return False
    import ctypes

    kernel = ctypes.WinDLL("kernel32")
    kernel.GetCurrentThread.restype = ctypes.c_void_p
    kernel.SetThreadPriority.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return bool(kernel.SetThreadPriority(kernel.GetCurrentThread(), level))


def _windows_process(level: int) -> bool:
    if sys.platform != "win32":
        return False
    import ctypes

    kernel = ctypes.WinDLL("kernel32")
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.SetPriorityClass.argtypes = [ctypes.c_void_p, ctypes.c_ulong]
    return bool(kernel.SetPriorityClass(kernel.GetCurrentProcess(), level))
