"""Trends: whether similarity rises or falls along the layers of the network and from the first region to the last."""

from __future__ import annotations

from pathlib import Path

from analysis.behaviour import POOLED
from analysis.pages.blocks import Block, Page, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.further_tables import relative_link, tables_for
from analysis.pages.shown_tables import read_source, shown_table

NAME, TITLE = "trends", "Trends"
SUMMARY = "Whether similarity rises or falls along the layers of the network, and from the first region to the last."
WORDS = (
    "Mann–Kendall with the exact null over all orders of the places, and the rank correlation of value and place. What is exchanged are "
    "places: how sure each value is does not enter, and a trend over the places of one study says nothing of other people or images. "
    "Few places bound p from below (column “p least”)."
)


def sources(contents: Contents) -> list[Path]:
    """The tables of trends."""
    return tables_for(contents.folder, NAME)


def page(contents: Contents, figures: FigureFolder) -> Page:
    """A table for the regions and one for the layers."""
    blocks: list[Block | None] = [Words(WORDS)]
    for path in sources(contents):
        source = read_source(path)
        if source:
            blocks.append(
                shown_table(
                    source,
                    path.stem.replace("_", " ").capitalize(),
                    key="tau_a",
                    total=lambda row: row.get("subject") == POOLED,
                    links=(("TSV", relative_link(contents, path)),),
                )
            )
    return Page(NAME, TITLE, SUMMARY, (section(TITLE, NAME, blocks),))
