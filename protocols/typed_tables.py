"""Tables whose rows are frozen dataclasses: each cell is what its field says it is, or an error names its line and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from protocols.problems import FoolscanError

Row = TypeVar("Row")
WORDS = {"str": "text", "bool": "true or false", "float": "a finite number", "int": "a whole number"}


def read_rows(row: type[Row], path: Path, columns: Mapping[str, str], make: str) -> list[Row]:
    """All rows of a TSV file.

    row     : a dataclass; its fields, in the order of `columns`, are str, bool, float or int, or one of these or None.
    path    : the file.
    columns : names of columns, in order, with what they mean.
    make    : the command that makes the file, for messages.

    Raises FoolscanError with file, line and column for what cannot be read.
    """
    try:
        header, *lines = [*csv.reader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t")] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FoolscanError(f"{path}: not readable as a UTF-8 table ({error}); make it again: {make}") from error
    if header != list(columns):
        odd = sorted(set(header) ^ set(columns)) or ["the order of the columns"]
        raise FoolscanError(
            f"{path}: found other columns than it should have ({', '.join(odd)}); make it again: {make}"
        )
    kinds = {field.name: str(field.type) for field in fields(row)}  # type: ignore[arg-type]
    return [_row(row, kinds, cells, path, line, make) for line, cells in enumerate(lines, start=2)]


def _row(row: type[Row], kinds: Mapping[str, str], cells: list[str], path: Path, line: int, make: str) -> Row:
    if len(cells) != len(kinds):
        raise FoolscanError(f"{path}:{line}: found {len(cells)} columns, expected {len(kinds)}; make it again: {make}")
    values: dict[str, Any] = {}
    for (name, kind), cell in zip(kinds.items(), cells, strict=True):
        try:
            values[name] = _value(kind, cell)
        except ValueError:
            expected = WORDS[kind.removesuffix(" | None")] + (", or n/a" if kind.endswith("None") else "")
            raise FoolscanError(
                f"{path}:{line}: {name}: found {cell!r}, expected {expected}; make it again: {make}"
            ) from None
    return row(**values)


def _value(kind: str, cell: str) -> str | bool | float | int | None:
    if cell == "n/a" and kind.endswith("None"):
        return None
    base = kind.removesuffix(" | None")
    if base == "str" and cell:
        return cell
    if base == "bool" and cell in ("true", "false"):
        return cell == "true"
    if base == "int":
        return int(cell)
    if base == "float" and math.isfinite(number := float(cell)):
        return number
    raise ValueError(cell)
