"""A run in a process of its own, so that nothing the operator's terminal does can reach its frames."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from protocols.problems import FoolscanError

ABORTED = 130  # as a shell says that Ctrl-C ended a program
TAIL_LINES = 20


class Child:
    """One command of foolscan, started; what it says goes into a log.

    arguments : what follows ``foolscan`` on the command line.
    log       : a new file for its output; its folder is made.

    It is in a process group of its own: Ctrl-C in the operator's terminal does not reach it, and neither does the closing of
    that terminal. `end` asks it to stop.

    Raises FoolscanError when it cannot be started.
    """

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self.log = log
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("xb") as output:
                self._process = _started([sys.executable, "-m", "foolscan", *arguments], output)
        except OSError as error:
            raise FoolscanError(f"{log}: the run cannot be started ({error.strerror or error})") from error

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        status = self._process.poll()
        return ABORTED if status is not None and status in (-signal.SIGINT, 0xC000013A, -0x3FFFFEC6) else status

    def end(self) -> None:
        """Ask it to end in good order, as Ctrl-C would; asked twice it ends at once."""
        if self._process.poll() is not None:
            return
        if sys.platform == "win32":
            self._process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            self._process.send_signal(signal.SIGINT)

    @property
    def last_lines(self) -> list[str]:
        """The end of what it said."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        except OSError:
            return []


def _started(command: list[str], output: BinaryIO) -> subprocess.Popen[bytes]:
    facts: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
    environment = {**os.environ, "PYTHONUTF8": "1"}  # what it says is read as UTF-8, whatever the system's code page
    if sys.platform == "win32":
        group = subprocess.CREATE_NEW_PROCESS_GROUP
        return subprocess.Popen(command, env=environment, creationflags=group, **facts)
    return subprocess.Popen(command, env=environment, start_new_session=True, **facts)


def new_log(folder: Path, stem: str) -> Path:
    """The next free ``<stem>_log-01.txt``: every attempt keeps its own."""
    number = 1
    while (path := folder / f"{stem}_log-{number:02d}.txt").exists():
        number += 1
    return path
