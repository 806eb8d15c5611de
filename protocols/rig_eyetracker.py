"""The rig's eye tracker: which one, where it is, and what counts as looking at the fixation point."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from protocols.schema import Count, NotNegative, Plan, Positive, Share, Text

Radius = Annotated[
    Positive, Field(le=20, description="gaze farther than this from the fixation point, for 0.1 s, is a fixation break")
]


class EyeLinkTracker(Plan):
    """An SR Research EyeLink, through the maker's pylink."""

    kind: Literal["eyelink"]
    address: Annotated[Text, Field(description="of the Host PC")] = "100.1.1.1"
    fixation_radius_deg: Radius = 2.0


class PupilTracker(Plan):
    """Pupil Capture: gaze and messages by Lab Streaming Layer; recording and calibration by Pupil Remote."""

    kind: Literal["pupil"]
    stream: Annotated[Text, Field(description="name of the LSL stream of gaze")] = "pupil_capture"
    wait_s: Annotated[Positive, Field(le=60, description="how long to look for the stream")] = 5.0
    remote: Annotated[Text | None, Field(description="host of Pupil Remote; None: it is started by hand")] = None
    remote_port: Annotated[Count, Field(le=65535)] = 50020
    field_deg: Annotated[
        tuple[Positive, Positive], Field(description="visual angle over which norm_pos goes from 0 to 1, across and up")
    ]
    centre: Annotated[tuple[Share, Share], Field(description="norm_pos of the fixation point")] = (0.5, 0.5)
    least_confidence: Share = 0.6
    fixation_radius_deg: Radius = 2.0


class EmulatedTracker(Plan):
    """Gaze made by foolscan itself, for rehearsals."""

    kind: Literal["emulated"]
    rate_hz: Annotated[Positive, Field(le=2000)] = 120.0
    noise_deg: Annotated[NotNegative, Field(le=5, description="SD of the gaze around the fixation point")] = 0.3
    breaks_per_minute: Annotated[NotNegative, Field(le=60)] = 1.0
    blinks_per_minute: Annotated[NotNegative, Field(le=60)] = 10.0
    fixation_radius_deg: Radius = 2.0


EyeTrackerPlan = Annotated[EyeLinkTracker | PupilTracker | EmulatedTracker, Field(discriminator="kind")]
