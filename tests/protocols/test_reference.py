"""The reference in docs/ says what the schema says."""

from __future__ import annotations

from pathlib import Path

from protocols.reference import reference

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_in_docs_is_current() -> None:
    assert (DOCS / "study-file.md").read_text(encoding="utf-8") == reference(), (
        "run: python -m protocols.reference docs"
    )
