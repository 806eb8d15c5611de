"""When an image is finished: judged for each image on its rounded self, never on a batch as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["go on", "reached", "out of steps", "no progress"]

Ended = Literal["tried", "go on", "reached", "out of steps", "no progress"]
"""How the last attempt at an image ended; 'tried': it was not optimised."""

WHY: dict[Ended, str] = {
    "tried": "no attempt met it",
    "reached": "met while it was made, but not by the file",
    "out of steps": "its steps were used up",
    "no progress": "it made no further progress",
}
"""Why an image does not meet its criterion, for people."""

# A saved image is judged again at another batch shape or on another device, where the last digits differ.
MARGIN_SHARE = 0.1


@dataclass(frozen=True)
class StopRule:
    """Stop when the score is reached, the steps are used up, or nothing has been gained for a while.

    score      : criterion, e.g. a posterior of 0.99; None: never.
    max_steps  : steps allowed.
    patience   : steps without gain after which an image is given up.
    least_gain : gain in the objective's value that counts.
    """

    score: float | None
    max_steps: int
    patience: int = 40
    least_gain: float = 0.05

    @property
    def threshold(self) -> float:
        """The score to reach in the loop: the criterion and a tenth of what is left above it."""
        if self.score is None:
            return float("inf")
        return self.score + MARGIN_SHARE * (1.0 - self.score)

    def verdict(self, score: float, steps: int, steps_since_gain: int) -> Verdict:
        """What to do with one image.

        score            : of its rounded self.
        steps            : steps done.
        steps_since_gain : steps since the best value so far rose by `least_gain`.
        """
        if score >= self.threshold:
            return "reached"
        if steps >= self.max_steps:
            return "out of steps"
        return "no progress" if steps_since_gain >= self.patience else "go on"
