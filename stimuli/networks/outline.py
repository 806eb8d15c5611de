"""What is known of a network without its weights: the names of its layers and of its classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from protocols.doctor import is_installed
from protocols.image_sets import NetworkPlan
from stimuli.networks.names import PICTURENET_LAYERS, PICTURENET_POOLS, SHIPPED, is_known, offered


@dataclass(frozen=True)
class Outline:
    """A network from outside.

    name   : as the study file writes it.
    layers : that may be asked for, pooling layers last.
    labels : its classes.
    """

    name: str
    layers: tuple[str, ...]
    labels: tuple[str, ...]


def outline_of(plan: NetworkPlan, folder: Path) -> Outline | None:
    """The outline of a network; one with a weights file of the user's is loaded, because its classes depend on it.

    plan   : its name and weights.
    folder : to which a path of weights refers.

    Returns None for one that is not known on this machine, or whose file is not there.

    Raises NetworkError when the file is not the weights of the network, or holds NaN or infinity.
    """
    named_file = plan.weights not in (None, "random", "random_orthonormal")
    if plan.name in offered() or (plan.name not in SHIPPED and not is_installed("torchvision")):
        return None
    if not is_known(plan.name):
        return None
    if not named_file:
        return _published(plan.name)
    path = folder / str(plan.weights)
    if not path.is_file() or not is_installed("torch"):
        return None
    return _loaded(plan.name, path, path.stat().st_mtime_ns)


def lacking_weights(name: str) -> tuple[Path, str] | None:
    """Where the ImageNet weights of a network of torchvision should stand, and their address; None: they are there."""
    if name in SHIPPED or name in offered() or not is_known(name):
        return None
    from stimuli.networks.imagenet import published_weights, weights_path

    published = published_weights(name)
    path = weights_path(published)
    return None if path.is_file() else (path, str(published.url))


@lru_cache(maxsize=16)
def _published(name: str) -> Outline:
    if name in SHIPPED:
        from stimuli.picturebook.book import CATEGORIES

        labels = tuple(category.name for category in CATEGORIES)
        return Outline(name, (*PICTURENET_LAYERS, *PICTURENET_POOLS), labels)
    from stimuli.networks.imagenet import bare, layers_of, pools_of, published_weights

    model = bare(name)
    labels = tuple(published_weights(name).meta["categories"])
    return Outline(name, (*layers_of(name, model), *pools_of(name, model)), labels)


@lru_cache(maxsize=4)
def _loaded(name: str, path: Path, _changed_ns: int) -> Outline:
    from stimuli.networks.loading import load_network

    network = load_network(name, path, "cpu")
    return Outline(name, (*network.layers, *network.further_layers), network.labels)
