"""Reptiles: snake, turtle, crocodile, lizard."""

from __future__ import annotations

import math

import numpy as np

from stimuli.picturebook.canvas import Canvas, Drawing, open_curve


def snake(canvas: Canvas) -> None:
    """Snake in waves, its banded body ending in a raised head with a forked tongue."""
    swing, rise = canvas.vary(0.3, 0.46), canvas.vary(-0.22, -0.02)
    xs = [-0.86, -0.72, -0.5, -0.24, 0.02, 0.26, 0.46, 0.52, 0.6, 0.76]
    waves = [0.3, 0.1, 0.1 + swing, 0.4, 0.4 - swing, 0.36, 0.3 + swing, -0.02, -0.36 + rise, -0.42 + rise]
    waves[6] = 0.22 + swing * 0.5
    path = list(zip(xs, waves, strict=True))
    widths = [0.04, 0.13, 0.19, 0.23, 0.26, 0.26, 0.25, 0.23, 0.22, 0.22]
    canvas.limb(path, widths, "body")
    curve, spread = open_curve(np.asarray(path), np.asarray(widths), 6)
    for k in range(7, len(curve) - 4, 4):
        (x, y), (dx, dy), width = curve[k].tolist(), curve[k + 1] - curve[k - 1], float(spread[k])
        canvas.spot(x, y, 0.2 * width, 0.47 * width, "body2", math.degrees(math.atan2(dy, dx)))
    head_y = waves[9]
    canvas.line([(0.9, head_y + 0.03), (1.08, head_y + 0.06)], 0.03, "accent")
    for tip in (-0.05, 0.07):
        canvas.line([(1.08, head_y + 0.06), (1.19, head_y + 0.06 + tip)], 0.024, "accent")
    canvas.blob(
        [
            (0.52, head_y - 0.09),
            (0.7, head_y - 0.18),
            (0.92, head_y - 0.07),
            (0.97, head_y + 0.04),
            (0.76, head_y + 0.15),
            (0.54, head_y + 0.11),
        ],
        "body",
    )
    canvas.line([(0.76, head_y + 0.06), (0.92, head_y + 0.03)], 0.02, "dark")
    canvas.eye(0.76, head_y - 0.07, 0.07)


def turtle(canvas: Canvas) -> None:
    """Turtle walking, with a domed shell of plates."""
    high, step = canvas.vary(0.56, 0.72), canvas.vary(-8, 8)
    neck = canvas.vary(-0.14, 0.1)
    canvas.polygon([(-0.66, 0.28), (-0.98, 0.42), (-0.64, 0.42)], "body2")
    for x, turn in ((-0.34, 16 + step), (0.24, -14 - step)):
        with canvas.at(x, 0.3, turn):
            canvas.limb([(0, 0), (0, 0.36)], [0.24, 0.2], "body2")
    canvas.limb([(0.46, 0.3), (0.72, 0.14 + neck), (0.86, -0.02 + neck)], [0.26, 0.2, 0.3], "body2")
    canvas.ellipse(0.88, -0.04 + neck, 0.2, 0.17, "body2")
    for x, turn in ((-0.5, 8 - step), (0.4, -10 + step)):
        with canvas.at(x, 0.3, turn):
            canvas.limb([(0, 0), (0.0, 0.38)], [0.28, 0.26], "body2")
    top = 0.34 - high
    canvas.blob(
        [
            (-0.8, 0.34),
            (-0.66, 0.0),
            (-0.36, top * 1.0),
            (-0.05, top - 0.08),
            (0.26, top),
            (0.54, 0.02),
            (0.66, 0.34),
            (0.3, 0.42),
            (-0.4, 0.42),
        ],
        "body",
    )
    plates = [(-0.24, top + 0.1), (0.1, top + 0.1), (0.22, 0.1), (-0.07, 0.22), (-0.36, 0.1)]
    canvas.polygon(plates, "accent")
    canvas.polygon([(-0.42, 0.08), (-0.32, top + 0.14), (-0.56, 0.02), (-0.66, 0.22)], "accent")
    canvas.polygon([(0.28, 0.08), (0.18, top + 0.14), (0.42, 0.04), (0.52, 0.22)], "accent")
    canvas.limb([(-0.8, 0.36), (-0.07, 0.4), (0.64, 0.36)], [0.08, 0.12, 0.08], "light")
    canvas.arc(0.96, 0.02 + neck, 0.1, 0.06, 20, 130, 0.022, "dark")
    canvas.eye(0.93, -0.1 + neck, 0.055)


