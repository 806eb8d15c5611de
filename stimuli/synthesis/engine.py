"""Runs many syntheses in one batch of a fixed shape; what becomes of an image does not depend on its batch mates."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stimuli.synthesis.constraints import Constraint
from stimuli.synthesis.objectives import Objective, Reading
from stimuli.synthesis.optimisers import Optimiser, State
from stimuli.synthesis.starts import ByteImage, FloatImage
from stimuli.synthesis.stopping import StopRule, Verdict


@dataclass(frozen=True)
class Job:
    """One image to be made.

    job_id : its name, returned with the outcome.
    start  : (3, height, width), grey levels: where it starts.
    centre : (3, height, width), grey levels: what its constraint is around. Whole ones for LInfBall, whose rounding ends
             on them; PixelRange has no centre and takes any (adversarial noise: the network's mean image).
    radius : how far from the centre it may go, grey levels (for constraints that have one).
    goal   : what its objective wants: a class index as an int64 scalar, or an array of features.
    stop   : when it is finished.
    """

    job_id: str
    start: FloatImage
    centre: FloatImage
    radius: float
    goal: np.ndarray | np.generic
    stop: StopRule


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    image    : (height, width, 3), uint8: the rounded image that was judged.
    position : (3, height, width), grey levels: the image before rounding, from which another job may go on.
    steps    : steps done.
    score    : of the rounded image.
    verdict  : why it stopped.
    """

    job: Job
    image: ByteImage
    position: FloatImage
    steps: int
    score: float
    verdict: Verdict


@dataclass(frozen=True)
class Method:
    """How images are made; where each starts and when it is finished stands in its job."""

    objective: Objective
    constraint: Constraint
    optimiser: Optimiser


def synthesise(method: Method, queue: deque[Job], batch_size: int, device: torch.device) -> Iterator[Outcome]:
    """Make the images of a queue, several at a time, and yield each as it finishes.

    The batch always has `batch_size` images: a finished image gives its slot to the next job, and an empty slot keeps
    an image that nobody looks at. At one batch size, on one device, an image's bits are the same in whatever company.

    method     : objective, constraint and optimiser.
    queue      : jobs of one image size; whoever takes the outcomes may append further jobs.
    batch_size : images a step.
    device     : where the objective computes.

    Raises ValueError when a job's image has another shape than the first job's.
    """
    if not queue:
        return
    slots = _Slots.of(queue[0], batch_size, device)
    state = method.optimiser.fresh(slots.images)
    while queue or slots.busy:
        slots.fill(queue, state)
        rounded = method.constraint.rounded(slots.images, slots.centres, slots.radii)
        reading, gradients = _ascent(method.objective, rounded, slots.goals)
        finished = slots.judge(reading, rounded)
        yield from finished
        if slots.busy:
            moved = method.optimiser.stepped(slots.images, gradients, reading, state)
            slots.images = method.constraint.projected(moved, slots.centres, slots.radii)


def _ascent(objective: Objective, rounded: Tensor, goals: Tensor) -> tuple[Reading, Tensor]:
    """The reading at the rounded images and the gradient there (straight-through: rounding counts as the identity)."""
    images = rounded.detach().requires_grad_(True)
    reading = objective(images, goals)
    (gradients,) = torch.autograd.grad(reading.values.sum(), images)
    return Reading(reading.values.detach(), reading.scores.detach()), gradients


class _Slots:
    """The places of a batch: tensors with one row each, and the job that holds the place."""

    def __init__(self, images: Tensor, centres: Tensor, radii: Tensor, goals: Tensor) -> None:
        self.images, self.centres, self.radii, self.goals = images, centres, radii, goals
        self.jobs: list[Job | None] = [None] * len(images)
        self.steps = [0] * len(images)
        self.best = [float("-inf")] * len(images)
        self.best_step = [0] * len(images)

    @classmethod
    def of(cls, job: Job, batch_size: int, device: torch.device) -> _Slots:
        """Empty slots of the shape of a job."""
        images = torch.full((batch_size, *job.start.shape), 127.0, dtype=torch.float32, device=device)
        goals = torch.zeros((batch_size, *job.goal.shape), dtype=torch.from_numpy(np.atleast_1d(job.goal)).dtype)
        return cls(images, images.clone(), torch.zeros(batch_size, device=device), goals.to(device))

    @property
    def busy(self) -> bool:
        """Whether any slot holds a job."""
        return any(job is not None for job in self.jobs)

    def fill(self, queue: deque[Job], state: State) -> None:
        """Give the free slots to the next jobs."""
        for slot, held in enumerate(self.jobs):
            if held is not None or not queue:
                continue
            job = queue.popleft()
            if job.start.shape != tuple(self.images.shape[1:]):
                raise ValueError(f"job {job.job_id}: found shape {job.start.shape}, expected {self.images.shape[1:]}")
            self.jobs[slot], self.steps[slot] = job, 0
            self.best[slot], self.best_step[slot] = float("-inf"), 0
            self.images[slot] = torch.from_numpy(job.start).to(self.images.device)
            self.centres[slot] = torch.from_numpy(job.centre).to(self.images.device)
            self.radii[slot] = job.radius
            self.goals[slot] = torch.as_tensor(job.goal, dtype=self.goals.dtype)
            for remembered in state.values():
                remembered[slot] = 0

    def judge(self, reading: Reading, rounded: Tensor) -> list[Outcome]:
        """The outcomes of the slots that are finished, which become free; the others are counted one step on."""
        values, scores = reading.values.tolist(), reading.scores.tolist()
        finished = []
        for slot, job in enumerate(self.jobs):
            if job is None:
                continue
            if values[slot] > self.best[slot] + job.stop.least_gain:
                self.best[slot], self.best_step[slot] = values[slot], self.steps[slot]
            since_gain = self.steps[slot] - self.best_step[slot]
            verdict = job.stop.verdict(scores[slot], self.steps[slot], since_gain)
            if verdict == "go on":
                self.steps[slot] += 1
                continue
            image = rounded[slot].permute(1, 2, 0).to("cpu", torch.uint8).contiguous().numpy()
            position = self.images[slot].cpu().numpy().copy()
            finished.append(Outcome(job, image, position, self.steps[slot], scores[slot], verdict))
            self.jobs[slot] = None
        return finished
