"""The list of participants, to which a first run adds its subject."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence, Set
from pathlib import Path
from typing import Any

from protocols.folder import StudyFolder, exclusive, read_json, write_json, write_text
from protocols.problems import FoolscanError

WAIT_S = 10.0


def enrol(folder: StudyFolder, sub: str, *, simulated: bool) -> None:
    """Add a subject to ``participants.tsv`` if it is not there; other rows, columns and descriptions stay as they are.

    sub       : BIDS label without ``sub-``.
    simulated : whether the participant is emulated.

    Raises FoolscanError when another command holds the list for longer than `WAIT_S`.
    """
    enrol_all(folder, [sub], simulated=simulated)


def enrol_all(folder: StudyFolder, subs: Iterable[str], *, simulated: bool, gone: Iterable[str] = ()) -> None:
    """Add subjects to ``participants.tsv``, as `enrol` does, and strike out those of whom nothing is kept any more.

    subs, gone : BIDS labels without ``sub-``.
    """
    with exclusive(folder.root / "participants.tsv", "the list of participants", wait_s=WAIT_S):
        _change(folder, [f"sub-{sub}" for sub in subs], simulated, {f"sub-{sub}" for sub in gone})


def _change(folder: StudyFolder, names: Sequence[str], simulated: bool, gone: Set[str]) -> None:
    path = folder.root / "participants.tsv"
    rows: list[dict[str, str]] = []
    columns = ["participant_id", "simulated"]
    if path.exists():
        with path.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines, delimiter="\t")
            columns = list(reader.fieldnames or columns)
            rows = list(reader)
        if "participant_id" not in columns or any(None in row or None in row.values() for row in rows):
            raise FoolscanError(
                f"{path}: found columns {', '.join(columns)}, or a row of another length; expected participant_id and "
                "as many cells in every row (tab-separated). Mend it, then: foolscan experiment recover"
            )
    there = {row["participant_id"] for row in rows}
    kept = [row for row in rows if row["participant_id"] not in gone]
    added = [name for name in dict.fromkeys(names) if name not in there]
    if not added and len(kept) == len(rows):
        return
    for name in added:
        known = {"participant_id": name, "simulated": "true" if simulated else "false"}
        kept.append({column: known.get(column, "n/a") for column in columns})
    if not kept:  # nobody is left, and a table without rows is none
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(kept, key=lambda row: row["participant_id"]))
    write_text(path, text.getvalue())
    _describe(path.with_suffix(".json"), columns)


def _describe(path: Path, columns: Sequence[str]) -> None:
    """Add what is said of foolscan's own columns; what the lab has written of these and others stays."""
    own: dict[str, Any] = {
        "participant_id": {"Description": "Identifier of the participant."},
        "simulated": {
            "Description": "Whether the participant was a person.",
            "Levels": {"true": "emulated by foolscan in a rehearsal", "false": "a person"},
        },
    }
    said = read_json(path) if path.exists() else {}
    lacking = {name: facts for name, facts in own.items() if name in columns and name not in said}
    if lacking:
        write_json(path, {**said, **lacking})
