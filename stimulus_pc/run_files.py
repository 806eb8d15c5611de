"""The files that a run leaves in a study folder, and what several runs share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from protocols.folder import RunId, StudyFolder

STEM = re.compile(r"(sub-([^_]+)_ses-([^_]+)_task-([^_]+)_run-([0-9]{1,9}))(?:_.*)?\.[A-Za-z0-9.]+")
# What the analysis makes of runs comes from elsewhere, and is made again; so do the scanner's images.
KINDS = ("timeline", "certificates", "attempts", "frames", "screenshots", "logs")


@dataclass(frozen=True)
class RunFiles:
    """What one run left, all attempts together.

    files   : in the order in which they are copied: the events, which make a run of it, last.
    session : the record of the visit, which its runs share; None when there is none.
    """

    run: RunId
    files: tuple[Path, ...]
    session: Path | None


def runs_in(folder: StudyFolder) -> list[RunFiles]:
    """Every run of which a folder holds a file, in order."""
    found: dict[str, tuple[RunId, list[Path]]] = {}
    for path in sorted(_run_paths(folder)):
        form = STEM.fullmatch(path.name)
        if form is not None and not path.name.endswith((".lock", ".tmp")):
            run = RunId(form[2], form[3], form[4], int(form[5]))
            found.setdefault(run.stem, (run, []))[1].append(path)
    return [_of_run(folder, run, files) for _, (run, files) in sorted(found.items())]


def _of_run(folder: StudyFolder, run: RunId, files: list[Path]) -> RunFiles:
    session = folder.session_record(run.sub, run.ses)
    ordered = sorted(files, key=lambda path: (path.name == f"{run.stem}_events.tsv", path))
    return RunFiles(run, tuple(ordered), session if session.exists() else None)


def _run_paths(folder: StudyFolder) -> Iterator[Path]:
    for pattern in ("sub-*/ses-*/func/*_events.*", "sub-*/ses-*/beh/*"):
        yield from folder.root.glob(pattern)
    for kind in KINDS:
        yield from folder.derived(kind).glob("sub-*")
    for place in (folder.root / "sourcedata").glob("*"):
        if place.is_dir() and place.name != "sessions":
            yield from place.glob("sub-*")
