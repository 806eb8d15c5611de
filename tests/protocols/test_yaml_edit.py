"""A value goes into a file that people wrote, and nothing else of it changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from protocols.problems import FoolscanError
from protocols.yaml_edit import edited_text, put_value
from protocols.yamlfile import shipped_files

VALUE = {"offset_ms": 8.25, "date": "2026-11-21", "missed": 0}
FLOW = '{offset_ms: 8.25, date: "2026-11-21", missed: 0}'
KEYS = ("display", "measured")

BLOCK = """# my room
format: 1
display:   # back projection
  width_mm: 520.0
  size_px:
    - 1920
    - 1080   # the projector's own

# the box
trigger: {kind: keyboard, key: "5"}
"""


def test_a_block_gains_a_line_at_its_end_and_keeps_its_comments():
    expected = BLOCK.replace("projector's own\n", f"projector's own\n  measured: {FLOW}\n")
    assert edited_text(BLOCK, KEYS, VALUE) == expected


@pytest.mark.parametrize("inside", ["{width_mm: 5, patch: {bits: 8}}", "{width_mm: 5, patch: {bits: 8},}"])
def test_braces_gain_a_key(inside: str):
    text = f"display: {inside}  # one line\ntrigger: a\n"
    edited = edited_text(text, KEYS, VALUE)
    assert edited is not None
    assert edited.count("\n") == text.count("\n")
    assert "# one line" in edited
    assert yaml.safe_load(edited)["display"] == {"width_mm": 5, "patch": {"bits": 8}, "measured": VALUE}


@pytest.mark.parametrize(
    "old", ["{offset_ms: 1}  # in May", "  # in May\n    offset_ms: 1\n    missed: 4\n", "null  # in May"]
)
def test_an_older_value_is_replaced(old: str):
    text = f"display:\n  measured: {old}\n  screen: 1\n# end\n"
    edited = edited_text(text, KEYS, VALUE)
    assert edited is not None
    assert yaml.safe_load(edited)["display"] == {"measured": VALUE, "screen": 1}
    assert "# in May" in edited
    assert edited.endswith("  screen: 1\n# end\n")


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_mapping_that_is_not_there_is_made_at_the_end(end: str):
    edited = edited_text(f"extends: other\nname: mine  # ours{end}", KEYS, VALUE)
    assert edited == f"extends: other\nname: mine  # ours\ndisplay: {{measured: {FLOW}}}\n"


@pytest.mark.parametrize("name", sorted(shipped_files("rig")))
def test_every_rig_that_comes_with_foolscan_can_be_edited_twice(name: str):
    text = shipped_files("rig")[name].read_text(encoding="utf-8")
    once = edited_text(text, KEYS, {**VALUE, "missed": 7})
    assert once is not None
    twice = edited_text(once, KEYS, VALUE)
    assert twice is not None
    assert twice == edited_text(text, KEYS, VALUE)


@pytest.mark.parametrize("text", ["display: 5\n", "display: [1, 2]\n", "- a\n", "display: &a {x: 1}\nother: *a\n"])
def test_what_cannot_be_edited_without_harm_is_left_with_the_line_to_put_in(tmp_path: Path, text: str):
    path = tmp_path / "rig.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"by hand: display\.measured: \{offset_ms: 8\.25"):
        put_value(path, KEYS, VALUE)
    assert path.read_text(encoding="utf-8") == text
