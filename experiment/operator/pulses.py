"""The scanner's pulses so far, as the operator's view counts them: one after the other, in constant time."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Pulses:
    """The scanner's pulses so far, with the running sums of a line through (number, time).

    seen     : pulses on the planned grid; `extra` ones are not counted in.
    off_grid : pulses far off their time, each standing for a volume that has no other.
    strays   : pulses off the grid since the last one on it: those of volumes, or noise.
    number   : place of the last one on the grid, from 0; missed pulses leave gaps.
    """

    seen: int = 0
    extra: int = 0
    off_grid: int = 0
    strays: int = 0
    missed: int = 0
    number: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    sum_x: float = 0.0
    sum_y: float = 0.0
    sum_xx: float = 0.0
    sum_xy: float = 0.0

    @property
    def volumes(self) -> int:
        """Pulses that stand for a volume (or slice) each."""
        return self.seen + self.off_grid

    @property
    def interval_s(self) -> float | None:
        """Slope of the pulses' times over their numbers, s (least squares); None with fewer than two."""
        spread = self.seen * self.sum_xx - self.sum_x**2
        return (self.seen * self.sum_xy - self.sum_x * self.sum_y) / spread if self.seen > 1 and spread > 0 else None

    def after(self, t_s: float, interval_s: float) -> Pulses:
        """With one more pulse on the grid.

        t_s        : when it came, s on the run's clock.
        interval_s : planned from one to the next, s.
        """
        if not self.seen:
            return replace(self, seen=1, first_s=t_s, last_s=t_s)
        gap = max(1, round((t_s - self.last_s) / interval_s))
        placed = min(self.strays, gap - 1)
        number, x, y = self.number + gap, float(self.number + gap), t_s - self.first_s
        return replace(
            self,
            seen=self.seen + 1,
            extra=self.extra + self.strays - placed,
            off_grid=self.off_grid + placed,
            strays=0,
            missed=self.missed + gap - 1 - placed,
            number=number,
            last_s=t_s,
            sum_x=self.sum_x + x,
            sum_y=self.sum_y + y,
            sum_xx=self.sum_xx + x * x,
            sum_xy=self.sum_xy + x * y,
        )
