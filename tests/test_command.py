"""The one command: every verb has help with an example, and mistakes are one message and the right exit status."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import foolscan

ROOT = Path(__file__).parent.parent


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "foolscan", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(cwd or ROOT), "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd or ROOT, timeout=120, env=environment)


def verbs(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(command, "commands"):
        for name, member in command.commands.items():
            yield from verbs(member, (*words, name))
    else:
        yield words, command


VERBS = dict(verbs(typer.main.get_command(foolscan.app)))


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_has_help_with_an_example(words: tuple[str, ...]) -> None:
    assert f"foolscan {' '.join(words)}" in (VERBS[words].help or ""), "the help shows how the verb is used"
    assert "Example" in (VERBS[words].help or "")


def test_the_verbs_of_the_design_are_there() -> None:
    wanted = {
        "check", "doctor", "rehearse",
        "stimuli make", "stimuli verify", "stimuli contact-sheet", "stimuli activations", "stimuli export",
        "experiment timeline", "experiment run", "experiment recover",
        "analysis simulate-bold", "analysis betas", "analysis rois", "analysis rdms", "analysis compare", "analysis report",
    }  # fmt: skip
    assert wanted <= {" ".join(words) for words in VERBS}


def test_a_good_study_is_fine() -> None:
    done = run("check", "demo", "--rig", "rehearsal")
    assert done.returncode == 0
    assert "demo: fine on rig rehearsal" in done.stdout


def test_what_is_still_to_be_done_is_status_1() -> None:
    done = run("check", "zhang2018")
    assert done.returncode == 1
    assert "zhang2018.yaml" in done.stderr
    assert "put your own there" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("check", "demoo"),
            "a study file, or one that comes with foolscan: crops_demo, demo, desk, sabour2016, sabour2016_imagenet, srivastava2019, "
            "srivastava2019_imagenet, zhang2018, zhang2018_online",
        ),
        (("check", "demo", "--rig", "nowhere"), "rehearsal"),
        (("stimuli", "verify", "demo", "--to", "nowhere"), "foolscan stimuli make"),
    ],
)
def test_a_mistake_is_one_message_and_status_2(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_stops_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("format: 1\nextends: demo\nname: mine\nseeed: 3\n", encoding="utf-8")
    done = run("stimuli", "make", "mine.yaml", "--to", "folder", cwd=tmp_path)
    assert done.returncode == 2
    assert "mine.yaml:4: seeed: found the unknown key 'seeed' (did you mean 'seed'?)" in done.stderr
    assert not (tmp_path / "folder").exists()
