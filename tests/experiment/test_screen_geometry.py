"""Where things lie on the screen: mirrors, turns, patch codes, bars and masks, as arithmetic on pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.drawings import Bar
from experiment.screen_geometry import (
    PatchCode,
    as_seen,
    as_sent,
    bar_outline,
    middle_of,
    noise_mask,
    points_as_sent,
    read_patch,
)
from protocols.rig_display import Display, Patch

TURNS = [(h, v, deg) for h in (False, True) for v in (False, True) for deg in (0, 90, 180, 270)]


def display(h: bool = False, v: bool = False, deg: int = 0, *, patch: Patch | None = None) -> Display:
    return Display.model_validate(
        {
            "width_mm": 400.0,
            "distance_mm": 800.0,
            "size_px": (1024, 768),
            "refresh_hz": 60.0,
            "flip_horizontal": h,
            "flip_vertical": v,
            "rotation_deg": deg,
            "patch": patch,
        }
    )


def test_a_left_right_flip_is_a_mirror_and_a_turn_is_counter_clockwise():
    letter = np.array([[1, 2], [3, 4]])
    assert as_sent(letter, display(h=True)).tolist() == [[2, 1], [4, 3]]
    assert as_sent(letter, display(v=True)).tolist() == [[3, 4], [1, 2]]
    assert as_sent(letter, display(deg=90)).tolist() == [[2, 4], [1, 3]]
    assert as_sent(letter, display(h=True, deg=90)).tolist() == [[1, 3], [2, 4]]  # first flipped, then turned


@pytest.mark.parametrize(("h", "v", "deg"), TURNS)
@pytest.mark.parametrize(("side", "column", "row"), [(3, 0, 1), (4, 3, 1), (9, 2, 7)])
def test_points_go_where_pixels_go(h: bool, v: bool, deg: int, side: int, column: int, row: int):
    picture = np.zeros((side, side))
    picture[row, column] = 1
    to_row, to_column = (int(n[0]) for n in np.nonzero(as_sent(picture, display(h, v, deg))))
    half = (side - 1) / 2
    x, y = points_as_sent(np.array([[column - half, half - row]]), display(h, v, deg))[0]
    assert (x, y) == (to_column - half, half - to_row)


@pytest.mark.parametrize(("h", "v", "deg"), TURNS)
def test_through_the_mirrors_the_participant_sees_it_upright(h: bool, v: bool, deg: int):
    picture = np.arange(24).reshape(4, 6)
    assert as_seen(as_sent(picture, display(h, v, deg)), display(h, v, deg)).tolist() == picture.tolist()


@pytest.mark.parametrize(("h", "v", "deg"), TURNS)
def test_an_odd_picture_falls_on_whole_pixels_however_it_is_turned(h: bool, v: bool, deg: int):
    for size in ((431, 431), (430, 431), (64, 65), (430, 430)):
        x, y = middle_of(size, display(h, v, deg))
        width, height = (size[1], size[0]) if deg in (90, 270) else size
        assert (512 + x - width / 2) % 1 == 0
        assert (384 + y - height / 2) % 1 == 0


def test_the_sync_square_changes_with_every_new_row_and_only_then():
    code = PatchCode(3)
    shown = [code.squares(number) for number in (0, 0, 1, 1, 2, 0, 7, 8, 9)]
    assert [squares[0] for squares in shown] == [False, False, True, True, False, True, False, True, False]
    assert [sum(bit << n for n, bit in enumerate(squares[1:])) for squares in shown] == [0, 0, 1, 1, 2, 0, 7, 0, 1]


@given(codes=st.lists(st.integers(0, 600), min_size=1, max_size=6), bits=st.integers(0, 9))
def test_what_the_patch_shows_can_be_read_back(codes: list[int], bits: int):
    place = display(patch=Patch(corner="bottom_left", size_px=12, bits=bits))
    code, before, sync = PatchCode(bits), 0, False
    picture = np.full((768, 1024, 3), 128, dtype=np.uint8)
    for number in codes:
        for (left, top, right, bottom), white in zip(place.patch_squares(), code.squares(number), strict=True):
            picture[top:bottom, left:right] = 255 * white
        sync, before = sync != (number != before), number
        assert read_patch(picture, place) == (sync, number % 2**bits)


def test_a_bar_has_its_edges_at_their_own_visual_angles():
    outline = bar_outline(Bar(0.0, 3.0, 2.0, 12.0), display())
    px_per_mm = 1024 / 400
    assert outline[:, 0].min() == pytest.approx(800 * math.tan(math.radians(2.0)) * px_per_mm)
    assert outline[:, 0].max() == pytest.approx(800 * math.tan(math.radians(4.0)) * px_per_mm)
    radius = 800 * math.tan(math.radians(6.0)) * px_per_mm
    assert np.hypot(*outline.T).max() <= radius + 1e-6
    assert outline[:, 1].max() == pytest.approx(-outline[:, 1].min())


@given(angle=st.floats(0, 360), position=st.floats(-9, 9), width=st.floats(0.2, 4))
def test_a_bar_turned_by_180_degrees_and_sent_the_other_way_is_the_same_bar(
    angle: float, position: float, width: float
):
    one = bar_outline(Bar(angle, position, width, 12.0), display())
    other = bar_outline(Bar(angle + 180.0, -position, width, 12.0), display())
    assert area(one) == pytest.approx(area(other), rel=1e-6, abs=1e-3)
    if abs(position) - width / 2 > 6.0:
        assert area(one) == pytest.approx(0.0, abs=1e-6)


def area(outline: np.ndarray) -> float:
    if len(outline) < 3:
        return 0.0
    x, y = outline.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def test_the_bars_of_a_sweep_cover_the_aperture_exactly_once():
    bars = [Bar(40.0, position, 1.5, 12.0) for position in np.arange(-5.25, 6.0, 1.5)]
    whole = bar_outline(Bar(0.0, 0.0, 40.0, 12.0), display())
    assert sum(area(bar_outline(bar, display())) for bar in bars) == pytest.approx(area(whole), rel=1e-9)


@pytest.mark.parametrize("side", [1, 2, 7, 107, 430, 431])
def test_a_mask_has_the_size_of_its_image_and_the_same_strength_for_every_key(side: int):
    masks = [noise_mask(side, np.random.default_rng(seed)) for seed in (1, 2)]
    assert all(mask.shape == (side, side, 3) and mask.dtype == np.uint8 for mask in masks)
    assert (masks[0] != masks[1]).any()
    assert (masks[0] == noise_mask(side, np.random.default_rng(1))).all()
    if side > 100:
        for mask in masks:
            assert mask.mean() == pytest.approx(128, abs=12)
            assert mask.std() == pytest.approx(58, abs=8)


def test_the_amplitude_of_a_mask_falls_with_spatial_frequency_as_in_natural_images():
    levels = np.mean([noise_mask(256, np.random.default_rng(seed)).mean(axis=2) for seed in range(1)], axis=0)
    amplitude = np.abs(np.fft.rfft2(levels - levels.mean()))
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)) * 256
    bands = [(4, 8), (8, 16), (16, 32), (32, 64), (64, 128)]
    mean = [amplitude[(frequency >= low) & (frequency < high)].mean() for low, high in bands]
    slope = np.polyfit(np.log2([low for low, _ in bands]), np.log2(mean), 1)[0]
    assert -1.4 < slope < -0.6
