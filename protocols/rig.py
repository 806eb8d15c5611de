"""The rig file: what belongs to a place and not to the science."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from protocols.problems import Problem
from protocols.rig_devices import Buttons, KeyboardButtons, SerialButtons, Trigger
from protocols.rig_display import Display
from protocols.rig_eyetracker import EyeTrackerPlan
from protocols.rig_photodiode import Photodiode
from protocols.rig_presets import with_presets
from protocols.schema import Plan, Text, validated
from protocols.yamlfile import Document, find_file, read_document


class Rig(Plan):
    """One place where studies are shown."""

    format: Literal[1]
    name: Annotated[Text, Field(max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    description: str = ""
    display: Display
    trigger: Trigger
    buttons: Buttons
    eye_tracker: EyeTrackerPlan | None = None
    photodiode: Photodiode | None = None
    abort_key: Text = "escape"

    _document: Document | None = PrivateAttr(default=None)
    _given: str = PrivateAttr(default="")

    @property
    def argument(self) -> str:
        """What to give as ``--rig`` to have this rig again."""
        return self._given or self.name

    @property
    def rehearsal(self) -> bool:
        """Whether scanner or participant is emulated: then all that is recorded is marked as simulated."""
        gaze_is_emulated = self.eye_tracker is not None and self.eye_tracker.kind == "emulated"
        return self.trigger.kind == "emulated" or self.buttons.kind == "emulated" or gaze_is_emulated

    @property
    def emulated(self) -> bool:
        """Whether all is emulated: nothing outside the computer keeps time, so a simulated clock may."""
        gaze_is_real = self.eye_tracker is not None and self.eye_tracker.kind != "emulated"
        return self.trigger.kind == "emulated" and self.buttons.kind == "emulated" and not gaze_is_real

    @property
    def button_names(self) -> tuple[str, ...]:
        """The abstract buttons of this rig."""
        if isinstance(self.buttons, KeyboardButtons):
            return tuple(self.buttons.keys)
        return tuple(self.buttons.codes) if isinstance(self.buttons, SerialButtons) else self.buttons.buttons

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
    document = with_presets(read_document(find_file(name_or_path, "rig"), "rig"))
    rig = validated(Rig, document)
    rig._document = document
    rig._given = str(name_or_path)
    return rig
