"""The session board, its runs and their view: in a terminal, through a pipe, and with nobody to answer."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from experiment_study import fill, small_study
from rich.console import Console

from experiment import attempts
from experiment.attempts import attempts_of
from experiment.journal import read_journal
from experiment.operator.board import board_lines, board_of, board_table, certificate_panel
from experiment.operator.child import Child, new_log
from experiment.operator.session import Visit, prepare
from experiment.operator.watch import watch
from experiment.run import run
from experiment.run_journal import read_run
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.rig import Rig, load_rig
from protocols.study import Study

RUNS = [RunId("01", "01", "animals", number) for number in (1, 2)]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")


@pytest.fixture
def quick(tmp_path: Path, rig: Rig) -> StudyFolder:
    """A study whose runs last 6 s by the wall's clock, and an observer who is quick enough for it."""
    observer = "rehearsal: {observer: {rt_median_s: 0.12, rt_floor_s: 0.06, rt_spread: 0.1, miss_rate: 0.0}}\n"
    study = small_study(tmp_path, scan="{tr_s: 0.1, volumes: 60}", times=0.1, more=observer)
    return fill(tmp_path / "study", study, rig)


def command(folder: StudyFolder, *more: str) -> list[str]:
    study = str(folder.root.parent / "small.yaml")
    visit = ["--rig", "rehearsal", "--sub", "01", "--ses", "01", "--to", str(folder.root)]
    return [sys.executable, "-m", "foolscan", "experiment", "session", study, *visit, *more]


def ends(arguments: list[str], root: Path, says: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, cwd=root, input=says, capture_output=True, text=True, encoding="utf-8", timeout=120
    )


def text_of(drawn: Any, width: int = 100) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(drawn)
    return capture.get()


