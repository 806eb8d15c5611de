"""Quasi-Newton within bounds, a whole batch at once: scipy's, problem by problem, is the oracle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import Tensor

from stimuli.synthesis.constraints import PixelRange, Room
from stimuli.synthesis.lbfgsb import BoxLbfgs
from stimuli.synthesis.objectives import Reading

Cost = Callable[[Tensor], Tensor]


def minimised(cost: Cost, start: Tensor, low: Tensor, high: Tensor, readings: int) -> Tensor:
    """(n, 3, h, w) start to the points it stands on after so many readings."""
    optimiser, images = BoxLbfgs(), start
    state, room = optimiser.fresh(start), Room(start, torch.zeros(len(start)), low, high)
    for _ in range(readings):
        leaves = images.detach().requires_grad_(True)
        costs = cost(leaves)
        (gradients,) = torch.autograd.grad(costs.sum(), leaves)
        reading = Reading(-costs.detach(), -costs.detach())
        images = optimiser.stepped(images, -gradients, reading, state, room)
        assert (images >= low).all()
        assert (images <= high).all()
    return optimiser.standing(images, state)


def convex_problems(n: int, d: int, condition: float, seed: int) -> tuple[Tensor, Tensor]:
    """Curvatures (n, d, d) with eigenvalues from 1 to `condition`, and slopes (n, d)."""
    rng = np.random.default_rng(seed)
    turns = np.stack([np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in range(n)])
    curvatures = turns @ (np.geomspace(1, condition, d)[:, None] * turns.transpose(0, 2, 1))
    return torch.tensor(curvatures), torch.tensor(rng.normal(size=(n, d)) * 5)


@pytest.mark.parametrize("condition", [1.0, 30.0, 1000.0])
def test_the_minimisers_of_convex_problems_within_bounds_are_scipys(condition: float) -> None:
    n, d, edge = 16, 36, 0.5
    curvatures, slopes = convex_problems(n, d, condition, seed=3)

    def cost(images: Tensor) -> Tensor:
        x = images.flatten(1)
        return 0.5 * torch.einsum("ni,nij,nj->n", x, curvatures, x) + (slopes * x).sum(1) + (x**4).sum(1)

    start = torch.zeros(n, 3, 4, 3, dtype=torch.float64)
    low, high = torch.full_like(start, -edge), torch.full_like(start, edge)
    ours = minimised(cost, start, low, high, 400).flatten(1).numpy()
    for place, (curvature, slope) in enumerate(zip(curvatures.numpy(), slopes.numpy(), strict=True)):

        def value(x: np.ndarray, a: np.ndarray = curvature, b: np.ndarray = slope) -> tuple[float, np.ndarray]:
            return float(0.5 * x @ a @ x + b @ x + (x**4).sum()), a @ x + b + 4 * x**3

        limits = [(-edge, edge)] * d
        options = {"maxiter": 5000, "maxfun": 50_000, "ftol": 1e-15, "gtol": 1e-10}
        theirs = minimize(value, np.zeros(d), jac=True, method="L-BFGS-B", bounds=limits, options=options).x
        assert ours[place] == pytest.approx(theirs, abs=1e-5)
        assert (np.abs(theirs) == edge).any()  # the bounds matter


def test_the_rosenbrock_valley_is_followed_to_its_end() -> None:
    def cost(images: Tensor) -> Tensor:
        x = images.flatten(1)
        return (100 * (x[:, 1:] - x[:, :-1] ** 2).square() + (1 - x[:, :-1]).square()).sum(1)

    start = torch.full((2, 3, 2, 1), -1.2, dtype=torch.float64)
    start[1] = 0.3
    low, high = torch.full_like(start, -2), torch.full_like(start, 2)
    assert cost(minimised(cost, start, low, high, 300)).max() < 1e-8


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_a_problem_is_solved_alike_in_whatever_company(seed: int) -> None:
    curvatures, slopes = convex_problems(4, 12, 50.0, seed)

    def cost_of(chosen: list[int]) -> Cost:
        def cost(images: Tensor) -> Tensor:
            x = images.flatten(1)
            bent = (curvatures[chosen] * x[:, None, :]).sum(2)  # no matrix product: its bits depend on the batch
            return (0.5 * x * bent + slopes[chosen] * x).sum(1)

        return cost

    start = torch.zeros(4, 3, 2, 2, dtype=torch.float64)
    low, high = torch.full_like(start, -1), torch.full_like(start, 1)
    together = minimised(cost_of([0, 1, 2, 3]), start, low, high, 25)
    backward = minimised(cost_of([3, 2, 1, 0]), start, low, high, 25)
    assert torch.equal(together, backward.flip(0))


def test_nothing_moves_where_every_value_is_held_by_its_bound() -> None:
    start = torch.zeros(1, 3, 2, 2)
    room = PixelRange().room(start, torch.zeros(1))
    ended = minimised(lambda images: images.flatten(1).sum(1), start, room.low, room.high, 5)
    assert torch.equal(ended, start)
    assert torch.isfinite(ended).all()
