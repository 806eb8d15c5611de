"""The rig file: what belongs to a place and not to the science."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from protocols.problems import Problem
from protocols.rig_display import Display
from protocols.schema import Count, EachOnce, NotNegative, Plan, Text, validated
from protocols.yamlfile import Document, find_file, read_document


class KeyboardTrigger(Plan):
    """Pulses that arrive as key presses (most scanner interfaces)."""

    kind: Literal["keyboard"]
    key: Text


class SerialTrigger(Plan):
    """Pulses that arrive as bytes on a serial port."""

    kind: Literal["serial"]
    port: Text
    baud: Annotated[Count, Field(ge=50, le=10_000_000)] = 115200
    byte: Annotated[Text | None, Field(max_length=1, description="the byte that means a pulse; None: any")] = None


class EmulatedTrigger(Plan):
    """Pulses made by foolscan itself, for rehearsals."""

    kind: Literal["emulated"]
    delay_s: Annotated[NotNegative, Field(le=3600, description="from the window being ready to the first pulse")] = 1.5
    jitter_s: Annotated[
        NotNegative, Field(le=60, description="a pulse is late by a half-normal time of this scale")
    ] = 0.0


class DeskTrigger(Plan):
    """No scanner: the participant's own key starts the run."""

    kind: Literal["start_key"]
    key: Text = "space"


Trigger = Annotated[KeyboardTrigger | SerialTrigger | EmulatedTrigger | DeskTrigger, Field(discriminator="kind")]


class KeyboardButtons(Plan):
    """Buttons that arrive as key presses: abstract button -> key."""

    kind: Literal["keyboard"]
    keys: Annotated[dict[Text, Text], Field(min_length=2)]


class EmulatedButtons(Plan):
    """Buttons pressed by the emulated observer."""

    kind: Literal["emulated"]
    buttons: Annotated[tuple[Text, ...], EachOnce, Field(min_length=2)] = ("left", "right")


Buttons = Annotated[KeyboardButtons | EmulatedButtons, Field(discriminator="kind")]


class Rig(Plan):
    """One place where studies are shown."""

    format: Literal[1]
    name: Annotated[Text, Field(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    description: str = ""
    display: Display
    trigger: Trigger
    buttons: Buttons
    abort_key: Text = "escape"

    _document: Document | None = PrivateAttr(default=None)

    @property
    def rehearsal(self) -> bool:
        """Whether scanner or participant is emulated: then all that is recorded is marked as simulated."""
        return self.trigger.kind == "emulated" or self.buttons.kind == "emulated"

    @property
    def emulated(self) -> bool:
        """Whether both are: nothing outside the computer keeps time, so a simulated clock may."""
        return self.trigger.kind == "emulated" and self.buttons.kind == "emulated"

    @property
    def button_names(self) -> tuple[str, ...]:
        """The abstract buttons of this rig."""
        return tuple(self.buttons.keys) if isinstance(self.buttons, KeyboardButtons) else self.buttons.buttons

    def problem(self, key: str, found: str, allowed: str, remedy: str = "") -> Problem:
        """A problem at a dotted key of this rig's file (see `Problem`)."""
        place = self._document.place(tuple(key.split("."))) if self._document else None
        return Problem(
            place.file if place else f"rig {self.name}", place.line if place else 0, key, found, allowed, remedy
        )


def load_rig(name_or_path: str | Path) -> Rig:
    """A rig by shipped name (``rehearsal``) or by path.

    Raises ProtocolError with all problems at once.
    """
    document = read_document(find_file(name_or_path, "rig"))
    rig = validated(Rig, document)
    rig._document = document
    return rig
