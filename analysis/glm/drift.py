"""Slow drifts and the constant of a run, as nilearn makes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from protocols.glm_plan import GlmPlan
from protocols.study import ScanProtocol

Floats = NDArray[np.float64]


def polynomial_order(scan: ScanProtocol) -> int:
    """Degree of a polynomial drift: half the run's minutes, rounded (GLMdenoise's rule), at least 1."""
    return max(1, round(scan.volumes * scan.tr_s / 60 / 2))


def drifts(frame_times_s: Floats, scan: ScanProtocol, plan: GlmPlan) -> tuple[Floats, tuple[str, ...]]:
    """Drift regressors and, last, the constant.

    frame_times_s : (n_volumes,) times that the volumes stand for, s.

    Returns (n_volumes, n_drifts + 1) and their names.
    """
    from nilearn.glm.first_level import make_first_level_design_matrix

    frame = make_first_level_design_matrix(
        frame_times_s, drift_model=plan.drift, high_pass=plan.high_pass_hz, drift_order=polynomial_order(scan)
    )
    return frame.to_numpy(dtype=np.float64), tuple(map(str, frame.columns))
