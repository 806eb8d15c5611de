"""Adversarial interference (AI)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protocols.image_sets import AdversarialInterferenceRecipe
from stimuli.judging import Judged
from stimuli.planners.ascents import ascent
from stimuli.planners.planner import RecipePlanner, Verdict, Wanted, is_named
from stimuli.synthesis.constraints import LInfBall
from stimuli.synthesis.engine import Job, Method, Outcome
from stimuli.synthesis.optimisers import NormalisedGradient
from stimuli.synthesis.starts import ByteImage, FloatImage, from_image, within_ball
from stimuli.synthesis.stopping import StopRule


@dataclass(frozen=True)
class Reached:
    """What an attempt has: the smallest ball in which the confidence was reached so far.

    radius   : of that ball, grey levels.
    image    : (height, width, 3), the image there as it would be saved.
    position : (3, height, width), the same before rounding; smaller balls are tried from it.
    failed   : largest radius at which it was not reached, grey levels; 0: none.
    """

    radius: int
    image: ByteImage
    position: FloatImage
    failed: int

    @property
    def between(self) -> int | None:
        """The radius to try next; None where no whole grey level is left between."""
        middle = (self.failed + self.radius) // 2
        return middle if middle > self.failed else None


@dataclass(frozen=True)
class InterferencePlanner(RecipePlanner[AdversarialInterferenceRecipe]):
    """Adversarial interference: from the regular image to a wrong class, in the smallest L-infinity ball that will do.

    Zhang et al. 2018, Stimuli (with `source_weight`, Zhang et al. 2021); the paper gives neither bound nor class, so the
    search is ours, and the recipe states it: an attempt tries the radii of `linf_tried` up to its largest, each from
    where the smaller one ended, and (`linf_refined`) after the first that will do the whole grey levels between it and
    the largest that would not, by halves, each from where the smallest that will do ended; `linf_max_on` says which
    attempts may go beyond `linf_preferred`; a further attempt begins at a random point near the image, and `retry_class`
    says what class it is for.
    """

    @property
    def method(self) -> Method:
        """Normalised gradient steps within the ball."""
        objective = ascent(self.recipe.ascends, self.network, self.recipe.source_weight)
        return Method(objective, LInfBall(), NormalisedGradient(self.recipe.step))

    def is_last(self, attempt: int) -> bool:
        """Whether no attempt follows this one (from 0)."""
        return attempt == self.attempts - 1

    def radii(self, attempt: int) -> tuple[int, ...]:
        """The radii that an attempt may use, in order."""
        recipe = self.recipe
        goes_beyond = recipe.linf_max_on == "every_attempt" or self.is_last(attempt)
        largest = recipe.linf_max if goes_beyond else recipe.linf_preferred
        return tuple(
            sorted({radius for radius in recipe.linf_tried if radius <= largest} | {recipe.linf_preferred, largest})
        )

    def target(self, wanted: Wanted, attempt: int, named: str = "") -> str:
        """The attempt's class: the first, or down the order of preference and at last the first again."""
        if self.recipe.retry_class == "same" or self.is_last(attempt):
            return wanted.targets[0]
        return wanted.targets[attempt % len(wanted.targets)]

    def first(self, wanted: Wanted, attempt: int) -> Job:
        """From the regular image itself; at later attempts from a random point near it."""
        centre, radius = from_image(wanted.source), self.radii(attempt)[0]
        start = centre if attempt == 0 else within_ball(centre, radius, self.draw(wanted, attempt))
        goal = self.goal(self.target(wanted, attempt))
        stop, weight = self._stop(radius), self.recipe.source_weight
        return Job(wanted.stim_id, start, centre, float(radius), goal, stop, weight)

    def next(self, outcome: Outcome, attempt: int) -> Job | None:
        """Wider balls until one will do, on from where the narrower one ended; then narrower ones, by halves."""
        found = self._reached(outcome, attempt)
        if found is not None:
            radius = found.between if self.recipe.linf_refined else None
            return None if radius is None else self._job(outcome.job, radius, found.position, found)
        wider = [radius for radius in self.radii(attempt) if radius > outcome.job.radius]
        return self._job(outcome.job, wider[0], outcome.position) if wider else None

    def image(self, outcome: Outcome) -> ByteImage:
        """That of the smallest ball in which the confidence was reached; else the last."""
        if outcome.verdict != "reached" and isinstance(outcome.job.memory, Reached):
            return outcome.job.memory.image
        return outcome.image

    def _reached(self, outcome: Outcome, attempt: int) -> Reached | None:
        """What an attempt has after one more outcome; None as long as no ball would do."""
        earlier, radius = outcome.job.memory, int(outcome.job.radius)
        if outcome.verdict == "reached":
            narrower = [tried for tried in self.radii(attempt) if tried < radius]
            failed = earlier.failed if isinstance(earlier, Reached) else max(narrower, default=0)
            return Reached(radius, outcome.image, outcome.position, failed)
        return replace(earlier, failed=radius) if isinstance(earlier, Reached) else None

    def _job(self, job: Job, radius: int, start: FloatImage, found: Reached | None = None) -> Job:
        stop = self._stop(radius) if found is None else replace(self._stop(radius), patience=10, least_gain=0.2)
        return replace(job, start=start, radius=float(radius), stop=stop, memory=found)

    def verdict(self, wanted: Wanted, attempt: int, judged: Judged) -> Verdict:
        """The attempt's class, with the confidence."""
        return Verdict(is_named(judged, self.target(wanted, attempt), self.recipe.confidence))

    def _stop(self, radius: int) -> StopRule:
        """Small balls are left soon on the way up; from the preferred radius on there is more patience."""
        if radius < self.recipe.linf_preferred:
            return StopRule(self.recipe.confidence, self.recipe.max_steps, patience=5, least_gain=0.5)
        return StopRule(self.recipe.confidence, self.recipe.max_steps, patience=self.recipe.patience, least_gain=0.05)
