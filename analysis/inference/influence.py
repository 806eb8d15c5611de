"""The derivative of a similarity by the weights of units: an interval for layers of millions of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.inference.weighted_rdms import place
from analysis.rdm import Floats, doubled_centred_ranks, rank_products
from protocols.problems import FoolscanError


def similarity_gradient(first: Floats, second: Floats, measure: str) -> tuple[float, NDArray[np.float64]]:
    """The Pearson similarity of two RDMs and its derivative with respect to the weight of every unit.

    The sum of the squared derivatives is the infinitesimal-jackknife variance (Efron 1982, ch. 6), which is what the
    variance of the bootstrap over units tends to when there are many; it costs as much as a few RDMs instead of
    thousands.

    first, second : (n_images, n_units) patterns of the two sets over the same units.
    measure       : the dissimilarity, ``"spearman"`` or ``"pearson"``.

    Returns the similarity and (n_units,) derivatives at weight 1; they sum to zero.
    """
    sides = [_products(patterns, measure) for patterns in (first, second)]
    rdms = [_one_minus(products) for _, products in sides]
    upper = np.triu_indices(len(first), 1)
    a, b = (rdm[upper] - rdm[upper].mean() for rdm in rdms)
    norm_a, norm_b = float(np.sqrt(a @ a)), float(np.sqrt(b @ b))
    if not (norm_a > 0 and norm_b > 0):
        raise FoolscanError("similarity: found an RDM that is constant; expected dissimilarities that vary")
    r = float(a @ b) / (norm_a * norm_b)
    slopes = (b / (norm_a * norm_b) - r * a / norm_a**2, a / (norm_a * norm_b) - r * b / norm_b**2)
    gradient = np.zeros(first.shape[1])
    for patterns, (values, products), rdm, slope in zip((first, second), sides, rdms, slopes, strict=True):
        gradient += _gradient(patterns, values, _slope_of_products(slope, upper, products, rdm), measure)
    return r, gradient


def _products(patterns: Floats, measure: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if measure == "spearman":
        ranks = doubled_centred_ranks(patterns)
        return ranks.astype(np.float64), rank_products(ranks)
    deviations = patterns - patterns.mean(axis=1, dtype=np.float64, keepdims=True)
    return deviations, deviations @ deviations.T


def _one_minus(products: NDArray[np.float64]) -> NDArray[np.float64]:
    power = np.diag(products)
    return np.asarray(1.0 - products / np.sqrt(np.outer(power, power)))


def _slope_of_products(
    slope: NDArray[np.float64],
    upper: tuple[NDArray[Any], NDArray[Any]],
    products: NDArray[np.float64],
    rdm: NDArray[np.float64],
) -> NDArray[np.float64]:
    """From ∂s/∂d to ∂s/∂G, where d_ij = 1 − G_ij / √(G_ii·G_jj)."""
    half = np.zeros_like(products)
    half[upper] = slope / 2
    half += half.T
    power = np.diag(products)
    of_products = -half / np.sqrt(np.outer(power, power))
    np.fill_diagonal(of_products, (half * (1.0 - rdm)).sum(axis=1) / power)
    return of_products


def _gradient(
    patterns: Floats, values: NDArray[np.float64], slope: NDArray[np.float64], measure: str
) -> NDArray[np.float64]:
    """From ∂s/∂G to ∂s/∂w: each unit's own products and, for ranks, its part in the ranks of all others."""
    weighted = slope @ values
    gradient = np.einsum("iu,iu->u", values, weighted)
    if measure == "spearman":
        for pattern, row in zip(patterns, weighted, strict=True):
            order, first, after = place(pattern)
            below = np.concatenate([[0.0], np.cumsum(row[order])])
            gradient += 2.0 * (below[-1] - below[after] - below[first])
    return np.asarray(gradient)
