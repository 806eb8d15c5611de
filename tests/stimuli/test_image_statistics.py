"""Luminance, contrast and spectral slope of images whose statistics are known."""

from __future__ import annotations

import numpy as np
import pytest

from stimuli.image_statistics import image_statistics, spectral_slope


def test_a_uniform_image_has_its_own_mean_luma_and_neither_contrast_nor_slope():
    found = image_statistics(np.full((32, 32, 3), 77, np.uint8))
    assert found.mean_luma == pytest.approx(77)
    assert found.rms_contrast == pytest.approx(0, abs=1e-12)
    assert found.spectral_slope == 0.0


def test_luma_weighs_the_channels_as_rec_709_says():
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 1] = 100
    assert image_statistics(image).mean_luma == pytest.approx(71.52)


def test_half_black_half_white_has_a_contrast_of_one_half():
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, 8:] = 255
    assert image_statistics(image).rms_contrast == pytest.approx(0.5)


@pytest.mark.parametrize("slope", [0.0, -1.0, -2.0, -3.0])
def test_the_slope_of_noise_with_a_known_spectrum_is_recovered(slope: float):
    side = 128
    white = np.fft.fft2(np.random.default_rng(3).standard_normal((side, side)))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    frequency[0, 0] = 1.0
    noise = np.fft.ifft2(white * frequency ** (slope / 2)).real
    assert spectral_slope(128 + noise) == pytest.approx(slope, abs=0.15)


def test_brightness_and_contrast_do_not_change_the_slope():
    luma = np.random.default_rng(5).uniform(0, 255, (64, 64))
    assert spectral_slope(luma) == pytest.approx(spectral_slope(30 + 0.25 * luma), abs=1e-9)
