"""Birds: owl, swan, flamingo, penguin."""

from __future__ import annotations

from stimuli.picturebook.canvas import Canvas, Drawing


def owl(canvas: Canvas) -> None:
    """Owl on a branch, facing us with great round eyes."""
    wide, wing = canvas.vary(0.5, 0.6), canvas.vary(0, 14)
    canvas.limb([(-0.85, 0.84), (0, 0.8), (0.85, 0.86)], [0.1, 0.13, 0.09], "accent")
    for side in (-1, 1):
        canvas.polygon([(side * 0.14, -0.7), (side * 0.5, -0.55), (side * 0.5, -1.0)], "body")
    canvas.blob(
        [
            (0, -0.82),
            (wide * 0.85, -0.6),
            (wide, 0.1),
            (wide * 0.7, 0.68),
            (0, 0.82),
            (-wide * 0.7, 0.68),
            (-wide, 0.1),
            (-wide * 0.85, -0.6),
        ],
        "body",
    )
    canvas.ellipse(0, 0.3, wide * 0.66, 0.44, "light")
    for row in range(3):
        for k in range(-2 + row % 2, 3, 2) if row else (-1, 1):
            canvas.arc(k * 0.12, 0.1 + 0.18 * row, 0.1, 0.09, 20, 160, 0.03, "dark")
    for side in (-1, 1):
        with canvas.at(side * wide * 0.9, -0.1, side * -wing):
            canvas.blob([(side * -0.06, -0.12), (side * 0.14, 0.2), (side * 0.02, 0.62), (side * -0.2, 0.4)], "body2")
        canvas.ellipse(side * 0.23, -0.42, 0.25, 0.25, "body2")
        canvas.ellipse(side * 0.23, -0.42, 0.18, 0.18, "light")
        canvas.ellipse(side * 0.21, -0.42, 0.1, 0.1, "dark")
        canvas.ellipse(side * 0.21 + 0.04, -0.46, 0.03, 0.03, "light")
        for toe in (-0.08, 0, 0.08):
            canvas.ellipse(side * 0.2 + toe, 0.79, 0.045, 0.08, "accent")
    canvas.polygon([(-0.08, -0.34), (0.08, -0.34), (0, -0.12)], "accent")


def swan(canvas: Canvas) -> None:
    """Swan on the water, its neck in an S."""
    reach, tail = canvas.vary(-0.06, 0.12), canvas.vary(-0.1, 0.1)
    neck = [(0.42, 0.4), (0.66, 0.12), (0.44, -0.26), (0.4, -0.62), (0.62 + reach, -0.8), (0.78 + reach, -0.7)]
    canvas.limb(neck, [0.36, 0.25, 0.18, 0.16, 0.19, 0.18], "body")
    beak_x, beak_y = 0.84 + reach, -0.68
    canvas.polygon(
        [(beak_x - 0.02, beak_y - 0.09), (beak_x + 0.24, beak_y + 0.12), (beak_x - 0.06, beak_y + 0.1)], "accent"
    )
    canvas.ellipse(beak_x - 0.01, beak_y - 0.03, 0.055, 0.07, "dark")
    canvas.blob(
        [
            (-0.98, -0.02 + tail),
            (-0.5, 0.08),
            (0.1, 0.06),
            (0.56, 0.26),
            (0.6, 0.5),
            (0.2, 0.72),
            (-0.4, 0.7),
            (-0.78, 0.4),
        ],
        "body",
    )
    with canvas.at(0, 0, canvas.vary(-4, 8)):
        canvas.blob(
            [(-0.92, -0.24), (-0.4, -0.12), (0.1, 0.02), (0.34, 0.3), (0.12, 0.52), (-0.36, 0.46), (-0.62, 0.2)],
            "body2",
        )
        canvas.arc(-0.3, 0.02, 0.4, 0.26, 10, 100, 0.03, "dark")
        canvas.arc(-0.4, -0.12, 0.36, 0.24, 20, 100, 0.03, "dark")
    canvas.eye(0.7 + reach, -0.78, 0.05)
    water = [
        (-0.95, 0.72),
        (-0.6, 0.62),
        (-0.2, 0.68),
        (0.2, 0.61),
        (0.55, 0.68),
        (0.92, 0.7),
        (0.4, 0.84),
        (-0.5, 0.85),
    ]
    canvas.blob(water, "glass")
    canvas.arc(-0.3, 0.66, 0.2, 0.08, 30, 150, 0.025, "light")
    canvas.arc(0.3, 0.66, 0.2, 0.08, 30, 150, 0.025, "light")


