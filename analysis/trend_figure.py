"""Similarity along layers and ROIs, with what the tests for a trend said written into the panel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from analysis.figure_style import INK, MARKERS, PAPER, new_figure, pair_colour, quiet_grid
from protocols.tables import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, str]
MINUS = "\u2212"
SURE = 0.05
COLUMNS = {
    "along": "The places, in the order of the study file (ROIs) or of the network (layers).",
    "series": "Pair of sets, or difference of two pairs.",
    "place": "ROI or network layer.",
    "value": "Similarity, or difference of similarities.",
    "tau_a": "Mann-Kendall S over the number of pairs of places: 1, rising all along; -1, falling all along.",
    "p": "Its p-value, two-sided, exact, over all orders of the places.",
    "rho": "Spearman's correlation of value and place.",
    "p_rho": "Its p-value, two-sided, exact; n/a for more than 9 places.",
    "selection": "How voxels were chosen; a circular choice says so. n/a: a network.",
}
"""What the figure is drawn from, a row per place of every series."""


def trends_figure(rows: Sequence[Row], titles: Mapping[str, str]) -> Figure:
    """Every series over its places, a panel for layers and one for ROIs; pairs solid, differences dashed.

    rows   : with `COLUMNS`, as text.
    titles : ``"layers"`` or ``"ROIs"`` -> heading of the panel.
    """
    shown = [along for along in titles if any(row["along"] == along for row in rows)]
    names = list(dict.fromkeys(row["series"] for row in rows))
    figure = new_figure(8.6 if len(shown) > 1 else 5.0, 3.3 + 0.17 * len(names))
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, along in zip(panels, shown, strict=True):
        _panel(axes, [row for row in rows if row["along"] == along], names)
        axes.set_title(titles[along])
        quiet_grid(axes)
    values = [value for row in rows if math.isfinite(value := number(row["value"]))]
    panels[0].set_ylim(
        min([-0.08, *(value - 0.06 for value in values)]), max([1.05, *(value + 0.06 for value in values)])
    )
    panels[0].set_ylabel("similarity of RDMs (r)")
    return figure


def _panel(axes: Axes, rows: Sequence[Row], names: Sequence[str]) -> None:
    places = list(dict.fromkeys(row["place"] for row in rows))
    for at, name in enumerate(names):
        mine = [row for row in rows if row["series"] == name]
        if not mine:
            continue
        apart = " minus " in name
        axes.plot(
            [places.index(row["place"]) for row in mine],
            [number(row["value"]) for row in mine],
            color=INK if apart else pair_colour(at),
            linestyle=(0, (3, 1.5)) if apart else "solid",
            linewidth=1.0 if apart else 1.4,
            marker="" if apart else MARKERS[at % len(MARKERS)],
            markersize=4.5,
            markeredgecolor=PAPER,
            label=f"{name.replace(' minus ', f' {MINUS} ')}: {verdict(mine[0])}",
        )
    axes.set_xticks(range(len(places)), places)
    axes.tick_params(axis="x", labelsize=7.5)
    axes.set_xlim(-0.3, len(places) - 0.7)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.04, -0.1), fontsize=7.2, handlelength=2.4, borderaxespad=0.2)


def verdict(row: Row) -> str:
    """Whether a series rises or falls, with Mann-Kendall's τ and its p-value, and Spearman's ρ."""
    tau, p = number(row["tau_a"]), number(row["p"])
    word = "no trend shown" if not p < SURE else "rises" if tau > 0 else "falls"
    rho = number(row["rho"])
    ranks = f"; ρ {_signed(rho)}" if math.isfinite(rho) else ""
    return f"{word} (τ {_signed(tau)}, p {_p(p)}{ranks})"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", MINUS)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
