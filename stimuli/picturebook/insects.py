"""Insects: butterfly, ladybird, ant, dragonfly."""

from __future__ import annotations

from stimuli.picturebook.canvas import Canvas, Drawing


def butterfly(canvas: Canvas) -> None:
    """Butterfly from above with four patterned wings."""
    spread, low = canvas.vary(0.85, 1.05), canvas.vary(0.85, 1.1)
    for side in (-1, 1):
        lower = [(0.04, 0.02), (0.4, 0.06), (0.62, 0.32), (0.5, 0.66), (0.26, 0.72), (0.08, 0.4)]
        upper = [(0.04, -0.1), (0.3, -0.56), (0.7, -0.84), (0.92, -0.7), (0.86, -0.26), (0.6, 0.06), (0.2, 0.1)]
        canvas.blob([(side * x * spread, y * low) for x, y in lower], "body2")
        canvas.ellipse(side * 0.38 * spread, 0.4 * low, 0.12, 0.14, "accent")
        canvas.blob([(side * x * spread, y) for x, y in upper], "body")
        canvas.blob([(side * (0.2 + 0.62 * x) * spread, -0.06 + 0.62 * y) for x, y in upper], "accent")
        canvas.ellipse(side * 0.66 * spread, -0.5, 0.1, 0.1, "light")
        for x, y in ((0.82, -0.72), (0.9, -0.56), (0.87, -0.4)):
            canvas.spot(side * x * spread * 0.96, y, 0.04, 0.04, "light")
        canvas.limb([(side * 0.03, -0.4), (side * 0.1, -0.68), (side * 0.26, -0.86)], [0.03, 0.025, 0.025], "dark")
        canvas.ellipse(side * 0.27, -0.87, 0.04, 0.04, "dark")
    canvas.limb([(0, -0.3), (0, 0.0), (0, 0.54)], [0.14, 0.16, 0.07], "dark")
    canvas.ellipse(0, -0.37, 0.1, 0.1, "dark")


def ladybird(canvas: Canvas) -> None:
    """Ladybird from above, spotted wing cases parted by a line."""
    spot, wide = canvas.vary(0.1, 0.14), canvas.vary(0.6, 0.68)
    for side in (-1, 1):
        for y, dy in ((-0.3, -0.2), (0.1, 0.02), (0.44, 0.22)):
            canvas.limb(
                [(side * 0.4, y), (side * 0.78, y + dy * 0.5), (side * 0.9, y + dy + 0.1)], [0.08, 0.07, 0.05], "dark"
            )
        canvas.limb([(side * 0.12, -0.76), (side * 0.2, -0.94), (side * 0.34, -1.0)], [0.04, 0.035, 0.035], "dark")
        canvas.ellipse(side * 0.35, -1.0, 0.045, 0.045, "dark")
    canvas.ellipse(0, -0.62, 0.34, 0.26, "dark")
    for side in (-1, 1):
        canvas.ellipse(side * 0.2, -0.72, 0.08, 0.09, "light")
        canvas.ellipse(side * 0.2, -0.74, 0.04, 0.045, "dark")
    canvas.ellipse(0, 0.14, wide, 0.7, "body")
    canvas.line([(0, -0.54), (0, 0.83)], 0.04, "dark")
    for x, y in ((0.28, -0.26), (0.4, 0.14), (0.2, 0.34), (0.3, 0.62)):
        for side in (-1, 1):
            canvas.spot(side * (x + canvas.vary(-0.02, 0.02)), y, spot, spot, "dark")
    canvas.spot(0, -0.4, 0.14, 0.1, "dark")


def ant(canvas: Canvas) -> None:
    """Ant from the side: three segments, six bent legs, elbowed antennae."""
    stride, droop = canvas.vary(-0.08, 0.08), canvas.vary(-6, 14)
    for x, foot, shift in ((-0.12, -0.62, stride), (0.04, -0.02, -stride), (0.2, 0.5, stride)):
        canvas.limb([(x, 0.1), (x + (foot - x) * 0.6, -0.18), (foot + shift + 0.08, 0.56)], [0.07, 0.06, 0.04], "body2")
    with canvas.at(-0.16, 0.06, droop):
        canvas.ellipse(-0.46, 0, 0.42, 0.29, "body", -14)
        for x in (-0.6, -0.4, -0.22):
            canvas.arc(x - 0.12, 0.02, 0.1, 0.24, -50, 50, 0.03, "dark")
    canvas.ellipse(-0.12, 0.06, 0.09, 0.1, "body2")
    canvas.ellipse(0.1, 0.04, 0.23, 0.16, "body", -8)
    canvas.limb([(0.3, 0.0), (0.4, -0.02)], [0.1, 0.1], "body")
    canvas.limb([(0.68, -0.26), (0.72, -0.6), (0.98, -0.62), (1.06, -0.46)], [0.045, 0.04, 0.04, 0.05], "dark")
    canvas.limb([(0.56, -0.26), (0.5, -0.62), (0.74, -0.78), (0.86, -0.7)], [0.045, 0.04, 0.04, 0.05], "dark")
    canvas.polygon([(0.8, 0.02), (1.0, 0.12), (0.82, 0.16)], "dark")
    canvas.ellipse(0.62, -0.08, 0.27, 0.24, "body", 18)
    for x, foot, shift in ((-0.06, -0.42, -stride), (0.1, 0.2, stride), (0.22, 0.76, -stride)):
        canvas.limb(
            [(x, 0.14), (x + (foot - x) * 0.62, -0.1), (foot + shift, 0.62), (foot + shift + 0.1, 0.64)],
            [0.08, 0.07, 0.05, 0.04],
            "body",
        )
    canvas.eye(0.7, -0.14, 0.08)


def dragonfly(canvas: Canvas) -> None:
    """Dragonfly from above: four long clear wings and a thin banded tail."""
    sweep, bend = canvas.vary(-10, 8), canvas.vary(-0.08, 0.08)
    for side in (-1, 1):
        for y, turn, long in ((-0.3, -10 + sweep, 0.95), (-0.12, 16 + sweep, 0.88)):
            with canvas.at(0, y, side * turn):
                wing = [(0.04, 0), (0.3, -0.09), (0.8, -0.13), (1.0, -0.04), (0.9, 0.09), (0.45, 0.12)]
                canvas.blob([(side * long * x, y) for x, y in wing], "glass")
                canvas.line([(side * 0.08, 0), (side * long * 0.9, -0.02)], 0.018, "dark")
                canvas.line([(side * 0.3, 0), (side * long * 0.74, 0.06)], 0.014, "dark")
                canvas.ellipse(side * long * 0.86, -0.08, 0.05, 0.025, "accent")
    tail = [(0, -0.1), (bend, 0.4), (bend * 0.4, 0.98)]
    canvas.limb(tail, [0.15, 0.12, 0.09], "body")
    for k in range(6):
        t = (0.12 + 0.15 * k) * 1.0
        y = -0.1 + 1.08 * t
        x = bend * (1 - (2 * t - 0.95) ** 2)
        canvas.ellipse(x, y + 0.06, 0.055, 0.025, "body2")
    canvas.ellipse(0, -0.24, 0.15, 0.24, "body")
    canvas.ellipse(0, -0.58, 0.13, 0.1, "body2")
    for side in (-1, 1):
        canvas.ellipse(side * 0.12, -0.62, 0.11, 0.12, "accent")
        canvas.ellipse(side * 0.13 + 0.03, -0.66, 0.03, 0.03, "light")


DRAWINGS: dict[str, Drawing] = {"butterfly": butterfly, "ladybird": ladybird, "ant": ant, "dragonfly": dragonfly}
