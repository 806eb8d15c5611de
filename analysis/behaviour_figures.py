"""Figures of behaviour: how often 'animal' was said, sensitivity, and reaction times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.behaviour import POOLED, BehaviourRow, Response
from analysis.figure_style import INK, PAPER, SOFT, new_figure, quiet_grid, set_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BANDWIDTH_S = 0.04  # of the densities of reaction times


def behaviour_figure(rows: Sequence[BehaviourRow], responses: Sequence[Response]) -> Figure:
    """P(animal) by set and animacy, d′ where there is a correct answer, and reaction times."""
    sets = list(dict.fromkeys(row.set for row in rows))
    figure = new_figure(7.4, 2.75)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.25, 0.8, 1.2))
    _said_animal(left, rows, sets)
    _sensitivity(middle, rows, sets)
    _times(right, responses, sets)
    return figure


def _said_animal(axes: Axes, rows: Sequence[BehaviourRow], sets: Sequence[str]) -> None:
    for row in rows:
        place = sets.index(row.set)
        colour = set_colour(row.set, place)
        for value, shift, filled in ((row.p_animal_if_animal, -0.17, True), (row.p_animal_if_not, 0.17, False)):
            pooled = row.subject == POOLED
            axes.plot(
                [place + shift + (0.0 if pooled else 0.1)],
                [value],
                marker="o",
                markersize=7 if pooled else 3,
                markerfacecolor=colour if filled else PAPER,
                markeredgecolor=colour,
                alpha=1.0 if pooled else 0.6,
                linewidth=0,
                clip_on=False,
            )
    axes.set_xticks(range(len(sets)), sets)
    axes.set_xlim(-0.6, len(sets) - 0.4)
    axes.set_ylim(0, 1)
    axes.axhline(0.5, color=SOFT, linewidth=0.7, linestyle=(0, (3, 2)))
    axes.grid(axis="y", color="#e6e7ea", linewidth=0.5)
    axes.set_ylabel("share of “animal” answers")
    axes.set_title("Animal?  ● is one   ○ is not", fontsize=8.5)


def _sensitivity(axes: Axes, rows: Sequence[BehaviourRow], sets: Sequence[str]) -> None:
    scored = [name for name in sets if any(row.set == name and math.isfinite(row.d_prime) for row in rows)]
    for row in rows:
        if row.set not in scored or not math.isfinite(row.d_prime):
            continue
        place, pooled = scored.index(row.set), row.subject == POOLED
        axes.plot(
            [place + (0.0 if pooled else 0.14)],
            [row.d_prime],
            marker="o",
            markersize=7 if pooled else 3,
            color=set_colour(row.set, sets.index(row.set)),
            markeredgecolor=PAPER if pooled else set_colour(row.set, sets.index(row.set)),
            alpha=1.0 if pooled else 0.6,
        )
    axes.set_xticks(range(len(scored)), scored)
    axes.set_xlim(-0.6, max(len(scored), 1) - 0.4)
    shown = [row.d_prime for row in rows if math.isfinite(row.d_prime)]
    axes.set_ylim(min([0.0, *shown]) * 1.1, max([1.0, *shown]) * 1.1)
    quiet_grid(axes)
    axes.set_title("Sensitivity d′", fontsize=8.5)


def _times(axes: Axes, responses: Sequence[Response], sets: Sequence[str]) -> None:
    times = {
        name: np.array([item.rt_s for item in responses if item.stimulus.set == name and item.rt_s is not None])
        for name in sets
    }
    longest = max((float(np.quantile(values, 0.995)) for values in times.values() if values.size), default=1.0)
    grid = np.linspace(0, longest * 1.08, 240)
    for place, name in enumerate(sets):
        values, base = times[name], len(sets) - 1 - place
        if not values.size:
            continue
        density = np.exp(-0.5 * ((grid[:, None] - values[None, :]) / BANDWIDTH_S) ** 2).sum(axis=1)
        height = 0.85 * density / density.max()
        colour = set_colour(name, place)
        axes.fill_between(grid, base, base + height, color=colour, alpha=0.35, linewidth=0)
        axes.plot(grid, base + height, color=colour, linewidth=1)
        median = float(np.median(values))
        axes.plot([median] * 2, [base, base + 0.18], color=INK, linewidth=1.4)
        axes.annotate(f"{median:.2f} s", (median, base + 0.2), ha="center", fontsize=7)
    axes.set_yticks(range(len(sets)), list(reversed(list(sets))))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, grid[-1])
    axes.set_ylim(-0.05, len(sets))
    axes.set_xlabel("reaction time (s), median marked")
    axes.set_title("Reaction times", fontsize=8.5)
