"""Light: sRGB, the curve of a display and its inverse, and that linearising leaves the contrast of images as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.luminance import Curve, background_level, linear_levels, sent_levels, srgb_to_linear

LEVELS = (0, 16, 32, 64, 96, 128, 160, 192, 224, 255)


def power_law(level: np.ndarray | float, gamma: float, black: float, white: float) -> np.ndarray:
    return black + (white - black) * (np.asarray(level) / 255.0) ** gamma


def measured(gamma: float, black: float = 0.4, white: float = 210.0) -> Curve:
    return Curve(tuple((level, float(power_law(level, gamma, black, white))) for level in LEVELS))


def srgb_display(level: np.ndarray, black: float = 0.4, white: float = 210.0) -> np.ndarray:
    return black + (white - black) * srgb_to_linear(np.asarray(level) / 255.0)


def michelson(luminance: np.ndarray) -> float:
    return float((luminance.max() - luminance.min()) / (luminance.max() + luminance.min()))


@pytest.mark.parametrize(("level", "linear"), [(0.0, 0.0), (0.04045, 0.0031308), (0.5, 0.2140411), (1.0, 1.0)])
def test_srgb_is_decoded_as_the_standard_says(level: float, linear: float):
    assert float(srgb_to_linear(level)) == pytest.approx(linear, abs=1e-7)


def test_native_levels_are_sent_as_they_are():
    levels = np.arange(256, dtype=np.uint8)
    assert (sent_levels(levels, "native") == levels).all()


def test_the_cost_of_linearising_on_8_bits_is_what_the_documents_say():
    levels = linear_levels()
    assert (len(np.unique(levels)), int((levels == 0).sum()), int(levels[128])) == (183, 7, 55)
    assert (np.diff(levels.astype(int)) >= 0).all()
    error = np.abs(levels / 255.0 - srgb_to_linear(np.arange(256) / 255.0))
    assert error.max() <= 0.5 / 255 + 1e-12


@given(gamma=st.floats(1.4, 3.0), black=st.floats(0.0, 2.0), white=st.floats(40.0, 600.0))
def test_a_curve_of_ten_readings_gives_the_display_between_them(gamma: float, black: float, white: float):
    curve = Curve(tuple((level, float(power_law(level, gamma, black, white))) for level in LEVELS))
    every = np.linspace(0, 255, 1021)
    error = np.abs(curve.luminance_cd_m2(every) - power_law(every, gamma, black, white))
    assert error.max() < 0.003 * white


@given(
    readings=st.lists(st.floats(0.01, 40.0), min_size=5, max_size=20),
    black=st.floats(0.0, 3.0),
    size=st.sampled_from([256, 1024, 4096]),
)
def test_any_rising_readings_give_a_rising_curve_and_a_rising_ramp(readings: list[float], black: float, size: int):
    levels = np.linspace(0, 255, len(readings) + 1).round().astype(int)
    curve = Curve(tuple(zip(levels.tolist(), (black + np.cumsum([0.0, *readings])).tolist(), strict=True)))
    assert (np.diff(curve.luminance_cd_m2(np.linspace(0, 255, 2000))) >= -1e-9).all()
    ramp = curve.inverse_ramp(size)
    assert (np.diff(ramp) >= 0).all()
    assert (ramp[0], ramp[-1], len(ramp)) == (0.0, 1.0, size)
    assert curve.luminance_cd_m2(np.array(levels)) == pytest.approx([cd_m2 for _, cd_m2 in curve.measured], rel=1e-6)


@pytest.mark.parametrize("gamma", [1.8, 2.2, 2.6])
def test_through_the_inverse_ramp_luminance_is_a_straight_line(gamma: float):
    seen = power_law(255.0 * measured(gamma).inverse_ramp(256), gamma, 0.4, 210.0)
    straight = np.linspace(0.4, 210.0, 256)
    assert np.abs(seen - straight).max() < 0.1


@pytest.mark.parametrize("contrast", [0.9, 0.5, 0.2])
@pytest.mark.parametrize("mean", [90, 128, 170])
def test_a_grating_has_the_same_luminance_contrast_natively_and_linearised(contrast: float, mean: int):
    wave = np.sin(np.linspace(0, 2 * np.pi, 64, endpoint=False))
    image = np.clip(np.rint(mean * (1 + contrast * wave)), 0, 255).astype(np.uint8)
    native = srgb_display(sent_levels(image, "native"))
    curve = Curve(tuple((level, float(srgb_display(np.array(level)))) for level in LEVELS))
    card = np.rint(curve.inverse_ramp(256) * 65535) / 65535
    linearised = srgb_display(255.0 * card[sent_levels(image, "linearised")])
    # half a level of the 255 that are left between black and white, and the curve's own error between the readings
    quantum = 0.5 * (210.0 - 0.4) / 255 + 0.003 * 210.0
    assert np.abs(native - linearised).max() <= quantum
    assert michelson(linearised) == pytest.approx(michelson(native), abs=2 * quantum / (native.max() + native.min()))


def test_without_decoding_linearising_would_change_the_contrast():
    image = np.array([64, 192], dtype=np.uint8)
    native, undecoded = srgb_display(image), 0.4 + (210.0 - 0.4) * image / 255.0
    assert michelson(native) - michelson(undecoded) > 0.2


def test_the_background_comes_from_the_study_or_from_the_rig_in_cd_m2():
    curve = measured(2.2)
    assert background_level(None, "native", None, 128) == 128
    assert background_level(curve, "linearised", None, 128) == 55
    assert background_level(curve, "linearised", 105.2, 128) == 128
    level = background_level(curve, "native", 50.0, 128)
    assert abs(float(power_law(level, 2.2, 0.4, 210.0)) - 50.0) < 0.6


def test_two_curves_have_two_hashes():
    assert measured(2.2).sha256 != measured(2.3).sha256
    assert measured(2.2).sha256 == measured(2.2).sha256
