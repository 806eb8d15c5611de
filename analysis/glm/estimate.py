"""Patterns from time series: a design, a noise model, and whether betas or t are kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.glm.ar1 import ar1, ar1_lss
from analysis.glm.design import Design
from analysis.glm.lss import lss
from analysis.glm.solve import Fit, least_squares, residuals, t_values
from protocols.glm_plan import GlmPlan

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimates:
    """What a model gives in some voxels.

    patterns  : (n_patterns, n_voxels), % signal change at the peak of one isolated presentation, or t; NaN in unusable voxels.
    residuals : (n_volumes, n_voxels), not whitened; None where they were not asked for.
    dof       : of the residuals.
    """

    patterns: Floats
    residuals: Floats | None
    dof: int


def estimate(design: Design, percent: Floats, plan: GlmPlan, *, with_residuals: bool = False) -> Estimates:
    """Fit a design to time series.

    design         : of a run, or of runs end to end.
    percent        : (n_volumes, n_voxels), from `percent_signal`; voxels with NaN get NaN.
    plan           : model, noise and pattern.
    with_residuals : of the model with all trials together, whatever the patterns' own model.
    """
    if plan.model == "lss":
        patterns = _separate(design, percent, plan)
        if not with_residuals:
            return Estimates(patterns, None, 0)
        fit = _together(design, percent, plan)
    else:
        fit = _together(design, percent, plan)
        patterns = (
            t_values(fit, design.contrasts) if plan.pattern == "t" else design.peak * (design.contrasts @ fit.betas)
        )
    rest = residuals(design.matrix, percent, fit.betas) if with_residuals else None
    return Estimates(patterns, rest, fit.dof)


def _together(design: Design, percent: Floats, plan: GlmPlan) -> Fit:
    if plan.noise == "ar1":
        return ar1(design.matrix, percent, design.names, starts=design.starts)
    return least_squares(design.matrix, percent, design.names)


def _separate(design: Design, percent: Floats, plan: GlmPlan) -> Floats:
    n_trials = len(design.patterns)  # blanks are part of every trial's model
    trials, rest = design.matrix[:, :n_trials], design.matrix[:, n_trials:]
    solve = ar1_lss if plan.noise == "ar1" else lss
    found = solve(trials, rest, percent, pattern=plan.pattern, names=design.names)
    return found if plan.pattern == "t" else design.peak * found
