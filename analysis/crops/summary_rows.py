"""Rows of the summary: what each number is, over images and people, with its interval and what chance alone would give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from analysis.crops.crossed_interval import ALIKE, METHOD, Crossed
from analysis.crops.proportions import WILSON, wilson

ON_ODDS = f"log odds; {METHOD}"

MEASURES: dict[str, str] = {
    "rate": "share of right answers, mean over images",
    "nothing": "share of 'nothing recognisable', mean over images",
    "said_animal_if_animal": "share of 'animal' to images of animals",
    "said_animal_if_not": "share of 'animal' to images of other things",
    "d_prime": "sensitivity of the animal question, log-linear correction",
    "criterion": "criterion c of the animal question, log-linear correction; negative: inclined to say 'animal'",
    "mean_step": "mean step of the rating, from 1",
    "step": "share of this step of the rating (step_1 the least)",
    "gap": "rate of the first minus rate of the second, mean over pairs",
    "abs_gap": "absolute gap, mean over pairs; above 0 by chance alone",
    "network_confidence": "the network's confidence in the right class, mean over crops",
    "network_gap": "the network's confidence gap, mean over pairs; inflated, as pairs were chosen by it",
    "spearman": "rank correlation of people's and the network's gaps over pairs",
    "pearson": "correlation of people's and the network's gaps over pairs",
}
SUMMARY_COLUMNS: dict[str, str] = {
    "question": "Name of the question (n/a: the network).",
    "condition": "free or forced; 'forced minus free': the difference, between other people.",
    "whom": "counted: people who count; finished: all who finished, excluded people included; network.",
    "of": "Of which images: recognised or other (by the network; crops), or the set; 'A minus B': the difference, within pair or source.",
    "measure": "; ".join(f"{name}: {text}" for name, text in MEASURES.items()) + ".",
    "value": "The measure.",
    "ci_low": "Lower bound of the interval.",
    "ci_high": "Upper bound of the interval.",
    "n_units": "Pairs or sources that it rests on: those with answers to all that is compared.",
    "n_workers": "People that it rests on.",
    "n_answers": "Answers that it rests on.",
    "spread": "SD of the true values over pairs or sources, the answers' own chance taken out (n/a: no mean over these).",
    "se_workers": "Standard error for these very images: how much other people would change it.",
    "chance": "What is to be expected by chance alone (n/a: no such value).",
    "chance_low": "Lower bound of what chance gives (same share as the intervals).",
    "chance_high": "Upper bound.",
    "p": "Probability of a value as large or larger by chance.",
    "p_method": "Which chance, and how it was computed.",
    "ci_method": "How the interval was made.",
    "estimand": "What it is an interval for.",
    "resampled": "Over what it reaches: what was taken as a sample.",
    "note": "What to know (n/a: nothing).",
}
NOTHING_KNOWN: dict[str, Any] = dict.fromkeys(SUMMARY_COLUMNS)

Row = dict[str, Any]
Head = Mapping[str, Any]


def crossed_row(head: Head, measure: str, found: Crossed, units: str, **more: Any) -> Row:
    """A row of a mean or difference over units and people.

    head  : question, condition, whom, of.
    units : pairs or sources.
    """
    there = math.isfinite(found.low)
    return NOTHING_KNOWN | dict(head) | {
        "measure": measure,
        "value": found.value,
        "ci_low": found.low,
        "ci_high": found.high,
        "n_units": found.n_units,
        "n_workers": found.n_workers,
        "n_answers": found.n_answers,
        "spread": found.spread,
        "se_workers": found.se_workers,
        "ci_method": (found.how or METHOD) if there else f"none: {found.why_none}",
        "estimand": f"{units} like these, people like these",
        "resampled": f"{units} and people, crossed",
    } | more  # fmt: skip


def within(low: float, high: float, found: Crossed) -> Crossed:
    """The same with an interval that ends where the measure does."""
    if not math.isfinite(found.low):
        return found
    return replace(found, low=max(low, found.low), high=min(high, found.high))


def bounded(found: Crossed, limits: tuple[float, float], coverage: float) -> Crossed:
    """The same with an interval that stays within the measure's limits: of a share on its own scale, of others cut off."""
    return on_odds(found, coverage) if limits == (0.0, 1.0) else within(*limits, found)


def on_odds(found: Crossed, coverage: float) -> Crossed:
    """The same for a share: its interval is made on the scale of log odds, so that it stays within 0 and 1, and covers near them.

    Where all answered alike there is no spread: then it is Wilson's, of as many answers as there are images or people, whichever
    are fewer, which is the least that crossed answers can be worth.
    """
    value = found.value
    if found.why_none == ALIKE and value in (0.0, 1.0):
        n = min(found.n_units, found.n_workers)
        low, high = wilson(round(value * n), n, coverage)
        return replace(found, low=low, high=high, why_none="", how=f"{WILSON} of {n} answers, as all were alike")
    if not math.isfinite(found.low) or not 0 < value < 1:
        return found
    middle, reach = math.log(value / (1 - value)), (found.high - value) / (value * (1 - value))
    low, high = (0.5 + 0.5 * math.tanh(odds / 2) for odds in (middle - reach, middle + reach))
    return replace(found, low=low, high=high, how=ON_ODDS)


def left_out(units: str, all_units: int, found: Crossed) -> str | None:
    """A note of units that do not enter, since nobody answered one of those that are compared."""
    lacking = all_units - found.n_units
    return f"{lacking} of {all_units} {units} left out: no answers to all that is compared" if lacking else None
