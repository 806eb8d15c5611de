"""Networks compute alike each time, and in full single precision: torch gives up neither for speed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import reduce
from typing import Any, cast

import torch

CUBLAS = ":4096:8"
"""Room in which cuBLAS adds up in one order; it is read when cuBLAS starts."""

# What is asked of torch. The older name of a setting sets its newer ones (from torch 2.9 on) too, so it comes before them.
WANTED: tuple[tuple[str, object], ...] = (
    ("utils.deterministic.fill_uninitialized_memory", False),  # nobody reads memory here before it is written
    ("backends.cudnn.deterministic", True),
    ("backends.cudnn.benchmark", False),
    ("backends.cudnn.allow_tf32", False),
    ("float32_matmul_precision", "highest"),
    ("backends.cuda.matmul.fp32_precision", "ieee"),
    ("backends.cudnn.conv.fp32_precision", "ieee"),
    ("backends.cudnn.rnn.fp32_precision", "ieee"),
    ("backends.mkldnn.matmul.fp32_precision", "ieee"),
    ("backends.mkldnn.conv.fp32_precision", "ieee"),
)


@contextmanager
def exact() -> Iterator[None]:
    """Within it torch takes deterministic algorithms, and shortens no number (no TF32, no bfloat16 for single precision).

    By itself torch allows a GPU's convolutions TF32, which keeps 10 bits of a fraction's 23, and algorithms that add up in
    another order each time. An operation that has no deterministic algorithm on a device still runs: torch warns of it.
    What was set before is set again at the end.
    """
    if _WITHIN.get():
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", CUBLAS)
    enabled, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    before = [(path, told(path)) for path, _ in WANTED]
    within = _WITHIN.set(True)
    try:
        torch.use_deterministic_algorithms(True, warn_only=warns or not enabled)
        for (path, value), (_, found) in zip(WANTED, before, strict=True):
            if found is not ABSENT:
                _set(path, value)
        yield
    finally:
        _WITHIN.reset(within)
        for path, found in before:
            if found not in (ABSENT, UNTOLD):
                _set(path, found)
        torch.use_deterministic_algorithms(enabled, warn_only=warns)


ABSENT, UNTOLD = "absent", "untold"
_WITHIN = ContextVar("within exact()", default=False)


def told(path: str) -> object:
    """A setting of torch; `ABSENT` in a version that has it not, `UNTOLD` where its older and newer names disagree."""
    holder, name = _place(path)
    try:
        return holder.get_float32_matmul_precision() if holder is torch else getattr(holder, name)
    except AttributeError:
        return ABSENT
    except RuntimeError:
        return UNTOLD


def _set(path: str, value: Any) -> None:
    holder, name = _place(path)
    if holder is torch:
        torch.set_float32_matmul_precision(value)
    else:
        setattr(holder, name, value)


def _place(path: str) -> tuple[Any, str]:
    """What holds a setting, and the setting's name there."""
    *holders, name = path.split(".")
    return reduce(lambda holder, part: getattr(holder, part, None), holders, cast(Any, torch)), name
