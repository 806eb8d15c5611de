"""Pictures of what a participant sees, kept from a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from experiment.screen_geometry import as_seen
from experiment.timeline import Timeline
from protocols.folder import REHEARSAL_NOTE, RunId, StudyFolder, atomic_path
from protocols.rig_display import Display

WAITING = -1


def rows_to_picture(timeline: Timeline, count: int) -> dict[int, str]:
    """Which rows to keep pictures of, and under which names.

    timeline : the plan.
    count    : how many: the waiting screen, one trial of each type, then further trials in order.

    Returns row index -> name; -1 is the waiting screen.
    """
    rows = list(enumerate(timeline.rows))
    first = {row.trial_type: index for index, row in reversed(rows) if row.trial is not None}
    wanted = [WAITING, *sorted(first.values()), *(index for index, row in rows if row.stim_id is not None)]
    chosen = list(dict.fromkeys(wanted))[: max(0, count)]
    names = {index: row.stim_id or row.trial_type for index, row in rows} | {WAITING: "waiting"}
    return {index: f"screen-{number:02d}_{names[index]}" for number, index in enumerate(chosen, start=1)}


def write_screenshots(
    folder: StudyFolder, run: RunId, pictures: Mapping[str, np.ndarray], display: Display
) -> tuple[Path, ...]:
    """Write back buffers as PNG, each marked as the rehearsal's that it is (only simulated clocks allow them).

    pictures : name -> (height, width, 3) uint8 as sent; empty ones (from no screen) are left out.
    display  : its mirrors are undone: the files show what the participant sees.
    """
    written = []
    mark = PngInfo()
    mark.add_text("Description", REHEARSAL_NOTE)
    for name, pixels in sorted(pictures.items()):
        if pixels.size == 0:
            continue
        path = folder.derived("screenshots") / f"{run.stem}_{name}.png"
        with atomic_path(path) as temporary:
            Image.fromarray(as_seen(pixels, display)).save(temporary, format="PNG", pnginfo=mark)
        written.append(path)
    return tuple(written)
