"""What of a study's maps is known before anything is mapped: networks, pictures, their classes, and windows that fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from protocols.doctor import is_installed
from protocols.fragile_plan import BookPicturesToMap, FragilePlan
from protocols.image_sets import NetworkPlan
from protocols.problems import FoolscanError, Problem, WorkWanting, near
from protocols.study import Study
from stimuli.fragile.windows import Grid, nearest_side, side_of
from stimuli.networks.names import SHIPPED, offered
from stimuli.networks.outline import Outline

SHIPPED_PX = 128
"""Side of the embedded networks' input."""

Described = tuple[str, str | int, int, int]
"""A picture: what it is called, its class, its height and its width."""


def networks_to_map(study: Study) -> Iterator[tuple[str, NetworkPlan]]:
    """The networks that map, with the keys that name them; the study's own is named elsewhere."""
    for number, plan in enumerate(study.fragile.networks if study.fragile else ()):
        yield f"fragile.networks.{number}", plan


def fragile_problems(study: Study, outline: Callable[[NetworkPlan], Outline | None]) -> Iterator[Problem]:
    """What is wrong with a study's `fragile`; networks that are not known are told of elsewhere.

    outline : of a network, None where it is not known.
    """
    plan = study.fragile
    if plan is None:
        return
    if not (plan.proportions or plan.sides_px):
        yield study.problem("fragile.proportions", "none, nor sides_px", "a side of windows, such as 0.4")
    networks = [*networks_to_map(study)] or [("stimuli.network", study.stimuli.network)]
    found = _pictures(study, plan)
    pictures = [] if isinstance(found, Problem) else found
    if isinstance(found, Problem):
        yield found
    yield from _windows(study, plan, pictures)
    for key, network in networks:
        known = outline(network)
        if known is not None:
            yield from _classes(study, plan, key, known, pictures)
        if plan.crops != "resized":
            yield from _unresized(study, plan, key, _input_px(network), pictures)


def _pictures(study: Study, plan: FragilePlan) -> Sequence[Described] | Problem:
    """The pictures, or what is wrong with them."""
    source = plan.pictures
    if isinstance(source, BookPicturesToMap):
        from stimuli.picturebook.book import CATEGORIES

        return [("the picture book's", category.name, source.size_px, source.size_px) for category in CATEGORIES]
    if not is_installed("torch"):
        return []
    from stimuli.fragile.sources import pictures_to_map

    try:
        pictures = pictures_to_map(study, plan)
    except WorkWanting as error:
        found, _, remedy = str(error).partition("; ")
        remedy = remedy[:1].upper() + remedy[1:]
        return study.problem("fragile.pictures", found, "pictures with their list", remedy, needed=True)
    except FoolscanError as error:
        return study.problem("fragile.pictures", str(error), "pictures and a list that agree with one another")
    if not pictures:
        return study.problem("fragile.pictures", "no picture", "at least one of a supercategory in the list")
    return [(picture.picture_id, picture.network_class, picture.height, picture.width) for picture in pictures]


def _windows(study: Study, plan: FragilePlan, pictures: Sequence[Described]) -> Iterator[Problem]:
    """Windows that are larger than a picture; of each key the first picture that they do not fit into."""
    for number, proportion in enumerate(plan.proportions):
        yield from _first(study, f"fragile.proportions.{number}", pictures, lambda h, w, p=proportion: side_of(p, h, w))  # type: ignore[misc]
    for number, side in enumerate(plan.sides_px):
        yield from _first(study, f"fragile.sides_px.{number}", pictures, lambda h, w, s=side: Grid(h, w, s))  # type: ignore[misc]


def _first(
    study: Study, key: str, pictures: Sequence[Described], made: Callable[[int, int], object]
) -> Iterator[Problem]:
    for height, width in dict.fromkeys((height, width) for _, _, height, width in pictures):
        try:
            made(height, width)
        except FoolscanError as error:
            name = next(called for called, _, h, w in pictures if (h, w) == (height, width))
            said, _, remedy = str(error).removeprefix("found ").partition(": ")
            found, _, allowed = said.partition("; ")
            yield study.problem(key, f"{found} ({name})", allowed, remedy)
            return


def _classes(
    study: Study, plan: FragilePlan, key: str, known: Outline, pictures: Sequence[Described]
) -> Iterator[Problem]:
    if plan.top_k >= len(known.labels):
        found = f"{plan.top_k}, with which every window of {known.name} is right"
        yield study.problem("fragile.top_k", found, f"fewer than its {len(known.labels)} classes")
    lacking = {
        wanted: name
        for name, wanted, _, _ in reversed(pictures)
        if (wanted >= len(known.labels) if isinstance(wanted, int) else wanted not in known.labels)
    }
    if lacking:
        wanted, name = next(reversed(lacking.items()))
        hint = near(wanted, known.labels) if isinstance(wanted, str) else ""
        more = f", and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        found = f"{known.name}, which has no class {wanted!r}{hint} (picture {name}{more})"
        yield study.problem(key, found, "a network with the classes of the pictures")


def _unresized(
    study: Study, plan: FragilePlan, key: str, input_px: int | None, pictures: Sequence[Described]
) -> Iterator[Problem]:
    """Windows that are not resized, and do not fit into a network's input."""
    if input_px is None or not pictures:
        return
    for name, _, height, width in pictures:
        if plan.crops == "in_place" and (height, width) != (input_px, input_px):
            found = f"in_place, for {key} with an input of {input_px} x {input_px} and a picture of {width} x {height} ({name})"
            yield study.problem(
                "fragile.crops", found, "in_place with pictures of the input's size, resized, or centred"
            )
            return
        sides = [nearest_side(share, height, width) for share in plan.proportions] + [*plan.sides_px]
        if max(sides, default=0) > input_px:
            found = f"{plan.crops}, for {key} with an input of {input_px} and windows of {max(sides)} pixels ({name})"
            yield study.problem("fragile.crops", found, "resized, or smaller windows")
            return


def _input_px(plan: NetworkPlan) -> int | None:
    if plan.name in SHIPPED:
        return SHIPPED_PX
    if plan.name in offered() or not is_installed("torchvision"):
        return None
    from stimuli.networks.imagenet import preprocessing_of, published_weights, torchvision_names

    return preprocessing_of(published_weights(plan.name)).crop_px if plan.name in torchvision_names() else None
