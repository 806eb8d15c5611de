"""The confounds table of a run: where it lies, and how the motion of a simulated head is written."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.fmriprep import derived_file
from protocols.folder import RunId, StudyFolder, write_text

MOTION_COLUMNS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
CONFOUNDS = "desc-confounds_timeseries.tsv"


def confounds_path(folder: StudyFolder, run: RunId) -> Path:
    """``derivatives/foolscan/confounds/sub-*/ses-*/<stem>_desc-confounds_timeseries.tsv``: translations in mm, rotations in radians."""
    return folder.derived("confounds") / f"sub-{run.sub}" / f"ses-{run.ses}" / f"{run.stem}_{CONFOUNDS}"


def find_confounds(folder: StudyFolder, run: RunId) -> Path | None:
    """The run's confounds table: foolscan's place first, then fMRIPrep's; None when there is none."""
    places = confounds_path(folder, run), derived_file(folder, run, CONFOUNDS)
    return next((path for path in places if path.is_file()), None)


def write_confounds(folder: StudyFolder, run: RunId, motion: NDArray[np.float64]) -> Path:
    """Write the motion of a run, (n_volumes, 6) in the order of `MOTION_COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(MOTION_COLUMNS)
    writer.writerows([f"{value:.8f}" for value in row] for row in motion)
    path = confounds_path(folder, run)
    write_text(path, text.getvalue())
    return path
