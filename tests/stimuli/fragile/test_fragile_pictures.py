"""Pictures of what a mapping found: every pixel of a map is its window, and what was only sampled is not drawn as if it were whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from fragile_maps import study_of_windows
from small_image_study import contents

from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import read_provenance, sha256_of
from protocols.study import Study
from protocols.tables import read_table
from stimuli import networks
from stimuli.fragile import tiles
from stimuli.fragile.definitions import FRAGILE_TYPES, fragile_maps
from stimuli.fragile.found import found_in, pictures_of
from stimuli.fragile.pages import Plate, Row, page
from stimuli.fragile.picture_pages import maps_page, moved, percent
from stimuli.fragile.pictures import Drawn, pictures
from stimuli.fragile.plates import (
    TO_RIGHT,
    TO_WRONG,
    correctness_plate,
    difference_plate,
    enlarged,
    factor,
    fragile_plate,
    scale_plate,
    with_window,
)
from stimuli.fragile.rates_chart import _highest, _ticks, chart, series_of
from stimuli.fragile.run import fragile
from stimuli.image_files import read_rgb

ELEPHANT, CHAIR = "elephant-0000", "chair-0000"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of_windows(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def mapped(study: Study, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """Its folder, mapped in full once; read only."""
    folder = StudyFolder(tmp_path_factory.mktemp("mapped"))
    fragile(study, folder.root, "cpu", full=True)
    return folder


@pytest.fixture
def folder(mapped: StudyFolder, tmp_path: Path) -> StudyFolder:
    return StudyFolder(Path(shutil.copytree(mapped.root, tmp_path / "copy")))


def names(drawn: Drawn) -> list[str]:
    return [path.name for path in drawn.written]


def count(image: np.ndarray, colour: str) -> int:
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return int((image == wanted).all(axis=-1).sum())


def test_a_picture_that_is_mapped_has_all_its_pages(
    study: Study, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (networks, tiles):
        monkeypatch.setattr(module, "load_network", lambda *_: pytest.fail("a network was loaded"))
    drawn = pictures(study, folder, ELEPHANT)
    assert names(drawn) == [
        f"{ELEPHANT}_picturenet_maps.png",
        f"{ELEPHANT}_picturenet_pairs.png",
        f"{ELEPHANT}_confidence.png",
        "rates.png",
    ]
    assert drawn.said == ()
    for path in drawn.written:
        assert read_provenance(path)["sha256"] == sha256_of(path)
        assert read_rgb(path).shape[0] > 200


def test_mapping_puts_the_maps_into_the_store(study: Study, folder: StudyFolder) -> None:
    group = found_in(study, folder)["picturenet"].store.group
    kept = group[f"{ELEPHANT}/fragile/side-0043"]
    correct, shrunk = (np.asarray(group[f"{ELEPHANT}/side-{side}"])[..., 0] < 1 for side in ("0043", "0041"))
    expected = fragile_maps(correct, shrunk)
    assert isinstance(kept, zarr.Array)
    assert kept.dtype == np.int8
    assert kept.attrs["types"] == list(FRAGILE_TYPES)
    for place, kind in enumerate(FRAGILE_TYPES):
        np.testing.assert_array_equal(np.asarray(kept)[place], expected[kind])
    (rate,) = (
        float(row["rate"])
        for row in read_table(folder.derived("fragile") / "rates.tsv")
        if (row["picture_id"], row["type"]) == (ELEPHANT, "loose_shrink")
    )
    assert (np.asarray(kept)[2] != 0).mean() == pytest.approx(rate)


def test_drawn_again_pages_have_the_same_bytes(study: Study, folder: StudyFolder) -> None:
    pictures(study, folder, ELEPHANT)
    once = contents(folder.root)
    pictures(study, folder, ELEPHANT)
    assert contents(folder.root) == once


def test_every_window_that_flips_is_a_square_of_its_colour(study: Study, folder: StudyFolder) -> None:
    found = found_in(study, folder)["picturenet"]
    (picture,) = pictures_of(study, ELEPHANT)
    seen = found.seen(picture, found.sides(picture)[0])
    assert seen is not None
    drawn = maps_page(picture, picture.read(), "picturenet", [seen])
    times = 256 // 6
    to_incorrect = sum(int((signs > 0).sum()) for signs in seen.looked.signs.values())
    # the captions are in these colours, too
    assert 0 <= count(drawn, TO_WRONG) - to_incorrect * times**2 < 2 * times**2


def test_of_a_picture_without_a_fragile_window_there_are_no_pairs(study: Study, folder: StudyFolder) -> None:
    drawn = pictures(study, folder, CHAIR)
    assert f"{CHAIR}_picturenet_maps.png" in names(drawn)
    assert f"{CHAIR}_picturenet_pairs.png" not in names(drawn)
    assert drawn.said == (f"picturenet: no fragile window among those looked at, so no pairs: {CHAIR}",)


def test_what_was_only_sampled_is_said_and_has_no_maps(study: Study, tmp_path: Path) -> None:
    fragile(study, tmp_path, "cpu", sample=9)
    drawn = pictures(study, StudyFolder(tmp_path), ELEPHANT)
    assert names(drawn) == [f"{ELEPHANT}_picturenet_pairs.png", "rates.png"]
    assert drawn.said == (
        "picturenet: windows of 43 px were only sampled (9 a map), so no maps of them are drawn, but pairs and rates (all windows: "
        f"foolscan stimuli fragile --full): {ELEPHANT}",
    )
    assert f"{ELEPHANT}/fragile" not in found_in(study, StudyFolder(tmp_path))["picturenet"].store.group


def test_a_picture_that_is_not_the_studys_is_refused_with_the_near_ones(study: Study, folder: StudyFolder) -> None:
    with pytest.raises(FoolscanError, match=r"--picture: found 'elephant-0001' \(did you mean 'elephant-0000'\?\)"):
        pictures(study, folder, "elephant-0001")


def test_without_readings_there_is_nothing_to_draw(study: Study, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="foolscan stimuli fragile windows --to"):
        pictures(study, StudyFolder(tmp_path))


def test_a_store_of_other_parameters_is_not_drawn(study: Study, folder: StudyFolder) -> None:
    found_in(study, folder)["picturenet"].store.group.attrs["filter"] = "torch_bilinear"
    with pytest.raises(FoolscanError, match="filter: found torch_bilinear, expected pil_bilinear"):
        pictures(study, folder)


@pytest.mark.parametrize(("harm", "message"), [("cut", "a chunk is damaged"), ("gone", "a chunk is gone")])
def test_a_damaged_map_is_not_drawn_and_the_remedy_is_told(
    study: Study, folder: StudyFolder, harm: str, message: str
) -> None:
    (chunk,) = (folder.fragile("picturenet") / ELEPHANT / "side-0043" / "c").rglob("0/0/0")
    if harm == "cut":
        chunk.write_bytes(chunk.read_bytes()[:-3])
    else:
        chunk.unlink()
    with pytest.raises(FoolscanError, match=rf"side-0043: {message}.*; call foolscan stimuli fragile again"):
        pictures(study, folder, ELEPHANT)
    fragile(study, folder, "cpu", full=True)
    assert len(pictures(study, folder, ELEPHANT).written) == 4


def test_plates_have_the_colours_of_what_they_show() -> None:
    correct = np.array([[True, False]])
    np.testing.assert_array_equal(correctness_plate(correct), [[[255] * 3, [0] * 3]])
    plate = fragile_plate(np.array([[1, -1]], np.int8), correct)
    assert (count(plate, TO_WRONG), count(plate, TO_RIGHT)) == (1, 1)
    lightness = scale_plate(np.linspace(0, 1, 101)) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) >= 0).all()
    less, none, more = difference_plate(np.array([-2.0, 0.0, 2.0]), 2.0)
    assert less[2] > less[0]
    assert more[0] > more[2]
    assert len(set(none.tolist())) == 1
    np.testing.assert_array_equal(difference_plate(np.zeros(1), 0.0), [none])


@pytest.mark.parametrize(("shape", "times"), [((78, 78), 3), ((26, 26), 9), ((256, 100), 1), ((400, 301), 1)])
def test_maps_are_enlarged_by_whole_factors(shape: tuple[int, int], times: int) -> None:
    assert factor(shape, 256) == times
    plate = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(enlarged(plate, times)[::times, ::times], plate)


def test_the_outlined_window_lies_where_it_is() -> None:
    drawn = with_window(np.full((20, 20, 3), 128, np.uint8), 4, 5, 6, 10)
    changed = np.argwhere((drawn != 128).any(axis=-1))
    assert changed.min(axis=0).tolist() == [20, 24]
    assert changed.max(axis=0).tolist() == [59, 63]


def test_small_shares_are_not_rounded_away() -> None:
    assert (percent(0.1234), percent(0.0), percent(1 / 13456)) == ("12.3 %", "0 %", "0.0074 %")


def test_offsets_in_words() -> None:
    assert (moved(-1, 1), moved(0, -1), moved(1, 0)) == ("1 px up, 1 px right", "1 px left", "1 px down")


def test_rows_of_different_lengths_fit_on_a_page() -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    drawn = page("title", ["a note"], [Row("one", (Plate(image),) * 3), Row("", (Plate(image), Plate(None)))])
    assert int((drawn == 0).all(axis=-1).sum()) >= 4 * image.size // 3


def test_the_chart_has_what_the_table_says(study: Study, folder: StudyFolder) -> None:
    rows = read_table(folder.derived("fragile") / "rates_mean.tsv")
    series = series_of(rows)
    (point,) = series["loose_shrink"]["picturenet"]
    (row,) = (row for row in rows if (row["type"], row["supercategory"]) == ("loose_shrink", "all"))
    assert point.rate == pytest.approx(100 * float(row["rate"]))
    assert point.of_these is None
    assert point.of_such == pytest.approx(
        (100 * float(row["ci_low_such_pictures"]), 100 * float(row["ci_high_such_pictures"]))
    )
    assert point.of_such is not None
    highest = _highest(series, "loose")
    assert highest >= point.of_such[1]
    assert _ticks(highest)[-1] == pytest.approx(highest)
    sampled = series_of([{**row, "estimate": "sample"}, {**row, "proportion": "n/a"}])
    assert len(sampled["loose_shrink"]["picturenet"]) == 1
    assert sampled["loose_shrink"]["picturenet"][0].of_these is not None
    assert chart("rates", [], sampled).shape[2] == 3
