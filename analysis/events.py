"""Reads what happened in a run: the rows of a BIDS ``events.tsv``, each value checked where it stands."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from protocols.problems import FoolscanError

REQUIRED = ("onset", "duration", "trial_type", "stim_id")
NOT_AVAILABLE = "n/a"


@dataclass(frozen=True)
class Event:
    """One row of events.tsv.

    line        : line in the file, from 2.
    onset_s     : s from the onset of the first stored volume.
    duration_s  : s.
    trial_type  : stimulus set of the image (RE, AN, AI …), or blank, rest.
    stim_id     : the image; None for a row that shows none.
    columns     : every column of the row as text, by name.
    """

    line: int
    onset_s: float
    duration_s: float
    trial_type: str
    stim_id: str | None
    columns: dict[str, str]

    def text(self, name: str) -> str | None:
        """A further column as text; None where it is ``n/a`` or absent."""
        value = self.columns.get(name, NOT_AVAILABLE)
        return None if value == NOT_AVAILABLE else value


def read_events(path: Path) -> list[Event]:
    """All rows of an events file, in order of onset as they stand.

    path : ``sub-*_events.tsv``; needs the columns onset, duration, trial_type and stim_id.

    Raises FoolscanError with file, line and column for what is not readable, and for onsets that go back in time.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FoolscanError(f"{path}: a byte that is not UTF-8 at {error.start}; restore the file") from error
    except OSError as error:
        raise FoolscanError(f"{path}: not readable ({error.strerror}); restore the file") from error
    rows = list(csv.reader(text.splitlines(), delimiter="\t"))
    header = rows[0] if rows else []
    lacking = [name for name in REQUIRED if name not in header]
    if lacking:
        raise FoolscanError(
            f"{path}:1: found no column {', '.join(lacking)}; expected a BIDS events table with {', '.join(REQUIRED)}"
        )
    events: list[Event] = []
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise FoolscanError(
                f"{path}:{line}: found {len(row)} columns, expected {len(header)}; is the file cut off?"
            )
        columns = dict(zip(header, row, strict=True))
        onset_s = _seconds(path, line, "onset", columns["onset"])
        duration_s = _seconds(path, line, "duration", columns["duration"])
        if duration_s < 0:
            raise FoolscanError(f"{path}:{line}: duration: found {columns['duration']}, expected 0 or more seconds")
        if events and onset_s < events[-1].onset_s:
            raise FoolscanError(
                f"{path}:{line}: onset: found {onset_s:g} s after a row at {events[-1].onset_s:g} s; expected rows in order of onset"
            )
        stim_id = columns["stim_id"]
        events.append(
            Event(
                line,
                onset_s,
                duration_s,
                columns["trial_type"],
                None if stim_id == NOT_AVAILABLE else stim_id,
                columns,
            )
        )
    return events


def shown_images(events: list[Event]) -> list[Event]:
    """The rows that show an image."""
    return [event for event in events if event.stim_id is not None]


def check_images(path: Path, images: list[Event], stim_ids: list[str]) -> None:
    """Raise FoolscanError at the first image of a run that the manifest does not have.

    path     : the events file, for the message.
    images   : rows that show an image.
    stim_ids : the manifest's identifiers.
    """
    known = set(stim_ids)
    for event in images:
        if event.stim_id not in known:
            raise FoolscanError(
                f"{path}:{event.line}: stim_id: found {event.stim_id!r}, which stimuli.tsv does not have; "
                "the run belongs to other stimuli than this folder's"
            )
    if not images:
        raise FoolscanError(f"{path}: found no row with a stim_id; expected the images of the run. Was it aborted?")


def check_length(path: Path, images: list[Event], n_volumes: int, tr_s: float) -> None:
    """Raise FoolscanError when an image ends after the last volume, or begins before the first.

    n_volumes, tr_s : stored volumes, dummies among them included, and seconds between them.
    """
    scan_s = n_volumes * tr_s
    for event in images:
        if event.onset_s < 0 or event.onset_s + event.duration_s > scan_s + 1e-6:
            raise FoolscanError(
                f"{path}:{event.line}: an image from {event.onset_s:g} to {event.onset_s + event.duration_s:g} s; "
                f"{n_volumes} volumes of {tr_s:g} s cover 0 to {scan_s:g} s. Copy the whole image again, or "
                "correct the onsets: foolscan experiment correct-onsets"
            )


def _seconds(path: Path, line: int, name: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FoolscanError(f"{path}:{line}: {name}: found {cell!r}, expected seconds")
    return value
