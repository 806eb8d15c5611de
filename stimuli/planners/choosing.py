"""Which class an image shall be given, and whose representation it shall take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from protocols.problems import FoolscanError, near
from stimuli.pictures import PictureCategory

if TYPE_CHECKING:  # what can be checked without a network is checked without torch
    from stimuli.networks.network import Network


def wrong_classes(
    rule: str,
    categories: Sequence[PictureCategory],
    network: Network,
    posteriors: npt.NDArray[np.float64],
    draws: Mapping[str, np.random.Generator],
) -> list[tuple[str, ...]]:
    """The wrong classes that each category's image may be given, in order of preference.

    rule       : 'other_animacy': the study's classes of the other animacy, for the k-th animal from the k-th class that
                 is no animal on, round, and vice versa; 'random': the network's other classes in random order;
                 'least_likely': the same from the least posterior up.
    categories : (n_categories,).
    posteriors : (n_categories, n_classes), the network's for the regular images.
    draws      : for each category's name, what the random order is drawn from.

    Raises FoolscanError when there is no class of the other animacy, or the rule gives a category its own class.
    """
    if rule == "other_animacy":
        return of_other_animacy(categories)
    if rule == "least_likely":
        orders = list(np.argsort(posteriors, axis=1, kind="stable"))
    else:
        orders = [draws[category.name].permutation(len(network.labels)) for category in categories]
    return [
        tuple(network.labels[int(index)] for index in order if network.labels[int(index)] != category.network_class)
        for category, order in zip(categories, orders, strict=True)
    ]


def of_other_animacy(categories: Sequence[PictureCategory]) -> list[tuple[str, ...]]:
    """For each category the classes of the other animacy, in order of preference.

    Raises FoolscanError when there is none, or when an animal and something else have one class.
    """
    return [_other_animacy(category, categories) for category in categories]


def with_named(
    orders: Sequence[tuple[str, ...]], categories: Sequence[PictureCategory], named: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """The orders of preference with the classes that the study file names for single categories put first.

    orders     : (n_categories,), by rule.
    categories : (n_categories,).
    named      : category -> wrong class.
    """
    return [
        (named[category.name], *(label for label in order if label != named[category.name]))
        if category.name in named
        else order
        for category, order in zip(categories, orders, strict=True)
    ]


def wrongly_named(
    named: Mapping[str, str], categories: Sequence[PictureCategory], labels: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """What is wrong with wrong classes that a study file names: (category, found, allowed) of each.

    named  : category -> wrong class.
    labels : (n_classes,), the network's.
    """
    known = {category.name: category.network_class for category in categories}
    for category, label in named.items():
        if category not in known:
            yield category, f"the category {category!r}{near(category, known)}", "a category of the study"
        elif label == known[category]:
            yield category, f"{label!r}, which is the class of {category} itself", "another class"
        elif label not in labels:
            yield category, f"{label!r}{near(label, labels)}", f"one of the {len(labels)} classes of the network"


def _other_animacy(category: PictureCategory, categories: Sequence[PictureCategory]) -> tuple[str, ...]:
    place = [c for c in categories if c.animal is category.animal].index(category)
    others = [c.network_class for c in categories if c.animal is not category.animal]
    if not others:
        what = "an animal" if category.animal else "no animal"
        raise FoolscanError(
            f"target other_animacy: every category of the study is {what}; use target: random or least_likely"
        )
    if category.network_class in others:
        raise FoolscanError(
            f"target other_animacy: network_class {category.network_class!r} of {category.name} is given to an animal and "
            "to something else, so the target could be the source's own class: mend the table of labels"
        )
    first = place % len(others)
    return (*others[first:], *others[:first])


def guides(
    rule: str, categories: Sequence[PictureCategory], draws: Mapping[str, np.random.Generator]
) -> list[PictureCategory]:
    """The category whose regular image guides each category's image.

    rule  : 'other_animacy': for the k-th animal the k-th category that is no animal, round, and vice versa; 'random'.
    draws : for each category's name, what the random guide is drawn from.

    Raises FoolscanError when there is no category of the other animacy, or no other category.
    """
    found = []
    for category in categories:
        if rule == "other_animacy":
            others = [other for other in categories if other.animal is not category.animal]
            place = [other for other in categories if other.animal is category.animal].index(category)
        else:
            others = [other for other in categories if other.name != category.name]
            place = int(draws[category.name].integers(max(1, len(others))))
        if not others:
            raise FoolscanError(
                f"guide {rule}: there is no such category beside {category.name} in the study; use the other rule"
            )
        found.append(others[place % len(others)])
    return found
