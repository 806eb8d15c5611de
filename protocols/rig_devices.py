"""The rig's trigger and buttons: where pulses and presses come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from protocols.schema import Count, EachOnce, Flag, NotNegative, Plan, Positive, Text

Baud = Annotated[Count, Field(ge=50, le=10_000_000)]
TcpPort = Annotated[Count, Field(le=65535)]
Bounce = Annotated[
    NotNegative, Field(le=1, description="an edge this soon after a pulse is its bounce, not a pulse, s")
]
Coding = Literal["bytes", "bits"]


class PulseSource(Plan):
    """What every trigger says: what a pulse stands for.

    Presets of scanners and boxes (`preset:`) give these and the keys of a kind.
    """

    per: Annotated[Literal["volume", "run", "slice"], Field(description="what the scanner sends a pulse for")] = (
        "volume"
    )
    slices: Annotated[
        Count, Field(le=10_000, description="with per: slice, the pulses of a volume (slices taken at once send one)")
    ] = 1


class KeyboardTrigger(PulseSource):
    """Pulses that arrive as key presses (most scanner interfaces)."""

    kind: Literal["keyboard"]
    key: Text


class SerialTrigger(PulseSource):
    """Pulses that arrive as bytes on a serial port."""

    kind: Literal["serial"]
    port: Text
    baud: Baud = 115200
    byte: Annotated[Text | None, Field(max_length=1, description="the byte that means a pulse; None: any")] = None
    coding: Annotated[
        Coding,
        Field(description="bits: each byte is a state, and `byte` the number (0-7) of the bit that a pulse sets"),
    ] = "bytes"
    min_interval_s: Bounce = 0.0


class SerialLineTrigger(PulseSource):
    """Pulses that switch a control line of a serial port (a TTL cable without a box that makes bytes)."""

    kind: Literal["serial_line"]
    port: Text
    line: Literal["cts", "dsr", "cd", "ri"]
    edge: Annotated[Literal["rising", "falling"], Field(description="falling: the line rests high")] = "rising"
    min_interval_s: Bounce = 0.005


class ParallelTrigger(PulseSource):
    """Pulses on an input pin of a parallel port."""

    kind: Literal["parallel"]
    port: Annotated[Text, Field(description="/dev/parport0 on Linux; the card's address, as 0x0378, on Windows")]
    pin: Annotated[Literal[10, 11, 12, 13, 15], Field(description="acknowledge, busy, paper out, select, error")] = 10
    edge: Literal["rising", "falling"] = "rising"
    min_interval_s: Bounce = 0.005


class LslTrigger(PulseSource):
    """Pulses that arrive as samples of a Lab Streaming Layer stream, stamped by their sender."""

    kind: Literal["lsl"]
    stream: Annotated[Text, Field(description="the stream's name")]
    message: Annotated[Text | None, Field(description="the sample that means a pulse; None: any")] = None
    wait_s: Annotated[Positive, Field(le=60, description="how long to look for the stream")] = 5.0


class TcpTrigger(PulseSource):
    """Pulses that another computer sends over the network."""

    kind: Literal["tcp"]
    host: Annotated[Text, Field(description="the sender; with listen, the address of this computer to listen at")]
    port: TcpPort
    message: Annotated[Text | None, Field(description="the line (or byte) that means a pulse; None: any")] = None
    unit: Annotated[Literal["line", "byte"], Field(description="what a message is")] = "line"
    listen: Annotated[Flag, Field(description="the sender connects to this computer, not this computer to it")] = False


class ForeignTrigger(PulseSource):
    """A trigger source of another package, published as an entry point of the group ``foolscan.triggers``."""

    kind: Literal["foreign"]
    source: Annotated[Text, Field(description="the entry point's name")]
    options: dict[Text, Any] = Field(default_factory=dict, description="handed to it as they are")


class EmulatedTrigger(PulseSource):
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


Trigger = Annotated[
    KeyboardTrigger
    | SerialTrigger
    | SerialLineTrigger
    | ParallelTrigger
    | LslTrigger
    | TcpTrigger
    | ForeignTrigger
    | EmulatedTrigger
    | DeskTrigger,
    Field(discriminator="kind"),
]


class KeyboardButtons(Plan):
    """Buttons that arrive as key presses: abstract button -> key."""

    kind: Literal["keyboard"]
    keys: Annotated[dict[Text, Text], Field(min_length=2)]


class SerialButtons(Plan):
    """Buttons of a box on a serial port, which may be the trigger's port too."""

    kind: Literal["serial"]
    port: Text
    baud: Baud = 115200
    codes: Annotated[
        dict[Text, Annotated[Text, Field(max_length=1)]],
        Field(min_length=2, description="abstract button -> its byte (with coding: bits, the number of its bit)"),
    ]
    coding: Coding = "bytes"
    ignore: Annotated[str, Field(description="bytes that are known to mean nothing, such as those of a release")] = ""


class EmulatedButtons(Plan):
    """Buttons pressed by the emulated observer."""

    kind: Literal["emulated"]
    buttons: Annotated[tuple[Text, ...], EachOnce, Field(min_length=2)] = ("left", "right")


Buttons = Annotated[KeyboardButtons | SerialButtons | EmulatedButtons, Field(discriminator="kind")]
