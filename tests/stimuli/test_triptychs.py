"""Source, adversary and difference side by side: the pixels are the files', the difference fills its range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_image_study import contents, small_study

from protocols.folder import StudyFolder, read_json
from protocols.manifest import Stimulus, in_set, read_manifest
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import read_provenance, sha256_of
from protocols.study import Study
from stimuli.contact_sheet import INK, fitted, font, set_sheet, side_by_side
from stimuli.differences import changes, difference, gain_of
from stimuli.image_files import read_rgb
from stimuli.triptychs import Panel, Triptych, picture, triptych, triptychs

Made = tuple[Study, StudyFolder]
CHANGING = ("AI", "FA", "FF", "AW", "CO")


def test_each_changed_set_has_a_page_and_a_triptych_of_every_image(several: Made):
    study, folder = several
    pages = triptychs(study, folder)
    assert sorted(page.stem for page in pages) == sorted(CHANGING)
    for page in pages:
        rows = in_set(read_manifest(folder), page.stem)
        listed = read_json(page.with_suffix(".json"))["Triptychs"]
        assert list(listed) == [row.stim_id for row in rows]
        for entry in listed.values():
            assert sha256_of(page.parent / entry["file"]) == entry["sha256"]
        images = {row.stim_id: read_rgb(row.path(folder)) for row in read_manifest(folder)}
        assert read_provenance(page)["parameters"]["difference_times"] == gain_of(changes(rows, images))
    before = contents(folder.derived("triptychs"))
    triptychs(study, folder)
    assert contents(folder.derived("triptychs")) == before


def shows(sheet: np.ndarray, image: np.ndarray, factor: int) -> bool:
    """Whether a sheet has an image in it, enlarged pixel by pixel."""
    large = np.kron(image, np.ones((factor, factor, 1), np.uint8))
    height, width = large.shape[:2]
    starts = [(sheet[:, place : sheet.shape[1] - 8 + place] == large[0, place]).all(axis=2) for place in range(8)]
    tops, lefts = np.nonzero(np.logical_and.reduce(starts))
    return any(np.array_equal(sheet[y : y + height, x : x + width], large) for y, x in zip(tops, lefts, strict=True))


def test_a_triptych_shows_source_adversary_difference_and_guide_pixel_by_pixel(several_kinds: Made):
    study, folder = several_kinds
    rows = {row.stim_id: row for row in read_manifest(folder)}
    images = {name: read_rgb(row.path(folder)) for name, row in rows.items()}
    row = next(row for row in rows.values() if row.set == "FA")
    gain = gain_of(changes([other for other in rows.values() if other.set == "FA"], images))
    assert gain == 12.7  # where the ball is small its surface is reached by many values, and nothing is cut off
    sheet = picture(triptych(row, study.stimuli.sets["FA"], rows, images, gain))
    assert row.source_id is not None
    assert row.guide_id is not None
    for image in (
        images[row.source_id],
        images[row.stim_id],
        images[row.guide_id],
        difference(images[row.stim_id], images[row.source_id], gain),
    ):
        assert shows(sheet, image, 3)


def test_on_the_sheet_of_sources_each_set_has_a_factor_of_its_own(several_kinds: Made):
    _, folder = several_kinds
    rows = read_manifest(folder)
    images = {row.stim_id: read_rgb(row.path(folder)) for row in rows}
    # one set whose change is large must not make the other grey
    far = {row.stim_id: np.clip(images[row.stim_id].astype(int) + 80, 0, 255) for row in in_set(rows, "FA")}
    images |= {stim_id: image.astype(np.uint8) for stim_id, image in far.items()}
    gains = {name: gain_of(changes(in_set(rows, name), images)) for name in ("AI", "FA")}
    assert gains["AI"] > 10 > 2 > gains["FA"]
    sheet = side_by_side("RE", ["AI", "FA"], ["AI", "FA"], rows, images)
    for name, gain in gains.items():
        for row in in_set(rows, name):
            assert shows(sheet, difference(images[row.stim_id], images[str(row.source_id)], gain), 1)


def test_inversions_stand_beside_their_sources(several_kinds: Made):
    _, folder = several_kinds
    rows = read_manifest(folder)
    images = {row.stim_id: read_rgb(row.path(folder)) for row in rows}
    alone, beside = (set_sheet("FA", "any", in_set(rows, "FA"), images, shown) for shown in (False, True))
    for row in in_set(rows, "RE"):
        assert shows(beside, images[row.stim_id], 1)
        assert not shows(alone, images[row.stim_id], 1)


def words(row: Stimulus, study: Study, folder: StudyFolder) -> Triptych:
    rows = {other.stim_id: other for other in read_manifest(folder)}
    images = {name: read_rgb(other.path(folder)) for name, other in rows.items()}
    return triptych(row, study.stimuli.sets[row.set], rows, images, 12.7)


def test_labels_say_what_the_manifest_says(several_kinds: Made):
    study, folder = several_kinds
    row = next(row for row in read_manifest(folder) if row.set == "FA")
    shown = words(row, study, folder)
    assert shown.title == row.stim_id
    assert "layer fc7" in shown.note
    assert [panel.head for panel in shown.panels] == ["Source", "Adversary", "Difference, 12.7 times", "Guide"]
    said = [text for panel in shown.panels for text, _ in panel.lines]
    assert row.source_id in said
    assert row.guide_id in said
    assert f"L-inf {row.linf}, L2 {row.l2:.0f} grey levels" in said
    assert f"distance ratio to guide {row.representation_ratio:.2f}" in said
    control = next(row for row in read_manifest(folder) if row.set == "CO")
    heads = [panel.head for panel in words(control, study, folder).panels]
    assert (heads[1], heads[3]) == ("Control", "Control of")
    attack = next(row for row in read_manifest(folder) if row.set == "AW")
    assert len(words(attack, study, folder).panels) == 3


def counts(**values: int) -> np.ndarray:
    """So many values of each change, `n8` for 8 grey levels."""
    found = np.zeros(256, np.int64)
    for name, number in values.items():
        found[int(name[1:])] = number
    return found


@given(st.integers(1, 127))
def test_the_changes_of_a_set_fill_the_range_and_are_not_cut_off(largest: int):
    gain = gain_of(counts(n0=500, **{f"n{largest}": 500}))
    source = np.full((1, 1, 3), 0, np.uint8)
    image = np.full((1, 1, 3), largest, np.uint8)
    up, down = int(difference(image, source, gain)[0, 0, 0]), int(difference(source, image, gain)[0, 0, 0])
    assert up - 128 == 128 - down <= 127
    assert up - 128 > 127 - 0.1 * largest - 1
    assert (difference(source, source, gain) == 128).all()


def test_a_few_values_that_change_much_more_do_not_make_the_others_grey():
    assert gain_of(counts(n2=996, n83=4)) == gain_of(counts(n2=1000)) == 63.5
    assert gain_of(counts(n2=900, n83=100)) == 1.5
    assert gain_of(counts(n0=1000)) == gain_of(counts()) == 127.0


@pytest.mark.parametrize("side", [32, 128, 224, 299, 640, 1024])
def test_every_size_is_laid_out_with_room_around_it(side: int):
    image = np.zeros((side, side, 3), np.uint8)
    lines = (("a label much longer than any image is wide, as ImageNet has them, " * 3 + "99.9 %", INK),) * 3
    shown = Triptych("FA-otter", "a note " * 60, ("meets its criterion", INK), (Panel("Source", image, lines),) * 3)
    sheet = picture(shown)
    assert (sheet[:30] == 255).all()
    assert (sheet[-30:] == 255).all()
    assert (sheet[:, :50] == 255).all()
    assert (sheet[:, -50:] == 255).all()
    assert Image.fromarray(sheet).width <= 2200


def test_a_long_label_is_cut_and_its_percentage_stays():
    text = fitted("great white shark, white shark, man-eater, man-eating shark 99.3 %", 160)
    assert text.endswith("... 99.3 %")
    assert font(13).getlength(text) <= 160


@pytest.mark.parametrize("number", [", ratio 0.43", ", target 99.3 %", " 99.3 %"])
def test_whatever_number_stands_at_the_end_of_a_label_stays(number: str):
    text = fitted("great white shark sailing boat" + number, 128)
    assert text.endswith("..." + number)
    assert font(13).getlength(text) <= 128


def test_where_no_set_changes_its_source_there_is_nothing_to_show(finished: StudyFolder, tmp_path: Path):
    whole = small_study(tmp_path)
    sets = {name: recipe for name, recipe in whole.stimuli.sets.items() if not recipe.changes_source}
    study = whole.model_copy(update={"stimuli": whole.stimuli.model_copy(update={"sets": sets})})
    with pytest.raises(FoolscanError, match="none of them are changed sources"):
        triptychs(study, finished)
    with pytest.raises(NotReady, match="foolscan stimuli make"):
        triptychs(study, StudyFolder(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()
