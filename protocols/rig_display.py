"""The participant's screen as a rig file describes it: size, refresh, light, mirrors, photodiode patch."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import Field, model_validator

from protocols.geometry import angle_of_screen_deg, size_on_screen_px
from protocols.luminance import Curve, Mode, background_level
from protocols.rig_photodiode import MeasuredLight
from protocols.schema import Count, Flag, GreyLevel, NotNegative, Plan, Positive, Whole

Side = Annotated[int, Field(strict=True, ge=64, le=32_768)]

REFRESH_TOLERANCE = 0.005
"""59.94 Hz is 60 Hz: a rig may round its refresh by this share. A wrong mode (50, 75, 120 Hz) is far beyond it."""

LEAST_POINTS = 5
"""Fewer readings than this cannot tell a display's curve from a straight line."""

NATIVE_IMAGES: dict[str, str | None] = {"mode": "native", "curve_sha256": None}
"""What exported images are that say nothing of light."""


class Luminance(Plan):
    """How grey levels become light."""

    mode: Annotated[
        Mode,
        Field(
            description="native: image bytes as they are; linearised: the inverse of the measured curve is put into the "
            "graphics card, and images are decoded from sRGB when they are exported"
        ),
    ] = "native"
    measured: Annotated[
        tuple[tuple[GreyLevel, NotNegative], ...],
        Field(
            description="grey level sent, cd/m² read with a photometer; from 0 to 255, both rising "
            "(foolscan experiment luminance shows the levels and writes the table)"
        ),
    ] = ()

    @model_validator(mode="after")
    def _is_a_curve(self) -> Luminance:
        levels, readings = [level for level, _ in self.measured], [cd_m2 for _, cd_m2 in self.measured]
        if self.mode == "linearised" and not self.measured:
            raise ValueError("mode is linearised and nothing was measured; linearised needs the measured curve")
        if not self.measured:
            return self
        if len(levels) < LEAST_POINTS:
            raise ValueError(f"measured has {len(levels)} points; a curve needs at least {LEAST_POINTS}")
        if (levels[0], levels[-1]) != (0, 255):
            raise ValueError(f"measured goes from grey level {levels[0]} to {levels[-1]}; it must cover 0 to 255")
        for (level, cd_m2), (next_level, next_cd_m2) in itertools.pairwise(zip(levels, readings, strict=True)):
            if next_level <= level:
                raise ValueError(f"measured has grey level {next_level} after {level}; the levels must rise")
            if next_cd_m2 <= cd_m2:
                raise ValueError(
                    f"measured falls or stands still: {cd_m2:g} cd/m² at grey level {level}, {next_cd_m2:g} at {next_level}; "
                    "the luminance must rise (measure again, darker room, longer reading)"
                )
        return self

    @property
    def of_images(self) -> dict[str, str | None]:
        """What images exported for this display depend on: the mode, and the hash of the curve of a linearised one."""
        if self.mode == "native" or self.curve is None:
            return dict(NATIVE_IMAGES)
        return {"mode": self.mode, "curve_sha256": self.curve.sha256}

    @property
    def curve(self) -> Curve | None:
        """The measured curve; None when nothing was measured."""
        return Curve(self.measured) if self.measured else None


class Patch(Plan):
    """Black and white squares in a corner of the screen that a photodiode or a camera reads."""

    corner: Annotated[
        Literal["top_left", "top_right", "bottom_left", "bottom_right"],
        Field(description="of what the graphics card sends, before mirrors"),
    ]
    size_px: Annotated[Count | None, Field(description="side of one square; this or size_mm")] = None
    size_mm: Annotated[Positive | None, Field(description="side of one square on the screen; this or size_px")] = None
    bits: Annotated[
        Whole,
        Field(
            le=16,
            description="squares after the sync square: the number of the row on screen, least significant bit first",
        ),
    ] = 8

    @model_validator(mode="after")
    def _has_one_size(self) -> Patch:
        if (self.size_px is None) == (self.size_mm is None):
            raise ValueError("size_px and size_mm: exactly one of them says how large a square is")
        return self


