"""Studies with a known truth, patterns and all but images: to measure how often an interval holds what it is of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.brain_rdms import RoiSample, pooled, sample_of
from analysis.brain_similarity import UNWEIGHTED, similarities_of, voxels_of_choices
from analysis.inference.replicates import replicates
from analysis.inference.schemes import scheme_of
from analysis.patterns import Patterns, scaled
from analysis.selection import selections
from protocols.analysis_plan import AnalysisPlan
from protocols.inference_plan import BootstrapPlan
from protocols.voxel_plan import VoxelSelection

SETS = ("RE", "AN", "AI")
PAIRS = (("RE", "AN"), ("RE", "AI"))
FEATURES = 6  # dimensions of a set's geometry
FWHM_PER_SD = math.sqrt(8.0 * math.log(2.0))

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scenario:
    """A kind of study: the geometry of its images is fixed, voxels and noise are drawn anew in every study.

    n_images     : categories, each in every set.
    n_runs       : each shows all images.
    grid         : voxels of a subject's ROI along each axis.
    per_subject  : how many of them are analysed; all: none are chosen by their reliability.
    by           : how they are chosen: ``split_half``, or ``published`` on the runs that are analysed (circular).
    signal       : SD of a voxel's noiseless response over images, of every subject.
    noise_sd     : of a voxel's response in one run.
    fwhm_voxels  : of the noise, over neighbouring voxels of a subject; 0: independent.
    heavy        : SD of the logarithm of the voxels' gains: some answer strongly, most weakly.
    shared       : how much of RE's geometry AN and AI have, 0 to 1.
    """

    n_images: int = 20
    n_runs: int = 4
    grid: tuple[int, int, int] = (5, 4, 3)
    per_subject: int | None = None
    by: str = "split_half"
    signal: tuple[float, ...] = (1.0, 1.0, 1.0)
    noise_sd: float = 2.0
    fwhm_voxels: float = 0.0
    heavy: float = 0.0
    shared: Mapping[str, float] = field(default_factory=lambda: {"AN": 0.5, "AI": 0.9})

    @property
    def coordinates(self) -> NDArray[np.intp]:
        """(n_voxels, 3) of one subject's ROI."""
        return np.argwhere(np.ones(self.grid, dtype=bool))


SCENARIOS: dict[str, Scenario] = {
    "independent noise": Scenario(),
    "spatially correlated noise": Scenario(grid=(6, 5, 4), fwhm_voxels=2.0),
    "low signal": Scenario(noise_sd=4.0),
    "unequal subjects, heavy-tailed voxels": Scenario(signal=(1.5, 1.0, 0.5), heavy=0.7, noise_sd=3.0),
    "few voxels": Scenario(grid=(3, 3, 3)),
    "voxels chosen by split half": Scenario(grid=(6, 5, 4), per_subject=40, fwhm_voxels=1.5, heavy=0.7, noise_sd=4.0),
    "one subject": Scenario(grid=(6, 5, 4), signal=(1.0,)),
}
"""What the default interval is measured in."""


def geometries(scenario: Scenario) -> dict[str, tuple[Floats, Floats]]:
    """The features of every set's images, (n_images, 6) twice: what it has of RE's geometry, and what is its own.

    The same in every study of a scenario: images are not resampled.
    """
    rng = np.random.default_rng(2018)
    regular = rng.standard_normal((scenario.n_images, FEATURES)) / math.sqrt(FEATURES)
    found = {"RE": (regular, np.zeros_like(regular))}
    for name in SETS[1:]:
        share = scenario.shared[name]
        own = rng.standard_normal(regular.shape) / math.sqrt(FEATURES)
        found[name] = (math.sqrt(share) * regular, math.sqrt(1.0 - share) * own)
    return found


