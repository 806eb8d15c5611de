"""The summary of the study's sets: recognition, nothing, sensitivity and confidence by set and condition, never pooled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from analysis.crops.arrays import Value, as_arrays, is_nothing, is_right, is_step, said_animal, step
from analysis.crops.collected import Collected
from analysis.crops.crossed_interval import Crossed, crossed
from analysis.crops.item_rows import Rows, offers_nothing
from analysis.crops.pair_rows import contrasts
from analysis.crops.summary_rows import Row, bounded, crossed_row, left_out, on_odds, within
from protocols.answers import Answer
from protocols.online_plan import Question

FORCED = "where “nothing recognisable” is no answer, people must name something: forced naming manufactures recognition"
NO_RIGHT = "no answer is right by what the image shows; counted as right is the class (or animacy) that it was made for"
BETWEEN = "forced minus free"


def set_summary(collected: Collected) -> Rows:
    """The rows of the summary for sets, people who count first, then all who finished."""
    found: Rows = []
    for whom in ("counted", "finished"):
        answers = collected.of(whom)
        for question in collected.plan.questions:
            mine = [answer for answer in answers if answer.question == question.name]
            for condition in collected.conditions:
                of_condition = [answer for answer in mine if answer.condition == condition]
                if of_condition:
                    found += _of_condition(collected, question, condition, whom, of_condition)
            if len({answer.condition for answer in mine}) == 2 and question.kind != "rating":
                found += _between(collected, question, whom, mine)
    return found


def sensitivity(answers: Sequence[Answer]) -> tuple[float, float, tuple[float, float]]:
    """d′ and criterion c of the animal question with the log-linear correction (Hautus 1995), and the slopes of z at both rates.

    Returns d′, c and (slope at the hit rate, slope at the false-alarm rate), of the answers together; NaN where a kind is missing.
    """
    from scipy.stats import norm

    z, slope = [], []
    for animal in (True, False):
        said = [answer.answer == "animal" for answer in answers if answer.animal is animal]
        if not said:
            return math.nan, math.nan, (math.nan, math.nan)
        rate = (sum(said) + 0.5) / (len(said) + 1)
        z.append(float(norm.ppf(rate)))
        slope.append(len(said) / (len(said) + 1) / float(norm.pdf(z[-1])))
    return z[0] - z[1], -(z[0] + z[1]) / 2, (slope[0], slope[1])


def _of_condition(
    collected: Collected, question: Question, condition: str, whom: str, answers: Sequence[Answer]
) -> Rows:
    head = {"question": question.name, "condition": condition, "whom": whom}
    if question.kind == "rating":
        rows = _by_set(collected, head, "mean_step", answers, step, (1.0, float(question.steps)))
        for number in range(1, question.steps + 1):
            rows += _by_set(collected, head, f"step_{number}", answers, is_step(number), (0.0, 1.0), differences=False)
        return rows
    rows = _by_set(collected, head, "rate", answers, is_right, (0.0, 1.0))
    if offers_nothing(question, condition):
        rows += _by_set(collected, head, "nothing", answers, is_nothing, (0.0, 1.0))
    if question.kind == "choice" and question.about == "animal":
        rows += _sensitivities(collected, head, answers)
    return rows


def _by_set(
    collected: Collected,
    head: dict[str, str],
    measure: str,
    answers: Sequence[Answer],
    value: Value,
    limits: tuple[float, float],
    *,
    differences: bool = True,
) -> Rows:
    """A mean for every set, and the differences of sets within source."""
    rows = []
    for name in _sets(collected):
        found = crossed(as_arrays([answer for answer in answers if answer.set == name], value), collected.coverage)
        note = _note(collected, (name,), measure, head["condition"])
        of_set = bounded(found, limits, collected.coverage)
        rows.append(crossed_row(head | {"of": name}, measure, of_set, "sources", note=note))
    reach = limits[1] - limits[0]
    for first, second in contrasts(collected) if differences else ():
        both = as_arrays(answers, value, _side(first, second))
        found = crossed(both, collected.coverage)
        note = _note(collected, (first, second), measure, head["condition"])
        told = "; ".join(filter(None, [note, left_out("sources", np.unique(both.unit).size, found)])) or None
        of = {"of": f"{first} minus {second}"}
        rows.append(crossed_row(head | of, measure, within(-reach, reach, found), "sources", note=told))
    return rows


def _sensitivities(collected: Collected, head: dict[str, str], answers: Sequence[Answer]) -> Rows:
    """d′ of every set and their differences, by the delta method over sources and people; criterion; shares of 'animal'."""
    rows: Rows = []
    of_set = {name: [answer for answer in answers if answer.set == name] for name in _sets(collected)}
    found = {name: sensitivity(mine) for name, mine in of_set.items()}
    for name, mine in of_set.items():
        note = _note(collected, (name,), "d_prime", head["condition"])
        mine_head = head | {"of": name}
        for measure, animal in (("said_animal_if_animal", True), ("said_animal_if_not", False)):
            kept = [answer for answer in mine if answer.animal is animal]
            of_kind = on_odds(crossed(as_arrays(kept, said_animal), collected.coverage), collected.coverage)
            rows.append(crossed_row(mine_head, measure, of_kind, "sources", note=note))
        d_prime, criterion, _ = found[name]
        slopes = {name: found[name][2]}
        of_d = _delta(mine, _one, _slope(slopes, 1.0, 1.0), collected.coverage)
        rows.append(_about(mine_head, "d_prime", d_prime, of_d, note))
        of_c = _delta(mine, _one, _slope(slopes, -0.5, 0.5), collected.coverage)
        rows.append(_about(mine_head, "criterion", criterion, of_c, note))
    for first, second in contrasts(collected):
        both = [answer for answer in answers if answer.set in (first, second)]
        slopes = {name: found[name][2] for name in (first, second)}
        reach = _delta(both, _side(first, second), _slope(slopes, 1.0, 1.0), collected.coverage)
        value = found[first][0] - found[second][0]
        note = _note(collected, (first, second), "d_prime", head["condition"])
        rows.append(_about(head | {"of": f"{first} minus {second}"}, "d_prime", value, reach, note))
    return rows


def _one(answer: Answer) -> int:
    return 1


def _slope(slopes: Mapping[str, tuple[float, float]], of_animals: float, of_others: float) -> Callable[[Answer], float]:
    """What a rate is multiplied with in the linear part: the slope of z of the answer's set and kind, times a factor of the kind."""

    def slope(answer: Answer) -> float:
        hit, alarm = slopes[str(answer.set)]
        return of_animals * hit if answer.animal else of_others * alarm

    return slope


