"""Land vehicles of the picture book: car, bus, bicycle, tractor."""

from __future__ import annotations

import math

from stimuli.picturebook.canvas import Canvas, Drawing
from stimuli.picturebook.curves import bow


def _wheel(canvas: Canvas, x: float, y: float, radius: float, hub: float = 0.5) -> None:
    canvas.ellipse(x, y, radius, radius, "dark")
    canvas.ellipse(x, y, radius * hub, radius * hub, "light")


def car(canvas: Canvas) -> None:
    """A family car from the side: saloon, hatchback or coupé."""
    roof, belt, floor = canvas.vary(-0.6, -0.45), canvas.vary(-0.12, -0.04), canvas.vary(0.34, 0.4)
    hatchback = canvas.chance(0.5)
    front, back = canvas.vary(0.32, 0.4), -0.9 if hatchback else canvas.vary(-0.62, -0.55)
    slope = canvas.vary(0.2, 0.34)
    roof_back, roof_front = back + (0.1 if hatchback else slope * 0.8), front - slope
    cabin = [(back, belt + 0.1), (roof_back, roof), (roof_front, roof), (front, belt + 0.1)]
    canvas.polygon(cabin, "body")
    middle = (roof_back + roof_front) / 2 + 0.02
    top, sill = roof + 0.09, belt + 0.02
    left, right = middle - 0.04, middle + 0.04
    canvas.polygon([(back + 0.11, sill), (roof_back + 0.06, top), (left, top), (left, sill)], "glass")
    canvas.polygon([(right, sill), (right, top), (roof_front - 0.03, top), (front - 0.1, sill)], "glass")
    nose = [*bow((front - 0.02, belt), (0.9, belt + 0.02), (0.97, 0.2)), (0.97, floor)]
    tail = [(-0.97, floor), *bow((-0.97, 0.15), (-0.97, belt), (-0.85, belt))]
    canvas.polygon([*nose, *tail], "body")
    canvas.line([(middle, sill), (middle, floor - 0.04)], 0.025, "dark")
    canvas.rectangle(middle - 0.24, belt + 0.12, middle - 0.08, belt + 0.17, "light", radius=0.02)
    canvas.ellipse(0.86, 0.12, 0.08, 0.07, "light")
    canvas.rectangle(-0.98, 0.06, -0.88, 0.18, "accent", radius=0.03)
    radius = canvas.vary(0.23, 0.29)
    for x in (-0.55, 0.56):
        _wheel(canvas, x, floor, radius)


def bus(canvas: Canvas) -> None:
    """A town bus from the side, single or double decker, three to five windows long."""
    double = canvas.chance(0.45)
    top, floor = (-0.85, 0.55) if double else (canvas.vary(-0.55, -0.45), 0.45)
    canvas.rectangle(-0.97, top, 0.97, floor, "body", radius=canvas.vary(0.08, 0.16))
    windows = int(canvas.vary(3, 5.99))
    deck = canvas.vary(0.3, 0.36)
    lower = floor - canvas.vary(0.76, 0.8) if double else top + 0.14
    pitch = 1.2 / windows
    for row in (top + 0.12, lower) if double else (lower,):
        for index in range(windows):
            left = -0.85 + index * pitch
            canvas.rectangle(left, row, left + pitch - 0.07, row + deck, "glass", radius=0.03)
    if double:
        canvas.rectangle(0.42, top + 0.12, 0.9, top + 0.12 + deck, "glass", radius=0.03)
    canvas.rectangle(0.42, lower, 0.64, floor - 0.03, "light", radius=0.02)
    canvas.line([(0.53, lower), (0.53, floor - 0.03)], 0.025, "dark")
    canvas.rectangle(0.72, lower, 0.97, lower + deck + 0.06, "glass", radius=0.04)
    canvas.rectangle(-0.97, lower + deck + 0.09, 0.38, lower + deck + 0.19, "body2")
    canvas.ellipse(0.88, floor - 0.12, 0.06, 0.06, "light")
    radius = canvas.vary(0.17, 0.21)
    for x in (-0.58, canvas.vary(0.16, 0.22)):
        _wheel(canvas, x, floor, radius)


