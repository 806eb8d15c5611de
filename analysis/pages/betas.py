"""Betas and design: which model was fitted to which runs, with which confounds, and what the designs can tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.pages.blocks import Block, Cell, Column, Page, Table, Words, section
from analysis.pages.contents import Contents
from analysis.pages.figures import FigureFolder
from analysis.pages.further_tables import table_blocks, tables_for
from protocols.folder import read_json
from protocols.provenance import sidecar_path

NAME, TITLE = "betas", "Betas and design"
SUMMARY = (
    "The first-level model behind every pattern: its parameters, the runs it was fitted to, confounds, and warnings."
)


def sources(contents: Contents) -> list[Path]:
    """Betas with a record, and tables of designs and imports."""
    return [*_betas(contents), *tables_for(contents.folder, NAME)]


def page(contents: Contents, figures: FigureFolder) -> Page:
    """What all runs share, what differs, and further tables."""
    return Page(
        NAME,
        TITLE,
        SUMMARY,
        (section("The model", "model", _model(contents)), section("Tables", "tables", table_blocks(contents, NAME))),
    )


def _betas(contents: Contents) -> list[Path]:
    found = sorted(contents.folder.derived("betas").rglob("*_betas.*"))
    return [path for path in found if path.suffix not in (".json", ".tsv") and sidecar_path(path).is_file()]


def _model(contents: Contents) -> list[Block | None]:
    records = {path: read_json(sidecar_path(path)) for path in _betas(contents)}
    flat = {path: _flat(record.get("foolscan", {}).get("parameters", {})) for path, record in records.items()}
    if not flat:
        return []
    names = list(dict.fromkeys(name for values in flat.values() for name in values))
    same = {name for name in names if len({values.get(name) for values in flat.values()}) == 1}
    first = next(iter(flat.values()))
    shared = tuple((Cell(name), Cell(_short(first[name]))) for name in names if name in same)
    blocks: list[Block | None] = [
        Table(
            f"What all {len(flat)} files of betas share",
            (Column("parameter", text=True), Column("value", text=True)),
            shared,
            note="Recorded beside every file of betas when it was made.",
        )
    ]
    differing = [name for name in names if name not in same]
    if differing:
        columns = (Column("betas", text=True), *(Column(name, text=True) for name in differing))
        rows = tuple(
            (Cell(path.name.split("_betas")[0]), *(Cell(_short(values.get(name, "–"))) for name in differing))
            for path, values in flat.items()
        )
        blocks.append(Table("What differs between runs", columns, rows))
    warnings = {
        str(warning): path.name.split("_betas")[0]
        for path, record in records.items()
        for warning in record.get("Warnings", [])
    }
    blocks += [Words(f"{warning} (such as {where})", "warning") for warning, where in warnings.items()]
    return blocks


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters by dotted name, as text."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return found


def _short(text: str) -> str:
    return text if len(text) <= 160 else f"{text[:150]} …"
