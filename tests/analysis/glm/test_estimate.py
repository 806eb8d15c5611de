"""Estimates: exact on data without noise, nilearn's own on data with it, for every model."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.confounds import confounds_path
from analysis.events import Event
from analysis.glm.design import Design, RunInputs, design_of
from analysis.glm.estimate import estimate
from analysis.glm.run_series import percent_signal
from analysis.nifti import open_nifti
from analysis.rois import load_rois, write_mask
from protocols.folder import StudyFolder
from protocols.glm_plan import GlmPlan
from protocols.study import ScanProtocol, Study

Simulated = tuple[Study, StudyFolder]
SCAN = ScanProtocol(tr_s=2.0, volumes=90)
IDS = tuple(f"RE-{i:02d}" for i in range(12))
MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")


def images(seed: int = 0, times: int = 1) -> list[Event]:
    rng = np.random.default_rng(seed)
    order = [str(name) for _ in range(times) for name in rng.permutation(IDS)]
    return [Event(i + 2, 10.0 + 12.0 / times * i, 1.0, "RE", name, {}) for i, name in enumerate(order)]


def design(
    events: list[Event], plan: GlmPlan | None = None, motion: np.ndarray | None = None, **more: object
) -> Design:
    names = MOTION if motion is not None else ()
    inputs = RunInputs(images=events, scan=SCAN, start_s=1.0, confounds=motion, names=names, **more)  # type: ignore[arg-type]
    return design_of(inputs, IDS, plan or GlmPlan())


def fit(of: Design, data: np.ndarray, **plan: object) -> np.ndarray:
    return estimate(of, data, GlmPlan(**plan)).patterns  # type: ignore[arg-type]


@pytest.mark.parametrize("drift", ["cosine", "polynomial"])
@pytest.mark.parametrize("hrf", ["spm", "glover"])
@pytest.mark.parametrize("noise", ["ols", "ar1"])
def test_a_signal_made_of_the_regressors_gives_back_its_betas(drift: str, hrf: str, noise: str) -> None:
    plan = GlmPlan(hrf=hrf, drift=drift)  # type: ignore[arg-type]
    of = design(images(), plan, np.random.default_rng(5).normal(0, 0.1, (90, 6)))
    true = np.random.default_rng(1).normal(0, 1, (of.matrix.shape[1], 8))
    found = fit(of, of.matrix @ true, noise=noise)
    np.testing.assert_allclose(found, true[:12] * of.peak, atol=1e-6)


def test_ordinary_least_squares_agree_with_an_independent_solver() -> None:
    of = design(images())
    data = np.random.default_rng(2).normal(0, 2, (90, 30))
    expected = np.linalg.lstsq(of.matrix, data, rcond=None)[0][:12] * of.peak
    np.testing.assert_allclose(fit(of, data), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("noise", "tolerance"), [("ols", 1e-6), ("ar1", 1e-4)])
def test_betas_and_t_are_nilearns(noise: str, tolerance: float) -> None:
    from nilearn.glm.first_level import run_glm

    of = design(images(), motion=np.random.default_rng(5).normal(0, 0.1, (90, 6)))
    data = np.random.default_rng(2).normal(0, 2, (91, 30))
    data = data[1:] + 0.4 * data[:-1]
    labels, results = run_glm(data, of.matrix, noise_model=noise)
    betas, t = np.empty((12, 30)), np.empty((12, 30))
    for label, result in results.items():
        betas[:, labels == label] = result.theta[:12] * of.peak
        for row in range(12):
            t[row, labels == label] = result.t(row)
    np.testing.assert_allclose(fit(of, data, noise=noise), betas, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(fit(of, data, noise=noise, pattern="t"), t, rtol=tolerance, atol=tolerance)


def test_separate_models_are_those_that_are_fitted_one_by_one() -> None:
    of = design(images(times=2), GlmPlan(model="lss"))
    data = np.random.default_rng(2).normal(0, 2, (90, 7))
    found, t = fit(of, data, model="lss"), fit(of, data, model="lss", pattern="t")
    trials, nuisance = of.matrix[:, :24], of.matrix[:, 24:]
    for trial in range(24):
        others = np.delete(trials, trial, axis=1).sum(axis=1)
        one = np.column_stack([trials[:, trial], others, nuisance])
        betas, left, _, _ = np.linalg.lstsq(one, data, rcond=None)
        se = np.sqrt(left / (90 - one.shape[1]) * np.linalg.inv(one.T @ one)[0, 0])
        np.testing.assert_allclose(found[trial], betas[0] * of.peak, rtol=1e-7)
        np.testing.assert_allclose(t[trial], betas[0] / se, rtol=1e-7)


def test_finite_impulse_responses_give_back_a_response_of_any_shape() -> None:
    shape = np.random.default_rng(8).normal(0, 1, 6)
    events = images(times=2)[::6]
    plan = GlmPlan(hrf="fir", fir_delays=6, fir_window_s=(4.0, 8.0))
    signal = np.zeros((90, 1))
    for event in events:
        first = int(event.onset_s // 2)
        signal[first : first + 6, 0] += shape
    of = design(events, plan)
    betas = np.linalg.lstsq(of.matrix, signal, rcond=None)[0][: of.n_conditions, 0]
    np.testing.assert_allclose(betas.reshape(-1, 6), np.tile(shape, (of.n_conditions // 6, 1)), atol=1e-9)
    # of 2 s each, those whose middle is 5 and 7 s after onset
    np.testing.assert_allclose(estimate(of, signal, plan).patterns[:, 0], shape[2:4].mean(), atol=1e-9)


def test_residuals_are_what_the_model_leaves() -> None:
    of = design(images())
    data = np.random.default_rng(2).normal(0, 2, (90, 5))
    for model in ("run_condition", "lss"):
        found = estimate(of, data, GlmPlan(model=model), with_residuals=True)  # type: ignore[arg-type]
        assert found.residuals is not None
        np.testing.assert_allclose(of.matrix.T @ found.residuals, 0, atol=1e-8)
        assert found.dof == 90 - of.matrix.shape[1]


@pytest.mark.parametrize("noise", ["ols", "ar1"])
def test_the_whole_model_agrees_with_nilearns_first_level_model(
    finished: Simulated, noise: str, tmp_path: Path
) -> None:
    """An independent path: nilearn reads the image and the events and does everything itself."""
    from nilearn.glm.first_level import FirstLevelModel

    study, folder = finished
    run = folder.runs("animals")[0]
    mask = load_rois(study, folder, "01")["V1"]
    write_mask(tmp_path / "mask.nii.gz", mask, open_nifti(folder.bold(run)).affine)
    table = pd.read_csv(folder.events(run), sep="\t")
    table = table[table.stim_id.notna()]
    events = pd.DataFrame(
        {"onset": table.onset, "duration": table.duration, "trial_type": table.stim_id.str.replace("-", "_")}
    )
    motion = pd.read_csv(confounds_path(folder, run), sep="\t")
    model = FirstLevelModel(
        t_r=2.0,
        slice_time_ref=0.5,
        hrf_model="spm",
        drift_model="cosine",
        high_pass=0.01,
        noise_model=noise,
        mask_img=tmp_path / "mask.nii.gz",
        signal_scaling=0,
        minimize_memory=True,
    )
    model.fit(str(folder.bold(run)), events, confounds=motion - motion.mean())
    shown = [Event(2, row.onset, row.duration, row.trial_type, row.stim_id, {}) for row in table.itertuples()]
    inputs = RunInputs(images=shown, scan=study.scan, start_s=1.0, confounds=motion.to_numpy(), names=MOTION)
    ours = design_of(inputs, sorted(table.stim_id), study.analysis.glm)
    series = np.asarray(nibabel.load(folder.bold(run)).dataobj)[mask].T
    found = fit(ours, percent_signal(series), noise=noise)
    for row, stim_id in enumerate(ours.stim_ids[:4]):
        theirs = model.compute_contrast(stim_id.replace("-", "_"), output_type="effect_size")
        expected = theirs.get_fdata()[mask] * ours.peak
        # theirs rounds onsets to 1/50 of a TR, ours to 1/20, and the image is stored in single precision
        np.testing.assert_allclose(found[row], expected, atol=0.02 * np.abs(expected).max())
        assert np.corrcoef(found[row], expected)[0, 1] > 0.9999


def test_a_response_of_one_percent_has_a_beta_of_one() -> None:
    """The canonical response to one isolated image, with its peak at 1 % of the baseline."""
    one = design([Event(2, 20.0, 1.0, "RE", "RE-00", {})])
    series = 800.0 * (1.0 + 0.01 * one.matrix[:, :1] / one.peak)
    assert series.max() == pytest.approx(808.0, abs=0.4)  # the volumes miss the peak by a little
    assert fit(one, percent_signal(series))[0, 0] == pytest.approx(1.0, rel=0.01)


@given(st.floats(1e-3, 1e6), st.integers(0, 50))
@settings(max_examples=25)
def test_percent_signal_does_not_depend_on_the_scanners_units(gain: float, seed: int) -> None:
    series = np.random.default_rng(seed).uniform(900, 1100, (40, 3))
    np.testing.assert_allclose(percent_signal(gain * series), percent_signal(series), atol=1e-9)


def test_voxels_without_a_usable_time_series_are_nan_and_leave_the_others_alone() -> None:
    of = design(images())
    series = np.random.default_rng(3).uniform(900, 1100, (90, 6))
    series[:, 0], series[:, 1], series[4, 2], series[:, 3] = 0.0, 7.0, np.nan, -series[:, 3]
    percent = percent_signal(series)
    assert np.isnan(percent).any(axis=0).tolist() == [True, True, True, True, False, False]
    found = fit(of, percent)
    assert np.isnan(found[:, :4]).all()
    np.testing.assert_allclose(found[:, 4:], fit(of, percent[:, 4:]), atol=1e-12)
    assert np.isnan(fit(of, percent[:, :4])).all()
