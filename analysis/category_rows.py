"""The one order of rows in every set's patterns and RDM: the same row means the same category in every set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from protocols.problems import FoolscanError


def rows_by_category(
    sets: Sequence[str], categories: Sequence[str], wanted: Sequence[str]
) -> dict[str, NDArray[np.intp]]:
    """Where the images of every wanted set stand, one per category, the categories in the order of the first set.

    sets, categories : of each image, in the order of the manifest.
    wanted           : the stimulus sets that get an RDM.

    Returns set -> (n_categories,) indices of images.
    Raises FoolscanError when a set lacks a category or has it twice.
    """
    of_set: dict[str, dict[str, int]] = {name: {} for name in wanted}
    for place, (name, category) in enumerate(zip(sets, categories, strict=True)):
        if name in of_set:
            if category in of_set[name]:
                raise _unlike(f"set {name} has {category} twice")
            of_set[name][category] = place
    order = tuple(of_set[wanted[0]])
    for name, places in of_set.items():
        odd = sorted(set(places) ^ set(order))
        if odd:
            some = ", ".join(odd[:3]) + (" …" if len(odd) > 3 else "")
            raise _unlike(f"set {name} and set {wanted[0]} differ in their categories ({some})")
    return {name: np.array([places[category] for category in order], dtype=np.intp) for name, places in of_set.items()}


def _unlike(found: str) -> FoolscanError:
    return FoolscanError(f"stimuli.tsv: {found}; every set needs one image per category: make the stimuli again")
