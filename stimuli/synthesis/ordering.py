"""The order of jobs in a queue: it decides how long a batch runs half empty at its end, and nothing about any image."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stimuli.synthesis.engine import Job, Method
from stimuli.synthesis.objectives import Sought


def hardest_first(method: Method, jobs: Sequence[Job], batch_size: int, device: torch.device) -> deque[Job]:
    """Jobs by what their objective says at the start, the lowest first: those that are likely to take longest begin.

    A long job that begins last keeps a whole batch waiting (longest processing time first; Graham 1969). Jobs that have
    no score to reach, or that one batch holds, stay in their order.

    method     : its objective is asked, once an image.
    jobs       : of one image size.
    batch_size : images that are asked of at once.
    device     : where the objective computes.
    """
    if len(jobs) <= batch_size or any(job.stop.score is None for job in jobs):
        return deque(jobs)
    values: list[float] = []
    for begin in range(0, len(jobs), batch_size):
        values += _values(method, jobs[begin : begin + batch_size], device)
    return deque(jobs[place] for place in np.argsort(values, kind="stable"))


WAITING = 2
"""Batches of others behind which a chain of jobs waits for its next turn."""


def in_turn(queue: deque[Job], further: Job, batch_size: int) -> None:
    """Put the next job of a chain into a queue, behind so many others that chains go on side by side.

    Chains that are all begun before any is far end at about the same time, with short jobs that fill the batch to its end;
    one begun last would keep it waiting for its whole length. But none waits behind all others: what is interrupted has
    lost what is begun and not finished, and that is never more than some batches.

    queue      : of the engine.
    further    : what follows a job that has ended.
    batch_size : images a step.
    """
    queue.insert(WAITING * batch_size, further)


def _values(method: Method, jobs: Sequence[Job], device: torch.device) -> list[float]:
    def of(arrays: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).to(device)

    starts = of([job.start for job in jobs])
    weights = starts.new_tensor([job.weight for job in jobs])
    sought = Sought(of([np.asarray(job.goal) for job in jobs]), of([job.centre for job in jobs]), weights)
    with torch.no_grad():
        found: list[float] = method.objective(starts, sought).values.tolist()
    return found