def bicycle(canvas: Canvas) -> None:
    """A bicycle from the side, with a diamond or a step-through frame."""
    radius, y = canvas.vary(0.4, 0.45), 0.35
    rear, front, crank = (-0.55, y), (0.55, y), (-0.08, y + 0.03)
    for x, hub_y in (rear, front):
        for spoke in range(6):
            dx, dy = radius * math.cos(spoke * math.pi / 6), radius * math.sin(spoke * math.pi / 6)
            canvas.line([(x - dx, hub_y - dy), (x + dx, hub_y + dy)], 0.018, "light")
        canvas.arc(x, hub_y, radius, radius, 0, 360, canvas.vary(0.075, 0.1), "dark")
    saddle, head = (-0.26, canvas.vary(-0.32, -0.24)), (0.36, canvas.vary(-0.4, -0.3))
    joint = (-0.22, -0.16) if canvas.chance(0.6) else (-0.15, 0.12)
    for start, end in ((rear, crank), (rear, (-0.22, -0.16)), (crank, saddle), (joint, head), (crank, head)):
        canvas.limb([start, end], [0.075, 0.075], "body")
    canvas.limb([head, front], [0.08, 0.07], "body")
    canvas.limb([(-0.42, saddle[1] - 0.03), (-0.1, saddle[1] - 0.02)], [0.14, 0.06], "dark")
    stem = (head[0] - 0.04, head[1] - 0.16)
    canvas.limb([head, stem], [0.07, 0.07], "dark")
    if canvas.chance(0.5):
        drop = [stem, (stem[0] + 0.24, stem[1]), (stem[0] + 0.3, stem[1] + 0.16), (stem[0] + 0.16, stem[1] + 0.26)]
        canvas.limb(drop, [0.065] * 4, "dark")
    else:
        swept = [(stem[0] + 0.08, stem[1] - 0.02), stem, (stem[0] - 0.26, stem[1] - 0.02)]
        canvas.limb(swept, [0.065, 0.065, 0.09], "dark")
    canvas.ellipse(*crank, 0.11, 0.11, "accent")
    canvas.limb([crank, (crank[0] + 0.13, crank[1] + 0.16)], [0.05, 0.05], "dark")
    canvas.limb([(crank[0] + 0.05, crank[1] + 0.17), (crank[0] + 0.22, crank[1] + 0.17)], [0.06, 0.06], "dark")


def tractor(canvas: Canvas) -> None:
    """A farm tractor from the side: huge rear wheel, small front wheel, cab and exhaust pipe."""
    big, small = canvas.vary(0.46, 0.54), canvas.vary(0.22, 0.28)
    ground, roof, bonnet = 0.82, canvas.vary(-0.85, -0.75), canvas.vary(-0.16, -0.06)
    canvas.rectangle(0.42, canvas.vary(-0.68, -0.52), 0.51, bonnet + 0.05, "dark")
    canvas.polygon([(-0.7, 0.2), (-0.6, roof + 0.05), (-0.02, roof + 0.05), (0.12, 0.2)], "glass")
    canvas.limb([(-0.66, 0.1), (-0.58, roof + 0.05)], [0.08, 0.08], "body")
    canvas.limb([(0.09, 0.1), (-0.04, roof + 0.05)], [0.08, 0.08], "body")
    canvas.rectangle(-0.74, roof - 0.04, 0.1, roof + 0.1, "body2", radius=0.06)
    nose = bow((0.75, bonnet), (0.92, bonnet), (0.92, 0.1))
    canvas.polygon([(-0.75, 0.5), (-0.75, 0.05), (0.05, bonnet), *nose, (0.92, 0.5)], "body")
    for index in range(3):
        canvas.line([(0.5 + 0.11 * index, bonnet + 0.1), (0.5 + 0.11 * index, 0.26)], 0.03, "dark")
    canvas.ellipse(0.88, bonnet + 0.17, 0.06, 0.07, "light")
    x, y = -0.42, ground - big
    canvas.arc(x, y, big + 0.07, big + 0.07, 190, 350, 0.1, "body2")
    treads = int(canvas.vary(12, 16.99))
    for tread in range(treads):
        angle = 2 * math.pi * tread / treads
        canvas.ellipse(x + big * math.cos(angle), y + big * math.sin(angle), 0.07, 0.07, "dark")
    _wheel(canvas, x, y, big, 0.55)
    canvas.ellipse(x, y, 0.1, 0.1, "accent")
    _wheel(canvas, 0.62, ground - small, small)


DRAWINGS: dict[str, Drawing] = {"car": car, "bus": bus, "bicycle": bicycle, "tractor": tractor}
