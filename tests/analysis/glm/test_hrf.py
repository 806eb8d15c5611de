"""Responses: SPM's own numbers, and the library's canonical member."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from analysis.glm.hrf import DoubleGamma, delays_in, fir, library, nilearn_peak
from protocols.glm_plan import HrfLibrary

SPM = Path(__file__).resolve().parents[4] / "shared" / "data" / "spm_hrf"
needs_spm = pytest.mark.skipif(
    not SPM.is_dir(), reason="SPM's haemodynamic responses (shared/data/spm_hrf) are not here"
)


@needs_spm
def test_the_canonical_response_is_spms() -> None:
    """SPM sums gamma densities over its steps; the library integrates them."""
    found = loadmat(SPM / "spm_bases.mat", squeeze_me=True)
    dt_s, theirs = float(found["dt"]), found["hrf"]
    times_s = dt_s * np.arange(len(theirs))
    ours = np.diff(DoubleGamma(5.0, 1.0).integral(np.append(times_s - dt_s / 2, times_s[-1] + dt_s / 2)))
    np.testing.assert_allclose(ours / ours.sum(), theirs / theirs.sum(), atol=1e-4 * theirs.max() / theirs.sum())


@needs_spm
def test_nilearns_canonical_response_is_spms() -> None:
    from nilearn.glm.first_level import spm_hrf

    found = loadmat(SPM / "spm_bases.mat", squeeze_me=True)
    dt_s, theirs = float(found["dt"]), found["hrf"]
    ours = spm_hrf(2.0, oversampling=round(2.0 / dt_s))
    # nilearn's time axis is stretched by a step, and begins one step late
    shared = min(len(ours), len(theirs))
    difference = np.abs(ours[:shared] / ours.max() - theirs[:shared] / theirs.max())
    assert difference.max() < 0.005


@needs_spm
def test_peaks_and_widths_are_spms_parameters() -> None:
    """SPM's sets of step, delays, dispersions and ratio: those that the library can say."""
    found = loadmat(SPM / "spm_hrfs.mat", squeeze_me=True)
    compared = 0
    for parameters, theirs in zip(found["params"], found["hrfs"], strict=True):
        dt_s, delay_s, undershoot_s, width, under_width, ratio = map(float, parameters)
        if width != under_width or undershoot_s != delay_s + 10.0 or ratio != 6.0:
            continue
        times_s = dt_s * np.arange(len(theirs))
        response = DoubleGamma(delay_s - width, width)
        ours = (response.integral(times_s + 1e-4) - response.integral(times_s - 1e-4)) / 2e-4
        np.testing.assert_allclose(ours / ours.max(), theirs / theirs.max(), atol=2e-3)
        compared += 1
    assert compared


def test_the_height_of_one_presentation_is_nilearns() -> None:
    for duration_s in (0.5, 2.0, 6.0):
        assert DoubleGamma(5.0, 1.0).peak(duration_s) == pytest.approx(nilearn_peak("spm", duration_s), rel=0.01)


def test_a_response_to_an_instant_peaks_where_it_says() -> None:
    times_s = np.arange(0.0, 30.0, 0.01)
    for one in library(HrfLibrary(peaks_s=(3.0, 5.0, 7.0), widths=(0.5, 1.0))):
        response = one.response(np.zeros(1), np.array([0.01]), times_s)
        assert times_s[response.argmax()] == pytest.approx(one.peak_s, abs=0.05)


def test_responses_add_up_over_events_and_durations() -> None:
    times_s = np.arange(0.0, 60.0, 1.7)
    one = DoubleGamma(4.5, 1.2)
    long = one.response(np.array([3.0]), np.array([4.0]), times_s)
    parts = one.response(np.array([3.0, 5.5]), np.array([2.5, 1.5]), times_s)
    np.testing.assert_allclose(long, parts, atol=1e-12)
    assert not one.response(np.array([70.0]), np.array([1.0]), times_s).any()


def test_the_library_has_every_peak_with_every_width() -> None:
    found = library(HrfLibrary())
    assert len(found) == 21
    assert DoubleGamma(5.0, 1.0) in found
    assert len({one.name for one in found}) == 21


def test_a_delay_covers_a_volume() -> None:
    found = fir(4, np.array([3.0]), np.array([1.0, 3.0, 4.9, 5.0, 7.0, 9.0, 11.0]), 2.0)
    assert found.argmax(axis=1)[1:6].tolist() == [0, 0, 1, 2, 3]
    assert found.sum(axis=1).tolist() == [0, 1, 1, 1, 1, 1, 0]
    assert delays_in((4.0, 8.0), 10, 2.0) == [2, 3]
