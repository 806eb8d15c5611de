"""The order of a queue: the hardest begin, and no image's bits know of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from stimuli.synthesis.constraints import PixelRange
from stimuli.synthesis.engine import Job, Method, synthesise
from stimuli.synthesis.objectives import Reading, Sought
from stimuli.synthesis.optimisers import NormalisedGradient
from stimuli.synthesis.ordering import hardest_first, in_turn
from stimuli.synthesis.stopping import StopRule

CPU = torch.device("cpu")


def brightness(images: Tensor, sought: Sought) -> Reading:
    """The mean grey level, less what each wants: darker images are harder."""
    values = images.mean(dim=(1, 2, 3)) - sought.goals
    return Reading(values, values)


METHOD = Method(brightness, PixelRange(), NormalisedGradient(1.0))


def job(place: int, level: float, score: float | None = 0.0) -> Job:
    start = np.full((3, 4, 4), level, dtype=np.float32)
    return Job(f"job-{place}", start, start, 255.0, np.int64(130), StopRule(score, 200))


def test_the_lowest_at_the_start_come_first() -> None:
    levels = [100.0, 40.0, 120.0, 60.0, 80.0]
    queue = hardest_first(METHOD, [job(i, level) for i, level in enumerate(levels)], 2, CPU)
    assert [int(one.job_id[-1]) for one in queue] == [1, 3, 4, 0, 2]


def test_jobs_without_a_score_or_in_one_batch_stay_as_they_are() -> None:
    jobs = [job(i, level, None) for i, level in enumerate([100.0, 40.0, 120.0])]
    assert list(hardest_first(METHOD, jobs, 2, CPU)) == jobs
    reachable = [job(i, level) for i, level in enumerate([100.0, 40.0])]
    assert list(hardest_first(METHOD, reachable, 2, CPU)) == reachable


def test_images_are_the_same_in_any_order_and_the_hardest_first_take_fewer_steps() -> None:
    jobs = [job(i, level) for i, level in enumerate([125.0, 125.0, 125.0, 125.0, 125.0, 20.0])]

    def made(queue: deque[Job]) -> tuple[dict[str, bytes], int]:
        steps: list[int] = []
        return {o.job.job_id: o.image.tobytes() for o in synthesise(METHOD, queue, 2, CPU, steps.append)}, len(steps)

    (as_given, slow), (hard_first, fast) = made(deque(jobs)), made(hardest_first(METHOD, jobs, 2, CPU))
    assert as_given == hard_first
    assert fast < slow


def test_what_follows_waits_its_turn_but_not_behind_all() -> None:
    queue = deque(job(i, 100.0) for i in range(7))
    in_turn(queue, job(9, 100.0), 2)
    assert [int(one.job_id[-1]) for one in queue] == [0, 1, 2, 3, 9, 4, 5, 6]
    short = deque([job(0, 100.0)])
    in_turn(short, job(9, 100.0), 2)
    assert [int(one.job_id[-1]) for one in short] == [0, 9]


def test_chains_side_by_side_end_the_same_in_fewer_steps_than_one_after_the_other() -> None:
    levels = [90.0, 60.0, 30.0]  # of every chain, one after the other

    def made(put: Callable[[deque[Job], Job], None]) -> tuple[dict[str, list[bytes]], int]:
        queue, steps, images = deque(job(i, levels[0]) for i in range(5)), list[int](), dict[str, list[bytes]]()
        for outcome in synthesise(METHOD, queue, 2, CPU, steps.append):
            chain = images.setdefault(outcome.job.job_id, [])
            chain.append(outcome.image.tobytes())
            if len(chain) < len(levels):
                put(queue, job(int(outcome.job.job_id[-1]), levels[len(chain)]))
        return images, len(steps)

    (one_by_one, slow), (in_turns, fast) = (
        made(deque.appendleft),
        made(lambda queue, further: in_turn(queue, further, 2)),
    )
    assert one_by_one == in_turns
    assert fast < slow
