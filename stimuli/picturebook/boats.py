"""Boats of the picture book: sailing boat, rowing boat, steamship, submarine."""

from __future__ import annotations

from stimuli.picturebook.canvas import Canvas, Drawing
from stimuli.picturebook.curves import bow


def sailing_boat(canvas: Canvas) -> None:
    """A small yacht: short hull, tall mast, a big triangular sail and often a jib."""
    mast, deck, keel = canvas.vary(-0.12, 0.08), canvas.vary(0.48, 0.56), canvas.vary(0.82, 0.92)
    belly = canvas.vary(0.0, 0.3)
    canvas.limb([(mast, -0.93), (mast, deck + 0.05)], [0.06, 0.07], "dark")
    boom, foot = deck - canvas.vary(0.12, 0.18), canvas.vary(0.62, 0.75)
    leech = bow((mast - 0.05, -0.86), (mast - 0.05 - foot / 2 - belly, -0.25), (mast - foot, boom))
    canvas.polygon([(mast - 0.05, boom), *leech], canvas_sail := "light" if canvas.chance(0.5) else "body2")
    if canvas.chance(0.75):
        jib = bow((mast + 0.06, -0.72), (mast + 0.3 + belly, -0.2), (0.8, boom + 0.04))
        canvas.polygon([(mast + 0.07, boom + 0.04), *jib], "accent")
    if canvas.chance(0.5):
        for level in (0.35, 0.6):
            y = -0.86 + level * (boom + 0.86)
            canvas.line([(mast - 0.06, y), (mast - 0.05 - foot * level, y)], 0.03, "dark")
    if canvas.chance(0.6):
        canvas.polygon([(mast, -1.0), (mast + 0.26, -0.92), (mast, -0.83)], "body")
    stern, stem = canvas.vary(-0.8, -0.7), canvas.vary(0.85, 0.95)
    canvas.polygon([(stern, deck), (stem, deck), *bow((stem, deck), (0.6, keel), (0.3, keel)), (stern + 0.15, keel)], "body")


DRAWINGS: dict[str, Drawing] = {"sailing_boat": sailing_boat}
