"""Confounds tables: foolscan's own or fMRIPrep's, found where they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.confounds import MOTION_COLUMNS, confounds_path, find_confounds, write_confounds
from analysis.glm.confounds import read_confounds
from protocols.folder import RunId, StudyFolder, write_text
from protocols.glm_plan import GlmPlan

RUN = RunId("01", "01", "animals", 1)
MOTION = np.random.default_rng(0).normal(0, 0.2, (5, 6))


def test_motion_comes_back(tmp_path: Path) -> None:
    path = write_confounds(StudyFolder(tmp_path), RUN, MOTION)
    np.testing.assert_allclose(read_confounds(path, GlmPlan(), 5).values, MOTION, atol=1e-8)


def test_fmripreps_table_is_found_and_its_other_columns_left_aside(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    assert find_confounds(folder, RUN) is None
    name = f"{RUN.stem}_desc-confounds_timeseries.tsv"
    path = tmp_path / "derivatives" / "fmriprep" / "sub-01" / "ses-01" / "func" / name
    lines = ["\t".join(["global_signal", *reversed(MOTION_COLUMNS)])]
    lines += ["\t".join(["n/a", *map(str, reversed(row))]) for row in MOTION.tolist()]
    write_text(path, "\n".join(lines) + "\n")
    assert find_confounds(folder, RUN) == path
    np.testing.assert_allclose(read_confounds(path, GlmPlan(), 5).values, MOTION)
    write_confounds(folder, RUN, MOTION)
    assert find_confounds(folder, RUN) == confounds_path(folder, RUN)
