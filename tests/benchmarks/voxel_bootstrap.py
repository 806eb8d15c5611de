"""The bootstrap over voxels, 10,000 resamples of 5 ROIs x 3 image types, against loops over scipy; all timed in one run.

Processor time on one thread, of ours and of the loops alike: what others do on the machine does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from _record import measure_once
from scipy import stats
from threadpoolctl import threadpool_limits

from analysis.inference.weighted_rdms import resampled_rdms
from analysis.inference.weights import bootstrap_counts
from analysis.rdm import condensed

Floats = npt.NDArray[np.float64]
ToRdm = Callable[[Floats], Floats]

N_IMAGES, N_VOXELS = 40, 300  # Zhang et al. 2018: 40 images of a type, 3 participants x 100 voxels
ROIS, TYPES, RESAMPLES = 5, 3, 10_000
LOOPED = 25  # resamples of every ROI and type that the loops are timed on; their time is extrapolated
TARGETS = {
    "times_faster_than_spearmanr": ">= 50",
    "times_faster_than_rankdata": "reported, no target",
    "ours_s": "reported, no target",
    "spearmanr_loop_s": "reported, no target",
    "rankdata_loop_s": "reported, no target",
    "largest_difference": "<= 1e-12",
}


def by_spearmanr(patterns: Floats) -> Floats:
    """The RDM in one call to scipy: (n_images, n_images)."""
    return np.asarray(1 - stats.spearmanr(patterns, axis=1)[0])


def by_rankdata(patterns: Floats) -> Floats:
    """The leanest that a few lines can do: ranks by scipy, their correlation by numpy; no p values."""
    return np.asarray(1 - np.corrcoef(stats.rankdata(patterns, axis=1)))


def loop(to_rdm: ToRdm, patterns: Floats, counts: npt.NDArray[np.int32]) -> Floats:
    """One RDM per resample, its voxels repeated and ranked again: (n_resamples, n_pairs)."""
    voxels = np.arange(patterns.shape[1])
    return np.stack([condensed(to_rdm(patterns[:, np.repeat(voxels, drawn)])) for drawn in counts])


def measure() -> dict[str, float]:
    """Time all of ours and a part of the loops, in turn on the same patterns and resamples, on one thread."""
    rng = np.random.default_rng(1)
    spent = {"ours": 0.0, "spearmanr": 0.0, "rankdata": 0.0}
    largest = 0.0
    with threadpool_limits(1):
        for _ in range(ROIS):
            counts = bootstrap_counts(np.repeat(["01", "02", "03"], N_VOXELS // 3), RESAMPLES, rng)
            for _ in range(TYPES):
                patterns = rng.standard_normal((N_IMAGES, N_VOXELS))
                begin = time.process_time()
                ours = resampled_rdms(patterns, counts, "spearman")
                spent["ours"] += time.process_time() - begin
                for name, to_rdm in (("spearmanr", by_spearmanr), ("rankdata", by_rankdata)):
                    begin = time.process_time()
                    theirs = loop(to_rdm, patterns, counts[:LOOPED])
                    spent[name] += (time.process_time() - begin) * RESAMPLES / LOOPED
                    largest = max(largest, float(np.abs(ours[:LOOPED] - theirs).max()))
    return {
        "times_faster_than_spearmanr": spent["spearmanr"] / spent["ours"],
        "times_faster_than_rankdata": spent["rankdata"] / spent["ours"],
        "ours_s": spent["ours"],
        "spearmanr_loop_s": spent["spearmanr"],
        "rankdata_loop_s": spent["rankdata"],
        "largest_difference": largest,
    }


def met(figures: Mapping[str, float]) -> bool:
    """Whether the bootstrap is that much faster, and the same."""
    return figures["times_faster_than_spearmanr"] >= 50 and figures["largest_difference"] <= 1e-12


if __name__ == "__main__":
    what = (
        f"{RESAMPLES} resamples of the voxels of {ROIS} ROIs x {TYPES} types of {N_IMAGES} images x {N_VOXELS} voxels, "
        "1 - Spearman RDM of each, against loops over scipy"
    )
    facts = {"threads": 1, "clock": "processor time", "resamples_of_each_that_the_loops_were_timed_on": LOOPED}
    raise SystemExit(measure_once(__file__, what, TARGETS, measure, met, facts))
