"""Regular pictures: from the picture book, or the user's own with a table of labels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_image_study import replace_once

from protocols.problems import FoolscanError, WorkWanting
from protocols.study import Study, load_study
from stimuli.pictures import PictureCategory, animacy, book_categories, pictures_of

TABLE = "file\tcategory\tsupercategory\tanimal\tnetwork_class\n"
ROWS = (("cat", "mammals", "true"), ("car", "land_vehicles", "false"))


@pytest.mark.parametrize("n_categories", [2, 4, 10, 20, 40])
def test_fewer_categories_are_half_animals_and_as_spread_as_can_be(n_categories: int):
    chosen = book_categories(n_categories)
    assert sum(category.animal for category in chosen) == n_categories // 2
    spread = Counter(category.supercategory for category in chosen)
    assert max(spread.values()) - min(spread.values()) <= 1
    assert len(spread) == min(10, n_categories)


def test_the_book_has_forty_categories_and_no_more():
    assert len({category.name for category in book_categories(40)}) == 40
    with pytest.raises(FoolscanError, match="picture book has 40"):
        book_categories(41)


def test_the_seed_says_which_picture_and_an_attempt_takes_the_next():
    demo = load_study("demo")
    book = pictures_of(demo)
    cat = next(category for category in book.categories if category.name == "cat")
    first = book.image(cat, 0)
    assert first.shape == (128, 128, 3)
    assert np.array_equal(first, pictures_of(demo).image(cat, 0))
    assert not np.array_equal(first, book.image(cat, 1))


def own_pictures(folder: Path, side: tuple[int, int] = (150, 140)) -> Study:
    """A study of two of the user's own pictures."""
    (folder / "pictures").mkdir()
    draw = np.random.default_rng(0)
    table = TABLE
    for name, supercategory, animal in ROWS:
        noise = draw.integers(0, 256, (*side, 3), np.uint8)
        Image.fromarray(noise).save(folder / "pictures" / f"{name}.png")
        table += f"{name}.png\t{name}\t{supercategory}\t{animal}\t{name}\n"
    (folder / "pictures" / "labels.tsv").write_text(table, encoding="utf-8")
    (folder / "own.yaml").write_text(
        "format: 1\nextends: demo\nname: own\ntitle: own pictures\nstimuli:\n"
        "  n_categories: 2\n  pictures: {kind: folder, folder: pictures}\ntasks: {animals: {stimulus_trials: 6}}\n",
        encoding="utf-8",
    )
    return load_study(folder / "own.yaml")


def test_own_pictures_are_cut_to_the_middle_square_on_the_study_s_grid(tmp_path: Path):
    pictures = pictures_of(own_pictures(tmp_path))
    assert [c.name for c in pictures.categories] == ["cat", "car"]
    assert [c.animal for c in pictures.categories] == [True, False]
    assert pictures.image(pictures.categories[0], 0).shape == (128, 128, 3)
    assert pictures.choices(pictures.categories[0]) == 1


def test_a_picture_of_the_grid_s_size_is_left_as_it_is(tmp_path: Path):
    pictures = pictures_of(own_pictures(tmp_path, side=(128, 128)))
    on_disk = np.asarray(Image.open(tmp_path / "pictures" / "cat.png"))
    assert np.array_equal(pictures.image(pictures.categories[0], 0), on_disk)


def test_pictures_that_are_not_there_yet_are_work_to_be_done(tmp_path: Path):
    study = own_pictures(tmp_path)
    (tmp_path / "pictures" / "labels.tsv").unlink()
    with pytest.raises(WorkWanting, match=r"labels\.tsv"):
        pictures_of(study)


def test_every_wrong_picture_is_named_at_once(tmp_path: Path):
    study = own_pictures(tmp_path)
    Image.new("RGBA", (150, 150)).save(tmp_path / "pictures" / "cat.png")
    Image.new("RGB", (100, 200)).save(tmp_path / "pictures" / "car.png")
    with pytest.raises(FoolscanError) as caught:
        pictures_of(study)
    first, second = str(caught.value).splitlines()
    assert "cat.png" in first
    assert "100 % transparent pixels" in first
    assert "100 x 200 px, smaller than the grid of 128 px" in second


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("network_class", "class", "lacking: network_class"),
        ("true", "yes", "animal: found 'yes', expected true or false"),
        ("\tmammals", "\t", "nothing in column supercategory"),
        ("car.png\tcar", "car.png\tc/r", "letters, digits"),
        ("car.png\tcar\tland_vehicles\tfalse", "car.png\tcat\tland_vehicles\tfalse", "described otherwise above"),
        ("car.png", "truck.png", "no such picture"),
    ],
)
def test_a_mistake_in_the_table_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str):
    study = own_pictures(tmp_path)
    replace_once(tmp_path / "pictures" / "labels.tsv", old, new)
    with pytest.raises(FoolscanError, match=message):
        pictures_of(study)


def test_the_number_of_categories_is_the_study_s(tmp_path: Path):
    study = own_pictures(tmp_path)
    table = tmp_path / "pictures" / "labels.tsv"
    table.write_text("".join(table.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    with pytest.raises(FoolscanError, match="found 1 categories"):
        pictures_of(study)


def test_animacy_is_known_for_the_study_the_book_and_imagenet_and_unknown_otherwise():
    book = [category.name for category in book_categories(40)]
    known = animacy([], book)
    assert known["cat"]
    assert not known["mug"]
    imagenet = ["tench", *(f"class {i}" for i in range(1, 1000))]
    known = animacy([], imagenet)
    assert known["class 397"]
    assert not known["class 398"]
    own = [PictureCategory("fox", "mammals", True, "red fox")]
    assert animacy(own, ["red fox", "spade"]) == {"red fox": True}
