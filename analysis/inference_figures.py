"""Figures drawn from the tables of voxels, scaling, correspondence and models; columns by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.figure_style import (
    FAINT,
    INK,
    PAPER,
    SOFT,
    handle,
    legend_below,
    new_figure,
    pair_colour,
    quiet_grid,
    set_colour,
)
from protocols.tables import number

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, str]
LINES: tuple[tuple[float, Sequence[float]], ...] = ((0, ()), (0, (3, 1.5)), (0, (1, 1)))
LEAST_SPAN = 0.2  # of the colours of similarities, either way
SCALINGS = {
    "none": "none",
    "z_voxel_run": "z per voxel\nand run",
    "mean_removed": "mean\nremoved",
    "mean_removed_within_type": "mean removed\nwithin type",
}


def reliability_figure(rows: Sequence[Row], rois: Sequence[str]) -> Figure:
    """The reliability of every chosen voxel, per ROI and subject.

    rows : of the tables of chosen voxels (roi, subject, reliability).
    rois : in the order of the figure.
    """
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    figure = new_figure(8.6, 2.9)
    axes = figure.subplots()
    for place, roi in enumerate(rois):
        for k, subject in enumerate(subjects):
            values = np.array(
                [number(row["reliability"]) for row in rows if (row["roi"], row["subject"]) == (roi, subject)]
            )
            values = np.sort(values[np.isfinite(values)])
            if not values.size:
                continue
            x = place + 0.8 * (k + 0.5) / len(subjects) - 0.4
            spread = 0.28 / len(subjects) * np.sin(np.arange(values.size) * 2.4)  # by rank: needs no random numbers
            axes.scatter(x + spread, values, s=5, color=pair_colour(1), alpha=0.35, linewidth=0)
            axes.plot(
                [x - 0.3 / len(subjects), x + 0.3 / len(subjects)],
                [float(np.median(values))] * 2,
                color=INK,
                linewidth=1.6,
            )
            if len(subjects) <= 6:
                axes.annotate(
                    subject, (x, 0.01), xycoords=("data", "axes fraction"), ha="center", fontsize=6.5, color=SOFT
                )
    axes.set_xticks(range(len(rois)), rois)
    axes.set_xlim(-0.5, len(rois) - 0.5)
    axes.set_ylabel("reliability of chosen voxels (r)")
    axes.set_ylim(top=1)
    quiet_grid(axes)
    return figure


def scaling_figure(rows: Sequence[Row]) -> Figure:
    """Similarity under every scaling, a panel per pair of sets, a line per ROI; what the study uses is filled.

    rows : of ``scaling_dependence.tsv``.
    """
    pairs = list(dict.fromkeys(row["pair"] for row in rows))
    rois = list(dict.fromkeys(row["roi"] for row in rows))
    scalings = list(dict.fromkeys(row["pattern_scaling"] for row in rows))
    poolings = list(dict.fromkeys(row["pooling"] for row in rows))
    figure = new_figure(8.6, 3.3)
    panels = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
    shades = _shades(len(rois))
    for axes, pair in zip(panels, pairs, strict=True):
        for roi, shade in zip(rois, shades, strict=True):
            for pooling, style in zip(poolings, LINES, strict=False):
                mine = [row for row in rows if (row["pair"], row["roi"], row["pooling"]) == (pair, roi, pooling)]
                x = [scalings.index(row["pattern_scaling"]) for row in mine]
                y = [number(row["similarity"]) for row in mine]
                axes.plot(x, y, color=shade, linestyle=style, linewidth=1.1, zorder=2)
                for row, at, value in zip(mine, x, y, strict=True):
                    face = shade if row["used"] == "true" else PAPER
                    size = 6.5 if row["used"] == "true" else 3.5
                    axes.plot(
                        [at],
                        [value],
                        marker="o",
                        markersize=size,
                        color=shade,
                        markerfacecolor=face,
                        zorder=4 if face == shade else 3,
                    )
        axes.set_xticks(range(len(scalings)), [SCALINGS.get(name, name.replace("_", " ")) for name in scalings])
        axes.tick_params(axis="x", labelsize=7)
        axes.set_xlim(-0.3, len(scalings) - 0.7)
        axes.set_title(pair, color=pair_colour(pairs.index(pair)))
        quiet_grid(axes)
    panels[0].set_ylabel("similarity of RDMs (r)")
    _line_legend(figure, rois, shades, poolings)
    return figure


def _line_legend(figure: Figure, rois: Sequence[str], shades: Sequence[str], poolings: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=shade, linewidth=2) for shade in shades]
    labels = list(rois)
    if len(poolings) > 1:
        for pooling, style in zip(poolings, LINES, strict=False):
            handles.append(Line2D([], [], color=SOFT, linestyle=style, linewidth=1.1))
            labels.append(
                {"raw": "subjects side by side", "concatenated": "subjects side by side"}.get(
                    pooling, f"pooled: {pooling.replace('_', ' ')}"
                )
            )
    handles.append(Line2D([], [], color=SOFT, marker="o", linewidth=0, markersize=6.5))
    labels.append("used by this study")
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 9))


def _shades(count: int) -> list[str]:
    """From dark to light along the hierarchy, apart for every common colour deficiency."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"](value)) for value in np.linspace(0.0, 0.82, max(count, 2))][:count]


