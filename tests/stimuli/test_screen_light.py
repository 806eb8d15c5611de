"""What a screen makes of grey levels: known answers from the sRGB formula and a power law, and what holds for any curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.luminance import linear_to_srgb, sent_levels, srgb_to_linear
from protocols.rig_display import Luminance
from stimuli.screen_light import ScreenLight, screen_light, share_of

LEVELS = np.arange(256, dtype=np.uint8)


def power(exponent: float, mode: str, black: float = 0.4, n_points: int = 17) -> Luminance:
    levels = np.unique(np.rint(np.linspace(0, 255, n_points))).astype(int)
    measured = [(int(level), black + 200.0 * float((level / 255) ** exponent)) for level in levels]
    return Luminance.model_validate({"mode": mode, "measured": measured})


def as_sent(light: ScreenLight) -> np.ndarray:
    return sent_levels(LEVELS, light.mode)


@given(st.floats(0.0, 1.0))
def test_srgb_is_encoded_as_it_is_decoded(share: float):
    assert float(srgb_to_linear(linear_to_srgb(share))) == pytest.approx(share, abs=1e-9)


def test_without_a_curve_the_display_is_assumed_to_follow_srgb_and_nothing_changes():
    light = screen_light(Luminance())
    assert not light.measured
    assert light.n_levels == 256
    assert not light.clipped.any()
    assert not light.merged.any()
    assert np.allclose(light.seen(LEVELS), LEVELS, atol=1e-9)
    assert np.array_equal(light.meant(LEVELS), LEVELS)


def test_a_native_display_of_a_power_law_shows_srgb_levels_of_that_luminance():
    light = screen_light(power(2.2, "native"))
    luminance = (LEVELS / 255.0) ** 2.2
    encoded = np.where(luminance <= 0.0031308, 12.92 * luminance, 1.055 * luminance ** (1 / 2.4) - 0.055)
    assert light.measured
    assert np.abs(light.seen(LEVELS) - 255 * encoded).max() < 0.05  # between readings it is interpolated
    assert light.n_levels == 256
    assert np.array_equal(light.meant(LEVELS), LEVELS)


@pytest.mark.parametrize("exponent", [1.8, 2.2, 2.6])
def test_a_linearised_display_gives_each_level_its_srgb_luminance_within_8_bits(exponent: float):
    light = screen_light(power(exponent, "linearised"))
    wanted, shown = srgb_to_linear(LEVELS / 255.0), light.curve[light.driven]
    # rounded once when decoded (half a step of the line), once in the card's table (a whole step of the curve, upper bits)
    steps = np.diff(light.curve, append=1.0)[light.driven] + np.diff(light.curve, prepend=0.0)[light.driven]
    assert (np.abs(shown - wanted) <= 0.5 / 255 + steps + 1e-9).all()
    assert 150 < light.n_levels < 184  # 183 levels are left when sRGB is decoded to 8 bits; the table merges more
    assert light.n_levels == len(set(light.seen(as_sent(light)).tolist()))
    assert np.flatnonzero(light.clipped).tolist()[:6] == [1, 2, 3, 4, 5, 6]


def test_a_linearised_image_is_meant_as_its_srgb_levels_within_the_rounding_of_the_dark():
    light = screen_light(power(2.2, "linearised"))
    off = np.abs(light.meant(as_sent(light)) - LEVELS)
    assert off[128:].max() <= 0.5
    assert off.max() <= 6.5


curves = st.lists(st.floats(0.01, 50.0), min_size=4, max_size=12)


@given(curves, st.floats(0.0, 5.0), st.sampled_from(["native", "linearised"]))
def test_for_any_rising_curve_the_ends_stay_and_the_order_is_kept(steps: list[float], black: float, mode: str):
    levels = np.unique(np.rint(np.linspace(0, 255, len(steps) + 1))).astype(int)
    readings = black + np.concatenate([[0.0], np.cumsum(steps)])
    measured = [(int(level), float(value)) for level, value in zip(levels, readings, strict=True)]
    light = screen_light(Luminance.model_validate({"mode": mode, "measured": measured}))
    seen = light.seen(as_sent(light))
    assert seen[0] == pytest.approx(0.0, abs=1e-6)
    assert seen[-1] == pytest.approx(255.0, abs=1e-6)
    assert (np.diff(seen) >= -1e-9).all()
    assert not (light.clipped & light.merged).any()
    assert not (light.clipped | light.merged)[[0, 255]].any()
    lost = light.clipped.sum() + light.merged.sum()
    assert (lost == 0) == (light.n_levels == 256)
    if mode == "native":
        assert light.n_levels == 256


def test_the_black_level_is_taken_out():
    dark, lit = screen_light(power(2.2, "native", black=0.1)), screen_light(power(2.2, "native", black=10.0))
    assert np.allclose(dark.seen(LEVELS), lit.seen(LEVELS), atol=1e-6)
    assert lit.limits_cd_m2 == (10.0, 210.0)


def test_a_share_counts_values_of_all_channels():
    levels = np.zeros(256, bool)
    levels[7] = True
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0, 1] = 7
    assert share_of(levels, image) == pytest.approx(1 / 12)
