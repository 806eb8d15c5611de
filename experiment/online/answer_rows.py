"""Turns what is held into the rows that are exported: one for each question of each trial, and one for each person."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from experiment.online.items import Item
from experiment.online.judging import Record, is_right, summary
from experiment.online.messages import Given
from experiment.online.people import AnsweredTrial, AssignedTrial, Participant
from experiment.online.trials import Trial
from protocols.answers import Answer, Session
from protocols.online_plan import OnlinePlan, Question
from protocols.problems import FoolscanError

NOT_AVAILABLE = "n/a"


def plain(typed: str | None) -> str | None:
    """What was typed as one line of a table: white space and control characters as spaces; None where nothing is left."""
    if typed is None:
        return None
    kept = "".join(" " if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") else sign for sign in typed)
    line = " ".join(kept.split())
    return line.upper() if line == NOT_AVAILABLE else line or None  # else it would read as a cell without a value


def answers_of(plan: OnlinePlan, items: Mapping[str, Item], person: Participant) -> list[Answer]:
    """The answers of one person, in order of trials and questions; none of somebody whose answers were erased.

    items : by id.

    Raises FoolscanError for an image that the study folder does not have.
    """
    trials = {trial.number: trial for trial in person.trials}
    questions = {question.name: question for question in plan.questions}
    order = list(questions)
    return [
        _answer(questions[given.question], items, person, trials[answer.trial], answer, given)
        for answer in person.answers
        if answer.answer is not None
        for given in sorted(answer.answer.given, key=lambda given: order.index(given.question))
    ]


def records_of(items: Mapping[str, Item], person: Participant) -> list[Record]:
    """What a person has answered, as it is judged; what was erased is not there."""
    trials = {
        trial.number: Trial(trial.number, trial.kind, trial.item_id and items.get(trial.item_id), trial.asked, False)  # type: ignore[arg-type]
        for trial in person.trials
    }
    return [
        Record(trials[answer.trial], answer.answer, answer.received_ms)
        for answer in person.answers
        if answer.answer is not None and answer.trial in trials
    ]


def session_of(plan: OnlinePlan, items: Mapping[str, Item], person: Participant) -> Session:
    """What is exported of one person's participation.

    items : by id.
    """
    found = summary(plan, records_of(items, person))
    last_ms = max((answer.received_ms for answer in person.answers), default=None)
    return Session(
        **_of_person(person),
        state=person.state,
        trials=person.n_trials,
        answered=len(person.answers),
        attention_failed=found.attention_failed,
        impossible_rts=found.impossible,
        hidden_trials=found.hidden,
        minutes=None if last_ms is None else round((last_ms - person.joined_ms) / 60_000, 3),
        flags=",".join(person.flags) or None,
    )


def participant_id(person: Participant) -> str:
    """``sub-`` and the pseudonym."""
    return f"sub-{person.worker}"


def counts(person: Participant) -> bool:
    """Whether the answers count: finished and not excluded, also by somebody for whom the list was full already."""
    return person.state == "finished" and person.excluded_for is None


def left_out_for(person: Participant) -> str | None:
    """Why the answers do not count; None: they do."""
    if person.state == "finished" or person.excluded_for is not None:
        return person.excluded_for
    return {"active": "unfinished"}.get(person.state, person.state)


def right(question: Question, trial: AssignedTrial, item: Item | None, given: Given) -> bool | None:
    """Whether an answer is right; of an attention check, whether it is the one asked for."""
    if trial.asked is not None:
        return given.value == trial.asked
    return None if item is None else is_right(question, item, given)


def _answer(
    question: Question,
    items: Mapping[str, Item],
    person: Participant,
    trial: AssignedTrial,
    answer: AnsweredTrial,
    given: Given,
) -> Answer:
    assert answer.answer is not None
    item = None if trial.item_id is None else items.get(trial.item_id)
    if item is None and trial.item_id is not None:
        raise FoolscanError(
            f"image {trial.item_id}: it was shown online, and the study folder does not have it any more; restore the "
            "stimuli that were served"
        )
    shown = answer.answer.shown
    return Answer(
        **_of_person(person),
        trial=trial.number,
        kind=trial.kind,
        item_id=trial.item_id,
        source_id=item.source_id if item else None,
        stim_file=item.file if item else None,
        pair_id=item.pair_id if item else None,
        member=item.member if item else None,
        set=item.set if item else None,
        category=item.traits.get("category") if item else None,
        supercategory=item.traits.get("supercategory") if item else None,
        animal=item.animal if item else None,
        question=question.name,
        question_kind=question.kind,
        answer=given.value,
        typed=plain(given.typed),
        correct=right(question, trial, item, given),
        rt_s=_seconds(given.rt_ms),
        input=given.by,
        onset_s=_seconds(shown.onset_ms if shown else None),
        shown_s=None if shown is None or shown.offset_ms is None else _seconds(shown.offset_ms - shown.onset_ms),
        asked_s=_seconds(shown.asked_ms if shown else None),
        frames=shown.n_frames if shown else None,
        late_frames=shown.late_frames if shown else None,
        frame_s=_seconds(shown.frame_ms if shown else None),
        hidden=answer.answer.hidden,
    )


def _of_person(person: Participant) -> dict[str, Any]:
    """What both tables say of a person."""
    return {
        "participant_id": participant_id(person),
        "recruiter": person.recruiter,
        "list_id": person.list_id,
        "group": person.group,
        "condition": person.condition,
        "language": person.language,
        "counted": counts(person),
        "excluded_for": left_out_for(person),
        "seed": person.seed,
    }


def _seconds(ms: float | None) -> float | None:
    """To a tenth of a microsecond, which no browser's clock resolves: the same on every machine."""
    return None if ms is None else round(ms / 1000, 7)
