"""What images of noise and of interference climb, by its name in the study file."""

from __future__ import annotations

from collections.abc import Callable

from stimuli.synthesis.objectives import LogOdds, LogPosterior, Near, Objective, Posterior, Reads


def ascent(name: str, network: Reads, weight: float) -> Objective:
    """The objective of a recipe.

    name    : 'log_odds', 'log_posterior' (Zhang et al. 2018) or 'posterior' (Nguyen et al. 2015; Zhang et al. 2021).
    network : whose posterior.
    weight  : of the squared distance from the centre; 0: the distance does not count.
    """
    kinds: dict[str, Callable[[Reads], Objective]] = {
        "log_odds": LogOdds,
        "log_posterior": LogPosterior,
        "posterior": Posterior,
    }
    objective = kinds[name](network)
    return Near(objective) if weight else objective
