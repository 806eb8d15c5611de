"""Cross-checks of what a task asks beyond its images: screens, practice, mask, confidence, pace."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.problems import Problem
from protocols.rig import Rig
from protocols.screens import texts_of
from protocols.study import ImagesTask, Study


def screen_problems(study: Study, name: str, task: ImagesTask) -> Iterator[Problem]:
    """What does not agree within a task.

    name : of the task.
    """
    yield from _languages(study, name, task)
    yield from _names(study, name, task)
    yield from _confidence(study, name, task)
    yield from _pace(study, name, task)
    for wanted in task.practice.sets if task.practice else ():
        if wanted not in study.stimuli.sets:
            allowed = f"a set of stimuli.sets: {', '.join(study.stimuli.sets)}"
            yield study.problem(f"tasks.{name}.practice.sets", repr(wanted), allowed)
    if task.practice and task.screens is None:
        yield study.problem(
            f"tasks.{name}.practice", "practice without screens", "also screens, which say when it comes"
        )


def _languages(study: Study, name: str, task: ImagesTask) -> Iterator[Problem]:
    texts = list(texts_of(task.screens, task.practice, task.confidence))
    languages = dict.fromkeys(language for _, text in texts for language in text)
    for key, text in texts:
        if task.language not in text:
            allowed = f"a language of its texts: {', '.join(text)} ({key})"
            yield study.problem(f"tasks.{name}.language", repr(task.language), allowed)
            return
    for key, text in texts:
        lacking = [language for language in languages if language not in text]
        if lacking:
            allowed = f"a text in every language that this task speaks: also {', '.join(lacking)}"
            yield study.problem(f"tasks.{name}.{key}", f"{', '.join(text)}", allowed)


def _names(study: Study, name: str, task: ImagesTask) -> Iterator[Problem]:
    known = {*task.answers, *task.buttons}
    for language, names in task.screens.names.items() if task.screens else ():
        for word in names.keys() - known:
            key = f"tasks.{name}.screens.names.{language}.{word}"
            yield study.problem(key, repr(word), f"an answer or a button of the task: {', '.join(sorted(known))}")


def _confidence(study: Study, name: str, task: ImagesTask) -> Iterator[Problem]:
    plan, key = task.confidence, f"tasks.{name}.confidence"
    if plan is None:
        return
    if not task.self_paced:
        yield study.problem(key, "a rating in a task of fixed pace", "pace: self_paced (a rating takes its own time)")
    for language, labels in plan.labels.items():
        if len(labels) != len(plan.buttons):
            found = f"{len(labels)} labels in {language!r} for {len(plan.buttons)} buttons"
            yield study.problem(f"{key}.labels.{language}", found, "one label for each button")
    if not plan.labels:
        yield study.problem(f"{key}.labels", "nothing", "labels in at least one language")


def _pace(study: Study, name: str, task: ImagesTask) -> Iterator[Problem]:
    key = f"tasks.{name}.image_until_response"
    if task.image_until_response and not task.self_paced:
        yield study.problem(key, "true in a task of fixed pace", "pace: self_paced (the image waits for the answer)")
    if task.image_until_response and task.mask is not None:
        yield study.problem(key, "true in a task with a mask", "a mask only after an image that goes by itself")
    if task.mask is not None and not task.self_paced:
        needed_s = task.mask.delay_s + task.mask.duration_s
        if needed_s > task.blank_s:
            found = f"{needed_s:g} s from the image's end to the mask's"
            yield study.problem(f"tasks.{name}.mask", found, f"at most blank_s = {task.blank_s:g} s")


def pace_problems(study: Study, rig: Rig, name: str, task: ImagesTask) -> Iterator[Problem]:
    """What does not agree between a task's pace and buttons and a rig."""
    if task.self_paced and rig.trigger.kind not in ("start_key", "emulated"):
        found = f"self_paced on rig {rig.name}, which waits for a scanner"
        yield study.problem(f"tasks.{name}.pace", found, "fixed, or a rig whose trigger is of kind start_key")
    lacking = [
        button for button in (task.confidence.buttons if task.confidence else ()) if button not in rig.button_names
    ]
    if lacking:
        allowed = f"buttons of rig {rig.name}: {', '.join(rig.button_names)}"
        yield study.problem(f"tasks.{name}.confidence.buttons", ", ".join(lacking), allowed)
