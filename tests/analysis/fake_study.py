"""A small study folder as the other rooms would leave it: a manifest and events, no images."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from protocols.folder import RunId, StudyFolder, open_folder, write_json, write_text
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


def stimulus(set_name: str, category: str, supercategory: str, animal: bool) -> Stimulus:
    """A manifest row of which only the identity matters here."""
    source = None if set_name == "RE" else f"RE-{category}"
    return Stimulus(
        stim_id=f"{set_name}-{category}",
        stim_file=f"{set_name}/{category}.png",
        set=set_name,
        category=category,
        supercategory=supercategory,
        animal_source=animal,
        source_id=source,
        target_class=category,
        network_label=category,
        animal_network_label=animal,
        confidence=0.99,
        success=True,
        attempts=1,
        steps=0,
        l2=None,
        linf=None,
        second_network_label=None,
        second_network_confidence=None,
        luminance=128.0,
        rms_contrast=0.2,
        spectral_slope=-2.0,
        network="picturenet",
        network_sha256="0" * 64,
        seed=1,
        sha256="0" * 64,
    )


def manifest(n_categories: int, sets: Sequence[str] = ("RE", "AN", "AI")) -> list[Stimulus]:
    """Categories in supercategories of four, every other supercategory animals; all sets."""
    rows = []
    for name in sets:
        for i in range(n_categories):
            group = SUPERCATEGORIES[i // 4 % len(SUPERCATEGORIES)]
            rows.append(stimulus(name, f"category{i:02d}", group, animal=(i // 4) % 2 == 0))
    return rows


def small_study(study: str = "demo", **changes: object) -> Study:
    """A shipped study with some keys replaced: dotted names with ``__`` for the dot."""
    loaded = load_study(study)
    for dotted, value in changes.items():
        loaded = _replaced(loaded, dotted.split("__"), value)
    return loaded


def _replaced(model: Study, path: list[str], value: object) -> Study:
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
    write_text(path.with_name(f"sub-{run.sub}_ses-{run.ses}_scans.tsv"), "filename\n")
    path.with_name(f"sub-{run.sub}_ses-{run.ses}_scans.tsv").unlink()
    write_json(path.with_suffix(".json"), {"stim_id": {"Description": "The image."}})
    return path


def study_folder(
    root: Path, study: Study, *, n_categories: int, subjects: Sequence[str] = ("01",), sessions: int = 2, runs: int = 2
) -> StudyFolder:
    """A rehearsal's folder with a manifest and the events of every run."""
    folder = open_folder(root, study.title, rehearsal=True)
    stimuli = manifest(n_categories)
    write_manifest(folder, stimuli)
    rng = np.random.default_rng(0)
    for sub in subjects:
        for ses in range(1, sessions + 1):
            for run in range(1, runs + 1):
                write_events(study, folder, RunId(sub, f"{ses:02d}", study.analysis.task, run), stimuli, rng)
    return folder
