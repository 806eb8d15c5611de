"""Scaling of patterns: how far the result depends on it."""

from __future__ import annotations

from pathlib import Path

from analysis.inference_figures import scaling_figure
from analysis.pages.blocks import Block, Page, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.further_tables import as_block, table_blocks, tables_for
from analysis.pages.shown_tables import read_source

NAME, TITLE = "scaling", "Scaling of patterns"
SUMMARY = "How far the result depends on how patterns were scaled before they were compared."
WORDS = (
    "The same images and rule of choice, with patterns scaled and subjects pooled in every way that a study file allows; voxels are chosen "
    "anew under each. A result that holds for one scaling only is a result of that scaling. Values as measured, no intervals."
)
DRAWN = {"pair", "roi", "pattern_scaling", "pooling", "similarity", "used"}


def sources(contents: Contents) -> list[Path]:
    """The tables of scaling."""
    return tables_for(contents.folder, NAME)


def page(contents: Contents, figures: FigureFolder) -> Page:
    """A figure of every combination, and the table."""
    blocks: list[Block | None] = [Words(WORDS)]
    drawn = []
    for path in sources(contents):
        source = read_source(path)
        if source is None or not set(source.columns) >= DRAWN:
            continue
        drawn.append(path.name)
        blocks.append(
            figures.keep(
                "scaling_dependence" if len(drawn) == 1 else path.stem,
                scaling_figure(source.rows),
                "Similarity under every scaling of the patterns",
                source.columns,
                source.rows,
                source.meanings,
                simulated=True,
                of_voxels=True,
                wide=True,
                title="Similarity under every scaling.",
                caption="A line per region, voxels of all subjects pooled. Large and filled: what this study uses.",
                inputs=[path],
            )
        )
        blocks.append(as_block(contents, source, folded=True, caption="Every combination"))
    return Page(NAME, TITLE, SUMMARY, (section(TITLE, NAME, [*blocks, *table_blocks(contents, NAME, tuple(drawn))]),))
