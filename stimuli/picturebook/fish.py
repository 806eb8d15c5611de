"""Fish: shark, seahorse, pufferfish, goldfish."""

from __future__ import annotations

import math

from stimuli.picturebook.canvas import Canvas, Drawing


def shark(canvas: Canvas) -> None:
    """Shark swimming to the right, teeth showing."""
    fin, sweep = canvas.vary(0.5, 0.66), canvas.vary(-0.06, 0.06)
    canvas.blob(
        [(-0.7, 0), (-0.84, -0.2), (-1.02, -0.5 + sweep), (-0.92, -0.05), (-1.0, 0.34 + sweep), (-0.84, 0.14)], "body"
    )
    canvas.polygon([(-0.15, -0.2), (-0.12, -fin), (0.02, -fin + 0.12), (0.24, -0.22)], "body")
    canvas.polygon([(-0.5, 0.08), (-0.62, 0.34), (-0.4, 0.2)], "body")
    canvas.blob(
        [
            (-0.86, 0.02),
            (-0.5, -0.13),
            (0, -0.3),
            (0.5, -0.26),
            (0.98, -0.04),
            (0.8, 0.14),
            (0.4, 0.26),
            (-0.1, 0.22),
            (-0.5, 0.1),
        ],
        "body",
    )
    canvas.blob(
        [(0.88, 0.09), (0.4, 0.08), (-0.1, 0.12), (-0.5, 0.09), (-0.1, 0.2), (0.4, 0.24), (0.76, 0.16)], "light"
    )
    with canvas.at(0.2, 0.16, canvas.vary(-12, 14)):
        canvas.polygon([(-0.1, 0), (0.18, 0), (-0.08, 0.46), (-0.2, 0.48)], "body2")
    for x in (0.24, 0.33, 0.42):
        canvas.arc(x + 0.08, -0.02, 0.09, 0.14, 120, 240, 0.025, "dark")
    canvas.blob([(0.9, 0.05), (0.7, 0.08), (0.54, 0.04), (0.6, 0.14), (0.78, 0.16)], "dark")
    for x in (0.6, 0.67, 0.74, 0.81):
        canvas.polygon([(x - 0.035, 0.06), (x + 0.035, 0.06), (x, 0.13)], "light")
    canvas.eye(0.68, -0.09, 0.055)


def seahorse(canvas: Canvas) -> None:
    """Seahorse upright, its tail curled."""
    curl, nod = canvas.vary(0.8, 1.05), canvas.vary(-0.05, 0.05)
    canvas.polygon(
        [(-0.3, -0.16), (-0.6, -0.24), (-0.56, -0.06), (-0.64, 0.0), (-0.54, 0.1), (-0.56, 0.22), (-0.26, 0.2)],
        "accent",
    )
    for y0, y1 in ((-0.06, -0.12), (0.02, 0.01), (0.1, 0.14)):
        canvas.line([(-0.34, y0), (-0.52, y1)], 0.02, "dark")
    tail = [(-0.02, 0.4), (-0.14, 0.66), (0.06, 0.88), (0.3 * curl, 0.82), (0.3 * curl, 0.62), (0.14, 0.64)]
    crown = [(-0.18, -0.86), (-0.22, -1.02), (-0.1, -0.94), (-0.02, -1.06), (0.06, -0.92), (0.16, -0.98), (0.14, -0.8)]
    canvas.polygon(crown, "accent")
    with canvas.joined("body"):
        canvas.limb([(0.0, -0.66), (-0.22, -0.32), (-0.14, 0.08), (-0.02, 0.4)], [0.26, 0.36, 0.5, 0.26], "body")
        canvas.limb(tail, [0.26, 0.2, 0.16, 0.13, 0.1, 0.07], "body")
        canvas.ellipse(0.04, -0.7, 0.24, 0.2, "body")
        canvas.limb([(0.16, -0.66 + nod), (0.4, -0.58 + nod), (0.58, -0.54 + nod)], [0.2, 0.11, 0.13], "body")
    canvas.limb([(0.02, -0.36), (0.05, -0.05), (0.06, 0.28)], [0.1, 0.2, 0.08], "body2")
    for k in range(6):
        y = -0.38 + 0.13 * k
        bend = 0.12 * math.sin((y + 0.4) * 3)
        canvas.arc(-0.18 + bend, y - 0.1, 0.26, 0.16, 35, 110, 0.024, "dark")
    for x, y, r in ((-0.1, 0.6, 0.09), (-0.02, 0.8, 0.08), (0.14, 0.87, 0.07)):
        canvas.line([(x - r * 0.7, y + r * 0.3), (x + r * 0.7, y - r * 0.5)], 0.022, "dark")
    canvas.eye(0.08, -0.74, 0.075)


