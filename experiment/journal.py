"""The append-only truth of a run: every flip, pulse and key, written by one thread and synced by another."""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from experiment.urgency import urgent
from protocols.problems import FoolscanError

JOURNAL_FORMAT = 1
# A run writes a few MB; a disk with less room than this is about to be full.
LEAST_ROOM_BYTES = 50 * 2**20

Record = dict[str, Any]


def create_file(path: Path) -> BinaryIO:
    """A new file without a buffer, its name safe on the disk; one that exists is refused."""
    file = path.open("xb", buffering=0)
    if sys.platform != "win32":  # there a folder cannot be opened, and NTFS journals names itself
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return file  # type: ignore[return-value]


def sync_file(file: BinaryIO) -> None:
    """Return when what was written to a file is on the disk, as far as the system can tell."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)  # fsync alone leaves it in the drive's cache there
    else:
        os.fsync(file.fileno())


def check_room(folder: Path) -> None:
    """Raise FoolscanError when the disk of a folder has hardly room left: it would be full in the middle of a run."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_ROOM_BYTES:
        raise FoolscanError(
            f"{folder}: found {free / 2**20:.0f} MB free on this disk, a run needs {LEAST_ROOM_BYTES / 2**20:.0f} MB: "
            "free space before the participant lies in the scanner"
        )


class JournalWriter:
    """Appends records to a new file; `put` never waits for the disk.

    path   : the journal; its folder is created, and an existing file is refused.
    create : opens the file (a test hands in a disk that fills up).
    sync   : brings the file to the disk (a test hands in its own).

    One thread hands each record to the system within moments: then it outlives the death of this process. The other
    syncs behind it, which can take tens of milliseconds and must not hold up the first: then it outlives a power cut.
    """

    def __init__(
        self,
        path: Path,
        create: Callable[[Path], BinaryIO] = create_file,
        sync: Callable[[BinaryIO], None] = sync_file,
    ) -> None:
        self.path = path
        self.failure: OSError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = create(path)
        except OSError as error:
            raise FoolscanError(f"{path}: the journal cannot be written ({error.strerror or error})") from error
        self._sync = sync
        self._records: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._written: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._write_all, name="journal", daemon=True),
            threading.Thread(target=self._sync_behind, name="journal sync", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def put(self, record: Record) -> None:
        """Hand a record over to be written (a dictionary with the key ``kind``, not to be changed afterwards)."""
        self._records.put(record)

    def close(self) -> None:
        """Write and sync what is left and close the file.

        Raises FoolscanError when the disk did not take all of it.
        """
        self._records.put(None)
        for thread in self._threads:
            thread.join()
        try:
            self._file.close()
        except OSError as error:
            self.failure = self.failure or error
        self.check()

    def check(self) -> None:
        """Raise FoolscanError when the disk has refused a record."""
        if self.failure is not None:
            reason = self.failure.strerror or self.failure
            raise FoolscanError(
                f"{self.path}: the journal could not be written ({reason}). Free space on this disk, then repeat the run"
            )

    def _write_all(self) -> None:
        ended = False
        with urgent():  # what waits here is lost when the process is killed, however busy the computer is
            while not ended:
                batch = [self._records.get()]
                while not self._records.empty():
                    batch.append(self._records.get())
                ended = None in batch
                if self.failure is None:
                    self._append(b"".join(line_of(record) for record in batch if record is not None))
                self._written.put(not ended)

    def _append(self, content: bytes) -> None:
        left = memoryview(content)
        try:
            while left:
                left = left[self._file.write(left) :]
            self._file.flush()
        except OSError as error:
            self.failure = error

    def _sync_behind(self) -> None:
        more = True
        with urgent():  # put off by other programs while it holds the interpreter, it would put off all threads
            while more:
                more = self._written.get()
                while more and not self._written.empty():
                    more = self._written.get()
                if self.failure is None:
                    try:
                        self._sync(self._file)
                    except OSError as error:
                        self.failure = error


def line_of(record: Record) -> bytes:
    """A record as a line of JSON in UTF-8; whatever JSON does not know is written as its ``repr``, never left out."""
    line = json.dumps(record, ensure_ascii=False, default=repr) + "\n"
    return line.encode("utf-8", errors="backslashreplace")


@dataclass(frozen=True)
class Journal:
    """A journal as it was read.

    header   : the run, its plan and its circumstances.
    records  : all records after it, in order.
    complete : whether the run came to its planned end: it says so, or it was killed after its last flip, before it could.
    cut      : whether the last line was only half written.
    """

    path: Path
    header: Record
    records: tuple[Record, ...]
    cut: bool

    @property
    def end(self) -> Record | None:
        """The last word of the run; None when it was cut off (a crash, a power cut)."""
        return next((record for record in reversed(self.records) if record["kind"] == "end"), None)

    @property
    def complete(self) -> bool:
        """Whether the run came to its planned end."""
        return self.shown_to_its_end if self.end is None else self.end["status"] == "complete"

    @property
    def shown_to_its_end(self) -> bool:
        """Whether the last flip is the planned last one, with which the screen is left bare.

        Of a pulse-locked last segment that is the flip at its last frame; otherwise it is a flip of no segment's frames.
        """
        begun = [record for record in self.of("segment") if "mode" in record]
        flips, rows = self.of("flip"), self.header.get("timeline", {}).get("rows", [])
        if not begun or not flips or not rows or "shows" not in flips[-1] or flips[-1].get("row") is not None:
            return False
        if begun[-1]["mode"] == "response_driven":
            return "frame" not in flips[-1]
        end_frame = round(float(self.header.get("length_s", 0.0)) * float(self.header.get("refresh_hz", 0.0)))
        return rows[-1].get("segment", begun[-1].get("name")) == begun[-1].get("name") and (
            0 < end_frame <= flips[-1].get("frame", -1)
        )

    def of(self, kind: str) -> list[Record]:
        """The records of one kind, in order."""
        return [record for record in self.records if record["kind"] == kind]


def read_journal(path: Path) -> Journal:
    """Read a journal, whole or cut off in its last line (half written, or zeros after a power cut).

    Raises FoolscanError when its first line is no header of a known format, or a line before the last is broken;
    what its records say is not looked at here (see `experiment.run_journal.read_run`).
    """
    lines = path.read_bytes().split(b"\n")
    tail = lines.pop()
    records: list[Record] = []
    for number, line in enumerate(lines, start=1):
        if b"\0" in line:  # some disks leave zeros where a power cut kept the end from being written
            tail = line
            break
        try:
            records.append(_record(line))
        except ValueError as error:
            raise FoolscanError(
                f"{path}:{number}: found a broken line ({error}); restore the file from a backup"
            ) from error
    if tail:
        try:  # the writer was cut off between a record and its line end
            records.append(_record(tail))
            tail = b""
        except ValueError:
            pass
    if not records or records[0]["kind"] != "header" or records[0].get("format") != JOURNAL_FORMAT:
        raise FoolscanError(
            f"{path}: found no header of journal format {JOURNAL_FORMAT}; nothing can be rebuilt from it"
        )
    return Journal(path, records[0], tuple(records[1:]), cut=bool(tail))


def _record(line: bytes) -> Record:
    try:
        record = json.loads(line)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    if not isinstance(record, dict) or "kind" not in record:
        raise ValueError("not a record")
    return record
