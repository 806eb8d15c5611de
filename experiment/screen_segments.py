"""The self-paced segments around a run's trials: instructions, button test, practice with feedback, break, end screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiment.drawings import Feedback, Rating, Words
from experiment.rows import RowMaker
from experiment.timeline import Segment
from experiment.trial_segments import correct_answer, paced_trial
from protocols.manifest import Stimulus
from protocols.rig import Rig
from protocols.rig_devices import DeskTrigger, KeyboardButtons
from protocols.screens import Screens, filled, in_language, runs_right_to_left
from protocols.seeds import generator_for
from protocols.session import SessionRecord
from protocols.study import ImagesTask, Study


@dataclass(frozen=True)
class Speech:
    """The words of one participant's visit: the language, and which button means what."""

    rig: Rig
    task: ImagesTask
    record: SessionRecord

    def button(self, button: str) -> str:
        """What a button is called in this language, at a desk with the key that it is."""
        name = self.name(button)
        if not isinstance(self.rig.trigger, DeskTrigger) or not isinstance(self.rig.buttons, KeyboardButtons):
            return name
        key = self.rig.buttons.keys[button].upper()
        return name if key == name.upper() else f"{name} ({key})"

    def name(self, word: str) -> str:
        """What an answer or a button is called in this language."""
        names = self.task.screens.names if self.task.screens else {}
        return names.get(self.record.language, {}).get(word, word.replace("_", " "))

    def words(self, texts: Mapping[str, str], key: str, **more: str) -> Words:
        """A text of the study in this language, with the buttons of this participant in it.

        Raises FoolscanError when there is none in this language.
        """
        return spoken(self.fill(in_language(texts, self.record.language, f"tasks.{key}"), **more))

    def fill(self, text: str, **more: str) -> str:
        """A text with ``{animal}`` and its like replaced by the buttons that mean them."""
        buttons = {answer: self.button(button) for answer, button in self.record.button_of_answer.items()}
        return filled(text, {**buttons, **more})


def spoken(text: str) -> Words:
    """A text with the direction in which it runs."""
    return Words(text.strip(), runs_right_to_left(text))


def introduction(
    study: Study,
    rig: Rig,
    task: ImagesTask,
    record: SessionRecord,
    stimuli: Sequence[Stimulus],
    run_number: int,
) -> list[Segment]:
    """What comes before the first pulse: instructions, button test and practice, or the break between two runs.

    stimuli    : the manifest.
    run_number : from 1.
    """
    screens, speech = task.screens, Speech(rig, task, record)
    if screens is None:
        return []
    segments: list[Segment] = []
    if run_number > 1 and screens.pause:
        segments.append(_screen("break", speech.words(screens.pause, "screens.pause"), rig, task.buttons))
    if screens.introduction == "every_run" or (screens.introduction == "run_1" and run_number == 1):
        segments += _instructions(screens, speech, rig)
        segments += _button_test(screens, speech, rig)
        segments += _practice(study, rig, task, speech, stimuli)
    return segments


def closing(study: Study, rig: Rig, task: ImagesTask, record: SessionRecord, run_number: int) -> list[Segment]:
    """What comes after the last trial of a session's last run."""
    if task.screens is None or not task.screens.end or run_number < study.design.runs:
        return []
    words = Speech(rig, task, record).words(task.screens.end, "screens.end")
    return [_screen("end", words, rig, task.buttons, task.screens.end_s)]


def waiting_words(rig: Rig, task: ImagesTask, record: SessionRecord) -> Words:
    """What stands on the screen until the first pulse: a reminder, and which button means what."""
    speech = Speech(rig, task, record)
    if task.screens and task.screens.waiting:
        text = speech.words(task.screens.waiting, "screens.waiting").text
    else:
        text = task.instructions.get(record.language, "").strip() or task.question
    meaning = sorted(
        f"{speech.button(button)}: {speech.name(answer)}" for answer, button in record.button_of_answer.items()
    )
    if isinstance(rig.trigger, DeskTrigger):
        meaning.append(f"{rig.trigger.key}: start")
    return spoken(f"{text}\n\n{'     '.join(meaning)}")


