"""Layers and regions: which layer of the network has the geometry of which region, set by set."""

from __future__ import annotations

from pathlib import Path

from analysis.behaviour import POOLED
from analysis.inference_figures import correspondence_figure
from analysis.pages.blocks import Block, Page, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.further_tables import as_block, table_blocks, tables_for
from analysis.pages.shown_tables import Source, read_source

NAME, TITLE = "correspondence", "Layers and regions"
SUMMARY = "Which layer of the network has the geometry of which region, for every stimulus set."
WORDS = (
    "Each cell compares the RDM of one layer with that of one region, within one stimulus set. Both are as measured: noise lowers "
    "every cell of a region alike."
)
DRAWN = {"set", "layer", "roi", "similarity"}


def sources(contents: Contents) -> list[Path]:
    """The tables of correspondence."""
    return tables_for(contents.folder, NAME)


def page(contents: Contents, figures: FigureFolder) -> Page:
    """A matrix per set for the pooled voxels, and the table."""
    blocks: list[Block | None] = [Words(WORDS)]
    drawn = []
    for path in sources(contents):
        source = read_source(path)
        if source is None or not set(source.columns) >= DRAWN:
            continue
        drawn.append(path.name)
        rows = _shown(source)
        blocks.append(
            figures.keep(
                path.stem,
                correspondence_figure(rows),
                "Similarity of every layer's RDM with every region's, per stimulus set",
                list(rows[0]),
                rows,
                source.meanings,
                simulated=True,
                of_voxels=True,
                wide=True,
                title="Layer × region.",
                caption=_caption(rows[0]),
                inputs=[path],
            )
        )
        blocks.append(as_block(contents, source, folded=True, caption="Every subject"))
    return Page(NAME, TITLE, SUMMARY, (section(TITLE, NAME, [*blocks, *table_blocks(contents, NAME, tuple(drawn))]),))


def _caption(row: dict[str, str]) -> str:
    whose = "all subjects pooled" if row.get("subject") == POOLED else f"subject {row.get('subject', '')}"
    measure = row.get("measure", "correlation").replace("_", " ").capitalize()
    return (
        f"Similarity ({measure}) of RDMs; voxels of {whose}. Outlined: p below 0.05 by permuting images, "
        "corrected over all layers and regions of the set. Colours span at least ±0.2."
    )


def _shown(source: Source) -> list[dict[str, str]]:
    """The rows of the pooled voxels (else of the first subject) and the first measure."""
    pooled = source.where(subject=POOLED) or source.where(subject=source.rows[0].get("subject", ""))
    return [row for row in pooled if row.get("measure") == pooled[0].get("measure")]
