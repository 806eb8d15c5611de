"""What of a study only this room knows before anything is made: its networks and its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from protocols.doctor import is_installed
from protocols.image_sets import NetworkPlan, PictureBookSource
from protocols.problems import FoolscanError, Problem, WorkWanting, near
from protocols.study import Study
from stimuli.fragile.checks import fragile_problems, networks_to_map
from stimuli.networks.outline import Outline, lacking_weights, outline_of
from stimuli.pictures import PictureCategory


def check(study: Study) -> tuple[Problem, ...]:
    """Look whether the networks and the pictures that a study names can be had, and fit one another.

    Nothing is downloaded. Of networks, only a weights file that the study names is loaded, so that what is wrong with it
    is said now; what the others are is known without their weights.

    study : a loaded study.

    Returns every problem, with the line of the study file. Where torchvision is not installed, its networks are not known
    and are left to `make`.
    """
    problems = [*_networks(study), *fragile_problems(study, lambda plan: _outline_or_none(study, plan))]
    found = _categories(study)
    if isinstance(found, tuple):
        return (*problems, *_classes(study, found), *_wrong_classes(study, found))
    return (*problems, *found)


def _networks(study: Study) -> Iterator[Problem]:
    for key, plan in networks_named(study):
        yield from _network(study, key, plan)
    for name, recipe in study.stimuli.sets.items():
        layer = getattr(recipe, "layer", None)
        if layer is not None:
            yield from _layer(study, name, layer, getattr(recipe, "network", None) or study.stimuli.network)
    references, outline = study.stimuli.references, _outline_or_none(study, study.stimuli.network)
    if references is None or outline is None or isinstance(references.layers, str):
        return
    for layer in references.layers:
        yield from _layer_of(study, "stimuli.references.layers", layer, outline)


def networks_named(study: Study) -> Iterator[tuple[str, NetworkPlan]]:
    """Every network that a study names, with the key that names it."""
    plan = study.stimuli
    yield "stimuli.network", plan.network
    if plan.second_network is not None:
        yield "stimuli.second_network", plan.second_network
    for name, recipe in plan.sets.items():
        if getattr(recipe, "network", None) is not None:
            yield f"stimuli.sets.{name}.network", getattr(recipe, "network")  # noqa: B009
        for number, other in enumerate(getattr(recipe, "networks", ())):
            yield f"stimuli.sets.{name}.networks.{number}", other
    yield from networks_to_map(study)


def _network(study: Study, key: str, plan: NetworkPlan) -> Iterator[Problem]:
    from stimuli.networks.names import SHIPPED, is_known, meant_by, offered

    if plan.name in offered():
        return  # its weights are what its package makes of them
    if plan.name not in SHIPPED and is_installed("torchvision") and not is_known(plan.name):
        yield study.problem(f"{key}.name", repr(plan.name), f"the name of a network; {meant_by(plan.name)}")
        return
    if plan.weights in ("random", "random_orthonormal"):
        return
    if plan.weights is not None:
        path = study.folder / plan.weights
        if not path.is_file():
            allowed = "a state dict (.pt, .pth, .safetensors), random, or random_orthonormal"
            yield study.problem(f"{key}.weights", f"no file {path}", allowed)
            return
        try:
            _outline(study, plan)
        except FoolscanError as error:
            why = str(error).removeprefix(f"network {plan.name}: ")
            allowed = f"a file of weights that {plan.name} can use"
            yield study.problem(f"{key}.weights", repr(plan.weights), allowed, why[:1].upper() + why[1:])
        return
    lacking = lacking_weights(plan.name) if is_installed("torchvision") else None
    if lacking is not None:
        path, url = lacking
        verb = "fragile" if key.startswith("fragile.") else "make"
        remedy = (
            f"`foolscan stimuli {verb}` fetches it where there is a line; else fetch {url} elsewhere and put it there, or "
            f"give {key}.weights: a file (state dict), or random"
        )
        yield study.problem(key, f"no file {path}", f"the ImageNet weights of {plan.name}", remedy, needed=True)


def _outline(study: Study, plan: NetworkPlan) -> Outline | None:
    return outline_of(plan, study.folder)


def _layer(study: Study, name: str, layer: str, plan: NetworkPlan) -> Iterator[Problem]:
    outline = _outline_or_none(study, plan)
    if outline is not None:
        yield from _layer_of(study, f"stimuli.sets.{name}.layer", layer, outline)


def _outline_or_none(study: Study, plan: NetworkPlan) -> Outline | None:
    try:
        return _outline(study, plan)
    except FoolscanError:
        return None  # said where the network is named


def _layer_of(study: Study, key: str, layer: str, outline: Outline) -> Iterator[Problem]:
    if layer not in outline.layers:
        found = f"{layer!r}{near(layer, outline.layers)}"
        yield study.problem(key, found, f"a layer of {outline.name}: {', '.join(outline.layers)}")


def _categories(study: Study) -> tuple[PictureCategory, ...] | list[Problem]:
    """The categories of a study, or what is wrong with its pictures."""
    from stimuli.picturebook.book import CATEGORIES
    from stimuli.pictures import pictures_of

    plan = study.stimuli
    if isinstance(plan.pictures, PictureBookSource) and plan.n_categories > len(CATEGORIES):
        allowed = f"at most {len(CATEGORIES)}: the picture book has no more categories"
        return [study.problem("stimuli.n_categories", str(plan.n_categories), allowed)]
    try:
        return pictures_of(study).categories
    except WorkWanting:
        return []  # pictures that are not there yet: protocols.checks tells of them
    except FoolscanError as error:
        allowed = "pictures and a table of labels that agree with the study"
        return [study.problem("stimuli.pictures", line, allowed) for line in str(error).splitlines()]


def _classes(study: Study, categories: Sequence[PictureCategory]) -> Iterator[Problem]:
    """Classes that the study's network does not have."""
    from stimuli.planners.choosing import wrongly_named

    outline = _outline_or_none(study, study.stimuli.network)
    if outline is None:
        return
    for described in categories:
        if described.network_class not in outline.labels:
            hint = near(described.network_class, outline.labels)
            found = f"network_class {described.network_class!r} of category {described.name}{hint}"
            allowed = f"one of the {len(outline.labels)} classes of {outline.name}"
            yield study.problem("stimuli.pictures", found, allowed)
    for name, recipe in study.stimuli.sets.items():
        for category, found, allowed in wrongly_named(getattr(recipe, "targets", {}), categories, outline.labels):
            yield study.problem(f"stimuli.sets.{name}.targets.{category}", found, allowed)
        for number, other in enumerate(getattr(recipe, "networks", ())):
            known = _outline_or_none(study, other)
            if known is not None and known.labels != outline.labels:
                found = f"{known.name} with {len(known.labels)} classes of its own"
                allowed = f"a network with the classes of {outline.name}: an ensemble needs the same ones"
                yield study.problem(f"stimuli.sets.{name}.networks.{number}", found, allowed)


def _wrong_classes(study: Study, categories: Sequence[PictureCategory]) -> Iterator[Problem]:
    """Rules that give no class, or the source's own."""
    from stimuli.planners.choosing import guides, of_other_animacy

    for name, recipe in study.stimuli.sets.items():
        if getattr(recipe, "target", None) == "other_animacy":
            try:
                of_other_animacy(categories)
            except FoolscanError as error:
                yield study.problem(f"stimuli.sets.{name}.target", "other_animacy", str(error))
        if getattr(recipe, "guide", None) == "other_animacy":
            try:
                guides("other_animacy", categories, {})
            except FoolscanError as error:
                yield study.problem(f"stimuli.sets.{name}.guide", "other_animacy", str(error))
