"""PictureNet weights on disk: one safetensors file that also holds the labels and the widths."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from stimuli.networks.network import NetworkError, refuse_bad_weights, refuse_other_weights
from stimuli.networks.picturenet import Widths, picturenet, widths_of

FORMAT = 1
ENTRY = "foolscan"
"""Key under which the file's metadata hold what it says of itself, as JSON."""


@dataclass(frozen=True)
class Inscription:
    """What a PictureNet weights file says about itself besides the weights."""

    labels: tuple[str, ...]
    widths: Widths
    seed: int


def save_picturenet(path: Path, model: nn.Module, labels: Sequence[str], widths: Widths, seed: int) -> None:
    """Write weights, as 16-bit floats, with labels and widths.

    Args:
        path: of the safetensors file.
        model: a PictureNet without batch normalisation.
        labels: (n_labels,).
        widths: units of each layer.
        seed: that the network was trained with.
    """
    tensors = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    inscription = {
        "format": FORMAT,
        "network": "PictureNet",
        "labels": list(labels),
        "widths": astuple(widths),
        "seed": seed,
    }
    # One entry only: safetensors writes several in random order, and the same weights must give the same bytes.
    metadata = {ENTRY: json.dumps(inscription, ensure_ascii=False)}
    # Not save_file, which gives the file to its owner alone.
    path.write_bytes(save(tensors, metadata=metadata))


def read_picturenet(path: Path) -> tuple[nn.Sequential, Inscription]:
    """Return the network of a weights file, computing in 32 bits, and what the file says of itself.

    Raises:
        NetworkError: no such file, a damaged one, one that is not a PictureNet's, or of a later format.
    """
    if not path.is_file():
        raise NetworkError(f"{path}: no such weights file; train one with `foolscan stimuli train --out {path.name}`")
    try:
        with safe_open(path, framework="pt") as file:
            says = json.loads((file.metadata() or {}).get(ENTRY, "{}"))
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise NetworkError(f"{path}: not a readable safetensors file ({error}); get it anew or train again") from error
    if says.get("network") != "PictureNet":
        raise NetworkError(f"{path}: not the weights of a PictureNet (its inscription names {says.get('network')!r})")
    if says.get("format") != FORMAT:
        raise NetworkError(f"{path}: weights format {says.get('format')}, this version reads {FORMAT}; update foolscan")
    inscription = Inscription(tuple(says["labels"]), widths_of(says["widths"]), int(says["seed"]))
    refuse_bad_weights("picturenet", tensors, path)
    model = picturenet(len(inscription.labels), inscription.widths)
    refuse_other_weights("picturenet", model.state_dict(), tensors, path)
    model.load_state_dict(tensors)
    return model.eval(), inscription


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_state(state: dict[str, torch.Tensor]) -> str:
    """Return a SHA-256 over names, shapes and values of weights that have no file."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()
