"""The study folder: files stand whole or not at all, and nobody writes the same thing twice."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from protocols.folder import RunId, StudyFolder, atomic_path, exclusive, open_folder, read_json, write_text
from protocols.problems import FoolscanError


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.tsv"
    write_text(path, "old\n")

    def interrupted() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text(encoding="utf-8") == "old\n"
    assert [item.name for item in path.parent.iterdir()] == ["table.tsv"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as half:
            half.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FoolscanError, match="No space left on device"):
        write_text(tmp_path / "table.tsv", "content")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [0, -1, 100, 99999999999])
def test_a_run_number_that_no_session_has_is_refused(number: int) -> None:
    with pytest.raises(FoolscanError, match=f"--run: found {number}; runs are counted from 1, up to 99"):
        RunId("01", "01", "animals", number)


def test_two_writers_cannot_hold_the_same_run(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "run", "run 1"),
        pytest.raises(FoolscanError, match=f"run 1: process {os.getpid()}"),
        exclusive(tmp_path / "run", "run 1"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_process_that_died_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "run.lock").write_text("999999999", encoding="ascii")
    with exclusive(tmp_path / "run", "run 1"):
        assert (tmp_path / "run.lock").read_text(encoding="ascii") == str(os.getpid())


def test_rehearsals_and_people_never_share_a_folder(tmp_path: Path) -> None:
    open_folder(tmp_path / "a", "A study", rehearsal=True)
    open_folder(tmp_path / "b", "A study", rehearsal=False)
    with pytest.raises(FoolscanError, match="simulated"):
        open_folder(tmp_path / "a", "A study", rehearsal=False)
    with pytest.raises(FoolscanError, match="real data"):
        open_folder(tmp_path / "b", "A study", rehearsal=True)
    assert "SIMULATED" in read_json(tmp_path / "a" / "dataset_description.json")["Name"]


def test_the_first_recording_decides_what_a_folder_of_images_becomes(tmp_path: Path) -> None:
    open_folder(tmp_path / "a", "A study")
    assert "Simulated" not in read_json(tmp_path / "a" / "dataset_description.json")
    open_folder(tmp_path / "a", "A study", rehearsal=True)
    open_folder(tmp_path / "a", "A study")
    assert read_json(tmp_path / "a" / "dataset_description.json")["Simulated"] is True
    with pytest.raises(FoolscanError, match="simulated"):
        open_folder(tmp_path / "a", "A study", rehearsal=False)


def test_other_peoples_folders_and_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FoolscanError, match="other files"):
        open_folder(tmp_path, "A study")
    with pytest.raises(FoolscanError, match="found a file"):
        open_folder(tmp_path / "thesis.txt", "A study")
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.txt"]


def test_labels_are_bids_labels() -> None:
    assert RunId("01", "02", "animals", 3).stem == "sub-01_ses-02_task-animals_run-03"
    for bad in ("../x", "a b", "", "ü"):
        with pytest.raises(FoolscanError, match="BIDS labels"):
            RunId(bad, "01", "animals", 1)
    with pytest.raises(FoolscanError, match="counted from 1"):
        RunId("01", "01", "animals", 0)


def test_runs_are_found_in_order(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    for sub, run in (("02", 1), ("01", 2), ("01", 1)):
        write_text(folder.events(RunId(sub, "01", "animals", run)), "onset\tduration\n")
    assert [(run.sub, run.run) for run in folder.runs("animals")] == [("01", 1), ("01", 2), ("02", 1)]
