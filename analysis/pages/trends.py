"""Trends: whether similarity rises or falls along the layers of the network and from the first region to the last."""

from __future__ import annotations

import math
from pathlib import Path

from analysis.behaviour import POOLED
from analysis.inference.further_tables import trends_path
from analysis.pages.blocks import Block, Page, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.further_tables import relative_link, tables_for
from analysis.pages.shown_tables import read_source, shown_table
from analysis.trend_figure import COLUMNS, SURE, trends_figure
from protocols.tables import cell

NAME, TITLE = "trends", "Trends"
SUMMARY = "Whether similarity rises or falls along the layers of the network, and from the first region to the last."
WORDS = (
    "Mann–Kendall with the exact null over all orders of the places, and the rank correlation of value and place. What is exchanged are "
    "places: how sure each value is does not enter, and a trend over the places of one study says nothing of other people or images. "
    "Few places bound p from below (column “p least”)."
)


def sources(contents: Contents) -> list[Path]:
    """The tables of trends, and the similarities that they are about."""
    found = tables_for(contents.folder, NAME)
    parts = [part for part in (contents.network, contents.brain) if part]
    return [*found, *(path for part in parts for path in part.files[:2])] if found else []


def page(contents: Contents, figures: FigureFolder) -> Page:
    """A figure, and a table for the regions and one for the layers."""
    blocks: list[Block | None] = [Words(WORDS)]
    rows = _drawn(contents)
    if rows:
        of_brain = any(row["along"] == "ROIs" for row in rows)
        blocks.append(
            figures.keep(
                "trends",
                trends_figure(rows, {"layers": "Network", "ROIs": contents.brain_name}),
                "Similarity over layers and over regions, with the tests for a trend",
                list(COLUMNS),
                rows,
                COLUMNS,
                simulated=of_brain,
                of_voxels=of_brain,
                wide=True,
                title="Trends.",
                caption="Similarity as measured (regions: voxels of all subjects pooled) and, dashed, the difference of two. τ: "
                f"Mann–Kendall; ρ: Spearman; both exact. “Rises” and “falls”: p of τ below {SURE:g}, not corrected over series.",
                inputs=sources(contents),
            )
        )
    for path in tables_for(contents.folder, NAME):
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


def _drawn(contents: Contents) -> list[dict[str, str]]:
    """A row per place of every series that was tested: the study's first measure, voxels pooled."""
    found = []
    for what, part in (("network", contents.network), ("brain", contents.brain)):
        source = read_source(trends_path(contents.folder, what)) if part else None
        if source is None or part is None:
            continue
        values = {(row.pair, row.subject, row.place): row.similarity for row in part.rows}
        values |= {(row.contrast, row.subject, row.place): row.difference for row in part.differences}
        for row in source.where(measure=source.rows[0]["measure"]):
            if row["subject"] not in (POOLED, "n/a"):
                continue
            for place in part.places:
                value = values.get((row["series"], row["subject"], place), math.nan)
                told = {name: row.get(name, "n/a") for name in COLUMNS}
                found.append(told | {"place": place, "value": cell(value)})
    return found
