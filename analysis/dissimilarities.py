"""Measures of dissimilarity by name: of mean patterns, of patterns normalised by their noise, and cross-validated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.patterns import is_shown, mean_over_runs
from analysis.rdm import BadPatterns, Floats, Rdm, condensed, pearson_rdm, spearman_rdm
from protocols.dissimilarity_names import ENTRY_POINTS, NOISE_NORMALISED, PLAIN, offered
from protocols.problems import FoolscanError

Square = NDArray[np.float64]


@dataclass(frozen=True)
class Measurements:
    """One subject's repeated measurements of the same images in the same voxels.

    runs       : (n_runs, n_images, n_voxels) patterns, NaN in all voxels where a run does not show an image.
    covariance : (n_voxels, n_voxels) of the noise, positive definite; None where patterns are whitened already.
    """

    runs: NDArray[np.float64]
    covariance: NDArray[np.float64] | None = None


def cosine_rdm(patterns: Floats) -> Square:
    """1 − cosine of the angle between every two patterns.

    patterns : (n_images, n_features) finite responses.

    Returns (n_images, n_images) in [0, 2], zero on the diagonal. Raises BadPatterns for a pattern that is all zero.
    """
    values = _finite(patterns)
    lengths = np.sqrt((values * values).sum(axis=1, keepdims=True))
    if not lengths.all():
        raise BadPatterns("zero in every voxel or unit", np.flatnonzero(lengths == 0).tolist())
    directions = values / lengths
    square = 1.0 - np.clip(directions @ directions.T, -1.0, 1.0)
    np.fill_diagonal(square, 0.0)
    return np.asarray(square)


def squared_euclidean_rdm(patterns: Floats) -> Square:
    """Squared Euclidean distance between every two patterns, divided by the number of features (as rsatoolbox).

    patterns : (n_images, n_features) finite responses.

    Returns (n_images, n_images), unit of the patterns squared, zero on the diagonal.
    """
    values = _finite(patterns)
    values = values - values.mean(axis=0)  # differences stay; large offsets no longer cancel
    return np.maximum(_distances(values @ values.T), 0.0) / values.shape[1]


def euclidean_rdm(patterns: Floats) -> Square:
    """Root of the mean squared difference between every two patterns: `squared_euclidean_rdm`, its root taken."""
    return np.asarray(np.sqrt(squared_euclidean_rdm(patterns)))


def squared_mahalanobis_rdm(measured: Measurements) -> Square:
    """Squared Mahalanobis distance between the mean patterns, divided by the number of voxels (as rsatoolbox).

    Noise makes it larger: of two images with the same true pattern it is positive (Walther et al. 2016).
    """
    return squared_euclidean_rdm(mean_over_runs(_whitened(measured)))


def crossnobis_rdm(measured: Measurements) -> Square:
    """Cross-validated squared Mahalanobis distance, divided by the number of voxels (Walther et al. 2016, eq. 5).

    The mean over pairs of runs, both of which show both images, of the product of the whitened difference pattern in one
    run with that in the other. Noise is independent between runs, so that the expected value is the true distance, and
    0 for images with the same pattern; it may be negative.

    Raises FoolscanError when no two runs show some pair of images.
    """
    runs = _whitened(measured)
    shown = is_shown(runs)
    values = np.where(shown[:, :, None], runs, 0.0)
    n_images = runs.shape[1]
    total, times = np.zeros((n_images, n_images)), np.zeros((n_images, n_images))
    for first in range(len(runs)):
        for second in range(first + 1, len(runs)):
            both = shown[first] & shown[second]
            pairs = np.outer(both, both)
            kernel = values[first] @ values[second].T
            total += np.where(pairs, _distances((kernel + kernel.T) / 2), 0.0)
            times += pairs
    lacking = np.argwhere((times == 0) & ~np.eye(n_images, dtype=bool))
    if lacking.size:
        raise BadPatterns(
            "no two folds that show both of a pair of images",
            lacking[:, 0].tolist(),
            "one repeat cannot be cross-validated: measure more runs, set analysis.folds: halves where sessions show different "
            "images, or take another dissimilarity",
        )
    np.fill_diagonal(times, 1.0)
    return total / times / runs.shape[2]


DISSIMILARITIES: dict[str, Callable[[Floats], Square]] = {
    "spearman": spearman_rdm,
    "pearson": pearson_rdm,
    "cosine": cosine_rdm,
    "euclidean": euclidean_rdm,
    "squared_euclidean": squared_euclidean_rdm,
}
"""Measures of mean patterns, (n_images, n_features) -> (n_images, n_images); `dissimilarity` knows other packages' too."""

_OF_MEASUREMENTS: dict[str, Callable[[Measurements], Square]] = {
    "mahalanobis": squared_mahalanobis_rdm,
    "squared_mahalanobis": squared_mahalanobis_rdm,
    "crossnobis": crossnobis_rdm,
}


