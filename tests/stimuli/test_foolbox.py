"""The engine's fast gradient and projected gradient attacks give foolbox's images (Rauber et al. 2020), value by value.

Both compute in double precision, where they differ by 3e-16 at most. An attack goes by the sign of each gradient, and in
single precision the last digits of a gradient that is nearly zero, which the order of a sum decides, put a value a whole
step up or down; later steps start from there. So in single precision one step is the same and twenty are not, nor would
they be between two computers that both run foolbox.
"""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

import foolbox
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from stimuli.networks import load_network
from stimuli.networks.network import Network, Preprocessing
from stimuli.synthesis.constraints import Constraint, L2Ball, LInfBall, PixelRange
from stimuli.synthesis.engine import Job, Method, synthesise
from stimuli.synthesis.objectives import CrossEntropy, LogPosterior
from stimuli.synthesis.optimisers import NormalisedGradient, Optimiser, SignGradient
from stimuli.synthesis.stopping import StopRule

EPSILON = 8.0
"""Grey levels; 8/255 on foolbox's scale."""
N_IMAGES = 5
CLOSE = 1e-6
"""On the scale from 0 to 1."""

Images = npt.NDArray[np.float64]
"""(n_images, 3, height, width), whole grey levels."""


def small_random_network() -> Network:
    draw = torch.Generator().manual_seed(7)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 49, 10)
    )
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.1, generator=draw)
    preprocessing = Preprocessing(32, 32, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    return Network("small", model, tuple(map(str, range(10))), {}, preprocessing, "0" * 64, device="cpu")


@pytest.fixture(scope="module", params=["picturenet", "small random network"])
def network(request: pytest.FixtureRequest) -> Network:
    found = load_network("picturenet", None, "cpu") if request.param == "picturenet" else small_random_network()
    found.model.double()
    return found


@pytest.fixture(scope="module")
def images(network: Network) -> Images:
    """Of the network's size."""
    return coarse_images(network.input_px)


def coarse_images(side: int) -> Images:
    """Whole grey levels, black and white among them, where an attack is clipped."""
    draw = np.random.default_rng(3)
    coarse = draw.uniform(-60, 315, (N_IMAGES, 3, side // 8, side // 8)).repeat(8, axis=2).repeat(8, axis=3)
    return np.clip(np.rint(coarse + draw.normal(0, 12, coarse.shape)), 0, 255)


def classes(network: Network, images: Images) -> tuple[Tensor, Tensor]:
    """What the network says, and for each image another class."""
    own = network.logits(torch.from_numpy(images)).argmax(dim=1)
    other = torch.arange(len(own)) * 3 % len(network.labels)
    return own, torch.where(other == own, (own + 1) % len(network.labels), other)


def ours(
    method: Method,
    images: Images,
    goals: Tensor,
    steps: int,
    device: torch.device,
    batch_size: int = 3,
    radius: float = EPSILON,
) -> Images:
    """The engine's images before they are rounded, (n_images, 3, height, width), 0 to 1; more jobs than slots."""
    jobs = [
        Job(str(i), image, image, radius, np.int64(goal), StopRule(None, steps, patience=steps + 1))
        for i, (image, goal) in enumerate(zip(images, goals, strict=True))
    ]
    outcomes = {o.job.job_id: o for o in synthesise(method, deque(jobs), batch_size, device)}
    assert {outcome.steps for outcome in outcomes.values()} == {steps}
    for job in jobs:  # what is saved is the same image, rounded toward the source
        saved = outcomes[job.job_id].image.transpose(2, 0, 1)
        assert np.abs(saved - outcomes[job.job_id].position).max() <= 1
    return np.stack([outcomes[job.job_id].position for job in jobs]) / 255


def theirs(network: Network, attack: Any, images: Images, criterion: Any, epsilon: float) -> Images:
    """Foolbox's images of the same network with the same preprocessing, (n_images, 3, height, width), 0 to 1."""
    plain = plain_model(network.model)
    given = {"mean": network.preprocessing.mean, "std": network.preprocessing.std, "axis": -3}
    model = foolbox.PyTorchModel(plain, bounds=(0, 1), preprocessing=given, device="cpu")
    raw, _, _ = attack(model, torch.from_numpy(images / 255), criterion, epsilons=epsilon)
    return np.asarray(raw.numpy())


def plain_model(model: nn.Module) -> nn.Module:
    """A copy whose convolutions are torch's own, not our fast form of the first."""
    plain = copy.deepcopy(model)
    for module in plain.modules():
        if isinstance(module, nn.Conv2d):
            module.__class__ = nn.Conv2d
    return plain


def compared(
    network: Network,
    images: Images,
    targeted: bool,
    optimiser: Optimiser,
    constraint: Constraint,
    steps: int,
    attack: Any,
    epsilon: float,
    radius: float = EPSILON,
) -> float:
    """The largest difference of any value, 0 to 1."""
    own, other = classes(network, images)
    objective = LogPosterior(network) if targeted else CrossEntropy(network)
    method = Method(objective, constraint, optimiser, reads_rounded=False)
    found = ours(method, images, other if targeted else own, steps, network.device, radius=radius)
    named = foolbox.criteria.TargetedMisclassification(other) if targeted else foolbox.criteria.Misclassification(own)
    expected = theirs(network, attack, images, named, epsilon)
    assert not images.min() > 0 or expected.min() > 0  # where no image is black or white, nothing is clipped
    assert np.abs(expected - images / 255).max() > 0.5 * epsilon / np.sqrt(images[0].size)  # they did move
    return float(np.abs(found - expected).max())


@pytest.mark.parametrize("targeted", [True, False], ids=["targeted", "untargeted"])
@pytest.mark.parametrize(("steps", "step"), [(1, 2.0), (5, 2.0), (20, 0.7)])
def test_projected_gradients_are_foolboxs(
    network: Network, images: Images, steps: int, step: float, targeted: bool
) -> None:
    attack = foolbox.attacks.LinfPGD(abs_stepsize=step / 255, steps=steps, random_start=False)
    optimiser, epsilon = SignGradient(step), EPSILON / 255
    assert compared(network, images, targeted, optimiser, LInfBall(), steps, attack, epsilon) <= CLOSE


@pytest.mark.parametrize("targeted", [True, False], ids=["targeted", "untargeted"])
def test_the_fast_gradient_sign_is_foolboxs(network: Network, images: Images, targeted: bool) -> None:
    # foolbox's own FGSM refuses a target; it is its projected gradient of one whole step
    attack = (
        foolbox.attacks.LinfPGD(rel_stepsize=1.0, steps=1, random_start=False) if targeted else foolbox.attacks.FGSM()
    )
    optimiser, epsilon = SignGradient(EPSILON), EPSILON / 255
    assert compared(network, images, targeted, optimiser, LInfBall(), 1, attack, epsilon) <= CLOSE


@pytest.mark.parametrize("targeted", [True, False], ids=["targeted", "untargeted"])
def test_the_fast_gradient_is_foolboxs_whose_length_is_euclidean(
    network: Network, images: Images, targeted: bool
) -> None:
    epsilon = EPSILON / 255 * np.sqrt(images[0].size)  # ours is a root mean square, in grey levels
    attack = foolbox.attacks.L2PGD(rel_stepsize=1.0, steps=1, random_start=False) if targeted else foolbox.attacks.FGM()
    optimiser = NormalisedGradient(EPSILON)
    assert compared(network, images, targeted, optimiser, PixelRange(), 1, attack, epsilon) <= CLOSE


@pytest.mark.parametrize("targeted", [True, False], ids=["targeted", "untargeted"])
def test_projected_gradients_within_a_euclidean_ball_are_foolboxs(network: Network, targeted: bool) -> None:
    # away from black and white, where foolbox projects first and clips then, and we the other way round
    grey = 64 + np.rint(coarse_images(network.input_px) / 2)
    steps, step, radius = 8, 0.5, 1.5  # root mean squares: the ball's surface is reached after three steps
    size = np.sqrt(grey[0].size)
    attack = foolbox.attacks.L2PGD(abs_stepsize=step * size / 255, steps=steps, random_start=False)
    optimiser, epsilon = NormalisedGradient(step), radius * size / 255
    found = compared(network, grey, targeted, optimiser, L2Ball(), steps, attack, epsilon, radius * size)
    assert found <= CLOSE


def test_in_single_precision_one_step_is_the_same_save_for_gradients_that_are_nearly_zero() -> None:
    """What users run: float32, the engine on its fast form of the first convolution, foolbox on torch's own."""
    network = load_network("picturenet", None, "cpu")
    images = coarse_images(network.input_px).astype(np.float32)
    _, other = classes(network, images)
    method = Method(LogPosterior(network), LInfBall(), SignGradient(EPSILON), reads_rounded=False)
    found = ours(method, images, other, 1, network.device)
    attack = foolbox.attacks.LinfPGD(rel_stepsize=1.0, steps=1, random_start=False)
    expected = theirs(network, attack, images, foolbox.criteria.TargetedMisclassification(other), EPSILON / 255)
    assert np.mean(np.abs(found - expected) > CLOSE) < 1e-4
