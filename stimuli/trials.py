"""A step of each way in which a study makes images, to see what memory it takes before the first image is made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

import numpy as np

from stimuli.networks.network import Network
from stimuli.pictures import PictureCategory
from stimuli.planners.planner import DrawnPlanner, EnginePlanner, Wanted
from stimuli.synthesis.engine import Method, synthesise
from stimuli.synthesis.stopping import StopRule

# The second reading follows a move, so that an optimiser has taken all that it takes.
STEPS = 1


def trials_of(
    planners: Iterable[EnginePlanner | DrawnPlanner], network: Network, category: PictureCategory, size_px: int
) -> list[Callable[[int], object]]:
    """What runs a step of so many images, for each way of a study; sets that are made in the same way are tried once.

    planners : of its sets.
    network  : the study's, which says on which device.
    category : any of the study's.
    size_px  : side of its images.
    """
    methods: list[Method] = []
    found: list[Callable[[int], object]] = []
    wanted = _grey(network, category, size_px)
    for planner in planners:
        if isinstance(planner, DrawnPlanner) or planner.method in methods:
            continue
        methods.append(planner.method)
        found.append(partial(_step, planner, wanted, network))
    return found


def _step(planner: EnginePlanner, wanted: Wanted, network: Network, n_images: int) -> None:
    job = replace(planner.first(wanted, 0), stop=StopRule(None, STEPS, patience=STEPS + 1))
    for _ in synthesise(planner.method, deque([job]), n_images, network.device):
        pass


def _grey(network: Network, category: PictureCategory, size_px: int) -> Wanted:
    """Something to start from and to go to; what comes of it is thrown away."""
    source, guide = (np.full((size_px, size_px, 3), level, np.uint8) for level in (128, 120))
    others = tuple(label for label in network.labels if label != category.network_class)
    return Wanted("trial", category, "", source, others[:1] or (category.network_class,), "", guide)
