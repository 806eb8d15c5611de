"""torchvision's classification networks, with ImageNet weights or with the user's own."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torchvision.models import WeightsEnum

from stimuli.networks.network import (
    Network,
    NetworkError,
    Preprocessing,
    refuse_bad_weights,
    refuse_other_weights,
)
from stimuli.networks.weights_file import sha256_of, sha256_of_state

RANDOM = "random"
ANSWER_WITHIN_S = 10.0
"""How long the weights' server may take to answer before it counts as out of reach."""
# Those that are not simply named in torchvision. Rectified where AlexNet and VGG are spoken of by layer, as in Caffe.
_ALEXNET = {f"conv{n}": f"features.{k}" for n, k in zip(range(1, 6), (1, 4, 7, 9, 11), strict=True)}
_ALEXNET_POOLS = {"pool1": "features.2", "pool2": "features.5", "pool5": "features.12"}
_CLASSIFIERS = {
    "alexnet": {"fc6": "classifier.2", "fc7": "classifier.5", "fc8": "classifier.6"},
    "vgg": {"fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6"},
}
_NOT_THE_2012_ALEXNET = (
    "the one-stream AlexNet of Krizhevsky 2014 as torchvision has it (224 pixels, no response normalisation), "
    "not the AlexNet of 2012 nor CaffeNet (227 pixels, grouped convolutions)"
)


@lru_cache(maxsize=1)
def torchvision_names() -> tuple[str, ...]:
    """Return the names of torchvision's classification networks (those for quantised arithmetic left out)."""
    return tuple(torchvision.models.list_models(module=torchvision.models))


def torchvision_network(
    name: str, weights: str | Path | None, device: str | torch.device, seed: int, labels: Sequence[str] | None
) -> Network:
    """Return a torchvision network; parameters, result and errors as for `load_network`."""
    published = published_weights(name)
    preprocessing = preprocessing_of(published)
    described = f"torchvision {torchvision.__version__} {name}"
    if name == "alexnet":
        described += f", {_NOT_THE_2012_ALEXNET}"
    imagenet_labels = tuple(published.meta["categories"])
    own = tuple(labels) if labels is not None else imagenet_labels
    if weights == RANDOM:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # torchvision's networks draw their first weights from torch's own stream
            model = _untrained(name, len(own), drawn=True)
        sha256, shown = sha256_of_state(model.state_dict()), f"{name} (untrained, seed {seed})"
        described += f"; UNTRAINED: random weights, seed {seed}"
    else:
        path = imagenet_file(name, published) if weights is None else Path(weights)
        state = {key: value for key, value in read_state(name, path).items() if not _auxiliary(name, key)}
        n_outputs = _n_outputs(state)
        if len(own) != n_outputs:
            raise NetworkError(
                f"network {name}: {len(own)} {'labels given' if labels is not None else 'labels of ImageNet'}, but the "
                f"weights {path} have {n_outputs} output units; give `labels`, one per unit, in their order"
            )
        refuse_bad_weights(name, state, path)
        model = _untrained(name, n_outputs)
        refuse_other_weights(name, model.state_dict(), state, path)
        model.load_state_dict(state)
        sha256, shown = sha256_of(path), name
        described += f"; weights {published if weights is None else path.name}"
    return Network(
        shown, model, own, layers_of(name, model), preprocessing, sha256, described, device, pools_of(name, model)
    )


def published_weights(name: str) -> WeightsEnum:
    """Return which ImageNet weights a name stands for: the first published ones, which papers used."""
    known = torchvision.models.get_model_weights(name)
    first: WeightsEnum = next((w for w in known if w.name == "IMAGENET1K_V1"), known.DEFAULT)  # type: ignore[attr-defined]
    return first


def preprocessing_of(published: WeightsEnum) -> Preprocessing:
    """Return torchvision's own preprocessing for these weights, as a value."""
    preset: Any = published.transforms()
    return Preprocessing(
        resize_px=int(preset.resize_size[0]),
        crop_px=int(preset.crop_size[0]),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation="bicubic" if preset.interpolation.value == "bicubic" else "bilinear",
    )


