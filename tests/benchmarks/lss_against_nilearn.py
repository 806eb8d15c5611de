"""Least squares separate for 120 trials at once, against loops that let nilearn fit every trial's model again.

Two loops. `FirstLevelModel`, as nilearn's documentation shows it: each trial's model is fitted to the image, and its beta
made a map; ours then also begins and ends with an image. And `run_glm` alone, on the voxels' series laid out as it takes
them: no more than the sums that a refit needs. Both hold designs that are ready, ordinary least squares, an image that is
in memory. The loops are timed on a few trials and extrapolated from the fastest of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import nibabel
import numpy as np
from _glm_problem import SHAPE, TRIALS, VOLUMES, Floats, alone, design, peak_bytes, series, timed_s
from _record import measure_once
from nilearn.glm.first_level import FirstLevelModel, run_glm
from pandas import DataFrame
from threadpoolctl import threadpool_limits

from analysis.glm.lss import lss

THREADS = 2
REFITTED = (0, 17, 59, 119)  # trials that nilearn fits
REPEATS = 5  # of ours
TARGETS = {
    "times_faster_than_first_level_model_loop": ">= 300",
    "times_faster_than_run_glm_loop": "reported, no target",
    "largest_relative_difference_of_betas": "<= 1e-6",
    "largest_relative_difference_of_t": "<= 1e-6",
    "largest_difference_of_maps_by_their_sd": "<= 1e-6 (maps are float32)",
    "peak_memory_gib": "<= 1.4 (1.5 GB)",
}


def models(trials: Floats, nuisance: Floats) -> list[Floats]:
    """The designs that nilearn fits: the trial, the sum of the others, nuisance."""
    others = [np.delete(trials, trial, axis=1).sum(axis=1) for trial in REFITTED]
    return [np.column_stack([trials[:, trial], other, nuisance]) for trial, other in zip(REFITTED, others, strict=True)]


def by_image(matrix: Floats, image: Any, mask: Any) -> Floats:
    """One trial as nilearn's documentation fits it: the map of its betas."""
    names = ["trial", "others", *(f"nuisance_{place}" for place in range(matrix.shape[1] - 2))]
    model = FirstLevelModel(mask_img=mask, noise_model="ols", signal_scaling=False, standardize=False)
    model.fit(image, design_matrices=DataFrame(matrix, columns=names))
    return np.asarray(model.compute_contrast("trial", output_type="effect_size").get_fdata())


def ours_by_image(trials: Floats, nuisance: Floats, image: Any, mask: Any) -> Any:
    """All trials, from an image to an image."""
    # volumes one after the other, x fastest, as files have them
    places = np.flatnonzero(np.asarray(mask.dataobj).ravel(order="F"))
    volumes = np.asarray(image.dataobj).reshape(-1, image.shape[3], order="F").T
    found = lss(trials, nuisance, volumes if places.size == volumes.shape[1] else volumes[:, places], threads=THREADS)
    maps = np.zeros((trials.shape[1], volumes.shape[1]), dtype=np.float32)
    maps[:, places] = found
    return nibabel.Nifti1Image(maps.T.reshape(*mask.shape, -1, order="F"), image.affine)


def relative(ours: Floats, theirs: Floats) -> float:
    """The largest difference between two arrays, by what each number of theirs is."""
    return float((np.abs(ours - theirs) / np.abs(theirs)).max())


