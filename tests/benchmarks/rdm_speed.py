"""1 − Spearman of a convolutional layer, against its bare arithmetic, scipy's ranks and rsatoolbox's Pearson; timed in one run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import rsatoolbox
from _record import measure_once
from scipy import stats
from threadpoolctl import threadpool_limits

from analysis.rdm import condensed, pearson_rdm, spearman_rdm

Singles = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

LAYER = (120, 193_600)  # images; units of AlexNet's first convolution, 64 x 55 x 55
BRAIN = (40, 300)  # images of a set; 3 participants x 100 voxels
REPEATS = 5
RDMS = 50  # of the brain's size per timing: one alone is too short to time
TARGETS = {
    "of_one_product_and_one_argsort": "<= 3, continuous activations",
    "relu_of_one_product_and_one_argsort": "<= 3, activations of which half are 0",
    "times_faster_than_rankdata_and_corrcoef": ">= 3",
    "relu_times_faster_than_rankdata_and_corrcoef": ">= 3",
    "times_faster_than_rsatoolbox_pearson": "> 1",
    "relu_times_faster_than_rsatoolbox_pearson": "> 1",
    "largest_difference": "<= 1e-12, of 1 - Spearman to scipy's, on these data",
    "largest_difference_pearson": "<= 1e-5, of 1 - Pearson to rsatoolbox's, which sums in single precision",
    "brain_times_faster_than_rankdata_and_corrcoef": "reported, no target",
    "brain_times_faster_than_spearmanr": "reported, no target",
    "one_rdm_s": "reported, no target",
}


def activations(rng: np.random.Generator) -> dict[str, Singles]:
    """A layer before and after its rectification, which makes ties of half the units."""
    before = rng.standard_normal(LAYER, dtype=np.float32)
    return {"": before, "relu_": np.maximum(before, 0)}


def bare(patterns: Singles) -> None:
    """What an RDM of ranks cannot do without: one product of the data with themselves, and one sort of them."""
    patterns @ patterns.T
    np.argsort(patterns, axis=1)


def by_rankdata(patterns: npt.NDArray[np.floating]) -> Floats:
    """The leanest that a few lines can do: ranks by scipy, their correlation by numpy; no p values."""
    return np.asarray(1 - np.corrcoef(stats.rankdata(patterns, axis=1)))


def by_spearmanr(patterns: Floats) -> Floats:
    """The RDM in one call to scipy."""
    return np.asarray(1 - stats.spearmanr(patterns, axis=1)[0])


def rsatoolbox_pearson(patterns: Singles) -> Floats:
    """The upper triangle of rsatoolbox's 1 − Pearson, whose patterns need no ranks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(
            rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(patterns), method="correlation").dissimilarities[0]
        )


def repeatedly(to_rdm: Callable[[Floats], Floats], patterns: Floats) -> None:
    """The same RDM again and again."""
    for _ in range(RDMS):
        to_rdm(patterns)


def best_s(*works: Callable[[], object]) -> list[float]:
    """The shortest of a few timings of each, s of processor time, in turns: what others do on this machine only lengthens one."""
    found = [np.inf] * len(works)
    for _ in range(REPEATS):
        for place, work in enumerate(works):
            begin = time.process_time()
            work()
            found[place] = min(found[place], time.process_time() - begin)
    return found


def measure() -> dict[str, float]:
    """Time every way on the same data, on one thread, and compare what they find."""
    rng = np.random.default_rng(1)
    figures: dict[str, float] = {}
    differences, of_pearson = [], []
    with threadpool_limits(1):
        for name, patterns in activations(rng).items():
            ways = (spearman_rdm, bare, by_rankdata, rsatoolbox_pearson)
            ours, least, ranked, pearson = best_s(*(partial(way, patterns) for way in ways))
            figures[f"{name}of_one_product_and_one_argsort"] = ours / least
            figures[f"{name}times_faster_than_rankdata_and_corrcoef"] = ranked / ours
            figures[f"{name}times_faster_than_rsatoolbox_pearson"] = pearson / ours
            figures["one_rdm_s"] = max(ours, figures.get("one_rdm_s", 0.0))
            differences.append(np.abs(spearman_rdm(patterns) - by_rankdata(patterns)).max())
            of_pearson.append(np.abs(condensed(pearson_rdm(patterns)) - rsatoolbox_pearson(patterns)).max())
        voxels = rng.standard_normal(BRAIN)
        ways = (spearman_rdm, by_rankdata, by_spearmanr)
        ours, ranked, correlated = best_s(*(partial(repeatedly, way, voxels) for way in ways))
        figures["brain_times_faster_than_rankdata_and_corrcoef"] = ranked / ours
        figures["brain_times_faster_than_spearmanr"] = correlated / ours
        differences.append(np.abs(spearman_rdm(voxels) - by_spearmanr(voxels)).max())
    figures["largest_difference"] = float(max(differences))
    figures["largest_difference_pearson"] = float(max(of_pearson))
    return {name: figures[name] for name in TARGETS}


def met(figures: Mapping[str, float]) -> bool:
    """Whether every target is."""
    return (
        all(figures[f"{name}of_one_product_and_one_argsort"] <= 3 for name in ("", "relu_"))
        and all(figures[f"{name}times_faster_than_rankdata_and_corrcoef"] >= 3 for name in ("", "relu_"))
        and all(figures[f"{name}times_faster_than_rsatoolbox_pearson"] > 1 for name in ("", "relu_"))
        and figures["largest_difference"] <= 1e-12
        and figures["largest_difference_pearson"] <= 1e-5
    )


if __name__ == "__main__":
    what = f"1 - Spearman RDM of {LAYER[0]} images x {LAYER[1]} units, float32, against its bare arithmetic, scipy and rsatoolbox"
    facts = {
        "images": LAYER[0],
        "units": LAYER[1],
        "repeats": REPEATS,
        "threads": "1 (threadpoolctl)",
        "clock": "processor time",
    }
    raise SystemExit(measure_once(__file__, what, TARGETS, measure, met, facts))
