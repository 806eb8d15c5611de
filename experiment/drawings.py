"""What a row of the timeline draws: pure functions from a frame to what is on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Nothing:
    """The background alone."""

    moves = False

    @property
    def name(self) -> str:
        """``nothing``."""
        return "nothing"

    def at(self, frame: int) -> Still:
        """The background, at every frame."""
        return self


@dataclass(frozen=True)
class Picture:
    """An image of the study, pixel by pixel in the middle of the screen."""

    stim_id: str

    moves = False

    @property
    def name(self) -> str:
        """``picture RE-otter``."""
        return f"picture {self.stim_id}"

    def at(self, frame: int) -> Still:
        """The image, at every frame."""
        return self


@dataclass(frozen=True)
class Words:
    """Text to be read: instructions while the scanner is waited for."""

    text: str

    moves = False

    @property
    def name(self) -> str:
        """``words``."""
        return "words"

    def at(self, frame: int) -> Still:
        """The text, at every frame."""
        return self


# What a stage knows how to draw.
Still = Nothing | Picture | Words


@runtime_checkable
class Drawing(Protocol):
    """A pure function from frame to still; the fixation point is drawn over it by the stage."""

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


def drawing_named(name: str) -> Drawing:
    """The still drawing of a name in a timeline or journal.

    name : ``nothing`` or ``picture <stim_id>``.
    """
    kind, _, stim_id = name.partition(" ")
    return Picture(stim_id) if kind == "picture" else Nothing()
