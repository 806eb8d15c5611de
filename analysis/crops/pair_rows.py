"""Rows of pairs: the two rates, their gap beside chance, and the network's gap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from analysis.crops.chance_gaps import Counts, chance_of_pair
from analysis.crops.collected import Collected, Image
from analysis.crops.item_rows import Rows
from analysis.crops.proportions import difference, wilson

RECOGNISED, OTHER = "recognised", "other"
PAIR_COLUMNS: dict[str, str] = {
    "question": "Name of the question.",
    "condition": "free or forced; forced answers are other people's.",
    "unit": "Pair of crops, or source of the images of two sets.",
    "contrast": "Which is compared with which: recognised minus other (by the network), or two sets.",
    "category": "What the source shows.",
    "supercategory": "What that is one of.",
    "first_id": "Image that comes first in the difference: the crop that the network recognises, or that of the first set.",
    "second_id": "The other.",
    "first_kind": "fragile or altered (crops), or the set.",
    "n_first": "Answers to the first.",
    "right_first": "Of these, right.",
    "rate_first": "Their share.",
    "rate_first_low": "Lower bound of its Wilson interval.",
    "rate_first_high": "Upper bound of its Wilson interval.",
    "n_second": "Answers to the second.",
    "right_second": "Of these, right.",
    "rate_second": "Their share.",
    "rate_second_low": "Lower bound of its Wilson interval.",
    "rate_second_high": "Upper bound of its Wilson interval.",
    "gap": "Rate of the first minus rate of the second (n/a: nobody answered one of them).",
    "gap_low": "Lower bound of its interval, for these two images (Newcombe 1998, method 10).",
    "gap_high": "Upper bound of its interval.",
    "abs_gap": "Absolute value of the gap.",
    "abs_gap_chance": "What it is on average by chance alone, if both are recognised at their pooled rate (two binomials).",
    "p_chance": "Probability of an absolute gap as large or larger under that null, exact, uncorrected for the number of pairs.",
    "p_corrected": "The same after Benjamini and Hochberg over the pairs of this question, condition and contrast.",
    "network_first": "The network's confidence in the right class for the first (n/a: sets).",
    "network_second": "For the second.",
    "network_gap": "Their difference. Pairs were chosen because the network's answer flips, so that this gap is inflated by selection.",
}


def pair_rows(collected: Collected, items: Rows) -> Rows:
    """A row for every pair of which anything was answered, from the rows of single images."""
    import numpy as np

    from analysis.inference.correction import benjamini_hochberg

    found: Rows = []
    of_item = {(row["question"], row["condition"], row["item_id"]): row for row in items}
    for question in collected.plan.questions:
        if question.kind == "rating":
            continue
        for condition in collected.conditions:
            rows: dict[str, Rows] = {}
            for contrast, first, second in compared(collected):
                cells = [of_item.get((question.name, condition, image.item_id)) for image in (first, second)]
                if any(cells):
                    row = {"question": question.name, "condition": condition, "contrast": contrast}
                    rows.setdefault(contrast, []).append(row | _pair(collected, first, second, cells))
            for of_contrast in rows.values():
                p = benjamini_hochberg(np.array([row["p_chance"] for row in of_contrast], dtype=np.float64))
                found += [row | {"p_corrected": float(value)} for row, value in zip(of_contrast, p, strict=True)]
    return found


def compared(collected: Collected) -> Iterator[tuple[str, Image, Image]]:
    """What is compared with what: (contrast, first, second), pair by pair or source by source."""
    units: dict[str, dict[str, Image]] = {}
    for image in collected.images.values():
        units.setdefault(image.unit, {})[image.kind] = image
    if collected.pairs:
        for members in units.values():
            first, second = sorted(members.values(), key=lambda image: not image.network_right)
            yield f"{RECOGNISED} minus {OTHER}", first, second
        return
    for one, other in contrasts(collected):
        for members in units.values():
            if one in members and other in members:
                yield f"{one} minus {other}", members[one], members[other]


def contrasts(collected: Collected) -> list[tuple[str, str]]:
    """The sets that are compared, each with each later one; of crops the two members by the network's answer."""
    if collected.pairs:
        return [(RECOGNISED, OTHER)]
    return list(combinations(collected.plan.design.sets, 2))  # type: ignore[union-attr]


def counts_of(row: Mapping[str, Any]) -> Counts:
    """Right answers and answers of a row of pairs, as it is made or as it is read."""
    right, answers = ((int(row[f"{name}_first"]), int(row[f"{name}_second"])) for name in ("right", "n"))
    return Counts(right, answers)


def _pair(collected: Collected, first: Image, second: Image, cells: list[dict[str, Any] | None]) -> dict[str, Any]:
    (right_1, n_1), (right_2, n_2) = (((cell["right"], cell["n"]) if cell else (0, 0)) for cell in cells)
    low_1, high_1 = wilson(right_1, n_1, collected.coverage)
    low_2, high_2 = wilson(right_2, n_2, collected.coverage)
    low, high = difference((right_1, n_1), (right_2, n_2), collected.coverage)
    rate_1, rate_2 = (right / n if n else math.nan for right, n in ((right_1, n_1), (right_2, n_2)))
    chance = chance_of_pair(Counts((right_1, right_2), (n_1, n_2))) if n_1 and n_2 else None
    crops = collected.pairs
    return {
        "unit": first.unit,
        "category": first.category,
        "supercategory": first.supercategory,
        "first_id": first.item_id,
        "second_id": second.item_id,
        "first_kind": first.kind,
        "n_first": n_1,
        "right_first": right_1,
        "rate_first": rate_1,
        "rate_first_low": low_1,
        "rate_first_high": high_1,
        "n_second": n_2,
        "right_second": right_2,
        "rate_second": rate_2,
        "rate_second_low": low_2,
        "rate_second_high": high_2,
        "gap": rate_1 - rate_2,
        "gap_low": low,
        "gap_high": high,
        "abs_gap": abs(rate_1 - rate_2),
        "abs_gap_chance": chance.mean if chance else math.nan,
        "p_chance": chance.at_least(abs(rate_1 - rate_2)) if chance else math.nan,
        "network_first": first.confidence if crops else None,
        "network_second": second.confidence if crops else None,
        "network_gap": first.confidence - second.confidence if crops else None,
    }
