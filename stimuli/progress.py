"""How far work on many images is: what is told of it, and what follows about its pace and the time left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """What is told of one piece of work, a set of images for instance.

    what        : its name.
    done, total : images.
    failed      : of those done, how many do not meet their criterion; None: nothing can fail.
    restarts    : attempts after an image's first.
    steps       : of optimisation, over all images, those in work included; 0: nothing is optimised.
    begun       : False while it waits for others.
    """

    what: str
    done: int
    total: int
    failed: int | None = None
    restarts: int = 0
    steps: int = 0
    begun: bool = True

    @property
    def is_over(self) -> bool:
        """Whether all of it is done."""
        return self.begun and self.done >= self.total


Tell = Callable[[Progress], None]


@dataclass
class Pace:
    """The pace of one piece of work, by a clock that is read whenever something is told.

    Images that were there before do not count, and an image's time is the mean over all that this call has made: several
    are in work at once and finish in bursts, so that the last few would say nothing.
    """

    latest: Progress
    began_s: float
    told_s: float = field(init=False)
    finish_s: float = field(init=False)
    found_done: int = field(init=False)

    def __post_init__(self) -> None:
        self.told_s = self.finish_s = self.began_s
        self.found_done = self.latest.done

    def told(self, progress: Progress, now_s: float) -> None:
        """Take note of what is told."""
        if progress.begun and not self.latest.begun:
            self.began_s, self.found_done = now_s, progress.done
        if progress.done != self.latest.done:
            self.finish_s = now_s
        self.latest, self.told_s = progress, now_s

    def elapsed_s(self, now_s: float) -> float:
        """Since it began; its whole duration when it is over."""
        if not self.latest.begun:
            return 0.0
        return (self.told_s if self.latest.is_over else now_s) - self.began_s

    def steps_per_s(self, now_s: float) -> float | None:
        """Steps of optimisation, all images together; None before the first."""
        elapsed = self.elapsed_s(now_s)
        return self.latest.steps / elapsed if self.latest.steps and elapsed > 0 else None

    def left_s(self, now_s: float) -> float | None:
        """Until it is over: said when an image finishes, then counted down, never below what one image takes; None: unknown."""
        made = self.latest.done - self.found_done
        if made <= 0 or self.latest.is_over:
            return None
        an_image = (self.finish_s - self.began_s) / made
        return max(an_image, an_image * (self.latest.total - self.latest.done) - (now_s - self.finish_s))

    def line(self, now_s: float) -> str:
        """One line for a log: ``AN: 17/40 images, 16 right, 1 failed, 3 restarts, 412 steps/s, 0:12, 0:16 left``."""
        progress, rate, left = self.latest, self.steps_per_s(now_s), self.left_s(now_s)
        facts = [f"{progress.what}: {progress.done}/{progress.total}"]
        if progress.failed is not None:
            facts += [f"{progress.done - progress.failed} right", f"{progress.failed} failed"]
        if progress.restarts:
            facts.append(f"{progress.restarts} restart{'s' if progress.restarts > 1 else ''}")
        if rate is not None:
            facts.append(f"{per_s(rate)} steps/s")
        facts.append(duration(self.elapsed_s(now_s)))
        if left is not None:
            facts.append(f"{duration(left)} left")
        return ", ".join(facts)


def per_s(rate: float) -> str:
    """``412``, ``4.1``: a slow rate is told more finely."""
    return f"{rate:.0f}" if rate >= 9.95 else f"{rate:.1f}"


def duration(seconds: float) -> str:
    """``0:07``, ``12:30``, ``3:05:00``."""
    minutes, s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{s:02}" if hours else f"{minutes}:{s:02}"
