"""A visit's record is taken as it was written, or refused with one message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from protocols.folder import StudyFolder
from protocols.problems import FoolscanError
from protocols.session import open_session
from protocols.study import load_study


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("button_of_answer", "left", "button_of_answer: found 'left'"),
        ("button_of_answer", {"animal": "left", "not_animal": "left"}, "task animals has answers animal, not_animal"),
        ("button_of_answer", {"same": "left", "different": "right"}, "Use a new --ses for another task"),
        ("order_seed", "many", "order_seed: found 'many'"),
        ("language", "xx", "task animals has en, de"),
        ("sub_", "01", "sub_"),
    ],
)
def test_a_record_that_is_not_this_tasks_is_refused(tmp_path: Path, key: str, value: Any, said: str):
    study, folder = load_study("demo"), StudyFolder(tmp_path)
    assert open_session(folder, study, "01", "01", "animals", rehearsal=True) == open_session(
        folder, study, "01", "01", "animals", rehearsal=True
    )
    path = folder.session_record("01", "01")
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {key: value}), encoding="utf-8")
    with pytest.raises(FoolscanError, match=said):
        open_session(folder, study, "01", "01", "animals", rehearsal=True)
