"""The planner of every kind of recipe."""

from __future__ import annotations

from collections.abc import Callable

from protocols.image_sets import (
    AdversarialInterferenceRecipe,
    AdversarialNoiseRecipe,
    ControlRecipe,
    FeatureAdversaryRecipe,
    InversionRecipe,
    LabelAdversaryRecipe,
    NetworkPlan,
    NoiseRecipe,
    Recipe,
)
from protocols.problems import FoolscanError
from stimuli.networks.network import Network
from stimuli.planners.controls import ControlPlanner
from stimuli.planners.features import FeaturePlanner, InversionPlanner
from stimuli.planners.interference import InterferencePlanner
from stimuli.planners.labels import LabelPlanner
from stimuli.planners.noise import NoiseAlonePlanner, NoisePlanner
from stimuli.planners.planner import DrawnPlanner, EnginePlanner

Load = Callable[[NetworkPlan], Network]


def planner_for(recipe: Recipe, network: Network, study_seed: int, load: Load) -> EnginePlanner | DrawnPlanner:
    """The planner of a recipe other than pictures.

    network    : the study's.
    study_seed : from which every attempt's chance comes.
    load       : gives the further networks that a recipe names.

    Raises FoolscanError when those have other classes, or lack the recipe's layer.
    """
    match recipe:
        case AdversarialNoiseRecipe():
            return NoisePlanner(recipe, network, study_seed)
        case NoiseRecipe():
            return NoiseAlonePlanner(recipe, network, study_seed)
        case AdversarialInterferenceRecipe():
            return InterferencePlanner(recipe, network, study_seed)
        case ControlRecipe():
            return ControlPlanner(recipe, network, study_seed)
        case LabelAdversaryRecipe():
            ensemble = tuple(load(plan) for plan in recipe.networks)
            for other in ensemble:
                if other.labels != network.labels:
                    raise FoolscanError(
                        f"networks of {recipe.attack}: {other.name} has other classes than {network.name}; an ensemble "
                        "needs the same ones"
                    )
            return LabelPlanner(recipe, network, study_seed, ensemble)
        case FeatureAdversaryRecipe():
            seen_by = load(recipe.network) if recipe.network else network
            seen_by.refuse_unknown_layers([recipe.layer])
            return FeaturePlanner(recipe, network, study_seed, seen_by)
        case InversionRecipe():
            network.refuse_unknown_layers([recipe.layer])
            return InversionPlanner(recipe, network, study_seed)
    raise ValueError(f"no planner for recipe kind {recipe.kind!r}")
