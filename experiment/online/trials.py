"""The trials of one session, drawn by its seed: practice, the list's images in an order of their own, attention checks, breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from experiment.online.items import Item, options_of
from experiment.online.lists import ShownList
from protocols.online_plan import NOTHING, OnlinePlan, Question, Rating, Typed
from protocols.seeds import generator_for, seed_for

TrialKind = Literal["practice", "main", "attention"]


@dataclass(frozen=True)
class Trial:
    """One trial of a session.

    number  : from 1.
    kind    : practice, main or attention.
    item    : what is shown; None for an attention check.
    asked   : for an attention check the answer that is asked for.
    rest    : whether a break comes before it.
    """

    number: int
    kind: TrialKind
    item: Item | None
    asked: str | None
    rest: bool


@dataclass(frozen=True)
class SessionPlan:
    """What a session is, replayed from its seed.

    trials  : in order.
    options : for each question by name, the answers that may be given, in the order in which they are shown: names of
              options with `nothing` last where it may be answered; steps of a rating as "1", "2", …; of a typed name only
              `nothing`, where it may be answered.
    """

    trials: tuple[Trial, ...]
    options: Mapping[str, tuple[str, ...]]


def session_seed(study_seed: int, list_id: str, place: int) -> int:
    """The seed of the session in one place of a list.

    place : counted over all who were ever given the list, from 1.
    """
    return seed_for(study_seed, f"online/{list_id}/{place}")


def plan_session(plan: OnlinePlan, shown: ShownList, everything: Sequence[Item], seed: int) -> SessionPlan:
    """The session of one seed.

    shown      : the list that it is given.
    everything : all items of the study: the options of a choice are what all images have, whatever this list has.
    """
    options = {question.name: _options(question, shown, everything, seed) for question in plan.questions}
    order = generator_for(seed, "order").permutation(len(shown.items))
    drawn: list[tuple[TrialKind, Item | None, str | None]] = [("main", shown.items[k], None) for k in order]
    if plan.attention:
        first = options[plan.questions[0].name]
        drawn = _with_checks(drawn, plan.attention.every, first, generator_for(seed, "attention"))
    practice: list[tuple[TrialKind, Item | None, str | None]] = [("practice", item, None) for item in shown.practice]
    trials = []
    for number, (kind, item, asked) in enumerate([*practice, *drawn], start=1):
        place = number - len(practice) - 1
        rest = bool(plan.rest_every) and place > 0 and place % (plan.rest_every or 1) == 0
        trials.append(Trial(number, kind, item, asked, rest))
    return SessionPlan(tuple(trials), options)


def _with_checks(
    drawn: list[tuple[TrialKind, Item | None, str | None]],
    every: int,
    options: Sequence[str],
    generator: np.random.Generator,
) -> list[tuple[TrialKind, Item | None, str | None]]:
    """One check within each so many trials, at a place that cannot be foreseen; none comes first."""
    answers = [option for option in options if option != NOTHING] or list(options)
    result: list[tuple[TrialKind, Item | None, str | None]] = []
    for begin in range(0, len(drawn) - len(drawn) % every, every):
        part = drawn[begin : begin + every]
        place = int(generator.integers(1, every + 1))
        asked = answers[int(generator.integers(len(answers)))]
        result += [*part[:place], ("attention", None, asked), *part[place:]]
    return result + drawn[len(drawn) - len(drawn) % every :]


def _options(question: Question, shown: ShownList, everything: Sequence[Item], seed: int) -> tuple[str, ...]:
    if isinstance(question, Rating):
        return tuple(str(step) for step in range(1, question.steps + 1))
    nothing = (NOTHING,) if question.nothing and shown.condition != "forced" else ()
    if isinstance(question, Typed):
        return nothing
    options = options_of(question, list(everything))
    if question.order == "shuffled":
        options = tuple(options[k] for k in generator_for(seed, f"options/{question.name}").permutation(len(options)))
    return (*options, *nothing)
