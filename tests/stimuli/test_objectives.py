"""Objectives, rooms and steps against known answers and other programs."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stimuli.networks import load_network
from stimuli.networks.network import Network
from stimuli.synthesis.constraints import L2Ball, LInfBall, PixelRange
from stimuli.synthesis.engine import Job, Method, synthesise
from stimuli.synthesis.lbfgsb import BoxLbfgs
from stimuli.synthesis.objectives import (
    CrossEntropy,
    FeatureLinear,
    FeatureMatch,
    Inversion,
    LogPosterior,
    MeanLogPosterior,
    Near,
    Posterior,
    Reading,
    Sought,
    Vote,
)
from stimuli.synthesis.optimisers import Adam, NguyenRule, SignGradient
from stimuli.synthesis.stopping import StopRule

CPU = torch.device("cpu")


class Logits:
    """A network that is a function."""

    def __init__(self, function) -> None:
        self.function = function

    def logits(self, images: Tensor) -> Tensor:
        return self.function(images)

    def responses(self, images: Tensor, layers) -> dict[str, Tensor]:
        return dict.fromkeys(layers, self.function(images))


def sought(images: Tensor, goals: Tensor, weight: float = 0.0) -> Sought:
    return Sought(goals, torch.zeros_like(images), torch.full((len(images),), weight))


def linear(seed: int, classes: int = 3, scale: float = 0.01) -> Logits:
    draw = torch.Generator().manual_seed(seed)
    weights = torch.randn(classes, 48, generator=draw) * scale
    return Logits(lambda images: (images.flatten(1) - 127.5) @ weights.T)


def some_images(n: int = 4) -> Tensor:
    return torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(5)) * 255


def test_the_worked_example_of_a_logistic_classifier() -> None:
    """Ten inputs moved by half a unit along the sign of the weights: the posterior goes from 0.0474 to 0.8808."""
    weights = torch.tensor([-1.0, -1, 1, -1, 1, -1, 1, 1, -1, 1])
    x = torch.tensor([2.0, -1, 3, -2, 2, 2, 1, -4, 5, 1]).view(1, 1, 1, 10)
    network = Logits(lambda images: torch.stack([torch.zeros(len(images)), images.flatten(1) @ weights], dim=1))
    objective, of = LogPosterior(network), sought(x, torch.tensor([1]))
    leaf = x.clone().requires_grad_(True)
    before = objective(leaf, of)
    (gradient,) = torch.autograd.grad(before.values.sum(), leaf)
    room = PixelRange().room(x, torch.zeros(1))
    moved = SignGradient(0.5).stepped(x, gradient, before, {}, room)
    assert moved.flatten().tolist() == [1.5, -1.5, 3.5, -2.5, 2.5, 1.5, 1.5, -3.5, 4.5, 1.5]
    assert float(before.scores[0]) == pytest.approx(0.047426, abs=1e-6)
    assert float(objective(moved, of).scores[0]) == pytest.approx(0.880797, abs=1e-6)


def test_the_losses_are_torchs() -> None:
    images, goals, network = some_images(), torch.tensor([0, 1, 2, 0]), linear(1)
    loss = torch.nn.functional.cross_entropy(network.logits(images), goals, reduction="none")
    of = sought(images, goals)
    assert torch.allclose(LogPosterior(network)(images, of).values, -loss)
    assert torch.allclose(Posterior(network)(images, of).values, (-loss).exp())
    away = CrossEntropy(network)(images, of)
    assert torch.allclose(away.values, loss)
    assert torch.allclose(away.scores, 1 - (-loss).exp(), atol=1e-6)


def test_an_ensemble_means_log_posteriors_and_counts_votes() -> None:
    images, goals = some_images(), torch.tensor([0, 1, 2, 0])
    networks = (linear(1), linear(2), linear(3))
    of = sought(images, goals)
    each = torch.stack([LogPosterior(network)(images, of).values for network in networks])
    mean = MeanLogPosterior(networks)(images, of)
    assert torch.allclose(mean.values, each.mean(dim=0))
    assert torch.allclose(mean.scores, each.exp().amin(dim=0))
    named = torch.stack([network.logits(images).argmax(dim=1) == goals for network in networks]).float()
    assert torch.equal(Vote(networks)(images, of).scores, named.mean(dim=0))


def test_near_takes_a_weighted_squared_distance_off_and_leaves_the_score() -> None:
    images, network = some_images(), linear(1)
    goals = torch.tensor([0, 1, 2, 0])
    plain, near = (
        objective(images, sought(images, goals, 0.5))
        for objective in (LogPosterior(network), Near(LogPosterior(network)))
    )
    assert torch.allclose(near.values, plain.values - 0.5 * images.square().sum(dim=(1, 2, 3)))
    assert torch.equal(near.scores, plain.scores)


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network("picturenet", "random", "cpu", seed=3)


def test_the_linear_approximation_of_features_is_exact_at_the_source_and_along_its_slope(network: Network) -> None:
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(1)) * 255
    features = network.responses(images, ["conv2"])["conv2"].flatten(1).detach()
    goals = torch.zeros_like(features)
    of = Sought(goals, images, torch.zeros(2))
    exact, linearised = FeatureMatch(network, "conv2"), FeatureLinear(network, "conv2")
    assert torch.allclose(linearised(images, of).values, exact(images, of).values, rtol=1e-4)
    near = images + 1e-3 * torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(linearised(near, of).values, exact(near, of).values, rtol=1e-4)
    leaf = images.clone().requires_grad_(True)
    slopes = [torch.autograd.grad(of_images(leaf, of).values.sum(), leaf)[0] for of_images in (exact, linearised)]
    assert torch.allclose(*slopes, rtol=1e-3, atol=1e-4)


def test_an_inversion_is_lost_on_the_representation_alone_without_weights() -> None:
    images = some_images(2)
    goals = images.flatten(1) * 0.9
    identity = Logits(lambda inputs: inputs.flatten(1))
    reading = Inversion(identity, "all", alpha_weight=0.0, beta_weight=0.0)(images, sought(images, goals))
    expected = (images.flatten(1) - goals).square().sum(1) / goals.square().sum(1)
    assert torch.allclose(-reading.values, expected)
    flat = torch.full((1, 3, 4, 4), 200.0)
    of = sought(flat, flat.flatten(1))
    loss = -Inversion(identity, "all", alpha_weight=1.0, beta_weight=1.0)(flat, of).values
    assert float(loss[0]) == pytest.approx(48 * (200 / 127.5 - 1) ** 6, rel=1e-3)  # a flat image varies nowhere


def test_adam_is_torchs() -> None:
    start = some_images(2).double()
    target = some_images(4)[2:].double()
    leaf = start.clone().requires_grad_(True)
    theirs = torch.optim.Adam([leaf], lr=1.5, eps=0.0)
    ours, images = Adam(1.5), start
    state, room = ours.fresh(images), PixelRange().room(start, torch.zeros(2))
    for _ in range(25):
        theirs.zero_grad()
        ((leaf - target) ** 2).sum().backward()
        theirs.step()
        reading = Reading(torch.zeros(2), torch.zeros(2))
        images = ours.stepped(images, -2 * (images - target), reading, state, room)
    assert torch.allclose(images, leaf.detach())


def test_nguyens_rule_raises_the_posterior_by_what_it_aims_at() -> None:
    """One step along the gradient, of length rise / |g|^2, is worth `rise` to first order."""
    images = some_images(1)
    room = PixelRange().room(torch.full_like(images, 100.0), torch.zeros(1))
    gradient = torch.randn(images.shape, generator=torch.Generator().manual_seed(1)) * 1e-3
    for posterior, rise in ((0.1, 0.03), (0.9, 0.01)):  # the least of 0.03 and 0.1 (1 - p)
        reading = Reading(torch.tensor([posterior]), torch.tensor([posterior]))
        moved = NguyenRule(decay=0.0).stepped(images, gradient, reading, {}, room)
        assert float(((moved - images) * gradient).sum()) == pytest.approx(rise, rel=1e-3)
    decayed = NguyenRule(decay=0.01).stepped(images, torch.zeros_like(images), reading, {}, room)
    assert torch.allclose(decayed - 100, (images - 100) * 0.99)


@given(
    centre=st.lists(st.integers(0, 255), min_size=12, max_size=12),
    change=st.lists(st.floats(-60, 60, width=32), min_size=12, max_size=12),
    radius=st.floats(0.5, 80),
)
@settings(max_examples=60)
def test_a_rounded_image_stays_in_its_euclidean_ball(centre: list[int], change: list[float], radius: float) -> None:
    centres = torch.tensor(centre, dtype=torch.float32).view(1, 3, 2, 2)
    room = L2Ball().room(centres, torch.tensor([radius]))
    moved = centres + torch.tensor(change).view(1, 3, 2, 2)
    projected, rounded = L2Ball().projected(moved, room), L2Ball().rounded(moved, room)
    assert float((rounded - centres).norm()) <= radius * (1 + 1e-6)  # whole levels: exact
    assert float((projected - centres).norm()) <= radius + 1e-4  # twelve values of float32 near 255
    for image in (projected, rounded):
        assert 0 <= image.min() <= image.max() <= 255
    assert torch.equal(rounded, rounded.round())


def test_quasi_newton_needs_a_box_and_images_that_are_not_rounded() -> None:
    objective = LogPosterior(linear(1))
    with pytest.raises(ValueError, match="L2Ball"):
        Method(objective, L2Ball(), BoxLbfgs(), reads_rounded=False)
    with pytest.raises(ValueError, match="not rounded"):
        Method(objective, LInfBall(), BoxLbfgs())


def test_features_are_matched_and_the_saved_image_is_what_is_judged() -> None:
    """A linear layer: the ball's nearest point to the goal is known, and what comes back is it, rounded toward the source."""
    identity = Logits(lambda inputs: inputs.flatten(1))
    source = np.full((3, 4, 4), 100.0, np.float32)
    goal = np.linspace(60, 140, 48, dtype=np.float32)
    job = Job("a", source, source, 10.0, goal, StopRule(None, 60, patience=20, least_gain=0.0))
    method = Method(FeatureMatch(identity, "all"), LInfBall(), BoxLbfgs(), reads_rounded=False)
    (outcome,) = synthesise(method, deque([job]), 2, CPU)
    best = np.clip(goal.reshape(3, 4, 4), 90, 110)
    assert outcome.position == pytest.approx(best, abs=1e-3)
    rounded = 100 + np.trunc(best - 100)
    assert np.abs(outcome.image.transpose(2, 0, 1) - rounded).max() <= 1
    distance = math.dist(outcome.image.transpose(2, 0, 1).ravel().tolist(), goal.tolist())
    assert -outcome.score == pytest.approx(distance, rel=1e-5)
