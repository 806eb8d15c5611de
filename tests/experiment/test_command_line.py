"""The commands as an operator types them: what they print, how they end, and what they leave behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
from experiment_study import fill, small_study
from PIL import Image
from rich.console import Console

from experiment.correct_onsets import pulses_in
from experiment.journal import read_journal
from experiment.plan import plan_run, timeline_table
from experiment.pulse_table import pulse_table
from experiment.run import run
from experiment.timeline import timeline_text
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.study import Study

RUN = RunId("01", "01", "animals", 1)
VISIT = ("--rig", "rehearsal", "--sub", "01", "--ses", "01", "--run", "1")


def command(folder: StudyFolder, verb: str, *options: str) -> list[str]:
    study = str(folder.root.parent / "small.yaml")
    return [sys.executable, "-m", "foolscan", "experiment", verb, study, *options, "--to", str(folder.root)]


def ends(arguments: list[str], root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=root,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        env={**os.environ, **environment},
    )


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_run_prints_what_it_wrote_and_a_second_time_refuses(folder: StudyFolder, project_root: Path):
    done = ends(command(folder, "run", *VISIT, "--stage", "null"), project_root)
    assert done.returncode == 0, done.stderr
    for path in (folder.events(RUN), folder.journal(RUN), folder.timeline(RUN)):
        assert str(path) in done.stdout
    assert "passed, 14/14 trials, 60/60 pulses, 0 frames dropped" in done.stdout
    assert done.stdout.startswith("sub-01_ses-01_task-animals_run-01: begun; Ctrl-C, or the abort key twice, ends it")
    again = ends(command(folder, "run", *VISIT, "--stage", "null"), project_root)
    assert again.returncode == 2
    assert again.stderr.startswith("foolscan: run 1 of sub-01, ses-01 exists already")
    assert again.stdout == ""  # how to end a run is said when it has begun
    assert "Traceback" not in again.stderr


def test_without_a_display_and_without_xvfb_the_remedy_is_named(folder: StudyFolder, project_root: Path):
    if sys.platform in ("win32", "darwin"):
        pytest.skip("there is always a display on Windows and macOS")
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        command(folder, "run", *VISIT),
        cwd=project_root,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**environment, "PATH": str(project_root / "nowhere")},
        timeout=300,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("foolscan: no display: DISPLAY is not set and there is no Xvfb")
    assert "apt-get install" in done.stderr
    assert not folder.journals.exists()


def test_without_a_display_a_virtual_one_is_started_and_ends_with_the_command(folder: StudyFolder, project_root: Path):
    if sys.platform in ("win32", "darwin") or shutil.which("Xvfb") is None:
        pytest.skip("no Xvfb on this machine")
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        command(folder, "run", *VISIT, "--screenshots", "2"),
        cwd=project_root,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    shots = [Path(line) for line in done.stdout.splitlines() if line.endswith(".png")]
    assert len(shots) == 2
    with Image.open(shots[1]) as shot:
        assert shot.size == (1024, 768)


def test_a_display_that_is_not_there_is_one_message(folder: StudyFolder, project_root: Path):
    if sys.platform in ("win32", "darwin"):
        pytest.skip("there is always a display on Windows and macOS")
    done = ends(command(folder, "run", *VISIT), project_root, DISPLAY=":98765")
    assert done.returncode == 2
    assert "foolscan: display: no window opens" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_with_130_and_the_journal_is_kept(folder: StudyFolder, project_root: Path):
    if sys.platform == "win32":
        pytest.skip("Windows sends Ctrl-C to a whole console, this test's own included")
    process = subprocess.Popen(
        command(folder, "run", *VISIT, "--stage", "null", "--real-time"),
        cwd=project_root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    end_s = time.monotonic() + 120
    while not folder.journal(RUN).exists() or b'"pulse"' not in folder.journal(RUN).read_bytes():
        assert time.monotonic() < end_s
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"aborted \(Ctrl-C\) after \d+ of 14 trials", error)
    assert "Traceback" not in error
    kept = next(folder.journals.iterdir())
    assert kept.name == f"{RUN.stem}_aborted-01_journal.jsonl"
    assert read_journal(kept).end is not None
    assert not folder.func(RUN).exists()
    assert not list(folder.root.rglob("*.tmp*"))
    assert not list(folder.root.rglob("*.lock"))


def test_timeline_shows_the_plan_and_draws_it(folder: StudyFolder, project_root: Path):
    done = ends(command(folder, "timeline", *VISIT), project_root, COLUMNS="120")
    assert done.returncode == 0, done.stderr
    assert "60 s, 60 pulses" in done.stdout
    for kind in ("RE", "AN", "AI", "blank", "rest"):
        assert kind in done.stdout
    picture = Path(done.stdout.splitlines()[-1])
    with Image.open(picture) as image:
        assert image.size[0] > 1000


def test_plan_and_pulses_fit_a_terminal_of_80_columns(study: Study, rig: Rig, folder: StudyFolder):
    planned = plan_run(study, rig, folder.root, RUN)
    run(study, rig, folder.root, RUN, stage="null")
    for table in (timeline_table(planned), pulse_table(pulses_in(folder.root))):
        console = Console(file=StringIO(), width=80)
        console.print(table)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert "…" not in text
        assert max(map(len, text.splitlines())) <= 80


def test_the_plan_is_the_one_that_is_run_and_is_not_replaced_afterwards(
    study: object, rig: Rig, folder: StudyFolder, project_root: Path
):
    planned = plan_run(study, rig, folder.root, RUN)  # type: ignore[arg-type]
    text = planned.table.read_text(encoding="utf-8")
    assert text == timeline_text(planned.timeline)
    assert ends(command(folder, "run", *VISIT, "--stage", "null"), project_root).returncode == 0
    assert planned.table.read_text(encoding="utf-8") == text
    faster = rig.model_copy(update={"display": rig.display.model_copy(update={"refresh_hz": 120.0})})
    with pytest.raises(FoolscanError, match="shown with another plan"):
        plan_run(study, faster, folder.root, RUN)  # type: ignore[arg-type]
    assert planned.table.read_text(encoding="utf-8") == text


def test_recover_says_what_it_found(folder: StudyFolder, project_root: Path):
    assert ends(command(folder, "run", *VISIT, "--stage", "null"), project_root).returncode == 0
    events = folder.events(RUN).read_bytes()
    folder.events(RUN).unlink()
    recovering = [sys.executable, "-m", "foolscan", "experiment", "recover", str(folder.root)]
    done = ends(recovering, project_root)
    assert done.returncode == 0, done.stderr
    assert f"{folder.events(RUN)}: complete" in done.stdout
    assert folder.events(RUN).read_bytes() == events


def test_a_script_does_what_the_commands_do_byte_for_byte(
    tmp_path: Path, rig: Rig, folder: StudyFolder, project_root: Path, display: str | None
):
    if display is None and sys.platform not in ("win32", "darwin"):
        pytest.skip("no display and no Xvfb: a window cannot be tested")
    script = project_root / "tests" / "scripts" / "run_session.py"
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 30
    (tmp_path / "script").mkdir()
    other = fill(tmp_path / "script" / "study", small_study(tmp_path / "script"), rig)
    arguments = [str(folder.root.parent / "small.yaml"), "rehearsal", str(other.root), "01", "01", "2"]
    scripted = ends([sys.executable, str(script), *arguments], project_root, PYTHONPATH=str(project_root))
    assert scripted.returncode == 0, scripted.stderr
    for number in ("1", "2"):
        done = ends(command(folder, "run", *VISIT[:-1], number), project_root)
        assert done.returncode == 0, done.stderr
    assert files(other.root) == files(folder.root)


def test_rehearse_runs_every_subject_and_a_second_time_nothing(folder: StudyFolder, project_root: Path):
    done = ends(command(folder, "rehearse", "--stage", "null"), project_root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("passed") == 4
    again = ends(command(folder, "rehearse", "--stage", "null"), project_root)
    assert again.returncode == 0
    assert "every run is there already" in again.stdout
