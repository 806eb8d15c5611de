"""The findings in sentences, each counted from the tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.behaviour import POOLED
from analysis.pages.contents import Contents
from analysis.similarity_table import DifferenceRow, SimilarityRow
from protocols.tables import number

MINUS = "\u2212"


def in_brief(contents: Contents) -> list[str]:
    """The findings in sentences, each counted from the tables."""
    found = [*_network_brief(contents), *_brain_brief(contents)]
    who = "Simulated observers" if contents.simulated else "Participants"
    if contents.behaviour:
        for at, where in (("func", ""), ("beh", "At a desk: ")):
            found += _behaviour_brief(contents.behaviour.where(at=at), who, where)
    found += _online_brief(contents)
    return found or ["So far there are only images: no run was shown, and neither brain nor network was measured."]


def _network_brief(contents: Contents) -> list[str]:
    if contents.network is None:
        return []
    part, found = contents.network, []
    for contrast in dict.fromkeys(row.contrast for row in part.differences):
        rows = [row for row in part.differences if row.contrast == contrast]
        larger, smaller = contrast.split(" minus ")
        above, below = _clear(rows)
        found.append(
            f"In the network, {larger} similarity is above {smaller} similarity in {above} of {len(rows)} layers, "
            f"and below it in {below} (intervals over units that leave out zero)."
        )
    ends = [(pair, [row for row in part.rows if row.pair == pair]) for pair in dict.fromkeys(r.pair for r in part.rows)]
    found.append(
        "From "
        + f"{part.places[0]} to {part.places[-1]}, "
        + " and ".join(
            f"{pair} goes from {signed(rows[0].similarity)} to {signed(rows[-1].similarity)}" for pair, rows in ends
        )
        + "."
    )
    return found


def _brain_brief(contents: Contents) -> list[str]:
    if contents.brain is None:
        return []
    found = []
    who = "simulated brain" if contents.simulated else "brain"
    pooled = [row for row in contents.brain.differences if row.subject == POOLED]
    for contrast in dict.fromkeys(row.contrast for row in pooled):
        rows = [row for row in pooled if row.contrast == contrast]
        larger, smaller = contrast.split(" minus ")
        above, below = _clear(rows)
        found.append(
            f"In the {who}, measured {larger} similarity is above {smaller} similarity in {above} of {len(rows)} ROIs, "
            f"and below it in {below} (intervals over voxels that leave out zero)."
        )
    return found + ([_recovery_brief(contents.pooled)] if contents.has_truth else [])


def _recovery_brief(rows: Sequence[SimilarityRow]) -> str:
    known = [row for row in rows if math.isfinite(row.corrected)]
    text = f"Corrected for reliability, the similarity could be estimated in {len(known)} of {len(rows)} cases"
    for voxels, truth in (("of the chosen voxels", "truth_chosen"), ("of all informative voxels", "truth")):
        stated = [(row, float(getattr(row, truth))) for row in known if math.isfinite(getattr(row, truth))]
        if stated:
            miss = float(np.median([abs(row.corrected - value) for row, value in stated]))
            inside = sum(row.corrected_low <= value <= row.corrected_high for row, value in stated)
            text += f"; it is off the truth {voxels} by {miss:.2f} (median), and {inside} of {len(stated)} intervals hold it"
    return text + "."


def _behaviour_brief(rows: Sequence[dict[str, str]], who: str, where: str) -> list[str]:
    pooled = [row for row in rows if row["subject"] == POOLED]
    scored = [row for row in pooled if row["accuracy"] != "n/a"]
    found = []
    if scored:
        parts = [f"{100 * number(row['accuracy']):.1f} % of {row['set']}" for row in scored]
        found.append(f"{where}{who} classified {' and '.join(parts)} images as their sources would be.")
    for row in pooled:
        if row["accuracy"] == "n/a" and row["p_difference"] != "n/a":
            found.append(
                f"{where}{row['set']} images were called animals in {100 * number(row['p_animal_if_animal']):.0f} % of trials when "
                f"the network saw an animal, and in {100 * number(row['p_animal_if_not']):.0f} % when it did not."
            )
    return found


def _online_brief(contents: Contents) -> list[str]:
    """What was recognised online, of people who count."""
    if contents.recognition is None:
        return []
    who = "simulated people" if contents.simulated else "people"
    found = []
    rows = [row for row in contents.recognition.rows if row["whom"] == "counted" and row["value"] != "n/a"]
    for gap in (row for row in rows if row["measure"] == "gap"):
        same = [row for row in rows if (row["question"], row["condition"]) == (gap["question"], gap["condition"])]
        rates = [number(row["value"]) for row in same if row["measure"] == "rate"]
        text = (
            f"Online, {who} recognised {100 * rates[0]:.0f} % of the crops that the network recognises and {100 * rates[1]:.0f} % of their "
            f"twins that it does not: a gap of {signed(number(gap['value']))}{_interval(gap)} over {gap['n_units']} pairs"
        )
        absolute = next((row for row in same if row["measure"] == "abs_gap"), None)
        if absolute:
            chance = f"{number(absolute['chance']):.2f}"
            text += f"; the mean absolute gap is {number(absolute['value']):.2f}, and {chance} by chance alone"
        found.append(f"{text}.")
    of_sets = [row for row in rows if row["measure"] == "rate" and " minus " not in row["of"] + row["condition"]]
    for key in dict.fromkeys(
        (row["question"], row["condition"]) for row in of_sets if row["of"] not in ("recognised", "other")
    ):
        mine = [row for row in of_sets if (row["question"], row["condition"]) == key]
        shares = ", ".join(f"{100 * number(row['value']):.0f} % of {row['of']}" for row in mine)
        found.append(f"Online, {who} were right ({key[0]}, {key[1]}) about {shares}.")
    return found


def _interval(row: dict[str, str]) -> str:
    if row["ci_low"] == "n/a":
        return ""
    return f" [{signed(number(row['ci_low']))}, {signed(number(row['ci_high']))}]"


def _clear(rows: Sequence[DifferenceRow]) -> tuple[int, int]:
    return sum(row.ci_low > 0 for row in rows), sum(row.ci_high < 0 for row in rows)


def timing_brief(certificates: Sequence[dict[str, Any]]) -> list[str]:
    """The certificates of all runs in a few sentences."""
    if not certificates:
        return []
    passed = sum(bool(item.get("passed")) for item in certificates)
    found = [f"{passed} of {len(certificates)} runs are certified without a remark."]
    pulses = [(item.get("pulses_seen"), item.get("pulses_expected")) for item in certificates]
    pulses = [(seen, expected) for seen, expected in pulses if expected != 1]  # at a desk a key starts the run
    whole = sum(seen is not None and seen == expected for seen, expected in pulses)
    if pulses:
        found.append(f"All expected scanner pulses were logged in {whole} of {len(pulses)} runs.")
    worst = [item["onset_error_max_s"] for item in certificates if item.get("onset_error_max_s") is not None]
    if worst:
        found.append(f"The largest deviation of an onset from its plan was {1000 * max(worst):.1f} ms.")
    found += [
        f"Timing: {kind}." for kind in dict.fromkeys(str(item["timing"]) for item in certificates if "timing" in item)
    ]
    return found


def signed(value: float, digits: int = 2) -> str:
    """A number with a real minus sign; an en dash where there is none."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)
