"""Confounds: foolscan's own table or fMRIPrep's, checked row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.confounds import MOTION_COLUMNS, confounds_path, find_confounds, read_motion, write_confounds
from protocols.folder import RunId, StudyFolder, write_text
from protocols.problems import FoolscanError

RUN = RunId("01", "01", "animals", 1)
MOTION = np.random.default_rng(0).normal(0, 0.2, (5, 6))


def test_motion_comes_back(tmp_path: Path) -> None:
    path = write_confounds(StudyFolder(tmp_path), RUN, MOTION)
    np.testing.assert_allclose(read_motion(path, 5), MOTION, atol=1e-8)


def test_fmripreps_table_is_found_and_its_other_columns_left_aside(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    assert find_confounds(folder, RUN) is None
    name = f"{RUN.stem}_desc-confounds_timeseries.tsv"
    path = tmp_path / "derivatives" / "fmriprep" / "sub-01" / "ses-01" / "func" / name
    lines = ["\t".join(["global_signal", *reversed(MOTION_COLUMNS)])]
    lines += ["\t".join(["n/a", *map(str, reversed(row))]) for row in MOTION.tolist()]
    write_text(path, "\n".join(lines) + "\n")
    assert find_confounds(folder, RUN) == path
    np.testing.assert_allclose(read_motion(path, 5), MOTION)
    write_confounds(folder, RUN, MOTION)
    assert find_confounds(folder, RUN) == confounds_path(folder, RUN)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    path = write_confounds(StudyFolder(tmp_path), RUN, MOTION)
    with pytest.raises(FoolscanError, match="found 5 rows for 7 volumes"):
        read_motion(path, 7)
    text = path.read_text(encoding="utf-8")
    write_text(path, text.replace("rot_z", "rotation"))
    with pytest.raises(FoolscanError, match="found no column rot_z"):
        read_motion(path, 5)
    spoilt = text.splitlines()
    spoilt[3] = spoilt[3].rsplit("\t", 1)[0] + "\tn/a"
    write_text(path, "\n".join(spoilt))
    with pytest.raises(FoolscanError, match=r"timeseries\.tsv:4: rot_z: found 'n/a', expected a number"):
        read_motion(path, 5)
