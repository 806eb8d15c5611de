"""Tiles read by a cluster: Dask's workers on this machine, at an address, or in jobs of SLURM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stimuli.fragile.mapping import Executor, Here


@contextmanager
def executor_of(cluster: str | None, device: str, say: Callable[[str], object]) -> Iterator[Executor]:
    """Who reads tiles, until the block ends.

    cluster : None: this process; 'local', 'local:N', 'tcp://host:port', 'slurm'.
    """
    yield Here()
