"""Noise components: they help where noise is shared, and are left alone where it is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from analysis.glm.noise_components import NoiseComponents, fewest, noise_components
from analysis.glm.run_series import RunBlock
from protocols.problems import FoolscanError

N, RUNS, CONDITIONS = 80, 4, 8


DRIFT = np.column_stack([np.ones(N), np.linspace(-1, 1, N)])


@dataclass(frozen=True)
class Simulated:
    """150 voxels that respond, 250 that do not, and dark ones; two time courses shared by all bright ones."""

    designs: list[tuple[np.ndarray, np.ndarray]]
    betas: np.ndarray
    courses: list[np.ndarray]
    data: list[np.ndarray]

    def components(self, asked: int | str = "auto") -> NoiseComponents:
        n_voxels = self.betas.shape[1]
        means = np.where(np.arange(n_voxels) < 400, 1000.0, 100.0)

        def series(part: np.ndarray) -> Iterator[RunBlock]:
            inside = np.flatnonzero(part)
            for first in range(0, len(inside), 64):
                some = inside[first : first + 64]
                yield RunBlock(
                    slice(first, first + len(some)), [run[:, some] for run in self.data], [means[some]] * RUNS
                )

        return noise_components(self.designs, series, n_voxels, asked)

    def error(self, found: NoiseComponents, number: int) -> float:
        """Mean squared error of the betas of the voxels that respond, run by run, with so many components."""
        errors = []
        for place, ((x, drift), y) in enumerate(zip(self.designs, self.data, strict=True)):
            matrix = np.hstack([x, drift, found.components[place][:, :number]])
            betas = np.linalg.lstsq(matrix, y[:, :150], rcond=None)[0][:CONDITIONS]
            errors.append(((betas - self.betas[:, :150]) ** 2).mean())
        return float(np.mean(errors))


def simulated(seed: int, shared_sd: float) -> Simulated:
    rng = np.random.default_rng(seed)
    designs = [(np.clip(rng.normal(size=(N, CONDITIONS)), 0, None), DRIFT) for _ in range(RUNS)]
    betas = np.zeros((CONDITIONS, 440))
    betas[:, :150] = rng.normal(0, 1, (CONDITIONS, 150))
    courses = [rng.normal(size=(N, 2)) for _ in range(RUNS)]
    loading = shared_sd * rng.normal(size=(2, 440))
    loading[:, 400:] = 0
    data = [
        x @ betas + course @ loading + rng.normal(size=(N, 440))
        for (x, _), course in zip(designs, courses, strict=True)
    ]
    return Simulated(designs, betas, courses, data)


def test_shared_noise_is_found_and_taken_out() -> None:
    brain = simulated(0, shared_sd=2.0)
    found = brain.components()
    assert found.number == 2
    assert found.median_r2[2] > found.median_r2[:2].max()
    assert brain.error(found, 2) < 0.3 * brain.error(found, 0)
    for place, course in enumerate(brain.courses):
        components = found.of_run(place)
        assert components.shape == (N, 2)
        np.testing.assert_allclose(components.std(axis=0), 1.0)
        course = course - DRIFT @ np.linalg.lstsq(DRIFT, course, rcond=None)[0]
        explained = components @ np.linalg.lstsq(components, course, rcond=None)[0]
        assert (explained**2).sum() > 0.95 * (course**2).sum()


def test_white_noise_mostly_has_no_components_and_never_gains_by_them() -> None:
    found = [simulated(seed, shared_sd=0.0).components() for seed in range(10)]
    assert [one.number for one in found].count(0) > 5
    assert all(one.median_r2.max() - one.median_r2[0] < 0.005 for one in found)


def test_the_pool_is_bright_and_does_not_respond() -> None:
    result = simulated(0, shared_sd=1.0).components()
    assert 150 < result.pool <= 250
    assert 150 <= result.responding <= 250


def test_a_number_that_is_asked_for_is_used() -> None:
    result = simulated(0, shared_sd=1.0).components(5)
    assert result.number == 5
    assert result.of_run(0).shape == (N, 5)
    assert np.isnan(result.median_r2).all()


def test_components_have_one_sign() -> None:
    result = simulated(1, shared_sd=1.0).components(5)
    for components in result.components:
        assert (components[np.abs(components).argmax(axis=0), np.arange(5)] > 0).all()


def test_too_few_quiet_voxels_are_told() -> None:
    rng = np.random.default_rng(0)
    of_runs = [(rng.normal(size=(N, CONDITIONS)), DRIFT) for _ in range(RUNS)]
    betas = rng.normal(0, 5, (CONDITIONS, 30))

    def series(part: np.ndarray) -> Iterator[RunBlock]:
        yield RunBlock(slice(0, 30), [x @ betas for x, _ in of_runs], [np.full(30, 1000.0)] * RUNS)

    with pytest.raises(FoolscanError, match="found 0 bright voxels of 30"):
        noise_components(of_runs, series, 30, "auto")


def test_the_fewest_that_nearly_do_best_are_used() -> None:
    assert fewest(np.array([0.10, 0.20, 0.297, 0.30, 0.29])) == 2
    assert fewest(np.array([0.10, 0.20, 0.28, 0.30, 0.29])) == 3
    assert fewest(np.array([0.10, 0.09, 0.08])) == 0
