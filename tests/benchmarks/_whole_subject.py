"""One full-size subject of a study, as the other rooms and a scanner would leave it: a folder in which only the analysis is to be done."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from analysis.simulate_bold import simulate_bold
from protocols.folder import StudyFolder
from protocols.study import Study, load_study

TESTS = Path(__file__).resolve().parent.parent
SESSIONS, RUNS = 2, 5

STUDY = """format: 1
extends: zhang2018
name: whole-subject
design: {subjects: 1}
"""


def study_of(folder: Path, voxels_per_roi: int) -> Study:
    """The main experiment of Zhang et al. 2018 with one subject, and its file in a folder."""
    path = folder / "whole.yaml"
    text = f"{STUDY}rehearsal: {{brain: {{voxels_per_roi: {voxels_per_roi}}}}}\n"
    path.write_text(text, encoding="utf-8", newline="\n")
    return load_study(path)


def subject(root: Path, study: Study, sessions: int = SESSIONS, runs: int = RUNS) -> StudyFolder:
    """Its manifest, events, images, masks and the stated truth."""
    folder: StudyFolder = _conftest().study_folder(
        root, study, n_categories=study.stimuli.n_categories, sessions=sessions, runs=runs
    )
    simulate_bold(study, folder)
    return folder


def _conftest() -> ModuleType:
    """The makers of study folders that the tests of the analysis use."""
    sys.path.insert(0, str(TESTS))
    spec = importlib.util.spec_from_file_location("analysis_conftest", TESTS / "analysis" / "conftest.py")
    if spec is None or spec.loader is None:
        raise ImportError("tests/analysis/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
