"""The stimuli: success, labels, size of the change and image statistics of every set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from analysis.pages.blocks import Cell, Column, Page, Shown, Table, section
from analysis.pages.brief import signed
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.stimulus_figures import stimuli_figure
from protocols.manifest import COLUMNS as MANIFEST_COLUMNS
from protocols.manifest import Stimulus, class_of_category, in_set
from protocols.study import Recipe

NAME, TITLE = "stimuli", "Stimuli"
SUMMARY = "Whether every image met its criterion, what two networks call it, how much was changed, and what the sets look like."
HEADINGS = (
    "set",
    "images",
    "criterion met",
    "confidence in target (median)",
    "second network: source’s category",
    "second network: target class",
    "largest change, median (max)",
    "mean luma (0–255)",
    "RMS contrast",
    "spectral slope",
)


def sources(contents: Contents) -> list[Path]:
    """The manifest, where there are images."""
    return contents.manifest_files


def page(contents: Contents, figures: FigureFolder) -> Page:
    """The figure of the images' properties, and a row per set."""
    return Page(
        NAME, TITLE, SUMMARY, (section(TITLE, "stimuli-section", [_figure(contents, figures), _facts_table(contents)]),)
    )


def _figure(contents: Contents, figures: FigureFolder) -> Shown:
    limits = {}
    for name, recipe in contents.study.stimuli.sets.items():
        if recipe.kind == "adversarial_interference" and name in contents.sets:
            limits[name] = (recipe.linf_preferred, recipe.linf_max)
    columns = ("stim_id", "set", "luminance", "rms_contrast", "spectral_slope", "linf", "l2")
    return figures.keep(
        "stimuli",
        stimuli_figure(contents.stimuli, contents.sets, limits),
        "Mean luma, contrast, spectral slope and largest change of the images of every set",
        columns,
        [asdict(image) for image in contents.stimuli if image.set in contents.sets],
        MANIFEST_COLUMNS,
        wide=True,
        title="What the images are like.",
        caption="Every dot is an image, lines are medians. Largest change: over pixels and colours, of the saved file against its "
        "source; dashed: the bound tried first and the one never exceeded.",
    )


def _facts_table(contents: Contents) -> Table:
    recipes, right = contents.study.stimuli.sets, class_of_category(contents.stimuli)
    rows = [_facts(name, recipes[name], in_set(contents.stimuli, name), right) for name in contents.sets]
    second = contents.study.stimuli.second_network
    note = "All judged on the PNG files read back from disk, n in the second column; ± standard deviation over images. Second network: "
    note += f"{second.name}, trained independently." if second else "none in this study."
    columns = tuple(Column(name, key=name == "criterion met") for name in HEADINGS)
    cells = tuple(tuple(Cell(text) for text in row) for row in rows)
    return Table(
        "What the sets are like", columns, cells, note=note, links=(("manifest", "../../../stimuli/stimuli.tsv"),)
    )


def _facts(name: str, recipe: Recipe, images: Sequence[Stimulus], right: Mapping[str, str]) -> tuple[str, ...]:
    confidences = [image.confidence for image in images]
    second = [image for image in images if image.second_network_label is not None]
    # noise has a source class, but no picture that it changes
    changes = [image.linf for image in images if recipe.changes_source and image.linf is not None]

    def share(count: int, of: int) -> str:
        return f"{count}/{of}" if of else "n/a"

    def spread(attribute: str, digits: int) -> str:
        values = np.array([getattr(image, attribute) for image in images], dtype=np.float64)
        return f"{signed(values.mean(), digits)} ± {values.std():.{digits}f}"

    return (
        name,
        str(len(images)),
        share(sum(image.success for image in images), len(images)),
        f"{math.floor(1000 * float(np.median(confidences))) / 10:.1f} %",
        share(sum(image.second_network_label == right.get(image.category) for image in second), len(second))
        if recipe.has_correct_answer
        else "–",
        share(sum(image.second_network_label == image.target_class for image in second), len(second)),
        f"{int(np.median(changes))} ({max(changes)})" if changes else "–",
        spread("luminance", 0),
        spread("rms_contrast", 2),
        spread("spectral_slope", 2),
    )
