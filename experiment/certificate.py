"""The certificate of a run: what its journal says of timing, pulses and responses, and whether that is good enough."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from experiment.events import Event, events_of, origin_s, plans_of, run_of
from experiment.journal import Journal
from protocols.folder import StudyFolder, write_json
from protocols.provenance import sha256_of

CERTIFICATE_FORMAT = 1
MEASURED = "measured on this display"
NOT_MEASURED = "simulated clock or virtual display: nothing is claimed about a real display"
# A run is wanting when more than this share of its stimulus trials has no response.
MISSED_SHARE = 0.1
# ... or when its pulses are farther from the study's TR than this share: over ten minutes onsets would be off by a second.
TR_TOLERANCE = 0.002


@dataclass(frozen=True)
class Certificate:
    """What is to be known of a run before the participant leaves.

    passed, remarks : whether it is as it should be, and if not, why.
    timing          : whether the times say anything about a display.
    onset_error_*_s : actual minus planned onset of the trials, absolute, s; None when no trial was shown.
    frames_dropped  : frames that passed unseen; `late_flips` is in how many flips.
    tr_estimate_s   : slope of the pulses' times over their number, s; None with fewer than two.
    missed          : stimulus trials without a response in the window.
    """

    format: int
    run: str
    rehearsal: bool
    complete: bool
    passed: bool
    remarks: tuple[str, ...]
    timing: str
    onset_error_median_s: float | None
    onset_error_p99_s: float | None
    onset_error_max_s: float | None
    flips: int
    late_flips: int
    frames_dropped: int
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
    refresh_rig_hz: float
    refresh_measured_hz: float | None
    keyboard: str | None


def certificate_of(journal: Journal) -> Certificate:
    """The certificate of a journal, complete or cut off."""
    events = events_of(journal)
    header = journal.header
    errors_s = np.array([abs(event.onset - event.planned_onset) for event in events])
    late = journal.of("late")
    pulses_s = np.array([pulse["t_s"] for pulse in journal.of("pulse")])
    planned = sum(row["trial"] is not None for row in header["timeline"]["rows"])
    images = [event for event in events if event.stim_id is not None]
    responses = sum(event.response_time is not None for event in images)
    zero_s = origin_s(journal)
    flips = journal.of("flip")
    length_s = flips[-1]["t_s"] - pulses_s[0] if zero_s is not None else 0.0
    measured = header["clock"]["kind"] != "virtual" and header["stage"].get("holds_flips", False)
    frame_s = 1.0 / header["refresh_hz"]
    remarks = _remarks(journal, events, errors_s, frame_s, planned, responses, len(images))
    return Certificate(
        format=CERTIFICATE_FORMAT,
        run=run_of(journal).stem,
        rehearsal=header["rehearsal"],
        complete=journal.complete,
        passed=not remarks,
        remarks=tuple(remarks),
        timing=MEASURED if measured else NOT_MEASURED,
        onset_error_median_s=_rounded(np.median(errors_s)) if len(errors_s) else None,
        onset_error_p99_s=_rounded(np.percentile(errors_s, 99)) if len(errors_s) else None,
        onset_error_max_s=_rounded(errors_s.max()) if len(errors_s) else None,
        flips=len(flips),
        late_flips=len(late),
        frames_dropped=sum(record["lost"] for record in late),
        planned_length_s=_rounded(header["length_s"]),
        length_s=_rounded(length_s),
        pulses_expected=header["scan"]["pulses"],
        pulses_seen=len(pulses_s),
        tr_planned_s=header["scan"]["tr_s"],
        tr_estimate_s=tr_of(pulses_s),
        trials_planned=planned,
        trials_shown=len(events),
        stimulus_trials=len(images),
        responses=responses,
        missed=len(images) - responses,
        late_presses=sum(event.late_presses for event in events),
        extra_presses=sum(event.extra_presses for event in events),
        refresh_rig_hz=header["refresh_hz"],
        refresh_measured_hz=header["stage"].get("refresh_measured_hz"),
        keyboard=header["stage"].get("keyboard"),
    )


def tr_of(pulses_s: np.ndarray) -> float | None:
    """The slope of the pulses' times over their numbers, s; None with fewer than two.

    pulses_s : (n_pulses,) in order. A pulse that was missed leaves a gap, which counts as the intervals it spans.
    """
    if len(pulses_s) < 2:
        return None
    intervals_s = np.diff(pulses_s)
    spans = np.maximum(np.rint(intervals_s / np.median(intervals_s)), 1.0)
    return _rounded(np.polyfit(np.concatenate([[0.0], np.cumsum(spans)]), pulses_s, 1)[0])


def _remarks(
    journal: Journal,
    events: list[Event],
    errors_s: np.ndarray,
    frame_s: float,
    planned: int,
    responses: int,
    images: int,
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
    expected, seen = journal.header["scan"]["pulses"], len(journal.of("pulse"))
    if journal.complete and seen != expected:
        found.append(f"{seen} pulses for {expected} expected: was the first missed, or did the scanner stop early?")
    tr_s, planned_tr_s = (
        tr_of(np.array([pulse["t_s"] for pulse in journal.of("pulse")])),
        journal.header["scan"]["tr_s"],
    )
    if tr_s is not None and abs(tr_s / planned_tr_s - 1.0) > TR_TOLERANCE:
        found.append(f"pulses came every {tr_s:.4f} s; scan.tr_s of the study is {planned_tr_s:g}")
    if images and images - responses > MISSED_SHARE * images:
        found.append(f"no response in {images - responses} of {images} stimulus trials")
    found += [fault["what"] for fault in journal.of("fault")]
    return found


def _rounded(value: float) -> float:
    return round(float(value), 6)


def write_certificate(folder: StudyFolder, journal: Journal, events: Path) -> tuple[Path, Certificate]:
    """Write ``derivatives/foolscan/certificates/<run>_certificate.json``, with the hashes of the run's files."""
    certificate = certificate_of(journal)
    run = run_of(journal)
    path = folder.derived("certificates") / f"{run.stem}_certificate.json"
    files = [journal.path, *plans_of(folder, journal), events]
    record = asdict(certificate) | {"sha256": {folder.relative(file): sha256_of(file) for file in files}}
    write_json(path, record)
    return path, certificate
