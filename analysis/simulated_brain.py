"""A simulated brain in a scanner: anatomy, haemodynamics, noise, drift and motion; everything that hides the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.signal import lfilter
from scipy.special import gammainc

from analysis.events import Event
from protocols.study import ScanProtocol, SimulatedBrain

VOXEL_MM = 3.0
SMALLEST_GRID = (24, 20, 12)
BRAIN_FILLS = 0.35  # share of the grid that the brain's ellipsoid takes, at most, for ROIs
BASELINE = 1000.0
LAG_STEP_S = 0.05
LAG_END_S = 40.0
# SD over voxels of the log of the response's width, range of the undershoot's size, SD of the undershoot's delay (s).
WIDTH_LOG_SD, UNDERSHOOT, UNDERSHOOT_DELAY_SD_S = 0.15, (0.05, 0.30), 1.0
# SD over presentations of the gain that all voxels share: attention waxes and wanes.
TRIAL_GAIN_SD = 0.1
# Error of the motion estimate that the analysis is given: mm; rotations: the same arc on a sphere of this radius.
MOTION_ERROR_MM, HEAD_RADIUS_MM = 0.02, 50.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Anatomy:
    """One subject's image grid.

    brain    : (x, y, z) mask.
    rois     : name -> (n_voxels, 3) indices, in the order of the mask's voxels; no voxel belongs to two.
    baseline : (x, y, z) mean image.
    """

    brain: NDArray[np.bool_]
    rois: dict[str, NDArray[np.intp]]
    baseline: Floats

    def mask(self, roi: str) -> NDArray[np.bool_]:
        """The mask of an ROI, (x, y, z)."""
        mask = np.zeros(self.brain.shape, dtype=bool)
        mask[tuple(self.rois[roi].T)] = True
        return mask


def affine() -> Floats:
    """Voxel indices to mm: isotropic, and no rotation."""
    return np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])


def anatomy(rng: np.random.Generator, rois: Sequence[str], voxels_per_roi: int) -> Anatomy:
    """A brain with one blob of voxels for every ROI, set out along its length, and a mean image with folds and an edge.

    rois           : names, from the back to the front.
    voxels_per_roi : voxels of each.
    """
    stretch = max(1.0, (len(rois) * voxels_per_roi / (BRAIN_FILLS * np.prod(SMALLEST_GRID))) ** (1 / 3))
    shape = tuple(int(np.ceil(n * stretch)) for n in SMALLEST_GRID)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"), axis=-1)
    brain = (grid**2).sum(axis=-1) < 1.0
    inside = np.argwhere(brain)
    free = np.ones(len(inside), dtype=bool)
    found = {}
    for i, name in enumerate(rois):
        along = -0.7 + 1.4 * (i + 0.5) / len(rois)
        centre = np.array([along, 0.3 * (-1) ** i, 0.0]) + rng.normal(0, 0.05, 3)
        distance = ((grid[tuple(inside.T)] - centre) ** 2).sum(axis=1)
        distance[~free] = np.inf
        chosen = np.sort(np.argsort(distance, kind="stable")[:voxels_per_roi])
        free[chosen] = False
        found[name] = inside[chosen]
    folds = gaussian_filter(rng.standard_normal(shape), 1.0, mode="wrap")
    baseline = BASELINE * np.where(brain, 1.0 + 0.1 * folds / folds.std(), 0.1)
    return Anatomy(brain, found, baseline)


def cumulative_hrfs(rng: np.random.Generator, n_voxels: int, delay_sd_s: float) -> Floats:
    """Time integrals of voxels' haemodynamic responses: double gamma functions, no two alike.

    delay_sd_s : SD of the time to peak over voxels, s.

    Returns (n_lags, n_voxels): the response to an event of duration d at lag t is proportional to ``G(t) − G(t − d)``.
    """
    peak_s = np.maximum(rng.normal(5.3, delay_sd_s, n_voxels), 3.0)
    width_s = 0.95 * rng.lognormal(0.0, WIDTH_LOG_SD, n_voxels)
    undershoot_s = peak_s + np.maximum(rng.normal(10.0, UNDERSHOOT_DELAY_SD_S, n_voxels), 5.0)
    size = rng.uniform(*UNDERSHOOT, n_voxels)
    lags = np.arange(0.0, LAG_END_S + LAG_STEP_S, LAG_STEP_S)[:, None]
    # a gamma density of shape k and scale w peaks at (k - 1) w
    rise = gammainc(1 + peak_s / width_s, lags / width_s)
    return np.asarray(rise - size * gammainc(1 + undershoot_s / width_s, lags / width_s), dtype=np.float64)


def unit_responses(cumulative: Floats, lags_s: Floats, duration_s: float) -> Floats:
    """Responses to one event of a duration, (n_lags, n_voxels), at lags from its onset.

    cumulative : from `cumulative_hrfs`.
    """
    return _at(cumulative, lags_s) - _at(cumulative, lags_s - duration_s)


def peak_responses(cumulative: Floats, duration_s: float) -> Floats:
    """The peak of each voxel's response to one event of a duration, (n_voxels,)."""
    lags_s = np.arange(0.0, LAG_END_S, LAG_STEP_S)
    return np.asarray(unit_responses(cumulative, lags_s, duration_s).max(axis=0))