def flamingo(canvas: Canvas) -> None:
    """Flamingo on one leg, with an S of a neck and a bent beak."""
    sway, knee = canvas.vary(-0.06, 0.08), canvas.vary(0.3, 0.46)
    canvas.limb([(-0.02, 0.1), (0.22, knee), (-0.16, knee + 0.12)], [0.07, 0.06, 0.05], "accent")
    canvas.limb([(-0.12, 0.1), (-0.1, 0.55), (-0.12, 0.94)], [0.08, 0.07, 0.06], "accent")
    canvas.limb([(-0.16, 0.96), (0.08, 0.97)], [0.06, 0.05], "accent")
    neck = [(0.18, -0.02), (0.46, -0.14), (0.4, -0.42), (0.2 + sway, -0.62), (0.3 + sway, -0.88), (0.52 + sway, -0.84)]
    canvas.limb(neck, [0.26, 0.15, 0.11, 0.1, 0.13, 0.18], "body")
    canvas.blob(
        [(-0.72, 0.1), (-0.44, -0.16), (-0.02, -0.3), (0.3, -0.16), (0.28, 0.1), (0, 0.24), (-0.36, 0.2)], "body"
    )
    canvas.blob([(-0.84, 0.16), (-0.4, -0.08), (0, -0.16), (0.12, -0.02), (-0.1, 0.12), (-0.5, 0.14)], "body2")
    beak = [(0.57 + sway, -0.92), (0.76 + sway, -0.84), (0.78 + sway, -0.6), (0.7 + sway, -0.56), (0.62 + sway, -0.72)]
    canvas.blob(beak, "light")
    canvas.blob([(0.79 + sway, -0.74), (0.79 + sway, -0.58), (0.7 + sway, -0.52), (0.67 + sway, -0.66)], "dark")
    canvas.eye(0.5 + sway, -0.88, 0.045)


def penguin(canvas: Canvas) -> None:
    """Penguin standing, belly to us, its beak to the side."""
    wide, flap = canvas.vary(0.44, 0.54), canvas.vary(8, 34)
    for side in (-1, 1):
        canvas.ellipse(side * 0.22, 0.9, 0.2, 0.09, "accent")
    canvas.limb([(-wide * 0.6, 0.7), (-wide - 0.1, 0.86)], [0.3, 0.05], "body")
    with canvas.joined("body"):
        canvas.blob(
            [
                (0, -0.94),
                (0.3, -0.8),
                (0.34, -0.5),
                (wide, 0.1),
                (wide * 0.9, 0.68),
                (0, 0.88),
                (-wide * 0.9, 0.68),
                (-wide, 0.1),
                (-0.34, -0.5),
                (-0.3, -0.8),
            ],
            "body",
        )
    canvas.blob(
        [(0.06, -0.42), (wide * 0.72, 0.05), (wide * 0.7, 0.6), (0.04, 0.8), (-wide * 0.6, 0.6), (-wide * 0.6, 0.05)],
        "light",
    )
    canvas.ellipse(0.13, -0.66, 0.2, 0.19, "light")
    for side in (-1, 1):
        with canvas.at(side * wide * 0.8, -0.22, side * -flap):
            canvas.blob(
                [(side * -0.1, -0.06), (side * 0.1, 0.02), (side * 0.12, 0.4), (side * 0.0, 0.66), (side * -0.1, 0.36)],
                "body",
            )
    canvas.blob([(0.24, -0.7), (0.38, -0.66), (0.5, -0.56), (0.36, -0.56), (0.24, -0.56)], "accent")
    canvas.eye(0.14, -0.72, 0.07)


DRAWINGS: dict[str, Drawing] = {"owl": owl, "swan": swan, "flamingo": flamingo, "penguin": penguin}
