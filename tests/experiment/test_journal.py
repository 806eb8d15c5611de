"""The journal loses nothing that was synced, and is read back even when it was cut off."""

from __future__ import annotations

import errno
import io
import json
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.journal import JournalWriter, read_journal
from protocols.problems import FoolscanError

HEADER = {"kind": "header", "format": 1}


def write(path: Path, records: list[dict[str, Any]]) -> bytes:
    writer = JournalWriter(path)
    for record in records:
        writer.put(record)
    writer.close()
    return path.read_bytes()


def test_what_was_put_is_read_in_order(tmp_path: Path):
    records = [HEADER, *({"kind": "flip", "n": n} for n in range(500)), {"kind": "end", "status": "complete"}]
    path = tmp_path / "journals" / "run_journal.jsonl"
    write(path, records)
    journal = read_journal(path)
    assert [journal.header, *journal.records] == records
    assert journal.complete
    assert not journal.cut


def test_every_line_is_json_of_its_own(tmp_path: Path):
    content = write(tmp_path / "j.jsonl", [HEADER, {"kind": "press", "button": "höher"}])
    assert [json.loads(line)["kind"] for line in content.decode("utf-8").splitlines()] == ["header", "press"]


@given(share=st.floats(0, 1))
def test_cut_off_anywhere_it_reads_up_to_there(tmp_path_factory: pytest.TempPathFactory, share: float):
    folder = tmp_path_factory.mktemp("cut")
    records = [HEADER, *({"kind": "flip", "n": n, "t_s": n / 60} for n in range(20))]
    content = write(folder / "whole.jsonl", records)
    head = len(json.dumps(HEADER)) + 1
    cut = head + int(share * (len(content) - head))
    (folder / "cut.jsonl").write_bytes(content[:cut])
    journal = read_journal(folder / "cut.jsonl")
    whole_lines = content[:cut].count(b"\n") - 1
    assert list(journal.records[:whole_lines]) == records[1 : whole_lines + 1]
    assert len(journal.records) - whole_lines in (0, 1)
    assert not journal.complete


def test_an_existing_journal_is_never_overwritten(tmp_path: Path):
    path = tmp_path / "j.jsonl"
    path.write_text("precious")
    with pytest.raises(FoolscanError, match="cannot be written"):
        JournalWriter(path)
    assert path.read_text() == "precious"


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path):
    path = tmp_path / "j.jsonl"
    path.write_text(json.dumps(HEADER) + "\n{broken\n" + json.dumps({"kind": "flip"}) + "\n")
    with pytest.raises(FoolscanError, match=r"j\.jsonl:2: found a broken line"):
        read_journal(path)


@pytest.mark.parametrize("content", ["", "{", '{"kind": "header", "format": 99}\n', '{"kind": "flip"}\n'])
def test_a_file_without_a_known_header_is_refused(tmp_path: Path, content: str):
    path = tmp_path / "j.jsonl"
    path.write_text(content)
    with pytest.raises(FoolscanError, match="no header of journal format 1"):
        read_journal(path)


class FullDisk(io.FileIO):
    """A file on a disk that has room for `left` bytes more."""

    left = 200

    def write(self, content: Any) -> int:
        self.left -= len(content)
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(content)


def full_disk(path: Path) -> BinaryIO:
    return FullDisk(str(path), "xb")  # type: ignore[return-value]


def test_a_full_disk_is_told_at_once_and_at_the_end(tmp_path: Path):
    writer = JournalWriter(tmp_path / "j.jsonl", full_disk)
    for n in range(100):
        writer.put({"kind": "flip", "n": n})
    with pytest.raises(FoolscanError, match=r"No space left on device.*Free space"):
        writer.close()
    assert writer.failure is not None
