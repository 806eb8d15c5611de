"""Fragile recognition on a processor: the whole engine against forward passes alone, and crops against Pillow's.

The engine cuts, resizes, classifies and stores every window of a side and of the one two pixels smaller. It is compared with
forward passes of the same network on tensors that are there already: the same number of windows in the same batches. All on one
thread, in turn, medians over repeats; processor time and wall time. `--small` runs a reduced form and writes no record.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median

import numpy as np
import torch
from _fragile_work import Engine, picture
from _record import measure_once
from PIL import Image
from torch import Tensor

from stimuli.fragile.crops import cutter
from stimuli.fragile.windows import Grid
from stimuli.fragile.work import by_column
from stimuli.networks.loading import load_network
from stimuli.networks.network import Network

NETWORKS = {"picturenet": (None, 192), "alexnet": ("random", 375)}
"""Weights, and the shorter side of the pictures that its windows are of."""
PROPORTIONS = (0.2, 0.4, 0.6, 0.8)
LOOP_BATCH = 64
TARGETS = {
    **{f"{name}_engine_windows_per_s_over_forward_passes_alone": ">= 0.85" for name in NETWORKS},
    **{f"{name}_crops_times_faster_than_pillow": ">= 2" for name in NETWORKS},
}

Times = dict[str, tuple[float, float]]
"""Of each way, processor time and wall time, s."""


def timed(ways: Mapping[str, Callable[[], object]], repeats: int) -> Times:
    """The medians of the times of each way, all in turn."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, way in ways.items():
            begin = time.process_time(), time.perf_counter()
            way()
            if repeat:  # the first is to warm up
                found[name].append((time.process_time() - begin[0], time.perf_counter() - begin[1]))
    return {name: (median(cpu for cpu, _ in all_), median(wall for _, wall in all_)) for name, all_ in found.items()}


def forward_passes(network: Network, ready: Tensor, n_windows: int) -> None:
    """Passes on a batch that is there."""
    with torch.inference_mode():
        for _ in range(0, n_windows, len(ready)):
            network.logits(ready)


def engine(name: str, n_across: int, repeats: int) -> dict[str, float]:
    """Windows a second of the engine and of forward passes alone, over the sides of all proportions."""
    weights, shorter = NETWORKS[name]
    network = load_network(name, weights, "cpu")
    mapper = Engine(network, {})
    shares, walls, rates = [], [], []
    for proportion in PROPORTIONS:
        side = 2 * int(proportion * shorter / 2) + 1
        pixels = picture(side + n_across - 1, side + n_across - 1)
        grid = Grid(*pixels.shape[:2], side)
        ready = cutter(pixels, side, network.input_px, network.device)(grid.spread(mapper.batch_size))
        n_windows = n_across**2 + (n_across + 2) ** 2
        ways = {
            "engine": lambda p=pixels, s=side: mapper.map(p, (s,)),
            "forward": lambda r=ready, n=n_windows: forward_passes(network, r, n),
        }
        found = timed(ways, repeats)
        shares.append(found["forward"][0] / found["engine"][0])
        walls.append(found["forward"][1] / found["engine"][1])
        rates.append(n_windows / found["engine"][1])
    return {
        f"{name}_engine_windows_per_s_over_forward_passes_alone": mean_ratio(walls),
        f"{name}_the_same_at_its_worst_side": min(walls),
        f"{name}_the_same_by_processor_time": mean_ratio(shares),
        f"{name}_engine_windows_per_s": float(np.mean(rates)),
    }


def mean_ratio(ratios: list[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.mean(np.log(ratios))))


