"""A rehearsed study folder says in every file that it is simulated: whether a missing mark would be found."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from watermark import marked, unmarked


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sub-01_events.tsv", "onset\n1\n"),
        ("sub-01_journal.jsonl", json.dumps({"kind": "header", "rehearsal": False}) + "\n"),
        ("sub-01_certificate.json", json.dumps({"rehearsal": False, "run": "sub-01"})),
        ("sub-01_bold.nii.gz", None),
        ("report.html", "<p>Three participants</p>"),
        ("participants.tsv", "participant_id\tsimulated\nsub-01\ttrue\nsub-02\tfalse\n"),
    ],
)
def test_a_file_without_a_mark_is_found(tmp_path: Path, name: str, content: str | None):
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"volumes") if content is None else content.encode())
    assert unmarked(tmp_path) == [name]
    assert not marked(path)
    if path.suffix in (".tsv", ".gz") and "participants" not in name:
        (tmp_path / f"{name.split('.')[0]}.json").write_text('{"Simulated": true}', encoding="utf-8")
        assert unmarked(tmp_path) == []
