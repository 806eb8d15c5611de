"""PictureNet: AlexNet's plan and layer names at a size that two CPU cores can train.

The plan is that of Krizhevsky et al. 2012, section 3.5 (five convolutions, three of them followed by overlapping
3/2 pooling, then three fully connected layers), with one stream, narrower layers and a 128-pixel input. Batch
normalisation helps it train and is folded into the convolutions before the weights are saved.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from stimuli.networks.names import PICTURENET_LAYERS, PICTURENET_POOLS
from stimuli.networks.network import Preprocessing

INPUT_PX = 128
PREPROCESSING = Preprocessing(INPUT_PX, INPUT_PX, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4", "conv5")
# As in Caffe, where rectification is in place, the activations of a layer are the rectified ones; fc8 is the logits.
LAYERS = {name: "fc8" if name == "fc8" else f"relu{name[-1]}" for name in PICTURENET_LAYERS}
POOLS = {name: name for name in PICTURENET_POOLS}


@dataclass(frozen=True)
class Widths:
    """Units of each layer: channels of conv1 to conv5, units of fc6 and fc7."""

    conv1: int = 48
    conv2: int = 96
    conv3: int = 128
    conv4: int = 128
    conv5: int = 96
    fc6: int = 512
    fc7: int = 512


def picturenet(
    n_labels: int, widths: Widths = Widths(), *, normalised: bool = False, dropout: float = 0.0
) -> nn.Sequential:
    """Return an untrained PictureNet.

    Args:
        n_labels: output units.
        widths: units of each layer.
        normalised: with batch normalisation after each convolution, as it is trained.
        dropout: probability of dropping a unit of fc6 and fc7 while training.

    Returns:
        (n_images, 3, 128, 128) to logits (n_images, n_labels). Spatial sizes: conv1 31, pool1 15, conv2 15, pool2 7,
        conv3 to conv5 7, pool5 3.
    """
    w, parts = widths, OrderedDict[str, nn.Module]()
    plan = (
        (nn.Conv2d(3, w.conv1, 11, stride=4, padding=2), True),
        (nn.Conv2d(w.conv1, w.conv2, 5, padding=2), True),
        (nn.Conv2d(w.conv2, w.conv3, 3, padding=1), False),
        (nn.Conv2d(w.conv3, w.conv4, 3, padding=1), False),
        (nn.Conv2d(w.conv4, w.conv5, 3, padding=1), True),
    )
    for number, (convolution, pooled) in enumerate(plan, start=1):
        parts[f"conv{number}"] = convolution
        if normalised:
            parts[f"norm{number}"] = nn.BatchNorm2d(convolution.out_channels)
        parts[f"relu{number}"] = nn.ReLU()
        if pooled:
            parts[f"pool{number}"] = nn.MaxPool2d(3, stride=2)
    parts["flat"] = nn.Flatten()
    for number, (n_in, n_out) in enumerate(((w.conv5 * 9, w.fc6), (w.fc6, w.fc7)), start=6):
        if dropout:
            parts[f"drop{number}"] = nn.Dropout(dropout)
        parts[f"fc{number}"] = nn.Linear(n_in, n_out)
        parts[f"relu{number}"] = nn.ReLU()
    parts["fc8"] = nn.Linear(w.fc7, n_labels)
    return nn.Sequential(parts)


def initialise(model: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of convolutions and linear layers anew (He et al. 2015, eq. 10), biases 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def folded(trained: nn.Sequential, widths: Widths, n_labels: int) -> nn.Sequential:
    """Return the same function without batch normalisation or dropout: y = γ(Wx + b − μ)/σ + β as one convolution.

    Args:
        trained: a PictureNet with batch normalisation, trained.
        widths: its widths.
        n_labels: its output units.

    Returns:
        a PictureNet on AlexNet's plan alone, in eval mode.
    """
    plain = picturenet(n_labels, widths)
    source, target = trained.state_dict(), plain.state_dict()
    for name in target:
        target[name] = source[name].detach().clone()
    for number, name in enumerate(CONVOLUTIONS, start=1):
        norm = trained.get_submodule(f"norm{number}")
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_var is None or norm.running_mean is None:
            raise TypeError(f"norm{number} of the trained network is {type(norm).__name__}, expected BatchNorm2d")
        scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
        weight, bias = source[f"{name}.weight"].double(), source[f"{name}.bias"].double()
        target[f"{name}.weight"] = (weight * scale.view(-1, 1, 1, 1)).float()
        target[f"{name}.bias"] = ((bias - norm.running_mean.double()) * scale + norm.bias.detach().double()).float()
    plain.load_state_dict(target)
    return plain.eval()


def widths_of(shapes: Sequence[int]) -> Widths:
    """Return the widths from the list that a weights file carries (conv1 to conv5, fc6, fc7)."""
    return Widths(*(int(n) for n in shapes))
