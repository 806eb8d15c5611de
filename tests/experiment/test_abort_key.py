"""One key alone never ends a run, however long it is held down: the display repeats keys, and a repeat is no second press."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from experiment.rigging import open_stage
from protocols.rig import load_rig
from protocols.study import load_study


@pytest.fixture(scope="module")
def stage(display: str | None) -> Iterator[Any]:
    if display is None and sys.platform not in ("win32", "darwin"):
        pytest.skip("no display and no Xvfb: a window cannot be tested")
    if shutil.which("xdotool") is None:
        pytest.skip("xdotool is not installed: keys cannot be held down from outside")
    opened = open_stage("window", load_rig("rehearsal"), load_study("demo").tasks["animals"])
    yield opened
    opened.close()


def reasons(stage: Any, backend: str, *actions: str) -> list[str]:
    """Why the abort key would have ended a run while xdotool did its actions in another process."""
    from experiment.psychopy_keys import AbortKey

    own = stage.keys.backend
    stage.keys.backend = backend
    try:
        stage.keys.start_over()
        abort, found = AbortKey(stage.keys, "escape"), []
        typist = subprocess.Popen(["xdotool", *actions])
        end_s = time.monotonic() + 30
        while typist.poll() is None and time.monotonic() < end_s:
            stage.flip()
            found.append(abort.stop())
            time.sleep(0.005)
        for _ in range(20):
            stage.flip()
            found.append(abort.stop())
            time.sleep(0.005)
    finally:
        stage.keys.backend = own
    return [reason for reason in found if reason]


@pytest.fixture(params=["driver", "event"])
def backend(request: pytest.FixtureRequest, stage: Any) -> str:
    return stage.keys.backend if request.param == "driver" else "event"


def test_a_key_that_is_held_down_is_one_press(stage: Any, backend: str):
    assert reasons(stage, backend, "keydown", "Escape", "sleep", "1.6", "keyup", "Escape", "sleep", "0.2") == []


def test_two_presses_within_a_second_end_it(stage: Any, backend: str):
    pressed = reasons(stage, backend, "key", "Escape", "sleep", "0.3", "key", "Escape", "sleep", "0.2")
    assert pressed == ["escape was pressed twice"]


def test_two_presses_further_apart_and_other_keys_between_do_not(stage: Any, backend: str):
    keys = [
        "key",
        "Escape",
        "sleep",
        "1.3",
        "key",
        "5",
        "key",
        "1",
        "key",
        "5",
        "sleep",
        "0.1",
        "key",
        "Escape",
        "sleep",
        "0.2",
    ]
    assert reasons(stage, backend, *keys) == []
