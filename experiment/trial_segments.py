"""The trials of a run as segments: all at planned times, or each as soon as the one before is answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiment.drawings import Chosen, Mask, Nothing, Rating
from experiment.rows import RowMaker
from experiment.scan import ScanTimes
from experiment.timeline import Row, Segment
from protocols.manifest import Stimulus
from protocols.rig import Rig
from protocols.screens import MaskPlan
from protocols.study import ImagesTask, Study

Order = Sequence[tuple[str, str] | None]
Images = Mapping[tuple[str, str], Stimulus]


def correct_answer(study: Study, task: ImagesTask, stimulus: Stimulus) -> str | None:
    """The correct answer to an image; None where its set has none (AN)."""
    if not study.stimuli.sets[stimulus.set].has_correct_answer:
        return None
    return task.answers[0] if stimulus.animal_source else task.answers[1]


def blanks_before(task: ImagesTask, trials: int, rng: np.random.Generator) -> list[float]:
    """The blank before the image of each trial, s: `blank_s`, and up to `blank_jitter_s` more."""
    if not task.blank_jitter_s:
        return [task.blank_s] * trials
    return [round(task.blank_s + float(more_s), 6) for more_s in rng.uniform(0.0, task.blank_jitter_s, trials)]


@dataclass(frozen=True)
class PlannedTrial:
    """A trial of a run before its time is known.

    number   : from 1.
    blank_s  : before the image.
    stimulus : None in a blank trial; then there is no `answer` either.
    answer   : the correct one, if there is one.
    """

    number: int
    trial_type: str
    blank_s: float
    stimulus: Stimulus | None = None
    answer: str | None = None


def planned_trials(
    study: Study, task: ImagesTask, order: Order, images: Images, rng: np.random.Generator
) -> Iterator[PlannedTrial]:
    """The trials of a run in their order; arguments as for `fixed_trials`."""
    blanks_s = blanks_before(task, len(order), rng)
    for number, (trial, blank_s) in enumerate(zip(order, blanks_s, strict=True), start=1):
        if trial is None:
            yield PlannedTrial(number, "blank", blank_s)
        else:
            stimulus = images[trial]
            yield PlannedTrial(number, trial[0], blank_s, stimulus, correct_answer(study, task, stimulus))


def fixed_trials(
    study: Study,
    rig: Rig,
    task: ImagesTask,
    scan: ScanTimes,
    order: Order,
    images: Images,
    rng: np.random.Generator,
) -> list[Segment]:
    """One pulse-locked segment: rest, every trial at its time, rest until the task or the scanner ends.

    order  : one (set, category) for each trial, None for a blank one.
    images : (set, category) -> stimulus.
    rng    : where the jitter comes from.
    """
    make = RowMaker("trials", rig, scan).row
    rows = [make(scan.task_start_s, task.lead_in_s, "rest")]
    now_s = scan.task_start_s + task.lead_in_s
    for trial in planned_trials(study, task, order, images, rng):
        kind, number = trial.trial_type, trial.number
        if trial.stimulus is None:
            rows.append(make(now_s, task.blank_trial_s, kind, trial=number))
            now_s += task.blank_trial_s
            continue
        now_s += trial.blank_s
        rows.append(make(now_s, task.image_s, kind, trial=number, stimulus=trial.stimulus, answer=trial.answer))
        now_s += task.image_s
        if task.mask is not None:
            rows.append(_mask(RowMaker("trials", rig, scan), task.mask, rows[-1], now_s))
    # The fixation point stays as long as the scanner runs.
    end_s = max(now_s + task.lead_out_s, scan.end_s or 0.0)
    if task.mask is not None and rows[-1].trial_type == "mask":
        now_s += task.mask.delay_s + task.mask.duration_s
        end_s = max(end_s, now_s)
    rows.append(make(now_s, end_s - now_s, "rest"))
    return [Segment("trials", "pulse_locked", tuple(rows), end_frame=rows[-1].frame + rows[-1].n_frames)]


def paced_trials(
    study: Study,
    rig: Rig,
    task: ImagesTask,
    scan: ScanTimes,
    order: Order,
    images: Images,
    rng: np.random.Generator,
    rating: Rating | None,
) -> list[Segment]:
    """A pulse-locked lead-in, then a segment for each trial and, where it is asked for, one for its rating.

    rating : the scale of confidence, in the participant's language.

    Arguments else as for `fixed_trials`.
    """
    lead_in = RowMaker("lead-in", rig, scan).row(scan.task_start_s, task.lead_in_s, "rest")
    segments = [Segment("lead-in", "pulse_locked", (lead_in,), end_frame=lead_in.frame + lead_in.n_frames)]
    for trial in planned_trials(study, task, order, images, rng):
        name = f"trial {trial.number}"
        if trial.stimulus is None:
            row = RowMaker(name, rig).row(0.0, task.blank_trial_s, trial.trial_type, trial=trial.number)
            segments.append(Segment(name, "response_driven", (row,), timeout_s=task.blank_trial_s))
            continue
        told = (trial.stimulus, trial.blank_s, trial.trial_type, trial.number, trial.answer)
        segments.append(paced_trial(name, rig, task, *told))
        segments += _rating(rig, task, rating, trial.number)
    if task.lead_out_s:
        row = RowMaker("lead-out", rig).row(0.0, task.lead_out_s, "rest")
        segments.append(Segment("lead-out", "response_driven", (row,), timeout_s=task.lead_out_s))
    return segments


def paced_trial(
    name: str,
    rig: Rig,
    task: ImagesTask,
    stimulus: Stimulus,
    blank_s: float,
    trial_type: str,
    trial: int | None,
    answer: str | None,
) -> Segment:
    """One self-paced trial: blank, image, mask; it ends with the answer, but not before all of that was shown.

    name    : of the segment.
    blank_s : before the image.
    trial   : its number; None: no trial of the run (practice).
    answer  : the correct one.
    """
    make = RowMaker(name, rig).row
    image_s = task.response_window_s if task.image_until_response else task.image_s
    shown: list[Row] = [make(blank_s, image_s, trial_type, trial=trial, stimulus=stimulus, answer=answer)]
    if task.mask is not None:
        shown.append(_mask(RowMaker(name, rig), task.mask, shown[0], blank_s + image_s))
    until_frame = shown[0].frame
    gone_frame = shown[-1].frame + shown[-1].n_frames
    ends_s = blank_s + task.response_window_s
    if not task.image_until_response:
        hz = rig.display.refresh_hz
        ends_s = max(ends_s, gone_frame / hz)  # a short window cuts no image off
        waits_s = max(1 / hz, task.response_window_s - image_s)
        shown.append(make(gone_frame / hz, waits_s, "response", drawing=Nothing(), frame=gone_frame))
    return Segment(
        name,
        "response_driven",
        tuple(shown),
        until=task.buttons,
        until_from_frame=until_frame,
        ends_from_frame=0 if task.image_until_response else gone_frame,
        timeout_s=ends_s,
    )


def _mask(maker: RowMaker, plan: MaskPlan, image: Row, gone_s: float) -> Row:
    """The mask of an image that is gone at `gone_s`; its frames follow the image's, with none between them by rounding."""
    frame = image.frame + image.n_frames + maker.rig.display.frames(plan.delay_s)
    drawing = Mask(image.stim_id or "")
    return maker.row(gone_s + plan.delay_s, plan.duration_s, "mask", drawing=drawing, frame=frame)


def _rating(rig: Rig, task: ImagesTask, rating: Rating | None, number: int) -> list[Segment]:
    """The scale after an answered trial, then for a moment the step that was chosen."""
    plan = task.confidence
    if plan is None or rating is None:
        return []
    name = f"confidence {number}"
    row = RowMaker(name, rig).row(0.0, plan.timeout_s, "confidence", drawing=rating)
    asks = Segment(name, "response_driven", (row,), until=plan.buttons, timeout_s=plan.timeout_s, only_after_press=True)
    if not plan.chosen_s:
        return [asks]
    name = f"confidence {number} chosen"
    row = RowMaker(name, rig).row(0.0, plan.chosen_s, "chosen", drawing=Chosen(rating, plan.buttons))
    return [asks, Segment(name, "response_driven", (row,), timeout_s=plan.chosen_s, only_after_press=True)]
