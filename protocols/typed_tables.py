"""Tables whose rows are frozen dataclasses: each cell is what its field says it is, or an error names its line and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from protocols.folder import read_json
from protocols.problems import FoolscanError

Row = TypeVar("Row")
WORDS = {"str": "text", "bool": "true or false", "float": "a number", "int": "a whole number"}
ANY = (-math.inf, math.inf)


@dataclass(frozen=True)
class _Column:
    """What the cells of a column may be.

    kind      : str, bool, float or int.
    empty     : whether ``n/a`` may stand for a value.
    low, high : bounds of a number.
    one_of    : the texts that there are; none: any text.
    is_file   : whether it is a file of the stimuli folder.
    """

    name: str
    kind: str
    empty: bool
    low: float
    high: float
    one_of: Sequence[str]
    is_file: bool

    @property
    def expected(self) -> str:
        """In words."""
        if self.is_file:
            return "a file in the stimuli folder"
        if self.one_of:
            return " or ".join(self.one_of)
        bounds = f" from {self.low:g}" * math.isfinite(self.low) + f" to {self.high:g}" * math.isfinite(self.high)
        return WORDS[self.kind] + bounds + ", or n/a" * self.empty

    def value(self, cell: str) -> str | bool | float | int | None:
        """What a cell says. Raises ValueError where it is none of what is expected."""
        if cell == "n/a" and self.empty:
            return None
        if self.kind == "bool" and cell in ("true", "false"):
            return cell == "true"
        if self.kind in ("int", "float"):
            number = int(cell) if self.kind == "int" else float(cell)
            if math.isfinite(number) and self.low <= number <= self.high:
                return number
        if self.kind == "str" and cell and cell in (self.one_of or (cell,)) and not (self.is_file and _leaves(cell)):
            return cell
        raise ValueError(cell)


def read_rows(
    row: type[Row],
    path: Path,
    columns: Iterable[str],
    remedy: str,
    *,
    within: Mapping[str, tuple[float, float]] | None = None,
    one_of: Mapping[str, Sequence[str]] | None = None,
    files: Collection[str] = (),
    newer: Collection[str] = (),
) -> list[Row]:
    """All rows of a TSV file.

    row     : a dataclass; its fields, in the order of `columns`, are str, bool, float or int, or one of these or None.
    path    : the file.
    columns : names of columns, in order.
    remedy  : what to do about a table that cannot be read, for messages: ``make it again: foolscan …``.
    within  : column -> the least and the greatest number that it may have; left out: any finite one.
    one_of  : column -> the texts that it may have; left out: any.
    files   : columns of files in the stimuli folder, which lead nowhere else.
    newer   : the last columns, which older formats do not have: where all of them are lacking, they read as n/a.

    Raises FoolscanError with file, line and column for what cannot be read.
    """
    names = list(columns)
    kinds = {field.name: str(field.type) for field in fields(row)}  # type: ignore[arg-type]
    expected = [
        _Column(
            name,
            kind.removesuffix(" | None"),
            kind.endswith("None"),
            *(within or {}).get(name, ANY),
            one_of=(one_of or {}).get(name, ()),
            is_file=name in files,
        )
        for name, kind in kinds.items()
    ]
    try:
        with path.open(encoding="utf-8", newline="") as text:
            reader = csv.reader(text, delimiter="\t")
            header = next(reader, [])
            lines = [(reader.line_num, cells) for cells in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FoolscanError(f"{path}: not readable as a UTF-8 table ({error}); {remedy}") from error
    if newer and header == [name for name in names if name not in newer]:
        header, lines = names, [(line, [*cells, *["n/a"] * len(newer)]) for line, cells in lines]
    if header != names:
        odd = sorted(set(header) ^ set(names)) or ["the order of the columns"]
        raise FoolscanError(f"{path}: found other columns than it should have ({', '.join(odd)}); {remedy}")
    return [row(**_values(expected, cells, f"{path}:{line}", remedy)) for line, cells in lines]


def refuse_other_format(table: Path, reads: int, remedy: str) -> None:
    """Raise FoolscanError unless the sidecar of a table says that it has the format that is read here.

    reads : that format.
    """
    sidecar = table.with_suffix(".json")
    if not sidecar.exists():
        raise FoolscanError(f"{sidecar}: no such file; it says which format the table has: {remedy}")
    found = read_json(sidecar).get("format")
    if found != reads:
        raise FoolscanError(
            f"{sidecar}: format: found {found}, this foolscan reads {reads}; update foolscan, or {remedy}"
        )


def refuse_twice(path: Path, column: str, values: Iterable[Hashable], remedy: str) -> None:
    """Raise FoolscanError where two rows say the same in a column that tells them apart.

    values : of the column, in order of rows.
    """
    lines: dict[Hashable, int] = {}
    for line, value in enumerate(values, start=2):
        first = lines.setdefault(value, line)
        if first != line:
            raise FoolscanError(f"{path}:{line}: {column}: found {value!r}, which line {first} has; {remedy}")


def _values(expected: Sequence[_Column], cells: Sequence[str], where: str, remedy: str) -> dict[str, Any]:
    if len(cells) != len(expected):
        raise FoolscanError(f"{where}: found {len(cells)} columns, expected {len(expected)}; {remedy}")
    values: dict[str, Any] = {}
    for column, cell in zip(expected, cells, strict=True):
        try:
            values[column.name] = column.value(cell)
        except ValueError:
            raise FoolscanError(
                f"{where}: {column.name}: found {cell!r}, expected {column.expected}; {remedy}"
            ) from None
    return values


def _leaves(file: str) -> bool:
    """Whether a path leads out of the folder that it is in, on any system."""
    path = PurePosixPath(file)
    return path.is_absolute() or ".." in path.parts or "\\" in file or ":" in file
