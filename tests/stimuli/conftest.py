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


SEVERAL = """sets: {
    FA: {kind: feature_adversary, layer: fc7, max_steps: 30},
    FF: {kind: feature_adversary, layer: fc7, method: feature_fgrad, failures_expected: true},
    AW: {kind: label_adversary, attack: fgsm, target: away, failures_expected: true},
    CO: {kind: control, of: AI, change: shuffled},
    NO: {kind: noise},
}"""


@pytest.fixture(scope="session")
def several_kinds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, StudyFolder]:
    """A study with sets of several kinds, some of whose images fail as expected, and its folder, made once; read only."""
    study = small_study(tmp_path_factory.mktemp("several"), SEVERAL)
    folder = StudyFolder(tmp_path_factory.mktemp("several-finished"))
    make(study, folder, "cpu")
    return study, folder


@pytest.fixture
def several(several_kinds: tuple[Study, StudyFolder], tmp_path: Path) -> tuple[Study, StudyFolder]:
    """The same with a copy of the folder, to spoil."""
    study, finished = several_kinds
    return study, StudyFolder(Path(shutil.copytree(finished.root, tmp_path / "several")))
