"""How often intervals hold what they are of: 2,000 simulated studies in each of several scenarios, seeds 0 to 1999."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt
from _record import measure_once
from threadpoolctl import threadpool_limits

from analysis.inference.simulated_studies import QUANTITIES, SCENARIOS, intervals_of, study, values_of
from protocols.inference_plan import BootstrapPlan

Floats = npt.NDArray[np.float64]

STUDIES = 2000  # seeds 0 to 1999
PUBLISHED_STUDIES = 300  # the first of them: a bootstrap costs as much as several jackknives
RESAMPLES = 200
TRUTH_SEEDS = range(10_000, 13_000)  # studies of their own: what the similarity is on average
NOISELESS_SEEDS = range(10_000, 10_200)
LOW, HIGH = 0.93, 0.97
PLAIN, CORRECTED = QUANTITIES[:3], QUANTITIES[3:]
DEFAULT, PUBLISHED = BootstrapPlan(), BootstrapPlan(kind="published", resamples=RESAMPLES)


def one_interval(scenario: str, plan: BootstrapPlan, seed: int) -> Floats:
    """The intervals of one study, (5, 2)."""
    with threadpool_limits(1):
        rng = np.random.default_rng(seed)
        return intervals_of(study(SCENARIOS[scenario], rng), plan, rng)


def one_value(scenario: str, noiseless: bool, seed: int) -> Floats:
    """What is told of one study, (5,)."""
    with threadpool_limits(1):
        return values_of(study(SCENARIOS[scenario], np.random.default_rng(seed), noiseless=noiseless))


def covered(intervals: Floats, truth: Floats) -> Floats:
    """The share of the intervals that are there, (n_studies, 5, 2), which hold the truth, (5,)."""
    inside = (intervals[..., 0] <= truth) & (truth <= intervals[..., 1])
    return np.asarray(inside.sum(axis=0) / np.maximum(np.isfinite(intervals[..., 0]).sum(axis=0), 1))


def measure(by_scenario: dict[str, dict[str, float]]) -> dict[str, float]:
    """The extremes of coverage of the default interval and of the published one.

    by_scenario : receives the coverage of every quantity, by scenario.
    """
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for name in SCENARIOS:
            values = np.array(list(pool.map(partial(one_value, name, False), TRUTH_SEEDS, chunksize=100)))
            clean = np.array(list(pool.map(partial(one_value, name, True), NOISELESS_SEEDS, chunksize=50)))
            expected, noiseless = np.nanmean(values, axis=0), np.nanmean(clean, axis=0)
            # what is corrected for reliability is to be the similarity without noise
            truth = np.concatenate([expected[:3], noiseless[:2]])
            found = np.array(list(pool.map(partial(one_interval, name, DEFAULT), range(STUDIES), chunksize=50)))
            published = np.array(
                list(pool.map(partial(one_interval, name, PUBLISHED), range(PUBLISHED_STUDIES), chunksize=25))
            )
            figures = {f"true {what}": float(t) for what, t in zip(QUANTITIES, truth, strict=True)}
            for how, intervals in (("default", found), ("published", published)):
                shares = covered(intervals, truth)
                figures |= {f"{how}, {what}": float(c) for what, c in zip(QUANTITIES, shares, strict=True)}
            figures["published, RE-AN noiseless"] = float(covered(published[:, :2], noiseless[:2])[0])
            figures["default, corrected not defined"] = float(1.0 - np.isfinite(found[:, 3:, 0]).mean(axis=0).min())
            by_scenario[name] = figures
            print(name, {key: round(figure, 3) for key, figure in figures.items()}, flush=True)
    return extremes(by_scenario)


def extremes(by_scenario: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The least and the most coverage over all scenarios."""

    def over(how: str, whats: Sequence[str]) -> list[float]:
        return [figures[f"{how}, {what}"] for figures in by_scenario.values() for what in whats]

    return {
        "least_coverage_of_the_default": min(over("default", PLAIN)),
        "most_coverage_of_the_default": max(over("default", PLAIN)),
        "least_coverage_of_the_default_corrected": min(over("default", CORRECTED)),
        "most_coverage_of_the_default_corrected": max(over("default", CORRECTED)),
        "least_coverage_of_the_published": min(over("published", PLAIN)),
        "most_coverage_of_the_published": max(over("published", PLAIN)),
    }


def met(figures: Mapping[str, float]) -> bool:
    """Whether the default interval covers 93 to 97 % for both similarities and their difference, in every scenario."""
    return figures["least_coverage_of_the_default"] >= LOW and figures["most_coverage_of_the_default"] <= HIGH


TARGETS = {
    "least_coverage_of_the_default": f">= {LOW}",
    "most_coverage_of_the_default": f"<= {HIGH}",
    "least_coverage_of_the_default_corrected": "reported, no target",
    "most_coverage_of_the_default_corrected": "reported, no target",
    "least_coverage_of_the_published": "reported, no target",
    "most_coverage_of_the_published": "reported, no target",
}

if __name__ == "__main__":
    what = f"Coverage of 95 % intervals over {STUDIES} simulated studies in each of {len(SCENARIOS)} scenarios"
    details: dict[str, dict[str, float]] = {}
    facts = {
        "by_scenario": details,
        "seeds": f"0 to {STUDIES - 1}",
        "studies": STUDIES,
        "studies_published": PUBLISHED_STUDIES,
        "resamples_published": RESAMPLES,
        "threads_per_process": 1,
        "processes": 2,
        "estimand": "of a similarity and the difference: their expected value over voxels and noise, at the same noise and number "
        "of voxels and runs; of the corrected similarity: the similarity without noise",
    }
    raise SystemExit(measure_once(__file__, what, TARGETS, partial(measure, details), met, facts))
