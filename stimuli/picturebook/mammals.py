"""Mammals: elephant, giraffe, rabbit, cat."""

from __future__ import annotations

from stimuli.picturebook.canvas import Canvas, Drawing

NECK_PATCHES = ((0.12, 1), (0.22, -1), (0.34, 1), (0.46, -1), (0.57, 1), (0.69, -1), (0.8, 1))
"""Patches of the giraffe's neck: how far up (0-1) and on which side."""


def elephant(canvas: Canvas) -> None:
    """Elephant walking to the right, with a big ear, a trunk and a tusk."""
    step, lift, leg = canvas.vary(-0.07, 0.07), canvas.vary(-0.1, 1), canvas.vary(0.24, 0.3)
    canvas.limb([(-0.8, -0.15), (-0.95, 0.05), (-0.93, 0.3)], [0.08, 0.05, 0.04], "body")
    canvas.ellipse(-0.93, 0.34, 0.035, 0.07, "dark")
    for x in (-0.4 - step, 0.26 - step):
        canvas.limb([(x, 0.1), (x - step, 0.72)], [leg, leg * 0.95], "body2")
    with canvas.joined("body"):
        canvas.blob(
            [(-0.86, 0), (-0.72, -0.42), (-0.25, -0.56), (0.3, -0.5), (0.45, 0.1), (0, 0.32), (-0.65, 0.3)], "body"
        )
        for x in (-0.63 + step, 0.08 + step):
            canvas.limb([(x, 0.05), (x + step, 0.76)], [leg * 1.15, leg], "body")
        canvas.ellipse(0.52, -0.36, 0.33, 0.34, "body")
        canvas.limb(
            [
                (0.7, -0.32),
                (0.9, 0.0),
                (0.94, 0.3 - 0.06 * lift),
                (1.08, 0.46 - 0.16 * lift),
                (1.24, 0.42 - 0.42 * lift),
            ],
            [0.36, 0.25, 0.17, 0.14, 0.12],
            "body",
        )
    for x in (-0.63 + 2 * step, 0.08 + 2 * step):
        for toe in (-0.07, 0.0, 0.07):
            canvas.ellipse(x + toe, 0.83, 0.035, 0.04, "light")
    canvas.limb([(0.64, -0.1), (0.78, 0.12), (1.0, canvas.vary(0.05, 0.15))], [0.1, 0.08, 0.03], "light")
    ear = canvas.vary(0.9, 1.2)
    with canvas.at(0.38, -0.42, canvas.vary(-8, 14), ear):
        canvas.blob([(0.05, -0.26), (-0.28, -0.3), (-0.42, -0.02), (-0.3, 0.36), (-0.08, 0.42), (0.1, 0.15)], "body2")
    canvas.eye(0.62, -0.4, 0.07)


def giraffe(canvas: Canvas) -> None:
    """Giraffe standing, with a very long spotted neck."""
    lean, step = canvas.vary(-0.06, 0.14), canvas.vary(-0.05, 0.05)
    x1, y1 = 0.4 + lean, -0.96
    canvas.limb([(-0.44, 0.18), (-0.58, 0.36), (-0.56, 0.52)], [0.05, 0.04, 0.03], "body")
    canvas.ellipse(-0.56, 0.56, 0.04, 0.07, "dark")
    for x in (-0.22 - step, 0.18 - step):
        canvas.limb([(x, 0.3), (x - step, 1.1)], [0.12, 0.09], "body2")
    for side in (-0.05, 0.06):
        canvas.limb([(x1 + side, y1 - 0.02), (x1 + side - 0.04, y1 - 0.2)], [0.05, 0.06], "dark")
    canvas.limb([(-0.02, 0.1), (0.08 + lean / 2, -0.45), (x1 - 0.12, y1)], [0.12, 0.11, 0.1], "dark")
    with canvas.joined("body"):
        canvas.blob(
            [(-0.48, 0.22), (-0.34, 0.04), (0.05, -0.06), (0.26, 0.0), (0.28, 0.28), (0, 0.42), (-0.38, 0.42)], "body"
        )
        for x in (-0.36 + step, 0.18 + step):
            canvas.limb([(x, 0.25), (x + step, 0.65), (x + step, 1.15)], [0.18, 0.11, 0.1], "body")
        canvas.limb([(0.1, 0.15), (0.18 + lean / 2, -0.42), (x1, y1)], [0.34, 0.2, 0.15], "body")
        canvas.limb([(x1 - 0.02, y1), (x1 + 0.14, y1 + 0.05), (x1 + 0.3, y1 + 0.12)], [0.19, 0.19, 0.14], "body")
    canvas.blob([(x1 - 0.08, y1), (x1 - 0.26, y1 - 0.06), (x1 - 0.24, y1 + 0.05)], "body2")
    on_neck = [(0.11 + t * (x1 - 0.11) + (0.05 - 0.03 * t) * side, 0.1 + t * (y1 - 0.1)) for t, side in NECK_PATCHES]
    for x, y in [
        *on_neck,
        (-0.34, 0.2),
        (-0.17, 0.13),
        (0.0, 0.12),
        (-0.3, 0.36),
        (-0.12, 0.32),
        (0.06, 0.3),
        (0.19, 0.19),
    ]:
        r = canvas.vary(0.055, 0.075) * (1.0 if y > 0 else 0.75)
        canvas.patch([(x - r, y - r * 0.8), (x + r * 0.7, y - r), (x + r, y + r * 0.6), (x - r * 0.5, y + r)], "body2")
    canvas.ellipse(x1 + 0.31, y1 + 0.12, 0.075, 0.07, "light")
    canvas.eye(x1 + 0.08, y1 - 0.02, 0.05)


