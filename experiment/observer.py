"""The emulated participant of a rehearsal: what it answers, and when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiment.timeline import Row, Timeline
from protocols.seeds import generator_for
from protocols.study import SimulatedObserver


@dataclass(frozen=True)
class Reaction:
    """What the observer does on one trial: which abstract button, how long after the image appeared (s)."""

    button: str
    time_s: float


def reactions(
    observer: SimulatedObserver,
    trials: Sequence[Row],
    answers: tuple[str, str],
    button_of_answer: Mapping[str, str],
    study_seed: int,
    run_stem: str,
) -> dict[int, Reaction]:
    """The observer's reactions to the trials of a run, those it misses left out.

    observer         : its accuracy per stimulus set, its bias, its reaction times.
    trials           : rows of the timeline.
    answers          : the task's answers; the first is the one for animals.
    button_of_answer : from the session record.
    study_seed, run_stem : every trial has a seed of its own, so that one trial does not change the others.

    Returns trial number -> reaction. Where an image has a correct answer it is given with the accuracy of its set;
    where it has none (AN), the animal answer is given with probability `animal_bias`. Reaction times are a floor plus
    a log-normal.
    """
    found: dict[int, Reaction] = {}
    for row in trials:
        if row.trial is None or row.stim_id is None:
            continue
        rng = generator_for(study_seed, f"observer/{run_stem}/trial-{row.trial}")
        misses, errs, leans = rng.random(3)
        time_s = observer.rt_floor_s + _beyond_floor_s(observer) * math.exp(observer.rt_spread * rng.standard_normal())
        if misses < observer.miss_rate:
            continue
        if row.expected_answer is None:
            answer = answers[0] if leans < observer.animal_bias else answers[1]
        else:
            right = errs < observer.accuracy.get(row.trial_type, 1.0)
            answer = row.expected_answer if right else answers[1 - answers.index(row.expected_answer)]
        found[row.trial] = Reaction(button_of_answer[answer], round(float(time_s), 6))
    return found


# How long a screen is read. How sure the observer is: each step beyond the first is taken with this chance.
READING_S = 1.5
SURE_IF_RIGHT, SURE_IF_WRONG, SURE_OF_NOTHING = 0.75, 0.4, 0.3


def paced_reactions(
    observer: SimulatedObserver,
    timeline: Timeline,
    of_trials: Mapping[int, Reaction],
    button_of_answer: Mapping[str, str],
    study_seed: int,
) -> dict[Row, Reaction]:
    """The observer's reactions to what comes beside the trials: screens, practice trials, scales of confidence.

    of_trials : its reactions to the trials; a scale comes after a trial and is answered by how right that was.

    Arguments else as for `reactions`. Returns row -> reaction. Screens are read for `READING_S`; practice is answered
    rightly; a scale's step is binomial. These numbers are assumed.
    """
    found: dict[Row, Reaction] = {}
    trial: Row | None = None
    for segment in timeline.segments:
        trial = next((row for row in segment.rows if row.trial is not None), trial)
        if segment.mode == "pulse_locked" or not segment.until:
            continue
        rng = generator_for(study_seed, f"observer/{timeline.run.stem}/{segment.name}")
        time_s = observer.rt_floor_s + _beyond_floor_s(observer) * math.exp(observer.rt_spread * rng.standard_normal())
        for row in segment.rows:
            if row.trial_type == "screen":
                found[row] = Reaction(segment.until[0], round(READING_S + time_s, 6))
            elif row.trial_type == "practice":
                button = button_of_answer.get(row.expected_answer or "", segment.until[0])
                found[row] = Reaction(button, round(time_s, 6))
            elif row.trial_type == "confidence" and trial is not None:
                steps = rng.binomial(len(segment.until) - 1, _sureness(trial, of_trials, button_of_answer))
                found[row] = Reaction(segment.until[int(steps)], round(time_s, 6))
    return found


def _sureness(trial: Row, of_trials: Mapping[int, Reaction], button_of_answer: Mapping[str, str]) -> float:
    reaction = of_trials.get(trial.trial or 0)
    if trial.expected_answer is None or reaction is None:
        return SURE_OF_NOTHING
    return SURE_IF_RIGHT if button_of_answer[trial.expected_answer] == reaction.button else SURE_IF_WRONG


def _beyond_floor_s(observer: SimulatedObserver) -> float:
    """Median of the log-normal part, s; at least a millisecond where a study puts the median at or below the floor."""
    return max(observer.rt_median_s - observer.rt_floor_s, 0.001)
