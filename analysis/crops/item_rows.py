"""Rows of single images: how often each was recognised, and what was answered."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from analysis.crops.collected import Collected, Image
from analysis.crops.proportions import wilson
from protocols.answers import Answer
from protocols.online_plan import NOTHING, Question

Rows = list[dict[str, Any]]
MOST_TOLD = 12
"""Different answers of one image that are told in its row; the table of typed answers has all."""

ITEM_COLUMNS: dict[str, str] = {
    "question": "Name of the question.",
    "question_kind": "choice, typed or rating.",
    "condition": "free: 'nothing recognisable' could be answered where it is offered; forced: it could not.",
    "item_id": "Image: crop_id or stim_id.",
    "source_id": "Picture or category that it comes from.",
    "pair_id": "Pair of crops (n/a: no crop).",
    "kind": "fragile or altered (crops), or the stimulus set.",
    "category": "What the source shows.",
    "supercategory": "What that is one of.",
    "n": "Answers of people who count.",
    "right": "Of these, right (n/a: a rating). For adversarial noise right is the class that it was made for.",
    "rate": "Their share.",
    "rate_low": "Lower bound of its interval.",
    "rate_high": "Upper bound of its interval.",
    "nothing": "Answers 'nothing recognisable' (n/a: not offered).",
    "mean_step": "Mean step of a rating, from 1 (n/a: no rating).",
    "answers": "How often what was answered, most frequent first; typed names in lower case, their right ones as they stand.",
    "rt_median_s": "Median time to the answer, s (of later questions from their appearance).",
    "n_finished": "Answers of all who finished, excluded people included.",
    "right_finished": "Of these, right.",
    "rate_finished": "Their share.",
    "network_right": "Whether the network recognises it (sets: whether it met its criterion).",
    "network_confidence": "The network's confidence in the right class, 0 to 1 (sets: in the class it was made for).",
    "network_label": "The network's most probable class.",
}


def item_rows(collected: Collected) -> Rows:
    """A row for every image that anybody who finished was asked about, question by question, conditions apart."""
    counted, finished = _grouped(collected.of("counted")), _grouped(collected.of("finished"))
    found = []
    for question in collected.plan.questions:
        for condition in collected.conditions:
            for image in collected.images.values():
                key = (question.name, condition, image.item_id)
                if key in finished or key in counted:
                    found.append(
                        _row(collected, question, condition, image, counted.get(key, []), finished.get(key, []))
                    )
    return found


def rate_of(answers: Sequence[Answer]) -> tuple[int, int]:
    """Right answers, and answers of which there are right ones."""
    scored = [answer.correct for answer in answers if answer.correct is not None]
    return sum(scored), len(scored)


def told(answers: Iterable[Answer]) -> str:
    """What was answered and how often, most frequent first: ``birds 12, nothing 3``."""
    counts = Counter(said(answer) for answer in answers)
    order = sorted(counts, key=lambda name: (-counts[name], name))
    parts = [f"{name} {counts[name]}" for name in order[:MOST_TOLD]]
    rest = sum(counts[name] for name in order[MOST_TOLD:])
    return ", ".join([*parts, f"others {rest}"] if rest else parts)


def said(answer: Answer) -> str:
    """An answer as it is counted: the option, or what was typed in lower case; nothing where nothing was."""
    if answer.typed is not None:
        return " ".join(answer.typed.casefold().split())
    return answer.answer or NOTHING


def offers_nothing(question: Question, condition: str) -> bool:
    """Whether 'nothing recognisable' could be answered."""
    return condition == "free" and bool(getattr(question, "nothing", False))


def _row(
    collected: Collected,
    question: Question,
    condition: str,
    image: Image,
    answers: list[Answer],
    finished: list[Answer],
) -> dict[str, Any]:
    right, n = rate_of(answers)
    right_all, n_all = rate_of(finished)
    rated = question.kind == "rating"
    low, high = wilson(right, n, collected.coverage)
    times = [answer.rt_s for answer in answers if answer.rt_s is not None]
    steps = [float(answer.answer) for answer in answers if rated and answer.answer is not None]
    return {
        "question": question.name,
        "question_kind": question.kind,
        "condition": condition,
        "item_id": image.item_id,
        "source_id": image.source_id,
        "pair_id": image.unit if collected.pairs else None,
        "kind": image.kind,
        "category": image.category,
        "supercategory": image.supercategory,
        "n": len(answers) if rated else n,
        "right": None if rated else right,
        "rate": right / n if n else math.nan,
        "rate_low": low,
        "rate_high": high,
        "nothing": sum(answer.answer == NOTHING for answer in answers) if offers_nothing(question, condition) else None,
        "mean_step": sum(steps) / len(steps) if steps else math.nan,
        "answers": told(answers) or None,
        "rt_median_s": median(times) if times else math.nan,
        "n_finished": len(finished) if rated else n_all,
        "right_finished": None if rated else right_all,
        "rate_finished": right_all / n_all if n_all else math.nan,
        "network_right": image.network_right,
        "network_confidence": image.confidence,
        "network_label": image.label,
    }


def _grouped(answers: Iterable[Answer]) -> dict[tuple[str, str, str], list[Answer]]:
    found: dict[tuple[str, str, str], list[Answer]] = {}
    for answer in answers:
        found.setdefault((answer.question, answer.condition, str(answer.item_id)), []).append(answer)
    return found
