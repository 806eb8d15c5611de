"""Names of the numbers in an image of labels: BIDS tables, JSON, FreeSurfer's colour tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from protocols.folder import read_json
from protocols.problems import FoolscanError, near


def read_names(path: Path) -> dict[str, int]:
    """The number of every name.

    path : ``.tsv`` with the columns index and name (BIDS ``dseg.tsv``), ``.json`` (name to number, or number to name), or a
           FreeSurfer colour table (``.txt``, ``.ctab``: number, name, red, green, blue, transparency).

    Raises FoolscanError with file and line for what is not readable, and for a name that stands there with two numbers.
    """
    if not path.is_file():
        raise FoolscanError(f"{path}: no such table of label names")
    if path.suffix == ".json":
        pairs = [_of_json(path, key, value) for key, value in read_json(path).items()]
    elif path.suffix == ".tsv":
        pairs = _of_tsv(path)
    else:
        pairs = _of_colour_table(path)
    names: dict[str, int] = {}
    for line, name, index in pairs:
        if names.setdefault(name, index) != index:
            raise FoolscanError(
                f"{path}:{line}: name: found {name!r} for {index}, and for {names[name]} before; a name has one number"
            )
    if not names:
        raise FoolscanError(f"{path}: found no names of labels")
    return names


def numbers_of(labels: Sequence[str | int], names: Mapping[str, int] | None, where: str) -> list[int]:
    """The numbers of labels that are named or numbered.

    names : from `read_names`, or of an annotation; None without a table.
    where : the file that has them, for the message.

    Raises FoolscanError for a name without a number.
    """
    numbers = []
    for label in labels:
        if isinstance(label, int):
            numbers.append(label)
        elif names is None:
            raise FoolscanError(
                f"{where}: found the label {label!r} and no table of names; give `table`, or the label's number"
            )
        elif label not in names:
            raise FoolscanError(f"{where}: found no label {label!r}{near(label, list(names))}; it has {_some(names)}")
        else:
            numbers.append(names[label])
    return numbers


def _some(names: Mapping[str, int]) -> str:
    listed = list(names)
    return ", ".join(listed[:12]) + (f" … ({len(listed)} names)" if len(listed) > 12 else "")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise FoolscanError(f"{path}: not readable as a UTF-8 table ({error}); restore it") from error


def _of_json(path: Path, key: str, value: object) -> tuple[int, str, int]:
    if isinstance(value, int) and not isinstance(value, bool):
        return 1, key, value
    if isinstance(value, str) and key.lstrip("-").isdecimal():
        return 1, value, int(key)
    raise FoolscanError(
        f"{path}: {key!r}: found {value!r}; expected names with their numbers, or numbers with their names"
    )


def _of_tsv(path: Path) -> list[tuple[int, str, int]]:
    rows = list(csv.reader(_lines(path), delimiter="\t"))
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if "index" not in header or "name" not in header:
        raise FoolscanError(f"{path}:1: found columns {', '.join(header) or 'none'}; expected index and name")
    index, name = header.index("index"), header.index("name")
    found = []
    for line, row in enumerate(rows[1:], start=2):
        if not any(row):
            continue
        if len(row) <= max(index, name):
            raise FoolscanError(f"{path}:{line}: found {len(row)} columns, expected {len(header)}")
        found.append((line, row[name].strip(), _whole(path, line, row[index])))
    return found


def _of_colour_table(path: Path) -> list[tuple[int, str, int]]:
    found = []
    for line, text in enumerate(_lines(path), start=1):
        cells = text.split()
        if not cells or cells[0].startswith("#"):
            continue
        if len(cells) < 2:
            raise FoolscanError(
                f"{path}:{line}: found {text.strip()!r}; expected number, name, red, green, blue, transparency"
            )
        found.append((line, cells[1], _whole(path, line, cells[0])))
    return found


def _whole(path: Path, line: int, cell: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise FoolscanError(f"{path}:{line}: index: found {cell!r}, expected a whole number") from None
