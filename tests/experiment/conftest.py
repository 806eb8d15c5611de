"""What the tests of this room share: a small study in a folder, and the rehearsal rig."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from experiment_study import fill, small_study

from experiment.rigging import open_stage
from protocols.folder import StudyFolder
from protocols.rig import Rig, load_rig
from protocols.study import Study, load_study


@pytest.fixture
def rig() -> Rig:
    return load_rig("rehearsal")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return small_study(tmp_path)


@pytest.fixture
def folder(tmp_path: Path, study: Study, rig: Rig) -> StudyFolder:
    return fill(tmp_path / "study", study, rig)


@pytest.fixture(scope="session")
def on_display(display: str | None) -> None:
    """For tests that open a window."""
    if display is None and sys.platform not in ("win32", "darwin"):
        pytest.skip("no display and no Xvfb: a window cannot be tested")


@pytest.fixture(scope="module")
def window(on_display: None, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A real window for the demo's task, or that of the study that a module names as ``WINDOW_OF``."""
    study = load_study(getattr(request.module, "WINDOW_OF", "demo"))
    opened = open_stage("window", load_rig("rehearsal"), study.tasks["animals"])
    yield opened
    opened.close()
