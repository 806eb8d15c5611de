"""Figures of the study's sets, drawn from the tables: recognition by set and condition, confidence, single images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.figure_style import FAINT, PAPER, SOFT, handle, legend_below, new_figure, set_colour
from protocols.online_plan import CONDITIONS
from protocols.tables import number

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, str]
CHANCE = (0, (3, 2))
APART = 0.16
"""Between the conditions of a set, in units of the axis of sets."""


def sets_figure(summary: Sequence[Row], sets: Sequence[str]) -> Figure:
    """What was recognised by set and condition: a panel for each question, for nothing, and for d′.

    summary : of ``<task>_summary.tsv``, people who count.
    """
    panels = panels_of(summary)
    figure = new_figure(8.6, 3.0)
    conditions = conditions_of(summary)
    for axes, (question, measure, title) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for place, name in enumerate(sets):
            for condition in conditions:
                row = _the(summary, question, condition, name, measure)
                if row is not None and row["value"] != "n/a":
                    _point(axes, place + _shift(condition, conditions), row, set_colour(name, place), condition)
        axes.set_xticks(range(len(sets)), sets)
        axes.set_xlim(-0.6, len(sets) - 0.4)
        axes.set_title(title, fontsize=8.5)
        axes.grid(axis="y", color=FAINT, linewidth=0.5)
        if measure == "d_prime":
            axes.axhline(0, color=SOFT, linewidth=0.7)
        else:
            axes.set_ylim(-0.02, 1.02)
        if question_is_animal(summary, question) and measure == "rate":
            axes.axhline(0.5, color=SOFT, linewidth=0.7, linestyle=CHANCE)
    handles: dict[str, Artist] = {_words(condition): _mark(condition) for condition in conditions}
    if any(question_is_animal(summary, question) for question, *_ in panels):
        handles["a coin"] = handle(SOFT, linewidth=0.7, linestyle=CHANCE)
    legend_below(figure, handles)
    return figure


def panels_of(summary: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Panels as (question, measure, title): rates of every question, then nothing, then d′."""
    found = []
    for measure, title in (
        ("rate", "“{}”: right"),
        ("nothing", "“{}”: nothing"),
        ("d_prime", "“{}”: sensitivity d′"),
    ):
        for question in dict.fromkeys(row["question"] for row in summary if row["measure"] == measure):
            found.append((question, measure, title.format(question)))
    kept = [panel for panel in found if panel[1] != "nothing"]
    nothing = [panel for panel in found if panel[1] == "nothing"][:1]
    rates = [panel for panel in kept if panel[1] == "rate"]
    return [*rates, *nothing, *(panel for panel in kept if panel[1] == "d_prime")]


def confidence_figure(summary: Sequence[Row], sets: Sequence[str]) -> Figure | None:
    """How sure people were: the share of every step of the rating by set and condition; None where none was asked for."""
    rows = [row for row in summary if row["measure"].startswith("step_")]
    if not rows:
        return None
    question = rows[0]["question"]
    steps = sorted({int(row["measure"].removeprefix("step_")) for row in rows})
    conditions = conditions_of(summary)
    figure = new_figure(8.6, 2.7)
    panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    width = 0.8 / len(conditions)
    highest = max(number(row["ci_high"]) for row in rows if row["ci_high"] != "n/a")
    for place, (axes, name) in enumerate(zip(panels, sets, strict=True)):
        colour = set_colour(name, place)
        for condition in conditions:
            shift = (conditions.index(condition) - (len(conditions) - 1) / 2) * width
            for step in steps:
                row = _the(rows, question, condition, name, f"step_{step}")
                if row is None or row["value"] == "n/a":
                    continue
                solid = condition == "free"
                look: dict[str, Any] = {
                    "color": colour if solid else PAPER,
                    "edgecolor": colour,
                    "alpha": 0.85 if solid else 1,
                }
                axes.bar([step + shift], [number(row["value"])], width=width * 0.88, linewidth=1.1, **look)
                axes.plot([step + shift] * 2, [number(row["ci_low"]), number(row["ci_high"])], color=SOFT, linewidth=1)
        means = [_the(summary, question, condition, name, "mean_step") for condition in conditions]
        told = " · ".join(f"{number(row['value']):.1f}" for row in means if row is not None and row["value"] != "n/a")
        axes.set_title(f"{name}  (mean {told})", fontsize=8.5, color=colour)
        axes.set_xticks(steps)
        axes.set_xlabel(f"“{question}”, {steps[0]} the least")
        axes.grid(axis="y", color=FAINT, linewidth=0.5)
    panels[0].set_ylim(0, min(1.0, 1.08 * highest))
    panels[0].set_ylabel("share of answers")
    handles: dict[str, Artist] = {_words(condition): _bar(condition) for condition in conditions}
    legend_below(figure, handles)
    return figure


