"""Images resampled once, offline, for the exact pixels of one rig; needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from protocols.checks import check
from protocols.folder import StudyFolder, exclusive, read_json, write_json
from protocols.formats import SCREEN_IMAGES
from protocols.luminance import Mode, sent_levels
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError, ProtocolError
from protocols.provenance import sha256_of
from protocols.rig import Rig
from protocols.rig_display import NATIVE_IMAGES
from protocols.study import Study
from stimuli.image_files import read_stimulus, write_png

FILTER = "bicubic"
"""One filter for every set: no sharp RE beside a smoothed AN. Bicubic keeps grey levels within a few of the grid's."""


def export(
    study: Study,
    rig: Rig,
    folder: StudyFolder,
    *,
    task: str | None = None,
    told: Callable[[int, int], None] = lambda done, n: None,
) -> Path:
    """Resample every image of a study to the pixels it has on a rig's screen, to be drawn 1:1.

    study  : gives the size in degrees.
    rig    : gives the size in pixels, by tangent geometry.
    folder : the study folder, with its images made.
    task   : None: the one that is analysed.
    told   : progress, (images done, images in all).

    For a linearised display the resampled levels are decoded from sRGB, so that the luminance contrast stays what it is on
    a display that follows sRGB; for a native one they are left as they are.

    Returns the path of ``export.json``. Images that are exported already, from the same files, are left alone.
    Raises ProtocolError when study and rig do not fit, FoolscanError for an image that changed since the manifest.
    """
    problems = [problem for problem in check(study, rig).problems if not problem.needed]
    if problems:
        raise ProtocolError(problems)
    name = task or study.analysis.task
    if name not in study.tasks:
        raise FoolscanError(f"--task: found {name!r}; study {study.name} has {', '.join(study.tasks)}")
    side_px = rig.display.px(study.tasks[name].image_deg)
    images, stimuli = folder.screen_images(rig.name), read_manifest(folder)
    index_path = images / "export.json"
    with exclusive(index_path, f"exporting for rig {rig.name}"):
        made = {
            "format": SCREEN_IMAGES,
            "side_px": side_px,
            "filter": FILTER,
            "luminance": rig.display.luminance.of_images,
        }
        earlier = _earlier(index_path, made)
        index = {}
        for done, stimulus in enumerate(stimuli, start=1):
            entry = earlier.get(stimulus.stim_id)
            if entry is None or not _stands(images, entry, stimulus):
                entry = _exported(folder, images, stimulus, side_px, rig.display.luminance.mode)
            index[stimulus.stim_id] = entry
            told(done, len(stimuli))
        write_json(index_path, {**made, "images": index})
    return index_path


def _earlier(index_path: Path, made: dict[str, Any]) -> dict[str, dict[str, str]]:
    if not index_path.exists():
        return {}
    index = {"luminance": NATIVE_IMAGES, **read_json(index_path)}
    return dict(index["images"]) if all(index.get(key) == value for key, value in made.items()) else {}


def _stands(images: Path, entry: dict[str, str], stimulus: Stimulus) -> bool:
    path = images / entry["file"]
    return entry["source_sha256"] == stimulus.sha256 and path.is_file() and sha256_of(path) == entry["sha256"]


def _exported(folder: StudyFolder, images: Path, stimulus: Stimulus, side_px: int, mode: Mode) -> dict[str, str]:
    path = images / f"{stimulus.stim_id}.png"
    picture = Image.fromarray(read_stimulus(folder, stimulus))
    levels = np.asarray(picture.resize((side_px, side_px), Image.Resampling.BICUBIC))
    write_png(path, sent_levels(levels, mode))
    return {"file": path.name, "sha256": sha256_of(path), "source_sha256": stimulus.sha256}
