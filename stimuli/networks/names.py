"""What networks are called: asked before any is loaded, and without torch as long as the name is a shipped one."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

ENTRY_POINTS = "foolscan.networks"
"""Group under which a package offers networks: each a function of (weights, device, seed, labels) to `Network`."""
SHIPPED = ("picturenet", "picturenet-b")
PICTURENET_LAYERS = (*(f"conv{number}" for number in range(1, 6)), "fc6", "fc7", "fc8")
PICTURENET_POOLS = ("pool1", "pool2", "pool5")


def offered() -> dict[str, EntryPoint]:
    """Return the networks that installed packages offer."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def is_known(name: str) -> bool:
    """Return whether `load_network` knows a name on this machine."""
    return name in SHIPPED or name in offered() or name in network_names()


def network_names() -> tuple[str, ...]:
    """Return every name that `load_network` knows on this machine."""
    from stimuli.networks.imagenet import torchvision_names

    return (*SHIPPED, *sorted(offered()), *torchvision_names())


def meant_by(name: str) -> str:
    """Return what to say of a name that no network has: the near ones, or some that there are."""
    near = get_close_matches(name.lower(), network_names(), n=4, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else "names: " + ", ".join((*SHIPPED, "alexnet", "vgg16", "…"))
