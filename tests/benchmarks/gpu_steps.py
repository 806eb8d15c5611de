"""Steps on a GPU: the engine's own, in full slots and with refill; and bare steps, in three precisions and from a CUDA graph.

The engine computes exactly, in single precision (see `stimuli.networks.exactness`). A bare step is a step like the engine's
without the engine: it tells what other precisions and a graph of the step would bring, which the engine does not use.

On a machine without CUDA it says so and ends with 2; `--device cpu` runs a reduced form there and writes no record.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from _record import measure_once
from _roofline import Roofline, ceilings, now_s, precision, timed_s
from torch import Tensor, nn
from torchvision import models

from stimuli.networks.network import Network, Preprocessing
from stimuli.synthesis.constraints import LInfBall
from stimuli.synthesis.engine import Job, Method, synthesise
from stimuli.synthesis.objectives import LogOdds
from stimuli.synthesis.optimisers import NormalisedGradient
from stimuli.synthesis.stopping import StopRule

NETWORKS = ("alexnet", "resnet50")
PRECISIONS = ("fp32", "tf32", "bf16")


@dataclass(frozen=True)
class Sizes:
    """How large the work is: on a GPU large enough to fill it."""

    images: int
    px: int
    steps: int
    gemm: int
    copied_bytes: int
    jobs_a_slot: int


ON_GPU = Sizes(images=64, px=224, steps=30, gemm=8192, copied_bytes=2**30, jobs_a_slot=6)
REDUCED = Sizes(images=2, px=64, steps=2, gemm=256, copied_bytes=2**24, jobs_a_slot=2)


def network_of(name: str, sizes: Sizes, device: torch.device) -> Network:
    """A network of torchvision as foolscan reads it, with random weights; images have its input size."""
    torch.manual_seed(1)
    scale = Preprocessing(sizes.px, sizes.px, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    labels = tuple(map(str, range(1000)))
    return Network(name, models.get_model(name, weights=None), labels, {}, scale, "0" * 64, device=device)


def through_the_engine(network: Network, sizes: Sizes, lengths: Sequence[int]) -> float:
    """Time of `synthesise` for one image of each number of steps, s."""
    draw = np.random.default_rng(2)
    size = (3, sizes.px, sizes.px)
    jobs = deque(
        Job(str(place), source, source, 8.0, np.int64(place % 1000), StopRule(None, n, patience=n + 1))
        for place, n in enumerate(lengths)
        for source in [draw.integers(0, 256, size).astype(np.float32)]
    )
    method = Method(LogOdds(network), LInfBall(), NormalisedGradient(1.5))
    begin = now_s(network.device)
    finished = sum(1 for _ in synthesise(method, jobs, sizes.images, network.device))
    took = now_s(network.device) - begin
    assert finished == len(lengths)
    return took


def engine(name: str, sizes: Sizes, device: torch.device) -> Iterator[tuple[str, float]]:
    """Image steps a second of the engine on one network, all slots full and with refill, and its share of the roofline."""
    network = network_of(name, sizes, device)
    full = [sizes.steps] * sizes.images
    unequal = [5 + 7 * place % 11 for place in range(sizes.images * sizes.jobs_a_slot)]
    through_the_engine(network, sizes, full)  # to warm up
    full_s = through_the_engine(network, sizes, full)
    with precision("fp32", device):
        limits = ceilings(sizes.gemm, sizes.copied_bytes, sizes.steps, device)
    with Roofline(*limits) as roofline:
        through_the_engine(network, sizes, full)
    yield f"{name}_engine_image_steps_per_s", sum(full) / full_s
    yield f"{name}_engine_share_of_roofline", roofline.least_s / full_s
    yield f"{name}_engine_refill_image_steps_per_s", sum(unequal) / through_the_engine(network, sizes, unequal)


class BareStep:
    """One step of a batch, without the engine: the log posterior of a class each, its gradient for the images, a move of fixed length."""

    def __init__(self, network: str, sizes: Sizes, device: torch.device) -> None:
        torch.manual_seed(1)
        self.model: nn.Module = models.get_model(network, weights=None).to(device).eval().requires_grad_(False)
        self.images = torch.rand(sizes.images, 3, sizes.px, sizes.px, device=device) * 255
        self.goals = torch.arange(sizes.images, device=device)
        self.values = torch.zeros(sizes.images, device=device)

    def gradient(self) -> tuple[Tensor, Tensor]:
        """The values and their gradient for the images."""
        leaves = self.images.round().requires_grad_(True)
        logits = self.model(leaves / 127.5 - 1)
        values = logits.float().log_softmax(dim=1).gather(1, self.goals[:, None])[:, 0]
        (gradient,) = torch.autograd.grad(values.sum(), leaves)
        return values.detach(), gradient

    def __call__(self) -> None:
        """Move the images in place, so that a graph of it can be played again."""
        values, gradient = self.gradient()
        rms = gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(1e-30)
        self.images.copy_((self.images + gradient / rms).clamp(0, 255))
        self.values.copy_(values)


def steps(network: str, kind: str, sizes: Sizes, device: torch.device) -> Iterator[tuple[str, float]]:
    """Image steps a second of bare steps of one network in one precision, and the share of the roofline and of the peak."""
    with precision(kind, device):
        flops_per_s, bytes_per_s = ceilings(sizes.gemm, sizes.copied_bytes, sizes.steps, device)
        step = BareStep(network, sizes, device)
        step_s = timed_s(step.gradient, device, sizes.steps)
        with Roofline(flops_per_s, bytes_per_s) as roofline:
            step.gradient()
    yield f"{network}_bare_{kind}_image_steps_per_s", sizes.images / step_s
    yield f"{network}_bare_{kind}_share_of_roofline", roofline.least_s / step_s
    yield f"{network}_bare_{kind}_share_of_gemm_peak", roofline.flops / flops_per_s / step_s


def refilled(step: BareStep, play: Callable[[], object], sizes: Sizes) -> tuple[float, Tensor]:
    """Time of a queue of images through slots of bare steps, s, each with steps of its own; and what the images came to."""
    n_slots, device = sizes.images, step.images.device
    draw = torch.Generator().manual_seed(2)
    queue = [torch.rand(3, sizes.px, sizes.px, generator=draw) * 255 for _ in range(n_slots * sizes.jobs_a_slot)]
    left, place, finished = [0] * n_slots, [-1] * n_slots, [torch.empty(0)] * len(queue)
    begin, taken = now_s(device), 0
    while taken < len(queue) or any(left):
        for slot in range(n_slots):
            if not left[slot] and taken < len(queue):
                step.images[slot].copy_(queue[taken])
                left[slot], place[slot], taken = 5 + 7 * taken % 11, taken, taken + 1
        play()
        step.values.tolist()  # a stop rule reads them
        for slot in range(n_slots):
            left[slot] = max(0, left[slot] - 1)
            if not left[slot] and place[slot] >= 0:
                finished[place[slot]], place[slot] = step.images[slot].cpu(), -1
    return now_s(device) - begin, torch.stack(finished)


def graph_of(step: BareStep) -> Callable[[], object]:
    """A CUDA graph of a step; on other devices the step itself."""
    if step.images.device.type != "cuda":
        return step
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # what is chosen and allocated once must not be in the graph
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def measure(sizes: Sizes, device: torch.device) -> dict[str, float]:
    """The engine on every network; bare steps in every precision; their refill from a graph and launched step by step."""
    figures: dict[str, float] = {}
    for network in NETWORKS:
        figures |= dict(engine(network, sizes, device))
    for network in NETWORKS:
        for kind in PRECISIONS:
            figures |= dict(steps(network, kind, sizes, device))
    for network in NETWORKS:
        step = BareStep(network, sizes, device)
        refilled(step, step, sizes)  # to warm up
        eager_s, eager = refilled(step, step, sizes)
        graph_s, graph = refilled(step, graph_of(step), sizes)
        figures[f"{network}_bare_refill_graph_times_faster_than_eager"] = eager_s / graph_s
        figures[f"{network}_bare_refill_largest_difference"] = float((eager - graph).abs().max())
    return figures


def met(figures: Mapping[str, float]) -> bool:
    """Nothing is asked of the figures but that each is one."""
    return all(figure == figure and figure >= 0 for figure in figures.values())


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
            "gpu_steps: no CUDA device on this machine; nothing is measured (--device cpu runs a reduced form)",
            file=sys.stderr,
        )
        return 2
    device = torch.device(name)
    facts = {"gpu": torch.cuda.get_device_name(device), "torch": torch.__version__, "images_a_step": ON_GPU.images}
    what = f"steps of {ON_GPU.images} images of {ON_GPU.px} pixels on {facts['gpu']}, and slot refill"
    return measure_once(__file__, what, {}, lambda: measure(ON_GPU, device), met, facts)


if __name__ == "__main__":
    raise SystemExit(main())
