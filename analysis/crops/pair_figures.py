"""Figures of pairs of crops, drawn from the tables: rates, gaps beside chance, gaps beside the network's, plates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.crops.chance_gaps import Chance, chance_of_pair
from analysis.crops.pair_rows import counts_of
from analysis.figure_style import FAINT, INK, PAPER, SOFT, handle, legend_below, new_figure
from protocols.tables import number

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, str]
FIRST, SECOND = "#1d5c8f", "#d1495b"
"""The member that the network recognises, and its twin that it does not."""
MOST_LABELLED = 60
_DOT: dict[str, Any] = {"marker": "o", "markersize": 4.6, "markeredgecolor": PAPER, "markeredgewidth": 0.5}
PLATES = 6
ROW_IN, SIDE_IN = 1.87, 1.28
"""Of the plates: height of a line of pairs, and side of a crop, inches."""


def pairs_figure(pairs: Sequence[Row], summary: Sequence[Row]) -> Figure:
    """Both members' rates of every pair, by the size of the gap, with Wilson's intervals; at the right the means.

    pairs   : of ``<task>_pairs.tsv``, one question and condition.
    summary : of ``<task>_summary.tsv``, the same, people who count.
    """
    known = sorted((row for row in pairs if row["gap"] != "n/a"), key=lambda row: (-number(row["gap"]), row["unit"]))
    figure = new_figure(8.6, 3.4)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(6.2, 1))
    width = 1.5 if len(known) <= MOST_LABELLED else 0.8
    for x, row in enumerate(known):
        first, second = number(row["rate_first"]), number(row["rate_second"])
        left.plot([x - 0.2, x + 0.2], [first, second], color=SOFT, linewidth=width * 0.8, alpha=0.9, zorder=2)
        for at, name, colour in ((x - 0.2, "first", FIRST), (x + 0.2, "second", SECOND)):
            low, high = number(row[f"rate_{name}_low"]), number(row[f"rate_{name}_high"])
            left.plot([at, at], [low, high], color=colour, linewidth=width * 0.7, alpha=0.32, zorder=1)
            left.plot([at], [number(row[f"rate_{name}"])], color=colour, zorder=3, **_DOT)
    reversed_from = sum(number(row["gap"]) > 0 for row in known)
    tied = sum(number(row["gap"]) == 0 for row in known)
    for edge in dict.fromkeys((reversed_from, reversed_from + tied)):
        if 0 < edge < len(known):
            left.axvline(edge - 0.5, color=SOFT, linewidth=0.7, linestyle=(0, (3, 2)))
    left.set_xlim(-0.8, len(known) - 0.2)
    left.set_ylim(-0.02, 1.02)
    left.set_xticks([])
    for count, middle, words in (
        (reversed_from, (reversed_from - 1) / 2, "as the network"),
        (tied, reversed_from + (tied - 1) / 2, "alike"),
        (len(known) - reversed_from - tied, (reversed_from + tied + len(known) - 1) / 2, "the other way round"),
    ):
        if count:
            _below(left, f"{words}\n{count}", middle, 7.5, SOFT)
    left.set_ylabel("share recognised by people")
    left.set_title(f"{len(known)} pairs, in order of their gap")
    left.grid(axis="y", color=FAINT, linewidth=0.5)
    _means(right, summary)
    legend_below(
        figure,
        {
            "crop that the network recognises": _dot(FIRST),
            "its twin that the network does not recognise": _dot(SECOND),
        },
    )
    return figure


def network_figure(pairs: Sequence[Row], summary: Sequence[Row]) -> Figure:
    """People's gap against the network's, pair by pair.

    Arguments as in `pairs_figure`.
    """
    known = [row for row in pairs if row["gap"] != "n/a"]
    figure = new_figure(5.2, 3.6)
    axes = figure.subplots()
    x = [number(row["network_gap"]) for row in known]
    y = [number(row["gap"]) for row in known]
    for row, at in zip(known, x, strict=True):
        axes.plot([at, at], [number(row["gap_low"]), number(row["gap_high"])], color=SOFT, linewidth=0.7, alpha=0.3)
    axes.axhline(0, color=SOFT, linewidth=0.7)
    axes.plot(x, y, linestyle="none", marker="o", markersize=4.8, color=INK, markeredgecolor=PAPER, markeredgewidth=0.5)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.7, linestyle=(0, (3, 2)))
    people, network = float(np.mean(y)), float(np.mean(x))
    axes.axhline(people, color=SECOND, linewidth=0.9, linestyle=(0, (1, 1.5)))
    axes.axvline(network, color=FIRST, linewidth=0.9, linestyle=(0, (1, 1.5)))
    _near(axes, f"people’s\nmean {_signed(people)}", (1, people), (4, 0), SECOND, ha="left", va="center")
    _near(axes, f"network’s mean {_signed(network)}", (network, -1), (3, 3), FIRST, ha="left", va="bottom")
    rho = next((row for row in summary if row["measure"] == "spearman"), None)
    if rho is not None and rho["value"] != "n/a":
        axes.set_title(f"ρ = {_signed(number(rho['value']))} {_bounds(rho)}", fontsize=8.5)
    axes.set_xlim(0 if min(x, default=0) >= 0 else -1, 1)
    axes.set_ylim(-1, 1)
    axes.set_xlabel("network’s gap in confidence (chosen, hence inflated)")
    axes.set_ylabel("people’s gap in recognition")
    legend_below(figure, {"a pair": _dot(INK), "gaps of one size": handle(SOFT, linewidth=0.7, linestyle=(0, (3, 2)))})
    return figure


def chance_figure(pairs: Sequence[Row], summary: Sequence[Row]) -> Figure:
    """Absolute gaps beside what chance alone gives: of single pairs, and their mean.

    Arguments as in `pairs_figure`.
    """
    rows = chance_rows(pairs)
    figure = new_figure(8.6, 2.9)
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    at = np.array([float(row["gap"]) for row in rows])
    width = (at[1] - at[0]) if len(at) > 1 else 0.05
    left.bar(at, [float(row["pairs"]) for row in rows], width=width * 0.86, color=INK, alpha=0.28, linewidth=0)
    chance = [float(row["chance"]) for row in rows]
    left.step([*(at - width / 2), at[-1] + width / 2], [*chance, chance[-1]], where="post", color=SECOND, linewidth=1.4)
    left.set_xlabel("absolute gap of a pair")
    left.set_ylabel("pairs")
    left.set_title("Single pairs")
    left.set_xlim(-width / 2, max(0.5, float(at[-1])) + width / 2)
    found = [row for row in summary if row["measure"] == "abs_gap"]
    names = {
        "two binomials": "chance: same rate, answers\nindependent",
        "people dealt": "chance: same rate, people\ndealt anew to the lists",
    }
    right.set_title("Mean over pairs")
    for place, row in enumerate(found):
        y = len(found) - 1 - place
        words = next((text for start, text in names.items() if row["p_method"].startswith(start)), row["p_method"])
        bounds = [number(row["chance_low"]), number(row["chance_high"])]
        right.plot(bounds, [y, y], color=SECOND, linewidth=5, alpha=0.35, solid_capstyle="butt")
        right.plot([number(row["chance"])], [y], marker="o", color=SECOND, markersize=5.5, markeredgecolor=PAPER)
        _near(right, f"p {_p(number(row['p']))}", (number(row["chance"]), y), (0, -8), SECOND, ha="center", va="top")
        _near(right, words, (0, y), (-6, 0), INK, ha="right", va="center")
    if found:
        value = number(found[0]["value"])
        right.axvline(value, color=INK, linewidth=1.6)
        _near(right, f"found {value:.2f}", (value, len(found) - 0.25), (4, -2), INK, ha="left", va="top")
        right.set_xlim(0, max(0.3, 1.25 * value, 1.2 * max(number(row["chance_high"]) for row in found)))
    right.set_ylim(-0.75, len(found) - 0.25)
    right.set_yticks([])
    right.spines["left"].set_visible(False)
    right.set_xlabel("mean absolute gap")
    legend_below(
        figure,
        {"found": _patch(INK, 0.28), "chance alone, both members at their pooled rate": handle(SECOND, linewidth=1.4)},
    )
    return figure


def chance_rows(pairs: Sequence[Row]) -> list[dict[str, float]]:
    """Absolute gaps in steps of one answer: how many pairs have each, and how many would by chance.

    Returns rows of gap (middle of the step), pairs, chance.
    """
    counts = [counts_of(row) for row in pairs if row["gap"] != "n/a"]
    step = 1 / max(1, round(np.median([n for pair in counts for n in pair.answers])))
    edges = np.arange(-step / 2, 1 + step, step)
    found = np.histogram([pair.gap for pair in counts], edges)[0]
    chance = np.zeros(edges.size - 1)
    for pair in counts:
        of_pair: Chance = chance_of_pair(pair)
        chance += np.histogram(of_pair.gap, edges, weights=of_pair.share)[0]
    last = int(max(np.flatnonzero((found > 0) | (chance > 0.01)), default=0)) + 1
    return [
        {"gap": round(float(edges[k] + step / 2), 6) + 0.0, "pairs": float(found[k]), "chance": float(chance[k])}
        for k in range(last)
    ]


def plates_figure(pairs: Sequence[Row], files: Mapping[str, Path], count: int = PLATES) -> Figure | None:
    """The pairs with the largest gaps: both crops side by side, with people's rates.

    files : image -> its file. Returns None where no pair has both its files.
    """
    shown = largest(pairs, files, count)
    if not shown:
        return None
    columns = min(3, len(shown))
    lines = math.ceil(len(shown) / columns)
    width, height = 8.6, ROW_IN * lines + 0.1
    figure = new_figure(width, height)
    # places by hand: the last bits of those that a layout finds vary, and with them single pixels of an image
    figure.set_layout_engine("none")
    for place, row in enumerate(shown):
        left = width / columns * (place % columns) + 0.09
        bottom = ROW_IN * (lines - 1 - place // columns) + 0.3
        both = [
            figure.add_axes(((left + at) / width, bottom / height, SIDE_IN / width, SIDE_IN / height))
            for at in (0, SIDE_IN + 0.1)
        ]
        _plate(both, row, files)
    return figure


def largest(pairs: Sequence[Row], files: Mapping[str, Path], count: int = PLATES) -> list[Row]:
    """The pairs with the largest absolute gaps whose files are there."""
    known = [row for row in pairs if row["gap"] != "n/a"]
    there = [row for row in known if all(files[row[name]].is_file() for name in ("first_id", "second_id"))]
    return sorted(there, key=lambda row: (-number(row["abs_gap"]), row["unit"]))[:count]


def _plate(both: Sequence[Axes], row: Row, files: Mapping[str, Path]) -> None:
    from PIL import Image

    words = (row["supercategory"].replace("_", " "), f"gap {_signed(number(row['gap']))}")
    for place, (axes, name, colour) in enumerate(zip(both, ("first", "second"), (FIRST, SECOND), strict=True)):
        axes.set_title(words[place], fontsize=8.5, loc="left" if place == 0 else "right", fontweight="normal", pad=4)
        with Image.open(files[row[f"{name}_id"]]) as image:
            axes.imshow(np.asarray(image.convert("RGB")), interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(visible=True, color=colour, linewidth=2)
        right, n = row[f"right_{name}"], row[f"n_{name}"]
        share = 100 * number(row[f"rate_{name}"])
        axes.set_xlabel(f"{share:.0f} %  ({right}/{n})", color=colour, fontsize=8)


def _means(axes: Axes, summary: Sequence[Row]) -> None:
    """Both members' mean rates with their intervals over pairs and people, and the gap in words."""
    for x, of, colour in ((0, "recognised", FIRST), (1, "other", SECOND)):
        row = _the(summary, of, "rate")
        if row is None or row["value"] == "n/a":
            continue
        axes.plot([x, x], [number(row["ci_low"]), number(row["ci_high"])], color=colour, linewidth=1.6)
        axes.plot([x], [number(row["value"])], marker="o", markersize=7.5, color=colour, markeredgecolor=PAPER)
    gap = _the(summary, "recognised minus other", "gap")
    if gap is not None and gap["value"] != "n/a":
        _below(axes, f"gap {_signed(number(gap['value']))}\n{_bounds(gap)}", 0.5, 8, INK)
    axes.set_xlim(-0.7, 1.7)
    axes.set_xticks([])
    axes.set_title("Means", loc="center")
    axes.grid(axis="y", color=FAINT, linewidth=0.5)


