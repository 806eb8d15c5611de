"""The canvas: shapes have the areas and places geometry gives them, poses fit, paints follow the style."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from stimuli.picturebook.canvas import ROLES, Canvas, Paint, Pose, Style, closed_curve, grown, stroke
from stimuli.picturebook.palettes import apart_from, luminance, with_luminance

PLAIN = Style(paints={role: Paint((0.8, 0.3, 0.2)) for role in ROLES}, outline=0.0, shading=0.0)
UNIT = st.floats(0, 1)


def canvas_of(size_px: int = 120, seed: int = 0) -> Canvas:
    return Canvas(size_px, np.random.default_rng(seed), PLAIN)


def area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def test_a_disc_covers_a_quarter_of_pi_of_its_frame() -> None:
    canvas = canvas_of()
    canvas.ellipse(0, 0, 1, 1, "body")
    _, coverage = canvas.paint(Pose(scale=1.0))
    assert np.asarray(coverage).mean() / 255 == pytest.approx(math.pi / 4, abs=0.03)


def test_a_smooth_curve_passes_through_its_points() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.2], [0.8, 1.0], [-0.3, 0.7]])
    np.testing.assert_allclose(closed_curve(points, 8)[::8], points, atol=1e-12)


def test_a_stroke_has_the_area_of_its_length_by_its_width_and_two_round_ends() -> None:
    straight = np.stack([np.linspace(0, 2, 9), np.zeros(9)], axis=1)
    assert area(stroke(straight, np.full(9, 0.4))) == pytest.approx(2 * 0.4 + math.pi * 0.04, rel=0.05)


@pytest.mark.parametrize("order", [1, -1])
def test_a_square_grows_on_all_sides_whichever_way_it_is_listed(order: int) -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])[::order]
    assert area(grown(square, 0.1)) == pytest.approx(1.2**2, rel=0.02)


@examples(max_examples=25)
@given(st.floats(0.4, 0.95), st.floats(-180, 180), st.floats(-0.3, 0.3), st.booleans(), UNIT, UNIT)
def test_no_pose_cuts_anything_off(scale: float, angle: float, shear: float, flip: bool, x: float, y: float) -> None:
    canvas = canvas_of(60)
    canvas.polygon([(-3, -1), (5, 0), (0, 2)], "body")
    _, coverage = canvas.paint(Pose(scale, angle, shear, flip, (x, y)))
    rows, columns = np.nonzero(np.asarray(coverage))
    longer = max(np.ptp(rows), np.ptp(columns)) + 1
    assert longer == pytest.approx(scale * 60, abs=2.5)


def test_a_flip_mirrors_the_drawing() -> None:
    canvas = canvas_of()
    canvas.polygon([(-1, -1), (1, 0), (-1, 1)], "body")
    (_, right), (_, left) = canvas.paint(Pose(0.8)), canvas.paint(Pose(0.8, flip=True))
    assert np.abs(np.asarray(right).astype(int) - np.asarray(left)[:, ::-1]).mean() < 3


def test_joined_shapes_are_one_part_and_later_parts_lie_on_top() -> None:
    canvas = canvas_of()
    with canvas.joined("body"):
        canvas.ellipse(-0.5, 0, 0.6, 0.5, "body")
        canvas.ellipse(0.5, 0, 0.6, 0.5, "body")
    assert len(canvas.parts) == 1
    assert len(canvas.parts[0].polygons) == 2


def test_a_moved_frame_ends_with_its_block() -> None:
    canvas = canvas_of()
    with canvas.at(2, 1, angle_deg=90, scale=2):
        canvas.polygon([(1, 0), (0, 0), (0, 1)], "body")
    canvas.polygon([(1, 0), (0, 0), (0, 1)], "body")
    np.testing.assert_allclose(canvas.parts[0].polygons[0], [[2, 3], [2, 1], [0, 1]], atol=1e-12)
    np.testing.assert_allclose(canvas.parts[1].polygons[0], [[1, 0], [0, 0], [0, 1]])


def test_an_unknown_paint_is_refused_with_the_roles_there_are() -> None:
    with pytest.raises(ValueError, match=r"'red'.*body2"):
        canvas_of().ellipse(0, 0, 1, 1, "red")


def test_variation_comes_from_the_generator_alone() -> None:
    assert canvas_of(seed=4).vary(2, 3) == canvas_of(seed=4).vary(2, 3) != canvas_of(seed=5).vary(2, 3)


@given(UNIT, UNIT, UNIT, UNIT)
def test_paints_keep_their_distance_from_the_ground(red: float, green: float, blue: float, ground: float) -> None:
    moved = luminance(apart_from((red, green, blue), ground, 0.26))
    assert abs(moved - ground) >= 0.26 - 1e-6
    assert 0.3 - 1e-6 <= moved <= 0.95


@given(st.floats(0.05, 1), st.floats(0.05, 1), st.floats(0.05, 1), UNIT)
def test_a_wanted_luminance_is_reached(red: float, green: float, blue: float, wanted: float) -> None:
    assert luminance(with_luminance((red, green, blue), wanted)) == pytest.approx(wanted, abs=1e-6)
