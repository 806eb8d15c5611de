"""Intervals and what they mean: every kind of interval in the report, with its estimand and what was resampled."""

from __future__ import annotations

from pathlib import Path

from analysis.pages.blocks import Block, Cell, Column, Page, Table, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.further_tables import KINDS, table_blocks, tables_for
from analysis.pages.shown_tables import HOW, read_source

NAME, TITLE = "intervals", "Intervals"
SUMMARY = "What each interval is an interval for, what was drawn again to make it, and how often such intervals hold the truth."
WORDS = (
    "An interval over voxels says how far a value depends on which voxels of these subjects were taken; it says nothing of other "
    "images, and nothing of other people.",
    "An interval over images says how far it depends on which images were made; the subjects stay these subjects.",
    "An interval over subjects, and only that, speaks of people in general. With a handful of them there is none: single subjects "
    "are shown instead.",
    "The percentile bootstrap over voxels, as published, is pulled towards zero with the value it belongs to, by noise and by the "
    "doubled voxels of a resample. It describes the spread and is no interval for the noiseless similarity. Where a table or figure "
    "says “published”, it is this or another method of the paper’s, and not foolscan’s recommendation.",
    "“Circular” says that voxels were chosen on the very runs that were analysed.",
)


def sources(contents: Contents) -> list[Path]:
    """Every table with intervals, and the simulations of coverage."""
    return list(dict.fromkeys([*_with_intervals(contents), *tables_for(contents.folder, NAME)]))


def page(contents: Contents, figures: FigureFolder) -> Page:
    """The kinds of intervals in this report, how to read them, and their coverage."""
    sections = [section("How to read them", "reading", [Words("\n".join(WORDS), "list")])]
    sections.append(section("The intervals of this report", "kinds", [_kinds(contents)]))
    coverage = table_blocks(contents, NAME)
    if coverage:
        sections.append(section("How often they hold the truth", "coverage", coverage))
    return Page(NAME, TITLE, SUMMARY, tuple(sections))


def _with_intervals(contents: Contents) -> list[Path]:
    derived = contents.folder.derived
    paths = [path for kind in ("behaviour", "crops", *KINDS) for path in sorted(derived(kind).glob("*.tsv"))]
    found = []
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            header = lines.readline().rstrip("\n").split("\t")
        if "ci_method" in header:
            found.append(path)
    return found


def _kinds(contents: Contents) -> Block | None:
    counts: dict[tuple[str, ...], int] = {}
    for path in _with_intervals(contents):
        source = read_source(path)
        for row in source.rows if source else ():
            kind = (path.name, *(row.get(name, "n/a") for name in HOW))
            if row.get("ci_method", "n/a") not in ("n/a", ""):
                counts[kind] = counts.get(kind, 0) + 1
    if not counts:
        return None
    columns = tuple(Column(name, text=True) for name in ("table", "method", "interval for", "drawn again"))
    rows = tuple(
        (*(Cell("–" if text in ("n/a", "") else text) for text in kind), Cell(str(count)))
        for kind, count in counts.items()
    )
    return Table("Every way an interval was made", (*columns, Column("rows")), rows)
