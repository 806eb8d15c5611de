"""What a planned order can tell: checked against simulation, and against another program's design."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from experiment_study import fill, small_study

from experiment.design_efficiency import cosines, design_of, response
from experiment.plan import plan_run
from experiment.scan import ScanTimes
from protocols.folder import RunId, read_json
from protocols.formats import DESIGN
from protocols.provenance import sidecar_path
from protocols.rig import load_rig

SCAN = ScanTimes(tr_s=2.0, first_pulse_s=0.0, pulses=150, task_start_s=0.0, end_s=300.0)


def _trials(soa_s: float, n: int = 12, per_image: int = 2) -> tuple[list[float], list[float], list[str]]:
    rng = np.random.default_rng(1)
    names = [f"image-{i}" for i in range(n) for _ in range(per_image)]
    return [10.0 + soa_s * i for i in range(len(names))], [1.0] * len(names), list(rng.permutation(names))


def test_the_response_is_spms() -> None:
    """The same shape as nilearn's SPM canonical function convolved with the image's duration."""
    from nilearn.glm.first_level import compute_regressor

    times_s = np.arange(0, 60, 0.5)
    theirs, _ = compute_regressor(np.array([[5.0], [2.0], [1.0]]), "spm", times_s, oversampling=100)
    ours = response(times_s - 5.0, 2.0)
    # nilearn samples the function and cuts it at 32 s; the shape is what matters to a design
    assert np.corrcoef(ours, theirs[:, 0])[0, 1] > 0.9999


def test_the_cosines_are_those_the_analysis_takes_out() -> None:
    from nilearn.glm.first_level import make_first_level_design_matrix

    drift = make_first_level_design_matrix(np.arange(150) * 2.0, drift_model="cosine", high_pass=0.01).to_numpy()
    both = np.linalg.matrix_rank(np.column_stack([drift, cosines(150, 2.0, 0.01)]), tol=1e-8)
    assert both == drift.shape[1] == cosines(150, 2.0, 0.01).shape[1]


def test_the_covariance_is_that_of_estimates_from_noise() -> None:
    """Responses fitted to many runs of pure noise vary, and vary together, as the design says."""
    onsets, durations, names = _trials(soa_s=4.0)
    design = design_of(onsets, durations, names, SCAN, 0.01)
    assert design is not None
    volumes_s = (np.arange(150) + 0.5) * 2.0
    columns = {name: np.zeros(150) for name in design.stim_ids}
    for onset, duration, name in zip(onsets, durations, names, strict=True):
        columns[name] += response(volumes_s - onset, duration)
    x = np.column_stack([*columns.values(), cosines(150, 2.0, 0.01)])
    noise = np.random.default_rng(2).standard_normal((150, 20_000))
    estimates = np.linalg.lstsq(x, noise, rcond=None)[0][: len(columns)]
    expected = 1 - design.order_rdm
    assert np.cov(estimates) == pytest.approx(design.covariance, abs=0.05 * design.covariance.max())
    assert np.corrcoef(estimates) == pytest.approx(expected, abs=0.04)


def test_images_far_apart_do_not_inflate_one_another() -> None:
    close = design_of(*_trials(soa_s=4.0), SCAN, 0.01)
    scan = ScanTimes(2.0, 0.0, 600, 0.0, 1200.0)
    apart = design_of(*_trials(soa_s=45.0), scan, 0.001)
    assert close is not None
    assert apart is not None
    assert apart.inflation.max() < 1.1 < close.inflation.max()
    assert apart.efficiency > close.efficiency
    assert np.abs(apart.order_rdm[np.triu_indices(12, 1)] - 1).max() < 0.2


def test_neighbours_stand_out_in_the_order_rdm() -> None:
    """Images that follow one another have errors of opposite sign: their noise is more than 1 apart."""
    onsets = [10.0 + 3.0 * i for i in range(20)]
    design = design_of(onsets, [1.0] * 20, [f"i{k:02d}" for k in range(20)], SCAN, 0.01)
    assert design is not None
    neighbours = np.diag(design.order_rdm, 1)
    others = design.order_rdm[np.triu_indices(20, 8)]
    assert neighbours.min() > 1.2 > others.max()


def test_without_a_scanner_or_enough_volumes_there_is_no_design() -> None:
    onsets, durations, names = _trials(soa_s=4.0)
    assert design_of(onsets, durations, names, ScanTimes(2.0, 0.0, 1, 0.0, None), 0.01) is None
    assert design_of(onsets, durations, names, ScanTimes(2.0, 0.0, 10, 0.0, 20.0), 0.01) is None


def test_a_runs_design_is_written_beside_its_timeline(tmp_path: Path) -> None:
    """The file says what the order of this run can tell; another order says something else."""
    study, rig = small_study(tmp_path), load_rig("rehearsal")
    folder = fill(tmp_path / "study", study, rig)
    planned = [plan_run(study, rig, folder.root, RunId("01", "01", "animals", run)) for run in (1, 2)]
    texts = []
    for plan in planned:
        path = folder.design(plan.timeline.run)
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        assert plan.design is not None
        assert tuple(rows[0][1:]) == tuple(row[0] for row in rows[1:]) == plan.design.stim_ids
        written = np.array([row[1:] for row in rows[1:]], dtype=float)
        assert written == pytest.approx(plan.design.covariance, rel=1e-6)
        facts = read_json(sidecar_path(path))
        assert facts["format"] == DESIGN
        assert facts["variance_inflation_max"] >= 1
        texts.append(path.read_text(encoding="utf-8"))
    assert texts[0] != texts[1]
