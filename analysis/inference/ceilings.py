"""Noise ceilings: how similar the RDM of a perfect model could be, given how much the data differ among themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.similarity import CORRELATIONS, RANKED, correlation, prepared

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]


def between_subjects(rdms: Floats, measure: str) -> tuple[float, float]:
    """The noise ceiling over subjects (Nili et al. 2014): what a model of their common RDM could reach on average.

    The upper bound compares every subject's RDM with the mean of all, which it is part of; the lower bound with the mean of
    the others. For Kendall's τa the mean of ranks stands in for the best RDM, which is not known in closed form.

    rdms    : (n_subjects, n_pairs), n_subjects >= 2.
    measure : a name in `analysis.similarity.SIMILARITIES`.

    Returns the lower and the upper bound; NaN with one subject.
    """
    n = len(rdms)
    if n < 2:
        return math.nan, math.nan
    alike = _alike(rdms, measure)
    total = alike.sum(axis=0)
    upper = correlation(rdms, total / n, measure)
    lower = correlation(rdms, (total - alike) / (n - 1), measure)
    return float(lower.mean()), float(upper.mean())


def split_half(first: Floats, second: Floats, measure: str) -> tuple[float, float]:
    """The noise ceiling within a subject: what a model could reach on the RDM of all runs, from the RDMs of their halves.

    The lower bound is one half's RDM as a model of the other, the split-half reliability r. The upper bound is the
    correlation of the noiseless RDM with the mean of both halves', √(2r / (1 + r)) (Spearman 1910; Brown 1910): a square
    root, because the model has no noise.

    first, second : (n_pairs,) RDMs of two independent halves of the runs.
    measure       : as in `between_subjects`.

    Returns the lower and the upper bound; the upper is NaN where r is not positive, and for measures that are not a
    correlation, which the formula is about.
    """
    r = float(correlation(first, second, measure))
    if measure not in CORRELATIONS or not r > 0:
        return r, math.nan
    return r, math.sqrt(2 * r / (1 + r))


def _alike(rdms: Floats, measure: str) -> Doubles:
    """RDMs on one scale, so that their mean is the RDM most similar to them all by this measure."""
    if measure in RANKED:
        return np.asarray(prepared(rdms, "spearman"), dtype=np.float64)
    values = np.asarray(rdms, dtype=np.float64)
    if measure in ("pearson", "whitened_pearson"):
        values = values - values.mean(axis=1, keepdims=True)
    power = np.sqrt(np.square(values).mean(axis=1, keepdims=True))
    return np.asarray(values / np.where(power > 0, power, np.nan))
