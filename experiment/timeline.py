"""The plan of a run, compiled and written before the window opens."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from experiment.drawings import Drawing, Nothing, Picture, drawing_named
from experiment.order import order_of_trials
from experiment.scan import ScanTimes, scan_times
from protocols.folder import RunId, StudyFolder, write_text
from protocols.manifest import Stimulus
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import sha256_of_bytes, write_sidecar
from protocols.rig import Rig
from protocols.seeds import generator_for
from protocols.session import SessionRecord
from protocols.study import ImagesTask, Study

TIMELINE_FORMAT = 1


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
    expected_volume: int
    drawing: Drawing

    def record(self) -> dict[str, Any]:
        """The row as plain values, in the order of `COLUMNS`."""
        return {name: self.drawing.name if name == "drawing" else getattr(self, name) for name in COLUMNS}


COLUMNS: dict[str, str] = {
    "onset_s": "Planned onset, s from the onset of the first stored volume.",
    "frame": "Frame of the onset, counted from the first pulse, at the rig's refresh.",
    "n_frames": "Frames for which it is shown.",
    "duration_s": "n_frames divided by the rig's refresh, s.",
    "trial": "Trial of the run, from 1 (n/a: rest before and after the trials).",
    "trial_type": "Stimulus set of the image (RE, AN, AI), blank for a blank trial, rest before and after the trials.",
    "stim_id": "Identifier of the image (n/a: none is shown).",
    "stim_file": "Image file, relative to the stimuli folder.",
    "stim_sha256": "SHA-256 of the image file, from the manifest.",
    "category": "Category of the image's source.",
    "animal_source": "Whether that category is an animal.",
    "expected_answer": "The correct answer (n/a: none is asked, or the image has no correct answer, as in set AN).",
    "expected_volume": "Stored volume, counted from 0, during which the onset falls.",
    "drawing": "What is drawn.",
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

    Response-driven segments before the first pulse-locked one are played before the first pulse is waited for.
    """

    name: str
    mode: Literal["pulse_locked", "response_driven"]
    rows: tuple[Row, ...]
    end_frame: int = 0
    until: tuple[str, ...] = ()
    until_from_frame: int = 0
    timeout_s: float | None = None


@dataclass(frozen=True)
class Timeline:
    """All that a run will show, with nothing left to chance or to the moment."""

    run: RunId
    refresh_hz: float
    scan: ScanTimes
    response_window_s: float
    segments: tuple[Segment, ...]
    seed: int

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


def compile_timeline(
    study: Study, rig: Rig, record: SessionRecord, stimuli: Sequence[Stimulus], run: RunId, *, order_number: int = 1
) -> Timeline:
    """The timeline of one run, the same for the same arguments.

    study   : the study; its task `run.task` is compiled.
    rig     : gives the refresh to which onsets are rounded.
    record  : the session record; gives the order's seed.
    stimuli : the manifest.
    run     : which run.
    order_number : which of its orders; a run that is repeated has a new one (see `experiment.attempts`).

    Raises FoolscanError when the task is unknown or its rules cannot be met, NotReady when images are missing.
    """
    task = task_of(study, run.task)
    images = _images(task, stimuli)
    categories = _categories(study, task, stimuli, run)
    seed = record.order_seed
    repeats = 2 if task.presentation == "half_twice" else 1
    again = f"/order-{order_number}" if order_number > 1 else ""
    rng = generator_for(seed, f"task-{run.task}/run-{run.run}{again}")
    order = order_of_trials(categories, task.sets, repeats, task.blank_trials, task.order, rng)
    scan = scan_times(study.scan, rig)
    rows = _rows(study, task, order, images, scan, rig)
    segment = Segment("trials", "pulse_locked", tuple(rows), end_frame=rows[-1].frame + rows[-1].n_frames)
    return Timeline(run, rig.display.refresh_hz, scan, task.response_window_s, (segment,), seed)


def task_of(study: Study, name: str) -> ImagesTask:
    """A task of a study by name; FoolscanError lists those there are."""
    if name not in study.tasks:
        raise FoolscanError(f"--task: found {name!r}; study {study.name} has {', '.join(study.tasks)}")
    return study.tasks[name]


