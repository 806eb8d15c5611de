"""What a page is told of a study and of its session, in its language: texts, questions, options and trials, and no right answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiment.online.trials import Trial
from experiment.online.words import direction, words
from protocols.online_plan import NOTHING, Choice, OnlinePlan, Question, Rating, Typed

OPTION = "{option}"
LONGEST_TAG = 35
"""Letters; what is longer is no language's tag (BCP 47)."""


def chosen_language(plan: OnlinePlan, asked: str) -> str:
    """The language in which somebody is spoken to: the one asked for, one that begins like it (de-AT: de), or the study's own.

    asked : a language tag (BCP 47), or empty.
    """
    known = {language.lower(): language for language in plan.languages}
    wanted = asked.replace("_", "-").lower() if len(asked) <= LONGEST_TAG else ""
    while wanted:
        if wanted in known:
            return known[wanted]
        wanted = wanted.rpartition("-")[0]
    return plan.language


def most_trials(plan: OnlinePlan, n_shown: int, n_practice: int) -> int:
    """Trials of a session, checks included.

    n_shown, n_practice : images of its list.
    """
    checks = n_shown // plan.attention.every if plan.attention else 0
    return n_practice + n_shown + checks


def welcome(plan: OnlinePlan, study: str, language: str, *, state: str, kiosk: bool, n_trials: int) -> dict[str, Any]:
    """What somebody reads before joining.

    study : its name, by which browsers keep what belongs to it.
    state : open, preview, paused or full.
    kiosk : whether the computer is the laboratory's.
    """
    saying = plan.saying
    return {
        "study": study,
        "task": plan.task,
        "title": saying.title[language],
        "language": language,
        "direction": direction(language),
        "languages": list(plan.languages),
        "information": list(saying.information[language]),
        "consent": list(saying.consent[language]),
        "words": dict(words(language, saying.words)),
        "background_grey": plan.showing.background_grey,
        "state": state,
        "kiosk": kiosk,
        "n_trials": n_trials,
    }


def session(
    plan: OnlinePlan,
    language: str,
    trials: Sequence[Trial],
    options: Mapping[str, Sequence[str]],
    assets: Mapping[int, str],
    *,
    kiosk: bool,
) -> dict[str, Any]:
    """What a page needs to show a session.

    options : of each question by name, in the order in which they are shown.
    assets  : by trial number.
    """
    saying, spoken = plan.saying, words(language, plan.saying.words)
    questions = [_question(question, options[question.name], language, spoken) for question in plan.questions]
    practice = plan.practice and {
        "feedback_s": plan.practice.feedback_s,
        "right": plan.practice.right[language],
        "wrong": plan.practice.wrong[language],
    }
    return {
        "title": saying.title[language],
        "language": language,
        "direction": direction(language),
        "words": dict(spoken),
        "kiosk": kiosk,
        "instructions": list(saying.instructions[language]),
        "rest": saying.rest.get(language, ""),
        "showing": plan.showing.model_dump(),
        "questions": questions,
        "practice": practice,
        "trials": [_trial(plan, trial, assets.get(trial.number), language, spoken) for trial in trials],
    }


def _question(question: Question, options: Sequence[str], language: str, spoken: Mapping[str, str]) -> dict[str, Any]:
    labels = [{"value": value, "label": label(question, value, language, spoken)} for value in options]
    told = {"name": question.name, "kind": question.kind, "text": question.text[language], "options": labels}
    return told | ({"max_letters": question.max_letters} if isinstance(question, Typed) else {})


def label(question: Question, value: str, language: str, spoken: Mapping[str, str]) -> str:
    """What an answer is called.

    spoken : the built-in words of the language.
    """
    if isinstance(question, Rating):
        steps = question.labels.get(language, ())
        return steps[int(value) - 1] if int(value) <= len(steps) else value
    if isinstance(question, Choice) and value in question.labels.get(language, {}):
        return question.labels[language][value]
    return spoken[NOTHING] if value == NOTHING else value.replace("_", " ")


def _trial(
    plan: OnlinePlan, trial: Trial, asset: str | None, language: str, spoken: Mapping[str, str]
) -> dict[str, Any]:
    told: dict[str, Any] = {
        "number": trial.number,
        "kind": trial.kind,
        "asset": asset,
        "rest": trial.rest,
        "text": None,
    }
    if trial.kind == "attention" and plan.attention and trial.asked is not None:
        asked = label(plan.questions[0], trial.asked, language, spoken)
        told["text"] = plan.attention.text[language].replace(OPTION, asked)
    return told
