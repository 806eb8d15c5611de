"""Get a network by name: the shipped PictureNets, torchvision's classification networks, or a laboratory's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import torch

from stimuli.networks.names import SHIPPED, meant_by, offered
from stimuli.networks.network import Network, NetworkError
from stimuli.networks.picturenet import LAYERS, POOLS, PREPROCESSING, initialise, picturenet
from stimuli.networks.weights_file import read_picturenet, sha256_of, sha256_of_state

RANDOM = "random"
RANDOM_ORTHONORMAL = "random_orthonormal"
_SHIPPED_FOLDER = Path(__file__).parent / "weights"
_PICTURENET = (
    "PictureNet: AlexNet's plan (conv1 to conv5, fc6 to fc8), narrower, one stream, 128-pixel input, "
    "trained on the picture book"
)


def load_network(
    name: str,
    weights: str | Path | None = None,
    device: str | torch.device = "auto",
    *,
    seed: int = 0,
    labels: Sequence[str] | None = None,
) -> Network:
    """Return a network by name, frozen and ready.

    Args:
        name: "picturenet", "picturenet-b" (the same recipe from another seed), a classification network of torchvision
            ("alexnet", "vgg16", "googlenet", "resnet50", "inception_v3", …), or one that an installed package offers.
        weights: None for the trained weights that belong to the name (shipped, or ImageNet's, on disk or downloaded);
            the path of a state dict (.pt, .pth, .safetensors); "random", an untrained network; or
            "random_orthonormal", an untrained network whose layers have orthonormal weights (see `orthonormalised`).
        device: "auto" (a GPU when there is one), "cpu", "cuda", "cuda:1", "mps".
        seed: of the weights when they are "random".
        labels: of the output units, for weights that were trained on other categories than ImageNet's.

    Returns:
        the network.

    Raises:
        NetworkError: unknown name (with the near ones); weights that cannot be had (with what to do), that do not fit
            or hold NaN; labels that are not as many as the output units.
    """
    if weights == RANDOM_ORTHONORMAL:
        return orthonormalised(load_network(name, RANDOM, device, seed=seed, labels=labels))
    packages = offered()
    if name in packages:
        return _from_package(packages[name], weights, device, seed, labels)
    if name in SHIPPED:
        return _picturenet(name, weights, device, seed, labels)
    from stimuli.networks.imagenet import torchvision_names, torchvision_network

    if name in torchvision_names():
        return torchvision_network(name, weights, device, seed, labels)
    raise NetworkError(f"no network is called {name!r}; {meant_by(name)}")


def _picturenet(
    name: str, weights: str | Path | None, device: str | torch.device, seed: int, labels: Sequence[str] | None
) -> Network:
    if weights == RANDOM:
        shipped_labels = tuple(labels) if labels is not None else _book_labels()
        model = picturenet(len(shipped_labels))
        initialise(model, torch.Generator().manual_seed(seed))
        sha256 = sha256_of_state(model.state_dict())
        description = f"PictureNet, UNTRAINED: random weights, seed {seed}"
        return Network(
            f"{name} (untrained, seed {seed})",
            model.eval(),
            shipped_labels,
            LAYERS,
            PREPROCESSING,
            sha256,
            description,
            device,
            POOLS,
        )
    path = _SHIPPED_FOLDER / f"{name}.safetensors" if weights is None else Path(weights)
    model, inscription = read_picturenet(path)
    if labels is not None and tuple(labels) != inscription.labels:
        check_labels(name, labels, len(inscription.labels), str(path))
    return Network(
        name,
        model,
        inscription.labels if labels is None else labels,
        LAYERS,
        PREPROCESSING,
        sha256_of(path),
        f"{_PICTURENET}, seed {inscription.seed}",
        device,
        POOLS,
    )


def orthonormalised(network: Network) -> Network:
    """Give every convolution and linear layer of a network orthonormal weights: U V' of their U S V' (Sabour et al. 2016).

    Args:
        network: with random weights; it is changed.
    """
    with torch.no_grad():
        for module in network.model.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                flat = module.weight.flatten(1).double()
                left, _, right = torch.linalg.svd(flat, full_matrices=False)
                module.weight.copy_((left @ right).view_as(module.weight))
    network.weights_sha256 = sha256_of_state(network.model.state_dict())
    network.name = network.name.replace("untrained", "untrained, orthonormal")
    network.description += ", orthonormal"
    return network


def check_labels(name: str, labels: Sequence[str], n_outputs: int, where: str) -> None:
    """Raise when labels and output units are not equally many.

    Raises:
        NetworkError: with both numbers.
    """
    if len(labels) != n_outputs:
        raise NetworkError(
            f"network {name}: {len(labels)} labels given, but the weights {where} have {n_outputs} output units; "
            "give one label per unit, in their order"
        )


def _book_labels() -> tuple[str, ...]:
    from stimuli.picturebook.book import CATEGORIES

    return tuple(category.name for category in CATEGORIES)


def _from_package(
    point: EntryPoint, weights: str | Path | None, device: str | torch.device, seed: int, labels: Sequence[str] | None
) -> Network:
    try:
        load: Callable[..., Network] = point.load()
    except (ImportError, AttributeError) as error:
        raise NetworkError(
            f"network {point.name}: its entry point {point.value} cannot be imported ({error}); repair that package"
        ) from error
    network = load(weights=weights, device=device, seed=seed, labels=labels)
    if not isinstance(network, Network):
        raise NetworkError(
            f"network {point.name}: its entry point {point.value} returned {type(network).__name__}, expected a Network"
        )
    return network
