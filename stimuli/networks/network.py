"""A trained network as the rest of the suite sees it: uint8 images in, logits, probabilities and activations out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from protocols.problems import FoolscanError
from stimuli.networks.exactness import exact
from stimuli.networks.first_convolution import with_fast_first_convolution

BATCH_SIZE = 8
"""Images a forward pass. Short batches are filled up to it: a pass is bit-reproducible only at a fixed shape."""


class NetworkError(FoolscanError):
    """A network, its weights or one of its layers cannot be had; the message says what to do."""


@dataclass(frozen=True)
class Preprocessing:
    """How a network's input is made from pixels: resize the shorter side, cut the middle, normalise.

    Attributes:
        resize_px: length that the shorter side is resized to.
        crop_px: side of the square cut from the middle, the network's input size.
        mean: per channel (red, green, blue), on the 0 to 1 scale.
        std: per channel, on the 0 to 1 scale.
        interpolation: of the resize, which is antialiased.
    """

    resize_px: int
    crop_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    def __call__(self, images: Tensor) -> Tensor:
        """Return the network's input; differentiable with respect to the images.

        An image that already has the input size is neither resized nor cut: what is optimised on this grid stays on it.

        Args:
            images: (n_images, 3, height, width), float, on the 0 to 255 scale.

        Returns:
            (n_images, 3, crop_px, crop_px).
        """
        height, width = images.shape[-2:]
        if (height, width) != (self.crop_px, self.crop_px):
            images = self._cut(self._resized(images, height, width))
        # (images / 255 - mean) / std in one pass over the pixels, and one back
        slope = _per_channel([1.0 / (255.0 * std) for std in self.std], images)
        offset = _per_channel([-mean / std for mean, std in zip(self.mean, self.std, strict=True)], images)
        return torch.addcmul(offset, images, slope)

    def _resized(self, images: Tensor, height: int, width: int) -> Tensor:
        shorter = min(height, width)
        if shorter == self.resize_px:
            return images
        # Truncation of the longer side follows torchvision, whose networks were trained so.
        size = [self.resize_px if side == shorter else int(self.resize_px * side / shorter) for side in (height, width)]
        return functional.interpolate(images, size=size, mode=self.interpolation, align_corners=False, antialias=True)

    def _cut(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        top, left = round((height - self.crop_px) / 2), round((width - self.crop_px) / 2)
        return images[..., top : top + self.crop_px, left : left + self.crop_px]


def _per_channel(values: Sequence[float], images: Tensor) -> Tensor:
    """(1, 3, 1, 1), filled where the images are: copying three numbers to a GPU would wait for it, in every reading."""
    return torch.cat([images.new_full((1, 1, 1, 1), value) for value in values], dim=1)


@dataclass(frozen=True)
class Label:
    """A label that a network gives to an image, with its probability (0 to 1)."""

    label: str
    index: int
    probability: float


class Network:
    """A frozen network with its preprocessing inside.

    Attributes:
        name: as a study file writes it.
        description: one line that says exactly which network and which weights.
        labels: one per output unit, in order.
        layers: names of the layers that are analysed, from input to output.
        further_layers: names of those that can be asked for as well (pooling).
        input_px: side of the square input; images of this size are not resized.
        weights_sha256: of the weights file, or of the weights themselves where there is no file.
        device: where it computes.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        labels: Sequence[str],
        layers: Mapping[str, str],
        preprocessing: Preprocessing,
        weights_sha256: str,
        description: str = "",
        device: str | torch.device = "auto",
        further_layers: Mapping[str, str] | None = None,
    ) -> None:
        """Freeze a model (its parameters get no gradient) and move it to a device.

        Args:
            name: the network's name.
            model: maps (n_images, 3, input_px, input_px) to logits (n_images, n_labels).
            labels: (n_labels,), in the order of the logits.
            layers: for each layer name, in order, the path of the submodule whose output it is ("features.1").
            preprocessing: from pixels to the model's input.
            weights_sha256: 64 hexadecimal digits.
            description: which network and weights these are.
            device: "auto" (a GPU when there is one), "cpu", "cuda", "cuda:1", "mps".
            further_layers: as `layers`, for those that are not analysed unless they are asked for.

        Raises:
            NetworkError: NaN or infinity in the weights; a device that is not there.
        """
        refuse_bad_weights(name, model.state_dict())
        self.name, self.description, self.labels = name, description or name, tuple(labels)
        self.preprocessing, self.weights_sha256 = preprocessing, weights_sha256
        self.device = chosen_device(device)
        self.model = model.to(self.device).eval().requires_grad_(False)
        if self.device.type == "cpu":  # measured there alone
            with_fast_first_convolution(self.model)
        self.layers, self.further_layers = tuple(layers), tuple(further_layers or ())
        self._paths = {**layers, **(further_layers or {})}
        for module in self.model.modules():
            if getattr(module, "inplace", False):
                cast(
                    Any, module
                ).inplace = False  # an in-place rectifier would overwrite the activations of the layer before it

    @property
    def input_px(self) -> int:
        """Side of the square input, in pixels."""
        return self.preprocessing.crop_px

    def __repr__(self) -> str:
        return (
            f"Network({self.name!r}, {len(self.labels)} labels, {self.input_px} px, sha256 {self.weights_sha256[:12]})"
        )

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits, computed exactly (see `exact`), differentiable with respect to the images and to nothing else.

        Args:
            images: (n_images, 3, height, width), float, on the 0 to 255 scale, on any device.

        Returns:
            (n_images, n_labels), on the network's device.
        """
        with exact():
            out: Tensor = self.model(self.preprocessing(images.to(self.device)))
        return out

    def responses(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Return the responses of layers, differentiable with respect to the images.

        Args:
            images: (n_images, 3, height, width), float, on the 0 to 255 scale.
            layers: names out of `layers`.

        Returns:
            for each layer (n_images, ...), in the shape that the layer has.

        Raises:
            NetworkError: a layer that the network does not have.
        """
        with self._listening(layers) as heard:
            self.logits(images)
        return {layer: heard[layer] for layer in layers}

    def probabilities(self, images: np.ndarray, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """Return the probability of every label; an image's row does not depend on the images beside it.

        Args:
            images: (n_images, height, width, 3), uint8.
            batch_size: images a forward pass.

        Returns:
            (n_images, n_labels), float64, each row summing to 1.
        """
        rows = [
            functional.softmax(self.logits(batch)[:n_real].double(), dim=1).cpu().numpy()
            for batch, n_real in self._batches(images, batch_size)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, len(self.labels)))

    def activations(
        self, images: np.ndarray, layers: Sequence[str] | None = None, batch_size: int = BATCH_SIZE
    ) -> dict[str, np.ndarray]:
        """Return the activations of layers, all units of a layer in one row.

        Args:
            images: (n_images, height, width, 3), uint8.
            layers: names out of `layers`; all of them when None.
            batch_size: images a forward pass.

        Returns:
            for each layer (n_images, n_units), float32.

        Raises:
            NetworkError: a layer that the network does not have.
        """
        wanted = self.layers if layers is None else tuple(layers)
        rows: dict[str, list[np.ndarray]] = {layer: [] for layer in wanted}
        for batch, n_real in self._batches(images, batch_size):
            for layer, response in self.responses(batch, wanted).items():
                rows[layer].append(response[:n_real].flatten(1).float().cpu().numpy())
        return {
            layer: np.concatenate(parts) if parts else np.zeros((0, 0), np.float32) for layer, parts in rows.items()
        }

    def classify(self, images: np.ndarray, top: int = 1) -> list[list[Label]]:
        """Return the most probable labels of each image, best first.

        Args:
            images: (n_images, height, width, 3), uint8.
            top: labels an image.
        """
        return [
            [Label(self.labels[i], int(i), float(row[i])) for i in np.argsort(-row, kind="stable")[:top]]
            for row in self.probabilities(images)
        ]

    def refuse_unknown_layers(self, layers: Sequence[str]) -> None:
        """Raise when a layer is not the network's.

        Raises:
            NetworkError: with the layers that there are.
        """
        known = (*self.layers, *self.further_layers)
        for layer in layers:
            if layer not in known:
                raise NetworkError(f"layer: found {layer!r}; {self.name} has {', '.join(known)}")

    def label_index(self, label: str) -> int:
        """Return the output unit of a label.

        Raises:
            NetworkError: a label that the network does not have, with the nearest ones.
        """
        if label in self.labels:
            return self.labels.index(label)
        near = get_close_matches(label, self.labels, n=3, cutoff=0.5) or list(self.labels[:5])
        raise NetworkError(
            f"network {self.name}: no label {label!r} among its {len(self.labels)}; nearest: {', '.join(near)}"
        )

    def _batches(self, images: np.ndarray, batch_size: int) -> Iterator[tuple[Tensor, int]]:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise NetworkError(
                f"network {self.name}: images must be uint8 (n_images, height, width, 3), "
                f"found {images.dtype} {images.shape}"
            )
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            n_real = len(part)
            if n_real < batch_size:
                part = np.concatenate([part, np.zeros((batch_size - n_real, *part.shape[1:]), np.uint8)])
            with torch.no_grad():
                yield torch.from_numpy(part.transpose(0, 3, 1, 2).astype(np.float32)), n_real

    @contextmanager
    def _listening(self, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        unknown = [layer for layer in layers if layer not in self._paths]
        if unknown:
            raise NetworkError(
                f"network {self.name}: no layer {', '.join(map(repr, unknown))}; it has {', '.join(self._paths)}"
            )
        heard: dict[str, Tensor] = {}

        def listener(layer: str) -> Any:
            def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
                heard[layer] = output

            return keep

        handles = [
            self.model.get_submodule(self._paths[layer]).register_forward_hook(listener(layer)) for layer in layers
        ]
        try:
            yield heard
        finally:
            for handle in handles:
                handle.remove()


def chosen_device(device: str | torch.device = "auto") -> torch.device:
    """Return the device to compute on; "auto" is CUDA, then Apple's MPS, then the CPU.

    Raises:
        NetworkError: the device is unknown or not on this machine.
    """
    if str(device) == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise NetworkError(f"device {device!r} is unknown; allowed: auto, cpu, cuda, cuda:N, mps") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise NetworkError(f"device {str(device)!r} is not on this machine; use device: auto or cpu")
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise NetworkError(f"device {str(device)!r} is not on this machine; use device: auto or cpu")
    return found


def refuse_bad_weights(name: str, state: Mapping[str, Tensor], path: Path | None = None) -> None:
    """Raise when a weight is NaN or infinite.

    Args:
        name: the network's.
        state: its weights.
        path: of the file that they come from.

    Raises:
        NetworkError: with the tensors concerned.
    """
    bad = [key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if bad:
        raise NetworkError(
            f"network {name}: NaN or infinity in its weights{f' {path}' if path else ''} "
            f"({', '.join(bad[:4])}{', …' if len(bad) > 4 else ''}); "
            "the file is damaged or training diverged: get it anew or train again"
        )


def refuse_other_weights(name: str, expected: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path) -> None:
    """Raise when the weights of a file are not a network's: other tensors, or tensors of other shapes.

    Args:
        name: the network's.
        expected: weights as the network has them.
        state: weights of the file.
        path: of the file.

    Raises:
        NetworkError: with the first tensors concerned, what was found and what is expected.
    """
    # files from before 2018 do not count the batches that a normalisation has seen
    wrong = [f"lacks {key}" for key in expected if key not in state and not key.endswith("num_batches_tracked")]
    wrong += [f"has {key}, which this network has not" for key in state if key not in expected]
    wrong += [
        f"{key} is {_shape(value)}, expected {_shape(expected[key])}"
        for key, value in state.items()
        if key in expected and value.shape != expected[key].shape
    ]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise NetworkError(
            f"network {name}: the weights {path} are not of this network: {'; '.join(wrong[:3])}{more}. "
            "Give a file of this network, or name the network that the file is of"
        )


def _shape(value: Tensor) -> str:
    return " x ".join(map(str, value.shape)) or "a number"