def _delta(
    answers: Sequence[Answer],
    sign: Callable[[Answer], int],
    slope: Callable[[Answer], float],
    coverage: float,
) -> Crossed:
    """The interval of a sum of slopes times rates, animals' minus others', as far as it is linear."""
    known = [answer for answer in answers if answer.animal is not None and math.isfinite(slope(answer))]
    arrays = as_arrays(known, said_animal, sign, slope)
    kinds = np.array([int(bool(answer.animal)) for answer in known], dtype=np.intp)
    return crossed(arrays, coverage, kinds, {1: 1.0, 0: -1.0})


def _about(head: dict[str, str], measure: str, value: float, linear: Crossed, note: str | None) -> Row:
    """The row of a measure whose interval is that of its linear part, moved to the measure."""
    moved = replace(linear, value=value, low=value - linear.value + linear.low, high=value - linear.value + linear.high)
    row = crossed_row(head, measure, moved, "sources", note=note)
    if math.isfinite(moved.low):
        row["ci_method"] = f"delta method; {row['ci_method']}"
    return row


def _between(collected: Collected, question: Question, whom: str, answers: Sequence[Answer]) -> Rows:
    """What forcing an answer adds: the rate of the forced minus that of the free, of the same images and other people."""
    rows = []
    for name in _sets(collected):
        mine = as_arrays(
            [answer for answer in answers if answer.set == name],
            is_right,
            lambda answer: 1 if answer.condition == "forced" else -1,
        )
        head = {"question": question.name, "condition": BETWEEN, "whom": whom, "of": name}
        note = _note(collected, (name,), "rate", "forced")
        rows.append(
            crossed_row(head, "rate", within(-1.0, 1.0, crossed(mine, collected.coverage)), "sources", note=note)
        )
    return rows


def _side(first: str, second: str) -> Callable[[Answer], int]:
    return lambda answer: {first: 1, second: -1}.get(str(answer.set), 0)


def _sets(collected: Collected) -> tuple[str, ...]:
    return collected.plan.design.sets  # type: ignore[union-attr]


def _note(collected: Collected, names: Sequence[str], measure: str, condition: str) -> str | None:
    told = []
    recipes = collected.study.stimuli.sets
    if measure != "nothing" and not measure.startswith(("mean", "step")):
        if any(not recipes[name].has_correct_answer for name in names if name in recipes):
            told.append(NO_RIGHT)
        if condition == "forced":
            told.append(FORCED)
    return "; ".join(told) or None
