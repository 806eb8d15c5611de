"""What a row of the timeline draws: pure functions from a frame to what is on the screen."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
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
class SweepingBar:
    """A bar that moves across its aperture at one speed; every frame is another still.

    bar      : the first still.
    to_deg   : where its centre is in the last frame; visual angle.
    n_frames : of the whole sweep.
    """

    bar: Bar
    to_deg: float
    n_frames: int

    moves = True

    @property
    def name(self) -> str:
        """``sweeping-`` and the bar, where it ends, and the number of frames."""
        return f"sweeping-{self.bar.name} {self.to_deg:g} {self.n_frames}"

    def at(self, frame: int) -> Still:
        """The bar in one frame; it stands still at the end of its way."""
        share = min(max(frame, 0), self.n_frames - 1) / max(1, self.n_frames - 1)
        way_deg = self.to_deg - self.bar.position_deg
        return replace(self.bar, position_deg=round(self.bar.position_deg + share * way_deg, 9))


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
        """``rating``, the step that was chosen, the direction, question and labels, parted by ``|``."""
        parts = (str(self.chosen), "rtl" if self.right_to_left else "ltr", self.question, *self.labels)
        return "rating " + "|".join(escaped(part).replace("|", "\\p") for part in parts)


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


@dataclass(frozen=True)
class Feedback(_Still):
    """What is said after a practice trial.

    right_button : the button of the correct answer; None: the image has no correct answer.
    """

    right_button: str | None
    right: Words
    wrong: Words
    missed: Words
    noted: Words

    @property
    def name(self) -> str:
        """``feedback`` and the button of the correct answer."""
        return f"feedback {self.right_button or ''}".strip()

    @property
    def outcomes(self) -> tuple[Drawing, ...]:
        """The four things that can be said."""
        return (self.right, self.wrong, self.missed, self.noted)

    def given(self, button: str | None) -> Drawing:
        """What is said of one answer."""
        if button is None:
            return self.missed
        if self.right_button is None:
            return self.noted
        return self.right if button == self.right_button else self.wrong


@dataclass(frozen=True)
class Chosen(_Still):
    """A scale with the step that has just been chosen.

    buttons : of the steps.
    """

    rating: Rating
    buttons: tuple[str, ...]

    @property
    def name(self) -> str:
        """``chosen``."""
        return "chosen"

    @property
    def outcomes(self) -> tuple[Drawing, ...]:
        """The scale with each of its steps chosen."""
        return tuple(replace(self.rating, chosen=step) for step in range(len(self.buttons)))

    def given(self, button: str | None) -> Drawing:
        """The scale with the step of a button chosen."""
        return self.rating if button is None else replace(self.rating, chosen=self.buttons.index(button))


def stills_of(drawing: Drawing) -> tuple[Still, ...]:
    """The stills that a drawing may show and that are made ready before a run; of a moving one the first stands for all."""
    if isinstance(drawing, Awaiting):
        return tuple(still for outcome in drawing.outcomes for still in stills_of(outcome))
    return (drawing.at(0),)


def escaped(text: str) -> str:
    r"""A text on one line of a table: backslash, tab and line end as ``\\``, ``\t`` and ``\n``."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def unescaped(line: str) -> str:
    """The text that `escaped` put on one line."""
    letters = {"\\": "\\", "t": "\t", "n": "\n", "p": "|"}
    return re.sub(r"\\(.)", lambda found: letters.get(found[1], found[0]), line)


def drawing_named(name: str) -> Drawing:
    """The drawing of a name in a timeline or journal; one that waited for a button is ``nothing`` until it is known."""
    kind, _, rest = name.partition(" ")
    if kind == "picture":
        return Picture(rest)
    if kind == "mask":
        return Mask(rest)
    if kind in ("words", "words-rtl"):
        return Words(unescaped(rest), kind == "words-rtl")
    if kind == "bar":
        return Bar(*(float(number) for number in rest.split(" ")))
    if kind == "sweeping-bar":
        *bar, to_deg, n_frames = rest.split(" ")
        return SweepingBar(Bar(*(float(number) for number in bar)), float(to_deg), int(n_frames))
    if kind == "rating":
        chosen, direction, question, *labels = (unescaped(part) for part in rest.split("|"))
        return Rating(tuple(labels), None if chosen == "None" else int(chosen), question, direction == "rtl")
    return Nothing()
