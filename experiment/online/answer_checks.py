"""Whether an answer is one that a session's plan allows; nothing else of it is looked at before."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from experiment.online.messages import Given, TrialAnswer
from experiment.online.refusals import Mismatch
from experiment.online.trials import SessionPlan, Trial
from protocols.online_plan import Question, Typed

# Categories of Unicode that nobody types: control, half a character, private.
NOT_TYPED = ("Cc", "Cs", "Co")


def refuse_mismatch(
    answer: TrialAnswer, trials: Mapping[int, Trial], plan: SessionPlan, asked: Sequence[Question]
) -> None:
    """Raise Mismatch where an answer is to no trial of the plan, to other questions, or none of what was offered.

    trials : of the session, by number.
    asked  : the study's questions, in order.
    """
    trial = trials.get(answer.trial)
    if trial is None:
        raise Mismatch(f"trial {answer.trial}: there are {len(trials)} trials")
    if trial.kind == "attention":
        asked = asked[:1]
        if answer.shown is not None:
            raise Mismatch(f"trial {trial.number}: an attention check shows no image")
    elif answer.shown is None:
        raise Mismatch(f"trial {trial.number}: how the image was shown is lacking")
    if len(answer.given) != len(asked):
        raise Mismatch(f"trial {trial.number}: found {len(answer.given)} answers to {len(asked)} questions")
    for given, question in zip(answer.given, asked, strict=True):
        if given.question != question.name:
            raise Mismatch(f"trial {trial.number}: found question {given.question!r}, expected {question.name!r}")
        _refuse_value(trial, given, question, plan.options[question.name])


def _refuse_value(trial: Trial, given: Given, question: Question, options: Sequence[str]) -> None:
    where = f"trial {trial.number}: {question.name}"
    if given.typed is None:
        if given.value is None or given.value not in options:
            raise Mismatch(f"{where}: found {given.value!r}, which was not offered")
        return
    if given.value is not None or not isinstance(question, Typed):
        raise Mismatch(f"{where}: found a typed name, which was not asked for")
    letters = given.typed.strip()
    if not letters or len(letters) > question.max_letters:
        raise Mismatch(f"{where}: found {len(letters)} letters, expected 1 to {question.max_letters}")
    if any(unicodedata.category(letter) in NOT_TYPED for letter in letters):
        raise Mismatch(f"{where}: found a character that nobody types")


def without_control(text: str) -> str:
    """A text without what no text has: control characters but line breaks and tabs, and halves of characters."""
    return "".join(letter for letter in text if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cs"))
