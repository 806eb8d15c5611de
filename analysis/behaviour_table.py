"""The table of behaviour, from sessions in the scanner and at a desk: accuracy, d′, reaction times, confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

from analysis.behaviour import COLUMNS, POOLED, Response, behaviour, load_responses
from analysis.tables import write_table
from protocols.folder import Modality, StudyFolder
from protocols.manifest import read_manifest
from protocols.problems import NotReady
from protocols.provenance import write_sidecar
from protocols.study import Study

ALL_COLUMNS: dict[str, str] = {
    "at": "func: in a scanner; beh: at a desk.",
    **COLUMNS,
    "confidence": "Mean step of the confidence scale, 1 the least sure (n/a: not asked for).",
    "confidence_right": "The same after correct answers (n/a for a set with no correct answer).",
    "confidence_wrong": "The same after wrong answers.",
}


def behaviour_rows(study: Study, responses: Sequence[Response], at: Modality) -> list[dict[str, Any]]:
    """One row per subject and set, and over all subjects, with the columns of `ALL_COLUMNS`."""
    found = []
    for row in behaviour(study, responses):
        mine = [
            response
            for response in responses
            if response.stimulus.set == row.set and row.subject in (POOLED, response.run.sub)
        ]
        scored = [response for response in mine if study.stimuli.sets[row.set].has_correct_answer]
        confidence = {
            "confidence": _confidence(mine),
            "confidence_right": _confidence([response for response in scored if _right(response)]),
            "confidence_wrong": _confidence([response for response in scored if not _right(response)]),
        }
        found.append({"at": at, **asdict(row), **confidence})
    return found


def write_behaviour(study: Study, folder: StudyFolder) -> Path:
    """Write ``derivatives/foolscan/behaviour/behaviour.tsv`` with its sidecar, from all runs of the analysed task.

    Raises NotReady when there is no run yet.
    """
    task, stimuli = study.analysis.task, read_manifest(folder)
    rows: list[dict[str, Any]] = []
    inputs = [folder.manifest]
    for at in get_args(Modality):
        runs = folder.runs(task, at)
        inputs += [folder.events(run, at) for run in runs]
        if runs:
            rows += behaviour_rows(study, load_responses(study, folder, stimuli, at), at)
    if not rows:
        raise NotReady(
            f"{folder.root}: no events of task {task}; run a session: foolscan experiment run {study.name} --rig RIG "
            f"--sub 01 --ses 01 --run 1 --to {folder.root}"
        )
    path = write_table(folder.derived("behaviour") / "behaviour.tsv", ALL_COLUMNS, rows)
    meaning = {name: {"Description": text} for name, text in ALL_COLUMNS.items()}
    write_sidecar(folder, path, inputs=inputs, parameters={"task": task}, more=meaning)
    return path


def _right(response: Response) -> bool:
    return response.said_animal == response.stimulus.animal_source


def _confidence(responses: Sequence[Response]) -> float:
    """Mean step of the answered and rated trials; NaN when there are none."""
    steps = [
        response.confidence
        for response in responses
        if response.confidence is not None and response.said_animal is not None
    ]
    return fmean(steps) if steps else math.nan
