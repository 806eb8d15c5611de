"""Where in a network two all but equal crops come apart: their activations side by side, layer by layer (figure A.11)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from protocols.crops import Crop, crops_table, pairs_of, read_crops
from protocols.folder import StudyFolder, exclusive
from protocols.problems import FoolscanError
from protocols.provenance import write_sidecar
from protocols.study import Study
from protocols.tables import write_table
from stimuli.contact_sheet import INK, Line
from stimuli.fragile.asking import Question, inputs, network_again
from stimuli.fragile.found import Found, found_in, pictures_of
from stimuli.fragile.pages import Plate, Row, page
from stimuli.fragile.plates import difference_plate, enlarged, factor, scale_plate
from stimuli.fragile.run import PACKAGES
from stimuli.fragile.tiles import one_thread
from stimuli.image_files import write_png
from stimuli.networks.network import Network
from stimuli.synthesis.starts import ByteImage

ROOM_PX = 168
Activation = NDArray[np.float32]
"""Of one layer for one crop: (n_channels, height, width), or (n_units,)."""

COLUMNS: dict[str, str] = {
    "pair_id": "Pair of crops.",
    "network": "Network, as its store is called.",
    "layer": "Layer of the network, in order.",
    "n_units": "Activations of the layer.",
    "n_channels": "Its channels (n/a: a layer without places).",
    "relative_l2": "Euclidean distance of the two members' activations, relative to the mean of their lengths.",
    "cosine_distance": "1 minus the cosine of the angle between their activations.",
    "channel": "The channel whose maps are farthest apart, from 0 (n/a: a layer without places).",
    "channel_share": "Share of the squared distance that is in that channel.",
    "mean_map_relative_l2": "relative_l2 of the maps of means over channels.",
}


@dataclass(frozen=True)
class Apart:
    """How far apart two crops are in one layer; see `COLUMNS`."""

    layer: str
    n_units: int
    n_channels: int | None
    relative_l2: float
    cosine_distance: float
    channel: int | None
    channel_share: float | None
    mean_map_relative_l2: float | None


def apart(layer: str, one: Activation, other: Activation) -> Apart:
    """How far apart two crops are in one layer."""
    relative, cosine = relative_l2(one, other), cosine_distance(one, other)
    if one.ndim < 3:
        return Apart(layer, one.size, None, relative, cosine, None, None, None)
    squared = ((one.astype(float) - other.astype(float)) ** 2).sum(axis=(1, 2))
    channel, total = int(squared.argmax()), float(squared.sum())
    share = float(squared[channel]) / total if total else 0.0
    means = relative_l2(one.mean(axis=0), other.mean(axis=0))
    return Apart(layer, one.size, len(one), relative, cosine, channel, share, means)


def relative_l2(one: Activation, other: Activation) -> float:
    """‖a − b‖ relative to the mean of ‖a‖ and ‖b‖; 0 where both are silent."""
    a, b = one.astype(float).ravel(), other.astype(float).ravel()
    length = (math.sqrt(a @ a) + math.sqrt(b @ b)) / 2
    return math.sqrt((a - b) @ (a - b)) / length if length else 0.0


def cosine_distance(one: Activation, other: Activation) -> float:
    """1 − cos of the angle between a and b; NaN where one of them is silent."""
    a, b = one.astype(float).ravel(), other.astype(float).ravel()
    lengths = math.sqrt(a @ a) * math.sqrt(b @ b)
    return max(0.0, 1 - float(a @ b) / lengths) if lengths else math.nan


def fragile_activations(
    study: Study,
    folder: StudyFolder,
    device: str = "auto",
    n_pairs: int = 4,
    *,
    told: Callable[[int, int], None] = lambda done, n: None,
) -> tuple[Path, ...]:
    """Draw the activations of some exported pairs, and write how far apart their members are in every layer.

    study   : with `fragile`.
    folder  : the study folder, with pairs exported by `foolscan stimuli fragile-pairs`.
    device  : where the network computes.
    n_pairs : how many, spread over the manifest; all of them where there are no more.
    told    : progress, (pairs done, pairs in all).

    Returns a page for each pair and the table, in ``derivatives/foolscan/fragile/activations/``, sidecars beside them.

    Raises NotReady when there are no pairs yet, FoolscanError when they are of another network or picture than the study's.
    """
    pairs = [*pairs_of(read_crops(folder))]
    chosen = [pairs[place] for place in np.linspace(0, len(pairs) - 1, min(n_pairs, len(pairs))).round().astype(int)]
    found = _found(study, folder, chosen[0][0])
    network = network_again(study, found, device)
    pictures = {picture.picture_id: picture for picture in pictures_of(study)}
    rows: list[dict[str, Any]] = []
    written: list[Path] = []
    with exclusive(folder.derived("fragile"), f"fragile recognition in {folder.root}"):
        for members in chosen:
            fragile = members[0]
            if fragile.picture_id not in pictures:
                raise FoolscanError(
                    f"{crops_table(folder)}: picture_id: found {fragile.picture_id!r}, which study {study.name} does not have; export the "
                    "pairs again: foolscan stimuli fragile-pairs"
                )
            picture = pictures[fragile.picture_id]
            pixels, true = picture.read(), picture.true(network)
            questions = [Question(pixels, crop.row, crop.column, crop.side_px, true) for crop in members]
            responses = [_responses(network, found, question) for question in questions]
            found_apart = [apart(layer, responses[0][layer], responses[1][layer]) for layer in network.layers]
            rows += [{"pair_id": fragile.pair_id, "network": found.name, **vars(one)} for one in found_apart]
            drawn = activations_page(members, [question.crop for question in questions], responses, found_apart)
            written += _save(folder, f"{fragile.pair_id}.png", drawn, fragile)
            told(len(written) // 2, len(chosen))
        table = write_table(folder.derived("fragile") / "activations" / "activations.tsv", COLUMNS, rows)
        facts = {"pairs": [members[0].pair_id for members in chosen], "network": found.name}
        sidecar = write_sidecar(
            folder,
            table,
            inputs=[crops_table(folder)],
            parameters={**facts, "network_sha256": found.network_sha256},
            packages=PACKAGES,
            more={name: {"Description": meaning} for name, meaning in COLUMNS.items()},
        )
    return (*written, table, sidecar)


def _found(study: Study, folder: StudyFolder, crop: Crop) -> Found:
    found = found_in(study, folder).get(crop.network)
    if found is None or found.network_sha256 != crop.network_sha256:
        raise FoolscanError(
            f"{crops_table(folder)}: the pairs are of network {crop.network} ({crop.network_sha256[:12]}), which the study does not have "
            "or has with other weights; export them again: foolscan stimuli fragile-pairs"
        )
    return found


def _responses(network: Network, found: Found, question: Question) -> dict[str, Activation]:
    with torch.inference_mode(), one_thread(network.device):
        responses = network.responses(inputs(network, found, question), network.layers)
    return {layer: response[0].float().cpu().numpy() for layer, response in responses.items()}


def activations_page(
    members: tuple[Crop, Crop],
    crops: Sequence[ByteImage],
    responses: Sequence[dict[str, Activation]],
    found: Sequence[Apart],
) -> ByteImage:
    """The crops, then a row for each layer: the mean over channels of both members and its difference, and the same of the
    channel that is farthest apart.

    crops     : of the members, (side, side, 3).
    responses : of the members, layer -> activations.
    found     : how far apart they are, in the order of rows.
    """
    one, other = responses
    rows = [Row("", tuple(_crop_plate(crop, pixels) for crop, pixels in zip(members, crops, strict=True)))]
    for layer in found:
        maps = [_on_places(activations[layer.layer]) for activations in (one, other)]
        plates = [*_trio([each.mean(axis=0) for each in maps])]
        if layer.channel is not None:
            plates += _trio([each[layer.channel] for each in maps])
        rows.append(Row(_in_words(layer, maps[0].shape), tuple(plates)))
    heads = ["fragile", "altered", "altered - fragile", "fragile, a channel", "altered", "altered - fragile"]
    fragile, altered = members
    notes = [
        f"{fragile.network}; {fragile.type.replace('_', ' ')}; {fragile.side_px} to {altered.side_px} px, from row {fragile.row}, "
        f"column {fragile.column} to row {altered.row}, column {altered.column}",
        "left: mean over channels (layers without places: every unit, row by row); right: the channel that is farthest apart",
        "violet to yellow: both members on one scale; differences: blue less, red more; L2: distance of all of a layer relative "
        "to their mean length",
    ]
    return page(f"{fragile.pair_id}: activations of two crops", notes, rows, heads)


def _crop_plate(crop: Crop, pixels: ByteImage) -> Plate:
    named = crop.label_1.replace("_", " ").split(",")[0]
    lines: tuple[Line, ...] = (
        ("recognised" if crop.correct else "not recognised", INK),
        (f"{named} {100 * crop.confidence_1:.1f} %", INK),
    )
    return Plate(enlarged(pixels, factor(pixels.shape, ROOM_PX)), lines)


def _in_words(layer: Apart, shape: tuple[int, ...]) -> str:
    """``conv1: L2 0.502, 1 - cos 0.1257; 48 channels of 31 x 31, channel 47 has 4 % of the squared distance``."""
    told = f"{layer.layer}: L2 {layer.relative_l2:.3f}, 1 - cos {layer.cosine_distance:.4f}"
    if layer.channel is None:
        return f"{told}; {layer.n_units} units"
    share = 100 * (layer.channel_share or 0)
    channels = f"{layer.n_channels} channels of {shape[2]} x {shape[1]}"
    return f"{told}; {channels}, channel {layer.channel} has {share:.0f} % of the squared distance"


def _trio(maps: Sequence[Activation]) -> Iterator[Plate]:
    """Two maps on one scale, and their difference."""
    low, high = min(0.0, *(float(each.min()) for each in maps)), max(float(each.max()) for each in maps)
    times = factor(maps[0].shape, ROOM_PX)
    for each in maps:
        share = (each - low) / (high - low) if high > low else np.zeros_like(each)
        yield Plate(enlarged(scale_plate(share), times))
    change = maps[1].astype(float) - maps[0].astype(float)
    yield Plate(enlarged(difference_plate(change, float(np.abs(change).max())), times))


def _on_places(activation: Activation) -> Activation:
    """(n_channels, height, width); the units of a layer without places row by row in a square, as one channel."""
    if activation.ndim == 3:
        return activation
    units = activation.ravel()
    across = math.ceil(math.sqrt(units.size))
    down = -(-units.size // across)
    return np.pad(units, (0, down * across - units.size)).reshape(1, down, across)


def _save(folder: StudyFolder, name: str, drawn: ByteImage, crop: Crop) -> list[Path]:
    path = folder.derived("fragile") / "activations" / name
    write_png(path, drawn)
    facts = {"pair": crop.pair_id, "network": crop.network, "network_sha256": crop.network_sha256}
    return [path, write_sidecar(folder, path, inputs=[crops_table(folder)], parameters=facts, packages=PACKAGES)]
