"""Haemodynamic responses: nilearn's, finite impulse responses, and a library of double gamma functions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

from protocols.glm_plan import HrfLibrary
from protocols.problems import FoolscanError

UNDERSHOOT_AFTER_S, UNDERSHOOT_SHARE = (
    10.0,
    1 / 6,
)  # SPM's canonical response: gamma densities of shapes 6 and 16, 1 to 1/6
PEAK_STEP_S, PEAK_END_S = 0.05, 40.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DoubleGamma:
    """A response to an instant: a gamma density less a sixth of a later one; a peak at 5 s of width 1 is SPM's canonical.

    peak_s : time to the peak of the first density, s; the second's comes 10 s later.
    width  : dispersion (scale) of both.
    """

    peak_s: float
    width: float

    @property
    def name(self) -> str:
        """``peak 5 s, width 1``."""
        return f"peak {self.peak_s:g} s, width {self.width:g}"

    def integral(self, lags_s: Floats) -> Floats:
        """The response summed up to some lags, s, in their shape: a response of duration d is ``G(t) − G(t − d)``."""
        lags = np.maximum(lags_s, 0.0) / self.width
        undershoot = gammainc(1 + (self.peak_s + UNDERSHOOT_AFTER_S) / self.width, lags)
        total = gammainc(1 + self.peak_s / self.width, lags) - UNDERSHOOT_SHARE * undershoot
        return np.asarray(total / (1 - UNDERSHOOT_SHARE), dtype=np.float64)

    def response(self, onsets_s: Floats, durations_s: Floats, times_s: Floats) -> Floats:
        """The response to events, exact at every time.

        onsets_s, durations_s : (n_events,).
        times_s               : (n_times,).

        Returns (n_times,).
        """
        lags_s = times_s[:, None] - onsets_s
        return np.asarray((self.integral(lags_s) - self.integral(lags_s - durations_s)).sum(axis=1))

    def peak(self, duration_s: float) -> float:
        """Height of the response to one event of a duration."""
        times_s = np.arange(0.0, PEAK_END_S, PEAK_STEP_S)
        return float(self.response(np.zeros(1), np.array([duration_s]), times_s).max())


def library(plan: HrfLibrary) -> tuple[DoubleGamma, ...]:
    """Every peak with every width, in the study's order."""
    return tuple(DoubleGamma(peak_s, width) for peak_s, width in product(plan.peaks_s, plan.widths))


def nilearn_peak(hrf: str, duration_s: float) -> float:
    """Height of nilearn's regressor for one event of a duration.

    hrf : ``spm`` or ``glover``.
    """
    from nilearn.glm.first_level import compute_regressor

    alone, _ = compute_regressor(np.array([[0.0], [duration_s], [1.0]]), hrf, np.arange(0.0, PEAK_END_S, PEAK_STEP_S))
    return float(alone.max())


def fir(delays: int, onsets_s: Floats, times_s: Floats, tr_s: float) -> Floats:
    """Finite impulse responses: for each delay d, how many events began d to d + 1 volumes ago.

    onsets_s : (n_events,).
    times_s  : (n_volumes,) times that the volumes stand for.

    Returns (n_volumes, delays).
    """
    lags = np.floor((times_s[:, None] - onsets_s) / tr_s + 1e-6)
    return np.stack([(lags == delay).sum(axis=1) for delay in range(delays)], axis=1).astype(np.float64)


def delays_in(window_s: tuple[float, float], n_delays: int, tr_s: float) -> list[int]:
    """The delays of `fir` whose middle lies in a window (from its start on, before its end), s after onset.

    Raises FoolscanError when there is none.
    """
    inside = [delay for delay in range(n_delays) if window_s[0] <= (delay + 0.5) * tr_s < window_s[1]]
    if not inside:
        raise FoolscanError(
            f"analysis.glm.fir_window_s: found {window_s[0]:g} to {window_s[1]:g} s; expected the middle of one of the "
            f"{n_delays} delays of {tr_s:g} s in it; widen it, or raise fir_delays"
        )
    return inside
