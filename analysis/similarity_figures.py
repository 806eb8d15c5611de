"""Figures of similarity: per network layer, per ROI, and estimated against true."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from analysis.brain_rdms import POOLED
from analysis.figure_style import (
    INK,
    MARKERS,
    PAPER,
    SOFT,
    handle,
    new_figure,
    pair_colour,
    panel_letter,
    quiet_grid,
)
from analysis.similarity_table import SimilarityRow

DASHES = (0, (3, 1.5))

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.container import Container
    from matplotlib.figure import Figure


def layers_figure(rows: Sequence[SimilarityRow], title: str, bars: str) -> Figure:
    """Similarity of every pair of sets along the network's layers, with intervals over units.

    bars : what the intervals are, in a word or two.
    """
    figure = new_figure(4.6, 3.5)
    draw_layers(figure.subplots(), rows, title, bars)
    return figure


def rois_figure(rows: Sequence[SimilarityRow], title: str, bars: str) -> Figure:
    """Similarity of every pair of sets per ROI: pooled voxels with intervals, and every subject as a ring.

    bars : what the intervals are, in a word or two.
    """
    figure = new_figure(4.6, 3.5)
    draw_rois(figure.subplots(), rows, title, bars)
    return figure


def draw_layers(axes: Axes, rows: Sequence[SimilarityRow], title: str, bars: str, letter: str = "") -> None:
    """`layers_figure` on given axes."""
    places = list(dict.fromkeys(row.place for row in rows))
    ends = []
    for number, pair in enumerate(dict.fromkeys(row.pair for row in rows)):
        of_pair = [row for row in rows if row.pair == pair]
        x = [places.index(row.place) for row in of_pair]
        y = [row.similarity for row in of_pair]
        colour = pair_colour(number)
        axes.fill_between(
            x, [row.ci_low for row in of_pair], [row.ci_high for row in of_pair], color=colour, alpha=0.2, linewidth=0
        )
        axes.plot(x, y, color=colour, marker=MARKERS[number % 5], markersize=4.5, markeredgecolor=PAPER)
        ends.append((y[-1], pair, colour))
    _label_ends(axes, len(places) - 1, ends)
    _finish(axes, places, letter, title, rows)
    if any(math.isfinite(row.ci_low) for row in rows):
        from matplotlib.patches import Patch

        _legend_below(axes, {f"all units, {bars}": Patch(color=SOFT, alpha=0.3, linewidth=0)})


def draw_rois(axes: Axes, rows: Sequence[SimilarityRow], title: str, bars: str, letter: str = "") -> None:
    """`rois_figure` on given axes."""
    places = list(dict.fromkeys(row.place for row in rows))
    pairs = list(dict.fromkeys(row.pair for row in rows))
    ends = []
    for number, pair in enumerate(pairs):
        colour, shift = pair_colour(number), 0.16 * (number - (len(pairs) - 1) / 2)
        of_pair = [row for row in rows if row.pair == pair and row.subject == POOLED]
        x = [places.index(row.place) + shift for row in of_pair]
        y = [row.similarity for row in of_pair]
        axes.plot(x, y, color=colour, linewidth=0.8, alpha=0.55)
        _points(axes, x, of_pair, colour, MARKERS[number % 5], filled=True)
        subjects = [row for row in rows if row.pair == pair and row.subject != POOLED]
        axes.scatter(
            [places.index(row.place) + 2.1 * shift for row in subjects],
            [row.similarity for row in subjects],
            s=9,
            facecolor="none",
            edgecolor=colour,
            linewidth=0.6,
            alpha=0.75,
        )
        ends.append((y[-1], pair, colour))
    _label_ends(axes, len(places) - 1 + 0.25, ends)
    _finish(axes, places, letter, title, rows)
    drawn = any(math.isfinite(row.ci_low) for row in rows if row.subject == POOLED)
    handles: dict[str, Artist | Container] = {}
    if drawn:
        handles[f"all subjects, {bars}"] = axes.errorbar(
            [math.nan], [math.nan], yerr=[1], color=SOFT, fmt="o", markersize=5.5, markeredgecolor=PAPER, elinewidth=1.2
        )
    else:
        handles["all subjects"] = handle(SOFT, marker="o", markersize=5.5, linewidth=0)
    if any(row.subject != POOLED for row in rows):
        handles["single subject"] = handle(
            SOFT, marker="o", markerfacecolor="none", linewidth=0, markersize=3.5, markeredgewidth=0.6
        )
    _legend_below(axes, handles)


def _legend_below(axes: Axes, handles: Mapping[str, Artist | Container]) -> None:
    from matplotlib.container import ErrorbarContainer
    from matplotlib.legend_handler import HandlerErrorbar

    columns = 2 if max(map(len, handles)) < 36 else 1
    axes.legend(
        list(handles.values()), list(handles), loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=columns, fontsize=7.5,
        handletextpad=0.5, columnspacing=1.4, handler_map={ErrorbarContainer: HandlerErrorbar(yerr_size=0.8)},
    )  # fmt: skip


def truth_figure(rows: Sequence[SimilarityRow]) -> Figure:
    """Estimated against true similarity of a simulated brain: as measured, corrected for reliability, and the truth."""
    pooled = [row for row in rows if row.subject == POOLED]
    pairs = list(dict.fromkeys(row.pair for row in pooled))
    figure = new_figure(3.7 * len(pairs) + 0.6, 3.2)
    grid = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
    for number, (axes, pair) in enumerate(zip(grid, pairs, strict=True)):
        of_pair = [row for row in pooled if row.pair == pair]
        colour = pair_colour(number)
        x = list(range(len(of_pair)))
        for place, row in zip(x, of_pair, strict=True):
            axes.plot([place - 0.36, place + 0.36], [row.truth] * 2, color=INK, linewidth=2.2, solid_capstyle="butt")
            axes.plot([place - 0.36, place + 0.36], [row.truth_chosen] * 2, color=INK, linewidth=0.9, linestyle=DASHES)
        _points(axes, [place - 0.13 for place in x], of_pair, colour, "o", filled=False)
        _corrected(axes, [place + 0.13 for place in x], of_pair, colour)
        axes.set_title(pair, color=colour)
        axes.set_xticks(x, [row.place for row in of_pair])
        axes.set_xlim(-0.6, len(x) - 0.4)
        quiet_grid(axes)
    low = min([0.0, *(row.ci_low for row in pooled if math.isfinite(row.ci_low))])
    grid[0].set_ylim(max(-0.6, low - 0.15), 1.28)
    grid[0].set_ylabel("similarity of RDMs (r)")
    _truth_legend(figure)
    return figure


def _corrected(axes: Axes, x: Sequence[float], rows: Sequence[SimilarityRow], colour: str) -> None:
    for place, row in zip(x, rows, strict=True):
        if not math.isfinite(row.corrected):
            axes.annotate(
                "n/a", (place, 0.02), xycoords=("data", "axes fraction"), ha="center", fontsize=6.5, color=SOFT
            )
            continue
        if math.isfinite(row.corrected_low):
            axes.plot([place] * 2, [row.corrected_low, row.corrected_high], color=colour, linewidth=1.2)
        axes.plot([place], [row.corrected], marker="o", markersize=5.5, color=colour, markeredgecolor=PAPER)


def _truth_legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=INK, linewidth=2.2),
        Line2D([], [], color=INK, linewidth=0.9, linestyle=DASHES),
        Line2D([], [], color=SOFT, marker="o", markerfacecolor=PAPER, linewidth=1.2, markersize=5.5),
        Line2D([], [], color=SOFT, marker="o", linewidth=1.2, markersize=5.5),
    ]
    labels = ["truth, all informative voxels", "truth, chosen voxels", "as measured", "corrected for reliability"]
    figure.legend(handles, labels, loc="outside lower center", ncols=4)


def _points(
    axes: Axes, x: Sequence[float], rows: Sequence[SimilarityRow], colour: str, marker: str, *, filled: bool
) -> None:
    for place, row in zip(x, rows, strict=True):
        if math.isfinite(row.ci_low):
            axes.plot([place] * 2, [row.ci_low, row.ci_high], color=colour, linewidth=1.2)
        edge, face = (PAPER, colour) if filled else (colour, PAPER)
        axes.plot([place], [row.similarity], marker=marker, markersize=5.5, markerfacecolor=face, markeredgecolor=edge)


def _label_ends(axes: Axes, x: float, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names at the ends of the lines instead of a legend, pushed apart where they would overlap."""
    last = -math.inf
    for y, text, colour in sorted(ends):
        y = max(y, last + 0.09)
        last = y
        axes.annotate(
            text,
            (x, y),
            xytext=(9, 0),
            textcoords="offset points",
            color=colour,
            fontweight="bold",
            va="center",
            annotation_clip=False,
        )


def _finish(axes: Axes, places: Sequence[str], letter: str, title: str, rows: Sequence[SimilarityRow]) -> None:
    axes.set_xticks(range(len(places)), places, fontsize=8 if len(places) < 7 else 7)
    axes.set_xlim(-0.5, len(places) - 0.25)
    finite = [value for row in rows for value in (row.similarity, row.ci_low) if math.isfinite(value)]
    axes.set_ylim(min(-0.08, min(finite) - 0.05), 1.05)
    axes.set_ylabel("similarity of RDMs (r)")
    axes.set_title(title)
    quiet_grid(axes)
    panel_letter(axes, letter)
