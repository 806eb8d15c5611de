"""Tables as a reader wants them: columns by name, intervals in one cell, methods as footnotes, numbers short."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

from analysis.pages.blocks import Cell, Column, Link, Table
from protocols.folder import read_json
from protocols.provenance import sidecar_path
from protocols.tables import read_table

MINUS = "\u2212"
HOW = ("ci_method", "estimand", "resampled")
TEXTS = ("note", "method", "warning", "warnings", "description")
P_WORDS = ("value", "sided", "corrected", "adjusted", "fdr", "holm", "max", "perm", "uncorrected", "rho", "least")
SETTINGS = (
    "measure",
    "alternative",
    "n_rearranged",
    "exact",
    "note",
    "along",
    "n_pairs",
    "n",
    "n_subjects",
    "selection",
)
"""Columns that say how a table was made: told once below it, where all rows share them."""
NAMED = ("test", "convention", "alternative", "model", "pattern_scaling", "pooling", "measure", "selection")
"""Columns of names with underscores for spaces."""
MOST_ROWS = 60
Row = Mapping[str, str]


@dataclass(frozen=True)
class Source:
    """A table on disk: its rows as text by column, and what its sidecar says of the columns."""

    path: Path
    rows: list[dict[str, str]]
    meanings: dict[str, str]

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return list(self.rows[0]) if self.rows else []

    def where(self, **wanted: str) -> list[dict[str, str]]:
        """The rows with these values; a column that the table lacks is not asked."""
        return [row for row in self.rows if all(row.get(name, value) == value for name, value in wanted.items())]


def read_source(path: Path) -> Source | None:
    """A table with the meanings of its columns; None when it is not there, or empty."""
    if not path.is_file():
        return None
    rows = read_table(path)
    sidecar = sidecar_path(path)
    record = read_json(sidecar) if sidecar.is_file() else {}
    meanings = {
        name: str(value["Description"])
        for name, value in record.items()
        if isinstance(value, dict) and "Description" in value
    }
    return Source(path, rows, meanings) if rows else None


def shown_table(
    source: Source,
    caption: str,
    *,
    rows: Sequence[Row] | None = None,
    columns: Mapping[str, str] | Sequence[str] | None = None,
    key: str = "",
    total: Callable[[Row], bool] | None = None,
    links: tuple[Link, ...] = (),
    note: str = "",
    most: int = MOST_ROWS,
    folded: bool = False,
) -> Table | None:
    """A table of the page.

    rows    : some of the source's rows; all when None.
    columns : names, or name -> heading, of those that are shown where the source has them; all when None. A pair
              ``x_low``, ``x_high`` becomes one column of intervals, named ``x_low`` here.
    key     : the column in bold.
    total   : which rows are of all subjects together.
    most    : rows that are shown; the others stand in the file.

    Returns None when there are no rows. How intervals were made (`ci_method`, `estimand`, `resampled`) becomes footnotes.
    """
    chosen = list(source.rows if rows is None else rows)
    if not chosen:
        return None
    names = _names(chosen, columns)
    if columns is None and len(chosen) > 2:
        names, same = _same_everywhere(chosen, names)
        note = f"{same} {note}".strip()
    headings = dict(columns) if isinstance(columns, Mapping) else {}
    notes: dict[str, str] = {}
    cells = []
    for row in chosen[:most]:
        remark = _footnote(row.get("note", "n/a"), notes) if columns is None and "note" not in names else ""
        made = any(_cell(row, name, "").text != "–" for name in names if name.endswith("_low"))
        mark = _mark(row, notes) if made else ""
        shown_cells = [_cell(row, name, mark) for name in names]
        if remark:
            shown_cells[0] = Cell(shown_cells[0].text, remark)
        cells.append(tuple(shown_cells))
    shown = tuple(
        Column(
            headings.get(name, heading_of(name, chosen[0])),
            _meaning(source, name),
            _is_text(name, chosen),
            name == key,
        )
        for name in names
    )
    marks = () if total is None else tuple(total(row) for row in chosen[:most])
    footnotes = tuple((letter, text) for text, letter in notes.items())
    return Table(caption, shown, tuple(cells), marks, footnotes, note, max(0, len(chosen) - most), links, folded)


def _names(rows: Sequence[Row], columns: Mapping[str, str] | Sequence[str] | None) -> list[str]:
    there = rows[0]
    wanted = [name for name in (there if columns is None else columns) if name in there]
    kept = []
    for name in wanted:
        if name in HOW or (name.endswith("_high") and f"{name.removesuffix('_high')}_low" in there):
            continue
        if columns is None and (name == "note" or all(row.get(name, "n/a") in ("n/a", "") for row in rows)):
            continue  # nothing to see
        kept.append(name)
    return kept


def _same_everywhere(rows: Sequence[Row], names: Sequence[str]) -> tuple[list[str], str]:
    """Columns that differ between rows, and what all rows share as a sentence."""
    shared = {name: rows[0][name] for name in names if name in SETTINGS and len({row[name] for row in rows}) == 1}
    told = "; ".join(f"{_words(name)}: {cell_text(name, value)}" for name, value in shared.items())
    return [name for name in names if name not in shared], f"All rows: {told}." if told else ""


def _mark(row: Row, notes: dict[str, str]) -> str:
    """The letter of the footnote that says how a row's intervals were made."""
    parts = [row.get(name, "n/a") for name in HOW]
    method, estimand, resampled = ("" if part in ("n/a", "none") else part for part in parts)
    told = method
    if resampled and resampled.split(",")[0] not in method:
        told += f", over {resampled}" if told else f"over {resampled}"
    if estimand.startswith("none"):
        told += f"; descriptive, an interval of nothing ({estimand.removeprefix('none: ')})"
    elif estimand:
        told += f"; of: {estimand}" if told else f"of: {estimand}"
    return _footnote(f"Interval: {told}", notes) if told else ""


