"""Reads the journal of a run, and checks that it holds what events and certificate are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from experiment.journal import Journal, read_journal
from experiment.timeline import row_from
from protocols.problems import FoolscanError

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
AboveZero = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True, ge=0, le=10**9)]
Count = Annotated[int, Field(strict=True, ge=1, le=10**9)]
Word = Annotated[str, Field(strict=True)]
Label = Annotated[str, Field(strict=True, max_length=64, pattern=r"^[A-Za-z0-9]+$")]
Flag = Annotated[bool, Field(strict=True)]


class _Part(BaseModel):
    """A part of a record; what later releases add to it is let through."""

    model_config = ConfigDict(extra="allow")


class _Run(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sub: Label
    ses: Label
    task: Label
    run: Annotated[Count, Field(le=99)]


class _Scan(_Part):
    tr_s: AboveZero
    first_pulse_s: Number
    pulses: Count
    task_start_s: Number
    end_s: Number | None
    per: Word = "volume"
    slices: Count = 1


class _Session(_Part):
    button_of_answer: dict[Word, Word]


class _Clock(_Part):
    kind: Word


class _Rating(_Part):
    question: Word
    labels: list[Word]
    buttons: list[Word]


class _Screen(_Part):
    width_mm: AboveZero
    distance_mm: AboveZero
    size_px: tuple[Count, Count]


class _Light(_Part):
    method: Word
    date: Word
    onset_offset_ms: Number
    sd_ms: Number
    missed: Whole
    flashes: Whole


class _Stage(_Part):
    software: Word = ""
    keyboard: Word | None = None
    refresh_measured_hz: Number | None = None
    light: _Light | None = None


class _Row(_Part):
    trial: Whole | None
    trial_type: Word
    onset_s: Number
    stim_id: Word | None
    expected_answer: Word | None
    drawing: Word
    segment: Word = ""


class _Timeline(_Part):
    rows: list[_Row]


class _Responses(_Part):
    kind: Word = ""


class _Header(_Part):
    run: _Run
    study: Word = ""
    rig: Word = ""
    started: Word | None = None
    rehearsal: Flag
    session: _Session
    question: Word
    instructions: Word = ""
    response_window_s: AboveZero
    rating: _Rating | None = None
    refresh_hz: AboveZero
    display: _Screen | None = None
    length_s: Number
    scan: _Scan
    clock: _Clock
    stage: _Stage
    responses: _Responses = _Responses()
    system: Word
    versions: dict[str, Any]
    timeline: _Timeline


NUMBER, WORD = (int, float), (str,)
# What the records of each kind must say, and of what type it is; further keys, and further kinds, are let through.
NEEDED: dict[str, dict[str, tuple[type, ...]]] = {
    "segment": {"name": WORD, "mode": WORD, "t_s": NUMBER},
    "flip": {"t_s": NUMBER},
    "late": {"lost": (int,)},
    "pulse": {"t_s": NUMBER},
    "press": {"t_s": NUMBER, "button": WORD},
    "fault": {"what": WORD},
    "end": {"status": WORD, "reason": WORD},
}
ROW_OF_GAZE: dict[str, tuple[type, ...]] = {
    "row": (int,),
    "samples": (int,),
    "breaks": (int,),
    "share_lost": (int, float, type(None)),
    "share_on_fixation": (int, float, type(None)),
}


def read_run(path: Path) -> Journal:
    """The journal of a run, whole or cut off (see `read_journal`).

    Raises FoolscanError when it is no journal, or one of its records lacks what it must say.
    """
    journal = read_journal(path)
    wrong = wrong_with(journal.header, journal.records)
    if wrong is not None:
        raise FoolscanError(f"{path}: {wrong}: not what a run writes; restore the file from a backup")
    return journal


def wrong_with(header: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str | None:
    """What is wrong with a journal, and in which record of it; None when nothing is.

    header  : its first record.
    records : the others, in order.
    """
    try:
        _Header.model_validate(header)
        rows = [row_from(row) for row in header["timeline"]["rows"]]
    except ValidationError as error:
        first = error.errors()[0]
        return f"line 1: header {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
    except (TypeError, ValueError) as error:
        return f"line 1: header timeline.rows: {error}"
    for number, record in enumerate(records, start=2):
        wrong = _wrong_with_record(record, len(rows))
        if wrong is not None:
            return f"line {number}: {record['kind']} {wrong}"
    return None


def _wrong_with_record(record: Mapping[str, Any], n_rows: int) -> str | None:
    kind = record["kind"]
    needed = NEEDED.get(kind, {}) if isinstance(kind, str) else {}
    if kind == "gaze" and record.get("what") == "row":
        needed = ROW_OF_GAZE
    for key, types in needed.items():
        value = record.get(key)
        if (key not in record or not isinstance(value, types) or isinstance(value, bool)) or (
            isinstance(value, (int, float)) and not abs(value) < 1e9
        ):
            return f"{key}: found {value!r:.60}"
    if kind == "flip" and "shows" in record:
        row = record.get("row", "nothing")
        if row is not None and (not isinstance(row, int) or not -1 <= row < n_rows):
            return f"row: found {row!r:.60}; the plan has {n_rows} rows"
    return None
