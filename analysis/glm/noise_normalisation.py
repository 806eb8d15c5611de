"""Noise normalisation of patterns: by the covariance over voxels of what the model leaves of the time series.

Walther et al. 2016 (NeuroImage 137, eq. 5): patterns · Σ^(−1/2), with Σ shrunk as Ledoit & Wolf 2004 (J. Multivariate Analysis
88, eq. 14) do, towards the mean variance times the identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from protocols.folder import StudyFolder, atomic_path
from protocols.host_memory import host_free_bytes
from protocols.problems import FoolscanError, NotReady
from protocols.study import Study

NOISE_FORMAT = 1
SMALLEST = 1e-12  # of the largest eigenvalue: below, a direction has no noise of its own to divide by

ESTIMATING, AVERAGING, WHITENING = 3, 3, 6
"""How many matrices of an ROI's voxels by its voxels, in double precision, each step holds at a time."""

Floats = NDArray[np.float64]

_at_it = Lock()


@dataclass(frozen=True)
class Noise:
    """The noise of one run (or of runs end to end) in one ROI.

    covariance : (n_voxels, n_voxels) of the residuals, (% signal change)²; NaN in rows and columns of unusable voxels.
    dof        : degrees of freedom of the residuals: volumes less regressors.
    shrinkage  : 0 to 1: how far Ledoit & Wolf move the covariance to the mean variance times the identity.
    """

    covariance: Floats
    dof: int
    shrinkage: float

    def shrunk(self) -> Floats:
        """The covariance after shrinkage."""
        usable = ~np.isnan(np.diag(self.covariance))
        mean = np.diag(self.covariance)[usable].mean() if usable.any() else np.nan
        found = (1 - self.shrinkage) * self.covariance
        found.flat[:: len(usable) + 1] += self.shrinkage * mean
        return found


def refuse_too_large(where: str, n_voxels: int, matrices: int) -> None:
    """Refuse an ROI whose noise covariance does not fit into the memory that is free.

    where    : whose, for the message.
    matrices : (n_voxels, n_voxels) in double precision that are held at a time: `ESTIMATING`, `AVERAGING`, `WHITENING`.
    """
    needed, free = matrices * 8 * n_voxels**2, host_free_bytes()
    if needed > free:
        raise FoolscanError(
            f"{where}: the noise covariance of {n_voxels} voxels takes {needed / 2**30:.2f} GiB; {free / 2**30:.2f} GiB are free. "
            "Use a smaller mask or a computer with more memory, or do without the noise: analysis.glm.noise_normalisation: none and a "
            "dissimilarity that needs none"
        )


@contextmanager
def one_at_a_time(where: str, n_voxels: int, matrices: int) -> Iterator[None]:
    """Hold the matrices of one ROI while no other thread does, after `refuse_too_large`."""
    with _at_it:
        refuse_too_large(where, n_voxels, matrices)
        yield


def noise_of(residuals: NDArray[Any], dof: int) -> Noise:
    """The noise covariance of one ROI from its residuals.

    residuals : (n_volumes, n_voxels), NaN in unusable voxels.
    dof       : volumes less regressors.
    """
    n_volumes, n_voxels = residuals.shape
    usable = ~np.isnan(residuals).any(axis=0)
    if not usable.any():
        return Noise(np.full((n_voxels, n_voxels), np.nan), dof, 1.0)
    rest = np.asarray(residuals[:, usable], dtype=np.float64)
    found = rest.T @ rest
    shrinkage = ledoit_wolf(rest, found / n_volumes)
    found /= dof
    if usable.all():
        return Noise(found, dof, shrinkage)
    covariance = np.full((n_voxels, n_voxels), np.nan)
    covariance[np.ix_(usable, usable)] = found
    return Noise(covariance, dof, shrinkage)


def ledoit_wolf(rest: Floats, covariance: Floats) -> float:
    """How far to shrink a covariance towards its mean variance times the identity, 0 to 1.

    rest       : (n, p) observations of mean 0.
    covariance : (p, p), rest' rest / n.

    Ledoit & Wolf 2004, lemma 3.2 to 3.4: b² / d².
    """
    n, p = rest.shape
    mean = float(np.trace(covariance)) / p
    squares = float((covariance**2).sum())
    distance = squares / p - mean**2
    fourth = float((np.einsum("ij,ij->i", rest, rest) ** 2).sum())
    spread = (fourth / n - squares) / (n * p)
    return float(np.clip(spread / distance, 0.0, 1.0)) if distance > 0 else 1.0


def noise_path(betas: Path) -> Path:
    """The noise beside a betas file: ``…_betas.nii.gz`` -> ``…_noise.h5``."""
    return betas.with_name(betas.name.removesuffix("_betas.nii.gz") + "_noise.h5")


