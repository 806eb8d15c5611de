"""Tidy tables: tab-separated, one row per observation, ``n/a`` for what there is not."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from protocols.folder import write_text
from protocols.problems import FoolscanError


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows as TSV, whole or not at all.

    columns : names, in order.
    rows    : values by column; None and NaN become ``n/a``, floats keep nine significant digits.
    """
    text = io.StringIO()
    names = list(columns)
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(names)
    writer.writerows([cell(row[name]) for name in names] for row in rows)
    write_text(path, text.getvalue())
    return path


def cell(value: Any) -> str:
    """One value as it stands in a table."""
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.9g}" if math.isfinite(value) else "n/a"
    return str(value)


def read_table(path: Path) -> list[dict[str, str]]:
    """All rows of a TSV file as text by column."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines, delimiter="\t"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FoolscanError(f"{path}: not readable as a UTF-8 table ({error}); make it again") from error


def number(text: str) -> float:
    """A cell as a number, NaN for ``n/a``."""
    return math.nan if text == "n/a" else float(text)
