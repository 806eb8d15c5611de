"""Tables that a page shows as they are: which file belongs to which page, and what it is called there."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from analysis.behaviour import POOLED
from analysis.inference_figures import models_figure
from analysis.pages.blocks import Block
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.shown_tables import MOST_ROWS, Row, Source, read_source, shown_table
from protocols.folder import StudyFolder

KINDS = ("betas", "rois", "rdms", "inference", "voxels")
"""Folders of derived files whose tables are looked through."""
TOGETHER = (POOLED, "group", "mean", "n/a")
"""Rows of a table that are not a single subject's."""
NEVER = ("*_dissimilarities.tsv", "*_betas.tsv", "*_matrix.tsv")
"""Tables of single pairs and volumes: pages draw them, nobody reads them."""


@dataclass(frozen=True)
class Pattern:
    """Which tables a page takes, by the name of the file (``*`` stands for anything)."""

    page: str
    names: tuple[str, ...]


PATTERNS = (
    Pattern("scaling", ("*scaling*",)),
    Pattern("trends", ("*trend*",)),
    Pattern("correspondence", ("*correspondence*",)),
    Pattern("intervals", ("*coverage*", "*interval*", "*estimand*")),
    Pattern("voxels", ("*voxel*", "*reliab*", "*ceiling*", "*selection*", "*roi*")),
    Pattern("betas", ("*design*", "*glm*", "*noise*", "*hrf*", "*betas*", "*import*")),
    Pattern("network", ("*network*", "*layer*")),
    Pattern("similarity", ("*",)),
)
"""The first that fits counts; the tables of similarity are the rest."""


def page_of(path: Path) -> str | None:
    """The page that a table is shown on; None for one that is not shown."""
    if any(fnmatch(path.name, name) for name in NEVER):
        return None
    return next(pattern.page for pattern in PATTERNS if any(fnmatch(path.name, name) for name in pattern.names))


def tables_for(folder: StudyFolder, page: str) -> list[Path]:
    """The tables of a page, by name."""
    found = [path for kind in KINDS for path in sorted(folder.derived(kind).glob("*.tsv"))]
    return [path for path in found if page_of(path) == page]


def table_blocks(contents: Contents, page: str, leave_out: tuple[str, ...] = ()) -> list[Block]:
    """The tables of a page as blocks.

    leave_out : file names that the page shows in a way of its own.
    """
    found: list[Block] = []
    for path in tables_for(contents.folder, page):
        source = read_source(path) if path.name not in leave_out else None
        if source is not None:
            found += blocks_of(contents, source)
    return found


def blocks_of(contents: Contents, source: Source) -> list[Block]:
    """A table as it is: what is of all subjects together open, single subjects folded."""
    title = source.path.stem.replace("_", " ").capitalize()
    singles = [row for row in source.rows if row.get("subject", TOGETHER[0]) not in TOGETHER]
    together = [row for row in source.rows if row.get("subject", TOGETHER[0]) in TOGETHER]
    found = [as_block(contents, source, rows=together or singles, caption=title)]
    if together and singles:
        found.append(as_block(contents, source, rows=singles, caption=f"{title}: single subjects", folded=True))
    return [block for block in found if block is not None]


def as_block(
    contents: Contents,
    source: Source,
    *,
    rows: list[dict[str, str]] | None = None,
    folded: bool = False,
    caption: str = "",
) -> Block | None:
    """A table as it is, titled after its file."""
    title = caption or source.path.stem.replace("_", " ").capitalize()
    return shown_table(
        source,
        title,
        rows=rows,
        total=lambda row: row.get("subject") == POOLED and rows is None,
        most=500 if folded else MOST_ROWS,
        links=(("TSV", relative_link(contents, source.path)),),
        folded=folded,
    )


def models_blocks(contents: Contents, figures: FigureFolder, path: Path, places: list[str]) -> list[Block]:
    """The similarity with every model RDM as a figure, and the table on demand; nothing where there is none.

    places : ROIs or layers, in order.
    """
    source = read_source(path)
    if source is None or not {"model", "set", "place", "similarity"} <= set(source.columns):
        return []
    rows = [row for row in source.rows if row.get("subject", POOLED) in TOGETHER and row["place"] in places]
    rows = [row for row in rows if row.get("measure") == rows[0].get("measure")]
    if not rows:
        return []
    ceilings_file = path.with_name(path.name.replace("models", "ceilings"))
    ceilings = _ceilings(ceilings_file, rows[0])
    drawn = (
        f" Bands: the set’s noise ceiling ({ceilings[0]['convention'].replace('_', ' ')}), what a perfect model could reach."
        if ceilings
        else ""
    )
    figure = figures.keep(
        path.stem,
        models_figure(rows, places, ceilings),
        "Similarity of every set's RDM with the model RDMs",
        source.columns,
        rows,
        source.meanings,
        simulated="brain" in path.stem,
        of_voxels="brain" in path.stem,
        wide=True,
        title="Similarity with models.",
        caption=f"{rows[0].get('measure', 'correlation').replace('_', ' ').capitalize()}; n = {rows[0].get('n_pairs', '–')} pairs. "
        f"Filled: p below 0.05 by permuting images, corrected as the study file asks; no intervals.{drawn}",
        inputs=[path, *([ceilings_file] if ceilings else [])],
    )
    table = as_block(contents, source, folded=True, caption="Models, every place and subject")
    return [figure, *([table] if table else [])]


def _ceilings(path: Path, of: Row) -> list[dict[str, str]]:
    """The noise ceilings of one subject's (or the pooled voxels') RDMs, in the same measure; none where there are none.

    of : a row of the models' table.
    """
    source = read_source(path)
    if source is None or not {"convention", "set", "place", "lower", "upper"} <= set(source.columns):
        return []
    known = source.where(subject=of.get("subject", POOLED), measure=of.get("measure", "pearson"))
    return [row for row in known if row["convention"] == known[0]["convention"]]


def relative_link(contents: Contents, path: Path) -> str:
    """A file's address from a page of the report."""
    return f"../{path.relative_to(contents.folder.derivatives).as_posix()}"
