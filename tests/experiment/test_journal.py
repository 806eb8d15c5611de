"""The journal loses nothing that was synced, and is read back even when it was cut off."""

from __future__ import annotations

import errno
import io
import json
import math
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiment.certificate import certificate_of
from experiment.events import sidecar_facts
from experiment.journal import JournalWriter, check_room, read_journal
from experiment.run_journal import read_run
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
        self.left -= len(bytes(content))
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


def test_zeros_that_a_power_cut_left_are_a_cut(tmp_path: Path):
    content = write(tmp_path / "whole.jsonl", [HEADER, {"kind": "flip", "n": 0}])
    (tmp_path / "cut.jsonl").write_bytes(content + bytes(40) + b'"n": 7}\n{"kind": "flip", "n": 8}\n')
    journal = read_journal(tmp_path / "cut.jsonl")
    assert journal.records == ({"kind": "flip", "n": 0},)
    assert journal.cut


def test_what_json_does_not_know_costs_no_record(tmp_path: Path):
    records: list[dict[str, Any]] = [HEADER, {"kind": "fault", "what": Path("x")}, {"kind": "press", "key": "\udc80"}]
    write(tmp_path / "j.jsonl", [*records, {"kind": "flip"}])
    journal = read_journal(tmp_path / "j.jsonl")
    assert [record["kind"] for record in journal.records] == ["fault", "press", "flip"]
    assert journal.records[1]["key"] == "\udc80"


def test_a_disk_that_syncs_slowly_holds_up_neither_the_run_nor_what_a_dead_process_leaves(tmp_path: Path):
    synced: list[int] = []
    go_on = threading.Event()

    def slowly(file: BinaryIO) -> None:
        go_on.wait(60)
        synced.append(path.stat().st_size)

    path = tmp_path / "j.jsonl"
    writer = JournalWriter(path, sync=slowly)
    for record in (HEADER, {"kind": "flip"}, {"kind": "end"}):
        before = path.stat().st_size
        writer.put(record)
        while path.stat().st_size == before:
            time.sleep(0.001)
    assert synced == []
    assert len(read_journal(path).records) == 2
    go_on.set()
    writer.close()
    assert synced[-1] == path.stat().st_size


class Stubborn(io.FileIO):
    """A file that takes at most seven bytes at a time, as a pipe or a quota may."""

    def write(self, content: Any) -> int:
        return super().write(bytes(content)[:7])


def test_a_disk_that_takes_half_a_record_gets_the_rest_too(tmp_path: Path):
    writer = JournalWriter(tmp_path / "j.jsonl", lambda path: Stubborn(str(path), "xb"))  # type: ignore[arg-type,return-value]
    for record in (HEADER, {"kind": "end", "status": "complete"}):
        writer.put(record)
    writer.close()
    assert read_journal(tmp_path / "j.jsonl").complete


def test_a_disk_with_hardly_room_is_refused_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    check_room(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 9, 2**20))
    with pytest.raises(FoolscanError, match=r"found 1 MB free.*needs 50 MB"):
        check_room(tmp_path)


JOURNAL_OF_TODAY = Path(__file__).parents[1] / "formats" / "v1" / "journal.jsonl"


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every key and item of a record, the first two items of each list."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places_in(inner, (*path, key))


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_record_with_a_wrong_value_is_one_message_or_does_no_harm(tmp_path: Path, data: st.DataObject):
    records = [json.loads(line) for line in JOURNAL_OF_TODAY.read_text(encoding="utf-8").splitlines()]
    record = records[data.draw(st.integers(0, len(records) - 1) | st.just(0))]
    *way, key = data.draw(
        st.sampled_from([place for place in places_in(record) if place not in {("kind",), ("format",)}])
    )
    for step in way:
        record = record[step]
    record[key] = data.draw(st.sampled_from([None, "x", -1, 1e308, math.nan, [], {}, True, 10**30, "../../x", [None]]))
    path = tmp_path / "journal.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in records), encoding="utf-8")
    refused = ""
    try:
        journal = read_run(path)
    except FoolscanError as error:
        refused = str(error)
    if refused:
        assert "restore the file from a backup" in refused
        return
    certificate_of(journal)
    sidecar_facts(journal)
