"""Files of format 1, frozen: every later version reads them and says the same of them."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

from experiment.certificate import certificate_of
from experiment.events import events_of, events_text
from experiment.journal import read_journal
from experiment.timeline import COLUMNS, row_from

FROZEN = Path(__file__).parent.parent / "formats" / "v1"


def test_a_journal_of_format_1_gives_the_events_it_gave_then():
    journal = read_journal(FROZEN / "journal.jsonl")
    assert events_text(events_of(journal)) == (FROZEN / "events.tsv").read_text(encoding="utf-8")


def test_and_the_certificate_it_gave_then():
    now = json.loads(json.dumps(dataclasses.asdict(certificate_of(read_journal(FROZEN / "journal.jsonl")))))
    then = json.loads((FROZEN / "certificate.json").read_text(encoding="utf-8"))
    assert {key: now[key] for key in then} == then


def test_a_timeline_of_format_1_has_the_columns_of_today_but_those_that_came_since():
    with (FROZEN / "timeline.tsv").open(encoding="utf-8", newline="") as lines:
        frozen = list(csv.DictReader(lines, delimiter="\t").fieldnames or [])
    assert frozen == list(COLUMNS)[: len(frozen)]
    assert list(COLUMNS)[len(frozen) :] == ["segment"]


def test_a_desk_session_of_format_1_gives_the_events_it_gave_then():
    journal = read_journal(FROZEN / "desk_journal.jsonl")
    assert events_text(events_of(journal), rated=True) == (FROZEN / "desk_events.tsv").read_text(encoding="utf-8")
    rows = [row_from(record) for record in journal.header["timeline"]["rows"]]
    with (FROZEN / "desk_timeline.tsv").open(encoding="utf-8", newline="") as lines:
        frozen = list(csv.DictReader(lines, delimiter="\t"))
    assert [row.segment for row in rows] == [row["segment"] for row in frozen]
    assert set(frozen[0]) <= set(COLUMNS)
