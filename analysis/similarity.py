"""The similarity of two RDMs, how reliable an RDM is, and similarity corrected for reliability."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.rdm import Rdm, doubled_centred_ranks
from protocols.problems import FoolscanError

NAMES = {"pearson": "Pearson correlation", "spearman": "Spearman correlation"}


def similarity(first: Rdm, second: Rdm, measure: str) -> float:
    """The correlation of two RDMs over their pairs of images (Zhang et al. 2018, Representational similarity analysis).

    first, second : RDMs whose rows stand for the same categories in the same order.
    measure       : ``"pearson"`` or ``"spearman"``.

    Returns a value in [-1, 1]; NaN when an RDM is constant.
    Raises FoolscanError when the RDMs differ in size or in how dissimilarity was measured.
    """
    if first.values.shape != second.values.shape or first.measure != second.measure:
        raise FoolscanError(
            f"similarity of {dict(first.descriptors)} and {dict(second.descriptors)}: found {len(first.stim_ids)} and "
            f"{len(second.stim_ids)} images, {first.measure} and {second.measure}; both must be the same"
        )
    return float(correlation(first.values, second.values, measure))


def correlation(
    first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]], measure: str
) -> NDArray[np.float64]:
    """Correlation along the last axis, over any leading axes (resamples).

    first, second : (..., n_pairs) dissimilarities.
    measure       : ``"pearson"`` or ``"spearman"`` (ties share their mean rank).

    Returns (...); NaN where either is constant or not finite.
    """
    if measure == "spearman":
        first, second = _ranks(first), _ranks(second)
    elif measure != "pearson":
        raise ValueError(f"found similarity {measure!r}; allowed: {', '.join(NAMES)}")
    a = first - first.mean(axis=-1, keepdims=True)
    b = second - second.mean(axis=-1, keepdims=True)
    power = (a * a).sum(axis=-1) * (b * b).sum(axis=-1)
    # rounding in the mean leaves a constant RDM with a tiny power: relative to its values it is none
    scale = (first * first).sum(axis=-1) * (second * second).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (a * b).sum(axis=-1) / np.sqrt(np.where(power > 1e-24 * scale, power, np.nan))
    return np.asarray(np.clip(r, -1.0, 1.0), dtype=np.float64)


def partial_correlation(
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
    taken_out: NDArray[np.floating[Any]],
    measure: str,
) -> NDArray[np.float64]:
    """Correlation along the last axis of what is left of both when other RDMs have been regressed out of them.

    first, second : (..., n_pairs) dissimilarities.
    taken_out     : (n_models, n_pairs) dissimilarities, e.g. of the order of trials.
    measure       : as in `correlation`; for ``"spearman"`` all are ranked first.

    Returns (...); NaN where nothing is left of either.
    """
    if measure == "spearman":
        first, second, taken_out = _ranks(first), _ranks(second), _ranks(taken_out)
    models = np.column_stack([np.ones(taken_out.shape[1]), *taken_out])
    basis, sizes, _ = np.linalg.svd(models, full_matrices=False)
    basis = basis[:, sizes > 1e-10 * sizes[0]]

    def rest_of(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        rest = values - (values @ basis) @ basis.T
        # rounding leaves something of an RDM that is all model: relative to its values it is nothing
        nothing = np.square(rest).sum(-1, keepdims=True) < 1e-20 * np.square(values).sum(-1, keepdims=True)
        return np.where(nothing, np.nan, rest)

    return correlation(rest_of(first), rest_of(second), "pearson")


def reliability_corrected(
    first: tuple[NDArray[np.float64], NDArray[np.float64]],
    second: tuple[NDArray[np.float64], NDArray[np.float64]],
    measure: str,
) -> NDArray[np.float64]:
    """Similarity between independent halves of the data, divided by the geometric mean of the RDMs' reliabilities.

    Noise that the two halves do not share lowers the numerator and the denominator alike, so the ratio estimates the
    similarity of the noiseless RDMs (Spearman 1904, correction for attenuation); it may exceed 1 by chance.

    first, second : the two halves of an RDM, (..., n_pairs) each.
    measure       : as in `correlation`.

    Returns (...); NaN where a reliability is not positive.
    """
    crossed = (correlation(first[0], second[1], measure) + correlation(first[1], second[0], measure)) / 2
    reliabilities = correlation(*first, measure), correlation(*second, measure)
    # a product of two negative reliabilities is positive, and means nothing
    usable = (reliabilities[0] > 0) & (reliabilities[1] > 0)
    product = np.where(usable, reliabilities[0] * reliabilities[1], np.nan)
    return np.asarray(crossed / np.sqrt(product), dtype=np.float64)


def _ranks(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    rows = values.reshape(-1, values.shape[-1])
    ranks = np.full(rows.shape, np.nan)
    finite = np.isfinite(rows).all(axis=1)
    ranks[finite] = doubled_centred_ranks(rows[finite])
    return ranks.reshape(values.shape)