def _below(axes: Axes, text: str, x: float, size: float, colour: str) -> None:
    """Words below the axis of x."""
    axes.annotate(
        text, (x, 0), xycoords=("data", "axes fraction"), xytext=(0, -5), textcoords="offset points", ha="center", va="top",
        fontsize=size, color=colour,
    )  # fmt: skip


def _near(axes: Axes, text: str, place: tuple[float, float], by: tuple[float, float], colour: str, **more: Any) -> None:
    """Words beside a point of the data."""
    axes.annotate(text, place, xytext=by, textcoords="offset points", fontsize=7.5, color=colour, **more)


def _the(summary: Sequence[Row], of: str, measure: str) -> Row | None:
    return next((row for row in summary if (row["of"], row["measure"]) == (of, measure)), None)


def _bounds(row: Row) -> str:
    if row["ci_low"] == "n/a":
        return ""
    return f"[{_signed(number(row['ci_low']))}, {_signed(number(row['ci_high']))}]"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def _signed(value: float) -> str:
    text = f"{value:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "\u2212")


def _dot(colour: str) -> Artist:
    return handle(colour, marker="o", markersize=5, markeredgecolor=PAPER, linestyle="none")


def _patch(colour: str, alpha: float) -> Artist:
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, alpha=alpha, linewidth=0)
