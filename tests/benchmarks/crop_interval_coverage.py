"""How often intervals over pairs and people hold the truth: 4,000 simulated crowds in each of several scenarios, seeds 0 to 3999."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
from _record import measure_once
from threadpoolctl import threadpool_limits

from analysis.crops.crossed_interval import crossed
from analysis.crops.simulated_answers import SCENARIOS, pigeonhole

Floats = npt.NDArray[np.float64]

STUDIES = 4000  # seeds 0 to 3999
PIGEONHOLE_STUDIES = 300  # the first of them: a bootstrap costs as much as hundreds of intervals
RESAMPLES = 400
COVERAGE = 0.95
LOW, HIGH = 0.93, 0.97
SMALL = {"pairs": 12, "workers": 6}
"""A pilot's size: reported, no target."""


def one_interval(scenario: str, small: bool, seed: int) -> Floats:
    """Low, high and value of one study, (3,)."""
    with threadpool_limits(1):
        crowd = replace(SCENARIOS[scenario], **(SMALL if small else {}))  # type: ignore[arg-type]
        found = crossed(crowd.answers(np.random.default_rng(seed)), COVERAGE)
        return np.array([found.low, found.high, found.value])


def one_bootstrap(scenario: str, seed: int) -> Floats:
    """The pigeonhole bootstrap's interval of one study, (2,)."""
    with threadpool_limits(1):
        rng = np.random.default_rng(seed)
        return np.array(pigeonhole(SCENARIOS[scenario].answers(rng), RESAMPLES, COVERAGE, rng))


def held(intervals: Floats, truth: float) -> float:
    """The share of the intervals that are there which hold the truth."""
    there = np.isfinite(intervals[:, 0])
    return float(((intervals[:, 0] <= truth) & (truth <= intervals[:, 1]))[there].mean())


def measure(by_scenario: dict[str, dict[str, float]]) -> dict[str, float]:
    """The extremes of coverage over all scenarios.

    by_scenario : receives the figures of every scenario.
    """
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for name, crowd in SCENARIOS.items():
            truth = crowd.true_gap()
            found = np.array(list(pool.map(partial(one_interval, name, False), range(STUDIES), chunksize=200)))
            small = np.array(list(pool.map(partial(one_interval, name, True), range(STUDIES), chunksize=200)))
            drawn = np.array(list(pool.map(partial(one_bootstrap, name), range(PIGEONHOLE_STUDIES), chunksize=25)))
            by_scenario[name] = {
                "true gap": truth,
                "mean gap": float(found[:, 2].mean()),
                "coverage": held(found, truth),
                "mean width": float(np.nanmean(found[:, 1] - found[:, 0])),
                "width that the spread of gaps asks for": float(2 * 1.959964 * found[:, 2].std()),
                "coverage, 12 pairs and 6 people a member": held(small, truth),
                "coverage, pigeonhole bootstrap": held(drawn, truth),
                "mean width, pigeonhole bootstrap": float((drawn[:, 1] - drawn[:, 0]).mean()),
            }
            print(name, {key: round(figure, 3) for key, figure in by_scenario[name].items()}, flush=True)
    return extremes(by_scenario)


def extremes(by_scenario: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The least and the most coverage over all scenarios."""
    found = {}
    for key in ("coverage", "coverage, 12 pairs and 6 people a member", "coverage, pigeonhole bootstrap"):
        of = [figures[key] for figures in by_scenario.values()]
        found |= {f"least {key}": min(of), f"most {key}": max(of)}
    return found


def met(figures: Mapping[str, float]) -> bool:
    """Whether the interval covers 93 to 97 % in every scenario of 40 pairs and 20 people a member."""
    return figures["least coverage"] >= LOW and figures["most coverage"] <= HIGH


NO_TARGET = "reported, no target"
TARGETS = {
    "least coverage": f">= {LOW}",
    "most coverage": f"<= {HIGH}",
    "least coverage, 12 pairs and 6 people a member": NO_TARGET,
    "most coverage, 12 pairs and 6 people a member": NO_TARGET,
    "least coverage, pigeonhole bootstrap": NO_TARGET,
    "most coverage, pigeonhole bootstrap": NO_TARGET,
}

if __name__ == "__main__":
    what = f"Coverage of 95 % intervals of the mean gap over {STUDIES} simulated crowds in each of {len(SCENARIOS)} scenarios"
    details: dict[str, dict[str, float]] = {}
    facts = {
        "by_scenario": details,
        "size": "40 pairs, 20 people a member",
        "seeds": f"0 to {STUDIES - 1}",
        "studies_pigeonhole": PIGEONHOLE_STUDIES,
        "resamples_pigeonhole": RESAMPLES,
        "processes": 2,
        "estimand": "the mean difference of the probabilities of both members over pairs and people, by quadrature",
    }
    raise SystemExit(measure_once(__file__, what, TARGETS, partial(measure, details), met, facts))
