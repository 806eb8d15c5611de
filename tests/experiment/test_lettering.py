"""Text as pixels: any script, either direction, and nothing that a participant would see as empty boxes."""

from __future__ import annotations

import numpy as np
import pytest

from experiment import lettering
from experiment.drawings import Rating
from experiment.fonts import font_folders, font_for
from experiment.lettering import LEAST_PX, Page, lettered, rating_scale
from protocols.problems import FoolscanError

PAGE = Page(24, (600, 400))
HEBREW, ARABIC = "האם רואים חיה בתמונה?", "هل ترى حيوانًا في الصورة؟"


@pytest.fixture(params=["Pillow", "without FriBiDi"])
def layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "without FriBiDi":
        monkeypatch.setattr(lettering, "_shapes_text", lambda: False)
    elif not lettering._shapes_text():
        pytest.skip("Pillow has no FriBiDi here: the other way is tested")
    return str(request.param)


def ink(cover: np.ndarray) -> np.ndarray:
    """The columns in which there is any."""
    return np.flatnonzero(cover.max(axis=0) > 64)


@pytest.mark.parametrize("text", ["Is an animal to be seen?", "Видно ли животное?", "Βλέπετε ζώο;", HEBREW, ARABIC])
def test_a_line_in_any_script_is_as_high_as_its_letters_and_inside_the_page(layout: str, text: str):
    cover = lettered(text, PAGE)
    assert cover.shape[0] == round(24 * lettering.LINE_SPACING)
    assert cover.shape[1] <= 600
    assert cover.max() == 255
    assert cover[0].max() == cover[-1].max() == 0


def likeness(cover: np.ndarray, part: np.ndarray, *, at_end: bool) -> float:
    """How alike a part and one end of a line are, at the best place within two pixels: correlation."""
    width = part.shape[1]
    places = range(-2, 3)
    ends = [
        cover[:, cover.shape[1] - width + k :][:, :width] if at_end else cover[:, 2 + k :][:, :width] for k in places
    ]
    return max(np.corrcoef(end.ravel(), part[:, : end.shape[1]].ravel())[0, 1] for end in ends)


def test_hebrew_runs_from_right_to_left_and_numbers_inside_it_do_not(layout: str, monkeypatch: pytest.MonkeyPatch):
    font = font_for(HEBREW)
    monkeypatch.setattr(lettering, "font_for", lambda text: font)
    cover = lettered("אב 12", PAGE, right_to_left=True)
    assert likeness(cover, lettered("א", PAGE), at_end=True) > 0.9 > likeness(cover, lettered("ב", PAGE), at_end=True)
    assert (
        likeness(cover, lettered("12", PAGE), at_end=False) > 0.9 > likeness(cover, lettered("21", PAGE), at_end=False)
    )


def test_the_full_stop_of_a_right_to_left_sentence_stands_at_its_left_end(layout: str):
    right_to_left, left_to_right = lettered("REH.", PAGE, right_to_left=True), lettered("REH.", PAGE)
    assert ink(right_to_left[:16])[0] - ink(right_to_left)[0] > 3  # a full stop has no ink above the base line
    assert ink(left_to_right)[-1] - ink(left_to_right[:16])[-1] > 3


def test_arabic_letters_are_joined(layout: str):
    joined, apart = lettered("بيت", PAGE), lettered("ب ي ت", PAGE)
    assert np.diff(ink(joined)).max() == 1
    assert np.diff(ink(apart)).max() > 3


def test_long_text_is_broken_between_words_and_kept_whole(layout: str):
    text = "Keep your eyes on the red point and lie as still as you can until the next break. " * 3
    cover = lettered(text, PAGE)
    lines = cover.shape[0] / round(24 * lettering.LINE_SPACING)
    assert lines == int(lines) >= 3
    assert cover.shape[1] <= 602


def test_text_that_does_not_fit_is_made_smaller_and_then_refused(layout: str):
    page = Page(60, (300, 120))
    cover = lettered("Is an animal to be seen in the image?", page)
    assert cover.shape[0] <= 120
    with pytest.raises(FoolscanError, match=rf"do not fit on 300 × 120 px at {LEAST_PX} px; shorten it"):
        lettered("words " * 400, page)


def test_a_character_that_no_font_has_is_refused_by_name():
    with pytest.raises(FoolscanError, match=r"no font on this computer has .* \(U\+E0FF\); install one"):
        font_for("an unassigned \ue0ff character")


def test_every_system_has_folders_of_fonts():
    assert all(len(list(font_folders(system, {}))) >= 2 for system in ("linux", "win32", "darwin"))


def test_marks_that_are_not_seen_need_no_font():
    assert font_for("left‏\u200e\nright") == font_for("left right")


@pytest.mark.parametrize("chosen", [0, 1, 2])
def test_the_chosen_step_of_a_rating_is_the_filled_box(chosen: int):
    labels = ("guess", "rather", "sure")
    plain, filled = (rating_scale(Rating(labels, step), PAGE).astype(int) for step in (None, chosen))
    middle = ink(np.abs(filled - plain)).mean() / plain.shape[1]
    assert middle == pytest.approx((chosen + 0.5) / 3, abs=0.1)


def test_the_first_step_of_a_right_to_left_rating_stands_at_the_right():
    plain, filled = (rating_scale(Rating(("לא", "כן"), step, "?", True), PAGE).astype(int) for step in (None, 0))
    assert ink(np.abs(filled - plain)).min() > plain.shape[1] / 2


def test_the_lines_of_a_paragraph_are_about_as_long_as_each_other():
    text = "You will see images, each for a moment only. Some show a thing, some look like noise, and one"
    cover = lettered(text, PAGE)
    line_px = round(24 * lettering.LINE_SPACING)
    widths = [np.ptp(ink(cover[top : top + line_px])) for top in range(0, cover.shape[0], line_px)]
    assert len(widths) == 2
    assert min(widths) > 0.8 * max(widths)


def test_paragraphs_stand_apart_more_than_lines():
    line_px = round(24 * lettering.LINE_SPACING)
    assert lettered("one\ntwo", PAGE).shape[0] > 2 * line_px
    assert lettered("one\n\ntwo", PAGE).shape[0] == 3 * line_px


def test_the_labels_of_a_rating_have_one_size_and_whole_words():
    drawn: list[str] = []
    labels = ("completely unsure", "a little", "sure")
    cover = rating_scale(Rating(labels, None, "How sure?"), Page(30, (330, 300)))
    assert cover.shape[1] <= 330
    assert cover[:, 0].max() == cover[:, -1].max() == 0
    for label in labels:
        _, lines, _ = lettering._laid_out(label, Page(30, (105, 100)), False)
        drawn += [line for line, _ in lines]
    assert drawn == ["completely", "unsure", "a little", "sure"]


def test_east_asian_text_is_broken_without_spaces():
    try:
        font_for("動物が見えますか")
    except FoolscanError:
        pytest.skip("no font with Japanese on this computer")
    assert lettered("動物が見えますか" * 8, PAGE).shape[0] >= 2 * round(24 * lettering.LINE_SPACING)
