"""The keys that a rig may name are those that PsychoPy can report."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from protocols.key_names import KEY_NAMES, near_names


def tables_of_psychopy() -> dict[str, set[str]]:
    """System -> names of its keys, read from PsychoPy's source: importing it would need a display."""
    found = importlib.util.find_spec("psychopy")
    if found is None or found.origin is None:
        pytest.skip("PsychoPy is not installed")
    source = (Path(found.origin).parent / "hardware" / "keyboard.py").read_text(encoding="utf-8")
    tables = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict) and isinstance(node.targets[0], ast.Name):
            tables[node.targets[0].id] = set(ast.literal_eval(node.value).values())
    return tables


@pytest.mark.parametrize("system", ["keyNamesWin", "keyNamesMac", "keyNamesLinux"])
def test_every_key_that_psychopy_knows_may_be_named(system: str):
    names = tables_of_psychopy()[system]
    assert len(names) > 80
    assert names <= KEY_NAMES


@pytest.mark.parametrize(
    ("written", "meant"),
    [("Space", "space"), ("enter", "return"), ("kp_5", "num_5"), (";", "semicolon"), ("escpae", "escape"), ("é", None)],
)
def test_the_name_that_was_meant_is_suggested(written: str, meant: str | None):
    assert (near_names(written) or (None,))[0] == meant
