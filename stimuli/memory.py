"""How much memory is free on a device, how much some work takes there, and whether an error says that it ran out."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from protocols.host_memory import host_free_bytes

# A processor's convolutions take scratch space that no tensor shows: with it, AlexNet takes 1.5 times its tensors.
SCRATCH = 2.0

RAN_OUT = ("out of memory", "not enough memory", "allocate memory", "could not create a memory object", "bad_alloc")
"""What CUDA, MPS, torch on Windows, torch on Linux, oneDNN and C++ say."""


def free_bytes(device: torch.device) -> int:
    """Memory that work on a device may take now.

    device : CUDA: what the driver has left, and what torch holds and does not use; others: the machine's memory, within
             the limits of this process and of its control groups (containers, batch systems).
    """
    if device.type == "cuda":
        free, _total = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return host_free_bytes()


def peak_bytes(work: Callable[[], object], device: torch.device) -> int:
    """The most memory that a piece of work holds at once, beside what was there before it.

    On CUDA as its allocator counts; elsewhere the tensors, times `SCRATCH`.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device) - before)
    with _Tally() as tally:
        work()
    return int(SCRATCH * tally.peak)


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there was no memory left; torch has a class for CUDA only."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in RAN_OUT)


class _Tally(TorchDispatchMode):
    """Counts the bytes of tensors that come into being and vanish while it is on."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._held: dict[int, int] = {}
        self._there_before: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled under it, and skipping would import the compiler: a second and a half

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count what it made."""
        for tensor in _tensors((args, kwargs)):
            place = tensor.untyped_storage()._cdata
            if place not in self._held:
                self._there_before.add(place)
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors(out):
            self._count(tensor)
        return out

    def _count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        place = storage._cdata
        if place in self._held or place in self._there_before:
            return
        self._held[place] = storage.nbytes()
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._vanished, place)

    def _vanished(self, place: int) -> None:
        self.live -= self._held.pop(place, 0)


def _tensors(tree: Any) -> Iterator[torch.Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided)
