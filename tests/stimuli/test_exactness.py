"""Networks are read with deterministic algorithms and whole numbers, and torch is left as it was found."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from stimuli.networks import Network, load_network
from stimuli.networks.exactness import ABSENT, WANTED, exact, told
from stimuli.synthesis.constraints import LInfBall
from stimuli.synthesis.engine import Job, Method, synthesise
from stimuli.synthesis.objectives import LogPosterior
from stimuli.synthesis.optimisers import SignGradient
from stimuli.synthesis.stopping import StopRule


def settings() -> dict[str, object]:
    """What torch is set to."""
    found = {path: told(path) for path, _ in WANTED}
    return {**found, "deterministic": torch.are_deterministic_algorithms_enabled()}


def expected() -> dict[str, object]:
    wanted = {path: value if told(path) != ABSENT else ABSENT for path, value in WANTED}
    return {**wanted, "deterministic": True}


@pytest.fixture
def network() -> Network:
    return load_network("picturenet", "random", "cpu")


@pytest.fixture(params=["as torch starts", "fast", "by the newer names"])
def user(request: pytest.FixtureRequest) -> Iterator[None]:
    """What somebody may have set before, in a notebook."""
    precision, tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    newer = hasattr(torch.backends.cuda.matmul, "fp32_precision")
    named = torch.backends.cuda.matmul.fp32_precision if newer else None
    if request.param == "fast":
        torch.set_float32_matmul_precision("medium")
        torch.backends.cudnn.benchmark = True
    if request.param == "by the newer names":
        if not newer:
            pytest.skip("this torch has none")
        torch.backends.cuda.matmul.fp32_precision = "tf32"  # now torch refuses to tell the older name
    yield
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = False, tf32
    if newer:
        torch.backends.cuda.matmul.fp32_precision = named


def test_inside_nothing_is_shortened_and_afterwards_all_is_as_before(user: None) -> None:
    before = settings()
    with exact():
        assert settings() == expected()
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        with exact():
            assert settings() == expected()
        assert settings() == expected()
    assert settings() == before


def test_an_error_inside_leaves_torch_as_it_was() -> None:
    before = settings()
    with pytest.raises(ZeroDivisionError), exact():
        raise ZeroDivisionError
    assert settings() == before


def heard(network: Network) -> list[dict[str, object]]:
    """The settings at every pass of the network, forward and back."""
    seen: list[dict[str, object]] = []
    network.model[0].register_forward_hook(lambda *_: seen.append(settings()))
    network.model[0].register_full_backward_hook(lambda *_: seen.append(settings()))
    return seen


def test_posteriors_and_activations_are_read_exactly(network: Network) -> None:
    seen, images = heard(network), np.zeros((2, 128, 128, 3), np.uint8)
    network.probabilities(images)
    network.activations(images, ["fc7"])
    network.classify(images)
    assert seen == [expected()] * 3


def test_a_step_of_the_engine_is_exact_forward_and_back_and_its_user_is_not_bound(network: Network) -> None:
    before, seen, told_between = settings(), heard(network), []
    image = np.full((3, 128, 128), 100, np.float32)
    job = Job("one", image, image, 4.0, np.int64(3), StopRule(None, 2, patience=9))
    method = Method(LogPosterior(network), LInfBall(), SignGradient(1.0))
    for _ in synthesise(method, deque([job]), 2, network.device, lambda _: told_between.append(settings())):
        told_between.append(settings())
    assert len(seen) == 5  # three readings, two of them with their gradient
    assert seen == [expected()] * 5
    assert told_between == [before] * 3


def test_an_optimiser_moves_exactly(network: Network) -> None:
    seen = []

    class Told(SignGradient):
        def stepped(self, images: Tensor, *others: object) -> Tensor:
            seen.append(settings())
            return images

    image = np.full((3, 128, 128), 100, np.float32)
    job = Job("one", image, image, 4.0, np.int64(3), StopRule(None, 1, patience=9))
    list(synthesise(Method(LogPosterior(network), LInfBall(), Told(1.0)), deque([job]), 1, network.device))
    assert seen == [expected()]
