"""Which files of a rehearsal do not say that they are simulated: shared by tests that walk a whole study folder."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

# Made from pictures and networks alone: nobody took part, so there is nothing that could be mistaken for a participant's.
NOT_FROM_PEOPLE = (
    "stimuli/",
    "derivatives/foolscan/activations/",
    "derivatives/foolscan/contact-sheets/",
    "derivatives/foolscan/make/",
    "derivatives/foolscan/networks/",
    "derivatives/foolscan/screen/",
    "derivatives/foolscan/rdms/network",
    "derivatives/foolscan/rdms/similarity_network",
    "derivatives/foolscan/rdms/difference_network",
    "derivatives/foolscan/rdms/models_network",
    "derivatives/foolscan/rdms/tests_network",
    "derivatives/foolscan/rdms/trends_network",
    "derivatives/foolscan/report/figures/rdms_network",
    "derivatives/foolscan/report/figures/stimuli",
    "participants.json",  # says what the columns mean, one of which is the mark
    ".bidsignore",
    "derivatives/foolscan/.bidsignore",
)


def unmarked(root: Path) -> list[str]:
    """The files of a rehearsed study that carry no mark, relative to its folder.

    root : the study folder.

    A mark is in the file itself, or in the JSON beside it that BIDS and foolscan call its sidecar.
    """
    found = []
    for path in sorted(item for item in root.rglob("*") if item.is_file()):
        name = path.relative_to(root).as_posix()
        if not name.startswith(NOT_FROM_PEOPLE) and not marked(path):
            found.append(name)
    return found


def marked(path: Path) -> bool:
    """Whether a file says that it is simulated."""
    if path.suffix != ".json" and any(_says_so(sidecar) for sidecar in _sidecars(path)):
        return True
    if path.suffix == ".json":
        return _says_so(path)
    if path.suffix == ".jsonl":
        return json.loads(path.read_text(encoding="utf-8").splitlines()[0])["rehearsal"] is True
    if path.name == "participants.tsv":
        header, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        return all(row[header.index("simulated")] == "true" for row in rows)
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return b"simulated" in content.lower()


def _sidecars(path: Path) -> list[Path]:
    stem = path.name.split(".")[0]
    return [beside for beside in (path.with_name(f"{stem}.json"), path.with_suffix(".json")) if beside.is_file()]


def _says_so(path: Path) -> bool:
    def walk(value: Any) -> bool:
        if isinstance(value, dict):
            known = {str(key).lower(): item for key, item in value.items()}
            return (
                known.get("simulated") is True
                or known.get("rehearsal") is True
                or any(walk(item) for item in value.values())
            )
        if isinstance(value, list):
            return any(walk(item) for item in value)
        return isinstance(value, str) and "simulated" in value.lower()

    return walk(json.loads(path.read_text(encoding="utf-8")))
