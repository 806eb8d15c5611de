"""Whether images still fool at a rig's pixels and in its light: the exported files, judged by the network again."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional

from protocols.folder import StudyFolder, write_text
from protocols.image_sets import ControlRecipe
from protocols.manifest import Stimulus, read_manifest
from protocols.problems import FoolscanError
from protocols.provenance import is_current, write_sidecar
from protocols.rig import Rig
from protocols.study import Study
from stimuli.criteria import Criteria
from stimuli.export import Exported, exported, overshoot, resampled
from stimuli.image_files import read_rgb, read_stimulus
from stimuli.judging import Judged
from stimuli.make import LoadNetwork, network_of
from stimuli.networks.network import BATCH_SIZE, Network
from stimuli.planners.planner import Verdict
from stimuli.records import only_maker
from stimuli.screen_light import ASSUMED_CURVE, ASSUMPTION, ScreenLight, screen_light, share_of
from stimuli.synthesis.starts import ByteImage

JUDGED_FORMAT = 1
PACKAGES = ("numpy", "pillow", "torch", "torchvision")


@dataclass(frozen=True)
class OnScreen:
    """One image as made, as the exported file holds it, and as the screen shows it; `COLUMNS` says what a column means."""

    stim_id: str
    set: str
    target_class: str
    label: str
    confidence: float
    ratio: float | None
    success: bool
    label_by_area: str
    confidence_by_area: float
    ratio_by_area: float | None
    success_by_area: bool
    label_at_pixels: str
    confidence_at_pixels: float
    ratio_at_pixels: float | None
    success_at_pixels: bool
    label_on_screen: str
    confidence_on_screen: float
    ratio_on_screen: float | None
    success_on_screen: bool
    clipped_by_resampling: float
    clipped_by_screen: float
    merged_by_screen: float


STAGES: dict[str, str] = {
    "_by_area": "the image exported for the rig (sent levels decoded to sRGB), averaged over each pixel of the study's grid: "
    "the most that the export still holds",
    "_at_pixels": "the same image, resized to the study's grid as the network's own preprocessing resizes: what it says when "
    "it is shown the exported image",
    "_on_screen": "the same as at_pixels, of the image as the screen shows it (see Assumption)",
}
"""How an exported image is read back, from the least to the most that is lost; always rounded to 8 bits."""

_JUDGED = {
    "label": "The network's class of {}.",
    "confidence": "Posterior of target_class, 0 to 1, of {}.",
    "ratio": "Distance or error of the representation (as representation_ratio in stimuli.tsv; n/a: kinds without one) of {}.",
    "success": "Whether the recipe's criterion is met (a control: whether the class is still the manifest's) by {}.",
}
COLUMNS: dict[str, str] = {
    "stim_id": "Identifier, as in stimuli.tsv.",
    "set": "Stimulus set.",
    "target_class": "The class whose posterior is told, as in stimuli.tsv.",
    **{name: text.format("the image as made, as in stimuli.tsv") for name, text in _JUDGED.items()},
    **{name + stage: text.format(what) for stage, what in STAGES.items() for name, text in _JUDGED.items()},
    "clipped_by_resampling": "Share of values (pixels times channels) that the filter put below 0 or above 255 and that were cut off.",
    "clipped_by_screen": "Share of values, neither black nor white, that the screen shows as black or white.",
    "merged_by_screen": "Share of the other values whose grey level the screen cannot tell from another one.",
}


@dataclass(frozen=True)
class JudgedExport:
    """What the network says of a study's images on one rig.

    table   : the TSV, ``judged.tsv`` beside ``export.json``.
    sidecar : the JSON beside it.
    images  : one for each image of the manifest, in its order.
    light   : the screen they were judged for.
    side_px : their side there.
    """

    table: Path
    sidecar: Path
    images: tuple[OnScreen, ...]
    light: ScreenLight
    side_px: int

    @property
    def display(self) -> str:
        """One line on the screen: its light, and how many grey levels it tells apart."""
        limits = self.light.limits_cd_m2
        light = f"measured {limits[0]:g} to {limits[1]:g} cd/m²" if limits else ASSUMED_CURVE
        return f"{self.side_px} px, {self.light.mode}; {light}; {self.light.n_levels} of 256 grey levels differ"

    @property
    def summary(self) -> list[str]:
        """A table: for each set the images that keep their class and meet their criterion, and medians, stage by stage."""
        stages = ("", *STAGES)
        table: list[tuple[str, ...]] = [("set", "same class", "criterion met", "median of", "", "values lost")]
        for name in dict.fromkeys(image.set for image in self.images):
            rows = [image for image in self.images if image.set == name]
            kept = [sum(getattr(row, f"label{stage}") == row.label for row in rows) for stage in stages]
            met = [sum(getattr(row, f"success{stage}") for row in rows) for stage in stages]
            what = "confidence" if rows[0].ratio is None else "ratio"
            medians = [f"{np.median([getattr(row, what + stage) for row in rows]):.3f}" for stage in stages]
            lost = np.median([100 * (row.clipped_by_screen + row.merged_by_screen) for row in rows])
            counts = [" > ".join(map(str, values)) for values in (kept, met)]
            table.append((name, *counts, what, " > ".join(medians), f"{lost:.1f} %"))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
        ]
        return [
            *lines,
            "(as made > exported, averaged by area > resized by the network > the same in the screen's light)",
        ]


def judge_export(
    study: Study,
    rig: Rig,
    folder: StudyFolder,
    device: str = "auto",
    *,
    task: str | None = None,
    told: Callable[[int, int], None] = lambda done, n: None,
    load: LoadNetwork = network_of,
) -> JudgedExport:
    """Ask the study's network about the exported images: at the rig's pixels, and as its screen shows them.

    study  : names network and recipes, and the size in degrees.
    rig    : names the exported images, and describes the screen's light; without a measured curve it is taken to follow sRGB.
    folder : the study folder, with its images exported.
    device : where the network computes.
    task   : as for the export.
    told   : progress, (images done, images in all).
    load   : gives the networks.

    Writes ``judged.tsv`` and its sidecar beside ``export.json``; a table that stands from the same files is only read.

    Raises NotReady when images are not exported, or were for something else, with the command that does it.
    """
    read_manifest(folder)  # where there are no images yet, nothing is locked or written
    with only_maker(folder):
        return _judge_export(study, rig, folder, device, task, told, load)


def _judge_export(
    study: Study,
    rig: Rig,
    folder: StudyFolder,
    device: str,
    task: str | None,
    told: Callable[[int, int], None],
    load: LoadNetwork,
) -> JudgedExport:
    standing = exported(study, rig, folder, task=task)
    stimuli, light = read_manifest(folder), screen_light(rig.display.luminance)
    network = load(study.stimuli.network, study.folder, device)
    _refuse_other_weights(folder, stimuli, network)
    table = standing.index.with_name("judged.tsv")
    curve = rig.display.luminance.curve
    parameters = {
        "format": JUDGED_FORMAT,
        "rig": rig.name,
        "side_px": standing.side_px,
        "network": network.name,
        "network_sha256": network.weights_sha256,
        "device": network.device.type,
        "stimuli": study.stimuli.model_dump(mode="json"),
        "luminance": {"mode": light.mode, "curve_sha256": curve.sha256 if curve else None},
        "grey_levels_that_differ": light.n_levels,
    }
    inputs = [folder.manifest, standing.index]
    sidecar = table.with_suffix(".json")
    if is_current(folder, table, inputs, parameters):
        return JudgedExport(table, sidecar, _read(table), light, standing.side_px)
    criteria = Criteria(study, folder, stimuli, network, lambda plan: load(plan, study.folder, device))
    images = _judged(study.stimuli.size_px, folder, standing, stimuli, light, network, criteria, told)
    write_text(table, _text(images))
    more = {name: {"Description": text} for name, text in COLUMNS.items()}
    assumption = ASSUMPTION if light.measured else f"{ASSUMPTION} Here {ASSUMED_CURVE}."
    sidecar = write_sidecar(
        folder,
        table,
        inputs=inputs,
        parameters=parameters,
        packages=PACKAGES,
        more={**more, "Assumption": assumption},
    )
    return JudgedExport(table, sidecar, images, light, standing.side_px)


def _refuse_other_weights(folder: StudyFolder, stimuli: Sequence[Stimulus], network: Network) -> None:
    others = sorted({stimulus.network_sha256 for stimulus in stimuli} - {network.weights_sha256})
    if others:
        raise FoolscanError(
            f"{folder.manifest}: judged by weights {others[0][:12]}…, the study's network has "
            f"{network.weights_sha256[:12]}…; name the network that made the images, or make them again"
        )


def _judged(
    size_px: int,
    folder: StudyFolder,
    standing: Exported,
    stimuli: Sequence[Stimulus],
    light: ScreenLight,
    network: Network,
    criteria: Criteria,
    told: Callable[[int, int], None],
) -> tuple[OnScreen, ...]:
    images: list[OnScreen] = []
    for start in range(0, len(stimuli), BATCH_SIZE):
        part = stimuli[start : start + BATCH_SIZE]
        sent = [read_rgb(standing.paths[stimulus.stim_id]) for stimulus in part]
        meant, seen = [light.meant(image) for image in sent], [light.seen(image) for image in sent]
        stages = {
            "_by_area": [averaged(levels, size_px) for levels in meant],
            "_at_pixels": [resized(network, levels, size_px) for levels in meant],
            "_on_screen": [resized(network, levels, size_px) for levels in seen],
        }
        asked = {stage: _asked(network, criteria, part, grid) for stage, grid in stages.items()}
        for place, stimulus in enumerate(part):
            source = read_stimulus(folder, stimulus)
            levels = resampled(source, standing.side_px)
            images.append(
                OnScreen(
                    stim_id=stimulus.stim_id,
                    set=stimulus.set,
                    target_class=stimulus.target_class,
                    label=stimulus.network_label,
                    confidence=stimulus.confidence,
                    ratio=stimulus.representation_ratio,
                    success=stimulus.success,
                    **{name + stage: value for stage in STAGES for name, value in asked[stage][place].items()},
                    clipped_by_resampling=overshoot(source, standing.side_px),
                    clipped_by_screen=share_of(light.clipped, levels),
                    merged_by_screen=share_of(light.merged, levels),
                )
            )
            told(len(images), len(stimuli))
    return tuple(images)


def _asked(
    network: Network, criteria: Criteria, stimuli: Sequence[Stimulus], images: Sequence[ByteImage]
) -> list[dict[str, Any]]:
    """What the network says of images on the study's grid, and whether they meet their criteria."""
    found = []
    for stimulus, image, row in zip(stimuli, images, network.probabilities(np.stack(images)), strict=True):
        confidence = float(row[network.label_index(stimulus.target_class)])
        judged = Judged(network.labels[int(row.argmax())], float(row.max()), confidence, image, "")
        verdict = _verdict(criteria, stimulus, judged)
        found.append(
            {"label": judged.label, "confidence": confidence, "ratio": verdict.ratio, "success": verdict.success}
        )
    return found


