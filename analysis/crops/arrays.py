"""Answers as arrays: what counts as right, as nothing, or as a step, of one question and condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from analysis.crops.crossed_interval import Answered
from protocols.answers import Answer
from protocols.online_plan import NOTHING

Value = Callable[[Answer], float | None]
"""What an answer counts as; None: it does not enter."""


def is_right(answer: Answer) -> float | None:
    """1 for a right answer, 0 for another; None where nothing is right."""
    return None if answer.correct is None else float(answer.correct)


def is_nothing(answer: Answer) -> float | None:
    """1 for 'nothing recognisable'; `offers_nothing` says whether it could be answered."""
    return float(answer.answer == NOTHING)


def said_animal(answer: Answer) -> float | None:
    """1 for the answer 'animal'."""
    return float(answer.answer == "animal")


def step(answer: Answer) -> float | None:
    """The step of a rating; None where none was given."""
    return None if answer.answer is None else float(answer.answer)


def is_step(wanted: int) -> Value:
    """1 for this step of a rating, 0 for another."""
    return lambda answer: None if answer.answer is None else float(answer.answer == str(wanted))


def as_arrays(
    answers: Iterable[Answer],
    value: Value,
    sign: Callable[[Answer], int] = lambda answer: 1,
    weight: Callable[[Answer], float] | None = None,
) -> Answered:
    """Answers as `Answered`; units are pairs of crops, else sources.

    value  : of an answer.
    sign   : +1 and -1 for the two that are compared, 0 for what does not enter.
    weight : see `Answered`.
    """
    kept = [
        (answer, found, side) for answer in answers if (found := value(answer)) is not None and (side := sign(answer))
    ]
    return Answered(
        np.array([found for _, found, _ in kept], dtype=np.float64),
        _numbered([unit_of(answer) for answer, *_ in kept]),
        np.array([side for *_, side in kept], dtype=np.int_),
        _numbered([answer.participant_id for answer, *_ in kept]),
        _numbered([answer.list_id for answer, *_ in kept]),
        None if weight is None else np.array([weight(answer) for answer, *_ in kept], dtype=np.float64),
    )


def unit_of(answer: Answer) -> str:
    """The pair of a crop, or the source of another image."""
    return str(answer.pair_id or answer.source_id)


def _numbered(names: Sequence[str]) -> np.ndarray:  # type: ignore[type-arg]
    places = {name: place for place, name in enumerate(sorted(set(names)))}
    return np.array([places[name] for name in names], dtype=np.intp)
