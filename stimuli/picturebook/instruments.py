"""Musical instruments of the picture book: guitar, drum, trumpet, harp."""

from __future__ import annotations

import math

from stimuli.picturebook.canvas import Canvas, Drawing
from stimuli.picturebook.curves import bow


def guitar(canvas: Canvas) -> None:
    """A guitar held aslant: waisted body, sound hole, long neck, strings and pegs."""
    hip, waist, chest = canvas.vary(0.42, 0.48), canvas.vary(0.24, 0.28), canvas.vary(0.33, 0.38)
    side = [(0.0, 1.0), (hip * 0.7, 0.94), (hip, 0.66), (waist, 0.3), (chest, 0.04), (chest * 0.6, -0.13)]
    with canvas.at(-0.05, 0.05, angle_deg=canvas.vary(15, 45)):
        canvas.polygon([(-0.1, -0.75), (0.1, -0.75), (0.14, -1.1), (-0.14, -1.1)], "body2")
        for y in (-0.82, -0.93, -1.04):
            for x in (-0.18, 0.18):
                canvas.ellipse(x, y, 0.05, 0.05, "light")
        canvas.blob([*side, (0.0, -0.15), *((-x, y) for x, y in reversed(side[1:]))], "body")
        canvas.polygon([(-0.08, 0.1), (0.08, 0.1), (0.07, -0.76), (-0.07, -0.76)], "body2")
        canvas.ellipse(0.0, 0.24, 0.21, 0.21, "accent")
        canvas.ellipse(0.0, 0.24, 0.16, 0.16, "dark")
        canvas.rectangle(-0.22, 0.64, 0.22, 0.74, "dark")
        for offset in (-0.045, 0.0, 0.045):
            canvas.line([(offset, 0.69), (offset * 0.9, -0.95)], 0.012, "light")


def drum(canvas: Canvas) -> None:
    """A marching drum: cylinder with zigzag cords, two hoops and a pair of sticks."""
    half, top, base = canvas.vary(0.66, 0.78), canvas.vary(-0.28, -0.18), canvas.vary(0.58, 0.72)
    flat, hoop = canvas.vary(0.2, 0.27), 0.14
    arc = [(half * math.cos(math.radians(a)), flat * math.sin(math.radians(a))) for a in range(0, 181, 12)]
    shell = [(-half, top), (half, top), *((x, base + y) for x, y in arc)]
    canvas.polygon(shell, "body")
    zigzags = int(canvas.vary(3, 5.99)) * 2
    cord = []
    for index in range(zigzags + 1):
        x = -half + 2 * half * index / zigzags
        bend = flat * math.sqrt(max(0.0, 1 - (x / half) ** 2))
        cord.append((x, (top + hoop if index % 2 else base - hoop) + bend))
    canvas.line(cord, 0.05, "light")
    for y in (base - hoop, top):
        upper = [(x, y + dy) for x, dy in arc]
        canvas.polygon([*upper, *((x, y + hoop + dy) for x, dy in reversed(arc))], "accent")
    canvas.ellipse(0, top, half, flat, "light")
    for side in (-1, 1):
        tip, grip = (side * canvas.vary(-0.14, -0.02), top + 0.02), (side * canvas.vary(0.7, 0.85), -0.92)
        canvas.limb([grip, tip], [0.085, 0.06], "body2")
        canvas.ellipse(*tip, 0.09, 0.08, "body2")


def trumpet(canvas: Canvas) -> None:
    """A trumpet from the side: flaring bell, a long loop of tube, three valves, mouthpiece."""
    y, loop, tube = canvas.vary(-0.2, -0.1), canvas.vary(0.34, 0.42), canvas.vary(0.09, 0.12)
    left, right, low = -0.42, 0.38, y + loop
    canvas.limb([(left, y), (left - 0.14, y + 0.08), (left - 0.14, low - 0.08), (left, low)], [tube] * 4, "body")
    canvas.limb([(left, low), (right, low)], [tube] * 2, "body")
    canvas.limb([(right, low), (right + 0.14, low - 0.08), (right + 0.14, y + 0.08), (right, y)], [tube] * 4, "body")
    valves = canvas.vary(0.13, 0.15)
    for index in range(3):
        x = -0.2 + valves * 1.4 * index
        canvas.limb([(x, y - 0.2), (x, y - 0.36)], [0.05, 0.05], "dark")
        canvas.ellipse(x, y - 0.38, 0.075, 0.05, "light")
        canvas.rectangle(x - valves / 2, y - 0.22, x + valves / 2, low + 0.14, "body2", radius=0.05)
    flare = canvas.vary(0.4, 0.5)
    upper = bow((0.3, y - tube / 2), (0.78, y - tube * 0.7), (0.92, y - flare))
    lower = bow((0.92, y + flare), (0.78, y + tube * 0.7), (0.3, y + tube / 2))
    canvas.polygon([(-0.86, y - tube / 2), *upper, *lower, (-0.86, y + tube / 2)], "body")
    canvas.ellipse(0.92, y, 0.08, flare, "accent")
    canvas.polygon([(-0.8, y - 0.05), (-0.98, y - 0.12), (-0.98, y + 0.12), (-0.8, y + 0.05)], "light")


def harp(canvas: Canvas) -> None:
    """A concert harp: straight pillar, S-curved neck, slanting sound box and many strings."""
    pillar, top, base = canvas.vary(0.48, 0.6), canvas.vary(-0.9, -0.82), 0.85
    low_neck, shoulder = canvas.vary(-0.5, -0.38), (-0.62, canvas.vary(-0.62, -0.5))
    strings = int(canvas.vary(6, 9.99))
    for index in range(strings):
        share = (index + 0.7) / (strings + 0.4)
        x = shoulder[0] + share * (pillar - shoulder[0])
        start = low_neck + (top - low_neck) * max(0.0, share - 0.4) * 1.2
        canvas.line([(x, start), (x, shoulder[1] + share * (base - shoulder[1]) - 0.05)], 0.03, "light")
    canvas.limb([shoulder, (pillar, base)], [0.16, 0.3], "body")
    canvas.limb([(pillar, base), (pillar, top)], [0.13, 0.13], "body2")
    dip = [(shoulder[0] + 0.28, low_neck - 0.04), (0.0, low_neck - 0.02)]
    canvas.limb([shoulder, *dip, (pillar - 0.2, top + 0.04), (pillar, top)], [0.2, 0.15, 0.14, 0.15, 0.2], "body")
    canvas.ellipse(pillar + 0.02, top - 0.02, 0.13, 0.13, "accent")
    canvas.rectangle(pillar - 0.38, base, pillar + 0.18, base + 0.12, "accent", radius=0.04)


DRAWINGS: dict[str, Drawing] = {"guitar": guitar, "drum": drum, "trumpet": trumpet, "harp": harp}
