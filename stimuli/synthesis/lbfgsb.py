"""Quasi-Newton ascent within bounds for a whole batch: every image has its own memory, line search and active set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stimuli.synthesis.constraints import Room
from stimuli.synthesis.objectives import Reading
from stimuli.synthesis.optimisers import State

ALIGNED = 16
"""Rows are filled up to whole cache lines, so that a matrix product adds up every slot's values in the same order."""

COLUMNS = 8192
"""Values of an image that are multiplied at a time: they stay in the processor's cache between masking and product."""

ENOUGH = 1e-4
"""Share of the promised decrease that a step must bring (Armijo; Nocedal & Wright 2006, eq. 3.4)."""

CURVED = 1e-6
"""Least cosine between a step and its change of the gradient that is more than what rounding makes of a right angle."""

GIVEN_UP = 1e-3
"""A line search shortened to this share of its first step begins again along the gradient."""


@dataclass(frozen=True)
class BoxLbfgs:
    """Limited-memory BFGS with bounds, by two-metric projection.

    - Values that a bound holds back (at the bound, the gradient pointing out) are left alone; among the others the step
      is a quasi-Newton step, cut off at the bounds: the two-metric projection of Bertsekas (1982), with BFGS for the
      Hessian as in Schmidt, van den Berg, Friedlander & Murphy (2009). What sets it apart from L-BFGS-B (Byrd, Lu,
      Nocedal & Zhu 1995), scipy's, is that nothing is searched along the piecewise Cauchy path, which is a sequence of
      decisions for each image: all is inner products over the batch. As in its revision (Morales & Nocedal 2011), a
      cut-off step that does not lead downhill is replaced; here by one along the gradient.
    - The inverse Hessian among the free values is the compact form of Byrd, Nocedal & Schnabel (1994, theorem 2.2) of
      the remembered pairs, cut down to these values: one pass over the memory for all inner products, one for the step.
    - A step is taken when it brings enough of what the gradient promises (Armijo along the projected path, Bertsekas
      1976); otherwise it is shortened by a parabola. Nearly always the first trial will do, so that a reading is a step.
      A pair is remembered only where it shows the cost curving upward, which takes the place of Wolfe's condition.

    Each step of the engine is one reading of the objective, and each slot is wherever it is in its own line search: none
    waits for another. A reading that is not finite is a trial that failed; a slot whose start cannot be read stays there.

    memory      : pairs of steps and changes of gradient that are remembered.
    first_step  : largest change of a value in a step along the gradient, grey levels.
    """

    memory: int = 10
    first_step: float = 1.0

    searches_lines = True

    def fresh(self, images: Tensor) -> State:
        """Nothing read yet."""
        n, width = len(images), _rows(images).shape[1]

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(n, *shape, dtype=images.dtype, device=images.device)

        return {
            "read": zeros(),
            "point": zeros(width),
            "cost": zeros(),
            "gradient": zeros(width),
            "direction": zeros(width),
            "share": zeros(),  # of the direction, that is tried
            "memory": zeros(2 * self.memory, width),  # the steps, then the changes of the gradient
            "lengths": zeros(self.memory),  # of the steps
            "pairs": zeros(),
        }

    def stepped(self, images: Tensor, gradients: Tensor, reading: Reading, state: State, room: Room) -> Tensor:
        """The next trial point of every slot."""
        trial, low, high = _rows(images), _rows(room.low), _rows(room.high)
        cost, gradient = -reading.values, -_rows(gradients)
        step = trial - state["point"]
        promised = _dot(state["gradient"], step)
        accepted = self._accepted(cost, gradient, promised, state)
        shorter = _shorter(cost - state["cost"], promised, state["share"])
        # a search that has become too short begins again, without its memory, along the gradient
        lost = ~accepted & (state["read"] > 0) & (shorter < GIVEN_UP)
        self._remember(step, gradient, accepted, state)
        first = accepted & (state["read"] == 0)
        # what rounding alone has let rise does not count: else a slot could climb by little and little
        lowest = torch.where(first, cost, torch.minimum(cost, state["cost"]))
        _keep(accepted, state, point=trial, gradient=gradient, cost=lowest, read=torch.ones_like(cost))
        _keep(lost, state, pairs=torch.zeros_like(cost))
        reach = step.abs().amax(dim=1).clamp(1e-5 * self.first_step, self.first_step)
        direction = self._direction(torch.where(first, self.first_step, reach), state, low, high)
        _keep(accepted | lost, state, direction=direction, share=torch.ones_like(cost))
        _keep(~(accepted | lost) & (state["read"] > 0), state, share=shorter)
        moved = torch.addcmul(state["point"], state["share"][:, None], state["direction"])
        moved = torch.where(state["read"][:, None] > 0, moved, trial)
        return _images(torch.minimum(torch.maximum(moved, low), high), images)

    def standing(self, images: Tensor, state: State) -> Tensor:
        """The accepted points; where nothing has been read yet, the start."""
        return torch.where(state["read"].view(-1, 1, 1, 1) > 0, _images(state["point"], images), images)

    def _accepted(self, cost: Tensor, gradient: Tensor, promised: Tensor, state: State) -> Tensor:
        """Whether the trial can be read, and lowers the cost enough."""
        finite = cost.isfinite() & gradient.abs().amax(dim=1).isfinite()
        noise = 4 * torch.finfo(cost.dtype).eps * state["cost"].abs()
        lower = cost <= state["cost"] + ENOUGH * promised.clamp_max(0) + noise
        return finite & (lower | (state["read"] == 0))

    def _remember(self, step: Tensor, gradient: Tensor, accepted: Tensor, state: State) -> None:
        """The newest pair takes the oldest's place, where it shows the cost curving upward."""
        change = gradient - state["gradient"]
        length = _dot(step, step).sqrt()
        curves = _dot(step, change) > CURVED * length * _dot(change, change).sqrt()
        learned = accepted & (state["read"] > 0) & curves
        slot = torch.arange(len(step), device=step.device)
        place = (state["pairs"] % self.memory).long()
        for newest, where in ((step, place), (change, place + self.memory)):
            state["memory"][slot, where] = torch.where(learned[:, None], newest, state["memory"][slot, where])
        state["lengths"][slot, place] = torch.where(learned, length, state["lengths"][slot, place])
        state["pairs"] = state["pairs"] + learned

    def _direction(self, reach: Tensor, state: State, low: Tensor, high: Tensor) -> Tensor:
        """Where to go from the points: a quasi-Newton step, or `reach` along the gradient, of the values that are free."""
        point, gradient = state["point"], state["gradient"]
        held = ((point <= low) & (gradient > 0)) | ((point >= high) & (gradient < 0))
        free_gradient = gradient.masked_fill(held, 0)
        newton = -self._inverse_hessian_times(free_gradient, ~held, state)
        cut_off = torch.minimum(torch.maximum(point + newton, low), high) - point
        good = (state["pairs"] > 0) & (_dot(gradient, cut_off) < 0)
        steepest = reach / free_gradient.abs().amax(dim=1).clamp_min(torch.finfo(point.dtype).tiny)
        return torch.where(good[:, None], newton, -steepest[:, None] * free_gradient)

    def _inverse_hessian_times(self, vector: Tensor, free: Tensor, state: State) -> Tensor:
        """The compact inverse Hessian of the pairs, cut down to the free values, times a vector that is 0 elsewhere."""
        m, n = self.memory, len(vector)
        age = torch.arange(m, device=vector.device)
        order = (state["pairs"][:, None].long() + age) % m  # from the oldest pair to the newest
        written = age >= m - state["pairs"][:, None]
        columns = torch.cat([order, order + m], dim=1)
        rows = torch.cat([order, torch.full_like(order[:, :1], m)], dim=1)
        slot = torch.arange(n, device=vector.device)[:, None, None]
        inner = self._inner_products(vector, free, state)[slot, rows[:, :, None], columns[:, None, :]]
        s_y, y_y = inner[:, :m, :m].transpose(1, 2), inner[:, :m, m:]
        curvature, power = s_y.diagonal(dim1=1, dim2=2), y_y.diagonal(dim1=1, dim2=2)
        lengths = state["lengths"].to(power.dtype).gather(1, order)
        usable = written & (curvature > CURVED * lengths * power.sqrt()) & power.isfinite()
        both = usable[:, :, None] & usable[:, None, :]
        s_y = torch.where(both, s_y, torch.eye(m, dtype=s_y.dtype, device=s_y.device))
        y_y = torch.where(both, y_y, 0)
        s_v, y_v = (torch.where(usable, part, 0)[:, :, None] for part in (inner[:, m, :m], inner[:, m, m:]))
        newest = (usable * (age + 1)).argmax(dim=1, keepdim=True)
        scale = torch.where(usable, curvature / power, 0).gather(1, newest)[:, :, None]
        upper = s_y.triu()
        p = torch.linalg.solve_triangular(upper, s_v, upper=True)
        bent = s_y.diagonal(dim1=1, dim2=2)[:, :, None] * p + scale * (y_y @ p - y_v)
        of_steps = torch.linalg.solve_triangular(upper.transpose(1, 2), bent, upper=False)
        weights = torch.cat([of_steps, -scale * p], dim=1)[:, :, 0]
        placed = torch.zeros_like(weights).scatter(1, columns, weights).to(vector.dtype)
        learned = torch.bmm(placed[:, None], state["memory"])[:, 0]
        return scale[:, :, 0].to(vector.dtype) * vector + learned * free

    def _inner_products(self, vector: Tensor, free: Tensor, state: State) -> Tensor:
        """Among the free values: changes of the gradient and the vector (rows) with steps and changes (columns)."""
        m, memory = self.memory, state["memory"]
        total = torch.zeros(len(vector), m + 1, 2 * m, dtype=_exact(vector), device=vector.device)
        for begin in range(0, vector.shape[1], COLUMNS):
            part = slice(begin, begin + COLUMNS)
            masked = vector.new_empty(len(vector), m + 1, vector[:, part].shape[1])
            torch.mul(memory[:, m:, part], free[:, None, part], out=masked[:, :m])
            masked[:, m] = vector[:, part]
            total += torch.bmm(masked, memory[:, :, part].transpose(1, 2))
        return total


def _shorter(rise: Tensor, promised: Tensor, share: Tensor) -> Tensor:
    """The share for which a parabola through cost, slope and trial is lowest, within a tenth and a half of the last."""
    best = -promised * share / (2 * (rise - promised))
    return torch.where(best.isfinite(), best, 0).clamp(0.1 * share, 0.5 * share)


def _keep(chosen: Tensor, state: State, **news: Tensor) -> None:
    """The chosen slots' news into their state."""
    for name, new in news.items():
        rows = chosen[:, None] if new.dim() > 1 else chosen
        state[name] = torch.where(rows, new, state[name])


def _rows(images: Tensor) -> Tensor:
    """(n, 3, h, w) to (n, width), filled up with zeros."""
    flat = images.flatten(1)
    missing = -flat.shape[1] % ALIGNED
    return functional.pad(flat, (0, missing)) if missing else flat


def _images(rows: Tensor, like: Tensor) -> Tensor:
    """(n, width) to images."""
    return rows[:, : like[0].numel()].reshape(like.shape)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=1)


def _exact(values: Tensor) -> torch.dtype:
    """In which sums over an image are added up: double precision, which Apple's GPUs do not have."""
    return torch.float32 if values.device.type == "mps" else torch.float64
