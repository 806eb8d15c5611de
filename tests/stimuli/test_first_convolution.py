"""The first convolution in its fast form: the same function, its gradient, its weights and its name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from stimuli.networks import load_network
from stimuli.networks.first_convolution import CellConvolution, with_fast_first_convolution


def with_gradient(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    leaves = images.clone().requires_grad_(True)
    found = model(leaves)
    return found.detach(), torch.autograd.grad(found.square().sum(), leaves)[0]


@pytest.mark.parametrize(
    ("size", "stride", "edge", "height", "width", "bias"),
    [
        (11, 4, 2, 128, 128, True),  # PictureNet
        (11, 4, 2, 224, 224, True),  # AlexNet
        (7, 2, 3, 224, 224, False),  # ResNet
        (3, 2, 0, 299, 299, False),  # Inception: the last row of pixels is not seen
        (5, 3, 1, 31, 40, True),
        (4, 4, 0, 33, 32, True),
    ],
)
def test_it_is_the_same_function_with_the_same_gradient(
    size: int, stride: int, edge: int, height: int, width: int, bias: bool
) -> None:
    draw = torch.Generator().manual_seed(1)
    model = nn.Sequential(nn.Conv2d(3, 8, size, stride, edge, bias=bias)).double().requires_grad_(False)
    images = torch.randn(2, 3, height, width, generator=draw, dtype=torch.float64)
    expected = with_gradient(model, images)
    found = with_gradient(with_fast_first_convolution(model), images)
    assert isinstance(model[0], CellConvolution)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_weights_are_shared_and_may_be_changed_afterwards() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3)).requires_grad_(False)
    weight = model[0].weight
    with_fast_first_convolution(model)
    assert model[0].weight is weight
    weight.mul_(2.0)
    images = torch.randn(1, 3, 20, 20, generator=torch.Generator().manual_seed(1))
    expected = functional.conv2d(images, weight, model[0].bias, stride=2, padding=3)
    torch.testing.assert_close(model(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(3, 4, 3),
        nn.Conv2d(16, 4, 3, stride=2),
        nn.Conv2d(3, 4, (3, 5), stride=2),
        nn.Conv2d(3, 4, 3, stride=2, dilation=2),
        nn.Conv2d(3, 3, 3, stride=2, groups=3),
        nn.Conv2d(3, 4, 3, stride=2, padding=1, padding_mode="reflect"),
    ],
)
def test_other_convolutions_stay_as_they_are(convolution: nn.Conv2d) -> None:
    assert with_fast_first_convolution(nn.Sequential(convolution))[0] is convolution


def test_the_shipped_networks_have_it_under_the_old_name() -> None:
    network = load_network("picturenet", None, "cpu")
    assert isinstance(network.model.get_submodule("conv1"), CellConvolution)
    assert list(network.model.state_dict())[:2] == ["conv1.weight", "conv1.bias"]