def rating_facts(task: ImagesTask, record: SessionRecord) -> dict[str, Any] | None:
    """Question, labels and buttons of the scale of confidence in the participant's language; None in a task without one.

    Raises FoolscanError when it has no labels in this language.
    """
    plan = task.confidence
    if plan is None:
        return None
    labels = in_language(plan.labels, record.language, "tasks.confidence.labels")
    question = in_language(plan.question, record.language, "tasks.confidence.question") if plan.question else ""
    return {"question": question, "labels": list(labels), "buttons": list(plan.buttons)}


def rating_of(rig: Rig, task: ImagesTask, record: SessionRecord) -> Rating | None:
    """The scale of confidence as it is drawn: every label with its button."""
    facts, speech = rating_facts(task, record), Speech(rig, task, record)
    if facts is None:
        return None
    labels = tuple(
        f"{speech.button(button)} {label}" for button, label in zip(facts["buttons"], facts["labels"], strict=True)
    )
    return Rating(labels, None, facts["question"], runs_right_to_left(facts["question"] or facts["labels"][0]))


def practice_stimuli(study: Study, task: ImagesTask, stimuli: Iterable[Stimulus]) -> list[Stimulus]:
    """The images of the practice: the same for every participant, animals and others in turn, each at most once.

    stimuli : the manifest.

    Returns fewer than asked for when the sets hold fewer.
    """
    plan = task.practice
    if plan is None:
        return []
    rng = generator_for(study.seed, "practice")
    pools: dict[bool, list[Stimulus]] = {True: [], False: []}
    for stimulus in stimuli:
        if stimulus.set in plan.sets:
            pools[stimulus.animal_source].append(stimulus)
    shuffled = {animal: [pool[int(i)] for i in rng.permutation(len(pool))] for animal, pool in pools.items()}
    turns = rng.permuted([True, False] * ((plan.trials + 1) // 2))[: plan.trials]
    chosen = []
    for animal in map(bool, turns):
        pool = shuffled[animal] or shuffled[not animal]
        if pool:
            chosen.append(pool.pop())
    return chosen


def _instructions(screens: Screens, speech: Speech, rig: Rig) -> list[Segment]:
    if not screens.instructions:
        return []
    pages = in_language(screens.instructions, speech.record.language, "tasks.screens.instructions")
    return [
        _screen(f"instructions {number}", spoken(speech.fill(page)), rig, speech.task.buttons)
        for number, page in enumerate(pages, start=1)
    ]


def _button_test(screens: Screens, speech: Speech, rig: Rig) -> list[Segment]:
    if not screens.button_test:
        return []
    segments = []
    for answer, button in speech.record.button_of_answer.items():
        meant = {"button": speech.button(button), "meaning": speech.name(answer)}
        words = speech.words(screens.button_test, "screens.button_test", **meant)
        segments.append(_screen(f"button test {answer}", words, rig, (button,)))
    return segments


def _practice(study: Study, rig: Rig, task: ImagesTask, speech: Speech, stimuli: Sequence[Stimulus]) -> list[Segment]:
    plan = task.practice
    if plan is None:
        return []
    segments = []
    for number, stimulus in enumerate(practice_stimuli(study, task, stimuli), start=1):
        answer = correct_answer(study, task, stimulus)
        segments.append(paced_trial(f"practice {number}", rig, task, stimulus, task.blank_s, "practice", None, answer))
        said = {
            key: speech.words(getattr(plan, key), f"practice.{key}") if getattr(plan, key) else Words("")
            for key in ("right", "wrong", "missed", "noted")
        }
        feedback = Feedback(speech.record.button_of_answer[answer] if answer else None, **said)
        name = f"feedback {number}"
        row = RowMaker(name, rig).row(0.0, plan.feedback_s, "feedback", drawing=feedback)
        segments.append(Segment(name, "response_driven", (row,), timeout_s=plan.feedback_s))
    return segments


def _screen(name: str, words: Words, rig: Rig, until: tuple[str, ...], timeout_s: float | None = None) -> Segment:
    """A text that stands until a button is pressed."""
    row = RowMaker(name, rig).row(0.0, timeout_s or 1.0, "screen", drawing=words)
    return Segment(name, "response_driven", (row,), until=until, timeout_s=timeout_s)
