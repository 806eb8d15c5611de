"""One tile, read where it happens to be: in this process, or in one of a cluster's workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from protocols.problems import FoolscanError
from stimuli.fragile.crops import Cut, Filter, How, cutter
from stimuli.fragile.reading import Precision, Reader, Readings
from stimuli.fragile.windows import Grid
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
    """Read a tile's windows; a processor does it on one thread (see `one_thread`), and more processes make it faster.

    Raises FoolscanError when this process has other weights than the one that asks.
    """
    reader = _reader(request.network, request.looking, request.true)
    readings = []
    with one_thread(reader.network.device):
        for piece in request.pieces:
            off_by = 0.0
            if request.looking.precision != "fp32":
                picture = _Pixels(request.picture.shape[0], request.picture.shape[1], request.picture.tobytes())
                off_by = _off_by(request.network, request.looking, request.true, piece.side, picture)
            cut = _cut(reader.network, request.looking, request.picture, piece.side)
            readings.append(reader(cut, piece.places, off_by))
    return Answer(request.name, tuple(readings), reader.read_again)


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """On a processor, compute on one thread until the block ends: the bits then are the same on machines with more cores."""
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _reader(at: NetworkAt, looking: Looking, true: int) -> Reader:
    return Reader(loaded(at), true, looking.batch_size, looking.precision, looking.top_k)


def _cut(network: Network, looking: Looking, picture: ByteImage, side: int) -> Cut:
    return cutter(picture, side, network.input_px, network.device, looking.how, looking.resize)


@dataclass(frozen=True)
class _Pixels:
    """A picture that can be looked up."""

    height: int
    width: int
    levels: bytes


@lru_cache(maxsize=16)
def _off_by(at: NetworkAt, looking: Looking, true: int, side: int, picture: _Pixels) -> float:
    """What half precision may be off by in windows of one side, by a batch of them from all over the picture.

    It is of the picture and not of the tile, so that the same windows are read again however the work is cut.
    """
    pixels = np.frombuffer(picture.levels, np.uint8).reshape(picture.height, picture.width, 3)
    reader = _reader(at, looking, true)
    places = Grid(picture.height, picture.width, side).spread(looking.batch_size)
    return reader.off_by(_cut(reader.network, looking, pixels, side), places)


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