def test_with_yes_and_without_a_terminal_all_runs_are_shown_in_plain_lines(folder: StudyFolder, project_root: Path):
    done = ends(command(folder, "--yes", "--", "--stage", "null"), project_root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "> run 1: pending" in done.stdout
    assert "run 2: done, passed" in done.stdout
    assert "every run of this session is done" in done.stdout
    assert "\x1b[" not in done.stdout
    for run_id in RUNS:
        assert folder.events(run_id).exists()
        assert f"{run_id.stem}: passed; " in done.stdout
    again = ends(command(folder, "--yes", "--", "--stage", "null"), project_root)
    assert (again.returncode, again.stdout.count("getting ready")) == (0, 0)


def test_answers_come_through_a_pipe_and_nothing_is_overwritten(folder: StudyFolder, project_root: Path):
    done = ends(command(folder, "--", "--stage", "null"), project_root, says="7\nx\n2\n2\nq\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "runs are 1 to 2" in done.stdout
    assert "run 2 is done; nothing is ever overwritten" in done.stdout
    assert [folder.events(run_id).exists() for run_id in RUNS] == [False, True]
    assert "> run 1: pending" in done.stdout


def test_the_end_of_the_input_is_the_end_of_the_session(folder: StudyFolder, project_root: Path):
    assert ends(command(folder), project_root).returncode == 0
    assert not folder.journals.exists()


def test_a_run_that_fails_shows_what_it_said_and_where_all_of_it_is(folder: StudyFolder, project_root: Path):
    done = ends(command(folder, "--yes", "--", "--stage", "null", "--fault", "nonsense"), project_root)
    assert done.returncode == 2
    assert "the run failed (exit status 2)" in done.stdout
    assert "nonsense" in done.stdout
    log = next(folder.derived("logs").iterdir())
    assert f"all it said: {log}" in done.stdout
    assert "nonsense" in log.read_text(encoding="utf-8")


def test_what_is_missing_is_said_before_anything_is_started(tmp_path: Path, study: Study, project_root: Path):
    empty = StudyFolder(tmp_path / "empty")
    done = ends(command(empty, "--yes"), project_root)
    assert done.returncode == 2
    assert "foolscan stimuli make" in done.stderr
    assert not empty.root.exists()


def test_images_that_were_not_exported_are_missed_before_the_participant_lies_down(
    folder: StudyFolder, project_root: Path
):
    (folder.screen_images("rehearsal") / "export.json").unlink()
    done = ends(command(folder, "--yes"), project_root)
    assert done.returncode == 2
    assert "foolscan stimuli export" in done.stderr
    assert not folder.journals.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to a whole console, this test's own included")
def test_ctrl_c_without_a_terminal_ends_the_run_in_good_order(quick: StudyFolder, project_root: Path):
    process = subprocess.Popen(
        command(quick, "--yes", "--", "--stage", "null", "--real-time"),
        cwd=project_root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    try:
        waited(lambda: quick.journal(RUNS[0]).exists() and b'"pulse"' in quick.journal(RUNS[0]).read_bytes())
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert said.count("Ending the run") == 1
    assert "aborted (Ctrl-C)" in said
    assert "Traceback" not in said
    (attempt,) = attempts_of(quick, RUNS[0])
    assert (attempt.complete, attempt.reason) == (False, "Ctrl-C")
    assert "run 1: aborted" in "\n".join(board_lines(board_of(quick, "01", "01", "animals", 2)))


def waited(ready: Callable[[], bool], limit_s: float = 60.0) -> None:
    end_s = time.monotonic() + limit_s
    while not ready():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.05)


class Terminal:
    """A command in a pseudo-terminal of 100 columns and 30 lines, played by the operator."""

    def __init__(self, arguments: list[str], root: Path) -> None:
        import pty

        self.output, self.read_to = b"", 0
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(root)
            os.environ.update(TERM="xterm-256color", COLUMNS="100", LINES="30")
            os.execv(arguments[0], arguments)

    def until(self, text: str, limit_s: float = 60.0) -> None:
        """Read until a text has come, after the one before."""
        end_s = time.monotonic() + limit_s
        while text.encode() not in self.output[self.read_to :]:
            assert time.monotonic() < end_s, self.output[-3000:].decode(errors="replace")
            assert self.more(), f"it ended without {text!r}: {self.output[-3000:].decode(errors='replace')}"
        self.read_to = self.output.index(text.encode(), self.read_to) + len(text)

    def more(self) -> bool:
        if not select.select([self.descriptor], [], [], 0.2)[0]:
            return True
        try:
            got = os.read(self.descriptor, 65536)
        except OSError:
            return False
        self.output += got
        return bool(got)

    def types(self, keys: str) -> None:
        os.write(self.descriptor, keys.encode())

    def ends(self) -> int:
        while self.more():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.descriptor)


@POSIX
def test_in_a_terminal_enter_starts_a_run_ctrl_c_asks_and_the_next_attempt_is_shown_to_its_end(
    quick: StudyFolder, project_root: Path
):
    terminal = Terminal(command(quick, "--", "--stage", "null", "--real-time"), project_root)
    try:
        terminal.until("q quits")
        terminal.types("\r")
        terminal.until("RUNNING")
        terminal.types("\x03")
        terminal.until("End this run?")
        terminal.types("\x03")
        terminal.until("aborted (Ctrl-C)")
        terminal.until("q quits")
        terminal.types("\r")
        terminal.until("RUNNING")
        terminal.types("\x03")  # once only: the question passes, and the run goes on
        terminal.until("End this run?")
        terminal.until("COMPLETE")
        terminal.until("PASSED")
        terminal.until("q quits")
        terminal.types("q\r")
        assert terminal.ends() == 0
    finally:
        terminal.close()
    first, second = attempts_of(quick, RUNS[0])
    assert (first.complete, second.complete) == (False, True)
    assert read_journal(second.journal).header["continues"] is not None
    certificate = json.loads(
        (quick.derived("certificates") / f"{RUNS[0].stem}_certificate.json").read_text(encoding="utf-8")
    )
    assert certificate["bids"]["checked"]
    assert certificate["bids"]["errors"] == []


@POSIX
def test_closing_the_operators_terminal_does_not_end_the_run(quick: StudyFolder, project_root: Path):
    terminal = Terminal(command(quick, "--", "--stage", "null", "--real-time"), project_root)
    try:
        terminal.until("q quits")
        terminal.types("\r")
        terminal.until("RUNNING")
    finally:
        terminal.close()
    waited(lambda: quick.events(RUNS[0]).exists())
    assert read_journal(quick.journal(RUNS[0])).complete


def test_watch_follows_a_run_that_another_process_shows(folder: StudyFolder, project_root: Path):
    watching = subprocess.Popen(
        [sys.executable, "-m", "foolscan", "experiment", "watch", str(folder.root), "--sub", "01", "--until-end"],
        cwd=project_root,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        run(small_study_of(folder), load_rig("rehearsal"), folder.root, RUNS[0], stage="null")
        said, _ = watching.communicate(timeout=60)
    finally:
        watching.kill()
    assert watching.returncode == 0
    assert f"{RUNS[0].stem}: complete; trial 14/14" in said


def test_watch_leaves_a_run_that_was_killed_and_follows_the_next(folder: StudyFolder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("experiment.operator.watch.GONE_S", 0.05)
    done = run(small_study_of(folder), load_rig("rehearsal"), folder.root, RUNS[0], stage="null")
    records = done.journal.read_bytes().splitlines(keepends=True)
    done.journal.write_bytes(b"".join(records[: len(records) // 2]))
    quiet = Console(file=StringIO())
    assert not watch(folder.root, quiet, until_end=True).ended

    def the_next_begins(look_s: float) -> None:
        if not folder.journal(RUNS[1]).exists():
            folder.journal(RUNS[1]).write_bytes(b"".join(records))
        time.sleep(look_s)

    assert watch(folder.root, quiet, until_end=True, sleep=the_next_begins).ended


def small_study_of(folder: StudyFolder) -> Study:
    from protocols.study import load_study

    return load_study(folder.root.parent / "small.yaml")


def test_the_board_preselects_what_was_aborted_and_tells_of_the_last_certificate(
    study: Study, rig: Rig, folder: StudyFolder
):
    run(study, rig, folder.root, RUNS[0], stage="null")
    board = board_of(folder, "01", "01", "animals", 3)
    assert [(row.status, row.verdict) for row in board.rows] == [("done", "passed"), ("pending", ""), ("pending", "")]
    assert board.next is not None
    assert board.next.run.run == 2
    cut = folder.journal(RUNS[1])
    cut.write_text(folder.journal(RUNS[0]).read_text(encoding="utf-8")[:9000], encoding="utf-8")
    rows = board_of(folder, "01", "01", "animals", 3).rows
    assert rows[1].status == "aborted"
    text = text_of(board_table(board_of(folder, "01", "01", "animals", 3), "sub-01", {"rig": "rehearsal"}))
    assert "cut off" in text
    certificate = folder.derived("certificates") / f"{RUNS[0].stem}_certificate.json"
    good = json.loads(certificate.read_text(encoding="utf-8"))
    for damaged in ("{", "[]", json.dumps(good | {"remarks": 3}), json.dumps(good | {"passed": "yes"})):
        certificate.write_text(damaged, encoding="utf-8")
        board = board_of(folder, "01", "01", "animals", 3)
        assert board.rows[0].certificate is None
        assert "no certificate" in text_of(board_table(board, "sub-01", {}))


def test_the_board_reads_each_journal_once(
    study: Study, rig: Rig, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
):
    for number in (1, 2):
        run(study, rig, folder.root, RunId("01", "01", "animals", number), stage="null")
    opened: list[str] = []

    def counted(path: Path) -> Any:
        opened.append(path.name)
        return read_run(path)

    monkeypatch.setattr(attempts, "read_run", counted)
    board = board_of(folder, "01", "01", "animals", 2)
    assert [row.status for row in board.rows] == ["done", "done"]
    assert sorted(opened) == sorted(path.name for path in folder.journals.glob("*_journal.jsonl"))


def test_a_visit_names_the_texts_that_changed_and_refuses_what_decides(study: Study, rig: Rig, folder: StudyFolder):
    run(study, rig, folder.root, RunId("01", "01", "animals", 1), stage="null")

    def visit(**changed: Any) -> Visit:
        other = study.model_copy(update=changed)
        return Visit(other, "small.yaml", rig, "rehearsal", folder, "01", "01", "animals", ("--stage", "null"))

    assert "changed" not in visit().facts()
    assert visit(title="Another title").facts()["changed"] == "since this visit began: title"
    with pytest.raises(FoolscanError, match=r"another version of study 'small' \(changed: seed\)"):
        prepare(visit(seed=5))


def test_the_certificate_on_the_operators_screen_names_what_is_wanting(study: Study, rig: Rig, folder: StudyFolder):
    result = run(study, rig, folder.root, RUNS[0], stage="null")
    content = json.loads(result.certificate_file.read_text(encoding="utf-8"))
    assert "PASSED" in text_of(certificate_panel(content, "page.html"))
    wanting = {**content, "passed": False, "remarks": ["59 pulses for 60 expected"]}
    text = text_of(certificate_panel(wanting, "page.html"))
    assert "WANTING" in text
    assert "59 pulses for 60 expected" in text


def test_every_attempt_has_a_log_of_its_own(tmp_path: Path):
    first = new_log(tmp_path, "sub-01")
    child = Child(["--help"], first)
    waited(lambda: child.status is not None)
    assert child.status == 0
    assert any("stimuli" in line for line in child.last_lines)
    assert new_log(tmp_path, "sub-01") != first
