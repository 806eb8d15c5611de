"""The library: each voxel gets the response that it was made with."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.events import Event
from analysis.glm.design import RunInputs, shared_conditions
from analysis.glm.hrf import library
from analysis.glm.hrf_choice import best_response
from protocols.glm_plan import GlmPlan, HrfLibrary
from protocols.problems import FoolscanError
from protocols.study import ScanProtocol

SCAN = ScanProtocol(tr_s=1.5, volumes=120)
IDS = tuple(f"RE-{i:02d}" for i in range(10))
PLAN = GlmPlan(hrf="library", library=HrfLibrary(peaks_s=(4.0, 5.5, 7.0), widths=(0.8, 1.3)))
LIBRARY = library(PLAN.library)


def runs(n: int) -> list[RunInputs]:
    found = []
    for seed in range(n):
        rng = np.random.default_rng(seed)
        onsets_s = 8.0 + 8.0 * np.arange(20) + rng.uniform(0, 3, 20)
        order = [str(name) for _ in range(2) for name in rng.permutation(IDS)]
        events = [
            Event(i + 2, onset, 1.0, "RE", name, {})
            for i, (onset, name) in enumerate(zip(onsets_s, order, strict=True))
        ]
        found.append(RunInputs(images=events, scan=SCAN, start_s=0.75))
    return found


def simulated(noise_sd: float, n_runs: int = 3, per: int = 30) -> tuple[list, list[np.ndarray], np.ndarray]:
    """Voxels of every response of the library in turn, of one signal size."""
    candidates = [shared_conditions(runs(n_runs), IDS, PLAN, one) for one in LIBRARY]
    rng = np.random.default_rng(99)
    truth = np.repeat(np.arange(len(LIBRARY)), per)
    betas = 1.0 + 0.5 * rng.normal(size=(len(IDS), len(truth)))
    percent = []
    for place in range(n_runs):
        columns = np.stack([candidates[one][place][0] / LIBRARY[one].peak(1.0) for one in truth])
        signal = np.einsum("vnc,cv->nv", columns, betas)
        percent.append(signal + noise_sd * rng.normal(size=signal.shape) + 5.0)
    return candidates, percent, truth


@pytest.mark.parametrize("by", ["cross_validated", "fit"])
def test_voxels_get_the_response_they_were_made_with(by: str) -> None:
    candidates, percent, truth = simulated(noise_sd=0.2)
    found, r2 = best_response(candidates, percent, by)
    assert (found == truth).mean() > 0.9
    # what is missed is missed by one step of width, not of peak
    assert (found // 2 == truth // 2).mean() > 0.99
    assert np.median(r2) > 0.6


def test_without_noise_every_voxel_is_right() -> None:
    candidates, percent, truth = simulated(noise_sd=0.0, per=3)
    found, r2 = best_response(candidates, percent, "cross_validated")
    np.testing.assert_array_equal(found, truth)
    np.testing.assert_allclose(r2, 1.0, atol=1e-6)


def test_voxels_that_cannot_be_used_have_none() -> None:
    candidates, percent, _ = simulated(noise_sd=0.5, per=2)
    percent[1][:, 4] = np.nan
    found, r2 = best_response(candidates, percent, "cross_validated")
    assert found[4] == -1
    assert np.isnan(r2[4])
    assert (np.delete(found, 4) >= 0).all()


def test_one_run_cannot_be_cross_validated() -> None:
    candidates, percent, _ = simulated(noise_sd=0.5, n_runs=1, per=1)
    with pytest.raises(FoolscanError, match="needs at least two runs of a subject; found 1; use fit"):
        best_response(candidates, percent, "cross_validated")
    best_response(candidates, percent, "fit")