def _footnote(told: str, notes: dict[str, str]) -> str:
    """The letter of a footnote, a new one where it is not there yet."""
    if told in ("n/a", ""):
        return ""
    return notes.setdefault(told, ascii_lowercase[len(notes)] if len(notes) < 26 else f"{len(notes) + 1}")


def _cell(row: Row, name: str, mark: str) -> Cell:
    if name.endswith("_low"):
        text = interval_text(row[name], row.get(f"{name.removesuffix('_low')}_high", "n/a"))
        return Cell(text, mark if text != "–" else "")
    return Cell(cell_text(name, row.get(name, "n/a")))


def _is_text(name: str, rows: Sequence[Row]) -> bool:
    if name in TEXTS or _is_label(name):
        return True
    known = [row[name] for row in rows if row.get(name, "n/a") not in ("n/a", "")]
    return bool(known) and not any(_is_number(value) for value in known) and not name.endswith("_low")


def _meaning(source: Source, name: str) -> str:
    return source.meanings.get(name, "")


def heading_of(name: str, row: Row) -> str:
    """A column's name in words: ``ci_low`` of a pair is ``interval``."""
    if name.endswith("_low") and f"{name.removesuffix('_low')}_high" in row:
        stem = name.removesuffix("_low")
        return "interval" if stem == "ci" else f"{_words(stem)}, interval"
    return _words(name)


def _words(name: str) -> str:
    seconds = name.endswith("_s") and len(name) > 2
    words = re.sub(r"^n_", "", name.removesuffix("_s") if seconds else name).replace("_", " ")
    return f"{words} (s)" if seconds else words


def cell_text(name: str, value: str) -> str:
    """One value for the eye: probabilities to three places, others to two or three digits that matter, real minus signs."""
    if value in ("n/a", ""):
        return "–"
    if value in ("true", "false"):
        return "yes" if value == "true" else "no"
    if not _is_number(value) or _is_label(name):
        return value.replace("_", " ") if name in NAMED else value.replace(" minus ", f" {MINUS} ")
    return number_text(float(value), whole=re.fullmatch(r"-?\d+", value) is not None, probability=is_probability(name))


def number_text(value: float, *, whole: bool = False, probability: bool = False) -> str:
    """A number for the eye."""
    if not math.isfinite(value):
        return "–"
    if whole:
        return f"{int(value):,}".replace(",", "\u2009").replace("-", MINUS)
    if probability:
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    size = abs(value) if abs(value) > 1e-9 else 0.0
    value = value if size else 0.0
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 0.1 or size == 0 else 3
    if 0 < size < 0.001:
        return f"{value:.1e}".replace("-", MINUS)
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS)


def interval_text(low: str, high: str) -> str:
    """``[0.12, 0.34]``; an en dash where there is none."""
    if not (_is_number(low) and _is_number(high)):
        return "–"
    return f"[{number_text(float(low))}, {number_text(float(high))}]"


def is_probability(name: str) -> bool:
    """Whether a column holds p-values, by its name."""
    return name in ("p", "q") or any(name.startswith(("p_", "q_")) and word in name for word in P_WORDS)


def _is_label(name: str) -> bool:
    return name in ("subject", "session", "sub", "ses", "run")


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False
