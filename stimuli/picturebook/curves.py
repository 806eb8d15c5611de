"""Curved edges for the drawings of the picture book."""

from __future__ import annotations

from stimuli.picturebook.canvas import Point


def bow(start: Point, control: Point, end: Point, steps: int = 12) -> list[Point]:
    """Return the points of the quadratic Bézier curve from start to end that is pulled towards control.

    Parameters
    ----------
    start, control, end : (x, y) in the object's frame
    steps : number of intervals, at least 1

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
