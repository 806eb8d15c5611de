"""The first-level model in words, for the methods paragraph: each statement with the keys that it comes from."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.glm.confounds import asked_for
from protocols.glm_plan import GlmPlan

MODELS = {
    "run_condition": "a general linear model of each run had one regressor per image",
    "single_trial": "a general linear model of each run had one regressor per presentation",
    "lss": "each presentation had a general linear model of its own, with all other presentations of the run as one regressor",
    "session_condition": "a general linear model of each session, its runs end to end, had one regressor per image",
}
RESPONSES = {"spm": "SPM's", "glover": "Glover's"}
NOISE = {"ols": "ordinary least squares", "ar1": "a first-order autoregressive noise model"}
SCALED = {
    "univariate": "patterns were divided, voxel by voxel, by the standard deviation of the residuals",
    "multivariate": "patterns were whitened by the shrunk covariance of the residuals over the voxels of a region",
}
WITH_MOTION = {
    "all": " and motion as confounds",
    "some": " and motion as confounds in those runs that had a table of it",
    "no": ", without motion as confounds",
}

Said = tuple[str, tuple[str, ...]]


def model_in_words(plan: GlmPlan, motion: str) -> Iterator[Said]:
    """What was modelled and how, as (text, dotted keys).

    motion : ``all``, ``some`` or ``no`` runs had a table of confounds.
    """
    if plan.hrf == "fir":
        response = f", for each of {plan.fir_delays} volumes from its onset on"
        keys = ["analysis.glm.fir_delays"]
    elif plan.hrf == "library":
        response, keys = ", convolved with the haemodynamic response of a library that fitted a voxel best", []
    else:
        response, keys = f", convolved with {RESPONSES[plan.hrf]} haemodynamic response", []
    yield f"{MODELS[plan.model]}{response}", ("analysis.glm.model", "analysis.glm.hrf", *keys)
    if plan.hrf == "fir":
        start_s, end_s = plan.fir_window_s
        yield f"patterns are means from {start_s:g} to {end_s:g} s after onset", ("analysis.glm.fir_window_s",)
    if plan.blanks == "one_regressor":
        yield "all blank trials were one further regressor", ("analysis.glm.blanks",)
    yield from _fitted(plan, motion)
    if plan.noise_components:
        many = (
            "as many as predicted left-out runs best" if plan.noise_components == "auto" else str(plan.noise_components)
        )
        text = f"principal components of voxels that do not respond were further confounds ({many})"
        yield text, ("analysis.glm.noise_components",)
    if plan.pattern == "t":
        yield "patterns are t values", ("analysis.glm.pattern",)
    if plan.noise_normalisation != "none":
        yield SCALED[plan.noise_normalisation], ("analysis.glm.noise_normalisation",)


def _fitted(plan: GlmPlan, motion: str) -> Iterator[Said]:
    keys = ["analysis.glm.noise", "analysis.glm.drift", "analysis.glm.high_pass_hz"]
    drift = f"{plan.drift} drift terms"
    if plan.drift == "cosine":
        drift += f" (high-pass {plan.high_pass_hz:g} Hz)"
    asked = [name.replace("_", " ") for name in asked_for(plan)]
    if asked == ["motion"]:
        confounds = WITH_MOTION[motion]
    elif asked:
        confounds = f" and {', '.join(asked)} as confounds"
        keys += ["analysis.glm.confounds", "analysis.glm.a_comp_cor", "analysis.glm.confound_columns"]
    else:
        confounds = ", without confounds"
        keys.append("analysis.glm.confounds")
    yield f"the model was fitted by {NOISE[plan.noise]}, with {drift}{confounds}", tuple(keys)
