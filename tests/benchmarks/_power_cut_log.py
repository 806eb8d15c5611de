"""What a process did to files, from the log of `_power_cut.c`: their state on the disk after a power cut at any moment."""

from __future__ import annotations

import math
import random
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENTRY = struct.Struct("<IIQQd")
OPENED, WRITTEN, TRUNCATED, SYNC_BEGUN, SYNC_ENDED, UNLINKED = range(1, 7)
# What a disk writes whole or not at all.
SECTOR = 512


def built(work: Path) -> Path:
    """The library to be preloaded. Raises OSError where there is no C compiler."""
    library = work / "power_cut.so"
    subprocess.run(
        ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(HERE / "_power_cut.c"), "-ldl", "-lpthread"],
        check=True,
    )
    return library


@dataclass(frozen=True)
class Entry:
    """One thing that was done.

    offset : of a write; the new length of a truncated file.
    begun  : of a sync's end: the number of its beginning.
    """

    kind: int
    file: int
    offset: int
    begun: int
    at_s: float
    content: bytes


def entries_in(log: Path) -> Iterator[Entry]:
    """The log, in order; its last entry may be cut off."""
    content, at = log.read_bytes(), 0
    while at + ENTRY.size <= len(content):
        kind, file, offset, length, at_s = ENTRY.unpack_from(content, at)
        at += ENTRY.size
        n_content = length if kind in (OPENED, WRITTEN, UNLINKED) else 0
        if at + n_content > len(content):
            return
        yield Entry(kind, file, offset, length, at_s, content[at : at + n_content])
        at += n_content


@dataclass
class OnDisk:
    """One file: what is safe, and what was done since.

    safe    : content that outlives a power cut; None: not even the file does.
    pending : (number of the entry, entry), not yet safe.
    """

    safe: bytearray | None = None
    pending: list[tuple[int, Entry]] = field(default_factory=list)

    def sync(self, begun: int) -> None:
        """What was done before the sync began is safe."""
        done = [entry for number, entry in self.pending if number < begun]
        self.pending = [(number, entry) for number, entry in self.pending if number >= begun]
        self.safe = with_all(self.safe or bytearray(), done)

    def after_cut(self, chance: random.Random | None) -> bytes | None:
        """What is found after a power cut.

        chance : None: nothing of what was not safe; else any sectors of it, in no order, as disks and systems may write early.
        """
        if chance is None or self.safe is None:
            return None if self.safe is None else bytes(self.safe)
        early: list[Entry] = []
        for _, entry in self.pending:
            if entry.kind == TRUNCATED:
                early += [entry] if chance.random() < 0.5 else []
                continue
            for begin in range(0, len(entry.content), SECTOR):
                if chance.random() < 0.5:
                    part = entry.content[begin : begin + SECTOR]
                    early.append(Entry(WRITTEN, entry.file, entry.offset + begin, 0, entry.at_s, part))
        return bytes(with_all(bytearray(self.safe), early))


def with_all(content: bytearray, done: Sequence[Entry]) -> bytearray:
    """A content after writes and cuts, in order."""
    for entry in done:
        if entry.kind == TRUNCATED:
            del content[entry.offset :]
            content.extend(bytes(entry.offset - len(content)))
            continue
        if entry.offset > len(content):
            content.extend(bytes(entry.offset - len(content)))
        content[entry.offset : entry.offset + len(entry.content)] = entry.content
    return content


class Disk:
    """The files of a log, moved forward in time.

    deaf_from_s : syncs that ended later than that are taken for none: by that it is seen that they are needed.
    """

    def __init__(self, log: Path, deaf_from_s: float = math.inf) -> None:
        self._deaf_from_s = deaf_from_s
        self._entries = list(entries_in(log))
        self._next = 0
        self._names: dict[int, str] = {}
        self.files: dict[str, OnDisk] = {}
        self.syncs = sum(entry.kind == SYNC_ENDED for entry in self._entries)

    @property
    def span_s(self) -> tuple[float, float]:
        """Times of the first and the last entry."""
        return self._entries[0].at_s, self._entries[-1].at_s

    def forward(self, to_s: float) -> None:
        """Do everything up to a time (of the monotonic clock), s."""
        while self._next < len(self._entries) and self._entries[self._next].at_s <= to_s:
            self._do(self._next, self._entries[self._next])
            self._next += 1

    def _do(self, number: int, entry: Entry) -> None:
        if entry.kind == OPENED:
            name = entry.content.decode()
            self._names[entry.file] = name
            self.files.setdefault(name, OnDisk())
        elif entry.kind == UNLINKED:
            self.files.pop(entry.content.decode(), None)
        elif entry.kind in (WRITTEN, TRUNCATED):
            self.files[self._names[entry.file]].pending.append((number, entry))
        elif (
            entry.kind == SYNC_ENDED
            and entry.at_s < self._deaf_from_s
            and (name := self._names.get(entry.file)) in self.files
        ):
            self.files[name].sync(entry.begun)