def rabbit(canvas: Canvas) -> None:
    """Rabbit sitting, with long upright ears and a puff of a tail."""
    ear, tilt = canvas.vary(0.5, 0.68), canvas.vary(-8, 14)
    canvas.ellipse(-0.72, 0.55, 0.19, 0.18, "light")
    with canvas.at(0.34, -0.32, tilt - 22):
        canvas.ellipse(0, -ear * 0.75, 0.11, ear * 0.7, "body2")
    canvas.limb([(0.3, 0.3), (0.4, 0.8), (0.54, 0.86)], [0.2, 0.13, 0.12], "body2")
    with canvas.joined("body"):
        canvas.blob(
            [(-0.72, 0.5), (-0.5, 0.08), (-0.1, -0.08), (0.3, 0.0), (0.42, 0.4), (0.2, 0.84), (-0.4, 0.9)], "body"
        )
        canvas.ellipse(0.42, -0.22, 0.35, 0.3, "body", 12)
        canvas.ellipse(0.62, -0.12, 0.2, 0.17, "body")
        canvas.limb([(0.2, 0.4), (0.24, 0.8), (0.38, 0.88)], [0.22, 0.15, 0.13], "body")
    with canvas.at(0.34, -0.36, tilt):
        canvas.ellipse(0, -ear * 0.75, 0.13, ear * 0.72, "body")
        canvas.ellipse(0.01, -ear * 0.72, 0.06, ear * 0.52, "accent")
    canvas.ellipse(-0.3, 0.56, 0.33, 0.3, "body", -20)
    canvas.limb([(-0.42, 0.85), (-0.1, 0.9), (0.04, 0.88)], [0.16, 0.15, 0.12], "body")
    canvas.ellipse(0.8, -0.16, 0.05, 0.04, "accent")
    for y in (-0.05, 0.03, 0.1):
        canvas.line([(0.66, -0.04), (0.98, y)], 0.015, "dark")
    canvas.line([(0.76, -0.04), (0.68, 0.0)], 0.025, "dark")
    canvas.eye(0.5, -0.28, 0.085)


def cat(canvas: Canvas) -> None:
    """Cat sitting, its face to us, with pointed ears, whiskers and a curled tail."""
    curl, wide = canvas.vary(0.0, 0.22), canvas.vary(0.4, 0.46)
    tail = [(-0.2, 0.8), (-0.7, 0.75), (-0.86, 0.35), (-0.66 - curl, 0.05), (-0.84 - curl, -0.16)]
    canvas.limb(tail, [0.18, 0.17, 0.16, 0.14, 0.1], "body")
    with canvas.joined("body"):
        canvas.blob(
            [(-0.24, -0.2), (0.24, -0.2), (0.42, 0.4), (0.5, 0.84), (0, 0.93), (-0.5, 0.84), (-0.42, 0.4)], "body"
        )
    canvas.blob([(0, 0.05), (0.17, 0.2), (0.13, 0.5), (0, 0.6), (-0.13, 0.5), (-0.17, 0.2)], "light")
    for x in (-0.13, 0.13):
        canvas.limb([(x, 0.42), (x, 0.87)], [0.2, 0.22], "body")
        canvas.line([(x, 0.84), (x, 0.93)], 0.02, "dark")
    for side in (-1, 1):
        ear = [(0.06, -0.72), (0.36, -0.36), (0.42, -0.98)]
        canvas.polygon([(side * x, y) for x, y in ear], "body")
        canvas.polygon([(side * x, y) for x, y in [(0.18, -0.7), (0.35, -0.55), (0.38, -0.84)]], "accent")
    canvas.ellipse(0, -0.4, wide, 0.34, "body")
    for x in (-0.1, 0.0, 0.1):
        canvas.line([(x, -0.7), (x * 0.8, -0.58)], 0.035, "dark")
    for side in (-1, 1):
        canvas.ellipse(side * 0.18, -0.44, 0.09, 0.1, "light")
        canvas.ellipse(side * 0.18, -0.44, 0.04, 0.085, "dark")
        canvas.ellipse(side * 0.08, -0.22, 0.1, 0.075, "light")
        for y in (-0.3, -0.22, -0.14):
            canvas.line([(side * 0.16, -0.23), (side * 0.66, y + canvas.vary(-0.03, 0.03))], 0.018, "dark")
    canvas.polygon([(-0.06, -0.32), (0.06, -0.32), (0, -0.25)], "accent")


DRAWINGS: dict[str, Drawing] = {"elephant": elephant, "giraffe": giraffe, "rabbit": rabbit, "cat": cat}
