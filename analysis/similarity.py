"""The similarity of two RDMs, how reliable an RDM is, and similarity corrected for reliability."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.inference.ordering import concordance, weighted_ranks
from analysis.rdm import Rdm, doubled_centred_ranks
from protocols.problems import FoolscanError

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

NAMES = {
    "pearson": "Pearson's correlation",
    "spearman": "Spearman's correlation",
    "kendall_tau_a": "Kendall's τa",
    "rho_a": "Spearman's correlation expected under random breaking of ties (ρa)",
    "cosine": "cosine similarity",
    "whitened_pearson": "whitened Pearson's correlation",
    "whitened_cosine": "whitened cosine similarity",
}
RANKED = ("spearman", "rho_a", "kendall_tau_a")
CORRELATIONS = ("pearson", "spearman", "whitened_pearson")
"""Measures that are 1 for any RDM that rises with the other in a straight line (of values or ranks)."""


def similarity(first: Rdm, second: Rdm, measure: str) -> float:
    """The similarity of two RDMs over their pairs of images (Zhang et al. 2018, Representational similarity analysis).

    first, second : RDMs whose rows stand for the same categories in the same order.
    measure       : a name in `SIMILARITIES`.

    Returns a value in [-1, 1]; NaN when it is not defined, as for a constant RDM's correlation.
    Raises FoolscanError when the RDMs differ in size or in how dissimilarity was measured.
    """
    if first.values.shape != second.values.shape or first.measure != second.measure:
        raise FoolscanError(
            f"similarity of {dict(first.descriptors)} and {dict(second.descriptors)}: found {len(first.stim_ids)} and "
            f"{len(second.stim_ids)} images, {first.measure} and {second.measure}; both must be the same"
        )
    return float(correlation(first.values, second.values, measure))


def correlation(first: Floats, second: Floats, measure: str, weights: Floats | None = None) -> Doubles:
    """How alike RDMs are, along the last axis, over any leading axes (resamples).

    pearson, spearman : ties share their mean rank.
    kendall_tau_a     : concordant minus discordant pairs of dissimilarities, over all pairs (Kendall 1938).
    rho_a             : Spearman's expected under random breaking of ties (Schütt et al. 2023, Appendix 1).
    cosine            : of the dissimilarities as they are.
    whitened_pearson, whitened_cosine : of RDMs whitened by how the errors of dissimilarities go together when those of
                        the patterns do not (Diedrichsen et al. 2020; the cosine is that of the double-centred second
                        moments, linear CKA).

    first, second : (..., n_pairs) dissimilarities, broadcast against one another.
    measure       : a name in `SIMILARITIES`.
    weights       : (..., n_pairs) how often each dissimilarity counts, such as the products of how often its two images
                    were drawn; None: once each.

    Returns (...); NaN where it is not defined: an RDM that is not finite, or constant for a correlation; and for whitened
    measures with weights, since images drawn twice have no errors of their own.
    """
    if measure not in NAMES:
        raise ValueError(f"found similarity {measure!r}; allowed: {', '.join(NAMES)}")
    if weights is not None:
        return _weighted(first, second, measure, np.asarray(weights, dtype=np.float64))
    return of_prepared(prepared(first, measure), prepared(second, measure), measure)


SIMILARITIES: dict[str, Callable[..., Doubles]] = {name: partial(correlation, measure=name) for name in NAMES}
"""From two arrays of RDMs (..., n_pairs) to their similarity (...)."""


def prepared(values: Floats, measure: str) -> Floats:
    """RDMs as `of_prepared` takes them: ranks where only ranks count. What it gives is permuted as the RDM is.

    values : (..., n_pairs).
    """
    return _ranks(values) if measure in RANKED else np.asarray(values, dtype=np.float64)


def of_prepared(first: Floats, second: Floats, measure: str) -> Doubles:
    """The similarity of RDMs that `prepared` gave: (..., n_pairs) each, to (...)."""
    if measure == "kendall_tau_a":
        excess, pairs = concordance(first, second)
        return excess / pairs
    a, b = units(first, measure), units(second, measure)
    return np.asarray(np.clip(np.einsum("...i,...i->...", a, b), -1.0, 1.0))


def units(ready: Floats, measure: str) -> Doubles:
    """Vectors whose inner products are the similarities; Kendall's τa has none.

    ready : (..., n_pairs), from `prepared`.

    Returns (..., n_values), all NaN where the similarity with any RDM is not defined.
    """
    if measure == "rho_a":
        n = ready.shape[-1]
        return np.asarray(ready * math.sqrt(3.0 / (n**3 - n)))
    values = np.asarray(ready, dtype=np.float64)
    if measure != "cosine" and measure != "whitened_cosine":
        values = values - values.mean(axis=-1, keepdims=True)
    values = _whitened(values) if measure.startswith("whitened") else values
    power = np.square(values).sum(axis=-1, keepdims=True)
    # rounding in the mean leaves a constant RDM with a tiny power: relative to its values it is none
    scale = np.square(ready).sum(axis=-1, keepdims=True)
    return np.asarray(values / np.sqrt(np.where(power > 1e-24 * scale, power, np.nan)))


def n_images_of(n_pairs: int) -> int:
    """How many images an RDM of so many pairs has. Raises ValueError for a number that no RDM has."""
    n = (1 + math.isqrt(1 + 8 * n_pairs)) // 2
    if n * (n - 1) // 2 != n_pairs:
        raise ValueError(f"found {n_pairs} dissimilarities; expected n·(n − 1)/2 of them")
    return n


def partial_correlation(first: Floats, second: Floats, taken_out: Floats, measure: str) -> Doubles:
    """Correlation along the last axis of what is left of both when other RDMs have been regressed out of them.

    first, second : (..., n_pairs) dissimilarities.
    taken_out     : (n_models, n_pairs) dissimilarities, e.g. of the order of trials.
    measure       : ``"pearson"``, or ``"spearman"``: all are ranked first.

    Returns (...); NaN where nothing is left of either, and for any other measure.
    """
    if measure not in ("pearson", "spearman"):
        return np.full(np.broadcast_shapes(first.shape, second.shape)[:-1], np.nan)
    if measure == "spearman":
        first, second, taken_out = _ranks(first), _ranks(second), _ranks(taken_out)
    models = np.column_stack([np.ones(taken_out.shape[1]), *taken_out])
    basis, sizes, _ = np.linalg.svd(models, full_matrices=False)
    basis = basis[:, sizes > 1e-10 * sizes[0]]

    def rest_of(values: Floats) -> Doubles:
        rest = values - (values @ basis) @ basis.T
        # rounding leaves something of an RDM that is all model: relative to its values it is nothing
        nothing = np.square(rest).sum(-1, keepdims=True) < 1e-20 * np.square(values).sum(-1, keepdims=True)
        return np.where(nothing, np.nan, rest)

    return correlation(rest_of(first), rest_of(second), "pearson")


def reliability_corrected(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats], measure: str, weights: Floats | None = None
) -> Doubles:
    """Similarity between independent halves of the data, divided by the geometric mean of the RDMs' reliabilities.

    Noise that the two halves do not share lowers the numerator and the denominator alike, so the ratio estimates the
    similarity of the noiseless RDMs (Spearman 1904, correction for attenuation); it may exceed 1 by chance. Derived for
    correlations; for other measures it is the same ratio and no more.

    first, second : the two halves of an RDM, (..., n_pairs) each.
    measure       : as in `correlation`.
    weights       : (..., n_pairs) as in `correlation`.

    Returns (...); NaN where a reliability is not positive.
    """
    crossed = correlation(first[0], second[1], measure, weights) + correlation(first[1], second[0], measure, weights)
    reliabilities = correlation(*first, measure, weights), correlation(*second, measure, weights)
    # a product of two negative reliabilities is positive, and means nothing
    usable = (reliabilities[0] > 0) & (reliabilities[1] > 0)
    product = np.where(usable, reliabilities[0] * reliabilities[1], np.nan)
    return np.asarray(crossed / 2 / np.sqrt(product), dtype=np.float64)


def _weighted(first: Floats, second: Floats, measure: str, weights: Doubles) -> Doubles:
    """As if every dissimilarity stood there as often as its weight says."""
    shape = np.broadcast_shapes(first.shape, second.shape, weights.shape)
    if measure.startswith("whitened"):
        return np.full(shape[:-1], np.nan)
    total = weights.sum(axis=-1)
    if measure == "kendall_tau_a":
        excess, pairs = concordance(first, second, weights)
        return np.asarray(excess / np.where(pairs > 0, pairs, np.nan))
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    finite = np.isfinite(a).all(axis=-1) & np.isfinite(b).all(axis=-1)
    if measure in RANKED:
        # ranks are centred already: the weight below minus the weight above sums to zero over all weights
        a, b = weighted_ranks(a, weights), weighted_ranks(b, weights)
    if measure == "rho_a":
        cubed = total**3 - total
        r = 3.0 * (weights * a * b).sum(axis=-1) / np.where(cubed > 0, cubed, np.nan)
        return np.where(finite, np.clip(r, -1.0, 1.0), np.nan)
    scale = (weights * a * a).sum(axis=-1) * (weights * b * b).sum(axis=-1)
    if measure == "pearson":
        some = np.where(total > 0, total, np.nan)
        a, b = (x - ((weights * x).sum(axis=-1) / some)[..., None] for x in (a, b))
    power = (weights * a * a).sum(axis=-1) * (weights * b * b).sum(axis=-1)
    r = (weights * a * b).sum(axis=-1) / np.sqrt(np.where(power > 1e-24 * scale, power, np.nan))
    return np.where(finite, np.clip(r, -1.0, 1.0), np.nan)


def _whitened(values: Doubles) -> Doubles:
    """The double-centred second moments: the upper triangles, each standing for two, and the diagonals beside them.

    values : (..., n_pairs) dissimilarities, taken for squared distances.

    Returns (..., n_pairs + n_images).
    """
    n = n_images_of(values.shape[-1])
    rows, columns = np.triu_indices(n, 1)
    of_image = np.zeros((values.shape[-1], n))
    of_image[np.arange(rows.size), rows] = of_image[np.arange(rows.size), columns] = 1.0
    means = values @ of_image / n
    grand = means.mean(axis=-1, keepdims=True)
    off = values - means[..., rows] - means[..., columns] + grand
    return np.concatenate([-0.5 * math.sqrt(2.0) * off, means - 0.5 * grand], axis=-1)


def _ranks(values: Floats) -> Doubles:
    rows = values.reshape(-1, values.shape[-1])
    ranks = np.full(rows.shape, np.nan)
    finite = np.isfinite(rows).all(axis=1)
    ranks[finite] = doubled_centred_ranks(rows[finite])
    return ranks.reshape(values.shape)
