"""Food and drink of the picture book: banana, ice cream, mug, pizza slice."""

from __future__ import annotations

from stimuli.picturebook.canvas import Canvas, Drawing
from stimuli.picturebook.curves import bow


def banana(canvas: Canvas) -> None:
    """One banana, a bunch of two or three on one stem, or one half peeled."""
    if canvas.chance(0.3):
        _peeled_banana(canvas)
        return
    count, belly, hollow = int(canvas.vary(1, 3.99)), canvas.vary(1.62, 1.82), canvas.vary(0.82, 0.94)
    stem_x, stem_y = 0.72, -0.62
    for index in range(count):
        with canvas.at(stem_x, stem_y, angle_deg=27.0 * (index - (count - 1) / 2) + canvas.vary(-4, 4)):
            outer = bow((0.12, 0.0), (0.1, belly), (-1.46, 1.06), steps=20)
            inner = bow((-1.56, 0.9), (-0.44, hollow), (-0.12, 0.0), steps=20)
            canvas.polygon([*outer, *inner], "body")
            canvas.line(bow((-1.3, 1.01), (-0.22, belly * 0.76), (-0.02, 0.15), steps=16), 0.03, "dark")
            canvas.limb([(-1.47, 1.0), (-1.57, 0.95)], [0.15, 0.12], "dark")
    canvas.limb([(stem_x, stem_y + 0.06), (stem_x + 0.05, stem_y - 0.24)], [0.22, 0.14], "dark")


def _peeled_banana(canvas: Canvas) -> None:
    bend, split = canvas.vary(0.1, 0.22), canvas.vary(-0.02, 0.1)
    canvas.limb([(bend, -0.82), (-0.02, -0.3), (-0.02, split + 0.1)], [0.22, 0.42, 0.46], "light")
    canvas.limb([(-0.02, split), (0.04, 0.55), (bend + 0.05, 0.85)], [0.5, 0.42, 0.2], "body")
    canvas.limb([(bend + 0.05, 0.85), (bend + 0.12, 0.98)], [0.14, 0.12], "dark")
    for side in (-1, 1):
        reach = side * canvas.vary(0.55, 0.68)
        flap = [(side * 0.16 - 0.02, split + 0.12), (reach * 0.8, split - 0.14), (reach, split + 0.3)]
        canvas.limb(flap, [0.2, 0.3, 0.08], "body")
    canvas.limb([(-0.02, split + 0.02), (-0.06, split + 0.3), (-0.12, split + 0.52)], [0.3, 0.3, 0.06], "body")


def ice_cream(canvas: Canvas) -> None:
    """A waffle cone with one to three scoops, drips over its rim, and sometimes a cherry or a wafer on top."""
    scoops, half = int(canvas.vary(1, 3.99)), canvas.vary(0.36, 0.44)
    rim, tip = (-0.05, 0.05, 0.15)[scoops - 1], 0.98
    radius = half * (1.12, 1.05, 0.95)[scoops - 1]
    highest = rim - radius * (0.4 + 0.9 * (scoops - 1))
    if canvas.chance(0.35):
        with canvas.at(0.1, highest - radius * 0.6, angle_deg=canvas.vary(15, 35)):
            canvas.rectangle(-0.07, -0.4, 0.07, 0.2, "body", radius=0.03)
    elif canvas.chance(0.6):
        canvas.ellipse(0, highest - radius, 0.12, 0.12, "accent")
    canvas.polygon([(-half, rim), (half, rim), (0.05, tip), (-0.05, tip)], "body")
    for share in (0.04, 0.24, 0.44, 0.64):
        x, y, across = half * (0.98 - share), rim + (tip - rim) * share, min(0.95, share + 0.3)
        far_x, far_y = half * (0.98 - across), rim + (tip - rim) * across
        canvas.line([(-x, y), (far_x, far_y)], 0.025, "dark")
        canvas.line([(x, y), (-far_x, far_y)], 0.025, "dark")
    flavours = ("body2", "light", "accent") if canvas.chance(0.5) else ("light", "body2", "accent")
    for index in reversed(range(scoops)):
        y, size = rim - radius * (0.4 + 0.9 * index), radius * (1 - 0.06 * index)
        canvas.ellipse(0, y, size, size, flavours[index])
    brim = [(-1.15, 0.0), (-0.8, -0.28), (0.8, -0.28), (1.15, 0.0)]
    drips = [(0.85, 0.2), (0.55, 0.05), (0.2, 0.35), (-0.2, 0.08), (-0.6, 0.28)]
    canvas.blob([(x * radius * 0.98, rim + y * radius) for x, y in (*brim, *drips)], flavours[0])


