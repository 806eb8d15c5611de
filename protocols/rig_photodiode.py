"""The rig's photodiode: where its signal comes in, and what it has found of this display's light."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from protocols.rig_devices import LslTrigger, ParallelTrigger, SerialLineTrigger, SerialTrigger, TcpTrigger
from protocols.schema import Count, NotNegative, Plan, Positive, Share, Text, Whole


class MeasuredLight(Plan):
    """What `foolscan experiment photodiode` found: how light follows the flips that the journal stamps."""

    onset_offset_ms: Annotated[
        float, Field(strict=True, ge=-1000, le=1000, description="from the flip's stamp to the light, ms (median)")
    ]
    sd_ms: Annotated[NotNegative, Field(description="spread of that over the flashes that were on time, ms")]
    missed: Annotated[Whole, Field(description="flashes whose light came half a frame or more off, or not at all")]
    flashes: Count
    date: Annotated[Text, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    method: Annotated[Text, Field(description="by what it came in; emulated: nothing was measured")]

    @property
    def real(self) -> bool:
        """Whether there was light."""
        return self.method != "emulated"


class AudioDiode(Plan):
    """A photodiode on a sound card's input (needs the Python package sounddevice)."""

    kind: Literal["audio"]
    device: Annotated[Text | None, Field(description="part of the input's name; None: the system's own choice")] = None
    rate_hz: Annotated[Count, Field(ge=8000, le=192_000)] = 48_000
    threshold: Annotated[Positive, Field(le=1, description="of full scale; above it is a flash")] = 0.2
    falling: Annotated[bool, Field(strict=True, description="light makes the signal go down")] = False


class EyeLinkDiode(Plan):
    """A photodiode on the digital input of an EyeLink's Host PC, whose events come back over the link."""

    kind: Literal["eyelink"]
    address: Annotated[Text, Field(description="of the Host PC")] = "100.1.1.1"
    bit: Annotated[Whole, Field(le=7, description="of the input that the diode switches")] = 0
    rising: Annotated[bool, Field(strict=True, description="light sets the bit")] = True


class EmulatedDiode(Plan):
    """Light that foolscan makes up, for rehearsals: it says nothing of a display."""

    kind: Literal["emulated"]
    offset_ms: Annotated[NotNegative, Field(le=100)] = 8.0
    sd_ms: Annotated[NotNegative, Field(le=20)] = 0.3
    missed: Annotated[Share, Field(description="of the flashes, whose light is a frame late")] = 0.0


Photodiode = Annotated[
    SerialTrigger
    | SerialLineTrigger
    | ParallelTrigger
    | LslTrigger
    | TcpTrigger
    | AudioDiode
    | EyeLinkDiode
    | EmulatedDiode,
    Field(discriminator="kind"),
]
