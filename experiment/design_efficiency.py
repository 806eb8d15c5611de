"""How well a run's order lets the response to every image be told from the others', before anything is shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiment.scan import ScanTimes

# A volume stands for the middle of its acquisition, as after slice timing correction to the middle slice.
SLICE_TIME_REF = 0.5
# Share of a regressor that must be its own for its response to count as estimable.
LEAST_OWN_SHARE = 1e-8


@dataclass(frozen=True)
class Design:
    """What a planned run can tell, whatever the data will be.

    stim_ids   : one regressor each, in the order of the rows.
    covariance : (n_images, n_images) of the estimated responses, in units of the noise variance of one volume: with
                 white noise of SD 1 and a response of height 1 (Friston et al. 1999; Dale 1999).
    inflation  : (n_images,) variance inflation: how many times larger the variance is than if the other images had not
                 been shown.
    """

    stim_ids: tuple[str, ...]
    covariance: NDArray[np.float64]
    inflation: NDArray[np.float64]

    @property
    def efficiency(self) -> float:
        """Efficiency of the images' responses against rest: 1 over their mean variance (Dale 1999)."""
        return float(1.0 / np.mean(np.diag(self.covariance)))

    @property
    def difference_efficiency(self) -> float:
        """Efficiency of the differences between two images: 1 over their mean variance."""
        n = len(self.stim_ids)
        variances = np.diag(self.covariance)
        differences = variances[:, None] + variances[None, :] - 2 * self.covariance
        return float(1.0 / differences[np.triu_indices(n, 1)].mean()) if n > 1 else math.nan

    @property
    def order_rdm(self) -> NDArray[np.float64]:
        """The order-model RDM: 1 - correlation that the estimates of two images have by the order alone.

        Responses that overlap are estimated with correlated errors, so that a pattern of pure noise has this RDM in
        every voxel set (Cai et al. 2019, eq. 3: the bias is (X'X)^-1).

        Returns (n_images, n_images), 0 on the diagonal.
        """
        sd = np.sqrt(np.diag(self.covariance))
        rdm = 1.0 - self.covariance / np.outer(sd, sd)
        np.fill_diagonal(rdm, 0.0)
        return rdm


def design_of(
    onsets_s: Sequence[float],
    durations_s: Sequence[float],
    stim_ids: Sequence[str],
    scan: ScanTimes,
    high_pass_hz: float,
) -> Design | None:
    """The design of a planned run: one regressor per image, as the analysis will have it.

    onsets_s, durations_s : (n_trials,) of the stimulus trials, s from the first stored volume.
    stim_ids              : (n_trials,) image of each; an image shown twice has one regressor.
    scan                  : TR and length; without a scanner there is no design.
    high_pass_hz          : slower changes are taken for drift, by the cosines below it.

    Returns None without a scanner or images, or when the volumes are too few to tell every image's response.
    """
    names = tuple(dict.fromkeys(stim_ids))
    if scan.end_s is None or not names:
        return None
    volumes_s = (np.arange(round(scan.end_s / scan.tr_s)) + SLICE_TIME_REF) * scan.tr_s
    place = {name: column for column, name in enumerate(names)}
    regressors = np.zeros((len(volumes_s), len(names)))
    for onset_s, duration_s, name in zip(onsets_s, durations_s, stim_ids, strict=True):
        regressors[:, place[name]] += response(np.asarray(volumes_s - onset_s, dtype=np.float64), duration_s)
    nuisance = cosines(len(volumes_s), scan.tr_s, high_pass_hz)
    own = regressors - nuisance @ (nuisance.T @ regressors)
    power = np.square(own).sum(axis=0)
    if len(volumes_s) < len(names) + nuisance.shape[1] or not power.all():
        return None
    scaled = own / np.sqrt(power)
    correlations = scaled.T @ scaled
    if np.linalg.eigvalsh(correlations)[0] < LEAST_OWN_SHARE:
        return None
    inverse = np.linalg.inv(correlations)
    covariance = inverse / np.sqrt(np.outer(power, power))
    return Design(names, (covariance + covariance.T) / 2, np.diag(inverse).copy())


def response(since_s: NDArray[np.float64], duration_s: float) -> NDArray[np.float64]:
    """SPM's canonical response to an image, relative to the plateau of an endless one.

    since_s    : (n,) time since onset, s.
    duration_s : how long the image is shown, s.

    The canonical function is a gamma density of shape 6 minus a sixth of one of shape 16 (s); its integral has a closed
    form, so nothing is sampled.
    """
    return (_integral(since_s) - _integral(since_s - duration_s)) / (1.0 - 1.0 / 6.0)


def _integral(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    return _gamma_integral(6, time_s) - _gamma_integral(16, time_s) / 6.0


def _gamma_integral(shape: int, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the gamma density of a whole shape and scale 1 s: 1 - exp(-t) * sum of t^k / k! for k < shape."""
    t = np.maximum(time_s, 0.0)
    return 1.0 - np.exp(-t) * sum(t**k / math.factorial(k) for k in range(shape))


def cosines(n_volumes: int, tr_s: float, high_pass_hz: float) -> NDArray[np.float64]:
    """A constant and the cosines slower than the high-pass, orthonormal; (n_volumes, 1 + n_cosines)."""
    n = min(n_volumes - 1, math.floor(2 * n_volumes * tr_s * high_pass_hz))
    phase = (np.arange(n_volumes) + 0.5) * np.pi / n_volumes
    basis = np.cos(np.outer(phase, np.arange(n + 1)))
    return basis / np.linalg.norm(basis, axis=0)
