"""Images resampled once, offline, for the exact pixels of one rig; needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from protocols.checks import check
from protocols.folder import SCREEN_INDEX, StudyFolder, exclusive, read_json, write_json
from protocols.formats import SCREEN_IMAGES
from protocols.luminance import Mode, sent_levels
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError, NotReady, ProtocolError
from protocols.provenance import sha256_of
from protocols.rig import Rig
from protocols.rig_display import NATIVE_IMAGES
from protocols.study import Study
from stimuli.image_files import read_stimulus, write_png
from stimuli.synthesis.starts import ByteImage

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
    side_px = side_on(study, rig, task)
    images, stimuli = folder.screen_images(rig.name, side_px), read_manifest(folder)
    index_path = images / SCREEN_INDEX
    with exclusive(index_path, f"exporting for rig {rig.name}"):
        made = _made(rig, side_px)
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


@dataclass(frozen=True)
class Exported:
    """The images of a study as they stand at one rig's pixels.

    index   : ``export.json``.
    side_px : their side.
    paths   : stim_id -> PNG, in the order of the manifest.
    """

    index: Path
    side_px: int
    paths: dict[str, Path]


def exported(study: Study, rig: Rig, folder: StudyFolder, *, task: str | None = None) -> Exported:
    """What `export` wrote, each image checked against the manifest and its hash.

    study, rig, folder, task : as for `export`.

    Raises NotReady, with the command that makes them, when images are missing, changed, or made for something else.
    """
    side_px = side_on(study, rig, task)
    stimuli, images = read_manifest(folder), folder.screen_images(rig.name, side_px)
    remedy = f"make them with: foolscan stimuli export {study.name} --rig {rig.argument} --to {folder.root}"
    remedy += f" --task {task}" if task else ""
    if not (images / SCREEN_INDEX).exists():
        raise NotReady(f"{images / SCREEN_INDEX}: no images at the pixels of rig {rig.name} yet; {remedy}")
    index = _earlier(images / SCREEN_INDEX, _made(rig, side_px))
    for stimulus in stimuli:
        entry = index.get(stimulus.stim_id)
        if entry is None or not _stands(images, entry, stimulus):
            raise NotReady(
                f"{images / SCREEN_INDEX}: {stimulus.stim_id}: missing, changed, or made for another size, light or version of "
                f"the image; {remedy}"
            )
    return Exported(images / SCREEN_INDEX, side_px, {s.stim_id: images / index[s.stim_id]["file"] for s in stimuli})


def side_on(study: Study, rig: Rig, task: str | None = None) -> int:
    """The side, px, of a study's images on a rig's screen.

    task : None: the one that is analysed.

    Raises ProtocolError when study and rig do not fit, FoolscanError for a task that the study does not have.
    """
    problems = [problem for problem in check(study, rig).problems if not problem.needed]
    if problems:
        raise ProtocolError(problems)
    name = task or study.analysis.task
    if name not in study.tasks:
        raise FoolscanError(f"--task: found {name!r}; study {study.name} has {', '.join(study.tasks)}")
    return rig.display.px(study.tasks[name].image_deg)


def resampled(image: ByteImage, side_px: int) -> ByteImage:
    """An image, (height, width, 3), at a side of side_px pixels."""
    return np.asarray(Image.fromarray(image).resize((side_px, side_px), Image.Resampling.BICUBIC))


def overshoot(image: ByteImage, side_px: int) -> float:
    """The share of values that the filter would put below 0 or above 255, 0 to 1: they are cut off there."""
    beyond = 0
    for channel in range(3):
        plane = Image.fromarray(image[..., channel].astype(np.float32))
        levels = np.asarray(plane.resize((side_px, side_px), Image.Resampling.BICUBIC))
        beyond += int(((levels < -0.5) | (levels >= 255.5)).sum())
    return beyond / (3 * side_px**2)


def _made(rig: Rig, side_px: int) -> dict[str, Any]:
    return {
        "format": SCREEN_IMAGES,
        "side_px": side_px,
        "filter": FILTER,
        "luminance": rig.display.luminance.of_images,
    }


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
    write_png(path, sent_levels(resampled(read_stimulus(folder, stimulus), side_px), mode))
    return {"file": path.name, "sha256": sha256_of(path), "source_sha256": stimulus.sha256}