def _images(task: ImagesTask, stimuli: Sequence[Stimulus]) -> dict[tuple[str, str], Stimulus]:
    images = {(stimulus.set, stimulus.category): stimulus for stimulus in stimuli}
    categories = dict.fromkeys(stimulus.category for stimulus in stimuli)
    missing = [f"{kind} of {name}" for kind in task.sets for name in categories if (kind, name) not in images]
    if missing or not images:
        some = ", ".join(missing[:5]) or "any image"
        raise NotReady(f"stimuli.tsv lacks {some}; make the images with: foolscan stimuli make STUDY --to FOLDER")
    return images


def _categories(study: Study, task: ImagesTask, stimuli: Sequence[Stimulus], run: RunId) -> list[str]:
    """The categories of this run: all, or this visit's half, drawn per person and even over supercategories."""
    groups: dict[str, list[str]] = {}
    for stimulus in stimuli:
        group = groups.setdefault(stimulus.supercategory, [])
        if stimulus.category not in group:
            group.append(stimulus.category)
    if task.presentation == "all_once":
        return [category for group in groups.values() for category in group]
    rng = generator_for(study.seed, f"halves/sub-{run.sub}")
    dealt = [str(category) for group in groups.values() for category in rng.permutation(group)]
    visit = "".join(filter(str.isdigit, run.ses))
    if not visit:
        raise FoolscanError(
            f"--ses: found {run.ses!r}; half_twice shows one half in odd and the other in even sessions: number them, 01, 02"
        )
    return dealt[int(visit) % 2 :: 2]


def _rows(
    study: Study,
    task: ImagesTask,
    order: Sequence[tuple[str, str] | None],
    images: dict[tuple[str, str], Stimulus],
    scan: ScanTimes,
    rig: Rig,
) -> list[Row]:
    rows = [_row(scan.task_start_s, task.lead_in_s, scan, rig, "rest")]
    now_s = scan.task_start_s + task.lead_in_s
    for number, trial in enumerate(order, start=1):
        if trial is None:
            rows.append(_row(now_s, task.blank_trial_s, scan, rig, "blank", number))
            now_s += task.blank_trial_s
            continue
        now_s += task.blank_s
        rows.append(
            _row(now_s, task.image_s, scan, rig, trial[0], number, images[trial], _answer(study, task, images[trial]))
        )
        now_s += task.image_s
    # The fixation point stays as long as the scanner runs.
    end_s = max(now_s + task.lead_out_s, scan.end_s or 0.0)
    rows.append(_row(now_s, end_s - now_s, scan, rig, "rest"))
    return rows


def _answer(study: Study, task: ImagesTask, stimulus: Stimulus) -> str | None:
    if not study.stimuli.sets[stimulus.set].has_correct_answer:
        return None
    return task.answers[0] if stimulus.animal_source else task.answers[1]


def _row(
    onset_s: float,
    duration_s: float,
    scan: ScanTimes,
    rig: Rig,
    trial_type: str,
    trial: int | None = None,
    stimulus: Stimulus | None = None,
    answer: str | None = None,
) -> Row:
    onset_s = round(onset_s, 9)
    n_frames = rig.display.frames(duration_s)
    return Row(
        onset_s=onset_s,
        frame=rig.display.frames(onset_s - scan.first_pulse_s),
        n_frames=n_frames,
        duration_s=round(n_frames / rig.display.refresh_hz, 9),
        trial=trial,
        trial_type=trial_type,
        stim_id=stimulus.stim_id if stimulus else None,
        stim_file=stimulus.stim_file if stimulus else None,
        stim_sha256=stimulus.sha256 if stimulus else None,
        category=stimulus.category if stimulus else None,
        animal_source=stimulus.animal_source if stimulus else None,
        expected_answer=answer,
        expected_volume=scan.volume_at(onset_s),
        drawing=Picture(stimulus.stim_id) if stimulus else Nothing(),
    )


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
        "segments": [segment.mode for segment in timeline.segments],
        "button_of_answer": record.button_of_answer,
    }
    columns = {name: {"Description": text} for name, text in COLUMNS.items()}
    more = {"format": TIMELINE_FORMAT, "Simulated": record.rehearsal, **columns}
    write_sidecar(folder, path, inputs=[folder.manifest], parameters=parameters, seed=timeline.seed, more=more)
    return path
