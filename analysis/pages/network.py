"""The network side: similarity of RDMs along its layers, and the difference of two similarities."""

from __future__ import annotations

from pathlib import Path

from analysis.pages.blocks import Block, Page, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.further_tables import models_blocks, relative_link, table_blocks, tables_for
from analysis.pages.shown_tables import read_source, shown_table

NAME, TITLE = "network", "Network"
SUMMARY = "The same RDMs and similarities over the units of every layer of the network that made the images."


def sources(contents: Contents) -> list[Path]:
    """The tables of the network."""
    return tables_for(contents.folder, NAME) if contents.network else []


def page(contents: Contents, figures: FigureFolder) -> Page:
    """Similarity per layer and its differences; further tables of the network below."""
    if contents.network is None:
        return Page(NAME, TITLE, SUMMARY)
    similarity, difference, _ = contents.network.files
    blocks: list[Block | None] = [
        Words(
            f"Layers of {contents.study.stimuli.network.name}, all images read from disk. Intervals over a layer’s units say how far "
            "the value depends on which units are taken, not what another network or other images would give.",
            "note",
        )
    ]
    for path, caption, key in (
        (similarity, "Similarity per layer", "similarity"),
        (difference, "Differences of similarity", "difference"),
    ):
        source = read_source(path)
        if source:
            names = [
                name
                for name in source.columns
                if name != "subject" and any(row[name] not in ("n/a", "", "none") for row in source.rows)
            ]
            links = (("TSV", relative_link(contents, path)),)
            blocks.append(shown_table(source, caption, columns=names, key=key, links=links))
    models = similarity.with_name("models_network.tsv")
    drawn = models_blocks(contents, figures, models, contents.network.places)
    shown = (similarity.name, difference.name, *((models.name,) if drawn else ()))
    more = table_blocks(contents, NAME, shown)
    return Page(NAME, TITLE, SUMMARY, (section(TITLE, "layers", [*blocks, *drawn, *more]),))
