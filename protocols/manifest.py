"""The stimulus manifest: one row for every image of a study, read by every room."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from protocols.folder import StudyFolder, write_text
from protocols.problems import NotReady
from protocols.typed_tables import read_rows, refuse_twice

MANIFEST_FORMAT = 2
# What a format does not have yet reads as n/a.
SINCE_2 = ("guide_id", "representation_ratio")
REMEDY = "make the stimuli again"


@dataclass(frozen=True)
class Stimulus:
    """One image of a set; what a column means stands in `COLUMNS`."""

    stim_id: str
    stim_file: str
    set: str
    category: str
    supercategory: str
    animal_source: bool
    source_id: str | None
    target_class: str
    network_label: str
    animal_network_label: bool | None
    confidence: float
    success: bool
    attempts: int
    steps: int
    l2: float | None
    linf: int | None
    second_network_label: str | None
    second_network_confidence: float | None
    luminance: float
    rms_contrast: float
    spectral_slope: float
    network: str
    network_sha256: str
    seed: int
    sha256: str
    guide_id: str | None = None
    representation_ratio: float | None = None

    def path(self, folder: StudyFolder) -> Path:
        """The image file in a study folder."""
        return folder.stimuli / self.stim_file


COLUMNS: dict[str, str] = {
    "stim_id": "Identifier, <set>-<category>.",
    "stim_file": "PNG file, relative to the stimuli folder (as in events.tsv).",
    "set": "Stimulus set, as the study file names it; its recipe stands in this sidecar under foolscan.parameters.stimuli.sets.",
    "category": "Category of the regular image that this image is or comes from.",
    "supercategory": "Supercategory of that category.",
    "animal_source": "Whether the category is an animal.",
    "source_id": "The regular image that this image comes from or is paired with (n/a for a regular image).",
    "target_class": "The class whose posterior is told: the one the image shall be given (a wrong class, where the recipe has one), "
    "else its category's; for attacks away from a class the one that is given.",
    "network_label": "The class the network gives, judged on the PNG read back from disk.",
    "animal_network_label": "Whether network_label is an animal (n/a: unknown for this network).",
    "confidence": "Posterior of target_class, 0 to 1, judged on the PNG read back from disk.",
    "success": "Whether the recipe's criterion (a class, a posterior, a distance between representations; for a control its "
    "length) was met on the PNG read back from disk.",
    "attempts": "Seeds tried.",
    "steps": "Optimisation steps of the last attempt (0: none were needed).",
    "l2": "Euclidean distance to the source image, grey levels 0-255 (n/a where the recipe does not change a source).",
    "linf": "Largest absolute change from the source image, grey levels 0-255 (n/a where the recipe does not change a source).",
    "second_network_label": "The class an independently trained network gives (n/a: none in the study).",
    "second_network_confidence": "That network's posterior of its own label, 0 to 1.",
    "luminance": "Mean luma of the 8-bit image, 0-255: Rec. 709 sum of its gamma-encoded sRGB values, so not cd/m2.",
    "rms_contrast": "Standard deviation of that luma, divided by 255.",
    "spectral_slope": "Slope of log power against log radial frequency of that luma.",
    "network": "Network that judged (and made) the image.",
    "network_sha256": "SHA-256 of that network's weights.",
    "seed": "Seed of the last attempt, from the study's seed and stim_id.",
    "sha256": "SHA-256 of the PNG file.",
    "guide_id": "The image whose representation it takes, or for a control the adversary whose change it takes (n/a: neither).",
    "representation_ratio": "Distance of its representation from the guide's, relative to the source's (feature adversaries); "
    "relative squared error of its representation (inversions); of the PNG read back from disk (n/a for other kinds).",
}


def manifest_text(stimuli: Sequence[Stimulus]) -> str:
    """The manifest as a BIDS tab-separated table (``n/a`` for what is not known, ``true``/``false``)."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for stimulus in stimuli:
        writer.writerow([_cell(value) for value in asdict(stimulus).values()])
    return text.getvalue()


def write_manifest(folder: StudyFolder, stimuli: Sequence[Stimulus]) -> Path:
    """Write ``stimuli/stimuli.tsv``; its sidecar is written by the room that made the images."""
    write_text(folder.manifest, manifest_text(stimuli))
    return folder.manifest


def read_manifest(folder: StudyFolder) -> list[Stimulus]:
    """Read the manifest of a study folder.

    Raises NotReady when there is none yet, FoolscanError with file, row and column for what cannot be read.
    """
    path = folder.manifest
    if not path.exists():
        raise NotReady(f"{path}: no stimuli yet; make them with: foolscan stimuli make STUDY --to {folder.root}")
    stimuli = read_rows(Stimulus, path, COLUMNS, REMEDY, files=("stim_file",), newer=SINCE_2)
    if not stimuli:
        raise NotReady(f"{path}: found no images; make them with: foolscan stimuli make STUDY --to {folder.root}")
    refuse_twice(path, "stim_id", [stimulus.stim_id for stimulus in stimuli], REMEDY)
    return stimuli


def in_set(stimuli: Sequence[Stimulus], name: str) -> list[Stimulus]:
    """The stimuli of one set, in manifest order."""
    return [stimulus for stimulus in stimuli if stimulus.set == name]


def class_of_category(stimuli: Sequence[Stimulus]) -> dict[str, str]:
    """The network's class for every category, which need not be called like it: what its regular image was made for."""
    return {stimulus.category: stimulus.target_class for stimulus in stimuli if stimulus.source_id is None}


def _cell(value: Any) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(round(value, 9))
    return str(value)
