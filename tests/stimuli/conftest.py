"""What the tests of this room share: a small study, its folder made once, and copies of it to spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_image_study import small_study

from protocols.folder import StudyFolder
from protocols.study import Study
from stimuli.make import make


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return small_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def finished(study: Study, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """The study's folder, made once; read only."""
    folder = StudyFolder(tmp_path_factory.mktemp("finished"))
    make(study, folder, "cpu")
    return folder


@pytest.fixture
def folder(finished: StudyFolder, tmp_path: Path) -> StudyFolder:
    """A copy of the finished folder, to spoil."""
    return StudyFolder(Path(shutil.copytree(finished.root, tmp_path / "copy")))
