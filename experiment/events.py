"""Turns a journal into what happened, in BIDS terms: events.tsv and its sidecar."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from experiment.corrections import read_correction
from experiment.drawings import Mask, Nothing
from experiment.journal import Journal
from experiment.timeline import Row, cell, row_from
from protocols.folder import REHEARSAL_NOTE, RunId, StudyFolder, write_text
from protocols.provenance import write_sidecar


@dataclass(frozen=True)
class Event:
    """One trial as it happened; `column_facts` says what each value means."""

    onset: float
    duration: float
    trial_type: str
    stim_file: str | None
    stim_id: str | None
    category: str | None
    animal_source: bool | None
    response: str | None
    response_time: float | None
    button: str | None
    correct: bool | None
    expected_answer: str | None
    trial: int
    expected_volume: int | None
    planned_onset: float
    late_presses: int
    extra_presses: int
    confidence: int | None = None
    confidence_time: float | None = None


RATING_COLUMNS = ("confidence", "confidence_time")


@dataclass(frozen=True)
class _Shown:
    """A row that was on the screen; begun_s: first flip of its segment, if that is self-paced."""

    row: Row
    on_s: float
    off_s: float
    begun_s: float | None

    @property
    def takes_presses(self) -> bool:
        """Whether presses from now on are for this row: an image, a scale, a screen to be read."""
        return not isinstance(self.row.drawing, Nothing | Mask)


def origin_s(journal: Journal) -> float | None:
    """The run's clock at the onset of the first stored volume; None when no pulse came."""
    pulses = journal.of("pulse")
    return pulses[0]["t_s"] - journal.header["scan"]["first_pulse_s"] if pulses else None


def rows_shown(journal: Journal) -> list[_Shown]:
    """The timeline's rows that were shown, each from its first flip to the flip that took it away."""
    rows = [row_from(record) for record in journal.header["timeline"]["rows"]]
    changes: list[tuple[dict[str, Any], float | None]] = []
    begun_s: float | None = None
    end_s = 0.0
    for record in journal.records:
        if record["kind"] == "segment":
            begun_s = record["t_s"] if record["mode"] == "response_driven" else None
        elif record["kind"] == "flip":
            end_s = record["t_s"]
            if "shows" in record:
                changes.append((record, begun_s))
    shown = []
    for place, (record, begun_s) in enumerate(changes):
        if record["row"] is not None and record["row"] >= 0:
            off_s = changes[place + 1][0]["t_s"] if place + 1 < len(changes) else end_s
            shown.append(_Shown(rows[record["row"]], record["t_s"], off_s, begun_s))
    return shown


def events_of(journal: Journal) -> list[Event]:
    """The trials of a run as they happened, in order; those that were never shown are left out.

    journal : complete, or cut off at any record.

    A press belongs to the image (or the scale, or the screen) that appeared last before it. Within the task's response
    window the first press is the response; a press beyond the window is counted as late, a second one within it as extra.
    Both stay in the journal. Practice trials are in the journal only.
    """
    zero_s = origin_s(journal)
    if zero_s is None:
        return []
    shown = rows_shown(journal)
    takers = [item for item in shown if item.takes_presses]
    presses = journal.of("press")
    rating_buttons = (journal.header.get("rating") or {}).get("buttons", [])
    answer_of_button = {button: answer for answer, button in journal.header["session"]["button_of_answer"].items()}
    window_s = float(journal.header["response_window_s"])
    events: list[Event] = []
    for item in shown:
        next_s = min((other.on_s for other in takers if other.on_s > item.on_s), default=float("inf"))
        mine = [press for press in presses if item.takes_presses and item.on_s <= press["t_s"] < next_s]
        if item.row.trial is not None:
            events.append(_event(item, mine, zero_s, window_s, answer_of_button))
        elif item.row.trial_type == "confidence" and events:
            steps = [press for press in mine if press["button"] in rating_buttons and press["t_s"] <= item.off_s]
            if steps:
                step, time_s = rating_buttons.index(steps[0]["button"]) + 1, round(steps[0]["t_s"] - item.on_s, 6)
                events[-1] = replace(events[-1], confidence=step, confidence_time=time_s)
    return events


