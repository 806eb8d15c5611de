"""Every run of every subject of a study, with scanner and participants emulated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from experiment.attempts import is_done
from experiment.clock import Pace
from experiment.faults import Faults
from experiment.recover import finish_recorded
from experiment.rigging import StageKind
from experiment.run import RunResult, run_many
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.study import Study


def runs_of(study: Study, task: str) -> list[RunId]:
    """The runs of a study's design, in order: subjects and sessions are called 01, 02, …"""
    design = study.design
    return [
        RunId(f"{sub:02d}", f"{ses:02d}", task, run)
        for sub in range(1, design.subjects + 1)
        for ses in range(1, design.sessions + 1)
        for run in range(1, design.runs + 1)
    ]


def rehearse(
    study: Study,
    rig: Rig,
    folder: Path | str,
    *,
    task: str | None = None,
    stage: StageKind = "window",
    pace: Pace = "changes",
    screenshots: int = 5,
    hash_frames: bool = False,
    faults: Faults = (),
    done: Callable[[RunResult], None] = lambda result: None,
) -> list[RunResult]:
    """Rehearse all runs of a study that are not there yet, in one window.

    study, rig  : the rig's scanner and buttons must be emulated.
    folder      : the study folder, with its images made and exported.
    task        : None: the one that is analysed.
    screenshots : back buffers kept from the first run that is shown.
    hash_frames : write the hash of every back buffer of every run, too.
    faults      : what shall go wrong in every run.
    done        : told of every run as it ends.

    Returns what was run now. Raises FoolscanError as `experiment.run.run` does.
    """
    if not rig.emulated:
        raise FoolscanError(f"rig {rig.name}: a rehearsal needs emulated trigger and buttons, as rig rehearsal has")
    place = StudyFolder(Path(folder))
    runs = runs_of(study, task or study.analysis.task)
    finish_recorded(place, runs)
    missing = [run_id for run_id in runs if not is_done(place, run_id)]
    kept = screenshots if stage != "null" else 0
    return run_many(
        study,
        rig,
        folder,
        missing,
        stage=stage,
        pace=pace,
        screenshots=kept,
        hash_frames=hash_frames,
        faults=faults,
        done=done,
    )
