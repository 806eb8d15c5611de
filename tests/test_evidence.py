"""The README's figures are those of the records, and of nothing else."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def evidence() -> ModuleType:
    spec = importlib.util.spec_from_file_location("evidence", ROOT / "tests" / "evidence.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RECORD = {
    "commit": "0123456789abcdef",
    "machine": "Linux, 2 cores",
    "what": "two numbers",
    "target": {"first": ">= 0.95"},
    "figure": {"first": 0.967123, "second_one": 3},
    "met": True,
}


def test_a_figure_stands_in_a_row_with_its_target_under_what_was_measured_where(evidence: ModuleType):
    rows = evidence.table({"accuracy_of": RECORD}).splitlines()[2:]
    assert rows == [
        "| **accuracy of**: two numbers (`0123456`, Linux, 2 cores) | | |",
        "| first | 0.9671 | >= 0.95 |",
        "| second one | 3 |  |",
    ]


def test_writing_the_table_again_changes_nothing(evidence: ModuleType):
    readme = f"before\n{evidence.BEGIN}\nold\n{evidence.END}\nafter\n"
    once = evidence.with_table(readme, {"accuracy": RECORD})
    assert "old" not in once
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert evidence.with_table(once, {"accuracy": RECORD}) == once


def test_a_readme_without_a_place_for_it_stays_as_it_is(evidence: ModuleType):
    assert evidence.with_table("text\n", {"accuracy": RECORD}) == "text\n"


def test_the_readme_shows_the_records(evidence: ModuleType):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert evidence.with_table(readme, evidence.records_in(ROOT / "evidence")) == readme
