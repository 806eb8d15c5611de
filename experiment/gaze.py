"""Where a participant looks: samples of gaze, in degrees around the fixation point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gaze:
    """Samples of gaze, in order.

    t_s          : (n,) s on the run's clock.
    x_deg, y_deg : (n,) right of and above the fixation point, degrees; NaN while the eye is not seen (a blink).
    """

    t_s: np.ndarray
    x_deg: np.ndarray
    y_deg: np.ndarray

    @property
    def distance_deg(self) -> np.ndarray:
        """(n,) distance from the fixation point, degrees."""
        return np.hypot(self.x_deg, self.y_deg)


NO_GAZE = Gaze(np.zeros(0), np.zeros(0), np.zeros(0))


def joined(first: Gaze, second: Gaze) -> Gaze:
    """Two stretches of gaze, one after the other."""
    return Gaze(
        np.concatenate([first.t_s, second.t_s]),
        np.concatenate([first.x_deg, second.x_deg]),
        np.concatenate([first.y_deg, second.y_deg]),
    )
