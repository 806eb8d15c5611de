"""Changes made visible: the difference of two images around mid-grey, as many times as large as a set can be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from protocols.manifest import Stimulus
from stimuli.synthesis.starts import ByteImage

GREY = 128
"""No change, in a difference."""
SHOWN_WHOLE = 0.995
"""Share of a set's values whose change is shown whole; one outlier would else make all others grey."""
CUT = f"the largest {100 * (1 - SHOWN_WHOLE):.1f} % of a set's changes are cut off"


def changes(rows: Sequence[Stimulus], images: Mapping[str, ByteImage]) -> npt.NDArray[np.int64]:
    """How many values (pixels times channels) of a set's images are changed by how many grey levels from their sources, (256,).

    images : stim_id -> (height, width, 3).
    """
    counts = np.zeros(256, np.int64)
    for row in rows:
        if row.source_id is not None and row.source_id in images:
            apart = np.abs(images[row.stim_id].astype(np.int16) - images[row.source_id].astype(np.int16))
            counts += np.bincount(apart.ravel(), minlength=256)
    return counts


def gain_of(counts: npt.NDArray[np.int64]) -> float:
    """How many times differences are shown, so that all but the largest of a set fill the range around mid-grey; one decimal.

    counts : (256,), see `changes`.
    """
    whole = int(np.searchsorted(np.cumsum(counts), SHOWN_WHOLE * counts.sum()))
    return max(1, int(10 * 127 / max(1, whole))) / 10


def difference(image: ByteImage, source: ByteImage, gain: float) -> ByteImage:
    """The difference of two images, `gain` times as large, around mid-grey."""
    change = image.astype(np.float64) - source.astype(np.float64)
    return np.clip(GREY + np.rint(gain * change), 0, 255).astype(np.uint8)