def _at(cumulative: Floats, lags_s: Floats) -> Floats:
    place = np.clip(lags_s / LAG_STEP_S, 0, len(cumulative) - 1.001)
    below = np.floor(place).astype(np.intp)
    part = (place - below)[:, None]
    return np.asarray(cumulative[below] * (1 - part) + cumulative[below + 1] * part)


def responses_pct(
    rng: np.random.Generator,
    images: Sequence[Event],
    amplitudes_pct: dict[str, Floats],
    cumulative: Floats,
    scan: ScanProtocol,
    nominal_s: float,
) -> Floats:
    """The BOLD response of voxels to a run's images, % of baseline.

    images         : the rows of events.tsv that show an image.
    amplitudes_pct : stim_id -> (n_voxels,) peak of the response to that image alone, shown for `nominal_s`.
    cumulative     : (n_lags, n_voxels), from `cumulative_hrfs`.
    scan           : volume k samples the response at (k + 1/2) TR.

    Returns (n_volumes, n_voxels).
    """
    times_s = (np.arange(scan.volumes) + 0.5) * scan.tr_s
    peak = peak_responses(cumulative, nominal_s)
    total = np.zeros((scan.volumes, cumulative.shape[1]))
    for event in images:
        lags_s: Floats = np.asarray(times_s - event.onset_s)
        reached = (lags_s > 0) & (lags_s < LAG_END_S)
        gain = 1.0 + TRIAL_GAIN_SD * rng.standard_normal()
        height: Floats = gain * amplitudes_pct[str(event.stim_id)] / peak
        total[reached] += height * unit_responses(cumulative, lags_s[reached], event.duration_s)
    return total