def mug(canvas: Canvas) -> None:
    """A mug with a big handle and a hot drink in it, banded, spotted or plain."""
    half, top, base = canvas.vary(0.48, 0.56), canvas.vary(-0.35, -0.25), canvas.vary(0.72, 0.85)
    flat, taper, x = canvas.vary(0.13, 0.19), canvas.vary(0.86, 1.0), -0.2
    reach, grip = x + half + canvas.vary(0.38, 0.46), (top + base) / 2
    handle = [(x + half * 0.9, grip - 0.32), (reach - 0.06, grip - 0.3), (reach, grip), (reach - 0.14, grip + 0.3)]
    canvas.limb([*handle, (x + half * 0.85, grip + 0.34)], [0.17] * 5, "body")
    foot = half * taper
    bottom = bow((x + foot, base - 0.1), (x, base + flat * 1.5), (x - foot, base - 0.1))
    canvas.polygon([(x - half, top), (x + half, top), *bottom], "body")
    if canvas.chance(0.4):
        for y in (0.35, 0.62):
            level, wide = top + y * (base - top), half - (half - foot) * y - 0.06
            canvas.line(bow((x - wide, level), (x, level + flat * 1.8), (x + wide, level)), 0.1, "accent")
    elif canvas.chance(0.5):
        canvas.ellipse(x, grip + 0.12, 0.2, 0.2, "accent")
    canvas.ellipse(x, top, half, flat, "light")
    canvas.ellipse(x, top + 0.02, half * 0.84, flat * 0.72, "dark")
    for index in range(int(canvas.vary(2, 3.99))):
        left, rise = x - 0.26 + 0.26 * index, top - flat - 0.08
        steam = [(left, rise), (left + 0.09, rise - 0.16), (left - 0.05, rise - 0.32), (left + 0.06, rise - 0.48)]
        canvas.limb(steam, [0.07, 0.09, 0.08, 0.05], "light")


def pizza_slice(canvas: Canvas) -> None:
    """A slice of pizza: pointed wedge, thick rim, round slices of salami and melting cheese."""
    half, rim, tip = canvas.vary(0.68, 0.8), canvas.vary(-0.62, -0.54), canvas.vary(0.88, 0.98)
    arch = canvas.vary(0.2, 0.34)
    canvas.polygon([(-half, rim), *bow((-half, rim), (0, rim - arch), (half, rim)), (0.02, tip)], "body")
    right = [(0.88, 0.0), (0.62, 0.28), (0.57, 0.5), (0.48, 0.5), (0.42, 0.42), (0.24, 0.64), (0.06, 0.86)]
    left = [(-0.04, 0.86), (-0.22, 0.66), (-0.3, 0.6), (-0.35, 0.74), (-0.42, 0.72), (-0.56, 0.34), (-0.88, 0.0)]
    canvas.blob([(x * half, rim + y * (tip - rim)) for x, y in (*right, *left, (0.0, -0.16))], "light")
    size = canvas.vary(0.13, 0.17)
    spots = [(-0.36, -0.3), (0.3, -0.32), (0.0, -0.02), (-0.05, 0.38)]
    for x, y in spots[: 4 if canvas.chance(0.6) else 3]:
        x, y = x + canvas.vary(-0.05, 0.05), y + canvas.vary(-0.04, 0.04)
        canvas.ellipse(x, y, size, size, "accent")
    if canvas.chance(0.5):
        for x, y in ((-0.02, -0.42), (0.26, 0.06), (-0.26, 0.06)):
            canvas.ellipse(x, y, 0.08, 0.04, "body2", angle_deg=canvas.vary(-60, 60))
    crust = [(-half - 0.02, rim), (-half * 0.5, rim - arch * 0.42), (half * 0.5, rim - arch * 0.42), (half + 0.02, rim)]
    canvas.limb(crust, [0.22, 0.25, 0.25, 0.22], "body2")


DRAWINGS: dict[str, Drawing] = {"banana": banana, "ice_cream": ice_cream, "mug": mug, "pizza_slice": pizza_slice}
