"""Provenance: versions, the study file, and every table that was made, with its hash and what it was made from."""

from __future__ import annotations

from pathlib import Path

from analysis.pages.blocks import Cell, Column, Page, Table, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.further_tables import KINDS
from protocols.problems import FoolscanError
from protocols.provenance import read_provenance, source_commit, versions

NAME, TITLE = "provenance", "Provenance"
SUMMARY = "What every number was made from, by which version, and how to see the whole chain behind a file."
PACKAGES = ("numpy", "scipy", "nibabel", "nilearn", "h5py", "matplotlib", "jinja2")
MADE = ("behaviour", "crops", "answers", "activations", *KINDS)


def sources(contents: Contents) -> list[Path]:
    """Every table and file of RDMs with a record beside it."""
    derived = contents.folder.derived
    found = [path for kind in MADE for suffix in ("*.tsv", "*.h5") for path in sorted(derived(kind).glob(suffix))]
    return [*contents.manifest_files, *(path for path in found if _record(path) is not None)]


def page(contents: Contents, figures: FigureFolder) -> Page:
    """Versions, then a row per file."""
    study, commit = contents.study, source_commit()
    said = ", ".join(f"{name} {version}" for name, version in versions(PACKAGES).items())
    words = f"{said}{f', commit {commit[:12]}' if commit else ''}; study file {study.sha256[:16]}, seed {study.seed}."
    rows = []
    for path in sources(contents):
        record = _record(path) or {}
        made_by = record.get("versions", {}).get("foolscan", "–")
        cells = (
            contents.folder.relative(path),
            str(record.get("sha256", "–"))[:16],
            f"{len(record.get('inputs', {}))} files",
            str(record.get("commit") or made_by)[:10],
        )
        rows.append(tuple(Cell(text) for text in cells))
    columns = (
        Column("file", text=True),
        Column("SHA-256", text=True),
        Column("made from"),
        Column("by commit or version", text=True),
    )
    table = Table("Files behind this report", columns, tuple(rows))
    trace = (
        "foolscan analysis trace FILE prints the chain of inputs and parameters behind any table, figure, page, betas or RDMs, and ends "
        "with 1 where a file is no longer as it was used. Figures: FILE is the SVG, PNG or TSV in report/figures; pages: the HTML file."
    )
    return Page(
        NAME, TITLE, SUMMARY, (section(TITLE, "provenance", [Words(words, "note"), Words(trace, "note"), table]),)
    )


def _record(path: Path) -> dict | None:  # type: ignore[type-arg]
    try:
        return read_provenance(path)
    except FoolscanError:
        return None
