"""Tables that a lab writes to say what its maps are: names of conditions, trials, and which file belongs to which run."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from protocols.folder import RunId
from protocols.problems import FoolscanError

NONE = ("n/a", "")


@dataclass(frozen=True)
class Named:
    """What a table says of a name: its image (None: of none, left out), and the number of the presentation."""

    line: int
    stim_id: str | None
    trial: int | None


@dataclass(frozen=True)
class TrialRow:
    """One row of a table of trials; what it does not say is None."""

    line: int
    stim_id: str | None
    ses: str | None
    run: int | None
    onset_s: float | None


@dataclass(frozen=True)
class RunRow:
    """One row of a table of runs: a run (None: all of the session, in one model), its file, and its place in that."""

    line: int
    sub: str
    ses: str
    run: int | None
    path: str | None
    part: int | None


def read_names_table(path: Path) -> dict[str, Named]:
    """What every name of a source stands for.

    path : TSV with the columns name and stim_id (``n/a``: no image, left out), and trial where maps are single trials.

    Raises FoolscanError with file, line and column.
    """
    names: dict[str, Named] = {}
    for line, row in _rows(path, ("name", "stim_id")):
        if row["name"] in names:
            raise FoolscanError(f"{path}:{line}: name: found {row['name']!r}, which line {names[row['name']].line} has")
        names[row["name"]] = Named(line, _text(row, "stim_id"), _whole(path, line, row, "trial"))
    return names


def read_trials_table(path: Path) -> list[TrialRow]:
    """The trials of a source, in its order.

    path : TSV with the column stim_id (``n/a``: a blank, left out); ses, run and onset (s) are checked where they are there.

    Raises FoolscanError with file, line and column.
    """
    return [
        TrialRow(
            line,
            _text(row, "stim_id"),
            _text(row, "ses"),
            _whole(path, line, row, "run"),
            _seconds(path, line, row, "onset"),
        )
        for line, row in _rows(path, ("stim_id",))
    ]


def read_runs_table(path: Path) -> list[RunRow]:
    """Which file, and which of its runs, belongs to which run of the study.

    path : TSV with the columns sub, ses and run (a number, or ``all`` for a model of the whole session); path (relative to
           --from) and part (the run's number in a source of several runs, from 1) where they are needed.

    Raises FoolscanError with file, line and column.
    """
    found: list[RunRow] = []
    seen: dict[tuple[str, str, int | None], int] = {}
    for line, row in _rows(path, ("sub", "ses", "run")):
        run = None if row["run"] == "all" else _whole(path, line, row, "run")
        if run is None and row["run"] != "all":
            raise FoolscanError(f"{path}:{line}: run: found {row['run']!r}, expected a number from 1, or all")
        sub, ses = row["sub"].removeprefix("sub-"), row["ses"].removeprefix("ses-")
        first = seen.setdefault((sub, ses, run), line)
        if first != line:
            raise FoolscanError(f"{path}:{line}: found sub-{sub} ses-{ses} run {row['run']}, which line {first} has")
        RunId(sub, ses, "task", run or 1)  # its labels are checked
        found.append(RunRow(line, sub, ses, run, _text(row, "path"), _whole(path, line, row, "part")))
    return found


def _rows(path: Path, required: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    if not path.is_file():
        raise FoolscanError(f"{path}: no such table")
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines(), delimiter="\t"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FoolscanError(
            f"{path}: not readable as a UTF-8 table ({error}); save it as tab-separated text"
        ) from error
    header = [cell.strip() for cell in rows[0]] if rows else []
    lacking = [name for name in required if name not in header]
    if lacking:
        raise FoolscanError(
            f"{path}:1: found no column {', '.join(lacking)} (columns: {', '.join(header) or 'none'}); expected tab-separated "
            f"{', '.join(required)}"
        )
    found = []
    for line, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise FoolscanError(f"{path}:{line}: found {len(row)} columns, expected {len(header)}")
        found.append((line, dict(zip(header, (cell.strip() for cell in row), strict=True))))
    if not found:
        raise FoolscanError(f"{path}: found no row below the header")
    return found


def _text(row: dict[str, str], name: str) -> str | None:
    value = row.get(name, "n/a")
    return None if value in NONE else value


def _whole(path: Path, line: int, row: dict[str, str], name: str) -> int | None:
    value = _text(row, name)
    if value is None:
        return None
    digits = value.removeprefix(f"{name}-")
    if not digits.isdecimal() or int(digits) < 1:
        raise FoolscanError(f"{path}:{line}: {name}: found {value!r}, expected a whole number from 1")
    return int(digits)


def _seconds(path: Path, line: int, row: dict[str, str], name: str) -> float | None:
    value = _text(row, name)
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise FoolscanError(f"{path}:{line}: {name}: found {value!r}, expected seconds")
    return seconds
