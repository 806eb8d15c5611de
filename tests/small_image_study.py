"""A study of four categories whose images are made in a second, and what a folder holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

from protocols.study import Study, load_study

SMALL = "format: 1\nextends: demo\nname: small\ntitle: a small study\nstimuli: {n_categories: 4}\n"
TASKS = "tasks: {animals: {stimulus_trials: 12}}\n"


def small_study(folder: Path, more: str = "") -> Study:
    """Four categories, twelve images; `more` are further keys of ``stimuli``."""
    text = SMALL + TASKS
    if more:
        text = text.replace("{n_categories: 4}", "{n_categories: 4, " + more + "}")
    (folder / "small.yaml").write_text(text, encoding="utf-8")
    return load_study(folder / "small.yaml")


def contents(root: Path) -> dict[str, str]:
    """The hash of every file of a folder."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def replace_once(path: Path, old: str, new: str) -> None:
    """Spoil a text file: its first `old`, which must be there, becomes `new`."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")
