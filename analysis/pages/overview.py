"""The first page: the findings in sentences, Figure 1, and the way to the other pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from analysis.figure_style import new_figure
from analysis.pages.blocks import Shown
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder, data_address
from analysis.similarity_figures import draw_layers, draw_rois, layers_figure, rois_figure
from analysis.similarity_table import COLUMNS, SimilarityRow
from analysis.stimulus_figures import draw_examples, example_categories
from protocols.manifest import COLUMNS as MANIFEST_COLUMNS
from protocols.manifest import class_of_category, in_set

NAME, TITLE = "report", "Overview"
EXAMPLES = 6  # triplets in Figure 1A
DESCRIPTIVE = (
    "They describe the spread of resamples and are no intervals for the noiseless similarity: noise pulls the value towards zero, and "
    "the doubled voxels of a resample pull its bar still further, so that a value may lie above its bar."
)


def sources(contents: Contents) -> list[Path]:
    """The manifest, similarities, behaviour and certificates: what the sentences and Figure 1 are made of."""
    found = [*contents.manifest_files, *contents.certificate_files]
    for part in (contents.network, contents.brain):
        found += part.files if part else ()
    return [*found, *contents.behaviour_files[:1], *contents.recognition_files]


def figures_of(contents: Contents, figures: FigureFolder) -> dict[str, Shown]:
    """Figure 1 as a whole, and its panels B and C; none without images."""
    found = {"figure_1": _figure_1(contents, figures)} if contents.stimuli else {}
    columns = [field.name for field in fields(SimilarityRow)]
    interval = f"{100 * contents.study.analysis.bootstrap.interval:g} %"
    if contents.network:
        found["similarity_layers"] = figures.keep(
            "similarity_layers",
            layers_figure(contents.network.rows, "Network", bars_in_words(contents.network.rows, interval)),
            "Similarity of RDMs along the layers of the network",
            columns,
            [asdict(row) for row in contents.network.rows],
            COLUMNS,
            title="Network.",
            caption="Correlation of the RDMs of two stimulus sets in every layer of "
            f"{contents.study.stimuli.network.name}. Bands: {_intervals(contents.network.rows, interval)}",
            inputs=contents.network.files[:1],
        )
    if contents.brain:
        found["similarity_rois"] = figures.keep(
            "similarity_rois",
            rois_figure(contents.brain.rows, contents.brain_name, bars_in_words(contents.pooled, interval)),
            "Similarity of RDMs in every region of interest",
            columns,
            [asdict(row) for row in contents.brain.rows],
            COLUMNS,
            simulated=True,
            of_voxels=True,
            title=f"{contents.brain_name}.",
            caption=_brain_caption(contents, interval),
            inputs=contents.brain.files[:1],
        )
    return found


def letters_of(contents: Contents) -> dict[str, str]:
    """The letters of the panels: A are the stimuli."""
    return {"similarity_layers": "B", "similarity_rois": "C" if contents.network else "B"}


def _brain_caption(contents: Contents, interval: str) -> str:
    text = (
        "The same in every region of interest, as measured, over the chosen voxels of all subjects. Bars: "
        f"{_intervals(contents.pooled, interval)} Rings: single subjects."
    )
    notes = contents.pooled[0].note.split("; ") if contents.pooled else []
    circular = [note for note in notes if "circular" in note]
    return " ".join([text, *(f"{note[0].upper()}{note[1:]}." for note in circular)])


def _intervals(rows: Sequence[SimilarityRow], interval: str) -> str:
    """How the intervals of a figure were made and what they are of, from the rows themselves."""
    known = [row for row in rows if math.isfinite(row.ci_low)]
    if not known:
        return "none."
    methods = "; ".join(dict.fromkeys(row.ci_method for row in known))
    if _descriptive(known):
        return f"{interval} spread ({methods}). {DESCRIPTIVE}"
    of = [text for text in dict.fromkeys(row.estimand for row in known) if text]
    return f"{interval} intervals ({methods}); of the {'; '.join(of)}."


def bars_in_words(rows: Sequence[SimilarityRow], interval: str) -> str:
    """The same in a word, for the picture itself."""
    known = [row for row in rows if math.isfinite(row.ci_low)]
    return f"{interval} of resamples (biased, no interval)" if _descriptive(known) else f"{interval} interval"


def _descriptive(rows: Sequence[SimilarityRow]) -> bool:
    """Whether the bars are the spread of resamples and intervals of nothing."""
    of = {row.estimand for row in rows} - {""}
    return not of or any(text.startswith("none") for text in of) or any("published" in row.ci_method for row in rows)


def _figure_1(contents: Contents, figures: FigureFolder) -> Shown:
    panels = [part for part in (contents.network, contents.brain) if part]
    figure = new_figure(7.6, 4.6 + (3.3 if panels else 0.0))
    heights = (1.28, 1) if panels else (1,)
    top, *below = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    draw_examples(top, contents.folder, contents.stimuli, contents.sets, EXAMPLES)
    top.text(0.004, 0.965, "A", fontsize=12, fontweight="bold")
    axes = list(below[0].subplots(1, len(panels), squeeze=False)[0]) if panels else []
    letters, interval = letters_of(contents), f"{100 * contents.study.analysis.bootstrap.interval:g} %"
    if contents.network:
        rows_of, letter = contents.network.rows, letters["similarity_layers"]
        draw_layers(axes.pop(0), rows_of, "Network", bars_in_words(rows_of, interval), letter)
    if contents.brain:
        rows_of, letter = contents.brain.rows, letters["similarity_rois"]
        draw_rois(axes.pop(0), rows_of, contents.brain_name, bars_in_words(contents.pooled, interval), letter)
    examples = set(example_categories(contents.stimuli, contents.sets, EXAMPLES))
    columns = ("stim_id", "stim_file", "set", "category", "target_class", "network_label", "confidence")
    rows = [asdict(image) for image in contents.stimuli if image.category in examples]
    shown = [
        (contents.network, "similarity per network layer"),
        (contents.brain, "similarity per region of interest"),
    ]
    alt = ", ".join(["Example images", *(what for part, what in shown if part)])
    of_brain = contents.brain is not None
    return figures.keep(
        "figure_1", figure, alt, columns, rows, MANIFEST_COLUMNS, simulated=of_brain, of_voxels=of_brain
    )


def triplets(contents: Contents) -> list[list[dict[str, Any]]]:
    """Figure 1A: for every example category its image of each set, embedded, and whether its label is the category's."""
    of_set = {name: {image.category: image for image in in_set(contents.stimuli, name)} for name in contents.sets}
    right = class_of_category(contents.stimuli)
    return [
        [
            {
                "set": name,
                "image": data_address(images[category].path(contents.folder)),
                "stimulus": images[category],
                "right": images[category].network_label == right.get(category),
            }
            for name, images in of_set.items()
        ]
        for category in example_categories(contents.stimuli, contents.sets, EXAMPLES)
    ]
