"""Curved edges and turns for the drawings of the picture book."""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]


def bow(start: Point, control: Point, end: Point, steps: int = 12) -> list[Point]:
    """Points along the quadratic Bézier curve from start to end, pulled towards control.

    Parameters
    ----------
    start, control, end : (x, y) in the object frame
    steps : number of intervals, >= 1

    Returns
    -------
    list of steps + 1 points, both ends included
    """
    points = []
    for index in range(steps + 1):
        t = index / steps
        a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t**2
        points.append((a * start[0] + b * control[0] + c * end[0], a * start[1] + b * control[1] + c * end[1]))
    return points


def turned(points: Sequence[Point], angle_deg: float, about: Point = (0.0, 0.0)) -> list[Point]:
    """Points turned clockwise on the page (y down) by angle_deg about a point.

    Parameters
    ----------
    points : (x, y) in the object frame
    angle_deg : degrees, clockwise as seen
    about : centre of the turn

    Returns
    -------
    list of as many points
    """
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    offsets = [(x - about[0], y - about[1]) for x, y in points]
    return [(about[0] + dx * cosine - dy * sine, about[1] + dx * sine + dy * cosine) for dx, dy in offsets]
