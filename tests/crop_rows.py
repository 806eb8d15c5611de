"""One maker of rows of crops for the tests of every room."""

from __future__ import annotations

import dataclasses
from typing import Any

from protocols.crops import Crop

NO_HASH = "0" * 64
LETTERS = {"fragile": "a", "altered": "b"}


def crop_row(pair_id: str, member: str, **more: Any) -> Crop:
    """A member of a pair of an owl, of which the network recognises the fragile one; what else counts in a test is given by name."""
    right = member == "fragile"
    crop_id = f"{pair_id}_{LETTERS[member]}"
    row = Crop(
        crop_id=crop_id,
        pair_id=pair_id,
        member=member,
        crop_file=f"crops/{crop_id}.png",
        picture_id=pair_id.partition("-")[2],
        category="owl",
        supercategory="birds",
        row=3,
        column=0,
        side_px=51 if right else 49,
        shown_px=32,
        proportion=0.4,
        type="loose_shrink",
        offset_rows=0 if right else 1,
        offset_columns=0 if right else 1,
        network_class="owl",
        correct=right,
        confidence=0.75 if right else 0.25,
        label_1="owl" if right else "mug",
        label_2="mug" if right else "owl",
        label_3=None,
        label_4=None,
        label_5=None,
        confidence_1=0.75,
        confidence_2=0.25,
        confidence_3=None,
        confidence_4=None,
        confidence_5=None,
        box_overlap=None,
        network="picturenet",
        network_sha256=NO_HASH,
        seed=2**62,
        sha256=NO_HASH,
    )
    return dataclasses.replace(row, **more)
