"""Quasi-Newton ascent within bounds for a whole batch: every image has its own memory, line search and active set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stimuli.synthesis.constraints import Room
from stimuli.synthesis.objectives import Reading
from stimuli.synthesis.optimisers import State


@dataclass(frozen=True)
class BoxLbfgs:
    """Limited-memory BFGS with bounds, by two-metric projection (Bertsekas 1982; Nocedal & Wright 2006, ch. 7).

    Each step of the engine is one reading of the objective. A slot that reads a trial point either accepts it (Armijo
    along the projected path), learns from it and chooses a new direction, or shortens its step and tries again: so one
    batch serves images that are anywhere in their line searches, and none waits for another.

    In place of scipy's search along the Cauchy path, values that their bound holds back are left out of the quasi-Newton
    direction: the same minimisers, and nothing but inner products over the batch.

    memory      : pairs of steps and changes of gradient that are remembered.
    first_step  : largest change of a value in the first step, grey levels.
    """

    memory: int = 10
    first_step: float = 1.0

    searches_lines = True

    def fresh(self, images: Tensor) -> State:
        """Nothing read yet."""
        n, d = len(images), images[0].numel()

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(n, *shape, dtype=images.dtype, device=images.device)

        return {
            "read": zeros(),
            "point": zeros(d),
            "cost": zeros(),
            "gradient": zeros(d),
            "direction": zeros(d),
            "length": zeros(),
            "steps": zeros(self.memory, d),
            "changes": zeros(self.memory, d),
            "pairs": zeros(),
        }

    def stepped(self, images: Tensor, gradients: Tensor, reading: Reading, state: State, room: Room) -> Tensor:
        """The next trial point of every slot."""
        trial, low, high = images.flatten(1), room.low.flatten(1), room.high.flatten(1)
        cost, gradient = -reading.values, -gradients.flatten(1)
        accepted = self._accepted(trial, cost, state)
        self._remember(trial, gradient, accepted, state)
        keep = accepted[:, None]
        state["point"] = torch.where(keep, trial, state["point"])
        state["gradient"] = torch.where(keep, gradient, state["gradient"])
        shorter = self._shorter(cost, state)
        state["cost"] = torch.where(accepted, cost, state["cost"])
        # a search that has become too short begins again, without its memory, along the gradient
        lost = ~accepted & (shorter < 1e-6)
        state["pairs"] = torch.where(lost, 0, state["pairs"])
        renewed = accepted | lost
        direction, length = self._direction(state, low, high)
        state["direction"] = torch.where(renewed[:, None], direction, state["direction"])
        state["length"] = torch.where(renewed, length, shorter)
        state["read"] = torch.ones_like(state["read"])
        moved = state["point"] + state["length"][:, None] * state["direction"]
        return torch.minimum(torch.maximum(moved, low), high).view_as(images)

    def standing(self, images: Tensor, state: State) -> Tensor:
        """The accepted points; where nothing has been read yet, the start."""
        read = state["read"].view(-1, 1, 1, 1) > 0
        return torch.where(read, state["point"].view_as(images), images)

    def _accepted(self, trial: Tensor, cost: Tensor, state: State) -> Tensor:
        """Whether the trial lowers the cost enough (Armijo, along the projected path)."""
        promised = _dot(state["gradient"], trial - state["point"])
        noise = 4 * torch.finfo(cost.dtype).eps * state["cost"].abs()
        return (state["read"] == 0) | (cost <= state["cost"] + 1e-4 * promised + noise)

    def _shorter(self, cost: Tensor, state: State) -> Tensor:
        """The step length for which a parabola through cost, slope and trial is lowest, within a tenth and a half."""
        slope = _dot(state["gradient"], state["direction"])
        length = state["length"]
        best = -slope * length.square() / (2 * (cost - state["cost"] - slope * length))
        return torch.where(best.isfinite(), best, 0.1 * length).clamp(0.1 * length, 0.5 * length)

    def _remember(self, trial: Tensor, gradient: Tensor, accepted: Tensor, state: State) -> None:
        """The newest pair takes the oldest's place, where it shows the cost curving upward."""
        step, change = trial - state["point"], gradient - state["gradient"]
        curves = _dot(step, change) > 1e-10 * _dot(change, change)
        learned = accepted & (state["read"] > 0) & curves
        slot = torch.arange(len(trial), device=trial.device)
        place = (state["pairs"] % self.memory).long()
        keep = learned[:, None]
        state["steps"][slot, place] = torch.where(keep, step, state["steps"][slot, place])
        state["changes"][slot, place] = torch.where(keep, change, state["changes"][slot, place])
        state["pairs"] = state["pairs"] + learned

    def _direction(self, state: State, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """A descent direction among the values that are free to move, and how far to try along it."""
        point, gradient = state["point"], state["gradient"]
        held = ((point <= low) & (gradient > 0)) | ((point >= high) & (gradient < 0))
        free_gradient = gradient.masked_fill(held, 0)
        newton = self._inverse_hessian_times(free_gradient, ~held, state)
        downhill = _dot(newton, free_gradient) > 0
        known = (state["pairs"] > 0) & downhill
        direction = -torch.where(known[:, None], newton, free_gradient)
        steepest = self.first_step / free_gradient.abs().amax(dim=1).clamp_min(torch.finfo(point.dtype).tiny)
        return direction, torch.where(known, torch.ones_like(steepest), steepest)

    def _inverse_hessian_times(self, vector: Tensor, free: Tensor, state: State) -> Tensor:
        """The two-loop recursion among the free values (Nocedal & Wright 2006, algorithm 7.4), every slot in its own order."""
        slot = torch.arange(len(vector), device=vector.device)
        q, memory = vector, []
        scale = torch.ones_like(state["cost"])
        found = torch.zeros_like(scale, dtype=torch.bool)
        for back in range(1, self.memory + 1):
            place = ((state["pairs"] - back) % self.memory).long()
            step, change = state["steps"][slot, place] * free, state["changes"][slot, place] * free
            curvature, power = _dot(step, change), _dot(change, change)
            usable = (state["pairs"] >= back) & (curvature > 1e-10 * power)
            weight = torch.where(usable, 1 / curvature, 0)
            alpha = weight * _dot(step, q)
            q = q - alpha[:, None] * change
            scale = torch.where(usable & ~found, curvature / power, scale)
            found |= usable
            memory.append((step, change, weight, alpha))
        r = scale[:, None] * q
        for step, change, weight, alpha in reversed(memory):
            beta = weight * _dot(change, r)
            r = r + (alpha - beta)[:, None] * step
        return r


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=1)