def dissimilarity(name: str) -> Callable[[Floats], Square]:
    """The measure of that name: one of `DISSIMILARITIES`, or another package's.

    Raises FoolscanError when there is none, or when it cannot be imported.
    """
    if name in DISSIMILARITIES:
        return DISSIMILARITIES[name]
    points = offered()
    if name not in points:
        why = "it needs runs and their noise, which these patterns do not have" if name in NOISE_NORMALISED else "none"
        names = ", ".join([*PLAIN, *sorted(points)])
        raise FoolscanError(f"dissimilarity {name!r}: found {why}; measures of mean patterns: {names}")
    try:
        found: Callable[[Floats], Square] = points[name].load()
    except (ImportError, AttributeError) as error:
        raise FoolscanError(
            f"dissimilarity {name!r}: entry point {points[name].value} of {ENTRY_POINTS} cannot be imported ({error}); "
            "repair that package"
        ) from error
    return _ForeignMeasure(name, found)


@dataclass(frozen=True)
class _ForeignMeasure:
    """Another package's measure, its answer checked: square, symmetric, finite, zero on the diagonal."""

    name: str
    function: Callable[[Floats], Any]

    def __call__(self, patterns: Floats) -> Square:
        found = np.asarray(self.function(patterns), dtype=np.float64)
        n = len(patterns)
        right = found.shape == (n, n) and np.isfinite(found).all() and np.allclose(found, found.T)
        if not right or np.diag(found).any():
            raise FoolscanError(
                f"dissimilarity {self.name!r}: found {found.shape}; expected ({n}, {n}), finite, symmetric, zero on the "
                "diagonal: repair the package that offers it"
            )
        return found


def rdm_of(patterns: Floats, stim_ids: Sequence[str], measure: str, descriptors: Mapping[str, str]) -> Rdm:
    """The RDM of named patterns.

    patterns : (n_images, n_features), rows in the order of `stim_ids`.
    measure  : a name in `DISSIMILARITIES`, or another package's.

    Raises FoolscanError naming the images whose patterns are constant or not finite.
    """
    function = dissimilarity(measure)
    try:
        square = function(patterns)
    except BadPatterns as error:
        raise _named(error, stim_ids, descriptors) from error
    return Rdm(condensed(square), tuple(stim_ids), measure, dict(descriptors))


def rdm_of_measurements(
    of_subjects: Sequence[Measurements], stim_ids: Sequence[str], measure: str, descriptors: Mapping[str, str]
) -> Rdm:
    """The RDM of named patterns by a measure that needs runs and their noise.

    of_subjects : one subject's measurements, or those of all whose voxels are pooled: their noise is independent, so
                  that squared distances over all voxels are the mean of theirs, weighted by voxels.
    measure     : ``mahalanobis``, ``squared_mahalanobis`` or ``crossnobis``.

    Raises FoolscanError naming the images that a run or voxel lacks.
    """
    try:
        squares = [_OF_MEASUREMENTS[measure](measured) for measured in of_subjects]
    except BadPatterns as error:
        raise _named(error, stim_ids, descriptors) from error
    voxels = np.array([measured.runs.shape[2] for measured in of_subjects], dtype=np.float64)
    square = np.average(squares, axis=0, weights=voxels)
    return Rdm(
        condensed(np.sqrt(square) if measure == "mahalanobis" else square), tuple(stim_ids), measure, dict(descriptors)
    )


def _finite(patterns: Floats) -> NDArray[np.float64]:
    values = np.asarray(patterns, dtype=np.float64)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise BadPatterns("responses that are not finite numbers", np.flatnonzero(~finite).tolist())
    return values


def _distances(kernel: NDArray[np.float64]) -> Square:
    """From inner products to squared distances, (n, n)."""
    power = np.diag(kernel)
    return np.asarray(power[:, None] + power[None, :] - 2.0 * kernel)


def _whitened(measured: Measurements) -> NDArray[np.float64]:
    """The runs' patterns in units of the noise: the covariance of theirs is the identity."""
    runs = measured.runs
    some = is_shown(runs)
    broken = (~np.isfinite(runs).all(axis=2) & some).any(axis=0)
    if broken.any():
        raise BadPatterns("responses that are not finite numbers", np.flatnonzero(broken).tolist())
    if measured.covariance is None:
        return runs
    from scipy.linalg import solve_triangular

    try:
        factor = np.linalg.cholesky(measured.covariance)
    except np.linalg.LinAlgError as error:
        raise FoolscanError(
            f"covariance of the noise, {measured.covariance.shape[0]} voxels: found one that is not positive definite; "
            "shrink it, or leave out voxels that are the same"
        ) from error
    flat = np.where(some[:, :, None], runs, 0.0).reshape(-1, runs.shape[2])
    white = solve_triangular(factor, flat.T, lower=True).T.reshape(runs.shape)
    return np.where(some[:, :, None], white, np.nan)


def _named(error: BadPatterns, stim_ids: Sequence[str], descriptors: Mapping[str, str]) -> FoolscanError:
    where = " ".join(f"{key} {value}" for key, value in descriptors.items())
    images = ", ".join(stim_ids[row] for row in error.rows[:5])
    return FoolscanError(
        f"RDM of {where}: {error.what} for {len(error.rows)} of {len(stim_ids)} images ({images}); {error.remedy}"
    )
