"""Figures of the stimuli: example triplets with the network's labels, and what the images are like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.figure_style import INK, PAPER, SOFT, new_figure, set_colour
from protocols.folder import StudyFolder
from protocols.manifest import Stimulus, class_of_category, in_set

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

PROPERTIES = {
    "luminance": "mean luma (0–255)",
    "rms_contrast": "RMS contrast",
    "spectral_slope": "spectral slope",
}


def example_categories(stimuli: Sequence[Stimulus], sets: Sequence[str], count: int) -> list[str]:
    """Categories to show: from as many supercategories as can be, animals and others in turn, the first of each.

    Only categories whose images in all sets met their criterion, as long as there are enough of those.
    """
    good = {
        image.category
        for image in in_set(stimuli, sets[0])
        if all(other.success for other in stimuli if other.category == image.category and other.set in sets)
    }
    first = in_set(stimuli, sets[0])
    usable = [image for image in first if image.category in good]
    usable += [image for image in first if image.category not in good]
    kinds: dict[bool, dict[str, list[str]]] = {True: {}, False: {}}
    for image in usable:
        kinds[image.animal_source].setdefault(image.supercategory, []).append(image.category)
    turns = {animal: _one_of_each(groups) for animal, groups in kinds.items()}
    half = -(-count // 2)
    animals = turns[True][: max(half, count - len(turns[False]))]
    return (animals + turns[False])[: max(len(animals), count)][:count]


def _one_of_each(groups: dict[str, list[str]]) -> list[str]:
    longest = max((len(members) for members in groups.values()), default=0)
    return [members[turn] for turn in range(longest) for members in groups.values() if turn < len(members)]


def draw_examples(
    figure: Figure | SubFigure, folder: StudyFolder, stimuli: Sequence[Stimulus], sets: Sequence[str], count: int
) -> None:
    """Rows of example images, one row per set, each with the network's label (in italics where it is not the category's
    class) and its confidence.
    """
    from PIL import Image

    categories, right = example_categories(stimuli, sets, count), class_of_category(stimuli)
    grid = figure.subplots(len(sets), len(categories), squeeze=False)
    for row, name in enumerate(sets):
        of_category = {image.category: image for image in in_set(stimuli, name)}
        for column, category in enumerate(categories):
            axes, stimulus = grid[row, column], of_category[category]
            with Image.open(stimulus.path(folder)) as picture:
                axes.imshow(np.asarray(picture.convert("RGB")), interpolation="antialiased")
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set_visible(False)
            slant = "normal" if stimulus.network_label == right.get(category) else "italic"
            axes.set_xlabel(label_of(stimulus), fontsize=7, labelpad=2, style=slant)
            if column == 0:
                axes.set_ylabel(name, rotation=0, ha="right", va="center", fontweight="bold", labelpad=6)


def label_of(stimulus: Stimulus) -> str:
    """``giraffe 99.7 %``: the network's label, with its confidence where that is known (it is the target's)."""
    label = stimulus.network_label.replace("_", " ")
    if stimulus.network_label != stimulus.target_class:
        return label
    return f"{label} {percent(stimulus.confidence)}"


def percent(share: float) -> str:
    """A share as per cent, never rounded up to 100."""
    return f"{np.floor(share * 1000) / 10:.1f} %"


def stimuli_figure(stimuli: Sequence[Stimulus], sets: Sequence[str], limits: dict[str, tuple[int, int]]) -> Figure:
    """Mean luma, contrast and spectral slope of every image by set, and the size of small changes.

    limits : set -> (preferred, largest) change in grey levels, for the sets that have them.
    """
    figure = new_figure(7.4, 2.5)
    panels = figure.subplots(1, len(PROPERTIES) + (1 if limits else 0))
    for axes, (name, title) in zip(panels, PROPERTIES.items(), strict=False):
        _strips(axes, stimuli, sets, name)
        axes.set_title(title, fontsize=8)
    if limits:
        _changes(panels[-1], stimuli, sets, limits)
    return figure


def _strips(axes: Axes, stimuli: Sequence[Stimulus], sets: Sequence[str], name: str) -> None:
    for place, of_set in enumerate(sets):
        values = np.array([getattr(image, name) for image in in_set(stimuli, of_set)])
        # spread by rank, so that the figure needs no random numbers
        spread = 0.22 * np.sin(np.arange(values.size) * 2.4)
        colour = set_colour(of_set, place)
        axes.scatter(place + spread, values, s=7, color=colour, alpha=0.55, linewidth=0)
        axes.plot([place - 0.32, place + 0.32], [np.median(values)] * 2, color=INK, linewidth=1.4)
    axes.set_xticks(range(len(sets)), sets)
    axes.set_xlim(-0.6, len(sets) - 0.4)


def _changes(axes: Axes, stimuli: Sequence[Stimulus], sets: Sequence[str], limits: dict[str, tuple[int, int]]) -> None:
    from matplotlib.ticker import MaxNLocator

    largest = max(limit for _, limit in limits.values())
    edges = np.arange(-0.5, largest + 1.5).tolist()
    for name, (preferred, limit) in limits.items():
        values = [image.linf for image in in_set(stimuli, name) if image.linf is not None]
        axes.hist(values, edges, color=set_colour(name, list(sets).index(name)), edgecolor=PAPER, linewidth=0.5)
        for at in (preferred, limit):
            axes.axvline(at + 0.5, color=SOFT, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("grey levels of 255")
    axes.set_ylabel("images")
    axes.set_title(f"largest change, {', '.join(limits)}", fontsize=8)
