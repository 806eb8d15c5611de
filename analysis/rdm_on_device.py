"""1 − Spearman RDMs on a device that torch knows, such as a GPU: to the bit those of `analysis.rdm.spearman_rdm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.rdm import BLOCK, Floats, correlation_distances, exact_block, finite_patterns, summed_exactly

if TYPE_CHECKING:
    import torch


def spearman_rdm_on(patterns: Floats, device: str | torch.device, *, block: int = BLOCK) -> NDArray[np.float64]:
    """1 − Spearman correlation of every two patterns, sorted and multiplied on a device.

    patterns : (n_images, n_features) responses, finite; as in `spearman_rdm`.
    device   : as torch names it: ``cpu``, ``cuda`` … It must have float64 (Apple's ``mps`` has not).
    block    : features per matrix product.

    Returns (n_images, n_images), the very bits of `spearman_rdm`: sums of integers below 2**53 have no rounding.
    """
    import torch

    finite_patterns(patterns)
    values = torch.as_tensor(np.ascontiguousarray(patterns), device=device)
    n = values.shape[1]
    ranks = torch.empty(values.shape, dtype=torch.float64, device=device)
    for pattern, row in zip(values, ranks, strict=True):
        in_order, order = torch.sort(pattern + 0.0)  # adding zero makes −0 and +0 the same value
        _, tie, lengths = torch.unique_consecutive(in_order, return_inverse=True, return_counts=True)
        starts = torch.cumsum(lengths, 0) - lengths
        row[order] = (2 * starts + lengths - n).to(torch.float64)[tie]
    step = exact_block(n, block)
    parts = (ranks[:, start : start + step] for start in range(0, n, step))
    return correlation_distances(summed_exactly((part @ part.T).cpu().numpy() for part in parts))
