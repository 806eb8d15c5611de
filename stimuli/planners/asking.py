"""What a recipe asks for: one image for each category, with its source, its wrong classes, its guide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from protocols.image_sets import ControlRecipe, FeatureAdversaryRecipe, made_from
from protocols.seeds import generator_for
from protocols.study import Study
from stimuli.image_files import read_rgb
from stimuli.networks.network import Network
from stimuli.pictures import PictureCategory
from stimuli.planners.choosing import guides, with_named, wrong_classes
from stimuli.planners.planner import Wanted


def asked_for(
    name: str,
    study: Study,
    network: Network,
    categories: Sequence[PictureCategory],
    file: Callable[[str, PictureCategory], Path],
) -> list[Wanted]:
    """The images of a set, one per category; what it is made from must stand on disk.

    name       : of the set.
    network    : the study's, which says what class is least likely.
    categories : (n_categories,).
    file       : where the image of a set (by name) and a category stands.
    """
    recipe = study.stimuli.sets[name]
    draws = {c.name: generator_for(study.seed, f"target/{name}-{c.name}") for c in categories}
    source_set = made_from(recipe) or ""
    if isinstance(recipe, ControlRecipe):  # its source is the adversary's own
        adversaries = source_set
        source_set = made_from(study.stimuli.sets[adversaries]) or ""
    sources = [read_rgb(file(source_set, category)) for category in categories]
    targets: list[tuple[str, ...]] = [(category.network_class,) for category in categories]
    rule = getattr(recipe, "target", "away")
    if rule != "away":
        posteriors = network.probabilities(np.stack(sources))
        targets = wrong_classes(rule, categories, network, posteriors, draws)
        targets = with_named(targets, categories, getattr(recipe, "targets", {}))
    wanted = [
        Wanted(f"{name}-{category.name}", category, f"{source_set}-{category.name}", source, classes)
        for category, source, classes in zip(categories, sources, targets, strict=True)
    ]
    if isinstance(recipe, ControlRecipe):
        return [
            replace(
                item,
                guide_id=f"{adversaries}-{item.category.name}",
                guide=read_rgb(file(adversaries, item.category)),
            )
            for item in wanted
        ]
    if isinstance(recipe, FeatureAdversaryRecipe):
        source_of = dict(zip((category.name for category in categories), sources, strict=True))
        return [
            replace(item, guide_id=f"{source_set}-{guide.name}", guide=source_of[guide.name])
            for item, guide in zip(wanted, guides(recipe.guide, categories, draws), strict=True)
        ]
    return wanted
