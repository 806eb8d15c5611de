"""The emulated participant of a rehearsal: what it answers, and when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiment.timeline import Row
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


def _beyond_floor_s(observer: SimulatedObserver) -> float:
    """Median of the log-normal part, s; at least a millisecond where a study puts the median at or below the floor."""
    return max(observer.rt_median_s - observer.rt_floor_s, 0.001)
