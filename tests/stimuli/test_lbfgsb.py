"""Quasi-Newton within bounds, a whole batch at once: scipy's, problem by problem, is the oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, minimize
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
    n, d, edge = 64, 36, 0.5
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


@given(st.integers(0, 2**32 - 1), st.floats(0, 3), st.sampled_from([1e-8, 1.0, 1e8]))
@settings(max_examples=6, deadline=None)
def test_a_quadratic_of_any_condition_and_scale_ends_where_its_gradient_only_points_out(
    seed: int, digits: float, scale: float
) -> None:
    curvatures, slopes = convex_problems(8, 12, 10**digits, seed)
    edges = torch.tensor(np.random.default_rng(seed + 1).uniform(0.01, 1, (2, 8, 3, 2, 2)))

    def cost(images: Tensor) -> Tensor:
        x = images.flatten(1)
        return scale * (0.5 * torch.einsum("ni,nij,nj->n", x, curvatures, x) + (slopes * x).sum(1))

    low, high = -edges[0], edges[1]
    ended = minimised(cost, torch.zeros_like(low), low, high, 400)
    gradient = torch.einsum("nij,nj->ni", curvatures, ended.flatten(1)) + slopes
    moved = torch.minimum(torch.maximum(ended - gradient.view_as(ended), low), high) - ended
    # what one step along the gradient, cut off at the bounds, would still move
    assert moved.abs().max() < 1e-5


def test_a_bent_valley_that_ends_at_a_bound_is_followed_no_worse_than_by_scipy() -> None:
    rng = np.random.default_rng(5)
    start = torch.tensor(rng.uniform(-2, 0.8, (64, 3, 2, 2)))
    low, high = torch.full_like(start, -2), torch.full_like(start, 0.8)

    def cost(images: Tensor) -> Tensor:
        x = images.flatten(1)
        return (100 * (x[:, 1:] - x[:, :-1] ** 2).square() + (1 - x[:, :-1]).square()).sum(1)

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.tensor(x[None], requires_grad=True)
        (gradient,) = torch.autograd.grad(cost(leaf).sum(), leaf)
        return cost(leaf).item(), gradient[0].numpy()

    ours = cost(minimised(cost, start, low, high, 400)).numpy()
    options: Any = {"maxfun": 400, "ftol": 0, "gtol": 1e-12}
    theirs = [
        minimize(value, x.flatten().numpy(), jac=True, method="L-BFGS-B", bounds=Bounds(-2, 0.8), options=options).fun
        for x in start
    ]
    # the valley has several floors, and which is found depends on the path: as many lower as higher, or more
    assert np.mean(ours <= np.array(theirs) * (1 + 1e-6) + 1e-9) >= 0.5
    assert np.median(ours) <= np.median(theirs) * (1 + 1e-6) + 1e-9


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


@pytest.mark.parametrize("side", [5, 7, 32])
def test_the_bits_of_an_image_are_the_same_in_every_slot(side: int) -> None:
    noise = torch.Generator().manual_seed(side)
    pulls = torch.rand(6, 3, side, side, generator=noise) * 3 + 0.1
    goals = torch.rand(6, 3, side, side, generator=noise) * 300 - 20

    def run(order: list[int]) -> Tensor:
        def cost(images: Tensor) -> Tensor:
            away = images - goals[order]
            return (pulls[order] * away.square() + (away / 20).cos()).flatten(1).sum(1)

        start = torch.full((6, 3, side, side), 127.0)
        ended = minimised(cost, start, start - 100, start + 100, 30)
        return ended[torch.tensor(order).argsort()]

    assert torch.equal(run([0, 1, 2, 3, 4, 5]), run([5, 3, 1, 0, 4, 2]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("at_start", [False, True])
def test_what_cannot_be_read_is_not_gone_to_and_troubles_no_neighbour(bad: float, at_start: bool) -> None:
    start = torch.full((3, 3, 4, 4), 10.0)
    low, high = torch.zeros_like(start), torch.full_like(start, 255)
    wall = 0.0 if at_start else 60.0  # beyond it the middle slot cannot be read; the way to its minimum leads there

    def cost(images: Tensor, broken: bool) -> Tensor:
        x = images.flatten(1)
        costs = (x - 100).square().sum(1) + (x[:, 1:] - x[:, :-1]).pow(4).sum(1)
        beyond = torch.tensor([False, broken, False]) & (x.amax(1) > wall)
        return costs + torch.where(beyond, bad, 0.0)

    whole = minimised(lambda images: cost(images, False), start, low, high, 40)
    broken = minimised(lambda images: cost(images, True), start, low, high, 40)
    assert torch.equal(whole[[0, 2]], broken[[0, 2]])
    assert torch.isfinite(broken).all()
    if at_start:
        assert torch.equal(broken[1], start[1])
    else:
        assert 50 < broken[1].max() <= wall


def test_a_gradient_that_is_not_finite_is_not_learned_from() -> None:
    start = torch.full((2, 3, 2, 2), 10.0)
    room = PixelRange().room(start, torch.zeros(2))
    optimiser, images = BoxLbfgs(), start
    state = optimiser.fresh(start)
    for step in range(40):
        gradients = 2 * (100 - images)
        values = -(images - 100).square().sum(dim=(1, 2, 3))
        if step == 3:
            gradients[0, 0, 0, 0] = float("nan")
        images = optimiser.stepped(images, gradients, Reading(values, values), state, room)
        assert torch.isfinite(images).all()
    assert optimiser.standing(images, state) == pytest.approx(torch.full_like(start, 100.0), abs=1e-3)