def pufferfish(canvas: Canvas) -> None:
    """Pufferfish blown up into a ball of spines."""
    spines, round_ = round(canvas.vary(15, 21)), canvas.vary(0.6, 0.68)
    for k in range(spines):
        with canvas.at(0, 0, 360 * k / spines + canvas.vary(-4, 4)):
            canvas.polygon(
                [(round_ - 0.06, -0.08), (round_ + canvas.vary(0.16, 0.24), 0), (round_ - 0.06, 0.08)], "body2"
            )
    canvas.blob([(-0.6, 0), (-0.86, -0.26), (-1.02, -0.2), (-0.94, 0), (-1.02, 0.2), (-0.86, 0.26)], "accent")
    canvas.ellipse(0, 0, round_, round_ * 0.95, "body")
    belly = [(round_ * math.cos(a), round_ * 0.95 * math.sin(a)) for a in (0.3, 0.75, 1.2, 1.57, 1.95, 2.4, 2.85)]
    canvas.patch([*belly, (-0.3, round_ * 0.42), (0, round_ * 0.5), (0.3, round_ * 0.42)], "light")
    for x, y in ((-0.3, -0.3), (-0.05, -0.42), (-0.12, -0.14), (-0.38, -0.02), (0.18, -0.46)):
        canvas.polygon([(x - 0.05, y + 0.03), (x - 0.02, y - 0.1), (x + 0.04, y + 0.02)], "body2")
    with canvas.at(-0.08, 0.12, canvas.vary(-25, 25)):
        canvas.blob([(0.08, 0), (-0.1, -0.16), (-0.28, -0.12), (-0.24, 0.0), (-0.28, 0.12), (-0.1, 0.14)], "accent")
    canvas.ellipse(0.62, 0.1, 0.09, 0.1, "accent")
    canvas.ellipse(0.66, 0.1, 0.035, 0.045, "dark")
    canvas.eye(0.3, -0.14, canvas.vary(0.15, 0.18))


def goldfish(canvas: Canvas) -> None:
    """Goldfish with a veil of a tail and scales."""
    veil, plump = canvas.vary(0.9, 1.15), canvas.vary(0.36, 0.44)
    with canvas.at(-0.32, 0, canvas.vary(-8, 8), veil):
        canvas.blob(
            [
                (0.06, 0),
                (-0.24, -0.22),
                (-0.62, -0.48),
                (-0.56, -0.14),
                (-0.4, 0),
                (-0.56, 0.16),
                (-0.6, 0.5),
                (-0.22, 0.22),
            ],
            "body2",
        )
        for dy in (-0.3, -0.12, 0.14, 0.32):
            canvas.line([(-0.16, dy * 0.3), (-0.44, dy)], 0.02, "dark")
    canvas.blob([(-0.28, -0.26), (-0.14, -0.62), (0.16, -0.66), (0.34, -0.3)], "body2")
    canvas.blob([(-0.16, 0.28), (-0.26, 0.56), (-0.02, 0.5), (0.1, 0.3)], "body2")
    canvas.blob(
        [
            (-0.44, -0.06),
            (-0.1, -plump),
            (0.36, -plump),
            (0.78, -0.12),
            (0.82, 0.06),
            (0.4, plump * 0.95),
            (-0.1, plump * 0.92),
            (-0.44, 0.08),
        ],
        "body",
    )
    for row, y in enumerate((-0.2, -0.06, 0.08, 0.22)):
        for k in range(3):
            x = -0.22 + 0.17 * k + 0.08 * (row % 2)
            canvas.arc(x, y, 0.08, 0.09, -70, 70, 0.022, "dark")
    canvas.arc(0.3, -0.02, 0.14, 0.28, -75, 75, 0.03, "dark")
    with canvas.at(0.22, 0.16, canvas.vary(-20, 25)):
        canvas.blob([(0.06, -0.06), (-0.14, -0.02), (-0.26, 0.14), (-0.08, 0.18), (0.06, 0.08)], "body2")
    canvas.arc(0.84, 0.12, 0.14, 0.08, 100, 210, 0.028, "dark")
    canvas.eye(0.58, -0.1, 0.1)
    for x, y, r in ((0.96, -0.3, 0.06), (0.88, -0.52, 0.045)):
        canvas.ellipse(x, y + canvas.vary(-0.05, 0.05), r, r, "glass")


DRAWINGS: dict[str, Drawing] = {"shark": shark, "seahorse": seahorse, "pufferfish": pufferfish, "goldfish": goldfish}
