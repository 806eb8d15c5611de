"""Follows a journal while another process writes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from experiment.journal import Record
from experiment.operator.state import RunState, after, at_start
from protocols.folder import StudyFolder


class Follower:
    """Reads what has been added to a journal since the last look; the file may not exist yet, or end in half a line.

    path : the journal.
    now  : a clock that never jumps, s: a file's date may be another computer's.

    The file is closed after every look, so that the run can rename it (Windows refuses that of an open file). When it is
    set aside under an aborted name, it is followed there; when a new one begins in its place, the state starts over.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.state: RunState = at_start
        self.broken = 0
        self._now = now
        self._start_over(path)

    def _start_over(self, path: Path) -> None:
        self._reading = path
        self._offset = 0
        self._half = b""
        self._identity: int | None = None
        self._written_s: float | None = None
        self.state = at_start
        self.broken = 0

    def look(self) -> RunState:
        """The state with everything that has been written by now."""
        found = self._stat(self._reading)
        if found is None and self._identity is not None and (kept := self._set_aside()) is not None:
            self._reading = kept
            found = self._stat(kept)
        fresh = self._stat(self.path) if self._reading != self.path else found
        if fresh is not None and self._identity is not None and fresh[0] != self._identity:
            self._start_over(self.path)  # another attempt at the same run
            found = fresh
        if found is not None and found[1] < self._offset:
            self._start_over(self._reading)
        if found is not None:
            if self._written_s is None or found[1] != self._offset:
                self._written_s = self._now()
            self._identity = found[0]
            for record in self._read():
                self.state = after(self.state, record)
        return self.state

    @property
    def reading(self) -> Path:
        """The file that is read now: the journal, or the aborted attempt that it has become."""
        return self._reading

    @property
    def silent_s(self) -> float:
        """For how long nothing more has been seen to be written, s; 0 when there is no file yet."""
        return 0.0 if self._written_s is None else max(0.0, self._now() - self._written_s)

    def _read(self) -> list[Record]:
        try:
            with self._reading.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except OSError:  # renamed, or being renamed, since we looked
            return []
        self._offset += len(content)
        *lines, self._half = (self._half + content).split(b"\n")
        records = []
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                self.broken += 1
                continue
            if isinstance(record, dict):
                records.append(record)
        return records

    def _set_aside(self) -> Path | None:
        """The aborted attempt that the journal has become: the same file under its new name."""
        pattern = self.path.name.replace("_journal", "_aborted-*_journal")
        found = [(path, self._stat(path)) for path in sorted(self.path.parent.glob(pattern), reverse=True)]
        return next((path for path, stat in found if stat is not None and stat[0] == self._identity), None)

    def _stat(self, path: Path) -> tuple[int, int] | None:
        try:
            stat = path.stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_size


def newest_journal(folder: StudyFolder, sub: str = "", ses: str = "", run: int | None = None) -> Path | None:
    """The journal that was written to last; None when there is none.

    sub, ses, run : only journals of this participant, session, run (empty, None: any).
    """
    parts = [f"_sub-{sub}_" if sub else "", f"_ses-{ses}_" if ses else "", f"_run-{run:02d}_" if run else ""]
    dated = []
    for path in folder.journals.glob("*_journal.jsonl"):
        try:
            if all(part in f"_{path.name}" for part in parts):
                dated.append((path.stat().st_mtime, path.name, path))
        except OSError:  # renamed while we looked
            continue
    return max(dated)[2] if dated else None
