"""One maker of manifest rows for the tests of every room."""

from __future__ import annotations

import dataclasses
from typing import Any

from protocols.manifest import Stimulus

NO_HASH = "0" * 64


def stimulus_row(set_name: str, category: str, *, animal: bool, **more: Any) -> Stimulus:
    """A row that says what an image is; what else counts in a test is given by name in `more`."""
    stim_id = f"{set_name}-{category}"
    row = Stimulus(
        stim_id=stim_id,
        stim_file=f"{set_name}/{stim_id}.png",
        set=set_name,
        category=category,
        supercategory="things",
        animal_source=animal,
        source_id=None if set_name == "RE" else f"RE-{category}",
        target_class=category,
        network_label=category,
        animal_network_label=animal,
        confidence=0.99,
        success=True,
        attempts=1,
        steps=0,
        l2=None,
        linf=None,
        second_network_label=None,
        second_network_confidence=None,
        luminance=128.0,
        rms_contrast=0.2,
        spectral_slope=-2.0,
        network="picturenet",
        network_sha256=NO_HASH,
        seed=1,
        sha256=NO_HASH,
    )
    return dataclasses.replace(row, **more)
