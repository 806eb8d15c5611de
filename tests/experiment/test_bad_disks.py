"""Read-only folders, full disks, jumping clocks, two operators: one message, and nothing is lost."""

from __future__ import annotations

import ast
import datetime
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from experiment_study import fill, small_study

from experiment.journal import LEAST_ROOM_BYTES, JournalWriter, read_journal
from experiment.recover import recover
from experiment.run import RunAborted, run
from experiment.stage import NullStage
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.study import Study

RUN = RunId("01", "01", "animals", 1)


def files(folder: StudyFolder) -> dict[str, bytes]:
    return {folder.relative(path): path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that other users can reach (pytest's own are closed to them)."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def as_nobody(study: Study, rig: Rig, folder: StudyFolder) -> Iterator[None]:
    """Files are reached as a user without rights, also where the tests run as root, whom no permission stops."""
    run(study, rig, folder.root, RUN, stage="null")  # loads what is loaded on demand, which that user may not read
    if sys.platform == "win32" or os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="a folder cannot be made read-only by its mode there")
@pytest.mark.parametrize("closed", ["everything", "sourcedata", "func"])
def test_a_read_only_folder_is_one_message_and_stays_as_it_is(
    open_to_all: Path, rig: Rig, closed: str, request: pytest.FixtureRequest
) -> None:
    study = small_study(open_to_all)
    folder = fill(open_to_all / "study", study, rig)
    place = {"everything": folder.root, "sourcedata": folder.root / "sourcedata", "func": folder.func(RUN)}[closed]
    place.mkdir(parents=True, exist_ok=True)
    everything = [folder.root, *folder.root.rglob("*")]
    for path in everything:
        path.chmod(0o777 if path.is_dir() else 0o666)
    for path in [place, *place.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = files(folder)
    request.getfixturevalue("as_nobody")
    with pytest.raises(FoolscanError, match=r"Permission denied|permission"):
        run(study, rig, folder.root, RUN, stage="null")
    if closed != "func":
        assert {name: content for name, content in files(folder).items() if "derivatives" not in name} == {
            name: content for name, content in before.items() if "derivatives" not in name
        }
        return
    # The run was shown; its journal is whole, and the rest is made once the folder can be written.
    assert read_journal(folder.journal(RUN)).complete
    assert "ermission" in recover(folder.root)[0].note
    if sys.platform != "win32" and os.getuid() == 0:
        os.seteuid(0)
    place.chmod(0o777)
    assert recover(folder.root)[0].events == folder.events(RUN)


class FillsTheDisk(NullStage):
    """While images are shown, another program takes all the room on the disk."""

    def __init__(self, glutton: Path, at_flip: int) -> None:
        self.glutton, self.at_flip, self.flips = glutton, at_flip, 0

    def flip(self) -> None:
        self.flips += 1
        if self.flips == self.at_flip:
            time.sleep(0.5)  # what came before is written by now, also on a busy machine
            with self.glutton.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(65536))
                except OSError:
                    pass
        elif self.flips > self.at_flip:
            time.sleep(0.02)  # time for the journal's thread to meet the full disk: this clock is a simulated one


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 60 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    size = f"size={LEAST_ROOM_BYTES + 10 * 2**20}"
    mounted = sys.platform == "linux" and os.geteuid() == 0
    if not mounted or subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", str(place)]).returncode != 0:
        pytest.skip("a small disk can be mounted by root on Linux only; a simulated one is in test_run.py")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_fills_up_in_the_middle_of_a_run_loses_nothing_that_was_written(
    small_disk: Path, study: Study, rig: Rig
) -> None:
    folder = fill(small_disk / "study", study, rig)
    glutton = small_disk / "video"
    with pytest.raises(FoolscanError, match=r"journal could not be written.*Free space"):
        run(study, rig, folder.root, RUN, stage=FillsTheDisk(glutton, 14), pace="every")
    kept = read_journal(next(folder.journals.glob("*_aborted-01_journal.jsonl")))
    assert len(kept.of("flip")) >= 13
    assert not folder.func(RUN).exists()
    with pytest.raises(FoolscanError, match="free space before the participant"):
        run(study, rig, folder.root, RUN, stage="null")
    glutton.unlink()
    assert run(study, rig, folder.root, RUN, stage="null").certificate.complete
    assert recover(folder.root, kept.path) is not None


def test_a_wall_clock_that_jumps_changes_nothing(tmp_path: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path)
    folders = [fill(tmp_path / name, study, rig) for name in ("steady", "jumping")]
    run(study, rig, folders[0].root, RUN, stage="null")
    jumps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 * (-1) ** next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 * (-1) ** next(jumps))
    run(study, rig, folders[1].root, RUN, stage="null")
    assert files(folders[0]) == files(folders[1])


def test_in_real_time_a_wall_clock_that_jumps_changes_nothing(
    tmp_path: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Jumping(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Jumping:
            return cls(1970, 1, 1, tzinfo=tz)

    study = small_study(tmp_path, scan="{tr_s: 0.1, volumes: 40}", times=0.1)
    folder = fill(tmp_path / "study", study, rig)
    jumps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: 1e9 * (-1) ** next(jumps))
    monkeypatch.setattr("experiment.show.datetime", Jumping)
    began_s = time.perf_counter()
    result = run(study, rig, folder.root, RUN, stage="null", real_time=True)
    took_s = time.perf_counter() - began_s
    journal = read_journal(result.journal)
    flips_s = [record["t_s"] for record in journal.of("flip")]
    assert flips_s == sorted(flips_s)
    assert began_s <= flips_s[0] <= flips_s[-1] <= began_s + took_s
    assert journal.header["started"].startswith("1970")  # the date is a note for people; no time is counted from it


def test_no_module_of_a_run_reads_the_wall_clock(project_root: Path) -> None:
    """The date of a run or a measurement, as a note for people, is the one exception."""
    wall = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    found = set()
    for path in sorted((project_root / "experiment").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
                if ".".join(ast.unparse(node).split(".")[-2:]) in wall:
                    found.add((path.name, ast.unparse(node)))
    assert found <= {("show.py", "datetime.now"), ("photodiode.py", "datetime.now")}, found


def test_of_two_operators_who_start_the_same_run_one_is_told(tmp_path: Path, rig: Rig, project_root: Path) -> None:
    study = small_study(tmp_path, scan="{tr_s: 0.5, volumes: 24}", times=0.3)
    folder = fill(tmp_path / "study", study, rig)
    command = [sys.executable, "-m", "foolscan", "experiment", "run", str(tmp_path / "small.yaml")]
    command += [
        "--rig",
        "rehearsal",
        "--sub",
        "01",
        "--ses",
        "01",
        "--run",
        "1",
        "--stage",
        "null",
        "--real-time",
        "--to",
        str(folder.root),
    ]
    both = [subprocess.Popen(command, cwd=project_root, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    said = [each.communicate(timeout=120) for each in both]
    assert sum("at it now" in error for _, error in said) == 1, said
    assert sorted(each.returncode == 2 for each in both) == [False, True]
    assert len(list(folder.journals.iterdir())) == 1
    assert read_journal(folder.journal(RUN)).complete


def test_the_journal_of_a_run_stands_on_the_disk_before_its_first_flip(
    study: Study, rig: Rig, folder: StudyFolder
) -> None:
    class Looking(NullStage):
        def flip(self) -> None:
            assert folder.journal(RUN).exists()
            raise KeyboardInterrupt

    with pytest.raises((RunAborted, KeyboardInterrupt)):
        run(study, rig, folder.root, RUN, stage=Looking(), journal_writer=JournalWriter)
