"""A kill and a full disk in mid-work: nothing half-written is left, and the same command ends with the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_image_study import contents, small_study

from protocols.folder import StudyFolder
from protocols.problems import FoolscanError
from protocols.study import Study
from stimuli.batch_shape import record_path
from stimuli.make import make


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not there() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


@pytest.mark.parametrize("waits_for", ["batch_shape.json", "AN-*.json", "AI-*.json"])
def test_killed_without_warning_and_run_again_it_ends_with_the_same_bytes(
    study: Study, finished: StudyFolder, tmp_path: Path, waits_for: str
):
    small_study(tmp_path)
    folder = StudyFolder(tmp_path / "to")
    command = [sys.executable, "-m", "foolscan", "stimuli", "make", "small.yaml", "--to", "to", "--device", "cpu"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: any(folder.derived("make").glob(waits_for)), process)
        process.kill()
        process.communicate(timeout=60)
    if folder.manifest.exists():
        pytest.skip("it had finished before the kill came")
    assert record_path(folder).is_file()  # before the first image
    make(study, folder, "cpu")
    assert contents(folder.root) == contents(finished.root)


@pytest.mark.parametrize("writes", [3, 4, 12, 29])
def test_a_disk_that_is_full_at_any_moment_is_said_and_the_next_call_goes_on(
    study: Study, finished: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
):
    folder, written, real = StudyFolder(tmp_path / "to"), [], os.fsync

    def full(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) > writes:
            raise OSError(28, os.strerror(28))
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(FoolscanError, match=r"could not be written \(No space left on device\); nothing was left"):
            make(study, folder, "cpu")
    whole = contents(finished.root)
    assert all(whole.get(name) == digest for name, digest in contents(folder.root).items())
    make(study, folder, "cpu")
    assert contents(folder.root) == whole


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process's files")
def test_the_command_says_in_one_message_that_an_image_could_not_be_written(tmp_path: Path):
    small_study(tmp_path)
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); import foolscan; foolscan.main()"
    command = [sys.executable, "-c", limited, "stimuli", "make", "small.yaml", "--to", "to"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert "could not be written (File too large); nothing was left behind" in done.stderr
    assert "Traceback" not in done.stderr
    left = contents(tmp_path / "to")
    assert not any(name.endswith((".png", ".lock")) or ".tmp" in name for name in left)
