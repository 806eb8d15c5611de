"""Feature adversaries by the batched quasi-Newton method against scipy's L-BFGS-B, image by image, at equal evaluations.

Per problem: a source, a guide of another category, a ball of 10 grey levels around the source, and the representation
of the guide in fc7 (Sabour et al. 2016). Both solvers start at the source, ask the same objective of the same frozen
network, and may ask it equally often. Published weights of AlexNet cannot be fetched everywhere, so its weights are
random (seeded): the figures say what a step costs at its size, and what is reached on that network. PictureNet is trained.

scipy gets what it needs to do well: its objective is scaled for each problem so that its first step, like ours, changes
no value by more than a grey level (as it stands, AlexNet's tiny gradients end it in its first line search), it may not
stop early, and its tolerances are 0.

With `--problems N`, fewer problems are solved, and nothing is recorded.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from _record import measure_once
from scipy.optimize import Bounds, minimize
from threadpoolctl import threadpool_limits

from stimuli.networks.loading import load_network
from stimuli.networks.network import Network
from stimuli.picturebook.book import CATEGORIES, render
from stimuli.synthesis.constraints import LInfBall
from stimuli.synthesis.engine import Job, Method, synthesise
from stimuli.synthesis.lbfgsb import BoxLbfgs
from stimuli.synthesis.objectives import FeatureMatch, Sought
from stimuli.synthesis.starts import from_image
from stimuli.synthesis.stopping import StopRule

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

EPSILON = 10.0  # grey levels, of 255
LAYER = "fc7"
PROBLEMS, EVALUATIONS, BATCH, THREADS = 64, 100, 16, 2
SAME = 1.001  # an objective that is at most a thousandth larger is the same
NETWORKS: dict[str, str | None] = {"alexnet": "random", "picturenet": None}
TARGETS = {
    "alexnet_share_same_or_lower": ">= 0.95",
    "alexnet_times_faster": ">= 4",
    "picturenet_share_same_or_lower": ">= 0.95",
    "picturenet_times_faster": "reported, no target",
}


@dataclass(frozen=True)
class Problem:
    """A source, (3, height, width), grey levels, and the representation it shall have, (n_units,)."""

    source: Floats
    goal: Floats


@dataclass(frozen=True)
class Solved:
    """What a solver came to: images before rounding, readings of the objective each, and wall time of all, s."""

    images: list[Floats]
    evaluations: list[int]
    wall_s: float


def problems_of(network: Network, layer: str, count: int) -> list[Problem]:
    """Sources and guides from the picture book, drawn at the network's input size."""
    size, n = network.input_px, len(CATEGORIES)
    sources = np.stack([render(CATEGORIES[7 * k % n].name, "test", k, size) for k in range(count)])
    guides = np.stack([render(CATEGORIES[(7 * k + 13) % n].name, "test", 1000 + k, size) for k in range(count)])
    goals = network.activations(guides, [layer])[layer]
    return [Problem(from_image(source), goal) for source, goal in zip(sources, goals, strict=True)]


def read(objective: FeatureMatch, problem: Problem, image: Floats) -> tuple[float, Floats]:
    """Squared distance and its gradient at one image."""
    leaf = torch.from_numpy(image)[None].requires_grad_(True)
    values = objective(leaf, Sought(torch.from_numpy(problem.goal)[None], leaf.detach(), torch.zeros(1))).values
    (gradient,) = torch.autograd.grad(values.sum(), leaf)
    return -values.item(), -gradient[0].numpy()


def by_engine(objective: FeatureMatch, problems: list[Problem], evaluations: int, batch: int) -> Solved:
    """All problems through the engine, `batch` at a time; the objective is read once at the start and once a step."""
    stop = StopRule(None, evaluations - 1, patience=evaluations)
    jobs = [Job(str(k), p.source, p.source, EPSILON, p.goal, stop) for k, p in enumerate(problems)]
    method = Method(objective, LInfBall(), BoxLbfgs(), reads_rounded=False)
    begin = time.perf_counter()
    outcomes = list(synthesise(method, deque(jobs), batch, torch.device("cpu")))
    wall_s = time.perf_counter() - begin
    outcomes.sort(key=lambda outcome: int(outcome.job.job_id))
    return Solved([outcome.position for outcome in outcomes], [outcome.steps + 1 for outcome in outcomes], wall_s)


