"""Cross-checks of a task on a rig's display: whether it fits, and what is rounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from protocols.luminance import linear_levels
from protocols.problems import Problem
from protocols.rig import Rig
from protocols.study import ImagesTask, Study


def display_problems(study: Study, rig: Rig, name: str, task: ImagesTask) -> Iterator[Problem]:
    """What of a task does not fit on a rig's display.

    name : of the task.
    """
    display = rig.display
    side, low = display.px(task.image_deg), min(display.size_px)
    if side > low:
        width, height = display.size_deg
        found = f"{task.image_deg:g} degrees = {side} px on rig {rig.name}"
        yield study.problem(
            f"tasks.{name}.image_deg", found, f"at most {low} px: the screen is {width:.1f} x {height:.1f} degrees"
        )
    if display.px(task.fixation_deg) < 2:
        found = f"{task.fixation_deg:g} degrees = {display.px(task.fixation_deg)} px on rig {rig.name}"
        yield study.problem(f"tasks.{name}.fixation_deg", found, "at least 2 px")
    for key in ("image_s", "blank_s", "blank_trial_s"):
        duration_s = getattr(task, key)
        if duration_s > 0 and display.frames(duration_s) < 1:
            found = f"{duration_s:g} s, less than half a frame at {display.refresh_hz:g} Hz"
            yield study.problem(f"tasks.{name}.{key}", found, "at least one frame")
    yield from _patch(rig, name, task)


def _patch(rig: Rig, name: str, task: ImagesTask) -> Iterator[Problem]:
    display = rig.display
    squares = display.patch_squares()
    if not squares:
        return
    (width, height), side = display.size_px, display.px(task.image_deg)
    across = f"{len(squares)} squares of {display.patch_px} px"
    if any(x < 0 or y < 0 or right > width or bottom > height for x, y, right, bottom in squares):
        allowed = f"squares that lie on the screen of {width} x {height} px: smaller ones, or fewer bits"
        yield rig.problem("display.patch", across, allowed)
        return
    left, top = (width - side) // 2, (height - side) // 2
    # An odd side may lie half a pixel to either way.
    if any(
        x < left + side + 1 and right > left and y < top + side + 1 and bottom > top for x, y, right, bottom in squares
    ):
        found = f"{across}, over the image of task {name} ({task.image_deg:g} degrees = {side} px)"
        room = max((width - side) // 2, (height - side) // 2)
        yield rig.problem("display.patch", found, f"squares beside the image: at most {max(0, room)} px wide")


def display_notes(rig: Rig, name: str, task: ImagesTask) -> Iterator[str]:
    """What the display rounds, for the reader to agree with.

    name : of the task.
    """
    display = rig.display
    for key in ("image_s", "blank_s", "blank_trial_s", "lead_in_s", "lead_out_s"):
        duration_s = getattr(task, key)
        frames = display.frames(duration_s)
        shown_s = frames / display.refresh_hz
        if abs(shown_s - duration_s) > 1e-6:
            yield f"tasks.{name}.{key}: {duration_s:g} s is {frames} frames = {shown_s:.5f} s at {display.refresh_hz:g} Hz"
    level = display.background(task.background_grey)
    found = display.background_luminance_cd_m2(level)
    if found is not None:
        yield f"tasks.{name}: the background is level {level} of this display = {found:.2f} cd/m²"
    if display.luminance.mode == "linearised":
        left = len(np.unique(linear_levels()))
        yield f"rig {rig.name}: linearised on 8 bits, the 256 grey levels of an image become {left}; the dark ones are lost"
