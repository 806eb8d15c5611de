"""Behaviour: animal or not, scored against the source's animacy where there is a correct answer, and reaction times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from analysis.events import Event, read_events, shown_images
from protocols.folder import Modality, RunId, StudyFolder
from protocols.manifest import Stimulus, class_of_category
from protocols.problems import FoolscanError
from protocols.study import Study

POOLED = "pooled"


@dataclass(frozen=True)
class Response:
    """One stimulus trial and what was answered.

    said_animal : the answer; None without one.
    rt_s        : from image onset to the press; None without an answer.
    confidence  : step of the scale of confidence, 1 the least sure; None where none was asked for, or given.
    target_is_animal : whether the class that the image was made for is an animal; None: as its source.
    """

    run: RunId
    stimulus: Stimulus
    said_animal: bool | None
    rt_s: float | None
    confidence: int | None = None
    target_is_animal: bool | None = None

    @property
    def right(self) -> bool | None:
        """Whether the answer is the source's animacy; None without an answer."""
        return None if self.said_animal is None else self.said_animal == self.stimulus.animal_source

    def is_animal(self, scored: bool) -> bool:
        """What "animal" refers to: the source of an image with a correct answer, the target class of one without."""
        if scored or self.target_is_animal is None:
            return self.stimulus.animal_source
        return self.target_is_animal


@dataclass(frozen=True)
class BehaviourRow:
    """Behaviour of one subject (or all pooled) with one stimulus set; what a column means stands in `COLUMNS`."""

    subject: str
    set: str
    trials: int
    missed: int
    p_animal_if_animal: float
    p_animal_if_not: float
    accuracy: float
    d_prime: float
    criterion: float
    rt_median_s: float
    rt_q25_s: float
    rt_q75_s: float
    rt_q05_s: float
    rt_q95_s: float
    n_animal: int
    n_not: int
    p_difference: float


COLUMNS: dict[str, str] = {
    "subject": "Subject label; 'pooled': the trials of all subjects together.",
    "set": "Stimulus set.",
    "trials": "Stimulus trials shown.",
    "missed": "Trials without a response in the task's window.",
    "p_animal_if_animal": "Share of 'animal' among answered trials whose category is an animal (AN: whose target class is).",
    "p_animal_if_not": "The same where it is not an animal.",
    "accuracy": "Share correct of the answered trials, against the animacy of the source (n/a for a set with no correct answer).",
    "d_prime": "Sensitivity z(hits) - z(false alarms), log-linear correction: 0.5 added to counts, 1 to trials (Hautus 1995).",
    "criterion": "-(z(hits) + z(false alarms)) / 2 with the same correction; negative: inclined to say 'animal'.",
    "rt_median_s": "Median reaction time of answered trials, s.",
    "rt_q25_s": "Lower quartile of reaction times, s.",
    "rt_q75_s": "Upper quartile of reaction times, s.",
    "rt_q05_s": "5 % quantile of reaction times, s.",
    "rt_q95_s": "95 % quantile of reaction times, s.",
    "n_animal": "Answered trials that p_animal_if_animal rests on.",
    "n_not": "Answered trials that p_animal_if_not rests on.",
    "p_difference": "p_animal_if_animal minus p_animal_if_not: for a set with no correct answer, how far people answer as the "
    "network does.",
}


def load_responses(
    study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus], at: Modality = "func"
) -> list[Response]:
    """The stimulus trials of the analysed task, in order of subject, session, run and onset.

    at : those in a scanner, or those at a desk.

    Raises FoolscanError with file, line and column for an answer or a time that is not readable.
    """
    plan = study.tasks[study.analysis.task]
    of_id = {stimulus.stim_id: stimulus for stimulus in stimuli}
    animals = animal_classes(stimuli)
    found = []
    for run in folder.runs(study.analysis.task, at):
        path = folder.events(run, at)
        for event in shown_images(read_events(path)):
            stimulus = of_id.get(event.stim_id or "")
            if stimulus is None:
                raise FoolscanError(f"{path}:{event.line}: stim_id: found {event.stim_id!r}, not in stimuli.tsv")
            answer, rt = event.text("response"), event.text("response_time")
            if answer is not None and answer not in plan.answers:
                raise FoolscanError(
                    f"{path}:{event.line}: response: found {answer!r}, expected {', '.join(plan.answers)} or n/a"
                )
            try:
                rt_s = None if rt is None else float(rt)
            except ValueError:
                raise FoolscanError(f"{path}:{event.line}: response_time: found {rt!r}, expected seconds") from None
            said_animal = None if answer is None else answer == plan.answers[0]
            rt_s = rt_s if answer is not None else None
            of_target = animals.get(stimulus.target_class)
            found.append(Response(run, stimulus, said_animal, rt_s, _confidence(path, event), of_target))
    return found


