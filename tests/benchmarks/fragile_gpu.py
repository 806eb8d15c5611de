"""Fragile recognition on a GPU: windows a second, share of the roofline, half precision that is checked, minutes a photograph.

On a machine without CUDA it says so and ends with 2; `--device cpu` runs a reduced form there and writes no record. Weights are
random: classes are then near one another, and more windows are read again than under trained weights.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from _fragile_work import Engine, picture
from _record import measure_once
from _roofline import Roofline, ceilings, now_s, precision

from stimuli.fragile.crops import cutter
from stimuli.fragile.windows import Grid, side_of
from stimuli.networks.loading import load_network

NETWORKS = ("resnet50", "vgg16")
PRECISIONS = {"fp32": "fp32", "bf16_checked": "bf16"}
PROPORTIONS = (0.2, 0.4, 0.6, 0.8)
HEIGHT, WIDTH = 375, 500
TOP_K = 5


@dataclass(frozen=True)
class Sizes:
    """How large the work is."""

    across: int
    batch: int
    gemm: int
    copied_bytes: int
    proportions: tuple[float, ...]


ON_GPU = Sizes(across=48, batch=256, gemm=8192, copied_bytes=2**30, proportions=PROPORTIONS)
REDUCED = Sizes(across=2, batch=4, gemm=256, copied_bytes=2**22, proportions=(0.6,))


def mapped(network_name: str, sizes: Sizes, device: torch.device) -> Iterator[tuple[str, float]]:
    """Everything of one network."""
    network = load_network(network_name, "random", device)
    torch.backends.cudnn.benchmark = False
    found: dict[str, np.ndarray] = {}
    for kind, of_roofline in PRECISIONS.items():
        engine = Engine(network, {"precision": kind, "batch_size": sizes.batch, "top_k": TOP_K})
        minutes = with_shrunk = 0.0
        rates, again, read = [], 0, 0
        for proportion in sizes.proportions:
            side = side_of(proportion, HEIGHT, WIDTH)
            pixels = picture(side + sizes.across - 1, side + sizes.across - 1)
            n_windows = sizes.across**2 + (sizes.across + 2) ** 2
            engine.map(pixels, (side,))  # to warm up
            begin = now_s(device)
            again += engine.map(pixels, (side,))
            rate = n_windows / (now_s(device) - begin)
            read += n_windows
            rates.append(rate)
            whole, smaller = Grid(HEIGHT, WIDTH, side), Grid(HEIGHT, WIDTH, side - 2)
            minutes += np.prod(whole.shape) / rate / 60
            with_shrunk += (np.prod(whole.shape) + np.prod(smaller.shape)) / rate / 60
        side = side_of(0.4, HEIGHT, WIDTH)
        pixels = picture(side + sizes.across - 1, side + sizes.across - 1)
        found[kind] = engine.looked(pixels, side).correct
        name = f"{network_name}_{kind}"
        yield f"{name}_windows_per_s", float(np.mean(rates))
        yield f"{name}_minutes_a_photograph", float(minutes)
        yield f"{name}_minutes_a_photograph_with_shrunk_maps", float(with_shrunk)
        yield (
            f"{name}_share_of_roofline",
            least_s(engine, of_roofline, sizes, device) * float(np.mean(rates)) / sizes.batch,
        )
        if kind != "fp32":
            yield f"{name}_read_again_pct", 100 * again / read
            yield f"{name}_disagreements_of_{found[kind].size}", float((found[kind] != found["fp32"]).sum())


def least_s(engine: Engine, kind: str, sizes: Sizes, device: torch.device) -> float:
    """The least time that a batch's forward pass takes under the ceilings of the device."""
    side = side_of(0.4, HEIGHT, WIDTH)
    pixels = picture(side + sizes.across - 1, side + sizes.across - 1)
    ready = cutter(pixels, side, engine.network.input_px, device)(np.zeros((sizes.batch, 2), np.int64))
    with precision(kind, device):
        flops_per_s, bytes_per_s = ceilings(sizes.gemm, sizes.copied_bytes, 10, device)
        with torch.no_grad(), Roofline(flops_per_s, bytes_per_s) as roofline:
            engine.network.logits(ready)
    return roofline.least_s


def crops_per_s(sizes: Sizes, device: torch.device) -> float:
    """Windows cut and resized alone, at the side of 40 %."""
    side = side_of(0.4, HEIGHT, WIDTH)
    cut = cutter(picture(HEIGHT, WIDTH), side, 224, device)
    places = Grid(HEIGHT, WIDTH, side).rows(0, 2)[: sizes.batch]
    cut(places)
    begin = now_s(device)
    for _ in range(10):
        cut(places)
    return 10 * len(places) / (now_s(device) - begin)


def measure(sizes: Sizes, device: torch.device) -> dict[str, float]:
    """Every network in both precisions."""
    begin = time.perf_counter()
    figures = {"crops_per_s": crops_per_s(sizes, device)}
    for name in NETWORKS:
        figures |= dict(mapped(name, sizes, device))
        print(f"{name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return figures


def met(figures: Mapping[str, float]) -> bool:
    """Half precision that is checked changes no window's correctness."""
    return all(figure == 0 for name, figure in figures.items() if "_disagreements_" in name)


def main() -> int:
    """Measure on the GPU; 2 where there is none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a reduced form without a record")
    name = parser.parse_known_args()[0].device
    if name == "cpu":
        print(json.dumps(measure(REDUCED, torch.device("cpu")), indent=2))
        return 0
    if not torch.cuda.is_available():
        print(
            "fragile_gpu: no CUDA device on this machine; nothing is measured (--device cpu runs a reduced form)",
            file=sys.stderr,
        )
        return 2
    device = torch.device(name)
    facts = {"gpu": torch.cuda.get_device_name(device), "torch": torch.__version__, "batch": ON_GPU.batch}
    what = f"fragile recognition of a photograph of {WIDTH} x {HEIGHT} pixels on {facts['gpu']}, random weights, 224-pixel input"
    targets = {f"{name}_bf16_checked_disagreements_of_{ON_GPU.across**2}": "0" for name in NETWORKS}
    return measure_once(__file__, what, targets, lambda: measure(ON_GPU, device), met, facts)


if __name__ == "__main__":
    raise SystemExit(main())