def crops(name: str, n_windows: int, repeats: int) -> dict[str, float]:
    """How many times faster windows are cut and resized than by Pillow, both into the network's batch, over all proportions."""
    weights, shorter = NETWORKS[name]
    network = load_network(name, weights, "cpu")
    size_px, batch = network.input_px, Engine(network, {}).batch_size
    against: dict[str, list[float]] = {"pillow": [], "images": []}
    for proportion in PROPORTIONS:
        side = 2 * int(proportion * shorter / 2) + 1
        pixels = picture(side + 63, side + 63)
        places = by_column(Grid(*pixels.shape[:2], side).rows(0, 64))[:n_windows]
        parts = [places[first : first + batch] for first in range(0, n_windows, batch)]
        shown, cut = Image.fromarray(pixels), cutter(pixels, side, size_px, network.device)

        def ours(cut=cut, parts=parts) -> None:  # type: ignore[no-untyped-def]
            for part in parts:
                cut(part)

        def pillow(shown=shown, parts=parts, side=side) -> None:  # type: ignore[no-untyped-def]
            for part in parts:
                by_pillow(shown, part, side, size_px)

        def images(shown=shown, places=places, side=side) -> None:  # type: ignore[no-untyped-def]
            for row, column in places.tolist():
                window(shown, row, column, side, size_px)

        found = timed({"ours": ours, "pillow": pillow, "images": images}, repeats)
        for way, ratios in against.items():
            ratios.append(found[way][0] / found["ours"][0])
    return {
        f"{name}_crops_times_faster_than_pillow": mean_ratio(against["pillow"]),
        f"{name}_crops_times_faster_than_pillow_at_its_best_side": max(against["pillow"]),
        f"{name}_crops_times_faster_than_pillow_at_its_worst_side": min(against["pillow"]),
        f"{name}_crops_times_faster_than_pillows_images_before_they_are_a_batch": mean_ratio(against["images"]),
    }


def window(shown: Image.Image, row: int, column: int, side: int, size_px: int) -> Image.Image:
    """One window by Pillow."""
    cut = shown.crop((column, row, column + side, row + side))
    return cut.resize((size_px, size_px), Image.Resampling.BILINEAR)


def by_pillow(shown: Image.Image, places: np.ndarray, side: int, size_px: int) -> Tensor:
    """Windows by Pillow as a network's batch."""
    cut = [np.asarray(window(shown, row, column, side, size_px)) for row, column in places.tolist()]
    return torch.from_numpy(np.stack(cut)).permute(0, 3, 1, 2).to(torch.float32)


def loops(name: str, n_across: int, repeats: int) -> dict[str, float]:
    """How many times faster the engine is than loops that cut with Pillow; for the record."""
    weights, shorter = NETWORKS[name]
    network = load_network(name, weights, "cpu")
    side = 2 * int(0.4 * shorter / 2) + 1
    pixels = picture(side + n_across - 1, side + n_across - 1)
    shown, mapper = Image.fromarray(pixels), Engine(network, {})

    def looped(batch: int) -> None:
        for smaller in (0, 2):
            grid = Grid(*pixels.shape[:2], side - smaller)
            places = grid.rows(0, grid.shape[0])
            with torch.inference_mode():
                for first in range(0, len(places), batch):
                    ready = by_pillow(shown, places[first : first + batch], grid.side, network.input_px)
                    network.logits(ready).softmax(dim=1).numpy()

    ways = {"engine": lambda: mapper.map(pixels, (side,)), "1": lambda: looped(1), "64": lambda: looped(LOOP_BATCH)}
    found = timed(ways, repeats)
    return {
        f"{name}_engine_times_faster_than_a_loop_of_single_windows": found["1"][0] / found["engine"][0],
        f"{name}_engine_times_faster_than_a_loop_of_batches_of_{LOOP_BATCH}": found[str(LOOP_BATCH)][0] / found["engine"][0],
    }  # fmt: skip


def measure(across: Mapping[str, int], n_crops: int, repeats: int) -> dict[str, float]:
    """Everything, for both networks, on one thread."""
    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    for name in NETWORKS:
        figures |= engine(name, across[name], repeats) | crops(name, n_crops, repeats)
        figures |= loops(name, across[name] // 2, max(1, repeats // 2))
    return figures


def met(figures: Mapping[str, float]) -> bool:
    """Whether the engine keeps up with its network, and crops are twice as fast as Pillow's."""
    return all(figures[name] >= float(target.removeprefix(">= ")) for name, target in TARGETS.items())


if __name__ == "__main__":
    if "--small" in sys.argv:
        print(json.dumps(measure({"picturenet": 14, "alexnet": 6}, 64, 1), indent=2))
        raise SystemExit(0)
    what = (
        "all windows of sides of 20, 40, 60 and 80 % of a picture and of those two pixels smaller, cut, resized, classified and "
        "stored (picturenet, 128 px, and alexnet with random weights, 224 px); by wall time, crops by processor time"
    )
    facts = {"threads": 1, "batch": 32, "torch": torch.__version__, "pillow": Image.__version__}
    sizes = {"picturenet": 32, "alexnet": 14}
    raise SystemExit(measure_once(__file__, what, TARGETS, lambda: measure(sizes, 512, 3), met, facts))
