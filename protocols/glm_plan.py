"""How betas are estimated: the first-level model of a study file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from protocols.schema import Count, EachOnce, NotNegative, Plan, Positive, Text, Whole

ConfoundGroup = Literal[
    "motion",
    "motion_derivatives",
    "motion_squares",
    "motion_derivative_squares",
    "csf",
    "white_matter",
    "global_signal",
    "motion_outliers",
    "non_steady_state",
]
MOST_NOISE_COMPONENTS = 10
"""How many GLMdenoise tries by default."""


class HrfLibrary(Plan):
    """Haemodynamic responses of which each voxel gets the one that fits it best (`hrf: library`)."""

    peaks_s: Annotated[
        tuple[Annotated[Positive, Field(le=15)], ...],
        EachOnce,
        Field(min_length=1, description="times to the peak of the response to an instant; SPM's is 5"),
    ] = (3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5)
    widths: Annotated[
        tuple[Annotated[Positive, Field(le=5)], ...],
        EachOnce,
        Field(min_length=1, description="dispersions; SPM's is 1. Every peak is tried with every width"),
    ] = (0.75, 1.0, 1.35)
    by: Annotated[
        Literal["cross_validated", "fit"],
        Field(description="R² of runs predicted from the subject's other runs, or of the runs fitted"),
    ] = "cross_validated"


class GlmPlan(Plan):
    """How betas are estimated."""

    model: Annotated[
        Literal["run_condition", "single_trial", "lss", "session_condition"],
        Field(
            description="one regressor per image and run; one per presentation, together (LSA) or each in a model of its own "
            "(LSS); or one per image and session, its runs end to end"
        ),
    ] = "run_condition"
    blanks: Annotated[
        Literal["none", "one_regressor"],
        Field(description="blank trials are part of the baseline, or one further condition together"),
    ] = "none"
    hrf: Annotated[
        Literal["spm", "glover", "fir", "library"],
        Field(description="the response assumed; `fir`: none, one regressor per image and volume after its onset"),
    ] = "spm"
    fir_delays: Annotated[Count, Field(le=40, description="volumes after onset that `fir` models")] = 10
    fir_window_s: Annotated[
        tuple[NotNegative, Positive],
        Field(description="`fir`: the pattern is the mean over delays from the first time on, before the second"),
    ] = (4.0, 8.0)
    library: HrfLibrary = HrfLibrary()
    drift: Annotated[
        Literal["cosine", "polynomial"],
        Field(description="polynomials have half the run's minutes, rounded, as their degree"),
    ] = "cosine"
    high_pass_hz: Annotated[Positive, Field(le=1, description="of cosine drifts")] = 0.01
    confounds: Annotated[
        tuple[ConfoundGroup, ...],
        EachOnce,
        Field(description="groups of columns of the confounds tables, by fMRIPrep's names"),
    ] = ("motion",)
    a_comp_cor: Annotated[Whole, Field(le=100, description="the first so many a_comp_cor columns")] = 0
    confound_columns: Annotated[
        tuple[Text, ...], EachOnce, Field(description="further columns, by the names that the tables give them")
    ] = ()
    noise_components: Annotated[
        Annotated[int, Field(strict=True, ge=0, le=MOST_NOISE_COMPONENTS)] | Literal["auto"],
        Field(
            description=f"principal components of voxels without a response, as further confounds (0 to {MOST_NOISE_COMPONENTS}); "
            "`auto`: as many as predict the subject's other runs best"
        ),
    ] = 0
    noise: Annotated[
        Literal["ols", "ar1"], Field(description="white, or autoregressive of first order, voxel by voxel in 100 steps")
    ] = "ols"
    pattern: Annotated[Literal["beta", "t"], Field(description="% signal change, or that over its standard error")] = (
        "beta"
    )
    noise_normalisation: Annotated[
        Literal["none", "univariate", "multivariate"],
        Field(
            description="patterns divided by the SD of the residuals, or whitened by their shrunk covariance, per ROI"
        ),
    ] = "none"
    where: Annotated[
        Literal["rois", "brain"], Field(description="voxels that get betas; `brain` has the ROIs' too")
    ] = "rois"

    @model_validator(mode="after")
    def _go_together(self) -> GlmPlan:
        if self.model == "lss" and self.hrf == "fir":
            raise ValueError(
                "model lss with hrf fir: one trial has no response of its own; use hrf spm, or session_condition"
            )
        if self.fir_window_s[0] >= self.fir_window_s[1]:
            raise ValueError(f"fir_window_s: found {list(self.fir_window_s)}; the first time is before the second")
        if "motion" not in self.confounds and any(
            name.startswith("motion_d") or name == "motion_squares" for name in self.confounds
        ):
            raise ValueError("confounds: derivatives and squares of motion without motion; add motion")
        return self
