"""Tables of betas: which image each volume is of, checked against the manifest and against what was shown."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.events import read_events, shown_images
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError

COLUMNS = ("index", "stim_id", "set", "category", "presentations")
SINGLE_TRIAL_COLUMNS = (*COLUMNS, "trial", "onset_s")


@dataclass(frozen=True)
class BetasRow:
    """One row of a table of betas.

    line          : in the file, from 2.
    stim_id       : the image.
    presentations : that the beta is of, from 1.
    trial         : of betas of single trials, the number of the presentation in the run, from 1; else None.
    run           : of a session's betas, the run it is of, where the table tells; else None.
    """

    line: int
    stim_id: str
    presentations: int
    trial: int | None
    run: int | None


def read_betas_table(path: Path, n_volumes: int, known: Mapping[str, int]) -> list[BetasRow]:
    """What the volumes of a betas file are, in its order.

    path      : the table.
    n_volumes : of the file.
    known     : the manifest's images.

    Raises FoolscanError with file and line for another number of rows, an unknown image, another order, or a row twice.
    """
    again = "estimate or import the betas again"
    if not path.exists():
        raise FoolscanError(f"{path}: no table of images beside the betas; {again}")
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FoolscanError(f"{path}: not readable as a UTF-8 table ({error}); {again}") from error
    if len(rows) != n_volumes:
        raise FoolscanError(f"{path}: found {len(rows)} images for {n_volumes} betas; {again}")
    found: list[BetasRow] = []
    for line, row in enumerate(rows, start=2):
        stim_id = row.get("stim_id")
        if stim_id is None or stim_id not in known:
            raise FoolscanError(
                f"{path}:{line}: stim_id: found {stim_id!r}, which stimuli.tsv does not have; "
                "estimate the betas again with this folder's stimuli"
            )
        if row.get("index", str(line - 2)) != str(line - 2):
            raise FoolscanError(
                f"{path}:{line}: index: found {row['index']}, expected {line - 2}: rows are in the order of the volumes; {again}"
            )
        numbers = {name: _whole(path, line, name, row.get(name)) for name in ("presentations", "trial", "run")}
        found.append(BetasRow(line, stim_id, numbers["presentations"] or 1, numbers["trial"], numbers["run"]))
    keys = Counter((read.stim_id, read.trial, read.run) for read in found)
    for read in found:
        if keys[read.stim_id, read.trial, read.run] > 1:
            which = "" if read.trial is None else f", trial {read.trial}"
            raise FoolscanError(f"{path}:{read.line}: stim_id: found {read.stim_id!r}{which} a second time; {again}")
    return found


def _whole(path: Path, line: int, name: str, cell: str | None) -> int | None:
    if cell is None or cell == "n/a":
        return None
    if not cell.isdecimal() or int(cell) < 1:
        raise FoolscanError(
            f"{path}:{line}: {name}: found {cell!r}, expected a whole number from 1; estimate or import the betas again"
        )
    return int(cell)


def check_shown(folder: StudyFolder, table: Path, of_runs: Sequence[RunId], rows: Sequence[BetasRow]) -> None:
    """Refuse a table that does not hold just the presentations that were logged.

    table   : the file, for the message.
    of_runs : the runs whose betas it tells of.
    """
    for part in dict.fromkeys(row.run for row in rows):
        runs = [run for run in of_runs if part is None or run.run == part]
        if not runs:
            raise FoolscanError(f"{table}: run: found {part}; {of_runs[0].stem[:-3]} … has no such run with events")
        logged = Counter(str(event.stim_id) for run in runs for event in shown_images(read_events(folder.events(run))))
        told: Counter[str] = Counter()
        where: dict[str, int] = {}
        for row in rows:
            if row.run == part:
                told[row.stim_id] += 1 if row.trial is not None else row.presentations
                where.setdefault(row.stim_id, row.line)
        for stim_id in [*told, *logged]:
            if told[stim_id] != logged[stim_id]:
                line = where.get(stim_id)
                raise FoolscanError(
                    f"{table}{f':{line}' if line else ''}: {stim_id}: found betas of {told[stim_id]} presentations; "
                    f"{folder.events(runs[0])} {'and the session’s others have' if len(runs) > 1 else 'has'} {logged[stim_id]}. "
                    "Estimate or import the betas of this run again"
                )
