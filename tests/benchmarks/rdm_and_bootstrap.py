"""The Spearman RDM and its bootstrap over voxels, against loops over scipy that do the same; all timed in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
from _record import measure_once
from scipy import stats
from threadpoolctl import threadpool_limits

from analysis.inference.weighted_rdms import resampled_rdms
from analysis.inference.weights import bootstrap_counts
from analysis.rdm import condensed, spearman_rdm

Floats = npt.NDArray[np.float64]
ToRdm = Callable[[Floats], Floats]

N_IMAGES, N_VOXELS = 40, 300  # Zhang et al. 2018: 40 images of a set, 3 participants x 100 voxels
RESAMPLES = 1000
REPEATS = 3
RDMS = 50  # per timing: one alone is too short to time
TARGETS = {
    "rdm_times_faster_than_spearmanr": "reported, no target",
    "rdm_times_faster_than_rankdata": "reported, no target",
    "bootstrap_times_faster_than_spearmanr": ">= 10",
    "bootstrap_times_faster_than_rankdata": "reported, no target",
    "largest_difference": "<= 1e-12",
}


def by_spearmanr(patterns: Floats) -> Floats:
    """The RDM in one call to scipy: (n_images, n_images)."""
    return np.asarray(1 - stats.spearmanr(patterns, axis=1)[0])


def by_rankdata(patterns: Floats) -> Floats:
    """The leanest that a few lines can do: ranks by scipy, their correlation by numpy; no p values."""
    return np.asarray(1 - np.corrcoef(stats.rankdata(patterns, axis=1)))


def repeatedly(to_rdm: ToRdm, patterns: Floats) -> None:
    """The same RDM again and again."""
    for _ in range(RDMS):
        to_rdm(patterns)


def loop(to_rdm: ToRdm, patterns: Floats, counts: npt.NDArray[np.int32]) -> Floats:
    """One RDM per resample, its voxels repeated and ranked again: (n_resamples, n_pairs)."""
    voxels = np.arange(patterns.shape[1])
    return np.stack([condensed(to_rdm(patterns[:, np.repeat(voxels, drawn)])) for drawn in counts])


def best_s(work: Callable[[], object]) -> float:
    """The shortest of a few timings, s: what others do on this machine only lengthens one."""
    found = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        found.append(time.perf_counter() - begin)
    return min(found)


def measure() -> dict[str, float]:
    """Time every way on the same patterns and resamples, on one thread, and compare what they find."""
    rng = np.random.default_rng(1)
    patterns = rng.standard_normal((N_IMAGES, N_VOXELS))
    counts = bootstrap_counts(np.repeat(["01", "02", "03"], N_VOXELS // 3), RESAMPLES, rng)
    figures = {}
    with threadpool_limits(1):
        rdm = best_s(partial(repeatedly, spearman_rdm, patterns))
        bootstrap = best_s(partial(resampled_rdms, patterns, counts, "spearman"))
        ours = resampled_rdms(patterns, counts, "spearman")
        differences = []
        for name, to_rdm in (("spearmanr", by_spearmanr), ("rankdata", by_rankdata)):
            alone = best_s(partial(repeatedly, to_rdm, patterns))
            looped = best_s(partial(loop, to_rdm, patterns, counts))
            figures[f"rdm_times_faster_than_{name}"] = alone / rdm
            figures[f"bootstrap_times_faster_than_{name}"] = looped / bootstrap
            differences.append(np.abs(ours - loop(to_rdm, patterns, counts)).max())
    return {name: figures[name] for name in TARGETS if name in figures} | {
        "largest_difference": float(max(differences))
    }


def met(figures: Mapping[str, float]) -> bool:
    """Whether the bootstrap is that much faster, and the same."""
    return figures["bootstrap_times_faster_than_spearmanr"] >= 10 and figures["largest_difference"] <= 1e-12


if __name__ == "__main__":
    what = f"Spearman RDM of {N_IMAGES} images x {N_VOXELS} voxels and {RESAMPLES} resamples of it, against loops over scipy"
    facts = {"images": N_IMAGES, "voxels": N_VOXELS, "resamples": RESAMPLES, "threads": 1}
    raise SystemExit(measure_once(__file__, what, TARGETS, measure, met, facts))