def weights_path(published: WeightsEnum) -> Path:
    """Return where the file of ImageNet weights stands, once it is on disk."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(published.url).path).name


def imagenet_file(name: str, published: WeightsEnum) -> Path:
    """Return the file of the ImageNet weights, downloaded if it is not on disk yet.

    Raises:
        NetworkError: neither on disk nor to be downloaded; says where to put the file.
    """
    path = weights_path(published)
    if path.is_file():
        return path
    try:
        with urllib.request.urlopen(published.url, timeout=ANSWER_WITHIN_S):
            pass
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(published.url, str(path), path.stem.rsplit("-", 1)[-1], progress=False)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise NetworkError(
            f"network {name}: its ImageNet weights are not on this machine and cannot be downloaded ({error}). "
            f"Fetch {published.url} elsewhere and put it at {path}, or give `weights: path.pt` (a state dict), "
            "or `weights: random` (an untrained network), or use `network: picturenet`, whose weights are shipped"
        ) from error
    return path


def read_state(name: str, path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict of a file (.pt, .pth, .safetensors); nothing in the file is executed.

    Raises:
        NetworkError: no such file, a damaged one, or one that holds something else.
    """
    if not path.is_file():
        raise NetworkError(f"network {name}: no weights file {path}; give the path of a state dict (.pt, .safetensors)")
    try:
        found: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise NetworkError(f"network {name}: {path} is not a readable state dict ({error})") from error
    except Exception as error:
        # The unpickler raises its own class for anything but tensors; its module is private and its name has changed.
        if type(error).__name__ != "UnpicklingError":
            raise
        raise NetworkError(
            f"network {name}: {path} holds more than tensors and is not read, because that would run its code; "
            "save it anew with torch.save(model.state_dict(), path)"
        ) from error
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise NetworkError(
            f"network {name}: {path} holds {type(found).__name__}, expected a state dict (names to tensors)"
        )
    return {key.removeprefix("module."): value for key, value in found.items()}


def layers_of(name: str, model: nn.Module) -> dict[str, str]:
    """Return layer names, in order, with the path of the submodule whose output each is."""
    if name == "alexnet":
        return {**_ALEXNET, **_CLASSIFIERS["alexnet"]}
    if name.startswith("vgg"):
        return {**_vgg_convolutions(model), **_CLASSIFIERS["vgg"]}
    paths: dict[str, str] = {}
    for child_name, child in model.named_children():
        if child_name in ("features", "encoder") or (child_name == "layers" and isinstance(child, nn.Sequential)):
            paths |= {f"{child_name}.{part}": f"{child_name}.{part}" for part, _ in child.named_children()}
        elif not isinstance(child, nn.Dropout) and "aux" not in child_name.lower():
            paths[child_name] = child_name
    if {"conv1", "bn1", "relu"} <= paths.keys():
        # ResNets: the first layer is a convolution, normalised and rectified.
        paths["conv1"] = paths.pop("relu")
        del paths["bn1"]
    return {layer: path for layer, path in paths.items() if layer not in ("dropout", "drop")}


def pools_of(name: str, model: nn.Module) -> dict[str, str]:
    """Return the pooling layers of AlexNet and VGG, named as in Caffe; they are layers that may be asked for."""
    if name == "alexnet":
        return dict(_ALEXNET_POOLS)
    if not name.startswith("vgg"):
        return {}
    features = model.get_submodule("features").named_children()
    pools = [part for part, module in features if isinstance(module, nn.MaxPool2d)]
    return {f"pool{block}": f"features.{part}" for block, part in enumerate(pools, 1)}


def _vgg_convolutions(model: nn.Module) -> dict[str, str]:
    paths: dict[str, str] = {}
    block, place = 1, 0
    for part, module in model.get_submodule("features").named_children():
        if isinstance(module, nn.ReLU):
            place += 1
            paths[f"conv{block}_{place}"] = f"features.{part}"
        elif isinstance(module, nn.MaxPool2d):
            block, place = block + 1, 0
    return paths


def bare(name: str) -> nn.Module:
    """Return a network's plan: modules whose weights have shapes and no values."""
    with torch.device("meta"):
        return _untrained(name, 1000)


def _untrained(name: str, n_outputs: int, drawn: bool = False) -> nn.Module:
    """Return the bare network; GoogLeNet and Inception as they are when trained: own input transform, no side heads."""
    special: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # Drawing their first weights takes seconds, in vain when weights are then read.
        special = {"transform_input": True, "aux_logits": False, "init_weights": drawn}
    model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=n_outputs, **special)
    return model


def _auxiliary(name: str, key: str) -> bool:
    return name in ("googlenet", "inception_v3") and key.split(".")[0] in ("aux1", "aux2", "AuxLogits")


def _n_outputs(state: dict[str, torch.Tensor]) -> int:
    matrices = [value for key, value in state.items() if key.endswith("weight") and value.ndim in (2, 4)]
    return int(matrices[-1].shape[0]) if matrices else 0
