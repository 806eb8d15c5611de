"""The plan of a run, compiled and written before the window opens."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from experiment.drawings import Drawing, Words, drawing_named
from experiment.scan import ScanTimes
from protocols.folder import RunId, StudyFolder, write_text
from protocols.provenance import sha256_of_bytes, write_sidecar
from protocols.rig import Rig
from protocols.session import SessionRecord

TIMELINE_FORMAT = 1
NO_WORDS = Words("")


@dataclass(frozen=True)
class Row:
    """One thing that is shown; `COLUMNS` says what each value means. Between rows the background is shown."""

    onset_s: float
    frame: int
    n_frames: int
    duration_s: float
    trial: int | None
    trial_type: str
    stim_id: str | None
    stim_file: str | None
    stim_sha256: str | None
    category: str | None
    animal_source: bool | None
    expected_answer: str | None
    expected_volume: int | None
    drawing: Drawing
    segment: str = "trials"

    def record(self) -> dict[str, Any]:
        """The row as plain values, in the order of `COLUMNS`."""
        return {name: self.drawing.name if name == "drawing" else getattr(self, name) for name in COLUMNS}


COLUMNS: dict[str, str] = {
    "onset_s": "Planned onset, s from the onset of the first stored volume (self-paced: from the segment's first flip).",
    "frame": "Frame of the onset, counted from the first pulse (self-paced: from the segment's first flip).",
    "n_frames": "Frames for which it is shown.",
    "duration_s": "n_frames divided by the rig's refresh, s.",
    "trial": "Trial of the run, from 1 (n/a: all that is no trial).",
    "trial_type": "Stimulus set of the image (RE, AN, AI), blank for a blank trial, rest before and after the trials; mask, "
    "response (its wait), confidence and chosen (the rating), screen, practice and feedback are no trials.",
    "stim_id": "Identifier of the image (n/a: none is shown).",
    "stim_file": "Image file, relative to the stimuli folder.",
    "stim_sha256": "SHA-256 of the image file, from the manifest.",
    "category": "Category of the image's source.",
    "animal_source": "Whether that category is an animal.",
    "expected_answer": "The correct answer (n/a: none is asked, or the image has no correct answer, as in set AN).",
    "expected_volume": "Stored volume, counted from 0, during which the onset falls (n/a: self-paced).",
    "drawing": "What is drawn.",
    "segment": "Segment to which the row belongs; its mode and its end stand in the sidecar.",
}


@dataclass(frozen=True)
class Segment:
    """A stretch of a run that one rule of time governs.

    name             : how timelines and journals call it.
    mode             : ``pulse_locked``: rows at their absolute frames from the first pulse; ``response_driven``: rows
                       at their frames from the segment's own first flip, the last of which stands until a button of
                       `until` is pressed, or `timeout_s` has passed (None: for ever).
    end_frame        : a pulse-locked segment ends at this frame.
    until            : buttons that end a response-driven segment.
    until_from_frame : presses before this frame of the segment do not end it.
    ends_from_frame  : a press ends it, but not before this frame (the image was promised its time).
    only_after_press : left out when the segment before was ended by its time-out, or was left out itself.

    Response-driven segments before the first pulse-locked one are played before the first pulse is waited for.
    """

    name: str
    mode: Literal["pulse_locked", "response_driven"]
    rows: tuple[Row, ...]
    end_frame: int = 0
    until: tuple[str, ...] = ()
    until_from_frame: int = 0
    ends_from_frame: int = 0
    timeout_s: float | None = None
    only_after_press: bool = False

    def record(self) -> dict[str, Any]:
        """The rule of time as plain values, the rows left out."""
        rule = {"name": self.name, "mode": self.mode}
        if self.mode == "pulse_locked":
            return {**rule, "end_frame": self.end_frame}
        keys = ("until", "until_from_frame", "ends_from_frame", "timeout_s", "only_after_press")
        return {**rule, **{key: getattr(self, key) for key in keys}, "until": list(self.until)}


@dataclass(frozen=True)
class Timeline:
    """All that a run will show, with nothing left to chance or to the moment.

    waiting : what stands on the screen until the first pulse.
    rating  : question, labels and buttons of the scale that follows an answer; None: none does.
    """

    run: RunId
    refresh_hz: float
    scan: ScanTimes
    response_window_s: float
    segments: tuple[Segment, ...]
    seed: int
    waiting: Words = NO_WORDS
    rating: dict[str, Any] | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all segments, in order."""
        return tuple(row for segment in self.segments for row in segment.rows)

    @property
    def trials(self) -> tuple[Row, ...]:
        """The rows that are trials (stimulus and blank)."""
        return tuple(row for row in self.rows if row.trial is not None)

    @property
    def stim_ids(self) -> tuple[str, ...]:
        """The images that are shown, each once, in order of first appearance."""
        return tuple(dict.fromkeys(row.stim_id for row in self.rows if row.stim_id is not None))

    @property
    def at_longest(self) -> tuple[Row, ...]:
        """The rows after the first pulse, self-paced ones placed as if every one of them went on to its time-out."""
        locked = [place for place, segment in enumerate(self.segments) if segment.mode == "pulse_locked"]
        rows: list[Row] = []
        now_s = self.scan.first_pulse_s
        for segment in self.segments[locked[0] if locked else len(self.segments) :]:
            if segment.mode == "pulse_locked":
                rows += segment.rows
                now_s = self.scan.first_pulse_s + segment.end_frame / self.refresh_hz
            else:
                rows += [replace(row, onset_s=round(now_s + row.onset_s, 9)) for row in segment.rows]
                last = segment.rows[-1]
                now_s += segment.timeout_s or last.onset_s + last.duration_s
        return tuple(rows)

    @property
    def drawings(self) -> tuple[Drawing, ...]:
        """What the rows draw."""
        return tuple(row.drawing for row in self.rows)

    @property
    def length_s(self) -> float:
        """From the first pulse to the end of the last pulse-locked segment, s."""
        return max((segment.end_frame for segment in self.segments), default=0) / self.refresh_hz

    @property
    def sha256(self) -> str:
        """Hash of the timeline as it is written."""
        return sha256_of_bytes(timeline_text(self).encode())


