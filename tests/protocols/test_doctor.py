"""What the doctor says of Python, disk and memory, and how it shows it."""

from __future__ import annotations

import pytest
from rich.console import Console

from protocols.doctor import GIB, Finding, free_disk, is_installed, memory, not_installed, probes, python_version, table


@pytest.mark.parametrize(
    ("version", "status"), [((3, 10), "missing"), ((3, 11), "ok"), ((3, 12), "ok"), ((3, 13), "missing")]
)
def test_python_is_judged_by_psychopys_ceiling(version: tuple[int, int], status: str):
    assert python_version(version).status == status


def test_a_full_disk_is_a_limit_and_says_how_much_is_wanted():
    assert free_disk(200 * GIB).status == "ok"
    full = free_disk(GIB // 2)
    assert full.status == "limited"
    assert "10 GiB" in full.remedy


def test_memory_that_the_system_does_not_tell_is_no_failure():
    assert memory(None).status == "limited"
    assert memory(16 * GIB).status == "ok"
    assert memory(2 * GIB).status == "limited"


def test_looking_for_a_module_does_not_import_it():
    assert is_installed("json")
    assert not is_installed("no_module_has_this_name")


def test_an_absent_module_is_missing_with_the_extra_that_brings_it():
    finding = not_installed("GPU", "torch", "stimuli")
    assert finding.status == "missing"
    assert "foolscan[stimuli]" in finding.remedy


def test_this_machine_is_described():
    assert [finding.topic for finding in probes()] == ["Python", "disk", "memory"]


def test_the_table_shows_every_topic_and_remedy_and_takes_brackets_literally():
    console = Console(width=120, record=True)
    console.print(table([Finding("GPU", "missing", "no [cuda]", "pip install 'foolscan[stimuli]'")]))
    text = console.export_text()
    assert "no [cuda]" in text
    assert "pip install 'foolscan[stimuli]'" in text
    assert "missing" in text
