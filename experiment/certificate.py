"""The certificate of a run: what its journal says of timing, pulses and responses, and whether that is good enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiment.bids import NOT_ASKED, BidsVerdict, kinds_of
from experiment.corrections import Correction, OnsetsCorrected, onsets_corrected
from experiment.events import Event, events_of, origin_s, run_of
from experiment.journal import Journal
from experiment.pulse_report import PulseReport, pulse_report

CERTIFICATE_FORMAT = 1
FLIPS_MEASURED = "flips measured on this display"
LIGHT_NOT_MEASURED = "its light is not measured yet (foolscan experiment photodiode)"
NOT_MEASURED = "simulated clock or virtual display: nothing is claimed about a real display"
# Letters of the longest note: the certificate has one page.
LONGEST_NOTE = 240
# A run is wanting when more than this share of its stimulus trials has no response.
MISSED_SHARE = 0.1
# ... or when its pulses are farther from the study's TR than this share: over ten minutes onsets would be off by a second.
TR_TOLERANCE = 0.002


@dataclass(frozen=True)
class SetResponses:
    """The answers to one stimulus set.

    right            : correct answers; None where images have no correct answer (AN).
    response_time_s  : median, s; None without an answer.
    """

    trial_type: str
    trials: int
    answered: int
    right: int | None
    response_time_s: float | None


@dataclass(frozen=True)
class Certificate:
    """What is to be known of a run before the participant leaves.

    passed, remarks : whether it is as it should be, and if not, why.
    notes           : what is worth knowing and does not make it wanting.
    timing          : whether the times say anything about a display.
    onset_error_*_s : actual minus planned onset of the trials, absolute, s; None when no trial was shown.
    frames_dropped  : frames that passed unseen; `late_flips` is in how many flips.
    self_paced      : the participant set the pace: the length has no plan beyond its lead-in.
    tr_estimate_s   : slope of the pulses' times over their number, s; None with fewer than two.
    missed          : stimulus trials without a response in the window.
    pulses          : the pulses, judged together.
    fixation_breaks : while an image was shown; None without an eye tracker. `share_on_fixation` is of the samples then.
    loop_cost_p99_s : what the drawing loop cost beside the flip, s; None under a simulated clock.
    bids            : the BIDS validator's judgement of the folder at the end of the run, or when this was written anew.
    onsets_corrected: how the onsets of events.tsv were corrected after the run; None when they are those of the journal.
    """

    format: int
    run: str
    study: str
    rig: str
    started: str | None
    rehearsal: bool
    complete: bool
    passed: bool
    remarks: tuple[str, ...]
    notes: tuple[str, ...]
    timing: str
    onset_error_median_s: float | None
    onset_error_p99_s: float | None
    onset_error_max_s: float | None
    flips: int
    late_flips: int
    frames_dropped: int
    self_paced: bool
    planned_length_s: float
    length_s: float
    pulses_expected: int
    pulses_seen: int
    tr_planned_s: float
    tr_estimate_s: float | None
    trials_planned: int
    trials_shown: int
    stimulus_trials: int
    responses: int
    missed: int
    late_presses: int
    extra_presses: int
    sets: tuple[SetResponses, ...]
    fixation_breaks: int | None
    share_on_fixation: float | None
    refresh_rig_hz: float
    refresh_measured_hz: float | None
    loop_cost_p99_s: float | None
    keyboard: str | None
    pulses: PulseReport
    bids: BidsVerdict
    onsets_corrected: OnsetsCorrected | None = None


def certificate_of(
    journal: Journal, bids: BidsVerdict = NOT_ASKED, correction: Correction | None = None
) -> Certificate:
    """The certificate of a journal, complete or cut off.

    bids       : what is known of the folder's BIDS validity.
    correction : what was confirmed of its missing pulses, if so.
    """
    events = events_of(journal)
    header = journal.header
    errors_s = np.array([abs(event.onset - event.planned_onset) for event in events])
    late = journal.of("late")
    pulses = pulse_report(journal)
    planned = sum(row["trial"] is not None for row in header["timeline"]["rows"])
    images = [event for event in events if event.stim_id is not None]
    responses = sum(event.response_time is not None for event in images)
    measured = header["clock"]["kind"] != "virtual" and header["stage"].get("holds_flips", False)
    frame_s = 1.0 / header["refresh_hz"]
    corrected = onsets_corrected(correction, events[0].onset if events else None) if correction is not None else None
    remarks = [
        *_remarks_on_showing(journal, events, errors_s, frame_s, planned),
        *_remarks_on_pulses(journal, pulses, corrected),
        *_remarks_on_responses(responses, len(images), sum(event.extra_presses for event in events)),
        *(fault["what"] for fault in journal.of("fault")),
        *(f"not valid BIDS: {error}" for error in bids.errors[:3]),
    ]
    breaks, on_fixation = _gaze(journal)
    return Certificate(
        format=CERTIFICATE_FORMAT,
        run=run_of(journal).stem,
        study=header.get("study", ""),
        rig=header.get("rig", ""),
        started=header.get("started"),
        rehearsal=header["rehearsal"],
        complete=journal.complete,
        passed=not remarks,
        remarks=tuple(remarks),
        notes=tuple(([corrected.sentence] if corrected else []) + _notes(journal, events, pulses, breaks, bids)),
        timing=timing_of(header["stage"]) if measured else NOT_MEASURED,
        onset_error_median_s=_rounded(np.median(errors_s)) if len(errors_s) else None,
        onset_error_p99_s=_rounded(np.percentile(errors_s, 99)) if len(errors_s) else None,
        onset_error_max_s=_rounded(errors_s.max()) if len(errors_s) else None,
        flips=len(journal.of("flip")),
        late_flips=len(late),
        frames_dropped=sum(record["lost"] for record in late),
        self_paced=is_self_paced(journal),
        planned_length_s=_rounded(header["length_s"]),
        length_s=_rounded(_length_s(journal)),
        pulses_expected=header["scan"]["pulses"],
        pulses_seen=pulses.seen,
        tr_planned_s=header["scan"]["tr_s"],
        tr_estimate_s=pulses.tr_s,
        trials_planned=planned,
        trials_shown=len(events),
        stimulus_trials=len(images),
        responses=responses,
        missed=len(images) - responses,
        late_presses=sum(event.late_presses for event in events),
        extra_presses=sum(event.extra_presses for event in events),
        sets=_sets(images),
        fixation_breaks=breaks,
        share_on_fixation=on_fixation,
        refresh_rig_hz=header["refresh_hz"],
        refresh_measured_hz=header["stage"].get("refresh_measured_hz"),
        loop_cost_p99_s=(journal.end or {}).get("loop_cost_p99_s"),
        keyboard=header["stage"].get("keyboard"),
        pulses=pulses,
        bids=bids,
        onsets_corrected=corrected,
    )


def is_self_paced(journal: Journal) -> bool:
    """Whether the participant set the pace of the trials: then each is a segment of its own."""
    rows = journal.header["timeline"]["rows"]
    return len({row.get("segment", "") for row in rows if row["trial"] is not None}) > 1


def timing_of(stage: Mapping[str, Any]) -> str:
    """What the times of a run on a real display say.

    stage : the journal's facts of it; what a photodiode found of its light is among them, if one was there.
    """
    light = stage.get("light")
    if light is None or light["method"] == "emulated":
        return f"{FLIPS_MEASURED}; {LIGHT_NOT_MEASURED}"
    share = f"{light['missed']} of {light['flashes']} flashes missed their frame"
    found = f"{light['onset_offset_ms']:g} ms after the flip, SD {light['sd_ms']:g} ms, {share}"
    return f"{FLIPS_MEASURED}; its light too, by a photodiode ({light['method']}, {light['date']}): {found}"


def _length_s(journal: Journal) -> float:
    """From the first pulse to the last flip of the trials: a screen that stands afterwards, until a button, is no part of it."""
    if origin_s(journal) is None:
        return 0.0
    first_s, last_s, counts, paced = float(journal.of("pulse")[0]["t_s"]), 0.0, True, is_self_paced(journal)
    for record in journal.records:
        if record["kind"] == "segment":
            counts = record["mode"] == "pulse_locked" or paced
        elif record["kind"] == "flip" and counts:
            last_s = float(record["t_s"])
    return max(0.0, last_s - first_s)


def _sets(images: Sequence[Event]) -> tuple[SetResponses, ...]:
    found = []
    names = {event.trial_type for event in images}
    for name in [*(known for known in ("RE", "AN", "AI") if known in names), *sorted(names - {"RE", "AN", "AI"})]:
        mine = [event for event in images if event.trial_type == name]
        times_s = [event.response_time for event in mine if event.response_time is not None]
        judged = any(event.expected_answer is not None for event in mine)
        found.append(
            SetResponses(
                name,
                len(mine),
                len(times_s),
                sum(event.correct is True for event in mine) if judged else None,
                _rounded(np.median(times_s)) if times_s else None,
            )
        )
    return tuple(found)


def _gaze(journal: Journal) -> tuple[int | None, float | None]:
    """Fixation breaks during images, and the share of samples on the fixation point; None where there is no gaze."""
    rows = journal.header["timeline"]["rows"]
    records = [gaze for gaze in journal.of("gaze") if gaze.get("what") == "row" and rows[gaze["row"]]["stim_id"]]
    if not records:
        return None, None
    seen = [gaze for gaze in records if gaze["share_on_fixation"] is not None]
    weights = np.array([gaze["samples"] * (1.0 - gaze["share_lost"]) for gaze in seen])
    shares = np.array([gaze["share_on_fixation"] for gaze in seen])
    on_fixation = _rounded(np.average(shares, weights=weights)) if weights.sum() > 0 else None
    return sum(gaze["breaks"] for gaze in records), on_fixation


def _remarks_on_showing(
    journal: Journal, events: Sequence[Event], errors_s: np.ndarray, frame_s: float, planned: int
) -> list[str]:
    found = []
    if not journal.complete:
        end = journal.end
        found.append(f"the run did not come to its planned end ({end['reason'] if end else 'cut off'})")
    if len(events) < planned:
        found.append(f"{planned - len(events)} of {planned} trials were not shown")
    late = int(np.count_nonzero(errors_s > frame_s))
    if late:
        found.append(f"{late} onsets were more than a frame ({frame_s * 1000:.1f} ms) off")
    return found


def _remarks_on_pulses(journal: Journal, pulses: PulseReport, corrected: OnsetsCorrected | None) -> list[str]:
    found = []
    expected = journal.header["scan"]["pulses"]
    if corrected is not None and pulses.hypotheses:
        # The image file has told: pulses that were not heard cost nothing once onsets are corrected, volumes do.
        if corrected.hypothesis != "first-missed":
            found.append(f"the scanner stopped early: {corrected.image} has {corrected.volumes} volumes")
        if pulses.missed:
            found.append(f"{pulses.missed} pulses lacking in between")
    elif journal.complete and pulses.seen != expected:
        why = "; ".join(hypothesis.sentence for hypothesis in pulses.hypotheses)
        why += " (once the images are there: foolscan experiment correct-onsets)" if why else ""
        gaps = f"{pulses.missed} lacking in between" if pulses.missed else ""
        reason = (
            "; ".join(part for part in (gaps, why) if part) or "was the first missed, or did the scanner stop early?"
        )
        found.append(f"{pulses.seen} pulses for {expected} expected: {reason}")
    if pulses.off_grid:
        which = (
            "; each counts for the volume that has no other. Is the first, with which the plan began, to be trusted?"
        )
        found.append(f"{_count(pulses.off_grid, 'pulse')} a quarter of an interval or more off the grid{which}")
    planned_tr_s = journal.header["scan"]["tr_s"]
    if pulses.tr_s is not None and abs(pulses.tr_s / planned_tr_s - 1.0) > TR_TOLERANCE:
        found.append(f"pulses came every {pulses.tr_s:.4f} s; scan.tr_s of the study is {planned_tr_s:g}")
    return found


def _remarks_on_responses(responses: int, images: int, extra: int) -> list[str]:
    missed, found = images - responses, []
    if missed > MISSED_SHARE * images:
        found.append(f"no response in {missed} of {images} stimulus trials")
    if extra > images:
        found.append(f"{_count(extra, 'press')} beside the answers in {images} stimulus trials: does a button stick?")
    return found


def _notes(
    journal: Journal, events: Sequence[Event], pulses: PulseReport, breaks: int | None, bids: BidsVerdict
) -> list[str]:
    late = journal.of("late")
    dropped = sum(record["lost"] for record in late)
    counts = [
        (dropped, "frame", f"dropped in {_count(len(late), 'flip')}"),
        (pulses.extra, "pulse", "beside the grid (does the line bounce?), counted as no volume"),
        (pulses.early + pulses.late, "pulse", "early or late"),
        (sum(event.late_presses for event in events), "press", "after the response window"),
        (sum(event.extra_presses for event in events), "press", "beside the first one within it"),
        (breaks or 0, "fixation break", ""),
    ]
    found = [f"{_count(number, what)} {where}".strip() for number, what, where in counts if number]
    if journal.cut:
        found.append("the journal's last line was cut off, and with it one record")
    if journal.complete and journal.end is None:
        found.append("the run's process ended after the last flip, before the journal's last word")
    warned = "; ".join(kinds_of(bids.warnings))
    if len(warned) > LONGEST_NOTE:
        warned = f"{warned[:LONGEST_NOTE].rsplit(' ', 1)[0]} and more, in the JSON"
    return [*found, *([f"BIDS warnings: {warned}"] if warned else [])]


def _count(number: int, what: str) -> str:
    """``1 frame``, ``2 presses``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}{'es' if what.endswith('s') else 's'}"


def _rounded(value: float) -> float:
    return round(float(value), 6)
