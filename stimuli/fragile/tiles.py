"""One tile, read where it happens to be: in this process, or in one of a cluster's workers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from protocols.problems import FoolscanError
from stimuli.fragile.crops import Filter, How, cutter
from stimuli.fragile.reading import Precision, Reader, Readings
from stimuli.fragile.work import Piece
from stimuli.networks.loading import load_network
from stimuli.networks.network import Network
from stimuli.synthesis.starts import ByteImage


@dataclass(frozen=True)
class NetworkAt:
    """A network as any process can load it, and what tells that it is the same one.

    name, weights : as `load_network` takes them.
    seed          : of random weights.
    sha256        : of the weights.
    device        : 'auto': the process's own GPU where it has one.
    """

    name: str
    weights: str | None
    seed: int
    sha256: str
    device: str


@dataclass(frozen=True)
class Looking:
    """How windows are looked at; it decides the bits of what is read.

    how, resize : see `cutter`.
    precision   : see `Reader`.
    batch_size  : windows a forward pass.
    top_k       : right is a class among the so many most probable.
    """

    how: How
    resize: Filter
    precision: Precision
    batch_size: int
    top_k: int


@dataclass(frozen=True)
class Request:
    """What a worker must know to read a tile; it can be sent.

    picture : (height, width, 3), uint8.
    true    : number of the class that is right.
    """

    name: str
    network: NetworkAt
    looking: Looking
    picture: ByteImage
    true: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Answer:
    """What was read of a tile.

    readings   : (n_windows, 3) of each of its pieces.
    read_again : windows that were read in single precision after half precision left a doubt.
    """

    name: str
    readings: tuple[Readings, ...]
    read_again: int


def read_tile(request: Request) -> Answer:
    """Read a tile's windows.

    Raises FoolscanError when this process has other weights than the one that asks.
    """
    network = loaded(request.network)
    looking = request.looking
    reader = Reader(network, request.true, looking.batch_size, looking.precision, looking.top_k)
    readings = []
    for piece in request.pieces:
        cut = cutter(request.picture, piece.side, network.input_px, network.device, looking.how, looking.resize)
        readings.append(reader(cut, piece.places))
    return Answer(request.name, tuple(readings), reader.read_again)


@lru_cache(maxsize=2)
def loaded(at: NetworkAt) -> Network:
    """The network, loaded once in a process.

    Raises FoolscanError when its weights are not those that were asked for.
    """
    network = load_network(at.name, at.weights, at.device, seed=at.seed)
    if network.weights_sha256 != at.sha256:
        raise FoolscanError(
            f"network {at.name}: found weights {network.weights_sha256[:12]} on this worker, expected {at.sha256[:12]}; put the "
            "same file there"
        )
    if network.device.type == "cuda":
        torch.backends.cudnn.benchmark = False  # one algorithm for one shape, whatever else the GPU does
        torch.backends.cudnn.deterministic = True
    return network