def animal_classes(stimuli: Sequence[Stimulus]) -> dict[str, bool]:
    """Whether a class of the network is an animal, for the classes that the categories of the manifest have."""
    of_category = class_of_category(stimuli)
    return {of_category[image.category]: image.animal_source for image in stimuli if image.category in of_category}


def _confidence(path: Path, event: Event) -> int | None:
    text = event.text("confidence")
    if text is not None and not (text.isascii() and text.isdigit()):
        raise FoolscanError(f"{path}:{event.line}: confidence: found {text!r}, expected a whole number or n/a")
    return None if text is None else int(text)


def behaviour(study: Study, responses: Sequence[Response]) -> list[BehaviourRow]:
    """Accuracy, d′, P(animal), reaction times and misses per subject and set, and over all subjects."""
    subjects = list(dict.fromkeys(response.run.sub for response in responses))
    rows = []
    for subject in [POOLED, *subjects]:
        of_subject = [response for response in responses if subject in (POOLED, response.run.sub)]
        rows += _per_set(study, subject, of_subject)
    return rows


def behaviour_of_runs(study: Study, responses: Sequence[Response]) -> list[tuple[RunId, BehaviourRow]]:
    """The same for every run, in the order of the responses."""
    runs = dict.fromkeys(response.run for response in responses)
    return [
        (run, row)
        for run in runs
        for row in _per_set(study, run.sub, [response for response in responses if response.run == run])
    ]


def _per_set(study: Study, subject: str, responses: Sequence[Response]) -> list[BehaviourRow]:
    of_set = {
        name: [response for response in responses if response.stimulus.set == name]
        for name in study.tasks[study.analysis.task].sets
    }
    recipes = study.stimuli.sets
    return [
        _row(subject, name, found, scored=recipes[name].has_correct_answer) for name, found in of_set.items() if found
    ]


def d_prime(hits: int, n_signal: int, false_alarms: int, n_noise: int) -> tuple[float, float]:
    """Sensitivity and criterion with the log-linear correction (Hautus 1995): finite for perfect scores too.

    hits, n_signal         : 'animal' answers among the animals answered.
    false_alarms, n_noise  : 'animal' answers among the others answered.

    Returns (d′, c); NaN when there were no trials of one kind.
    """
    if not n_signal or not n_noise:
        return math.nan, math.nan
    z = NormalDist().inv_cdf
    hit, alarm = z((hits + 0.5) / (n_signal + 1)), z((false_alarms + 0.5) / (n_noise + 1))
    return hit - alarm, round(-(hit + alarm) / 2, 12) + 0.0  # of opposite quantiles exactly 0


def _row(subject: str, name: str, responses: Sequence[Response], *, scored: bool) -> BehaviourRow:
    answered = [response for response in responses if response.said_animal is not None]
    animals = [response for response in answered if response.is_animal(scored)]
    others = [response for response in answered if not response.is_animal(scored)]
    hits = sum(bool(response.said_animal) for response in animals)
    alarms = sum(bool(response.said_animal) for response in others)
    sensitivity, criterion = d_prime(hits, len(animals), alarms, len(others)) if scored else (math.nan, math.nan)
    right = hits + len(others) - alarms
    times = [response.rt_s for response in answered if response.rt_s is not None]
    q05, q25, median, q75, q95 = np.quantile(times, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist() if times else [math.nan] * 5
    if_animal = hits / len(animals) if animals else math.nan
    if_not = alarms / len(others) if others else math.nan
    return BehaviourRow(
        subject,
        name,
        len(responses),
        len(responses) - len(answered),
        if_animal,
        if_not,
        right / len(answered) if scored and answered else math.nan,
        sensitivity,
        criterion,
        median,
        q25,
        q75,
        q05,
        q95,
        len(animals),
        len(others),
        if_animal - if_not,
    )
