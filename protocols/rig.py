"""The rig file: what belongs to a place and not to the science."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from protocols.geometry import angle_of_screen_deg, size_on_screen_px
from protocols.problems import Problem
from protocols.schema import Count, Flag, NotNegative, Plan, Positive, Text, Whole, validated
from protocols.yamlfile import find_file, read_document


class Display(Plan):
    """The participant's screen."""

    width_mm: Positive
    distance_mm: Annotated[Positive, Field(description="eye to screen along the line of sight, mirrors included")]
    size_px: tuple[Count, Count]
    refresh_hz: Positive
    screen: Whole = 0
    full_screen: Flag = True

    def px(self, size_deg: float) -> int:
        """The whole number of pixels nearest to a visual angle in degrees (tangent geometry)."""
        return round(size_on_screen_px(size_deg, self.distance_mm, self.width_mm, self.size_px[0]))

    def frames(self, duration_s: float) -> int:
        """The whole number of frames nearest to a duration in seconds."""
        return round(duration_s * self.refresh_hz)

    @property
    def size_deg(self) -> tuple[float, float]:
        """Width and height of the screen in degrees."""
        height_mm = self.width_mm * self.size_px[1] / self.size_px[0]
        return angle_of_screen_deg(self.width_mm, self.distance_mm), angle_of_screen_deg(height_mm, self.distance_mm)


class KeyboardTrigger(Plan):
    """Pulses that arrive as key presses (most scanner interfaces)."""

    kind: Literal["keyboard"]
    key: Text


class SerialTrigger(Plan):
    """Pulses that arrive as bytes on a serial port."""

    kind: Literal["serial"]
    port: Text
    baud: Count = 115200
    byte: Annotated[Text | None, Field(max_length=1, description="the byte that means a pulse; None: any")] = None


class EmulatedTrigger(Plan):
    """Pulses made by foolscan itself, for rehearsals."""

    kind: Literal["emulated"]
    delay_s: Annotated[NotNegative, Field(description="from the window being ready to the first pulse")] = 1.5
    jitter_s: Annotated[NotNegative, Field(description="a pulse is late by a half-normal time of this scale")] = 0.0


class DeskTrigger(Plan):
    """No scanner: the participant's own key starts the run."""

    kind: Literal["start_key"]
    key: Text = "space"


Trigger = Annotated[KeyboardTrigger | SerialTrigger | EmulatedTrigger | DeskTrigger, Field(discriminator="kind")]


class KeyboardButtons(Plan):
    """Buttons that arrive as key presses: abstract button -> key."""

    kind: Literal["keyboard"]
    keys: dict[Text, Text]


class EmulatedButtons(Plan):
    """Buttons pressed by the emulated observer."""

    kind: Literal["emulated"]
    buttons: tuple[Text, ...] = ("left", "right")


Buttons = Annotated[KeyboardButtons | EmulatedButtons, Field(discriminator="kind")]


class Rig(Plan):
    """One place where studies are shown."""

    format: Literal[1]
    name: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    description: str = ""
    display: Display
    trigger: Trigger
    buttons: Buttons
    abort_key: Text = "escape"

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
        """A problem of this rig (see `Problem`)."""
        return Problem(f"rig {self.name}", 0, key, found, allowed, remedy)


def load_rig(name_or_path: str | Path) -> Rig:
    """A rig by shipped name (``rehearsal``) or by path.

    Raises ProtocolError with all problems at once.
    """
    return validated(Rig, read_document(find_file(name_or_path, "rig")))