def _event(
    item: _Shown,
    presses: Sequence[dict[str, Any]],
    zero_s: float,
    window_s: float,
    answer_of_button: dict[str, str],
) -> Event:
    row = item.row
    ordered = sorted(presses, key=lambda press: float(press["t_s"]))
    timely = [press for press in ordered if press["t_s"] - item.on_s <= window_s]
    first = timely[0] if timely else None
    response = answer_of_button.get(first["button"]) if first else None
    judged = response is not None and row.expected_answer is not None
    return Event(
        onset=round(item.on_s - zero_s, 6),
        duration=round(item.off_s - item.on_s, 6),
        trial_type=row.trial_type,
        stim_file=row.stim_file,
        stim_id=row.stim_id,
        category=row.category,
        animal_source=row.animal_source,
        response=response,
        response_time=round(first["t_s"] - item.on_s, 6) if first else None,
        button=first["button"] if first else None,
        correct=response == row.expected_answer if judged else None,
        expected_answer=row.expected_answer,
        trial=row.trial or 0,
        expected_volume=row.expected_volume,
        planned_onset=row.onset_s if item.begun_s is None else round(item.begun_s - zero_s + row.onset_s, 6),
        late_presses=len(ordered) - len(timely),
        extra_presses=max(0, len(timely) - 1),
    )


def events_text(events: Sequence[Event], *, rated: bool = False) -> str:
    """The events as BIDS writes them.

    rated : whether the task asked for confidence: only then are there columns for it.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    names = [field.name for field in fields(Event) if rated or field.name not in RATING_COLUMNS]
    writer.writerow(names)
    writer.writerows([cell(getattr(event, name)) for name in names] for event in events)
    return text.getvalue()


def events_path(folder: StudyFolder, run: RunId, *, scanner: bool) -> Path:
    """``func/…_events.tsv`` of a run in a scanner, ``beh/…_events.tsv`` of one at a desk."""
    path = folder.events(run)
    return path if scanner else path.parent.parent / "beh" / path.name


def run_of(journal: Journal) -> RunId:
    """Which run a journal is of."""
    return RunId(**journal.header["run"])


def plans_of(folder: StudyFolder, journal: Journal) -> list[Path]:
    """The timeline that a journal was played from, where it still stands: an aborted attempt's went aside with it."""
    name = journal.path.name.replace("_journal.jsonl", "_timeline.tsv")
    return [path for path in [folder.timeline(run_of(journal)).with_name(name)] if path.exists()]


def events_path_of(folder: StudyFolder, journal: Journal) -> Path:
    """Where the events of a journal belong."""
    return events_path(folder, run_of(journal), scanner=journal.header["scan"]["end_s"] is not None)


def write_events(folder: StudyFolder, journal: Journal, path: Path | None = None) -> Path:
    """Write events.tsv and its sidecar from a journal.

    path : elsewhere than where the run's events belong.

    Returns the path of events.tsv.
    """
    path = path or events_path_of(folder, journal)
    correction = read_correction(folder, run_of(journal), journal.path)
    shift_s = correction.shift_s if correction is not None else 0.0
    events = [replace(event, onset=round(event.onset + shift_s, 6)) for event in events_of(journal)]
    write_text(path, events_text(events, rated=bool(journal.header.get("rating"))))
    write_sidecar(
        folder,
        path,
        inputs=[journal.path, *plans_of(folder, journal)],
        parameters={"response_window_s": journal.header["response_window_s"], "complete": journal.complete},
        packages=["psychopy"],
        more=sidecar_facts(journal) | (correction.facts() if correction is not None else {}),
    )
    return path


