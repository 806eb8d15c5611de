"""Runs many syntheses in one batch of a fixed shape; what becomes of an image does not depend on its batch mates."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stimuli.networks.exactness import exact
from stimuli.synthesis.constraints import Constraint
from stimuli.synthesis.objectives import Objective, Reading, Sought
from stimuli.synthesis.optimisers import Optimiser, State
from stimuli.synthesis.starts import ByteImage, FloatImage
from stimuli.synthesis.stopping import StopRule, Verdict


@dataclass(frozen=True)
class Job:
    """One image to be made.

    job_id : its name, returned with the outcome.
    start  : (3, height, width), grey levels: where it starts. Its precision is the one that is computed in.
    centre : (3, height, width), grey levels: what its constraint is around, and what it is compared with; whole levels
             where the constraint is a ball.
    radius : how far from the centre it may go, grey levels (for constraints that have one).
    goal   : what its objective wants: a class index as an int64 scalar, or an array of features.
    stop   : when it is finished.
    weight : of its distance from the centre, where the objective weighs that (`Near`).
    memory : whatever the one who made the job wants to know when it is finished.
    """

    job_id: str
    start: FloatImage
    centre: FloatImage
    radius: float
    goal: np.ndarray | np.generic
    stop: StopRule
    weight: float = 0.0
    memory: object = None


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    image    : (height, width, 3), uint8: the rounded image that was judged.
    position : (3, height, width), grey levels: the image before rounding, from which another job may go on.
    steps    : readings of the objective after the first.
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
    """How images are made; where each starts and when it is finished stands in its job.

    reads_rounded : whether the objective is asked of the images as they would be saved (straight-through: rounding
                    counts as the identity). Otherwise it is asked of the images as they are, and their rounded selves
                    are judged where they might be finished; an optimiser that searches lines needs that.
    """

    objective: Objective
    constraint: Constraint
    optimiser: Optimiser
    reads_rounded: bool = True

    def __post_init__(self) -> None:
        if not self.optimiser.searches_lines:
            return
        if self.reads_rounded or not self.constraint.is_box:
            what = f"{type(self.optimiser).__name__} within {type(self.constraint).__name__}"
            raise ValueError(f"{what}: it needs bounds for each value by itself, and images that are not rounded")


def synthesise(
    method: Method,
    queue: deque[Job],
    batch_size: int,
    device: torch.device,
    told: Callable[[int], None] | None = None,
) -> Iterator[Outcome]:
    """Make the images of a queue, several at a time, and yield each as it finishes.

    The batch always has `batch_size` images: a finished image gives its slot to the next job, and an empty slot keeps
    an image that nobody looks at. At one batch size, on one device, an image's bits are the same in whatever company.

    method     : objective, constraint and optimiser.
    queue      : jobs of one image size; whoever takes the outcomes may append further jobs.
    batch_size : images a step.
    device     : where the objective computes.
    told       : told after every step how many images went one step on.

    Raises ValueError when a job's image has another shape than the first job's.
    """
    if not queue:
        return
    slots = _Slots(method, queue[0], batch_size, device)
    while queue or slots.busy:
        slots.fill(queue)
        may_move = slots.may_move
        # all that a last reading is for is the judging of what would be saved
        is_rounded = method.reads_rounded or not (may_move or method.optimiser.searches_lines)
        read = slots.rounded(slots.images) if is_rounded else slots.images
        reading, gradients = _ascent(method.objective, read, slots.sought, may_move)
        yield from slots.judged(reading, is_rounded)
        if slots.busy and gradients is not None:
            slots.move(gradients, reading)
            if told is not None:
                told(slots.n_busy)


@exact()
def _ascent(objective: Objective, images: Tensor, sought: Sought, wanted: bool) -> tuple[Reading, Tensor | None]:
    """The reading at the images, and the gradient there where it is wanted."""
    if not wanted:
        with torch.no_grad():
            return objective(images, sought), None
    leaves = images.detach().requires_grad_(True)
    reading = objective(leaves, sought)
    (gradients,) = torch.autograd.grad(reading.values.sum(), leaves)
    # in the order of the images in memory, for the steps that combine both
    return Reading(reading.values.detach(), reading.scores.detach()), gradients.contiguous()


class _Slots:
    """The places of a batch: tensors with one row each, and the job that holds the place."""

    def __init__(self, method: Method, first: Job, batch_size: int, device: torch.device) -> None:
        self.method = method
        dtype = torch.from_numpy(first.start[:0]).dtype
        self.images = torch.full((batch_size, *first.start.shape), 127.0, dtype=dtype, device=device)
        goal = torch.from_numpy(np.atleast_1d(first.goal))
        goals = torch.zeros((batch_size, *first.goal.shape), dtype=goal.dtype, device=device)
        weights = torch.zeros(batch_size, dtype=dtype, device=device)
        self.sought = Sought(goals, self.images.clone(), weights)
        self.radii = torch.zeros(batch_size, dtype=dtype, device=device)
        self.room = method.constraint.room(self.sought.centres, self.radii)
        self.state: State = method.optimiser.fresh(self.images)
        self.jobs: list[Job | None] = [None] * batch_size
        self.steps = [0] * batch_size
        self.best = [float("-inf")] * batch_size
        self.best_step = [0] * batch_size

    @property
    def busy(self) -> bool:
        """Whether any slot holds a job."""
        return self.n_busy > 0

    @property
    def n_busy(self) -> int:
        """Slots that hold a job."""
        return sum(job is not None for job in self.jobs)

    @property
    def may_move(self) -> bool:
        """Whether any job has steps left; a last reading needs no gradient."""
        return any(job is not None and n < job.stop.max_steps for job, n in zip(self.jobs, self.steps, strict=True))

    def rounded(self, images: Tensor) -> Tensor:
        """Images of the slots as they would be saved."""
        return self.method.constraint.rounded(images, self.room)

    def fill(self, queue: deque[Job]) -> None:
        """Give the free slots to the next jobs, all in one transfer to the device."""
        taken = [(slot, queue.popleft()) for slot, held in enumerate(self.jobs) if held is None and queue]
        if not taken:
            return
        slots, jobs = [slot for slot, _ in taken], [job for _, job in taken]
        for slot, job in taken:
            if job.start.shape != tuple(self.images.shape[1:]):
                raise ValueError(f"job {job.job_id}: found shape {job.start.shape}, expected {self.images.shape[1:]}")
            self.jobs[slot], self.steps[slot] = job, 0
            self.best[slot], self.best_step[slot] = float("-inf"), 0
        rows = torch.tensor(slots, device=self.images.device)
        for held, given in (
            (self.images, [job.start for job in jobs]),
            (self.sought.centres, [job.centre for job in jobs]),
            (self.sought.goals, [job.goal for job in jobs]),
            (self.sought.weights, [job.weight for job in jobs]),
            (self.radii, [job.radius for job in jobs]),
        ):
            held[rows] = torch.from_numpy(np.stack(given)).to(held)
        for remembered in self.state.values():
            remembered[rows] = 0
        self.room = self.method.constraint.room(self.sought.centres, self.radii)

    def judged(self, reading: Reading, is_rounded: bool) -> list[Outcome]:
        """The outcomes of the slots that are finished, which become free; the others are counted one step on.

        reading    : of the images.
        is_rounded : whether it is of the rounded images; of others those that might be finished are read again, rounded.
        """
        values, scores = torch.stack([reading.values, reading.scores]).tolist()  # all that the host must know, at once
        for slot, job in enumerate(self.jobs):
            if job is not None and values[slot] > self.best[slot] + job.stop.least_gain:
                self.best[slot], self.best_step[slot] = values[slot], self.steps[slot]
        verdicts = self._verdicts(scores)
        finished = []
        if any(verdict != "go on" for verdict in verdicts):
            rounded = self._would_be_saved(verdicts)
            if not is_rounded:
                with torch.no_grad():
                    scores = self.method.objective(rounded, self.sought).scores.tolist()
                # only those that might be finished: when an image is judged does not depend on its batch mates
                second = self._verdicts(scores)
                verdicts = [then if now != "go on" else now for now, then in zip(verdicts, second, strict=True)]
            finished = self._outcomes(verdicts, scores, rounded)
        self.steps = [steps + 1 for steps in self.steps]
        return finished

    def _would_be_saved(self, verdicts: list[Verdict]) -> Tensor:
        """What is read where that has reached its score, else where the optimiser stands; rounded."""
        if not self.method.optimiser.searches_lines:
            return self.rounded(self.images)
        reached = torch.tensor([verdict == "reached" for verdict in verdicts], device=self.images.device)
        standing = self.method.optimiser.standing(self.images, self.state)
        return self.rounded(torch.where(reached.view(-1, 1, 1, 1), self.images, standing))

    def _outcomes(self, verdicts: list[Verdict], scores: list[float], rounded: Tensor) -> list[Outcome]:
        """The outcomes of the slots that do not go on; these become free."""
        slots = [slot for slot, verdict in enumerate(verdicts) if verdict != "go on"]
        rows = torch.tensor(slots, dtype=torch.long, device=rounded.device)
        images = rounded[rows].permute(0, 2, 3, 1).to(torch.uint8).contiguous().cpu().numpy()
        positions = self.images[rows].cpu().numpy()
        finished = []
        for row, slot in enumerate(slots):
            job, self.jobs[slot] = self.jobs[slot], None
            if job is not None:
                image, position = images[row].copy(), positions[row].copy()
                finished.append(Outcome(job, image, position, self.steps[slot], scores[slot], verdicts[slot]))
        return finished

    def _verdicts(self, scores: list[float]) -> list[Verdict]:
        return [
            "go on" if job is None else job.stop.verdict(score, steps, steps - best_step)
            for job, score, steps, best_step in zip(self.jobs, scores, self.steps, self.best_step, strict=True)
        ]

    @exact()
    def move(self, gradients: Tensor, reading: Reading) -> None:
        """One step of every slot, back into its room."""
        moved = self.method.optimiser.stepped(self.images, gradients, reading, self.state, self.room)
        self.images = self.method.constraint.projected(moved, self.room)
