"""One command at a time, whatever became of the one before: real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from protocols import locks
from protocols.locks import exclusive
from protocols.problems import FoolscanError

TAKE_AND_HOLD = """
    import sys
    from pathlib import Path
    from protocols.locks import exclusive
    with exclusive(Path(sys.argv[1]), "the thing"):
        print("held", flush=True)
        sys.stdin.read()
"""
COUNT = """
    import sys
    from pathlib import Path
    from protocols.locks import exclusive
    counter = Path(sys.argv[1])
    for _ in range(50):
        with exclusive(counter, "the counter", wait_s=60.0):
            counter.write_text(str(int(counter.read_text()) + 1))
"""


def process(script: str, path: Path, root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    return subprocess.Popen(command, cwd=root, stdin=-1, stdout=-1, text=True)


def holder(path: Path, root: Path) -> subprocess.Popen[str]:
    """A process that holds the lock."""
    started = process(TAKE_AND_HOLD, path, root)
    assert started.stdout is not None
    assert started.stdout.readline() == "held\n"
    return started


def test_of_several_processes_one_at_a_time_is_at_it(tmp_path: Path, project_root: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    (tmp_path / "counter.lock").write_text("999999999", encoding="ascii")  # left over: all see it at once
    counting = [process(COUNT, counter, project_root) for _ in range(4)]
    assert [each.wait(120) for each in counting] == [0, 0, 0, 0]
    for each in counting:
        each.communicate()
    assert counter.read_text() == "200"
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]


def test_the_holder_is_named_and_once_killed_it_holds_nothing(tmp_path: Path, project_root: Path) -> None:
    with holder(tmp_path / "thing", project_root) as other:
        with pytest.raises(FoolscanError, match=f"the thing: process {other.pid} is at it now"):
            with exclusive(tmp_path / "thing", "the thing"):
                pass
        other.kill()
        other.communicate()
    assert (tmp_path / "thing.lock").exists()
    with exclusive(tmp_path / "thing", "the thing"):
        assert (tmp_path / "thing.lock").read_text(encoding="ascii") == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_another_program_has_by_now_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "thing.lock").write_text(str(psutil.Process().ppid()), encoding="ascii")  # alive, and not at it
    with exclusive(tmp_path / "thing", "the thing"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_on_a_disk_that_cannot_lock_the_living_are_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(handle: int) -> bool:
        raise OSError(min(locks.NO_LOCKS_HERE), "no locks available")

    monkeypatch.setattr(locks, "_lock_now", cannot)
    lock = tmp_path / "thing.lock"
    lock.write_text(str(psutil.Process().ppid()), encoding="ascii")
    with pytest.raises(FoolscanError, match="is at it now"), exclusive(tmp_path / "thing", "the thing"):
        pass
    lock.write_text("999999999", encoding="ascii")
    with exclusive(tmp_path / "thing", "the thing"):
        assert lock.read_text(encoding="ascii") == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_that_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"thing\.lock: could not be written"):
        with exclusive(tmp_path / "file" / "thing", "the thing"):
            pass
