"""RDMs as pictures: one row per stimulus set, one column per ROI or layer, one scale for all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.figure_style import PAPER, SOFT, new_figure
from analysis.rdm import Rdm, squared
from protocols.dissimilarity_names import in_words
from protocols.manifest import Stimulus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCALE = (2.0, 98.0)  # percentiles of all dissimilarities shown that span the colours


def rdms_figure(
    rdms: Sequence[Rdm], places: Sequence[str], key: str, stimuli: Sequence[Stimulus], *, ranked: bool = False
) -> Figure:
    """A grid of RDMs, below each its least and largest dissimilarity.

    rdms    : with descriptors ``set`` and `key`.
    places  : columns, values of the descriptor `key`.
    key     : ``"roi"`` or ``"layer"``.
    stimuli : the manifest, for the supercategories that order rows and columns.
    ranked  : every matrix by the ranks of its own dissimilarities, where places differ too much for one scale.
    """
    sets = list(dict.fromkeys(rdm.descriptors["set"] for rdm in rdms))
    of_cell = {(rdm.descriptors["set"], rdm.descriptors[key]): rdm for rdm in rdms}
    low, high = (0.0, 1.0) if ranked else np.percentile(np.concatenate([rdm.values for rdm in rdms]), SCALE)
    side = 1.28
    figure = new_figure(side * len(places) + 1.75, side * len(sets) + 1.15)
    grid = figure.subplots(len(sets), len(places), squeeze=False)
    image = None
    for row, name in enumerate(sets):
        for column, place in enumerate(places):
            axes, rdm = grid[row, column], of_cell[name, place]
            order, groups = by_supercategory(rdm.stim_ids, stimuli)
            square = squared(rank_shares(rdm.values), len(rdm.stim_ids)) if ranked else rdm.square
            shown = square[np.ix_(order, order)]
            np.fill_diagonal(shown, np.nan)
            image = axes.imshow(shown, cmap="cividis", vmin=low, vmax=high, interpolation="nearest")
            _frame(axes, groups, labelled=column == 0)
            axes.set_xlabel(
                f"{_short(rdm.values.min())} – {_short(rdm.values.max())}", fontsize=7, color=SOFT, labelpad=2
            )
            if row == 0:
                axes.set_title(place, fontsize=8.5, loc="center")
            if column == len(places) - 1:
                axes.annotate(name, (1.06, 0.5), xycoords="axes fraction", rotation=-90, va="center", fontweight="bold")
    if image is not None:
        bar = figure.colorbar(image, ax=grid, orientation="horizontal", fraction=0.035, pad=0.02, aspect=45, shrink=0.5)
        measure = in_words(rdms[0].measure)
        bar.set_label(f"rank of {measure} within its matrix" if ranked else measure, fontsize=8)
        if ranked:
            bar.set_ticks([0, 0.5, 1], labels=["lowest", "middle", "highest"])
        bar.ax.tick_params(labelsize=7)
    return figure


def rank_shares(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Ranks of dissimilarities from 0 (lowest) to 1 (highest), equal ones sharing their mean; all equal: 0.5."""
    from scipy.stats import rankdata

    shares: NDArray[np.float64] = (rankdata(values) - 1) / max(1, values.size - 1)
    return shares


def _short(value: float) -> str:
    return f"{value:.2f}".replace("-", "\u2212")


def by_supercategory(stim_ids: Sequence[str], stimuli: Sequence[Stimulus]) -> tuple[list[int], list[tuple[str, int]]]:
    """The rows of an RDM ordered by animacy and supercategory, and the supercategories with their sizes."""
    of_id = {stimulus.stim_id: stimulus for stimulus in stimuli}
    listed = [of_id[stim_id] for stim_id in stim_ids]
    first_seen = {name: i for i, name in reversed(list(enumerate(image.supercategory for image in listed)))}
    order = sorted(
        range(len(listed)),
        key=lambda i: (not listed[i].animal_source, first_seen[listed[i].supercategory], i),
    )
    groups = groupby(listed[i].supercategory for i in order)
    return order, [(name, len(list(members))) for name, members in groups]


def _frame(axes: Axes, groups: Sequence[tuple[str, int]], *, labelled: bool) -> None:
    edges = np.cumsum([0, *(size for _, size in groups)])
    for edge in edges[1:-1]:
        axes.axhline(edge - 0.5, color=PAPER, linewidth=0.3)
        axes.axvline(edge - 0.5, color=PAPER, linewidth=0.3)
    middles = (edges[1:] + edges[:-1]) / 2 - 0.5
    names = [name.replace("_", " ") for name, _ in groups]
    axes.set_xticks([])
    axes.set_yticks(middles if labelled else [], names if labelled else [])
    axes.tick_params(length=0, labelsize=7, labelcolor=SOFT, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
