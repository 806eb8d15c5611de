"""Which runs are fitted together, and where their betas lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from analysis.stored_betas import betas_path, imported_from, session_betas_path, table_path
from protocols.folder import RunId, StudyFolder
from protocols.glm_plan import GlmPlan
from protocols.problems import FoolscanError
from protocols.provenance import sidecar_path


@dataclass(frozen=True)
class Unit:
    """Runs that share one betas file: one run, or all of a session end to end.

    runs : in order.
    path : of the betas, ``…_run-01_betas.nii.gz``; of a session ``…_run-all_betas.nii.gz``.
    """

    runs: tuple[RunId, ...]
    path: Path

    @property
    def stem(self) -> str:
        """``sub-01_ses-01_task-animals_run-01``, or ``…_run-all``."""
        return self.path.name.removesuffix("_betas.nii.gz")


def units_of(plan: GlmPlan, folder: StudyFolder, runs: Sequence[RunId]) -> list[Unit]:
    """The units of runs, in order of subject, session and run.

    plan : ``model: session_condition`` puts the runs of a session together.
    """
    if plan.model != "session_condition":
        return [Unit((run,), betas_path(folder, run)) for run in runs]
    sessions = [tuple(members) for _, members in groupby(runs, key=lambda run: (run.sub, run.ses))]
    return [Unit(members, session_betas_path(folder, members[0])) for members in sessions]


def refuse_imported(folder: StudyFolder, unit: Unit) -> None:
    """Raise FoolscanError where imported betas stand in the place of this unit's, or of those that they replace."""
    for path in (unit.path, *_replaced(folder, unit)):
        if path.exists() and imported_from(path):
            raise FoolscanError(
                f"{path}: found imported betas ({imported_from(path)}); move them elsewhere before others are estimated"
            )


def make_room(folder: StudyFolder, unit: Unit, plan: GlmPlan, *, with_noise: bool) -> None:
    """Remove foolscan's own files that are of another model than the unit's: nobody shall take them for this one's.

    Betas of single runs where a session is fitted, and the reverse; noise, noise components and choices of responses that
    the model does not have.

    with_noise : whether the unit has a noise covariance.
    """
    replaced = _replaced(folder, unit)
    stale = [file for path in replaced for file in (path, table_path(path))]
    stale += [_with_suffix(path, "noise.h5") for path in ([] if with_noise else [unit.path]) + replaced]
    run = unit.runs[0]
    subject = unit.path.parent.parent / f"sub-{run.sub}_task-{run.task}_betas.nii.gz"
    if plan.noise_components == 0:
        stale += [
            _with_suffix(path, "noisecomponents.tsv")
            for path in (subject, *(betas_path(folder, one) for one in unit.runs))
        ]
    if plan.hrf != "library":
        stale += [_with_suffix(subject, "hrf.nii.gz"), _with_suffix(subject, "hrf.tsv")]
    for path in stale:
        path.unlink(missing_ok=True)
        sidecar_path(path).unlink(missing_ok=True)


def _with_suffix(betas: Path, suffix: str) -> Path:
    return betas.with_name(betas.name.removesuffix("betas.nii.gz") + suffix)


def _replaced(folder: StudyFolder, unit: Unit) -> list[Path]:
    whole = session_betas_path(folder, unit.runs[0])
    return [betas_path(folder, run) for run in unit.runs] if unit.path == whole else [whole]