class Display(Plan):
    """The participant's screen."""

    width_mm: Annotated[
        Positive, Field(ge=10, le=20_000, description="width of the lit picture, along the first of size_px")
    ]
    distance_mm: Annotated[
        Positive, Field(ge=10, le=20_000, description="eye to screen along the line of sight, mirrors included")
    ]
    size_px: Annotated[tuple[Side, Side], Field(description="width and height, 64 to 32768 each")]
    refresh_hz: Annotated[
        Positive, Field(ge=1, le=1000, description="59.94 may be written as 60: the tolerance is 0.5 %")
    ]
    screen: Whole = 0
    full_screen: Flag = True
    luminance: Luminance = Luminance()
    background_cd_m2: Annotated[
        NotNegative | None,
        Field(
            description="luminance of the background, in place of the study's background_grey; needs a measured curve"
        ),
    ] = None
    flip_horizontal: Annotated[Flag, Field(description="left and right swapped: one mirror, or back projection")] = (
        False
    )
    flip_vertical: Annotated[Flag, Field(description="up and down swapped")] = False
    rotation_deg: Annotated[Literal[0, 90, 180, 270], Field(description="counter-clockwise, after the flips")] = 0
    patch: Annotated[Patch | None, Field(description="squares for a photodiode")] = None
    measured: Annotated[
        MeasuredLight | None, Field(description="written by foolscan experiment photodiode; None: not measured")
    ] = None

    @model_validator(mode="after")
    def _background_is_on_the_curve(self) -> Display:
        if self.background_cd_m2 is None:
            return self
        curve = self.luminance.curve
        if curve is None:
            raise ValueError(
                "background_cd_m2 needs luminance.measured: without a curve no grey level can be found for it"
            )
        low, high = curve.limits_cd_m2
        if not low <= self.background_cd_m2 <= high:
            raise ValueError(
                f"background_cd_m2 is {self.background_cd_m2:g}; this screen was measured from {low:g} to {high:g} cd/m²"
            )
        return self

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

    @property
    def upright_px(self) -> tuple[int, int]:
        """Width and height, px, of the screen as the participant sees it: swapped when it is turned on its side."""
        width, height = self.size_px
        return (height, width) if self.rotation_deg in (90, 270) else (width, height)

    def background(self, grey: int) -> int:
        """The grey level that is sent for the background.

        grey : the study's, 0–255 as in an image; the rig's background_cd_m2 takes its place.
        """
        return background_level(self.luminance.curve, self.luminance.mode, self.background_cd_m2, grey)

    def background_luminance_cd_m2(self, level: int) -> float | None:
        """The luminance of a background that is sent as a grey level; None when nothing was measured."""
        curve = self.luminance.curve
        if curve is None:
            return None
        low, high = curve.limits_cd_m2
        if self.luminance.mode == "linearised":
            return low + (high - low) * level / 255
        return float(curve.luminance_cd_m2(level))

    @property
    def patch_px(self) -> int:
        """Side of one square of the patch, px; 0 without one."""
        if self.patch is None:
            return 0
        if self.patch.size_px is not None:
            return self.patch.size_px
        return max(1, round((self.patch.size_mm or 0.0) * self.size_px[0] / self.width_mm))

    def patch_squares(self) -> tuple[tuple[int, int, int, int], ...]:
        """The squares of the patch: (left, top, right, bottom) in px of what is sent, the sync square in the corner first.

        They stand along the longer margin beside a square image: in a column on a wide screen, in a row on a high one.
        """
        if self.patch is None:
            return ()
        (width, height), side = self.size_px, self.patch_px
        x = 0 if self.patch.corner.endswith("left") else width - side
        y = 0 if self.patch.corner.startswith("top") else height - side
        right, down = (0, 1 if y == 0 else -1) if width >= height else (1 if x == 0 else -1, 0)
        places = [(x + n * side * right, y + n * side * down) for n in range(1 + self.patch.bits)]
        return tuple((left, top, left + side, top + side) for left, top in places)