def study(scenario: Scenario, rng: np.random.Generator, *, noiseless: bool = False) -> RoiSample:
    """One study's ROI, from voxels and noise drawn anew to the choice of voxels and their pooling over subjects.

    rng       : the study's source of randomness.
    noiseless : the patterns without noise of the voxels that were chosen in its presence.
    """
    latent = geometries(scenario)
    smooth = _smoothing(scenario)
    n_voxels = len(scenario.coordinates)
    n_images = scenario.n_images * len(SETS)
    plan = VoxelSelection(per_subject=scenario.per_subject or n_voxels, by=scenario.by)  # type: ignore[arg-type]
    samples = []
    for number, strength in enumerate(scenario.signal, start=1):
        weights = rng.standard_normal((len(SETS), FEATURES, n_voxels))
        gain = strength * np.exp(scenario.heavy * rng.standard_normal(n_voxels))
        clean = [
            shared @ weights[0] + own @ weights[row] for row, (shared, own) in enumerate(latent[name] for name in SETS)
        ]
        noise = rng.standard_normal((scenario.n_runs, n_images, n_voxels)) @ smooth
        patterns = Patterns(
            sub=f"{number:02d}",
            roi="simulated",
            runs=tuple(f"run-{run}" for run in range(1, scenario.n_runs + 1)),
            stim_ids=tuple(f"{name}-{i:03d}" for name in SETS for i in range(scenario.n_images)),
            sets=tuple(name for name in SETS for _ in range(scenario.n_images)),
            categories=tuple(f"category{i:03d}" for _ in SETS for i in range(scenario.n_images)),
            betas=gain * np.concatenate(clean) + scenario.noise_sd * noise,
            voxels=scenario.coordinates,
        )
        on_scale = scaled(patterns, "z_voxel_run")
        chosen = selections(on_scale, plan)
        if noiseless:
            every_run = np.broadcast_to(gain * np.concatenate(clean), patterns.betas.shape)
            on_scale = scaled(replace(patterns, betas=every_run.copy()), "z_voxel_run")
        samples.append(sample_of(on_scale, chosen, SETS))
    return pooled(samples) if len(samples) > 1 else samples[0]


def _smoothing(scenario: Scenario) -> Floats:
    """(n_voxels, n_voxels): white noise times this is smooth, with SD 1 in every voxel."""
    where = scenario.coordinates
    if scenario.fwhm_voxels == 0:
        return np.eye(len(where))
    sd = scenario.fwhm_voxels / FWHM_PER_SD
    squared = np.square(where[:, None, :] - where[None, :, :]).sum(axis=2)
    kernel = np.exp(-squared / (2.0 * sd**2))
    return np.asarray((kernel / np.sqrt(np.square(kernel).sum(axis=1, keepdims=True))).T)


PLAN = AnalysisPlan(task="simulated", rois=("simulated",), pairs=PAIRS)
QUANTITIES = ("RE-AN", "RE-AI", "RE-AI minus RE-AN", "RE-AN corrected", "RE-AI corrected")


def values_of(sample: RoiSample) -> Floats:
    """What is told of a study, (5,): the two similarities, their difference, and the two corrected for reliability."""
    return _columns({name: np.asarray(v) for name, v in similarities_of(PLAN, sample)(UNWEIGHTED).items()})[0]


def intervals_of(sample: RoiSample, plan: BootstrapPlan, rng: np.random.Generator) -> Floats:
    """The intervals of `values_of`, (5, 2), by a plan.

    rng : draws the resamples where there are any.
    """
    _, strata, coordinates = voxels_of_choices(sample.choices)
    scheme = scheme_of(plan, strata, coordinates, len(sample.categories), rng)
    table = _columns(replicates(similarities_of(PLAN, sample), scheme.weights))
    found = []
    for name, value, column in zip(QUANTITIES, values_of(sample), table.T, strict=True):
        interval = scheme.interval(float(value), column, fisher=name in ("RE-AN", "RE-AI"))
        found.append((interval.low, interval.high))
    return np.array(found)


def _columns(found: Mapping[Any, Floats]) -> Floats:
    an, ai = PAIRS
    raw = found[an, "raw"], found[ai, "raw"]
    return np.stack([*raw, raw[1] - raw[0], found[an, "corrected"], found[ai, "corrected"]], axis=-1)
