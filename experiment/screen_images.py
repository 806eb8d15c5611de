"""The images at one rig's exact pixels, as `foolscan stimuli export` wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from protocols.folder import SCREEN_INDEX, StudyFolder, read_json
from protocols.formats import SCREEN_IMAGES
from protocols.manifest import Stimulus
from protocols.problems import NotReady
from protocols.provenance import sha256_of
from protocols.rig import Rig
from protocols.rig_display import NATIVE_IMAGES
from protocols.study import ImagesTask, Study


def screen_pictures(
    folder: StudyFolder, study: Study, rig: Rig, task: ImagesTask, stimuli: Iterable[Stimulus]
) -> dict[str, Path]:
    """The exported file of every stimulus, each checked against its hash and against the manifest.

    folder  : the study folder.
    study   : named in the remedy.
    rig     : its pixels are the ones that were exported for.
    task    : gives the size in degrees.
    stimuli : those that will be shown.

    Returns stim_id -> PNG. Raises NotReady, naming the command that makes them, when any is missing or stale.
    """
    side_px = rig.display.px(task.image_deg)
    images = folder.screen_images(rig.name, side_px)
    index_path = images / SCREEN_INDEX
    remedy = f"make them with: foolscan stimuli export {study.name} --rig {rig.argument} --to {folder.root}"
    if task.image_deg != study.tasks[study.analysis.task].image_deg:
        remedy += f" --task {next((name for name, other in study.tasks.items() if other == task), study.analysis.task)}"
    if not index_path.exists():
        index_path = folder.screen_images(rig.name) / SCREEN_INDEX  # of images of another size, if any
    if not index_path.exists():
        raise NotReady(f"{index_path}: no images at the pixels of rig {rig.name} yet; {remedy}")
    index: dict[str, Any] = read_json(index_path)
    if index.get("format") != SCREEN_IMAGES or index.get("side_px") != side_px:
        found = f"format {index.get('format')}, {index.get('side_px')} px"
        raise NotReady(
            f"{index_path}: found {found}; rig {rig.name} needs format {SCREEN_IMAGES}, {side_px} px; {remedy}"
        )
    wanted, made = rig.display.luminance.of_images, index.get("luminance", NATIVE_IMAGES)
    if made != wanted:
        raise NotReady(f"{index_path}: made for {_light(made)}; rig {rig.name} is {_light(wanted)} now; {remedy}")
    return {stimulus.stim_id: _checked(images, index, stimulus, remedy) for stimulus in stimuli}


def _light(made: Mapping[str, str | None]) -> str:
    curve = made.get("curve_sha256")
    return f"a {made['mode']} display" + (f" with the measured curve {curve[:12]}…" if curve else "")


def _checked(images: Path, index: dict[str, Any], stimulus: Stimulus, remedy: str) -> Path:
    entry = index["images"].get(stimulus.stim_id)
    if entry is None:
        raise NotReady(f"{images}: no image of {stimulus.stim_id}; {remedy}")
    path = images / entry["file"]
    if entry["source_sha256"] != stimulus.sha256:
        raise NotReady(f"{path}: made from another version of {stimulus.stim_file} than the manifest has; {remedy}")
    if not path.exists():
        raise NotReady(f"{path}: is missing; {remedy}")
    if sha256_of(path) != entry["sha256"]:
        raise NotReady(f"{path}: its content changed after the export; {remedy}")
    return path


def check_stimuli(folder: StudyFolder, stimuli: Iterable[Stimulus]) -> None:
    """Check that the images are the ones the manifest was written for.

    Raises NotReady with the first that is missing or changed.
    """
    remedy = f"see what happened with: foolscan stimuli verify STUDY --to {folder.root}"
    for stimulus in stimuli:
        path = stimulus.path(folder)
        if not path.is_file():
            raise NotReady(f"{path}: is missing, though the manifest lists it; {remedy}")
        if sha256_of(path) != stimulus.sha256:
            raise NotReady(f"{path}: changed after the manifest was written; {remedy}")
