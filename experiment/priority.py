"""The drawing thread before all others, where the system allows it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

# Ten steps before ordinary programs, and behind the system's own.
NICENESS = -10


@contextmanager
def high_priority() -> Iterator[str]:
    """While the block runs, this thread (on Windows: this process) gets the processor before ordinary programs.

    Gives what was attained, for the journal: ``high``, or ``ordinary`` where the system does not allow more (on Linux and
    macOS that needs root, or a line ``@audio - nice -10`` for the user in /etc/security/limits.conf).
    """
    me = psutil.Process()
    before = me.nice()
    try:
        if sys.platform == "win32":
            me.nice(psutil.HIGH_PRIORITY_CLASS)
        else:
            me.nice(NICENESS)
        attained = "high"
    except (psutil.AccessDenied, PermissionError):
        attained = "ordinary"
    try:
        yield attained
    finally:
        if attained == "high":
            me.nice(before)
