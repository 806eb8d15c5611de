"""Voxels and reliability: which voxels were chosen, how reliably they answer, and what ceilings follow."""

from __future__ import annotations

from pathlib import Path

from analysis.inference_figures import reliability_figure
from analysis.pages.blocks import Block, Page, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.further_tables import table_blocks, tables_for
from analysis.pages.shown_tables import read_source

NAME, TITLE = "voxels", "Voxels and reliability"
SUMMARY = "Which voxels were chosen, how reliably they answer, and how alike the RDMs of independent halves are."
WORDS = (
    "A voxel’s reliability is the correlation of its responses over the images between repeats. By default voxels are chosen on one half "
    "of the runs and analysed on the other, and the halves are swapped; the reliability shown is that of the half that chose. "
    "“Circular” or “published”: chosen on the runs that were analysed."
)

SHOWN: tuple[str, ...] = ("subject", "roi", "chosen_on", "rank", "reliability")


def sources(contents: Contents) -> list[Path]:
    """The tables of chosen voxels, of ceilings and reliabilities."""
    return [*_chosen(contents), *tables_for(contents.folder, NAME)]


def page(contents: Contents, figures: FigureFolder) -> Page:
    """Reliabilities of the chosen voxels, the rule of the choice, and further tables."""
    found = [source for path in _chosen(contents) if (source := read_source(path))]
    blocks: list[Block | None] = [Words(WORDS)]
    if found and {"roi", "subject", "reliability"} <= set(found[0].columns):
        rows: list[dict[str, str]] = [
            {name: row[name] for name in SHOWN if name in row} for source in found for row in source.rows
        ]
        blocks.append(
            figures.keep(
                "voxel_reliability",
                reliability_figure(
                    rows, [roi for roi in contents.study.analysis.rois if any(row["roi"] == roi for row in rows)]
                ),
                "Reliability of the chosen voxels per region and subject",
                list(rows[0]),
                rows,
                found[0].meanings,
                simulated=True,
                of_voxels=True,
                wide=True,
                title="Reliability of the chosen voxels.",
                caption=f"A dot per chosen voxel ({len(rows)} in all, each half’s choice apart); lines are medians. "
                "Voxels are chosen for it, so these values are higher than what the other half shows.",
                inputs=[source.path for source in found],
            )
        )
    sections = [section("Chosen voxels", "chosen", blocks)]
    more = table_blocks(contents, NAME)
    if more:
        sections.append(section("Reliability of RDMs", "ceilings", more))
    return Page(NAME, TITLE, SUMMARY, tuple(sections))


def _chosen(contents: Contents) -> list[Path]:
    return sorted(contents.folder.derived("voxels").rglob("*_voxels.tsv"))
