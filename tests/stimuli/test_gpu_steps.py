"""The measurement of steps on a GPU, as far as it runs without one: its counting is right, and it claims nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from stimuli.networks.network import Network
from stimuli.synthesis.engine import Job, Method, Outcome, synthesise

CPU = torch.device("cpu")


@pytest.fixture
def gpu_steps(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(project_root / "tests" / "benchmarks")
    return importlib.import_module("gpu_steps")


def test_arithmetic_and_traffic_are_counted_each_against_its_ceiling(gpu_steps: ModuleType):
    a, b = torch.rand(64, 32), torch.rand(32, 16)
    with gpu_steps.Roofline(flops_per_s=1e3, bytes_per_s=1e12) as by_arithmetic:
        a @ b
    assert by_arithmetic.flops == 2 * 64 * 32 * 16
    assert by_arithmetic.least_s == pytest.approx(2 * 64 * 32 * 16 / 1e3)
    with gpu_steps.Roofline(flops_per_s=1e12, bytes_per_s=1e3) as by_traffic:
        (a @ b).relu().view(-1)  # a view moves nothing
    assert by_traffic.least_s == pytest.approx(4 * (64 * 32 + 32 * 16 + 64 * 16 + 2 * 64 * 16) / 1e3)


def test_the_gradient_for_the_images_costs_as_much_as_reading_them_and_none_is_made_for_weights(gpu_steps: ModuleType):
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    layer = torch.nn.Conv2d(3, 4, 3, bias=False).requires_grad_(False)
    with gpu_steps.Roofline(1.0, 1.0) as counted:
        torch.autograd.grad(layer(images).sum(), images)
    assert counted.flops == 2 * (2 * 2 * 4 * 14 * 14 * 3 * 9)  # two passes of two operations a weight and place


def test_the_reduced_form_has_every_figure_and_refill_gives_the_same_images_twice(
    gpu_steps: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gpu_steps, "NETWORKS", ("alexnet",))
    sizes = gpu_steps.Sizes(images=2, px=64, steps=1, gemm=64, copied_bytes=2**16, jobs_a_slot=2)
    figures = gpu_steps.measure(sizes, CPU)
    for figure in ("image_steps_per_s", "share_of_roofline", "refill_image_steps_per_s"):
        assert figures[f"alexnet_engine_{figure}"] > 0
    for kind in ("fp32", "tf32", "bf16"):
        assert figures[f"alexnet_bare_{kind}_image_steps_per_s"] > 0
        assert figures[f"alexnet_bare_{kind}_share_of_roofline"] > 0
    assert figures["alexnet_bare_refill_largest_difference"] == 0
    assert gpu_steps.met(figures)


def test_the_engine_that_is_timed_is_the_one_that_makes_images(gpu_steps: ModuleType, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def told(method: Method, queue: deque[Job], batch_size: int, device: torch.device) -> Iterator[Outcome]:
        asked.append((type(method.objective.network), len(queue), batch_size))  # type: ignore[attr-defined]
        return synthesise(method, queue, batch_size, device)

    monkeypatch.setattr(gpu_steps, "synthesise", told)
    sizes = gpu_steps.Sizes(images=2, px=64, steps=1, gemm=64, copied_bytes=2**16, jobs_a_slot=2)
    network = gpu_steps.network_of("alexnet", sizes, CPU)
    assert gpu_steps.through_the_engine(network, sizes, [1, 2, 1]) > 0
    assert asked == [(Network, 3, 2)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: it would be measured")
def test_without_a_gpu_it_says_so_in_one_line_and_leaves_no_record(project_root: Path, tmp_path: Path):
    script = project_root / "tests" / "benchmarks" / "gpu_steps.py"
    command = [sys.executable, str(script), "--to", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (2, 1, "")
    assert "no CUDA device" in done.stderr
    assert list(tmp_path.iterdir()) == []