def scaled(objective: FeatureMatch, problem: Problem) -> Callable[[Doubles], tuple[float, Doubles]]:
    """What scipy minimises: the objective at a flat image, scaled so that no gradient at the start is larger than 1."""
    scale = 1 / float(np.abs(read(objective, problem, problem.source)[1]).max())

    def cost(flat: Doubles) -> tuple[float, Doubles]:
        value, gradient = read(objective, problem, flat.astype(np.float32).reshape(problem.source.shape))
        return scale * value, scale * gradient.ravel().astype(np.float64)

    return cost


def by_scipy(objective: FeatureMatch, problems: list[Problem], evaluations: int) -> Solved:
    """One problem after the other."""
    images, counts, wall_s = [], [], 0.0
    for problem in problems:
        cost, start = scaled(objective, problem), problem.source.ravel().astype(np.float64)
        bounds = np.stack([np.clip(start - EPSILON, 0, 255), np.clip(start + EPSILON, 0, 255)])
        options: Any = {"maxcor": 10, "maxiter": evaluations, "maxfun": evaluations, "ftol": 0, "gtol": 0}
        begin = time.perf_counter()
        found = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=Bounds(*bounds), options=options)
        wall_s += time.perf_counter() - begin
        images.append(found.x.astype(np.float32).reshape(problem.source.shape))
        counts.append(int(found.nfev))
    return Solved(images, counts, wall_s)


def compared(name: str, layer: str, count: int, evaluations: int, batch: int) -> dict[str, float]:
    """Both solvers on one network; objectives are read at batch 1, before rounding."""
    network = load_network(name, NETWORKS[name], "cpu", seed=0)
    objective, problems = FeatureMatch(network, layer), problems_of(network, layer, count)
    read(objective, problems[0], problems[0].source)  # whatever the first pass alone has to do is nobody's
    ours, theirs = by_engine(objective, problems, evaluations, batch), by_scipy(objective, problems, evaluations)
    own = np.array([read(objective, p, image)[0] for p, image in zip(problems, ours.images, strict=True)])
    other = np.array([read(objective, p, image)[0] for p, image in zip(problems, theirs.images, strict=True)])
    start = np.array([read(objective, p, p.source)[0] for p in problems])
    figures = {
        "share_same_or_lower": float((own <= SAME * other).mean()),
        "times_faster": theirs.wall_s / ours.wall_s,
        "objective_over_scipys_median": float(np.median(own / other)),
        "objective_over_scipys_largest": float((own / other).max()),
        "objective_over_starts_median": float(np.median(own / start)),
        "evaluations_median": float(np.median(ours.evaluations)),
        "scipy_evaluations_median": float(np.median(theirs.evaluations)),
        "wall_s": ours.wall_s,
        "scipy_wall_s": theirs.wall_s,
    }
    return {f"{name}_{figure}": value for figure, value in figures.items()}


def measure(
    layer: str = LAYER, count: int = PROBLEMS, evaluations: int = EVALUATIONS, batch: int = BATCH
) -> dict[str, float]:
    """Both networks, on two threads."""
    torch.set_num_threads(THREADS)
    figures: dict[str, float] = {}
    with threadpool_limits(THREADS):
        for name in NETWORKS:
            figures |= compared(name, layer, count, evaluations, batch)
    return figures


def met(figures: Mapping[str, float]) -> bool:
    """Whether the engine is that much faster at AlexNet's size, and as good on both."""
    as_good = all(figures[f"{name}_share_same_or_lower"] >= 0.95 for name in NETWORKS)
    return as_good and figures["alexnet_times_faster"] >= 4


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, help="solve fewer, and record nothing")
    parser.add_argument("--layer", default=LAYER, help="with --problems")
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS, help="with --problems")
    parser.add_argument("--batch", type=int, default=BATCH, help="with --problems")
    parser.add_argument("--to", help="folder of the JSON record")
    asked = parser.parse_args()
    if asked.problems:
        print(json.dumps(measure(asked.layer, asked.problems, asked.evaluations, asked.batch), indent=2))
        raise SystemExit(0)
    what = f"{PROBLEMS} feature adversaries ({LAYER}, 10/255), {EVALUATIONS} evaluations each, against scipy's L-BFGS-B"
    facts = {
        "problems": PROBLEMS,
        "evaluations": EVALUATIONS,
        "batch": BATCH,
        "threads": THREADS,
        "same": f"objective at most {SAME} times scipy's, before rounding",
        "networks": "torchvision's AlexNet (224 pixels) with random weights, seed 0; PictureNet (128 pixels), trained",
        "pictures": "of the picture book, drawn at the network's size",
    }
    raise SystemExit(measure_once(__file__, what, TARGETS, measure, met, facts))