def averaged(levels: npt.NDArray[np.float64], size_px: int) -> ByteImage:
    """A square image, (side, side, 3) on the 0 to 255 scale, averaged over each pixel of a grid of size_px x size_px."""
    planes = [Image.fromarray(levels[..., channel].astype(np.float32)) for channel in range(3)]
    resized = [np.asarray(plane.resize((size_px, size_px), Image.Resampling.BOX)) for plane in planes]
    return _in_8_bits(np.stack(resized, axis=-1))


def resized(network: Network, levels: npt.NDArray[np.float64], size_px: int) -> ByteImage:
    """A square image, (side, side, 3) on the 0 to 255 scale, on a grid of size_px x size_px by the network's own resize.

    The whole image comes back to the grid that it was made on, so that no border is cut off that the network saw then; from
    there the network's preprocessing goes on as always.
    """
    if levels.shape[0] == size_px:
        return _in_8_bits(levels)
    planes = torch.from_numpy(levels.transpose(2, 0, 1)[None].astype(np.float32))
    how = network.preprocessing.interpolation
    planes = functional.interpolate(planes, size=[size_px, size_px], mode=how, align_corners=False, antialias=True)
    return _in_8_bits(planes[0].numpy().transpose(1, 2, 0))


def _in_8_bits(levels: npt.NDArray[Any]) -> ByteImage:
    return np.ascontiguousarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _verdict(criteria: Criteria, stimulus: Stimulus, judged: Judged) -> Verdict:
    if isinstance(criteria.recipe(stimulus), ControlRecipe):  # its own criterion is a length on the grid
        return Verdict(judged.label == stimulus.network_label)
    return criteria.verdict(stimulus, judged)


def _text(images: Sequence[OnScreen]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for image in images:
        writer.writerow([_cell(getattr(image, column)) for column in COLUMNS])
    return text.getvalue()


def _cell(value: str | bool | float | None) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(round(value, 9)) if isinstance(value, float) else value


def _read(table: Path) -> tuple[OnScreen, ...]:
    """The rows of a table whose sidecar says that it is ours and unchanged."""
    kinds = {field.name: str(field.type) for field in fields(OnScreen)}
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return tuple(OnScreen(**{name: _value(row[name], kind) for name, kind in kinds.items()}) for row in rows)


def _value(cell: str, kind: str) -> Any:
    if cell == "n/a" and kind.endswith("None"):
        return None
    if kind == "bool":
        return cell == "true"
    return float(cell) if kind.startswith("float") else cell
