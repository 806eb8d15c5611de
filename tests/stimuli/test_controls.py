"""Controls are as far from their source as the adversary, and keep what their name says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stimuli.synthesis.controls import CONTROLS, control_image, phase_scrambled


def pair(seed: int, radius: int = 8, side: int = 32) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    source = draw.integers(0, 256, (side, side, 3), dtype=np.uint8)
    change = draw.integers(-radius, radius + 1, source.shape)
    return source, np.clip(source.astype(int) + change, 0, 255).astype(np.uint8)


def length(image: np.ndarray, source: np.ndarray) -> float:
    return float(np.linalg.norm(image.astype(float) - source))


@pytest.mark.parametrize("kind", CONTROLS)
@given(seed=st.integers(0, 10_000), radius=st.integers(2, 16))
@settings(max_examples=15, deadline=None)
def test_a_control_is_as_far_from_the_source_as_the_adversary(kind, seed: int, radius: int) -> None:
    source, adversary = pair(seed, radius)
    control = control_image(kind, source, adversary, np.random.default_rng(seed))
    assert control.dtype == np.uint8
    assert length(control, source) == pytest.approx(length(adversary, source), rel=0.02)
    assert not np.array_equal(control, adversary)


def test_each_kind_keeps_what_it_says() -> None:
    change = np.random.default_rng(1).normal(0, 4, (16, 16, 3))
    of = {kind: make(change, np.random.default_rng(2)) for kind, make in CONTROLS.items()}
    pixels = {tuple(pixel) for pixel in change.reshape(-1, 3)}
    assert {tuple(pixel) for pixel in of["shuffled"].reshape(-1, 3)} == pixels
    assert np.array_equal(of["flipped"][::-1], change)
    assert np.array_equal(np.abs(of["sign_randomised"]), np.abs(change))
    spectrum = np.abs(np.fft.fft2(change, axes=(0, 1)))
    assert np.abs(np.fft.fft2(of["phase_scrambled"], axes=(0, 1))) == pytest.approx(spectrum, abs=1e-9)


def test_scrambled_phases_leave_a_real_change_of_the_same_power_and_colour() -> None:
    change = np.random.default_rng(3).normal(0, 4, (17, 20, 3))
    scrambled = phase_scrambled(change, np.random.default_rng(4))
    assert np.linalg.norm(scrambled) == pytest.approx(np.linalg.norm(change))
    # one set of phases for all channels: how the channels go together at each frequency is kept
    cross, kept = (np.fft.fft2(c[..., 0]) * np.conj(np.fft.fft2(c[..., 1])) for c in (change, scrambled))
    assert kept == pytest.approx(cross, abs=1e-8)


def test_no_change_stays_none() -> None:
    source, _ = pair(5)
    for kind in CONTROLS:
        assert np.array_equal(control_image(kind, source, source, np.random.default_rng(0)), source)