def measure(shape: tuple[int, int, int] = SHAPE) -> dict[str, float]:
    """Every way on the same data and threads."""
    trials, nuisance = design()
    matrices, single = models(trials, nuisance), series(trials, nuisance, shape)
    with threadpool_limits(THREADS):
        figures = by_series(trials, nuisance, matrices, single.astype(np.float64))
        # laid out as a file's volumes are
        image = nibabel.Nifti1Image(single.reshape(VOLUMES, *shape[::-1]).T, np.diag([3.0, 3.0, 3.0, 1.0]))
        mask = nibabel.Nifti1Image(np.ones(shape, dtype=np.int8), image.affine)
        own = [timed_s(partial(ours_by_image, trials, nuisance, image, mask)) for _ in range(REPEATS)]
        theirs = [timed_s(partial(by_image, matrix, image, mask)) for matrix in matrices]
    own_s, their_s = min(took_s for took_s, _ in own), min(took_s for took_s, _ in theirs)
    maps = np.asarray(own[-1][1].dataobj)
    differences = [np.abs(maps[..., trial] - one) for trial, (_, one) in zip(REFITTED, theirs, strict=True)]
    return {
        "times_faster_than_first_level_model_loop": TRIALS * their_s / own_s,
        **figures,
        "largest_difference_of_maps_by_their_sd": float(np.max(differences) / np.std([one for _, one in theirs])),
        "peak_memory_gib": alone(__file__, "--alone")["peak_bytes"] / 2**30 if shape == SHAPE else 0.0,
        "image_to_image_s": own_s,
        "first_level_model_s_per_trial": their_s,
    }


def by_series(trials: Floats, nuisance: Floats, matrices: Sequence[Floats], data: Floats) -> dict[str, float]:
    """Ours and `run_glm` on series that are laid out as it takes them."""
    lss(trials, nuisance, data[:, :8192])  # whatever the first pass alone has to do is nobody's
    own = [timed_s(partial(lss, trials, nuisance, data, threads=THREADS)) for _ in range(REPEATS)]
    theirs = [timed_s(partial(run_glm, data, matrix, noise_model="ols")) for matrix in matrices]
    betas, ts = own[-1][1], lss(trials, nuisance, data, pattern="t")
    of_betas, of_ts = [], []
    for trial, (_, (_, results)) in zip(REFITTED, theirs, strict=True):
        fit = results[0.0]
        of_betas.append(relative(betas[trial], fit.theta[0]))
        of_ts.append(relative(ts[trial], fit.Tcontrast(np.eye(len(fit.theta))[0]).t))
    own_s, their_s = min(took_s for took_s, _ in own), min(took_s for took_s, _ in theirs)
    return {
        "times_faster_than_run_glm_loop": TRIALS * their_s / own_s,
        "largest_relative_difference_of_betas": max(of_betas),
        "largest_relative_difference_of_t": max(of_ts),
        "series_to_series_s": own_s,
        "run_glm_s_per_trial": their_s,
    }


def met(figures: Mapping[str, float]) -> bool:
    """Whether it is that much faster, the same, and small."""
    return (
        figures["times_faster_than_first_level_model_loop"] >= 300
        and figures["largest_relative_difference_of_betas"] <= 1e-6
        and figures["largest_relative_difference_of_t"] <= 1e-6
        and figures["largest_difference_of_maps_by_their_sd"] <= 1e-6
        and figures["peak_memory_gib"] <= 1.5e9 / 2**30
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a sixteenth of the voxels, and record nothing")
    parser.add_argument("--alone", action="store_true", help="only ours, and print this process's peak memory")
    parser.add_argument("--to", help="folder of the JSON record")
    asked = parser.parse_args()
    if asked.small:
        print(json.dumps(measure((16, 16, 30)), indent=2))
        raise SystemExit(0)
    if asked.alone:
        regressors = design()
        lss(*regressors, series(*regressors), threads=THREADS)
        print(json.dumps({"peak_bytes": peak_bytes()}))
        raise SystemExit(0)
    what = f"least squares separate, {TRIALS} trials on {SHAPE[0]} x {SHAPE[1]} x {SHAPE[2]} x {VOLUMES}, against nilearn's refitting"
    facts = {
        "trials": TRIALS,
        "nuisance_columns": 21,
        "volumes": VOLUMES,
        "voxels": int(np.prod(SHAPE)),
        "threads": THREADS,
        "extrapolated_from_trials": len(REFITTED),
        "peak_memory": "of a process that makes the data (float32) and estimates all betas (float64), nothing else",
    }
    raise SystemExit(measure_once(__file__, what, TARGETS, measure, met, facts))
