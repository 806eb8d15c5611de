"""What of a study only this room knows before anything is made: its networks and its pictures."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.doctor import is_installed
from protocols.image_sets import NetworkPlan, PictureBookSource
from protocols.problems import FoolscanError, Problem, WorkWanting
from protocols.study import Study


def check(study: Study) -> tuple[Problem, ...]:
    """Look whether the networks and the pictures that a study names can be had; no network is loaded or downloaded.

    study : a loaded study.

    Returns every problem, with the line of the study file. Where torchvision is not installed, the names of its networks
    are not known and are left to `make`.
    """
    return (*_networks(study), *_pictures(study))


def _networks(study: Study) -> Iterator[Problem]:
    plan = study.stimuli
    yield from _network(study, "stimuli.network", plan.network)
    if plan.second_network is not None:
        yield from _network(study, "stimuli.second_network", plan.second_network)
    for name, recipe in plan.sets.items():
        of_recipe = {"network": getattr(recipe, "network", None)}
        of_recipe |= {f"networks.{number}": other for number, other in enumerate(getattr(recipe, "networks", ()))}
        for key, named in of_recipe.items():
            if named is not None:
                yield from _network(study, f"stimuli.sets.{name}.{key}", named)


def _network(study: Study, key: str, plan: NetworkPlan) -> Iterator[Problem]:
    from stimuli.networks.names import SHIPPED, is_known, meant_by, offered

    if plan.name in offered():
        return  # its weights are what its package makes of them
    if plan.name not in SHIPPED and is_installed("torchvision") and not is_known(plan.name):
        yield study.problem(f"{key}.name", repr(plan.name), f"the name of a network; {meant_by(plan.name)}")
    if plan.weights not in (None, "random", "random_orthonormal"):
        path = study.folder / str(plan.weights)
        if not path.is_file():
            yield study.problem(
                f"{key}.weights",
                f"no file {path}",
                "a state dict (.pt, .pth, .safetensors), random, or random_orthonormal",
            )


def _pictures(study: Study) -> Iterator[Problem]:
    from stimuli.picturebook.book import CATEGORIES
    from stimuli.pictures import pictures_of

    plan = study.stimuli
    if isinstance(plan.pictures, PictureBookSource):
        if plan.n_categories > len(CATEGORIES):
            allowed = f"at most {len(CATEGORIES)}: the picture book has no more categories"
            yield study.problem("stimuli.n_categories", str(plan.n_categories), allowed)
        return
    try:
        pictures_of(study)
    except WorkWanting:
        return  # pictures that are not there yet: protocols.checks tells of them
    except FoolscanError as error:
        for line in str(error).splitlines():
            yield study.problem("stimuli.pictures", line, "pictures and a table of labels that agree with the study")