def sidecar_facts(journal: Journal) -> dict[str, Any]:
    """The BIDS part of the sidecar: how it was presented, and what each column means."""
    header = journal.header
    software = header["stage"].get("software", "foolscan")
    presentation: dict[str, Any] = {
        "OperatingSystem": header["system"],
        "SoftwareName": software,
        "SoftwareVersion": header["versions"].get(software.lower(), header["versions"].get("foolscan", "n/a")),
    }
    if software == "PsychoPy":
        presentation["SoftwareRRID"] = "RRID:SCR_006571"
    display = header.get("display")
    if display is not None:
        width_mm, (width_px, height_px) = display["width_mm"], display["size_px"]
        presentation |= {
            "ScreenDistance": display["distance_mm"] / 1000,
            "ScreenRefreshRate": header["refresh_hz"],
            "ScreenResolution": [width_px, height_px],
            "ScreenSize": [width_mm / 1000, round(width_mm * height_px / width_px / 1000, 6)],
        }
    facts: dict[str, Any] = {"StimulusPresentation": presentation}
    if header["scan"]["end_s"] is None:  # at a desk no image file says it
        facts |= {"TaskName": header["run"]["task"], "TaskDescription": header["question"]}
        facts |= {"Instructions": header["instructions"]} if header.get("instructions") else {}
    if header["rehearsal"]:
        facts |= {"Simulated": True, "SimulatedNote": REHEARSAL_NOTE}
    if not journal.complete:
        facts["Incomplete"] = "The run did not come to its planned end; trials that were not shown are missing."
    return facts | column_facts(header)


def column_facts(header: dict[str, Any]) -> dict[str, Any]:
    """Descriptions, levels and units of the columns.

    header : of the journal; its session names the answers and buttons.
    """
    answers = list(header["session"]["button_of_answer"])
    types = dict.fromkeys(row["trial_type"] for row in header["timeline"]["rows"] if row["trial"] is not None)
    known = {
        "RE": "Regular image",
        "AN": "Adversarial noise: a network names it with high confidence, people see noise",
        "AI": "Adversarial interference: a regular image, changed a little so that a network misnames it",
        "blank": "Blank trial: the fixation point alone",
    }
    truth = {"true": "yes", "false": "no"}
    rating = header.get("rating")
    rated = (
        {
            "confidence": {
                "Description": f"Step of the scale that was chosen after the response, 1 the least sure. {rating['question']} "
                "n/a: no response, or no rating.",
                "Levels": {str(step): label for step, label in enumerate(rating["labels"], start=1)},
            },
            "confidence_time": {"Description": "From the flip that showed the scale to that press.", "Units": "s"},
        }
        if rating
        else {}
    )
    return {
        "onset": {
            "LongName": "Onset",
            "Description": "First flip that showed it, from the onset of the first stored volume.",
            "Units": "s",
        },
        "duration": {
            "LongName": "Duration",
            "Description": "From that flip to the flip that took it away.",
            "Units": "s",
        },
        "trial_type": {
            "LongName": "Type of trial",
            "Description": "Stimulus set of the image, or a blank trial.",
            "Levels": {name: known.get(name, f"Stimulus set {name} of the study") for name in types},
        },
        "stim_file": {"LongName": "Image", "Description": "Image file, relative to the stimuli folder."},
        "stim_id": {"Description": "Identifier of the image in stimuli/stimuli.tsv."},
        "category": {"Description": "Category of the image's source."},
        "animal_source": {"Description": "Whether that category is an animal.", "Levels": truth},
        "response": {
            "Description": f"{header['question']} The answer of the first press within the response window of "
            f"{header['response_window_s']:g} s from onset; n/a: none, or a button without a meaning.",
            "Levels": {answer: answer.replace("_", " ") for answer in answers},
        },
        "response_time": {
            "LongName": "Response time",
            "Description": "From the flip that showed the image to that press.",
            "Units": "s",
        },
        "button": {"Description": "Button of that press (its meaning is counterbalanced over participants)."},
        "correct": {
            "Description": "Whether the response is the expected answer; n/a without a response, and where an image "
            "has no correct answer (AN).",
            "Levels": truth,
        },
        "expected_answer": {"Description": "The correct answer; n/a where there is none (AN, blank trials)."},
        "trial": {"Description": "Trial of the run, from 1, in the order planned."},
        "expected_volume": {"Description": "Stored volume, counted from 0, during which the onset was planned."},
        "planned_onset": {
            "Description": "Onset as planned before the run (self-paced trials: from the trial's own first flip).",
            "Units": "s",
        },
        "late_presses": {"Description": "Presses beyond the response window, before the next image."},
        "extra_presses": {"Description": "Presses after the response, within the response window."},
    } | rated
