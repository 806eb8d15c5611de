"""Boats of the picture book: sailing boat, rowing boat, steamship, submarine."""

from __future__ import annotations

from stimuli.picturebook.canvas import Canvas, Drawing
from stimuli.picturebook.curves import bow


def sailing_boat(canvas: Canvas) -> None:
    """A small yacht: short hull, tall mast, a big triangular sail and often a jib."""
    mast, deck, keel = canvas.vary(-0.12, 0.08), canvas.vary(0.48, 0.56), canvas.vary(0.82, 0.92)
    belly, sail = canvas.vary(0.0, 0.25), "light" if canvas.chance(0.5) else "body2"
    canvas.limb([(mast, -0.93), (mast, deck + 0.05)], [0.06, 0.07], "dark")
    boom, foot = deck - canvas.vary(0.12, 0.18), canvas.vary(0.62, 0.75)
    leech = bow((mast - 0.05, -0.86), (mast - 0.05 - foot / 2 - belly, -0.25), (mast - foot, boom))
    canvas.polygon([(mast - 0.05, boom), *leech], sail)
    if canvas.chance(0.5):
        for level in (0.35, 0.6):
            y = -0.86 + level * (boom + 0.86)
            canvas.line([(mast - 0.08, y), (mast - 0.05 - foot * level, y)], 0.03, "accent")
    if canvas.chance(0.75):
        jib = bow((mast + 0.06, -0.72), (mast + 0.3 + belly, -0.2), (0.8, boom + 0.04))
        canvas.polygon([(mast + 0.07, boom + 0.04), *jib], "accent")
    if canvas.chance(0.6):
        canvas.polygon([(mast, -1.0), (mast + 0.26, -0.92), (mast, -0.83)], "body")
    stern, stem = canvas.vary(-0.8, -0.7), canvas.vary(0.85, 0.95)
    bottom = bow((stem, deck), (0.6, keel), (0.3, keel))
    canvas.polygon([(stern, deck), *bottom, (stern + 0.15, keel)], "body")


def rowing_boat(canvas: Canvas) -> None:
    """An open rowing boat seen from above and the side, benches inside, an oar out on each side."""
    bow_tip, half, depth = (0.98, canvas.vary(-0.3, -0.2)), canvas.vary(0.2, 0.26), canvas.vary(0.28, 0.36)
    stern, rim = -0.85, canvas.vary(0.07, 0.1)
    far = bow((stern, -half * 0.6), (0.2, -half * 2.0), bow_tip)
    near = bow(bow_tip, (0.35, half * 2.2), (stern, half * 0.7))
    hull = [*bow(bow_tip, (0.6, half + depth * 1.6), (0.1, half + depth)), (stern + 0.18, half * 0.6 + depth)]
    canvas.polygon([*hull, (stern, half * 0.7)], "body")
    canvas.polygon([*far, *near], "light")
    inner = 1 - 2 * rim
    canvas.polygon([(0.02 + x * inner, y * (1 - 3.5 * rim)) for x, y in (*far, *near)], "dark")
    for x in (-0.5, 0.0, 0.42)[: 3 if canvas.chance(0.6) else 2]:
        reach = half * (0.95 - 0.25 * max(x, 0.0))
        canvas.polygon([(x, -reach), (x + 0.14, -reach), (x + 0.12, reach), (x - 0.04, reach)], "body2")
    sweep = canvas.vary(0.25, 0.5)
    for side in (-1, 1):
        grip, tip = (0.26, side * 0.09), (0.26 - sweep, side * 0.72)
        canvas.limb([grip, tip], [0.06, 0.06], "accent")
        canvas.limb([tip, (tip[0] - sweep * 0.3, tip[1] + side * 0.2)], [0.1, 0.2], "accent")