def write_noise(path: Path, rois: Iterable[tuple[str, Noise]]) -> None:
    """Write the noise of one betas file in single precision, each ROI's as it comes."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w", track_order=True) as file:
        file.attrs["format"] = NOISE_FORMAT
        for roi, noise in rois:
            group = file.create_group(roi)
            group.attrs["dof"], group.attrs["shrinkage"] = noise.dof, noise.shrinkage
            group.create_dataset("covariance", data=noise.covariance.astype(np.float32), track_times=False)
            del noise  # before the next is made


def read_noise(path: Path, roi: str) -> Noise:
    """The noise of one ROI.

    Raises NotReady when there is none, FoolscanError for a damaged file or another format.
    """
    if not path.exists():
        raise NotReady(f"{path}: no noise covariance of these betas; run: foolscan analysis betas")
    try:
        with h5py.File(path, "r") as file:
            found = file.attrs.get("format")
            if found != NOISE_FORMAT:
                raise FoolscanError(
                    f"{path}: found format {found}; expected {NOISE_FORMAT}; run foolscan analysis betas again"
                )
            if roi not in file:
                raise FoolscanError(
                    f"{path}: found {', '.join(file) or 'nothing'}; expected {roi}; run foolscan analysis betas again"
                )
            group: Any = file[roi]
            covariance = np.empty(group["covariance"].shape)
            group["covariance"].read_direct(covariance)
            return Noise(covariance, int(group.attrs["dof"]), float(group.attrs["shrinkage"]))
    except (OSError, KeyError) as error:
        raise FoolscanError(f"{path}: cut off or damaged ({error}); run foolscan analysis betas again") from error


def noise_covariance(study: Study, folder: StudyFolder, sub: str, roi: str, *, shrunk: bool = True) -> Floats:
    """The noise covariance of a subject in one ROI: the mean of all betas files, by degrees of freedom.

    shrunk : after Ledoit & Wolf's shrinkage, so that it can be inverted; else as it is.

    Returns (n_voxels, n_voxels), NaN in rows and columns of voxels that are unusable in any of them.
    Raises NotReady when `analysis betas` has written none.
    """
    from analysis.stored_betas import VOLUME, stored_betas  # which reads noise, too

    paths = []
    for stored in stored_betas(study, folder, sub):
        if VOLUME not in stored.files:
            raise FoolscanError(
                f"{stored.table}: betas on surfaces were imported, and came without their noise covariance"
            )
        paths.append(noise_path(stored.files[VOLUME]))
    return mean_covariance((read_noise(path, roi) for path in paths), shrunk=shrunk)


def mean_covariance(noises: Iterable[Noise], *, shrunk: bool = True) -> Floats:
    """The mean over runs, (n_voxels, n_voxels), weighted by degrees of freedom; one run is held at a time.

    shrunk : as in `noise_covariance`.
    """
    total, dof = np.zeros(()), 0
    for noise in noises:
        weighted = noise.shrunk() if shrunk else noise.covariance.copy()
        weighted *= noise.dof
        total = weighted if dof == 0 else np.add(total, weighted, out=total)
        dof += noise.dof
        del weighted, noise  # before the next is read
    total /= dof
    return total


def normalised(patterns: Floats, covariance: Floats, kind: str) -> Floats:
    """Patterns of all runs in units of their noise, by one covariance.

    patterns   : (n_runs, n_images, n_voxels), NaN where a run does not show an image and in unusable voxels.
    covariance : (n_voxels, n_voxels), shrunk, the runs' mean.
    kind       : ``univariate`` (each voxel by its noise's SD), ``multivariate`` (whitened), or ``none``.

    A voxel without usable noise in any run becomes NaN in all.
    """
    if kind == "none":
        return patterns
    variance = np.diag(covariance)
    usable = np.isfinite(variance) & (np.nan_to_num(variance) > 0)
    result = np.full_like(patterns, np.nan)
    if kind == "univariate":
        result[..., usable] = patterns[..., usable] / np.sqrt(variance[usable])
    elif kind == "multivariate":
        result[..., usable] = patterns[..., usable] @ inverse_root(covariance[np.ix_(usable, usable)])
    else:
        raise FoolscanError(f"noise_normalisation: found {kind!r}; allowed: none, univariate, multivariate")
    return result


def inverse_root(covariance: Floats) -> Floats:
    """Σ^(−1/2), symmetric, so that a whitened voxel stays next to itself: (n_voxels, n_voxels)."""
    values, vectors = np.linalg.eigh(covariance)
    if values[0] <= SMALLEST * values[-1]:
        raise FoolscanError(
            f"noise covariance of {len(values)} voxels: smallest eigenvalue {values[0]:.3g}, largest {values[-1]:.3g}; it cannot be "
            "inverted. Are two voxels the same, or is it not shrunk?"
        )
    return np.asarray((vectors / np.sqrt(values)) @ vectors.T)
