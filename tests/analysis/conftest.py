"""Small study folders as the other rooms would leave them: a manifest and events, and what the analysis makes of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stimulus_rows import stimulus_row

from analysis.betas import estimate_betas
from analysis.simulate_bold import simulate_bold
from protocols.folder import RunId, StudyFolder, open_folder, write_json
from protocols.manifest import Stimulus, write_manifest
from protocols.study import Study, load_study

SUPERCATEGORIES = ("mammal", "bird", "fish", "boat", "food", "furniture", "insect", "tool", "reptile", "vehicle")
EVENT_COLUMNS = (
    "onset",
    "duration",
    "trial_type",
    "stim_file",
    "stim_id",
    "category",
    "response",
    "response_time",
    "correct",
)


def manifest(n_categories: int, sets: Sequence[str] = ("RE", "AN", "AI")) -> list[Stimulus]:
    """Categories in supercategories of four, every other supercategory animals; all sets."""
    rows = []
    for name in sets:
        for i in range(n_categories):
            group = SUPERCATEGORIES[i // 4 % len(SUPERCATEGORIES)]
            rows.append(stimulus_row(name, f"category{i:02d}", supercategory=group, animal=(i // 4) % 2 == 0))
    return rows


SMALL: dict[str, object] = {
    "scan__tr_s": 2.0,
    "scan__volumes": 90,
    "tasks__animals__blank_s": 3.0,
    "tasks__animals__image_s": 1.0,
    "tasks__animals__blank_trial_s": 4.0,
    "tasks__animals__lead_in_s": 10.0,
    "tasks__animals__blank_trials": 5,
    "analysis__rois": ("V1", "LO"),
    "analysis__voxels__per_subject": 20,
    "rehearsal__brain__voxels_per_roi": 60,
}


def small_study(**changes: object) -> Study:
    """The demo study cut to seconds (12 images a run), with some keys replaced: ``__`` stands for the dot."""
    return changed(load_study("demo"), **{**SMALL, **changes})


def changed(study: Study, **changes: object) -> Study:
    """A study with some keys replaced: ``__`` stands for the dot."""
    for dotted, value in changes.items():
        study = _replaced(study, dotted.split("__"), value)
    return study


def _replaced(model: Any, path: list[str], value: object) -> Any:
    if len(path) == 1:
        return model.model_copy(update={path[0]: value})
    inner = getattr(model, path[0])
    if isinstance(inner, dict):
        return model.model_copy(update={path[0]: inner | {path[1]: _replaced(inner[path[1]], path[2:], value)}})
    return model.model_copy(update={path[0]: _replaced(inner, path[1:], value)})


def write_events(
    study: Study, folder: StudyFolder, run: RunId, stimuli: Sequence[Stimulus], rng: np.random.Generator
) -> Path:
    """Events of one run: all images once in random order, blank trials between them."""
    task = study.tasks[study.analysis.task]
    trials: list[Stimulus | None] = [*stimuli, *[None] * task.blank_trials]
    onset_s = task.lead_in_s
    path = folder.events(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(EVENT_COLUMNS)
        for place in rng.permutation(len(trials)):
            shown = trials[place]
            if shown is None:
                writer.writerow([f"{onset_s:.6f}", task.blank_trial_s, "blank", *["n/a"] * 6])
                onset_s += task.blank_trial_s
            else:
                onset_s += task.blank_s
                told = [shown.stim_file, shown.stim_id, shown.category, "animal", "0.6", "true"]
                writer.writerow([f"{onset_s:.6f}", task.image_s, shown.set, *told])
                onset_s += task.image_s
    write_json(path.with_suffix(".json"), {"stim_id": {"Description": "The image."}})
    return path


def study_folder(
    root: Path, study: Study, *, n_categories: int, subjects: Sequence[str] = ("01",), sessions: int = 2, runs: int = 2
) -> StudyFolder:
    """A rehearsal's folder with a manifest and the events of every run."""
    folder = open_folder(root, study.title, rehearsal=True)
    stimuli = manifest(n_categories)
    write_manifest(folder, stimuli)
    for image in stimuli:
        image.path(folder).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), 128).save(image.path(folder))
    rng = np.random.default_rng(0)
    for sub in subjects:
        for ses in range(1, sessions + 1):
            for run in range(1, runs + 1):
                write_events(study, folder, RunId(sub, f"{ses:02d}", study.analysis.task, run), stimuli, rng)
    return folder


@pytest.fixture(scope="session")
def fake() -> SimpleNamespace:
    """Makers of small studies and folders: ``study(**changes)``, ``folder(root, study, ...)``, ``manifest(n)``."""
    return SimpleNamespace(study=small_study, changed=changed, folder=study_folder, manifest=manifest)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, StudyFolder]:
    """A small study with simulated images and betas: two subjects, two sessions, two runs each. Read only."""
    study = small_study()
    folder = study_folder(tmp_path_factory.mktemp("finished"), study, n_categories=4, subjects=("01", "02"))
    simulate_bold(study, folder)
    estimate_betas(study, folder)
    return study, folder


@pytest.fixture
def simulated(tmp_path: Path) -> tuple[Study, StudyFolder]:
    """One subject with a single simulated run, to be spoilt."""
    study = small_study()
    folder = study_folder(tmp_path, study, n_categories=4, sessions=1, runs=1)
    simulate_bold(study, folder)
    return study, folder
