"""Which image was in which frame: the hash of every back buffer of a rehearsal, beside the row that it was drawn for."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from experiment.events import run_of
from experiment.journal import Journal
from experiment.timeline import cell
from protocols.folder import StudyFolder, write_text
from protocols.problems import FoolscanError
from protocols.provenance import write_sidecar

COLUMNS: dict[str, str] = {
    "flip": "Number of the flip, as in the journal.",
    "t_s": "When it was, s on the run's clock.",
    "frame": "Planned frame, counted from the first pulse (n/a: before it, and in self-paced segments).",
    "row": "Row of the timeline that was on the screen, counted from 0 (n/a: none; -1: the waiting screen).",
    "shows": "What was drawn.",
    "sha256": "SHA-256 of the back buffer's shape and pixels just before the flip.",
}


def write_frames(folder: StudyFolder, journal: Journal, hashes: Sequence[str]) -> Path:
    """Write ``derivatives/foolscan/frames/<run>_frames.tsv``, one line for each flip, with its sidecar.

    journal : of the run.
    hashes  : of the back buffers, in the order of the flips.

    Returns the table's path. Raises FoolscanError when there is not one hash for each flip.
    """
    flips = journal.of("flip")
    if len(flips) != len(hashes):
        raise FoolscanError(f"{journal.path}: {len(flips)} flips, but {len(hashes)} back buffers were hashed")
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    row, shows = None, None
    for flip, sha256 in zip(flips, hashes, strict=True):
        if "shows" in flip:
            row, shows = flip["row"], flip["shows"]
        values = (flip["n"], flip["t_s"], flip.get("frame"), row, shows, sha256)
        writer.writerow([cell(value) for value in values])
    path = folder.derived("frames") / f"{run_of(journal).stem}_frames.tsv"
    write_text(path, text.getvalue())
    more = {name: {"Description": meaning} for name, meaning in COLUMNS.items()}
    write_sidecar(
        folder,
        path,
        inputs=[journal.path, folder.timeline(run_of(journal))],
        parameters={},
        more={"Simulated": bool(journal.header["rehearsal"]), **more},
    )
    return path
