"""The roofline of a device: ceilings measured by a large matrix product and a large copy, and what work must take under them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

REPEATS = 5


@contextmanager
def precision(name: str, device: torch.device) -> Iterator[None]:
    """Compute in single precision (strictly, or with TF32 where the hardware has it) or in bfloat16 by autocast."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=name == "bf16", cache_enabled=False):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def timed_s(work: Callable[[], object], device: torch.device, times: int) -> float:
    """The median over repeats of the time of one call, s, after a few calls to warm up."""
    found = []
    for repeat in range(REPEATS + 1):
        begin = now_s(device)
        for _ in range(times):
            work()
        if repeat:
            found.append((now_s(device) - begin) / times)
    return median(found)


def now_s(device: torch.device) -> float:
    """The time when all that was launched is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Roofline(TorchDispatchMode):
    """The least time of what is run under it: for each operation its arithmetic or its traffic, whichever takes longer."""

    def __init__(self, flops_per_s: float, bytes_per_s: float) -> None:
        super().__init__()
        self.flops_per_s, self.bytes_per_s = flops_per_s, bytes_per_s
        self.flops = self.least_s = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count it; views cost nothing."""
        out = func(*args, **(kwargs or {}))
        read = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        made = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
        is_view = not func._schema.is_mutable and {_memory_of(t) for t in made} <= {_memory_of(t) for t in read}
        formula = flop_registry.get(func._overloadpacket)
        flops = formula(*args, **(kwargs or {}), out_val=out) if formula else 0
        traffic = 0 if is_view else sum(t.numel() * t.element_size() for t in (*read, *made))
        self.flops += flops
        self.least_s += max(flops / self.flops_per_s, traffic / self.bytes_per_s)
        return out


def _memory_of(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def ceilings(gemm: int, copied_bytes: int, times: int, device: torch.device) -> tuple[float, float]:
    """Operations a second of a matrix product of side `gemm`, bytes a second of a copy; in the precision that holds now."""
    dtype = torch.bfloat16 if torch.is_autocast_enabled(device.type) else torch.float32
    a, b = (torch.rand(gemm, gemm, device=device, dtype=dtype) for _ in range(2))
    source = torch.zeros(copied_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product_s = timed_s(lambda: a @ b, device, times)
    copy_s = timed_s(lambda: target.copy_(source), device, times)
    return 2 * gemm**3 / product_s, 2 * copied_bytes / copy_s
