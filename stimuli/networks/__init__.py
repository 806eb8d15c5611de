"""Networks that label images: the shipped PictureNets, torchvision's, and a laboratory's own.

`load_network` is the one way to get a `Network`; importing this package imports torch only when a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stimuli.networks.loading import load_network
    from stimuli.networks.names import network_names
    from stimuli.networks.network import Network, NetworkError, Preprocessing

__all__ = ["Network", "NetworkError", "Preprocessing", "load_network", "network_names"]

_HOMES = {
    "Network": "stimuli.networks.network",
    "NetworkError": "stimuli.networks.network",
    "Preprocessing": "stimuli.networks.network",
    "load_network": "stimuli.networks.loading",
    "network_names": "stimuli.networks.names",
}


def __getattr__(name: str) -> Any:
    """Import torch at the first use of a name, so that command lines start without it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
