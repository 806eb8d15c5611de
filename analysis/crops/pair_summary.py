"""The summary of pairs of crops: rates, the signed and the absolute gap, chance, the network's gap, and how the two go together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from analysis.crops.arrays import Value, as_arrays, is_nothing, is_right, step
from analysis.crops.chance_gaps import Counts, chance_of_mean, dealt_again
from analysis.crops.collected import Collected
from analysis.crops.correlations import METHODS, correlation
from analysis.crops.crossed_interval import Answered, Crossed, complete, crossed, unit_values
from analysis.crops.item_rows import Rows, offers_nothing
from analysis.crops.pair_rows import OTHER, RECOGNISED, counts_of
from analysis.crops.summary_rows import NOTHING_KNOWN, bounded, crossed_row, left_out, within
from protocols.answers import Answer
from protocols.online_plan import Question
from protocols.seeds import generator_for

BOTH = f"{RECOGNISED} minus {OTHER}"
SELECTED = (
    "the pairs were chosen because the network's answer flips between their members, so that its gap is inflated by the choice and would "
    "be smaller in another network or at other windows (regression to the mean); people's gap is not chosen on people's answers"
)
BINOMIAL = "two binomials with the pair's pooled rate"
DEALT = "people dealt again to the lists of the same pairs"


def pair_summary(collected: Collected, pairs: Rows) -> Rows:
    """The rows of the summary for pairs of crops, people who count first, then all who finished.

    pairs : of `pair_rows`, people who count.
    """
    found: Rows = []
    for whom in ("counted", "finished"):
        answers = collected.of(whom)
        for question in collected.plan.questions:
            for condition in collected.conditions:
                mine = [item for item in answers if (item.question, item.condition) == (question.name, condition)]
                if mine:
                    found += _of_question(collected, question, condition, whom, mine)
    for question in collected.plan.questions:
        for condition in collected.conditions:
            found += _beside_network(collected, question.name, condition, pairs)
    return [*found, *_network(collected)]


def _of_question(
    collected: Collected, question: Question, condition: str, whom: str, answers: Sequence[Answer]
) -> Rows:
    head = {"question": question.name, "condition": condition, "whom": whom}
    sides = {item_id: 1 if image.network_right else -1 for item_id, image in collected.images.items()}

    def side(answer: Answer) -> int:
        return sides[str(answer.item_id)]

    if question.kind == "rating":
        return _means(collected, head, "mean_step", answers, step, side, (1.0, float(question.steps)))
    rows = _means(collected, head, "rate", answers, is_right, side, (0.0, 1.0))
    if offers_nothing(question, condition):
        rows += _means(collected, head, "nothing", answers, is_nothing, side, (0.0, 1.0))
    gaps = as_arrays(answers, is_right, side)
    kept = gaps.only(complete(gaps))
    if not kept.value.size or np.unique(kept.sign).size < 2:
        return rows
    return rows + _absolute(collected, head | {"of": BOTH}, kept)


def _means(
    collected: Collected,
    head: dict[str, str],
    measure: str,
    answers: Sequence[Answer],
    value: Value,
    side: Callable[[Answer], int],
    limits: tuple[float, float],
) -> Rows:
    """A mean for both members, and the difference."""
    coverage, rows = collected.coverage, []
    for of, wanted in ((RECOGNISED, 1), (OTHER, -1)):
        mine = as_arrays(answers, value, partial(_is_side, side, wanted))
        rows.append(
            crossed_row(head | {"of": of}, measure, bounded(crossed(mine, coverage), limits, coverage), "pairs")
        )
    both = as_arrays(answers, value, side)
    n_units = np.unique(both.unit).size
    reach = limits[1] - limits[0]
    found = crossed(both, coverage) if np.unique(both.sign).size == 2 else _nothing(both)
    rows.append(
        crossed_row(
            head | {"of": BOTH},
            "gap" if measure == "rate" else measure,
            within(-reach, reach, found),
            "pairs",
            note=left_out("pairs", n_units, found),
        )
    )
    return rows


def _is_side(side: Callable[[Answer], int], wanted: int, answer: Answer) -> int:
    return int(side(answer) == wanted)


def _nothing(answered: Answered) -> Crossed:
    nan = math.nan
    return Crossed(nan, nan, nan, 0, 0, 0, nan, nan, nan, "no answers to one of the members")


def _absolute(collected: Collected, head: dict[str, str], answered: Answered) -> Rows:
    """The mean absolute gap beside chance: binomial, and people dealt again."""
    study, name = collected.study, f"crops/{head['whom']}/{head['question']}/{head['condition']}"
    units, gaps = unit_values(answered)
    value = float(np.abs(gaps).mean())
    counts = []
    for unit in units:
        mine = answered.unit == unit
        sides = [mine & (answered.sign == sign) for sign in (1, -1)]
        right, n = zip(*((int(answered.value[kept].sum()), int(kept.sum())) for kept in sides), strict=True)
        counts.append(Counts((right[0], right[1]), (n[0], n[1])))
    binomial = chance_of_mean(counts, generator_for(study.seed, f"{name}/binomial"))
    draws = study.analysis.tests.permutations
    dealt, p_dealt = dealt_again(answered, generator_for(study.seed, f"{name}/dealt"), draws)
    rows = []
    for chance, p, method in (
        (binomial, binomial.at_least(value), f"{BINOMIAL}, {binomial.how}"),
        (dealt, p_dealt, f"{DEALT}, {dealt.how}"),
    ):
        low, high = chance.bounds(collected.coverage)
        rows.append(
            NOTHING_KNOWN
            | head
            | {
                "measure": "abs_gap",
                "value": value,
                "n_units": units.size,
                "n_workers": np.unique(answered.worker).size,
                "n_answers": answered.value.size,
                "chance": chance.mean,
                "chance_low": low,
                "chance_high": high,
                "p": p,
                "p_method": method,
            }
        )
    return rows


def _beside_network(collected: Collected, question: str, condition: str, pairs: Rows) -> Rows:
    rows = [row for row in pairs if (row["question"], row["condition"]) == (question, condition)]
    known = [row for row in rows if math.isfinite(row["gap"])]
    people = np.array([row["gap"] for row in known], dtype=np.float64)
    network = np.array([row["network_gap"] for row in known], dtype=np.float64)
    found: Rows = []
    for kind, method in METHODS.items() if known else ():
        value, low, high = correlation(people, network, kind, collected.coverage)
        none = "none: too few pairs, or gaps that are all alike"
        found.append(
            NOTHING_KNOWN
            | {
                "question": question,
                "condition": condition,
                "whom": "counted",
                "of": BOTH,
                "measure": kind,
                "value": value,
            }
            | {
                "ci_low": low,
                "ci_high": high,
                "n_units": len(known),
                "ci_method": method if math.isfinite(low) else none,
            }
            | {"estimand": "gaps as measured, with so many answers, of pairs like these", "resampled": "pairs"}
            | {"n_answers": sum(sum(counts_of(row).answers) for row in known)}
            | {"note": "the chance in people's gaps pulls it towards 0"}
        )
    return found


def _network(collected: Collected) -> Rows:
    """The network's confidences in the crops that people were shown."""
    shown = {str(answer.item_id) for answer in collected.answers}
    units = {collected.images[item].unit for item in shown}
    images = [image for image in collected.images.values() if image.unit in units]
    of = {
        name: np.array([image.confidence for image in images if image.network_right == wanted])
        for name, wanted in ((RECOGNISED, True), (OTHER, False))
    }
    rows = [(name, "network_confidence", float(values.mean())) for name, values in of.items()]
    rows.append((BOTH, "network_gap", rows[0][2] - rows[1][2]))
    return [
        NOTHING_KNOWN
        | {"condition": None, "whom": "network", "of": name, "measure": measure, "value": value, "n_units": len(units)}
        | {"ci_method": "none: chosen pairs are no sample", "note": SELECTED}
        for name, measure, value in rows
    ]
