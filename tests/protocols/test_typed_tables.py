"""Tables of frozen dataclasses: what is written is read, and what cannot be is refused where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from protocols.problems import FoolscanError
from protocols.tables import write_table
from protocols.typed_tables import read_rows, refuse_twice

COLUMNS = ("name", "file", "share", "right", "n")
REMEDY = "make it again: foolscan things"


@dataclass(frozen=True)
class Thing:
    """A row."""

    name: str
    file: str
    share: float
    right: bool
    n: int | None


def read(path: Path) -> list[Thing]:
    """As a room would."""
    return read_rows(
        Thing, path, COLUMNS, REMEDY,
        within={"share": (0, 1)}, one_of={"name": ("owl", "hen\u2028")}, files=("file",), newer=("n",),
    )  # fmt: skip


def test_what_is_written_is_read_again_line_separators_included(tmp_path: Path) -> None:
    row = {"name": "hen\u2028", "file": "things/a\nb.png", "n": None, "share": 0.5, "right": True}
    path = write_table(tmp_path / "things.tsv", COLUMNS, [row, {**row, "n": 3}])
    assert read(path) == [Thing("hen\u2028", "things/a\nb.png", 0.5, True, n) for n in (None, 3)]


@pytest.mark.parametrize(
    ("column", "cell", "expected"),
    [
        ("name", "n/a", "owl or hen"),
        ("file", "/etc/passwd", "a file in the stimuli folder"),
        ("file", "../a.png", "a file in the stimuli folder"),
        ("file", "..\\a.png", "a file in the stimuli folder"),
        ("file", "C:/a.png", "a file in the stimuli folder"),
        ("n", "1.0", "a whole number, or n/a"),
        ("share", "1.5", "a number from 0 to 1"),
        ("share", "nan", "a number from 0 to 1"),
        ("right", "1", "true or false"),
    ],
)
def test_a_cell_is_refused_where_it_stands(tmp_path: Path, column: str, cell: str, expected: str) -> None:
    row = {"name": "owl", "file": "a.png", "n": 1, "share": 0.5, "right": True}
    path = write_table(tmp_path / "things.tsv", COLUMNS, [row, {**row, column: cell}])
    with pytest.raises(FoolscanError) as told:
        read(path)
    assert str(told.value).startswith(f"{path}:3: {column}: found {cell!r}, expected {expected}")
    assert str(told.value).endswith(f"; {REMEDY}")


def test_a_table_of_an_older_format_lacks_what_is_newer(tmp_path: Path) -> None:
    path = write_table(
        tmp_path / "things.tsv", COLUMNS[:-1], [{"name": "owl", "file": "a", "share": 0.5, "right": False}]
    )
    assert read(path) == [Thing("owl", "a", 0.5, False, None)]


def test_other_columns_are_named(tmp_path: Path) -> None:
    path = write_table(tmp_path / "things.tsv", [*COLUMNS, "more"], [])
    with pytest.raises(FoolscanError, match=r"other columns than it should have \(more\); make it again"):
        read(path)


def test_what_stands_twice_is_told_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(FoolscanError, match=r"t\.tsv:4: name: found 'owl', which line 2 has; make it again"):
        refuse_twice(tmp_path / "t.tsv", "name", ["owl", "hen", "owl"], REMEDY)
