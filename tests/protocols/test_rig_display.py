"""The display in a rig file: what is taken, what is refused, and where the photodiode patch lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.checks import check
from protocols.problems import ProtocolError
from protocols.rig import Rig, load_rig
from protocols.rig_display import Display, Luminance, Patch
from protocols.study import load_study

CURVE = "[[0, 0.4], [64, 9.0], [128, 44.0], [192, 109.0], [255, 205.0]]"


def rig_with(folder: Path, display: str, size_px: str = "[1024, 768]") -> Rig:
    path = folder / "place.yaml"
    path.write_text(
        f"format: 1\nname: place\ndisplay:\n  width_mm: 400.0\n  distance_mm: 800.0\n  size_px: {size_px}\n"
        f"  refresh_hz: 60.0\n{display}\n"
        "trigger: {kind: emulated, delay_s: 1.5}\nbuttons: {kind: emulated, buttons: [left, right]}\n",
        encoding="utf-8",
    )
    return load_rig(path)


def refused(folder: Path, display: str) -> str:
    with pytest.raises(ProtocolError) as error:
        rig_with(folder, display)
    return str(error.value)


def problems(rig: Rig) -> list[str]:
    return [str(problem) for problem in check(load_study("zhang2018"), rig).problems if not problem.needed]


def test_a_rig_that_says_nothing_of_light_is_native_and_upright(tmp_path: Path):
    display = rig_with(tmp_path, "").display
    assert display.luminance == Luminance()
    assert (display.background(128), display.background_luminance_cd_m2(128)) == (128, None)
    assert (display.upright_px, display.patch_squares()) == ((1024, 768), ())


def test_a_measured_linearised_display_is_taken(tmp_path: Path):
    display = rig_with(
        tmp_path,
        f"  luminance: {{mode: linearised, measured: {CURVE}}}\n  background_cd_m2: 50.0\n  flip_horizontal: true\n"
        "  rotation_deg: 90",
    ).display
    assert display.upright_px == (768, 1024)
    assert display.background(128) == round(255 * (50.0 - 0.4) / (205.0 - 0.4))
    assert display.background_luminance_cd_m2(display.background(128)) == pytest.approx(50.0, abs=0.41)


@pytest.mark.parametrize(
    ("display", "message"),
    [
        ("  luminance: {mode: linearised}", "linearised needs the measured curve"),
        ("  luminance: {measured: [[0, 0.4], [128, 44.0], [255, 205.0]]}", "at least 5"),
        (
            "  luminance: {measured: [[8, 0.4], [64, 9.0], [128, 44.0], [192, 109.0], [255, 205.0]]}",
            "it must cover 0 to 255",
        ),
        (
            "  luminance: {measured: [[0, 0.4], [64, 9.0], [128, 44.0], [192, 109.0], [250, 205.0]]}",
            "it must cover 0 to 255",
        ),
        (
            "  luminance: {measured: [[0, 0.4], [64, 9.0], [128, 44.0], [192, 43.0], [255, 205.0]]}",
            "44 cd/m² at grey level 128, 43 at 192; the luminance must rise",
        ),
        (
            "  luminance: {measured: [[0, 0.4], [128, 9.0], [64, 44.0], [192, 109.0], [255, 205.0]]}",
            "grey level 64 after 128; the levels must rise",
        ),
        ("  background_cd_m2: 50.0", "background_cd_m2 needs luminance.measured"),
        (
            f"  luminance: {{measured: {CURVE}}}\n  background_cd_m2: 300.0",
            "background_cd_m2 is 300; this screen was measured from 0.4 to 205 cd/m²",
        ),
        ("  rotation_deg: 45", "rotation_deg"),
        ("  patch: {corner: top_left}", "exactly one of them"),
        ("  patch: {corner: top_left, size_px: 20, size_mm: 8.0}", "exactly one of them"),
        ("  patch: {corner: middle, size_px: 20}", "corner"),
    ],
)
def test_a_display_that_cannot_be_right_is_refused_at_its_line(tmp_path: Path, display: str, message: str):
    said = refused(tmp_path, display)
    assert message in said
    assert "place.yaml" in said


def test_a_screen_smaller_than_the_image_is_refused(tmp_path: Path):
    small = rig_with(tmp_path, "", size_px="[400, 300]")
    found = problems(small.model_copy(update={"display": small.display.model_copy(update={"width_mm": 150.0})}))
    assert any("image_deg: found 12 degrees = 448 px" in said and "at most 300 px" in said for said in found), found


def test_a_patch_over_the_image_is_refused_and_one_beside_it_is_not(tmp_path: Path):
    assert problems(rig_with(tmp_path, "  patch: {corner: bottom_right, size_px: 80, bits: 8}")) == []
    (over,) = problems(rig_with(tmp_path, "  patch: {corner: bottom_right, size_px: 300, bits: 1}"))
    assert "display.patch: found 2 squares of 300 px, over the image of task animals (12 degrees = 431 px)" in over
    assert "beside the image: at most 296 px wide" in over
    outside = problems(rig_with(tmp_path, "  patch: {corner: bottom_right, size_px: 80, bits: 12}"))
    assert any("smaller ones, or fewer bits" in said for said in outside)


def test_the_size_of_a_patch_may_be_given_in_mm(tmp_path: Path):
    assert rig_with(tmp_path, "  patch: {corner: top_right, size_mm: 10.0}").display.patch_px == 26  # 1024 px on 400 mm


@given(
    corner=st.sampled_from(["top_left", "top_right", "bottom_left", "bottom_right"]),
    size_px=st.integers(1, 20),
    bits=st.integers(0, 10),
    high=st.booleans(),
)
def test_the_squares_touch_their_corner_and_never_each_other(corner: str, size_px: int, bits: int, high: bool):
    size = (768, 1024) if high else (1024, 768)
    patch = Patch.model_validate({"corner": corner, "size_px": size_px, "bits": bits})
    display = Display(width_mm=400.0, distance_mm=800.0, size_px=size, refresh_hz=60.0, patch=patch)
    squares = display.patch_squares()
    covered = {(x, y) for left, top, right, bottom in squares for x in range(left, right) for y in range(top, bottom)}
    assert len(covered) == (1 + bits) * size_px**2
    at = (0 if "left" in corner else size[0] - 1, 0 if "top" in corner else size[1] - 1)
    left, top, right, bottom = squares[0]
    assert left <= at[0] < right
    assert top <= at[1] < bottom
    assert all(0 <= x < size[0] and 0 <= y < size[1] for x, y in covered)


def test_the_check_says_what_is_rounded(tmp_path: Path):
    rig = rig_with(tmp_path, f"  luminance: {{mode: linearised, measured: {CURVE}}}")
    notes = check(load_study("demo"), rig).notes
    assert any("the background is level 55 of this display = 44.53 cd/m²" in note for note in notes), notes
    assert any("256 grey levels of an image become 183" in note for note in notes)
