"""Noise components: principal components of voxels that do not respond, as further confounds (after GLMdenoise).

Kay et al. 2013 (Frontiers in Neuroscience 7:247). Components come from voxels that are bright and that the model predicts
worse than nothing; their number is the smallest with which the model predicts left-out runs nearly as well as it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.glm.cross_validation import left_out_r2, moments, without
from analysis.glm.run_series import RunBlock
from protocols.glm_plan import MOST_NOISE_COMPONENTS
from protocols.problems import FoolscanError

BRIGHT_SHARE, BRIGHT_PERCENTILE = 0.5, 99  # GLMdenoise's defaults
SMALLEST_POOL = 20
NEARLY = 1 / 1.05  # later versions of GLMdenoise stop here, too

Floats = NDArray[np.float64]
Blocks = Callable[[NDArray[np.bool_]], Iterator[RunBlock]]
"""The time series of some of the voxels, (n_voxels,) bool, in all runs, block by block."""


@dataclass(frozen=True)
class NoiseComponents:
    """The noise components of a subject's runs.

    components : of each run, (n_volumes, most), SD 1, the strongest first.
    number     : how many are used.
    median_r2  : (most + 1,) median R² of left-out runs with 0, 1, … components; NaN where not asked for.
    pool       : voxels that they come from.
    responding : voxels over which the median is taken.
    """

    components: tuple[Floats, ...]
    number: int
    median_r2: Floats
    pool: int
    responding: int

    def of_run(self, place: int) -> Floats:
        """The components that are used in one run, (n_volumes, number)."""
        return self.components[place][:, : self.number]


def noise_components(
    designs: Sequence[tuple[Floats, Floats]], series: Blocks, n_voxels: int, asked: int | str
) -> NoiseComponents:
    """The noise components of a subject's runs, and how many to use.

    designs  : of each run, conditions that the runs share and the nuisance (drift, confounds, constant).
    series   : the time series of some voxels in all runs.
    n_voxels : voxels there are: the whole brain's, so that there are some that do not respond.
    asked    : how many, or ``auto``.

    Raises FoolscanError for a single run, or when too few voxels are bright and unresponsive.
    """
    everything = np.ones(n_voxels, dtype=bool)
    mean, r2 = np.empty(n_voxels), np.empty(n_voxels)
    for block in series(everything):
        mean[block.voxels] = np.mean(block.means, axis=0)
        r2[block.voxels] = left_out_r2(
            [moments(x, nuisance, y) for (x, nuisance), y in zip(designs, block.percent, strict=True)]
        )
    bright = mean > BRIGHT_SHARE * np.percentile(mean[np.isfinite(mean)], BRIGHT_PERCENTILE)
    pool = bright & (r2 < 0)  # NaN, of voxels that cannot be used, is not less
    if pool.sum() < SMALLEST_POOL:
        raise FoolscanError(
            f"analysis.glm.noise_components: found {int(pool.sum())} bright voxels of {n_voxels} that the model predicts worse "
            f"than nothing; expected at least {SMALLEST_POOL}. Are the images cut to a few voxels?"
        )
    most = MOST_NOISE_COMPONENTS if asked == "auto" else int(asked)
    components = _components(designs, series(pool), most)
    responding = bright & (r2 > 0)
    medians = np.full(most + 1, np.nan)
    number = most
    if asked == "auto":
        medians, number = _best(designs, components, series, responding, most)
    return NoiseComponents(components, number, medians, int(pool.sum()), int(responding.sum()))


def _components(designs: Sequence[tuple[Floats, Floats]], pool: Iterator[RunBlock], most: int) -> tuple[Floats, ...]:
    bases = [np.linalg.qr(nuisance)[0] for _, nuisance in designs]
    products = [np.zeros((len(basis), len(basis))) for basis in bases]
    for block in pool:
        for product, basis, percent in zip(products, bases, block.percent, strict=True):
            rest = without(basis, percent)
            length = np.linalg.norm(rest, axis=0)
            rest = rest[:, length > 0] / length[length > 0]  # every voxel has the same say
            product += rest @ rest.T
    found = []
    for product in products:
        vectors = np.linalg.eigh(product)[1][:, ::-1][:, :most]
        # eigenvectors have no sign of their own: the largest value is made positive, so that it is the same everywhere
        largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
        vectors = vectors * np.sign(largest)
        found.append(vectors / vectors.std(axis=0))
    return tuple(found)


def _best(
    designs: Sequence[tuple[Floats, Floats]],
    components: Sequence[Floats],
    series: Blocks,
    responding: NDArray[np.bool_],
    most: int,
) -> tuple[Floats, int]:
    """The median R² with 0, 1, … components, and the number that is used."""
    if not responding.any():
        return np.full(most + 1, np.nan), 0
    r2: list[list[Floats]] = [[] for _ in range(most + 1)]
    for block in series(responding):
        # the same data are predicted whatever the number: taking noise out of them, too, would look like prediction
        targets = [moments(x, nuisance, y) for (x, nuisance), y in zip(designs, block.percent, strict=True)]
        for number in range(most + 1):
            cleaned = [
                moments(x, np.hstack([nuisance, found[:, :number]]), y)
                for (x, nuisance), found, y in zip(designs, components, block.percent, strict=True)
            ]
            r2[number].append(left_out_r2(cleaned, targets))
    medians = np.array([np.median(np.concatenate(parts)) for parts in r2])
    return medians, fewest(medians)


def fewest(medians: Floats) -> int:
    """The smallest number of components with which the median R² is within 5 % of its largest gain.

    medians : with 0, 1, … components. Beyond what helps the curve is flat, and its maximum is where chance puts it.
    """
    gain = medians - medians[0]
    return int(np.argmax(gain >= NEARLY * gain.max()))
