"""The scanner's TR as its pulses tell it: missed pulses do not change it, a wrong study file does."""

from __future__ import annotations

import numpy as np
import pytest

from experiment.certificate import tr_of


def test_a_missed_pulse_leaves_the_estimate_alone() -> None:
    pulses_s = 3.0 + 2.0 * np.delete(np.arange(40), [7, 20, 21])
    assert tr_of(pulses_s) == pytest.approx(2.0, abs=1e-6)


def test_jitter_averages_out() -> None:
    late_s = np.abs(np.random.default_rng(0).normal(0, 0.01, 200))
    assert tr_of(1.5 * np.arange(200) + late_s) == pytest.approx(1.5, rel=1e-4)


def test_one_pulse_has_no_tr() -> None:
    assert tr_of(np.array([1.0])) is None