def correspondence_figure(rows: Sequence[Row]) -> Figure:
    """Layer × ROI, a matrix per stimulus set; outlined where the corrected p-value is below 0.05.

    rows : of one subject (or the pooled voxels) and one measure.

    Colours span at least ±0.2, so that noise does not look like structure.
    """
    from matplotlib.patches import Patch, Rectangle

    sets = list(dict.fromkeys(row["set"] for row in rows))
    layers, rois = (list(dict.fromkeys(row[name] for row in rows)) for name in ("layer", "roi"))
    figure = new_figure(8.6, 1.15 + 0.3 * len(layers) + 0.6)
    panels = figure.subplots(1, len(sets), sharey=True, squeeze=False)[0]
    values = [number(row["similarity"]) for row in rows]
    most = max(LEAST_SPAN, *(abs(value) for value in values if math.isfinite(value)))
    sure = 0
    image = None
    for axes, name in zip(panels, sets, strict=True):
        grid = np.full((len(layers), len(rois)), np.nan)
        for row in rows:
            if row["set"] == name:
                i, j = layers.index(row["layer"]), rois.index(row["roi"])
                grid[i, j] = number(row["similarity"])
                if number(row.get("p_corrected", "n/a")) < 0.05:
                    sure += 1
                    axes.add_patch(
                        Rectangle((j - 0.44, i - 0.42), 0.88, 0.84, fill=False, edgecolor=INK, linewidth=1.1)
                    )
        image = axes.imshow(grid, cmap="PuOr_r", vmin=-most, vmax=most, aspect="auto")
        for i, j in np.ndindex(*grid.shape):
            if math.isfinite(grid[i, j]):
                light = abs(grid[i, j]) > 0.72 * most
                text = f"{round(float(grid[i, j]), 2) + 0.0:.2f}".replace("-", "\u2212").replace("0.", ".", 1)
                axes.text(j, i, text, ha="center", va="center", fontsize=6.5, color=PAPER if light else INK)
        axes.set_xticks(range(len(rois)), rois)
        axes.set_yticks(range(len(layers)), layers)
        axes.tick_params(length=0)
        axes.set_title(name, color=set_colour(name, sets.index(name)))
        for spine in axes.spines.values():
            spine.set_visible(False)
    if image is not None:
        bar = figure.colorbar(image, ax=panels, fraction=0.03, pad=0.015, aspect=22)
        bar.set_label("similarity of RDMs (r)", fontsize=8)
        bar.outline.set_visible(False)  # type: ignore[operator]  # its stubs call it a spine of many
    outline = Patch(fill=False, edgecolor=INK, linewidth=1.1)
    told = f"p < 0.05, corrected over layers and ROIs ({sure} of {len(rows)} cells)"
    legend_below(figure, {told: outline})
    return figure


def models_figure(rows: Sequence[Row], places: Sequence[str], ceilings: Sequence[Row] = ()) -> Figure:
    """Similarity with every model at every place, a panel per model, a line per stimulus set; filled: corrected p below 0.05.

    rows     : of one subject (or the pooled voxels) and one measure.
    ceilings : noise ceilings of the same subject and measure, drawn as a band per set; none: no bands.
    """
    models, sets = (list(dict.fromkeys(row[name] for row in rows)) for name in ("model", "set"))
    from matplotlib.patches import Patch

    columns = min(4, len(models))
    lines = -(-len(models) // columns)
    figure = new_figure(8.6, 0.6 + 2.1 * lines)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes, model in zip(panels, models, strict=False):
        for name in sets:
            mine = [row for row in rows if (row["model"], row["set"]) == (model, name)]
            colour = set_colour(name, sets.index(name))
            x = [places.index(row["place"]) for row in mine]
            y = [number(row["similarity"]) for row in mine]
            beside = 0.26 * (sets.index(name) - (len(sets) - 1) / 2)
            _ceiling(axes, [row for row in ceilings if row["set"] == name], places, beside, colour)
            axes.plot(x, y, color=colour, linewidth=1)
            for at, value, row in zip(x, y, mine, strict=True):
                sure = number(row.get("p_corrected", "n/a")) < 0.05
                axes.plot(
                    [at], [value], marker="o", markersize=4.5, color=colour, markerfacecolor=colour if sure else PAPER
                )
        axes.set_xticks(range(len(places)), places)
        axes.tick_params(axis="x", labelsize=7)
        axes.set_title(model.replace("_", " "), fontsize=8.5)
        axes.grid(axis="y", color=FAINT, linewidth=0.5)
        axes.axhline(0, color=SOFT, linewidth=0.7)
    for axes in panels[len(models) :]:
        axes.set_axis_off()
    for axes in panels[::columns]:
        axes.set_ylabel("similarity (r)")
    handles: dict[str, Artist] = {
        name: handle(set_colour(name, place), linewidth=1.6) for place, name in enumerate(sets)
    }
    handles["p < 0.05, corrected"] = handle(SOFT, marker="o", markersize=4.5, linewidth=0)
    handles["p ≥ 0.05"] = handle(SOFT, marker="o", markersize=4.5, linewidth=0, markerfacecolor=PAPER)
    if ceilings:
        handles["noise ceiling of the set"] = Patch(color=SOFT, alpha=0.25, linewidth=0)
    legend_below(figure, handles)
    return figure


def _ceiling(axes: Axes, rows: Sequence[Row], places: Sequence[str], beside: float, colour: str) -> None:
    """The noise ceiling of one set as a narrow band at every place, from the lower to the upper bound.

    beside : how far from the middle of the place, so that the bands of sets stand side by side.
    """
    for row in rows:
        low, high = number(row["lower"]), number(row["upper"])
        if row["place"] in places and math.isfinite(low) and math.isfinite(high):
            at = places.index(row["place"]) + beside
            axes.fill_between([at - 0.11, at + 0.11], low, high, color=colour, alpha=0.28, linewidth=0)