def noise(rng: np.random.Generator, shape: tuple[int, int, int, int], ar: float, fwhm_voxels: float) -> Floats:
    """Noise of unit variance, first-order autoregressive in time and Gaussian-smooth in space.

    shape       : (n_volumes, x, y, z).
    ar          : correlation between neighbouring volumes, 0 to 1.
    fwhm_voxels : full width at half maximum of the smoothing, voxels; 0 for none.
    """
    sigma = fwhm_voxels / np.sqrt(8 * np.log(2))
    white = rng.standard_normal(shape, dtype=np.float32)
    if sigma > 0:
        impulse = np.zeros(shape[1:], dtype=np.float32)
        impulse[tuple(n // 2 for n in shape[1:])] = 1.0
        kernel = gaussian_filter(impulse, sigma, mode="wrap")
        white = gaussian_filter(white, (0, sigma, sigma, sigma), mode="wrap") / np.sqrt((kernel**2).sum())
    white[1:] *= np.sqrt(1 - ar**2)
    return np.asarray(lfilter([1.0], [1.0, -ar], white, axis=0), dtype=np.float64)


def drift_pct(rng: np.random.Generator, shape: tuple[int, int, int, int], sd_pct: float) -> Floats:
    """Slow drifts, % of baseline: a ramp and half-waves up to two per run, each with a smooth map of its own.

    sd_pct : root mean square over time and voxels.
    """
    n_volumes = shape[0]
    time = (np.arange(n_volumes) + 0.5) / n_volumes
    waves = np.stack([np.sqrt(12) * (time - 0.5), *(np.sqrt(2) * np.cos(np.pi * k * time) for k in (1, 2, 3, 4))])
    maps = gaussian_filter(rng.standard_normal((len(waves), *shape[1:])), (0, 2.0, 2.0, 2.0), mode="wrap")
    maps *= sd_pct / maps.std() / np.sqrt(len(waves))
    return np.asarray(np.tensordot(waves.T, maps, axes=1))


def motion_path(rng: np.random.Generator, n_volumes: int, sd_mm: float) -> Floats:
    """How a head moves: slow wandering with small jerks.

    sd_mm : SD of each translation over the run, mm; rotations have the same SD as arcs on a sphere of 50 mm.

    Returns (n_volumes, 6): translations in mm, rotations in radians, in the order of `confounds.MOTION_COLUMNS`.
    """
    wander = lfilter([1.0], [1.0, -0.98], rng.standard_normal((n_volumes, 6)), axis=0)
    path = wander + 0.5 * rng.standard_normal((n_volumes, 6))
    path = path - path.mean(axis=0)
    path *= sd_mm / path.std(axis=0)
    path[:, 3:] /= HEAD_RADIUS_MM
    return np.asarray(path)


def moved(volumes: Floats, path: Floats) -> Floats:
    """Volumes of a head that moves as a rigid body, resampled where the scanner's grid then lies.

    volumes : (n_volumes, x, y, z).
    path    : from `motion_path`; displacements are cut off at one voxel.

    Linear interpolation along each axis in turn; rotations in the small-angle approximation.
    """
    shape = volumes.shape[1:]
    x, y, z = np.meshgrid(*((np.arange(n) - (n - 1) / 2) * VOXEL_MM for n in shape), indexing="ij")
    t = path[:, :, None, None, None]
    shifts_mm = (
        t[:, 0] + t[:, 4] * z - t[:, 5] * y,
        t[:, 1] + t[:, 5] * x - t[:, 3] * z,
        t[:, 2] + t[:, 3] * y - t[:, 4] * x,
    )
    for axis, shift_mm in enumerate(shifts_mm, start=1):
        part = np.clip(shift_mm / VOXEL_MM, -1.0, 1.0)
        before = np.concatenate([volumes.take([0], axis), volumes.take(range(shape[axis - 1] - 1), axis)], axis)
        after = np.concatenate([volumes.take(range(1, shape[axis - 1]), axis), volumes.take([-1], axis)], axis)
        volumes = volumes + np.maximum(part, 0) * (before - volumes) + np.maximum(-part, 0) * (after - volumes)
    return volumes


def run_volumes(
    rng: np.random.Generator, head: Anatomy, signal_pct: dict[str, Floats], scan: ScanProtocol, plan: SimulatedBrain
) -> tuple[Floats, Floats]:
    """The images of one run.

    head       : the subject's anatomy.
    signal_pct : ROI -> (n_volumes, n_voxels), from `responses_pct`.
    plan       : sizes of noise, drift and motion. tSNR is the brain's mean over the SD of the noise alone.

    Returns (n_volumes, x, y, z) in scanner units, and the motion as it would be estimated, (n_volumes, 6).
    """
    shape = (scan.volumes, *head.brain.shape)
    pct = drift_pct(rng, shape, plan.drift_pct) * head.brain
    for roi, signal in signal_pct.items():
        x, y, z = head.rois[roi].T
        pct[:, x, y, z] += signal
    path = motion_path(rng, scan.volumes, plan.motion_mm)
    volumes = moved(head.baseline * (1.0 + pct / 100.0), path)
    volumes += BASELINE / plan.tsnr * noise(rng, shape, plan.noise_ar, plan.noise_fwhm_voxels)
    error = rng.normal(0, MOTION_ERROR_MM, path.shape)
    error[:, 3:] /= HEAD_RADIUS_MM
    return np.maximum(volumes, 0.0), path + error
