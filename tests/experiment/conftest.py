"""What the tests of this room share: a small study in a folder, and the rehearsal rig."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from experiment_study import fill, small_study

from protocols.folder import StudyFolder
from protocols.rig import Rig, load_rig
from protocols.study import Study


@pytest.fixture
def rig() -> Rig:
    return load_rig("rehearsal")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return small_study(tmp_path)


@pytest.fixture
def folder(tmp_path: Path, study: Study, rig: Rig) -> StudyFolder:
    return fill(tmp_path / "study", study, rig)