def row_from(record: dict[str, Any]) -> Row:
    """The row of plain values, as `Row.record` made them."""
    return Row(**{**record, "drawing": drawing_named(record["drawing"])})


def timeline_text(timeline: Timeline) -> str:
    """The timeline as a tab-separated table."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([cell(value) for value in row.record().values()] for row in timeline.rows)
    return text.getvalue()


def cell(value: Any) -> str:
    """A value as BIDS tables write it: ``n/a`` for what is not known, ``true`` and ``false``."""
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def write_timeline(folder: StudyFolder, timeline: Timeline, rig: Rig, record: SessionRecord) -> Path:
    """Write ``derivatives/foolscan/timeline/<run>_timeline.tsv`` with its sidecar; the same bytes for the same plan."""
    path = folder.timeline(timeline.run)
    write_text(path, timeline_text(timeline))
    scan = timeline.scan
    parameters = {
        "study_sha256": record.study_sha256,
        "rig": rig.name,
        "refresh_hz": timeline.refresh_hz,
        "tr_s": scan.tr_s,
        "first_pulse_s": scan.first_pulse_s,
        "pulses": scan.pulses,
        "task_start_s": scan.task_start_s,
        "length_s": timeline.length_s,
        "segments": [segment.record() for segment in timeline.segments],
        "button_of_answer": record.button_of_answer,
    }
    columns = {name: {"Description": text} for name, text in COLUMNS.items()}
    more = {"format": TIMELINE_FORMAT, "Simulated": record.rehearsal, **columns}
    write_sidecar(folder, path, inputs=[folder.manifest], parameters=parameters, seed=timeline.seed, more=more)
    return path
