"""What a cluster's worker does: it says what it is, and reads tiles that are sent to it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocols.problems import FoolscanError
from protocols.provenance import source_hash, versions

if TYPE_CHECKING:
    import torch

PACKAGES = ("numpy", "pillow", "torch", "torchvision")
"""Whose versions may change the bits of what is read."""

Software = dict[str, str]
"""Versions by name; ``source`` is the hash of foolscan's own source."""


@dataclass(frozen=True)
class Readiness:
    """What a worker is.

    software    : see `software`.
    device_type : where it computes: 'cpu', 'cuda', 'mps'; None where it cannot compute where it is asked to.
    lacking     : why not.
    gpu         : the name of its GPU; None on other devices.
    """

    software: Software
    device_type: str | None
    lacking: str = ""
    gpu: str | None = None

    @property
    def kind(self) -> str:
        """Where it computes, for people: ``cpu``, ``cuda (NVIDIA H200)``."""
        return f"{self.device_type} ({self.gpu})" if self.gpu else str(self.device_type)


def software() -> Software:
    """What decides the bits of what this process reads, with the same device."""
    return {"source": source_hash(), **versions(PACKAGES)}


def readiness(device: str) -> Readiness:
    """What this process is.

    device : where networks shall compute; 'auto': its own GPU where it has one.
    """
    from stimuli.networks.network import chosen_device

    try:
        chosen = chosen_device(device)
        return Readiness(software(), chosen.type, gpu=gpu_name(chosen))
    except FoolscanError as error:
        return Readiness(software(), None, str(error))


def gpu_name(device: torch.device) -> str | None:
    """What a device is called where it is a GPU of CUDA; others give other bits."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def differences(here: Mapping[str, Any], there: Mapping[str, Any], longest: int = 12) -> str:
    """In what another process's software, or the parameters of a store, differ; empty where they do not.

    here, there : what is expected, what was found.
    longest     : characters that are shown of a value.
    """
    return "; ".join(
        f"{name}: found {shown(there.get(name), longest)}, expected {shown(here.get(name), longest)}"
        for name in [*here, *(name for name in there if name not in here)]
        if here.get(name) != there.get(name)
    )


def read_sent(sent: bytes, asker: Software) -> bytes:
    """Read a tile.

    sent  : a pickled `Request`.
    asker : the software of who asks, which must be this process's.

    Returns the pickled `Answer`, or why there is none, as a string: nothing that would be worth another try.
    """
    told = differences(asker, software())
    if told:
        return pickle.dumps(f"its software is another one ({told}); install the same there, and start its worker anew")
    from stimuli.fragile.tiles import read_tile

    try:
        return pickle.dumps(read_tile(pickle.loads(sent)))
    except FoolscanError as error:
        return pickle.dumps(str(error))


def shown(value: object, longest: int) -> str:
    """A value of limited length, in a message."""
    return "nothing" if value is None else str(value)[:longest]
