"""The manifest of crop pairs: windows of pictures that a network recognises, and their all but equal twins that it does not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from protocols.folder import StudyFolder
from protocols.formats import CROPS
from protocols.problems import FoolscanError, NotReady
from protocols.tables import write_table
from protocols.typed_tables import read_rows, refuse_other_format, refuse_twice

Member = Literal["fragile", "altered"]
MEMBERS: tuple[Member, ...] = get_args(Member)
N_LABELS = 5
"""Most probable classes that are kept of each crop."""
MAKE = "foolscan stimuli fragile-pairs STUDY --to FOLDER"
REMEDY = f"make it again: {MAKE}"


@dataclass(frozen=True)
class Crop:
    """One member of a pair; what a column means stands in `COLUMNS`."""

    crop_id: str
    pair_id: str
    member: str
    crop_file: str
    picture_id: str
    category: str
    supercategory: str
    row: int
    column: int
    side_px: int
    shown_px: int
    proportion: float | None
    type: str
    offset_rows: int
    offset_columns: int
    network_class: str
    correct: bool
    confidence: float
    label_1: str
    label_2: str | None
    label_3: str | None
    label_4: str | None
    label_5: str | None
    confidence_1: float
    confidence_2: float | None
    confidence_3: float | None
    confidence_4: float | None
    confidence_5: float | None
    box_overlap: float | None
    network: str
    network_sha256: str
    seed: int
    sha256: str

    def path(self, folder: StudyFolder) -> Path:
        """The image file in a study folder."""
        return folder.stimuli / self.crop_file

    @property
    def labels(self) -> tuple[str, ...]:
        """The most probable classes, best first; fewer where the network has fewer."""
        found = (self.label_1, self.label_2, self.label_3, self.label_4, self.label_5)
        return tuple(label for label in found if label is not None)


COLUMNS: dict[str, str] = {
    "crop_id": "Identifier, <pair_id>_a (fragile) or <pair_id>_b (altered).",
    "pair_id": "Pair.",
    "member": "fragile: the fragile window; altered: the shifted or shrunk window whose recognition differs.",
    "crop_file": "PNG file, relative to the stimuli folder (as in events.tsv).",
    "picture_id": "Picture that it is cut from; no other pair is of the same.",
    "category": "What the picture shows.",
    "supercategory": "What that is one of.",
    "row": "Row of the crop's upper left pixel in the picture, from 0.",
    "column": "Column of the crop's upper left pixel in the picture, from 0.",
    "side_px": "Side of the crop in the picture, pixels.",
    "shown_px": "Side of the PNG, pixels.",
    "proportion": "Side of the fragile window as a share of the picture's shorter side (n/a: given in pixels).",
    "type": "Fragility type: loose or strict, shift or shrink.",
    "offset_rows": "Rows from the fragile window's upper left pixel to this crop's, pixels (0 for the fragile window).",
    "offset_columns": "Columns from the fragile window's upper left pixel to this crop's, pixels (0 for the fragile window).",
    "network_class": "The network's class for the category.",
    "correct": "Whether the network recognises the crop, judged on the crop at its own pixels.",
    "confidence": "Probability of network_class, 0 to 1, judged on the crop at its own pixels.",
    **{f"label_{place}": f"Class number {place} by probability (n/a: no more classes)." for place in range(1, 6)},
    **{f"confidence_{place}": f"Probability of label_{place}, 0 to 1." for place in range(1, 6)},
    "box_overlap": "Share of the crop's pixels that lie in the object's box (n/a: no box).",
    "network": "Network that judged the crop, as its store is called.",
    "network_sha256": "SHA-256 of that network's weights.",
    "seed": "Seed by which the window was drawn in its picture, from the study's seed.",
    "sha256": "SHA-256 of the PNG file.",
}


_WITHIN: dict[str, tuple[float, float]] = {
    **{field.name: (0, 1) for field in fields(Crop) if str(field.type).startswith("float")},
    **dict.fromkeys(("row", "column", "seed"), (0, math.inf)),
    **dict.fromkeys(("side_px", "shown_px"), (1, math.inf)),
}


def crops_folder(folder: StudyFolder) -> Path:
    """``stimuli/crops``."""
    return folder.stimuli / "crops"


def crops_table(folder: StudyFolder) -> Path:
    """``stimuli/crops/crops.tsv``; its sidecar ``crops.json`` says which format it has."""
    return crops_folder(folder) / "crops.tsv"


def write_crops(folder: StudyFolder, crops: Sequence[Crop]) -> Path:
    """Write ``stimuli/crops/crops.tsv``; its sidecar is written by the room that made the crops."""
    return write_table(crops_table(folder), COLUMNS, [asdict(crop) for crop in crops])


def read_crops(folder: StudyFolder) -> list[Crop]:
    """Read the manifest of crop pairs, in its order.

    Raises NotReady when there is none yet, FoolscanError with file, row and column for what cannot be read, or is no set of
    pairs: two members each, one recognised and one not.
    """
    path = crops_table(folder)
    if not path.exists():
        raise NotReady(f"{path}: no pairs of crops yet; make them with: {MAKE}")
    refuse_other_format(path, CROPS, REMEDY)
    crops = read_rows(Crop, path, COLUMNS, REMEDY, within=_WITHIN, one_of={"member": MEMBERS}, files=("crop_file",))
    if not crops:
        raise NotReady(f"{path}: found no crops; make them with: {MAKE}")
    refuse_twice(path, "crop_id", [crop.crop_id for crop in crops], REMEDY)
    refuse_twice(path, "crop_file", [crop.crop_file for crop in crops], REMEDY)
    refuse_twice(path, "member", [f"{crop.member} of pair {crop.pair_id}" for crop in crops], REMEDY)
    for _ in pairs_of(crops, path):
        pass
    return crops


def pairs_of(crops: Sequence[Crop], path: Path | None = None) -> Iterator[tuple[Crop, Crop]]:
    """The pairs, in order: the fragile window and the altered one.

    path : of the manifest, for messages.

    Raises FoolscanError for a pair that is none.
    """
    where = f"{path}: " if path else ""
    members: dict[str, dict[str, Crop]] = {}
    for crop in crops:
        members.setdefault(crop.pair_id, {})[crop.member] = crop
    for pair_id, found in members.items():
        lacking = [member for member in MEMBERS if member not in found]
        if lacking:
            raise FoolscanError(f"{where}pair {pair_id}: found no {lacking[0]} member; {REMEDY}")
        fragile, altered = found["fragile"], found["altered"]
        for column in ("picture_id", "network_class", "type", "network_sha256"):
            one, other = getattr(fragile, column), getattr(altered, column)
            if one != other:
                raise FoolscanError(f"{where}pair {pair_id}: {column}: found {one!r} and {other!r}; {REMEDY}")
        if fragile.correct == altered.correct:
            told = "both" if fragile.correct else "neither"
            raise FoolscanError(f"{where}pair {pair_id}: correct: found {told}, expected one of the two; {REMEDY}")
        yield fragile, altered
