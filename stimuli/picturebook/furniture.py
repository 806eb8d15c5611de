"""Furniture of the picture book: chair, table, bed, bookshelf."""

from __future__ import annotations

from stimuli.picturebook.canvas import Canvas, Drawing


def chair(canvas: Canvas) -> None:
    """A wooden chair in three-quarter view: tall back, square seat, four long legs."""
    top, seat, floor = -0.95, canvas.vary(-0.02, 0.08), 0.72
    right, lean, step = canvas.vary(0.4, 0.5), canvas.vary(-0.14, -0.04), canvas.vary(0.2, 0.26)
    left, near, thick = -0.4, seat + canvas.vary(0.26, 0.34), 0.1
    for x in (left, right):
        canvas.limb([(x, seat), (x + 0.02, floor)], [0.1, 0.08], "body")
    if canvas.chance(0.35):
        upper, lower = top + 0.1, seat - 0.2
        canvas.polygon([(left + lean, upper), (right + lean, upper), (right, lower), (left, lower)], "accent")
    elif canvas.chance(0.5):
        for level in (0.15, 0.4, 0.65):
            y, shift = top + level * (seat - top), lean * (1 - level)
            canvas.rectangle(left + shift, y - 0.06, right + shift, y + 0.08, "body2", radius=0.02)
    else:
        for share in (0.25, 0.5, 0.75):
            x = left + share * (right - left)
            canvas.limb([(x + lean, top + 0.1), (x, seat)], [0.07, 0.07], "body2")
        canvas.rectangle(left + lean, top + 0.02, right + lean, top + 0.2, "body2", radius=0.04)
    for x in (left, right):
        canvas.limb([(x + lean, top), (x, seat)], [0.11, 0.11], "body")
    for x in (left - step + 0.06, right - step + 0.02):
        canvas.limb([(x, near), (x - 0.03, floor + near - seat)], [0.11, 0.08], "body")
    front_left, front_right, corner = left - step, right - step + 0.08, right + 0.06
    canvas.polygon([(left - 0.04, seat), (corner, seat), (front_right, near), (front_left, near)], "accent")
    canvas.polygon([(corner, seat), (corner, seat + thick), (front_right, near + thick), (front_right, near)], "body")
    canvas.rectangle(front_left, near, front_right, near + thick, "body")


def table(canvas: Canvas) -> None:
    """A wide table in three-quarter view, oblong or round, on four long legs."""
    top, deep, thick = canvas.vary(-0.5, -0.42), canvas.vary(0.3, 0.4), canvas.vary(0.09, 0.13)
    leg, floor, near = canvas.vary(0.12, 0.16), canvas.vary(0.74, 0.84), top + deep
    foot = leg * canvas.vary(0.5, 1.0)
    oblong = canvas.chance(0.65)
    far_x, near_x = (0.62, 0.86) if oblong else (0.4, 0.66)
    for x in (-far_x, far_x):
        canvas.limb([(x, top + 0.1), (x, floor - deep * 0.75)], [leg * 0.9, foot * 0.9], "body2")
    for x in (-near_x, near_x):
        canvas.limb([(x, near), (x, floor)], [leg, foot], "body2")
    if not oblong:
        canvas.ellipse(0, top + deep / 2 + thick, 0.97, deep * 0.72, "body")
        canvas.ellipse(0, top + deep / 2, 0.97, deep * 0.72, "body")
        return
    canvas.rectangle(-0.86, near, 0.86, near + thick + 0.16, "body2")
    if canvas.chance(0.5):
        canvas.ellipse(0, near + thick + 0.08, 0.05, 0.045, "dark")
    canvas.polygon([(-0.72, top), (0.72, top), (0.97, near), (-0.97, near)], "body")
    canvas.rectangle(-0.97, near, 0.97, near + thick, "body", radius=0.02)


def bed(canvas: Canvas) -> None:
    """A bed from the foot corner: tall headboard, pillow, a blanket falling over the side."""
    head, foot = canvas.vary(-0.95, -0.75), canvas.vary(0.06, 0.2)
    mattress, floor, skew = canvas.vary(0.08, 0.14), 0.62, canvas.vary(0.3, 0.38)
    canvas.polygon([(-0.95, floor), (-0.95, head + skew), (-0.6, head), (-0.6, floor - skew)], "body")
    surface = [(-0.88, mattress + 0.02), (-0.5, mattress - skew), (0.88, mattress - skew), (0.7, mattress + 0.02)]
    canvas.polygon(surface, "body2")
    canvas.rectangle(-0.88, mattress, 0.72, mattress + 0.22, "body2", radius=0.04)
    canvas.rectangle(-0.9, mattress + 0.2, 0.76, floor - 0.08, "body", radius=0.02)
    pillow = [(-0.84, -0.08), (-0.74, -1.1 * skew), (-0.42, -1.4 * skew), (-0.26, -0.26), (-0.46, 0.04)]
    canvas.blob([(x, mattress + y) for x, y in pillow], "light")
    edge = canvas.vary(-0.2, 0.0)
    far, hem = mattress - skew - 0.04, mattress + canvas.vary(0.28, 0.38)
    canvas.polygon([(edge, mattress), (edge + 0.25, far), (0.9, far), (0.74, mattress)], "accent")
    canvas.rectangle(edge, mattress, 0.74, hem, "accent")
    canvas.polygon([(0.66, floor + 0.1), (0.66, foot + 0.1), (0.95, foot - skew + 0.1), (0.95, floor - skew)], "body")
    for x in (-0.9, 0.68):
        canvas.limb([(x, floor - 0.05), (x, floor + 0.15)], [0.1, 0.1], "body")


def bookshelf(canvas: Canvas) -> None:
    """An upright bookcase of three or four shelves filled with books of many sizes."""
    half, shelves = canvas.vary(0.6, 0.75), 4 if canvas.chance(0.4) else 3
    canvas.rectangle(-half, -0.95, half, 0.95, "body", radius=0.03)
    pitch, wall = 1.84 / shelves, 0.08
    for shelf in range(shelves):
        top, base = -0.92 + shelf * pitch + wall, -0.92 + (shelf + 1) * pitch
        canvas.rectangle(-half + wall, top, half - wall, base, "dark")
        x, room = -half + wall + 0.03, base - top
        end = half - wall - 0.03 - (canvas.vary(0.0, 0.35) if canvas.chance(0.6) else 0.0)
        while x < end - 0.09:
            width = min(canvas.vary(0.1, 0.19), end - x)
            paint = ("accent", "light", "body2", "glass")[int(canvas.vary(0, 3.99))]
            canvas.rectangle(x, base - room * canvas.vary(0.6, 0.92), x + width, base, paint)
            x += width
        if half - wall - x > 0.26:
            tall = room * 0.7
            leaning = [(0.16, 0.0), (0.02, -tall), (0.12, -tall - 0.03), (0.26, -0.02)]
            canvas.polygon([(x + dx, base + dy) for dx, dy in leaning], "accent")


DRAWINGS: dict[str, Drawing] = {"chair": chair, "table": table, "bed": bed, "bookshelf": bookshelf}
