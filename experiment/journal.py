"""The append-only truth of a run: every flip, pulse and key, written and synced by a thread of its own."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from protocols.problems import FoolscanError

JOURNAL_FORMAT = 1

Record = dict[str, Any]


def _create(path: Path) -> BinaryIO:
    return path.open("xb")


class JournalWriter:
    """Appends records to a new file; `put` never waits for the disk.

    path   : the journal; its folder is created, and an existing file is refused.
    create : opens the file (a test hands in a disk that fills up).
    """

    def __init__(self, path: Path, create: Callable[[Path], BinaryIO] = _create) -> None:
        self.path = path
        self.failure: OSError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = create(path)
        except OSError as error:
            raise FoolscanError(f"{path}: the journal cannot be written ({error.strerror or error})") from error
        self._records: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        """Hand a record over to be written (a dictionary with the key ``kind``, not to be changed afterwards)."""
        self._records.put(record)

    def close(self) -> None:
        """Write what is left and close the file.

        Raises FoolscanError when the disk did not take all of it.
        """
        self._records.put(None)
        self._thread.join()
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

    def _write(self) -> None:
        ended = False
        while not ended:
            batch = [self._records.get()]
            while not self._records.empty():
                batch.append(self._records.get())
            ended = None in batch
            if self.failure is None:
                lines = [json.dumps(record, ensure_ascii=False) for record in batch if record is not None]
                self._append("".join(line + "\n" for line in lines).encode())

    def _append(self, content: bytes) -> None:
        try:
            self._file.write(content)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            self.failure = error


@dataclass(frozen=True)
class Journal:
    """A journal as it was read.

    header   : the run, its plan and its circumstances.
    records  : all records after it, in order.
    complete : whether the run came to its planned end.
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
        return self.end is not None and self.end["status"] == "complete"

    def of(self, kind: str) -> list[Record]:
        """The records of one kind, in order."""
        return [record for record in self.records if record["kind"] == kind]


def read_journal(path: Path) -> Journal:
    """Read a journal, whole or cut off in its last line.

    Raises FoolscanError when its first line is no header of a known format, or a line before the last is broken.
    """
    lines = path.read_bytes().split(b"\n")
    tail = lines.pop()
    records: list[Record] = []
    for number, line in enumerate(lines, start=1):
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
    record = json.loads(line)
    if not isinstance(record, dict) or "kind" not in record:
        raise ValueError("not a record")
    return record
