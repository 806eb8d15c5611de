"""The list of participants, to which a first run adds its subject."""

from __future__ import annotations

import csv
import io
import time

from protocols.folder import StudyFolder, exclusive, write_json, write_text
from protocols.problems import FoolscanError

WAIT_S = 10.0


def enrol(folder: StudyFolder, sub: str, *, simulated: bool) -> None:
    """Add a subject to ``participants.tsv`` if it is not there; other rows and columns stay as they are.

    sub       : BIDS label without ``sub-``.
    simulated : whether the participant is emulated.

    Raises FoolscanError when another command holds the list for longer than `WAIT_S`.
    """
    path = folder.root / "participants.tsv"
    until_s = time.monotonic() + WAIT_S
    while True:
        try:
            with exclusive(path, "the list of participants"):
                _add(folder, sub, simulated)
            return
        except FoolscanError:
            if time.monotonic() > until_s or not path.with_name(path.name + ".lock").exists():
                raise
            time.sleep(0.05)


def _add(folder: StudyFolder, sub: str, simulated: bool) -> None:
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
    name = f"sub-{sub}"
    if any(row["participant_id"] == name for row in rows):
        return
    known = {"participant_id": name, "simulated": "true" if simulated else "false"}
    rows.append({column: known.get(column, "n/a") for column in columns})
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: row["participant_id"]))
    write_text(path, text.getvalue())
    description = path.with_suffix(".json")
    if not description.exists():
        levels = {"true": "emulated by foolscan in a rehearsal", "false": "a person"}
        write_json(
            description,
            {
                "participant_id": {"Description": "Identifier of the participant."},
                "simulated": {"Description": "Whether the participant was a person.", "Levels": levels},
            },
        )