def steamship(canvas: Canvas) -> None:
    """A liner: long hull with portholes, decks stacked in steps, one to three smoking funnels."""
    deck, keel = canvas.vary(0.3, 0.36), canvas.vary(0.72, 0.8)
    tiers, funnels = 2 if canvas.chance(0.6) else 1, int(canvas.vary(1, 3.99))
    height = 0.22
    roof = deck - height * tiers
    top, spread = roof - canvas.vary(0.38, 0.48), 0.34
    width = 0.12 if funnels == 3 else canvas.vary(0.13, 0.17)
    for index in range(funnels):
        x = -0.08 + spread * (index - (funnels - 1) / 2)
        for puff in range(3):
            size = 0.09 + 0.035 * puff
            canvas.ellipse(x - 0.05 - 0.13 * puff, top - 0.07 - 0.1 * puff, size * 1.2, size, "light")
    for index in range(funnels):
        x = -0.08 + spread * (index - (funnels - 1) / 2)
        canvas.polygon([(x - width, roof), (x - width, top), (x + width, top), (x + width, roof)], "accent")
        canvas.rectangle(x - width, top, x + width, top + 0.11, "dark")
    for tier in range(tiers, 0, -1):
        inset, y = 0.16 * (tier - 1), deck - height * tier
        canvas.rectangle(-0.7 + inset, y, 0.55 - inset * 0.6, y + height + 0.05, "light", radius=0.02)
        for index in range(6 - tier):
            x = -0.58 + inset + index * 0.2
            canvas.rectangle(x, y + 0.07, x + 0.11, y + 0.16, "glass", radius=0.02)
    stern = bow((-0.95, deck), (-0.95, keel), (-0.72, keel))
    stem = bow((0.72, keel), (0.86, deck + 0.2), (1.0, deck - 0.12))
    canvas.polygon([*stern, *stem, (0.6, deck)], "body")
    for index in range(5):
        canvas.ellipse(-0.68 + index * 0.27, deck + 0.17, 0.06, 0.06, "light")
    canvas.line([(-0.8, keel - 0.1), (0.74, keel - 0.1)], 0.04, "body2")


def submarine(canvas: Canvas) -> None:
    """A submarine: cigar hull, conning tower with a bent periscope, portholes, screw and bubbles."""
    y, half, tower = 0.28, canvas.vary(0.32, 0.4), canvas.vary(-0.08, 0.18)
    top = y - half
    lift = top - canvas.vary(0.26, 0.34)
    canvas.limb([(tower + 0.02, lift), (tower + 0.02, lift - 0.3)], [0.09, 0.09], "dark")
    canvas.limb([(tower + 0.02, lift - 0.32), (tower + 0.2, lift - 0.32)], [0.1, 0.14], "dark")
    foot = top + 0.15
    canvas.polygon([(tower - 0.3, foot), (tower - 0.2, lift), (tower + 0.2, lift), (tower + 0.26, foot)], "body2")
    for side in (-1, 1):
        canvas.ellipse(-0.93, y + side * 0.15, 0.06, 0.16, "accent")
        fin = [(-0.6, 0.1), (-0.86, 0.4), (-0.7, 0.42), (-0.38, 0.2)]
        canvas.polygon([(x, y + side * rise) for x, rise in fin], "accent")
    hull = [(-0.92, y), (-0.6, top + 0.1), (-0.1, top), (0.5, top + 0.02), (0.88, top + half * 0.5), (0.98, y)]
    canvas.blob([*hull, *((x, 2 * y - level) for x, level in reversed(hull[1:-1]))], "body")
    for index in range(3 if canvas.chance(0.6) else 2):
        x = -0.35 + index * canvas.vary(0.4, 0.44)
        canvas.ellipse(x, y, 0.14, 0.14, "light")
        canvas.ellipse(x, y, 0.085, 0.085, "glass")
    for index in range(int(canvas.vary(1, 3.99))):
        canvas.ellipse(-0.72 - 0.1 * (index % 2), -0.25 - 0.22 * index, 0.06, 0.06, "light")


DRAWINGS: dict[str, Drawing] = {
    "sailing_boat": sailing_boat,
    "rowing_boat": rowing_boat,
    "steamship": steamship,
    "submarine": submarine,
}
