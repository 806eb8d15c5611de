"""Figures of behaviour, drawn from its tables: answers and sensitivity, reaction times, runs, consistency, single images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.behaviour import POOLED
from analysis.figure_style import FAINT, INK, PAPER, SOFT, handle, legend_below, new_figure, quiet_grid, set_colour
from protocols.tables import number

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, str]
CHANCE = (0, (3, 2))  # dashes of the line at chance
SETTLED = ("images, each with all its trials", "trials, as independent")
"""Which interval is drawn: over images, else (all images answered alike) over trials."""


def behaviour_figure(rows: Sequence[Row], intervals: Sequence[Row]) -> Figure:
    """P(animal) by set and animacy, the difference where there is no correct answer, accuracy, d′ and criterion.

    rows      : of ``behaviour.tsv``.
    intervals : of ``behaviour_intervals.tsv``.
    """
    sets = list(dict.fromkeys(row["set"] for row in rows))
    scored = [name for name in sets if any(row["set"] == name and row["accuracy"] != "n/a" for row in rows)]
    unscored = [name for name in sets if name not in scored]
    figure = new_figure(8.6, 2.9)
    first, second, third, fourth = figure.subplots(1, 4, width_ratios=(1.5, 0.85, 1.0, 1.0))
    _said_animal(first, rows, intervals, sets)
    if unscored:
        _dots(second, rows, intervals, sets, unscored, "p_difference")
        second.set_ylim(-1, 1)
        second.set_title("P(animal) difference", fontsize=8.5)
    else:
        second.set_axis_off()
    _dots(third, rows, intervals, sets, scored, "d_prime")
    third.set_title("Sensitivity d′", fontsize=8.5)
    _dots(fourth, rows, intervals, sets, scored, "criterion")
    fourth.set_title("Criterion c", fontsize=8.5)
    return figure


def times_figure(trials: Sequence[Row]) -> Figure:
    """The full distribution of reaction times per set: every subject's cumulative share (thin), all trials (bold).

    trials : of ``behaviour_trials.tsv``.
    """
    sets = list(dict.fromkeys(row["set"] for row in trials))
    known = [row for row in trials if row["rt_s"] != "n/a"]
    figure = new_figure(8.6, 2.9)
    panels = figure.subplots(1, len(sets), sharex=True, sharey=True, squeeze=False)[0]
    longest = max((number(row["rt_s"]) for row in known), default=1.0)
    for place, (axes, name) in enumerate(zip(panels, sets, strict=True)):
        colour = set_colour(name, place)
        of_set = [row for row in known if row["set"] == name]
        for subject in dict.fromkeys(row["subject"] for row in of_set):
            times = np.sort([number(row["rt_s"]) for row in of_set if row["subject"] == subject])
            axes.step(
                times, np.arange(1, times.size + 1) / times.size, where="post", color=colour, alpha=0.45, linewidth=0.8
            )
        times = np.sort([number(row["rt_s"]) for row in of_set])
        shown = sum(row["set"] == name for row in trials)
        if times.size:
            axes.step(times, np.arange(1, times.size + 1) / times.size, where="post", color=colour, linewidth=2)
            for share in (0.05, 0.25, 0.5, 0.75, 0.95):
                at = float(np.quantile(times, share))
                axes.plot(
                    [at], [share], marker="o", markersize=4.5 if share == 0.5 else 3, color=INK, markeredgecolor=PAPER
                )
            median = float(np.median(times))
            axes.annotate(
                f"median {median:.2f} s", (median, 0.5), xytext=(7, -9), textcoords="offset points", fontsize=7.5
            )
        axes.set_title(f"{name}  ({times.size} of {shown} answered)", fontsize=8.5, color=colour)
        axes.set_xlabel("reaction time (s)")
        axes.grid(color=FAINT, linewidth=0.5)
    panels[0].set_xlim(0, longest * 1.03)
    panels[0].set_ylim(0, 1.02)
    panels[0].set_ylabel("share of answers")
    return figure


def runs_figure(runs: Sequence[Row]) -> Figure:
    """Over the runs of every subject: accuracy, the difference of P(animal), median reaction time, missed trials.

    runs : of ``behaviour_runs.tsv``.

    Sets with a correct answer have an accuracy, the others a difference of P(animal): each has a panel of its own.
    """
    sets = list(dict.fromkeys(row["set"] for row in runs))
    unscored = [name for name in sets if all(row["accuracy"] == "n/a" for row in runs if row["set"] == name)]
    scored = [name for name in sets if name not in unscored]
    wanted: list[tuple[str, list[str], Callable[[Row], float]]] = [
        ("accuracy", scored, lambda row: number(row["accuracy"])),
        ("P(animal) difference", unscored, lambda row: number(row["p_difference"])),
        ("median reaction time (s)", sets, lambda row: number(row["rt_median_s"])),
        ("missed trials (%)", sets, lambda row: 100 * number(row["missed"]) / number(row["trials"])),
    ]
    wanted = [item for item in wanted if item[1]]
    figure = new_figure(8.6, 2.7)
    panels = dict(zip([title for title, *_ in wanted], figure.subplots(1, len(wanted)), strict=True))
    for title, shown, value in wanted:
        axes, most = panels[title], 0
        for place, name in enumerate(sets):
            if name not in shown:
                continue
            of_subjects = []
            for subject in dict.fromkeys(row["subject"] for row in runs):
                mine = [value(row) for row in runs if (row["subject"], row["set"]) == (subject, name)]
                axes.plot(range(1, len(mine) + 1), mine, color=set_colour(name, place), alpha=0.35, linewidth=0.8)
                of_subjects.append(mine)
            most = max([most, *map(len, of_subjects)])
            means = [
                _mean([mine[i] for mine in of_subjects if len(mine) > i]) for i in range(max(map(len, of_subjects)))
            ]
            axes.plot(
                range(1, len(means) + 1),
                means,
                color=set_colour(name, place),
                marker="o",
                markersize=4,
                markeredgecolor=PAPER,
                label=name,
            )
        axes.set_title(title, fontsize=8.5)
        axes.set_xlabel("run of the subject")
        axes.set_xticks(range(1, most + 1) if most <= 12 else range(1, most + 1, 2))
        axes.set_xlim(0.6, most + 0.4)
        axes.grid(axis="y", color=FAINT, linewidth=0.5)
    if scored:
        panels["accuracy"].set_ylim(min(panels["accuracy"].get_ylim()[0], 0.45), 1.02)
        panels["accuracy"].axhline(0.5, color=SOFT, linewidth=0.7, linestyle=CHANCE)
    if unscored:
        apart = panels["P(animal) difference"]
        most_apart = min(1.0, max(0.5, *map(abs, apart.get_ylim())))
        apart.set_ylim(-most_apart, most_apart)
        apart.axhline(0, color=SOFT, linewidth=0.7, linestyle=CHANCE)
    times, missed = panels["median reaction time (s)"], panels["missed trials (%)"]
    low, high = times.get_ylim()
    times.set_ylim(max(0.0, min(low, (low + high) / 2 - 0.15)), max(high, (low + high) / 2 + 0.15))
    missed.set_ylim(bottom=0, top=max(5.0, missed.get_ylim()[1]))
    handles: dict[str, Artist] = {
        name: handle(set_colour(name, place), marker="o", markersize=4, markeredgecolor=PAPER)
        for place, name in enumerate(sets)
    }
    handles["single subject"] = handle(SOFT, alpha=0.6, linewidth=0.8)
    handles["chance"] = handle(SOFT, linewidth=0.7, linestyle=CHANCE)
    legend_below(figure, handles)
    return figure


def consistency_figure(rows: Sequence[Row]) -> Figure | None:
    """Agreement of repeats, and beyond chance, per set: all subjects (large, with interval) and single ones (small).

    rows : of ``behaviour_consistency.tsv``. Returns None when no image was answered twice.
    """
    known = [row for row in rows if row["agreement"] != "n/a"]
    if not known:
        return None
    sets = list(dict.fromkeys(row["set"] for row in known))
    figure = new_figure(5.4, 2.7)
    left, right = figure.subplots(1, 2)
    for axes, name, title in ((left, "agreement", "Same answer again"), (right, "alpha", "Beyond chance (α)")):
        for row in known:
            _dot(axes, row, sets, sets, name, (number(row[f"{name}_low"]), number(row[f"{name}_high"])))
        axes.set_xticks(range(len(sets)), sets)
        axes.set_xlim(-0.6, len(sets) - 0.4)
        axes.set_title(title, fontsize=8.5)
        quiet_grid(axes)
    left.axhline(0.5, color=SOFT, linewidth=0.7, linestyle=(0, (3, 2)))
    left.set_ylim(0, 1.03)
    lowest = min([0.0, *(number(row["alpha_low"]) for row in known if row["alpha_low"] != "n/a")])
    right.set_ylim(lowest - 0.05, 1.03)
    return figure


def images_figure(images: Sequence[Row]) -> Figure:
    """Every image's P(animal) with its interval, in order; filled: an animal (source or target); triangle: the network says so.

    images : of ``behaviour_images.tsv``.
    """
    sets = list(dict.fromkeys(row["set"] for row in images))
    figure = new_figure(8.6, 3.2)
    panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    for place, (axes, name) in enumerate(zip(panels, sets, strict=True)):
        colour = set_colour(name, place)
        rows = sorted((row for row in images if row["set"] == name and row["p_animal"] != "n/a"), key=_place_of_image)
        for x, row in enumerate(rows):
            animal = row["animal"] == "true"
            axes.plot(
                [x] * 2,
                [number(row["p_animal_low"]), number(row["p_animal_high"])],
                color=colour,
                linewidth=0.8,
                alpha=0.6,
            )
            axes.plot(
                [x],
                [number(row["p_animal"])],
                marker="o",
                markersize=4.2,
                color=colour,
                markerfacecolor=colour if animal else PAPER,
            )
            if row["network_animal"] == "true":
                axes.plot([x], [1.055], marker="v", markersize=3, color=INK, clip_on=False)
        axes.axhline(0.5, color=SOFT, linewidth=0.7, linestyle=CHANCE)
        axes.set_xticks([])
        axes.set_xlim(-1, max(len(rows), 1))
        axes.set_ylim(-0.03, 1.09)
        axes.set_title(name, fontsize=8.5, color=colour)
        axes.set_xlabel(f"{len(rows)} images, ordered")
        axes.grid(axis="y", color=FAINT, linewidth=0.5)
    panels[0].set_ylabel("share of “animal” answers")
    legend_below(
        figure,
        {
            "animal": handle(SOFT, marker="o", markersize=4.2, linewidth=0),
            "not an animal": handle(SOFT, marker="o", markersize=4.2, markerfacecolor=PAPER, linewidth=0),
            "the network says animal": handle(INK, marker="v", markersize=4, linewidth=0),
            "interval over trials": handle(SOFT, linewidth=0.8),
            "chance": handle(SOFT, linewidth=0.7, linestyle=CHANCE),
        },
    )
    return figure


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def _place_of_image(row: Row) -> tuple[float, bool, str]:
    return number(row["p_animal"]), row["animal"] == "true", row["stim_id"]


def _said_animal(axes: Axes, rows: Sequence[Row], intervals: Sequence[Row], sets: Sequence[str]) -> None:
    for row in rows:
        place, pooled = sets.index(row["set"]), row["subject"] == POOLED
        colour = set_colour(row["set"], place)
        for measure, shift, filled in (("p_animal_if_animal", -0.17, True), ("p_animal_if_not", 0.17, False)):
            x = place + shift + (0.0 if pooled else 0.1)
            if pooled:
                low, high = bounds_of(intervals, row, measure)
                axes.plot([x] * 2, [low, high], color=colour, linewidth=1.2)
            axes.plot(
                [x],
                [number(row[measure])],
                marker="o",
                markersize=6.5 if pooled else 3,
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
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    axes.set_ylabel("share of “animal” answers")
    axes.set_title("Animal?  ● is one   ○ is not", fontsize=8.5)


def _dots(
    axes: Axes, rows: Sequence[Row], intervals: Sequence[Row], sets: Sequence[str], shown: Sequence[str], measure: str
) -> None:
    for row in rows:
        if row["set"] in shown and row[measure] != "n/a":
            _dot(axes, row, sets, shown, measure, bounds_of(intervals, row, measure))
    axes.set_xticks(range(len(shown)), shown)
    axes.set_xlim(-0.6, max(len(shown), 1) - 0.4)
    axes.margins(y=0.12)
    quiet_grid(axes)


def _dot(
    axes: Axes, row: Row, sets: Sequence[str], shown: Sequence[str], measure: str, bounds: tuple[float, float]
) -> None:
    """One value: a large dot with its interval for all subjects together, a small one for a single subject."""
    pooled = row["subject"] == POOLED
    x, colour = shown.index(row["set"]) + (0.0 if pooled else 0.16), set_colour(row["set"], sets.index(row["set"]))
    if pooled:
        axes.plot([x] * 2, list(bounds), color=colour, linewidth=1.2)
    axes.plot(
        [x],
        [number(row[measure])],
        marker="o",
        markersize=6.5 if pooled else 3,
        color=colour,
        markeredgecolor=PAPER if pooled else colour,
        alpha=1.0 if pooled else 0.6,
    )


def bounds_of(intervals: Sequence[Row], row: Row, measure: str) -> tuple[float, float]:
    """The interval of a measure that is drawn: over images where it can be made, else over trials."""
    for resampled in SETTLED:
        for found in intervals:
            if (
                found["measure"] == measure
                and found["resampled"] == resampled
                and all(found[name] == row[name] for name in ("at", "subject", "set"))
                and found["ci_low"] != "n/a"
            ):
                return number(found["ci_low"]), number(found["ci_high"])
    return math.nan, math.nan