def crocodile(canvas: Canvas) -> None:
    """Crocodile lying low, its long jaws open."""
    gape, flick = canvas.vary(8, 22), canvas.vary(-0.16, 0.08)
    for x in (-0.34, 0.2):
        canvas.limb([(x, 0.1), (x + 0.02, 0.3), (x + 0.14, 0.32)], [0.18, 0.12, 0.09], "body2")
    for k in range(8):
        x, y = -0.56 + 0.12 * k, (-0.02, -0.06, -0.1, -0.13, -0.14, -0.14, -0.13, -0.12)[k]
        canvas.polygon([(x - 0.07, y + 0.1), (x - 0.02, y - 0.12), (x + 0.07, y + 0.1)], "body2")
    with canvas.at(0.42, 0.02, gape * 0.5):
        canvas.blob([(-0.1, 0.04), (0.3, 0.04), (0.68, 0.04), (0.68, 0.1), (0.3, 0.15), (-0.05, 0.18)], "body")
        for k in range(5):
            canvas.polygon([(0.16 + 0.1 * k, 0.06), (0.23 + 0.1 * k, 0.06), (0.195 + 0.1 * k, -0.04)], "light")
    tail = [(-0.86, -0.46 + flick), (-0.98, -0.2 + flick), (-0.88, 0.06), (-0.5, 0.1), (0.0, 0.06), (0.42, 0.0)]
    canvas.limb(tail, [0.03, 0.11, 0.18, 0.3, 0.4, 0.3], "body")
    canvas.limb([(-0.46, 0.18), (-0.1, 0.21), (0.34, 0.12)], [0.04, 0.08, 0.04], "light")
    with canvas.at(0.42, 0.02, -gape):
        for k in range(6):
            canvas.polygon([(0.12 + 0.09 * k, 0.0), (0.19 + 0.09 * k, 0.0), (0.155 + 0.09 * k, 0.1)], "light")
        snout = [
            (-0.16, -0.12),
            (0.06, -0.22),
            (0.18, -0.12),
            (0.55, -0.09),
            (0.68, -0.13),
            (0.76, -0.04),
            (0.68, 0.02),
        ]
        canvas.blob([*snout, (0.2, 0.03), (-0.1, 0.08)], "body")
        canvas.spot(0.68, -0.07, 0.028, 0.022, "dark")
        canvas.eye(0.06, -0.15, 0.065)
    for x in (-0.5, 0.08):
        canvas.limb([(x, 0.12), (x - 0.06, 0.3), (x + 0.0, 0.38), (x + 0.14, 0.39)], [0.2, 0.16, 0.12, 0.09], "body")


def lizard(canvas: Canvas) -> None:
    """Lizard from above, legs splayed and tail in a curve."""
    bend, stride = canvas.vary(-0.14, 0.14), canvas.vary(-14, 14)
    curl = canvas.vary(0.25, 0.45) * (1 if bend > 0 else -1)
    legs = ((0.34, -1, 30 + stride), (0.34, 1, 30 - stride), (-0.16, -1, -22 - stride), (-0.16, 1, -22 + stride))
    for x, side, turn in legs:
        with canvas.at(x, bend * 0.5, side * (90 - turn)):
            canvas.limb([(0, 0), (0.3, side * 0.08), (0.48, side * -0.06)], [0.12, 0.09, 0.07], "body")
            for toe in (-38, 0, 38):
                with canvas.at(0.49, side * -0.06, toe):
                    canvas.limb([(0, 0), (0.13, 0)], [0.045, 0.055], "body")
    tail = [(-1.1, -curl * 0.3), (-0.96, -curl), (-0.66, -curl * 0.8), (-0.36, -0.02)]
    spine = [*tail, (-0.06, bend), (0.28, bend * 0.7), (0.5, 0)]
    with canvas.joined("body"):
        canvas.limb(spine, [0.02, 0.06, 0.1, 0.17, 0.3, 0.28, 0.2], "body")
        head = [(0.42, -0.1), (0.62, -0.17), (0.86, -0.1), (0.96, 0), (0.86, 0.1), (0.62, 0.17), (0.42, 0.1)]
        canvas.blob(head, "body")
    for k, (x, share) in enumerate(((-0.38, -0.1), (-0.22, 0.5), (-0.06, 1), (0.1, 0.95), (0.26, 0.75), (0.42, 0.3))):
        canvas.spot(x, bend * share, 0.04, 0.052 + 0.012 * k, "body2")
    for side in (-1, 1):
        canvas.eye(0.7, side * 0.13, 0.065)


DRAWINGS: dict[str, Drawing] = {"snake": snake, "turtle": turtle, "crocodile": crocodile, "lizard": lizard}
