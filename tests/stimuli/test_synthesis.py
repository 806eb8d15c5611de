"""The engine: every image goes its own way, and what is judged is what would be saved."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stimuli.networks import load_network
from stimuli.synthesis.constraints import LInfBall, PixelRange
from stimuli.synthesis.engine import Job, Method, Outcome, synthesise
from stimuli.synthesis.objectives import LogOdds, Reading, Sought
from stimuli.synthesis.optimisers import NormalisedGradient, SignGradient
from stimuli.synthesis.starts import from_image, mean_image, with_noise, within_ball
from stimuli.synthesis.stopping import StopRule

CPU = torch.device("cpu")


class LinearNetwork:
    """Three classes, each a fixed pattern: small, and its gradients are known."""

    def __init__(self, side: int = 4, scale: float = 0.02) -> None:
        self.patterns = torch.randn(3, 3 * side * side, generator=torch.Generator().manual_seed(1)) * scale

    def logits(self, images: Tensor) -> Tensor:
        return (images.flatten(1) - 127.5) @ self.patterns.T


def job(name: str, goal: int, stop: StopRule, seed: int = 0, side: int = 4, radius: float = 255.0) -> Job:
    draw = np.random.default_rng([seed, *name.encode()])
    centre = mean_image((0.5, 0.5, 0.5), side).round()
    return Job(name, with_noise(centre, 10.0, draw), centre, radius, np.int64(goal), stop)


def test_log_odds_are_those_of_the_softmax_posterior_and_point_the_same_way():
    network = LinearNetwork(scale=0.003)
    images = torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(2)) * 255
    images.requires_grad_(True)
    goals = torch.tensor([0, 1, 2, 1, 0])
    reading = LogOdds(network)(images, Sought(goals, images, torch.zeros(5)))
    posterior = torch.softmax(network.logits(images).double(), 1).gather(1, goals[:, None]).squeeze(1)
    assert torch.allclose(reading.scores.double(), posterior, atol=1e-6)
    assert torch.allclose(reading.values.double(), torch.log(posterior / (1 - posterior)), atol=1e-4)
    (of_odds,) = torch.autograd.grad(reading.values.sum(), images, retain_graph=True)
    (of_posterior,) = torch.autograd.grad(posterior.sum(), images)
    cosine = torch.nn.functional.cosine_similarity(of_odds.flatten(1), of_posterior.flatten(1).float())
    assert torch.allclose(cosine, torch.ones(5), atol=1e-5)


def test_log_odds_keep_their_gradient_where_the_posterior_has_none_left():
    images = torch.full((1, 3, 4, 4), 127.5, requires_grad=True)
    network = LinearNetwork(scale=50.0)
    far = (images + 100 * network.patterns[1].view(3, 4, 4).sign()).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(
        LogOdds(network)(far, Sought(torch.tensor([1]), far, torch.zeros(1))).values.sum(), far
    )
    assert gradient.abs().sum() > 0


@given(
    centre=st.lists(st.integers(0, 255), min_size=12, max_size=12),
    change=st.lists(st.floats(-40, 40, width=32), min_size=12, max_size=12),
    radius=st.integers(1, 32),
)
def test_a_rounded_image_stays_in_its_ball_and_in_the_pixel_range(centre: list[int], change: list[float], radius: int):
    centres = torch.tensor(centre, dtype=torch.float32).view(1, 3, 2, 2)
    moved = centres + torch.tensor(change).view(1, 3, 2, 2)
    ball = LInfBall()
    rounded = ball.rounded(moved, ball.room(centres, torch.tensor([float(radius)])))
    assert torch.equal(rounded, rounded.round())
    assert (rounded - centres).abs().max() <= radius
    assert 0 <= rounded.min() <= rounded.max() <= 255
    assert ((rounded - centres).abs() <= (moved - centres).abs() + 1e-3).all()  # toward the centre, never away


@given(st.lists(st.floats(-50, 300, width=32), min_size=12, max_size=12))
def test_without_a_ball_an_image_goes_to_the_nearest_grey_level(values: list[float]):
    images = torch.tensor(values).view(1, 3, 2, 2)
    rounded = PixelRange().rounded(images, PixelRange().room(images, torch.zeros(1)))
    assert torch.equal(rounded, images.clamp(0, 255).round())


def test_steps_have_the_length_that_is_asked_for_whatever_the_gradient():
    images = torch.zeros(2, 3, 4, 4)
    gradients = torch.randn(2, 3, 4, 4) * torch.tensor([1e-9, 1e6]).view(2, 1, 1, 1)
    reading = Reading(torch.zeros(2), torch.zeros(2))
    room = PixelRange().room(images, torch.zeros(2))
    moved = NormalisedGradient(1.5).stepped(images, gradients, reading, {}, room)
    assert torch.allclose(moved.square().mean(dim=(1, 2, 3)).sqrt(), torch.tensor([1.5, 1.5]))
    assert torch.equal(SignGradient(2.0).stepped(images, gradients, reading, {}, room), 2 * gradients.sign())
    still = NormalisedGradient(1.5).stepped(images, torch.zeros_like(gradients), reading, {}, room)
    assert torch.equal(still, images)  # no gradient: no step, and no NaN


@pytest.mark.parametrize(
    ("score", "steps", "since", "verdict"),
    [(0.9905, 3, 0, "go on"), (0.9911, 3, 0, "reached"), (0.5, 50, 0, "out of steps"), (0.5, 3, 10, "no progress")],
)
def test_an_image_stops_a_little_above_its_criterion_so_that_it_passes_again_elsewhere(
    score: float, steps: int, since: int, verdict: str
):
    assert StopRule(0.99, 50, patience=10).verdict(score, steps, since) == verdict


def test_starts_are_drawn_from_the_generator_alone_and_stay_in_range():
    mean = mean_image((0.485, 0.456, 0.406), 8)
    assert mean[:, 0, 0] == pytest.approx([123.675, 116.28, 103.53])
    one, two = (with_noise(mean, 10.0, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(one, two)
    assert np.std(with_noise(mean_image((0.5, 0.5, 0.5), 128), 10.0, np.random.default_rng(4))) == pytest.approx(
        10, rel=0.02
    )
    near = within_ball(from_image(np.full((8, 8, 3), 254, np.uint8)), 4.0, np.random.default_rng(1))
    assert near.max() <= 255
    assert near.min() >= 250


def made(jobs: list[Job], batch_size: int = 4) -> dict[str, Outcome]:
    method = Method(LogOdds(LinearNetwork()), PixelRange(), NormalisedGradient(1.0))
    return {o.job.job_id: o for o in synthesise(method, deque(jobs), batch_size, CPU)}


def test_the_image_that_is_returned_is_the_one_that_was_judged():
    found = made([job(str(i), i % 3, StopRule(0.99, 200), seed=i) for i in range(10)])
    assert len(found) == 10
    for outcome in found.values():
        assert outcome.verdict == "reached"
        logits = LinearNetwork().logits(torch.from_numpy(from_image(outcome.image))[None])
        posterior = torch.softmax(logits, 1)[0, int(outcome.job.goal)]
        assert float(posterior) == pytest.approx(outcome.score, abs=1e-5)
        assert outcome.score >= 0.99


def test_an_unreachable_confidence_is_reported_and_does_not_go_on_for_ever():
    small = [Job(j.job_id, j.start, j.start.round(), 1.0, j.goal, j.stop) for j in [job("x", 0, StopRule(1.0, 30))]]
    method = Method(LogOdds(LinearNetwork()), LInfBall(), NormalisedGradient(1.0))
    (outcome,) = synthesise(method, deque(small), 2, CPU)
    assert outcome.verdict in {"out of steps", "no progress"}
    assert outcome.steps <= 30


def test_whoever_takes_an_outcome_may_ask_for_more():
    queue = deque([job("first", 0, StopRule(0.99, 1))])
    method = Method(LogOdds(LinearNetwork()), PixelRange(), NormalisedGradient(1.0))
    names = []
    for outcome in synthesise(method, queue, 2, CPU):
        names.append(outcome.job.job_id)
        if len(names) < 3:
            queue.append(
                Job(f"then {len(names)}", outcome.position, outcome.job.centre, 255.0, np.int64(0), outcome.job.stop)
            )
    assert names == ["first", "then 1", "then 2"]


def test_all_jobs_of_a_batch_have_one_size():
    with pytest.raises(ValueError, match="shape"):
        made([job("a", 0, StopRule(0.99, 5)), job("b", 0, StopRule(0.99, 5), side=5)])


def test_an_empty_queue_is_no_work():
    assert made([]) == {}


def test_the_bits_of_an_image_do_not_depend_on_its_batch_mates_order_or_place():
    network = load_network("picturenet", "random", "cpu", seed=3)
    method = Method(LogOdds(network), PixelRange(), NormalisedGradient(1.0))
    jobs = [job(str(i), i, StopRule(0.9, 3 + i % 4), seed=i, side=128) for i in range(11)]

    def bits(order: list[Job]) -> dict[str, bytes]:
        return {o.job.job_id: o.position.tobytes() for o in synthesise(method, deque(order), 8, CPU)}

    together = bits(jobs)
    assert bits(jobs[::-1]) == together
    assert bits(jobs[4:7]) == {name: together[name] for name in ("4", "5", "6")}
    assert bits(jobs[9:10])["9"] == together["9"]


class Whole:
    """Everything about an image is right once it has whole grey levels."""

    def __call__(self, images: Tensor, sought: Sought) -> Reading:
        whole = (images == images.round()).flatten(1).all(dim=1).float()
        return Reading(0.0 * images.sum(dim=(1, 2, 3)), whole)


def test_when_an_image_is_judged_does_not_depend_on_a_batch_mate_that_is_judged():
    method = Method(Whole(), PixelRange(), SignGradient(1.0), reads_rounded=False)
    centre = np.full((3, 4, 4), 100.0, np.float32)
    whole, between = (Job(str(x), centre + x, centre, 9.0, np.int64(0), StopRule(0.5, 5)) for x in (0.0, 0.25))
    together = {o.job.job_id: o.steps for o in synthesise(method, deque([whole, between]), 2, CPU)}
    (alone,) = synthesise(method, deque([between]), 2, CPU)
    assert together == {"0.0": 0, "0.25": 5}
    assert alone.steps == 5


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_the_precision_of_the_starts_is_the_one_that_is_computed_in(precision: type):
    network = LinearNetwork()
    network.patterns = network.patterns.to(torch.from_numpy(np.zeros(0, precision)).dtype)
    start = np.full((3, 4, 4), 100.0, precision)
    method = Method(LogOdds(network), PixelRange(), NormalisedGradient(1.0))
    (found,) = synthesise(method, deque([Job("a", start, start, 9.0, np.int64(1), StopRule(None, 2))]), 2, CPU)
    assert found.position.dtype == precision


def test_a_reading_without_gradient_has_the_bits_of_one_with_it():
    network = load_network("picturenet", None, "cpu")
    images = torch.rand(8, 3, 128, 128, generator=torch.Generator().manual_seed(1)) * 255
    of = Sought(torch.arange(8), images, torch.zeros(8))
    with torch.no_grad():
        bare = LogOdds(network)(images, of)
    ready = LogOdds(network)(images.clone().requires_grad_(True), of)
    assert torch.equal(bare.values, ready.values.detach())
    assert torch.equal(bare.scores, ready.scores.detach())


def test_the_network_gets_no_gradient_and_is_not_changed():
    network = load_network("picturenet", "random", "cpu", seed=3)
    before = {name: value.clone() for name, value in network.model.state_dict().items()}
    method = Method(LogOdds(network), PixelRange(), NormalisedGradient(1.0))
    list(synthesise(method, deque([job("a", 2, StopRule(0.9, 2), side=128)]), 2, CPU))
    assert all(parameter.grad is None for parameter in network.model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.model.state_dict().items())
