"""The simulated brain: each thing that hides the truth has the size that the study states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dct
from scipy.stats import gamma

from analysis.events import Event
from analysis.simulated_brain import (
    HEAD_RADIUS_MM,
    TRIAL_GAIN_SD,
    VOXEL_MM,
    anatomy,
    cumulative_hrfs,
    drift_pct,
    motion_path,
    moved,
    noise,
    peak_responses,
    responses_pct,
    run_volumes,
    unit_responses,
)
from protocols.study import ScanProtocol, SimulatedBrain


def event(onset_s: float, stim_id: str, duration_s: float = 1.0) -> Event:
    return Event(2, onset_s, duration_s, "RE", stim_id, {})


def brain(**changes: float) -> SimulatedBrain:
    return SimulatedBrain(shared={"V1": {"AN": 0.5, "AI": 0.9}}, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("n_rois", "voxels_per_roi"), [(1, 30), (5, 200), (5, 700)])
def test_rois_are_disjoint_connected_sizes_inside_the_brain(n_rois: int, voxels_per_roi: int) -> None:
    names = [f"R{i}" for i in range(n_rois)]
    head = anatomy(np.random.default_rng(0), names, voxels_per_roi)
    masks = np.stack([head.mask(name) for name in names])
    assert (masks.sum(axis=(1, 2, 3)) == voxels_per_roi).all()
    assert masks.sum(axis=0).max() == 1
    assert not (masks.any(axis=0) & ~head.brain).any()
    for name in names:
        np.testing.assert_array_equal(np.argwhere(head.mask(name)), head.rois[name])


def test_an_event_of_a_duration_is_the_integral_of_the_hrf() -> None:
    """Against a numerical convolution of the two gamma densities with a boxcar."""
    cumulative = cumulative_hrfs(np.random.default_rng(3), 1, delay_sd_s=0.0)
    rng = np.random.default_rng(3)
    peak_s = max(rng.normal(5.3, 0.0, 1)[0], 3.0)
    width_s = 0.95 * rng.lognormal(0.0, 0.15, 1)[0]
    under_s = peak_s + max(rng.normal(10.0, 1.0, 1)[0], 5.0)
    size = rng.uniform(0.05, 0.30, 1)[0]
    fine = np.arange(0, 40, 0.001)
    hrf = gamma.pdf(fine, 1 + peak_s / width_s, scale=width_s)
    hrf -= size * gamma.pdf(fine, 1 + under_s / width_s, scale=width_s)
    assert fine[hrf.argmax()] == pytest.approx(peak_s, abs=0.05)  # the undershoot moves the peak a little
    lags_s = np.array([0.5, 2.0, 5.0, 9.0, 15.0, 25.0])
    expected = [hrf[(fine > lag - 1.5) & (fine <= lag)].sum() * 0.001 for lag in lags_s]
    np.testing.assert_allclose(unit_responses(cumulative, lags_s, 1.5)[:, 0], expected, atol=2e-3)


def test_hrfs_differ_between_voxels_as_stated() -> None:
    lags_s = np.arange(0, 15, 0.05)
    peaks = {}
    for sd in (0.0, 1.0):
        cumulative = cumulative_hrfs(np.random.default_rng(0), 2000, sd)
        peaks[sd] = lags_s[unit_responses(cumulative, lags_s, 0.1).argmax(axis=0)]
    assert peaks[0.0].std() < 0.1
    assert peaks[1.0].std() == pytest.approx(1.0, abs=0.1)


def test_one_image_alone_peaks_at_its_amplitude() -> None:
    cumulative = cumulative_hrfs(np.random.default_rng(0), 4, 0.5)
    amplitudes = np.array([0.5, 1.0, 1.5, -1.0])
    scan = ScanProtocol(tr_s=0.1, volumes=400)
    found = responses_pct(
        np.random.default_rng(0), [event(2.0, "RE-otter")], {"RE-otter": amplitudes}, cumulative, scan, 1.0
    )
    gain = 1.0 + TRIAL_GAIN_SD * np.random.default_rng(0).standard_normal()
    np.testing.assert_allclose(found[:, :3].max(axis=0), gain * amplitudes[:3], rtol=2e-3)
    assert found[:, 3].min() == pytest.approx(-gain, rel=2e-3)
    assert (found[:20] == 0).all()
    assert (peak_responses(cumulative, 2.0) > peak_responses(cumulative, 1.0)).all()


def test_noise_has_the_stated_variance_and_correlations() -> None:
    found = noise(np.random.default_rng(0), (300, 16, 16, 12), ar=0.3, fwhm_voxels=1.5)
    assert found.std() == pytest.approx(1.0, abs=0.02)
    in_time = (found[1:] * found[:-1]).mean()
    assert in_time == pytest.approx(0.3, abs=0.02)
    # neighbours share the overlap of two sampled Gaussians, one voxel apart
    kernel = np.exp(-4 * np.log(2) * np.arange(-8, 9) ** 2 / 1.5**2)
    overlap = (kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum()
    assert (found[:, 1:] * found[:, :-1]).mean() == pytest.approx(overlap, abs=0.02)


def test_noise_without_smoothing_is_white_in_space() -> None:
    found = noise(np.random.default_rng(0), (200, 10, 10, 10), ar=0.0, fwhm_voxels=0.0)
    assert (found[:, 1:] * found[:, :-1]).mean() == pytest.approx(0.0, abs=0.01)
    assert found.std() == pytest.approx(1.0, abs=0.01)


def test_drift_has_the_stated_size_and_is_slow() -> None:
    found = drift_pct(np.random.default_rng(0), (200, 12, 12, 12), 1.5)
    assert np.sqrt((found**2).mean()) == pytest.approx(1.5, rel=0.2)
    power = dct(found, axis=0, norm="ortho") ** 2
    assert power[:6].sum() / power.sum() > 0.99  # up to two and a half cycles per run


@given(st.floats(0, 2), st.integers(0, 100))
@settings(max_examples=20)
def test_motion_has_the_stated_sd(sd_mm: float, seed: int) -> None:
    path = motion_path(np.random.default_rng(seed), 150, sd_mm)
    np.testing.assert_allclose(path[:, :3].std(axis=0), sd_mm, atol=1e-9)
    np.testing.assert_allclose(path[:, 3:].std(axis=0) * HEAD_RADIUS_MM, sd_mm, atol=1e-9)


def test_a_head_that_moves_by_whole_and_half_voxels_is_resampled_there() -> None:
    volumes = np.random.default_rng(0).random((3, 6, 6, 6))
    path = np.zeros((3, 6))
    path[1, 0] = VOXEL_MM
    path[2, 1] = -VOXEL_MM / 2
    found = moved(volumes, path)
    np.testing.assert_array_equal(found[0], volumes[0])
    np.testing.assert_allclose(found[1, 1:], volumes[1, :-1], atol=1e-15)
    np.testing.assert_allclose(found[2, :, :-1], (volumes[2, :, :-1] + volumes[2, :, 1:]) / 2, atol=1e-15)


def test_a_head_that_turns_moves_its_edge_and_not_its_middle() -> None:
    ramp = np.broadcast_to(np.arange(9.0)[None, :, None, None], (1, 9, 9, 9)).copy()
    path = np.zeros((1, 6))
    path[0, 5] = 0.05  # about z: a point at y moves along x by −0.05 y
    found = moved(ramp, path)[0]
    assert found[4, 4, 4] == pytest.approx(4.0)
    assert found[4, 8, 4] == pytest.approx(4.0 + 0.05 * 4, abs=0.01)
    assert found[4, 0, 4] == pytest.approx(4.0 - 0.05 * 4, abs=0.01)


@pytest.mark.parametrize("tsnr", [25.0, 50.0, 200.0])
def test_tsnr_is_as_stated(tsnr: float) -> None:
    head = anatomy(np.random.default_rng(0), ["V1"], 50)
    plan = brain(tsnr=tsnr, drift_pct=0.0, motion_mm=0.0)
    volumes, _ = run_volumes(np.random.default_rng(1), head, {}, ScanProtocol(tr_s=2.0, volumes=200), plan)
    inside = volumes[:, head.brain]
    assert np.median(inside.mean(axis=0) / inside.std(axis=0)) == pytest.approx(tsnr, rel=0.05)


def test_without_noise_drift_and_motion_the_signal_is_all_there_is() -> None:
    head = anatomy(np.random.default_rng(0), ["V1"], 50)
    signal = np.random.default_rng(2).normal(0, 1, (30, 50))
    # without noise: further than a study file may go
    plan = brain(drift_pct=0.0, motion_mm=0.0).model_copy(update={"tsnr": 1e12})
    volumes, _ = run_volumes(np.random.default_rng(1), head, {"V1": signal}, ScanProtocol(tr_s=2.0, volumes=30), plan)
    x, y, z = head.rois["V1"].T
    np.testing.assert_allclose(100 * (volumes[:, x, y, z] / head.baseline[x, y, z] - 1), signal, atol=1e-6)
