"""Which networks see which images of a study, and at which layers: its own sees all, an attacked one what it is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from protocols.image_sets import (
    AdversarialInterferenceRecipe,
    FeatureAdversaryRecipe,
    InversionRecipe,
    LabelAdversaryRecipe,
    NetworkPlan,
    Recipe,
    StimulusPlan,
)
from protocols.manifest import Stimulus


@dataclass(frozen=True)
class View:
    """One network and what it is shown.

    plan   : the network.
    name   : of its files: ``picturenet``, ``picturenet_random``.
    sets   : the sets that were made against it.
    layers : the layers that their recipes name, in that order.
    own    : whether it is the study's network, which sees every image.
    """

    plan: NetworkPlan
    name: str
    sets: tuple[str, ...]
    layers: tuple[str, ...]
    own: bool

    def images(self, stimuli: Sequence[Stimulus]) -> list[Stimulus]:
        """What it is shown: everything, or its sets with their sources and guides; in the manifest's order."""
        if self.own:
            return list(stimuli)
        made = [stimulus for stimulus in stimuli if stimulus.set in self.sets]
        wanted = {name for s in made for name in (s.stim_id, s.source_id, s.guide_id)}
        return [stimulus for stimulus in stimuli if stimulus.stim_id in wanted]


def views(plan: StimulusPlan) -> tuple[View, ...]:
    """The study's network first, then the others that its recipes attack, in the order of the sets."""
    plans = [plan.network]
    for recipe in plan.sets.values():
        plans += [network for network in attacked_by(recipe, plan.network) if network not in plans]
    return tuple(
        View(network, name, *_sets_and_layers(plan, network), own=network == plan.network)
        for network, name in zip(plans, file_names(plans, plan.network), strict=True)
    )


def file_names(plans: Sequence[NetworkPlan], own: NetworkPlan) -> list[str]:
    """What the files of networks are called, each differently.

    own : the study's network, which is called by its bare name.
    """
    names: list[str] = []
    for network in plans:
        names.append(_free(_name(network, own), names))
    return names


def attacked_by(recipe: Recipe, own: NetworkPlan) -> tuple[NetworkPlan, ...]:
    """The networks that a recipe's images are made against; none for what is not made against a network.

    own : the study's.
    """
    match recipe:
        case LabelAdversaryRecipe():
            return recipe.networks or (own,)
        case FeatureAdversaryRecipe():
            return (recipe.network or own,)
        case InversionRecipe() | AdversarialInterferenceRecipe():
            return (own,)
    return ()


def _sets_and_layers(plan: StimulusPlan, network: NetworkPlan) -> tuple[tuple[str, ...], tuple[str, ...]]:
    recipes = {name: recipe for name, recipe in plan.sets.items() if network in attacked_by(recipe, plan.network)}
    layers = [recipe.layer for recipe in recipes.values() if hasattr(recipe, "layer")]
    return tuple(recipes), tuple(dict.fromkeys(layers))


def _name(network: NetworkPlan, own: NetworkPlan) -> str:
    if network == own:
        return own.name
    name = network.name
    if network.weights is not None:
        name += "_" + Path(network.weights).stem
        if network.seed:
            name += f"_seed{network.seed}"
    elif network.name == own.name:
        name += "_published"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def _free(name: str, taken: Sequence[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