def items_figure(items: Sequence[Row], sets: Sequence[str]) -> Figure:
    """Every image's rate in order, with Wilson's interval: filled free, open forced.

    items : of ``<task>_crops.tsv``, one question.
    """
    figure = new_figure(8.6, 2.9)
    conditions = conditions_of(items)
    panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    for place, (axes, name) in enumerate(zip(panels, sets, strict=True)):
        colour = set_colour(name, place)
        mine = [row for row in items if row["kind"] == name and row["rate"] != "n/a"]
        first = {row["item_id"]: number(row["rate"]) for row in mine if row["condition"] == conditions[0]}
        order = {item: x for x, item in enumerate(sorted(first, key=lambda item: (-first[item], item)))}
        for row in mine:
            if row["item_id"] in order:
                x = order[row["item_id"]] + _shift(row["condition"], conditions) * 0.8
                bounds = [number(row["rate_low"]), number(row["rate_high"])]
                axes.plot([x, x], bounds, color=colour, linewidth=0.8, alpha=0.35)
                look: dict[str, Any] = {
                    "color": colour,
                    "markerfacecolor": colour if row["condition"] == conditions[0] else PAPER,
                }
                axes.plot([x], [number(row["rate"])], marker="o", markersize=4, markeredgewidth=0.9, **look)
        axes.set_title(f"{name}  ({len(order)} images)", fontsize=8.5, color=colour)
        axes.set_xticks([])
        axes.set_xlabel("images, in order")
        axes.grid(axis="y", color=FAINT, linewidth=0.5)
    panels[0].set_ylim(-0.02, 1.02)
    panels[0].set_ylabel("share right")
    legend_below(figure, {_words(condition): _mark(condition) for condition in conditions})
    return figure


def conditions_of(rows: Sequence[Row]) -> list[str]:
    """Free and forced, as far as there are any."""
    found = {row["condition"] for row in rows}
    return [name for name in CONDITIONS if name in found]


def question_is_animal(summary: Sequence[Row], question: str) -> bool:
    """Whether it asks for an animal: then it has a d′."""
    return any(row["question"] == question and re.match(r"d_prime", row["measure"]) for row in summary)


def _point(axes: Axes, x: float, row: Row, colour: str, condition: str) -> None:
    if row["ci_low"] != "n/a":
        axes.plot([x, x], [number(row["ci_low"]), number(row["ci_high"])], color=colour, linewidth=1.5)
    face = colour if condition == "free" else PAPER
    look: dict[str, Any] = {"color": colour, "markerfacecolor": face}
    axes.plot([x], [number(row["value"])], marker="o", markersize=6.5, markeredgewidth=1.4, **look)


def _the(summary: Sequence[Row], question: str, condition: str, of: str, measure: str) -> Row | None:
    wanted = (question, condition, of, measure)
    return next((r for r in summary if (r["question"], r["condition"], r["of"], r["measure"]) == wanted), None)


def _shift(condition: str, conditions: Sequence[str]) -> float:
    return (conditions.index(condition) - (len(conditions) - 1) / 2) * 2 * APART


def _mark(condition: str) -> Artist:
    face = SOFT if condition == "free" else PAPER
    return handle(SOFT, marker="o", markersize=6, markerfacecolor=face, markeredgewidth=1.4, linestyle="none")


def _bar(condition: str) -> Artist:
    from matplotlib.patches import Patch

    return Patch(facecolor=SOFT if condition == "free" else PAPER, edgecolor=SOFT, linewidth=1.1)


def _words(condition: str) -> str:
    return {"free": "free: “nothing” may be answered", "forced": "forced: it may not (other people)"}[condition]
