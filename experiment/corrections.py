"""Onset corrections: which explanation of missing pulses was confirmed for a run, and what it does to the onsets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from protocols.folder import RunId, StudyFolder, read_json, write_json
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of

CORRECTION_FORMAT = 1


@dataclass(frozen=True)
class Correction:
    """What an operator has confirmed of a run.

    hypothesis     : ``first-missed`` or ``stopped-early``.
    shift_s        : added to every onset, s.
    pulses         : how many were lacking.
    volumes        : of the image file, by its header.
    image          : the image file's name.
    image_sha256   : its hash.
    journal_sha256 : of the journal that was corrected: a repeated run is not.
    """

    format: int
    hypothesis: str
    shift_s: float
    pulses: int
    volumes: int
    image: str
    image_sha256: str
    journal_sha256: str

    def facts(self) -> dict[str, Any]:
        """What the sidecar of the run's events says of it."""
        facts = {"Hypothesis": self.hypothesis, "Shift": self.shift_s, "Units": "s", "PulsesLacking": self.pulses}
        return {"OnsetsCorrected": facts | {"VolumesInImage": self.volumes, "Image": self.image}}


@dataclass(frozen=True)
class OnsetsCorrected:
    """What a certificate says of a correction: the journal keeps the onsets as they were, events.tsv has them shifted.

    hypothesis, shift_s, volumes, image, image_sha256 : of the correction.
    first_onset_s                                     : of the first trial, before and after, s; None when none was shown.
    """

    hypothesis: str
    shift_s: float
    volumes: int
    image: str
    image_sha256: str
    first_onset_s: tuple[float, float] | None

    @property
    def sentence(self) -> str:
        """The correction in words."""
        told = f"onsets corrected by {self.shift_s:g} s ({self.hypothesis}; {self.image} has {self.volumes} volumes)"
        if self.first_onset_s is None:
            return told
        return f"{told}: the first from {self.first_onset_s[0]:.3f} s to {self.first_onset_s[1]:.3f} s"


def onsets_corrected(correction: Correction, first_onset_s: float | None) -> OnsetsCorrected:
    """What a certificate says of a correction.

    first_onset_s : of the first trial as the journal has it, s from the first stored volume; None when none was shown.
    """
    both_s = None if first_onset_s is None else (first_onset_s, round(first_onset_s + correction.shift_s, 6))
    said = (correction.hypothesis, correction.shift_s, correction.volumes, correction.image, correction.image_sha256)
    return OnsetsCorrected(*said, both_s)


def correction_path(folder: StudyFolder, run: RunId) -> Path:
    """``sourcedata/corrections/<run>_onsets.json``."""
    return folder.root / "sourcedata" / "corrections" / f"{run.stem}_onsets.json"


def read_correction(folder: StudyFolder, run: RunId, journal: Path) -> Correction | None:
    """The correction that was confirmed for a run's journal; None when there is none, or it was of another journal.

    Raises FoolscanError when it is of an unknown format.
    """
    path = correction_path(folder, run)
    if not path.exists():
        return None
    data = read_json(path)
    if data.get("format") != CORRECTION_FORMAT:
        raise FoolscanError(f"{path}: not a correction of format {CORRECTION_FORMAT}; restore it from a backup")
    try:
        correction = Correction(**data)
    except TypeError as error:
        raise FoolscanError(f"{path}: {error}; restore it from a backup") from error
    return correction if correction.journal_sha256 == sha256_of(journal) else None


def write_correction(folder: StudyFolder, run: RunId, correction: Correction) -> Path:
    """Write a correction down; returns its path."""
    path = correction_path(folder, run)
    write_json(path, asdict(correction))
    return path
