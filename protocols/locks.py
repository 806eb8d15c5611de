"""Who may write a thing: one command at a time, and nobody who has ended."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from protocols.problems import FoolscanError

# What systems answer on disks that cannot lock (some network disks).
NO_LOCKS_HERE = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextmanager
def exclusive(path: Path, what: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold a lock file while the block runs, so that two commands cannot write the same thing.

    path   : the thing that is written; the lock stands beside it as ``<name>.lock`` and says whose it is.
    what   : its name for the error, e.g. ``"run 1 of sub-01"``.
    wait_s : how long to wait for another holder, s.

    The system itself holds the lock for the process and lets it go when the process ends, however it ends: neither a
    process number that is used again nor a changed date can keep it. On a disk that cannot lock, the process number in
    the file decides instead.

    Raises FoolscanError when another process, or another block of this one, holds it; or when it cannot be written.
    """
    lock = path.with_name(path.name + ".lock")
    until_s = time.monotonic() + wait_s
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        while (handle := _held(lock)) is None:
            if time.monotonic() >= until_s:
                owner = _owner(lock)
                who = "another process" if owner is None else f"process {owner}"
                raise FoolscanError(f"{what}: {who} is at it now ({lock}); wait for it, or end it")
            time.sleep(0.02)
    except OSError as error:
        raise FoolscanError(
            f"{lock}: could not be written ({error.strerror or error}); free space on this disk, or permission?"
        ) from error
    try:
        yield
    finally:
        _let_go(lock, handle)


def _held(lock: Path) -> int | None:
    """The lock file, open and held, with this process's number in it; None when somebody else holds it."""
    while True:
        try:
            handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o666)
        except PermissionError:
            if not lock.exists():
                raise
            if not _is_left_over(lock):
                return None
            lock.unlink()  # another user's, who has ended
            continue
        if not _is_mine(handle, lock):
            os.close(handle)
            return None
        if _still_there(handle, lock):
            _sign(handle, lock)
            return handle
        os.close(handle)  # its last holder took the file away between our two looks at it


def _sign(handle: int, lock: Path) -> None:
    try:
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
    except OSError:
        _let_go(lock, handle)
        raise


def _let_go(lock: Path, handle: int) -> None:
    if sys.platform == "win32":  # an open file cannot be removed there
        os.close(handle)
        with suppress(OSError):  # the next holder has it open already
            lock.unlink()
    else:
        lock.unlink(missing_ok=True)
        os.close(handle)


def _is_mine(handle: int, lock: Path) -> bool:
    """Whether the system gave the open file to this process now."""
    try:
        return _lock_now(handle)
    except OSError as error:
        if error.errno not in NO_LOCKS_HERE:
            raise
    owner = _owner(lock)
    return owner is None or not psutil.pid_exists(owner)


if sys.platform == "win32":
    import msvcrt

    def _lock_now(handle: int) -> bool:
        os.lseek(handle, 1 << 30, os.SEEK_SET)  # beyond the text, so that others can read whose it is
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock_now(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _is_left_over(lock: Path) -> bool:
    """Whether nobody holds a lock file that this user may read but not write."""
    handle = os.open(lock, os.O_RDONLY)
    try:
        return _is_mine(handle, lock)
    finally:
        os.close(handle)


def _still_there(handle: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), lock.stat())
    except FileNotFoundError:
        return False


def _owner(lock: Path) -> int | None:
    try:
        return int(lock.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
