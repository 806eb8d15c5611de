"""Confounds of a run: how the head moved, in the table that fMRIPrep writes too."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.fmriprep import derived_file
from protocols.folder import RunId, StudyFolder, write_text
from protocols.problems import FoolscanError

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


def read_motion(path: Path, n_volumes: int) -> NDArray[np.float64]:
    """The six motion parameters of a run, (n_volumes, 6) in the order of `MOTION_COLUMNS`.

    path      : a confounds table; other columns are left aside.
    n_volumes : rows it must have.

    Raises FoolscanError with file, row and column.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FoolscanError(f"{path}: not readable as a UTF-8 table ({error}); make the table again") from error
    header = rows[0] if rows else []
    lacking = [name for name in MOTION_COLUMNS if name not in header]
    if lacking:
        raise FoolscanError(f"{path}:1: found no column {', '.join(lacking)}; expected {', '.join(MOTION_COLUMNS)}")
    if len(rows) - 1 != n_volumes:
        raise FoolscanError(f"{path}: found {len(rows) - 1} rows for {n_volumes} volumes; make the table again")
    places = [header.index(name) for name in MOTION_COLUMNS]
    motion = np.empty((n_volumes, len(places)))
    for line, row in enumerate(rows[1:], start=2):
        for column, place in enumerate(places):
            cell = row[place] if place < len(row) else ""
            try:
                motion[line - 2, column] = float(cell)
            except ValueError:
                motion[line - 2, column] = math.nan
            if not math.isfinite(motion[line - 2, column]):
                raise FoolscanError(f"{path}:{line}: {MOTION_COLUMNS[column]}: found {cell!r}, expected a number")
    return motion
