"""What a row of the timeline draws: pure functions from a frame to what is on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


class _Still:
    """A drawing that does not move: the same at every frame."""

    moves = False

    def at(self, frame: int) -> Any:
        """Itself, at every frame."""
        return self


@dataclass(frozen=True)
class Nothing(_Still):
    """The background alone."""

    @property
    def name(self) -> str:
        """``nothing``."""
        return "nothing"


@dataclass(frozen=True)
class Picture(_Still):
    """An image of the study, pixel by pixel in the middle of the screen."""

    stim_id: str

    @property
    def name(self) -> str:
        """``picture RE-otter``."""
        return f"picture {self.stim_id}"


@dataclass(frozen=True)
class Words(_Still):
    """Text to be read: instructions, questions, feedback.

    right_to_left : the direction in which the text runs.
    """

    text: str
    right_to_left: bool = False

    @property
    def name(self) -> str:
        """``words`` (or ``words-rtl``) and the text, its line ends escaped."""
        kind = "words-rtl" if self.right_to_left else "words"
        return f"{kind} {escaped(self.text)}" if self.text else kind


@dataclass(frozen=True)
class Bar(_Still):
    """A bar across a round aperture in the middle of the screen, as population receptive field maps use it.

    angle_deg    : direction in which it sweeps: 0 to the right, 90 upwards.
    position_deg : its centre, along that direction, from the middle of the screen; visual angle.
    width_deg    : its width along that direction; visual angle.
    aperture_deg : diameter of the aperture; visual angle.
    """

    angle_deg: float
    position_deg: float
    width_deg: float
    aperture_deg: float

    @property
    def name(self) -> str:
        """``bar`` and its four numbers."""
        return f"bar {self.angle_deg:g} {self.position_deg:g} {self.width_deg:g} {self.aperture_deg:g}"


@dataclass(frozen=True)
class Mask(_Still):
    """A mask of the size of an image: noise of its own, the same every time for the same key.

    key : names the mask; it seeds the noise.
    """

    key: str

    @property
    def name(self) -> str:
        """``mask RE-otter``."""
        return f"mask {self.key}"


@dataclass(frozen=True)
class Rating(_Still):
    """A scale to choose from.

    question : above the scale.
    labels   : of its steps, least first.
    chosen   : the step that was chosen, from 0; None: none yet.
    """

    labels: tuple[str, ...]
    chosen: int | None = None
    question: str = ""
    right_to_left: bool = False

    @property
    def name(self) -> str:
        """``rating`` and the step that was chosen, if any."""
        return "rating" if self.chosen is None else f"rating {self.chosen}"


# What a stage knows how to draw.
Still = Nothing | Picture | Words | Bar | Mask | Rating


@runtime_checkable
class Drawing(Protocol):
    """A pure function from frame to still; the fixation point is drawn over it by the stage.

    A drawing may also have ``given(button: str | None) -> Drawing`` (see `Awaiting`): what it is depends on the button
    that ended the segment before it.
    """

    @property
    def moves(self) -> bool:
        """Whether two frames may differ: then every frame is drawn, whatever the clock's pace."""
        ...

    @property
    def name(self) -> str:
        """How it is called in timelines and journals."""
        ...

    def at(self, frame: int) -> Still:
        """What is drawn in a frame, counted from the row's own onset."""
        ...


@runtime_checkable
class Awaiting(Protocol):
    """A drawing that is chosen, when its row begins, by the button that ended the segment before (feedback)."""

    @property
    def outcomes(self) -> tuple[Drawing, ...]:
        """Every drawing it may become, so that all are ready before the run."""
        ...

    def given(self, button: str | None) -> Drawing:
        """What is drawn; button: None when the segment before ended by its time-out."""
        ...


def stills_of(drawing: Drawing) -> tuple[Still, ...]:
    """The stills that a drawing may show, as far as they have to be made ready before a run (moving ones are not)."""
    if isinstance(drawing, Awaiting):
        return tuple(still for outcome in drawing.outcomes for still in stills_of(outcome))
    return () if drawing.moves else (drawing.at(0),)


def escaped(text: str) -> str:
    r"""A text on one line of a table: backslash, tab and line end as ``\\``, ``\t`` and ``\n``."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def drawing_named(name: str) -> Drawing:
    """The still drawing of a name in a timeline or journal.

    name : ``nothing`` or ``picture <stim_id>``.
    """
    kind, _, stim_id = name.partition(" ")
    return Picture(stim_id) if kind == "picture" else Nothing()
