"""What every planner is: from an image that is wanted to jobs for the engine, and from a file to a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from protocols.image_sets import Recipe
from protocols.seeds import generator_for
from stimuli.judging import Judged
from stimuli.networks.network import Network
from stimuli.pictures import PictureCategory
from stimuli.synthesis.engine import Job, Method, Outcome
from stimuli.synthesis.starts import ByteImage


@dataclass(frozen=True)
class Wanted:
    """An image to be made.

    stim_id   : ``AN-otter``.
    category  : of the regular image it comes from or is paired with.
    source_id : that image.
    source    : (height, width, 3), its pixels as read from disk.
    targets   : classes of the network in order of preference; one where there is no choice.
    guide_id  : the image whose representation it shall take; None for most kinds.
    guide     : (height, width, 3), that image's pixels; for a control, the adversary's whose change it takes.
    """

    stim_id: str
    category: PictureCategory
    source_id: str
    source: ByteImage
    targets: tuple[str, ...]
    guide_id: str | None = None
    guide: ByteImage | None = None


@dataclass(frozen=True)
class Verdict:
    """What became of an image, judged on its file.

    success : whether the recipe's criterion is met.
    ratio   : distance of its representation to the one it shall take, relative to where it started from; None for kinds
              that have no representation to take.
    """

    success: bool
    ratio: float | None = None


class Planner(Protocol):
    """Says how the images of one recipe are made."""

    @property
    def attempts(self) -> int:
        """Seeds that may be tried."""

    def target(self, wanted: Wanted, attempt: int, named: str) -> str:
        """The class whose posterior is told of an attempt (from 0); `named` is the class that the network gives."""

    def verdict(self, wanted: Wanted, attempt: int, judged: Judged) -> Verdict:
        """Whether an attempt's file is what the recipe asks for."""


class EnginePlanner(Planner, Protocol):
    """A planner whose images are optimised."""

    @property
    def method(self) -> Method:
        """How its jobs are run."""

    def first(self, wanted: Wanted, attempt: int) -> Job:
        """The job that begins an attempt."""

    def next(self, outcome: Outcome, attempt: int) -> Job | None:
        """The job that goes on within an attempt; None when the attempt is over."""

    def image(self, outcome: Outcome) -> ByteImage:
        """The image of an attempt that is over."""


@runtime_checkable
class DrawnPlanner(Planner, Protocol):
    """A planner whose images are computed at once."""

    def drawn(self, wanted: Wanted, attempt: int) -> ByteImage:
        """The image of an attempt."""


def attempt_id(stim_id: str, attempt: int) -> str:
    """What the seed of an attempt is drawn for (see `seed_for`)."""
    return f"stimulus/{stim_id}/attempt-{attempt}"


RecipeType = TypeVar("RecipeType", bound=Recipe)


@dataclass(frozen=True)
class RecipePlanner(Generic[RecipeType]):
    """What planners share: a recipe, the network it is for, and the seed of the study."""

    recipe: RecipeType
    network: Network
    study_seed: int

    @property
    def attempts(self) -> int:
        """One, where a recipe does not say."""
        return int(getattr(self.recipe, "attempts", 1))

    def target(self, wanted: Wanted, attempt: int, named: str) -> str:
        """The first that is wanted."""
        return wanted.targets[0]

    def next(self, outcome: Outcome, attempt: int) -> Job | None:
        """Most attempts are one job."""
        return None

    def image(self, outcome: Outcome) -> ByteImage:
        """The last job's."""
        return outcome.image

    def draw(self, wanted: Wanted, attempt: int) -> np.random.Generator:
        """Where the chance of an attempt comes from."""
        return generator_for(self.study_seed, attempt_id(wanted.stim_id, attempt))

    def goal(self, label: str) -> np.int64:
        """The network's output for a class."""
        return np.int64(self.network.label_index(label))


def is_named(judged: Judged, target: str, confidence: float | None) -> bool:
    """Whether the network names the target, with the confidence that is asked for."""
    return judged.label == target and (confidence is None or judged.confidence >= confidence)
