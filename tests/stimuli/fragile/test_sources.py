"""The pictures that are mapped: of the book, of a folder, of ImageNet's list; and what `check` says of them beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_fragile import COLUMNS, CountingNetwork, fragile_study, picture, write_pictures

from protocols.problems import FoolscanError, WorkWanting
from protocols.study import Study, load_study
from stimuli.checks import check
from stimuli.fragile.run import fragile, plan_of, refuse_twice
from stimuli.fragile.sources import PictureToMap, pictures_to_map
from stimuli.networks.network import NetworkError
from stimuli.picturebook.book import ANIMALS, OBJECTS, render_with_figure

SUPERCATEGORIES = {
    "dog": [153, 157, 158, 163, 187, 204, 207, 219, 232, 236],
    "snake": [52, 55, 56, 58, 60, 63, *range(65, 69)],
    "monkey": [370, *range(372, 375), *range(377, 383)],
    "fish": [*range(391, 398)],
    "vegetable": [*range(936, 941), *range(942, 946), 947],
    "instrument": [401, 402, 546, 558, 589, 683, 684, 776, 875, 881],
    "boat": [472, 554, 576, 625, 628, 693, 724, 814],
    "land_vehicle": [436, 466, 555, 565, 569, 575, 717, 829, 864, 867],
    "drink": [440, 966, 967, 969],
    "furniture": [423, 532, 559, 610, 736, 765, 846],
}


def pictures_of(study: Study) -> tuple[PictureToMap, ...]:
    return pictures_to_map(study, plan_of(study))


def imagenet_study(folder: Path, lines: list[str], more: str = "") -> Study:
    """A study of ImageNet's list whose pictures of every line are there."""
    (folder / "val").mkdir(exist_ok=True)
    for number, line in enumerate(lines):
        name = line.split()[0]
        if name.endswith(".JPEG"):
            Image.fromarray(picture(number, 15 + number, 20)).save(folder / "val" / name, format="JPEG")
    (folder / "val" / "val.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = (
        "format: 1\nextends: srivastava2019_imagenet\nname: small\ntitle: small\nfragile:\n"
        "  networks: [{name: alexnet, weights: random}]\n  pictures: {folder: val}\n  proportions: [0.5]\n" + more
    )
    (folder / "small.yaml").write_text(text, encoding="utf-8")
    return load_study(folder / "small.yaml")


def test_imagenets_supercategories_are_the_authors():
    plan = plan_of(load_study("srivastava2019_imagenet"))
    assert {name: list(numbers) for name, numbers in plan.pictures.supercategories.items()} == SUPERCATEGORIES  # type: ignore[union-attr]
    assert plan.top_k == 5
    assert plan.per_supercategory == 50
    assert plan.proportions == (0.2, 0.4, 0.6, 0.8)
    assert [network.name for network in plan.networks] == ["vgg16", "inception_v3", "resnet152"]


def test_imagenets_pictures_are_the_first_of_their_supercategory_in_the_lists_order(tmp_path: Path):
    classes = [153, 52, 1, 157, 158, 55, 966, 163]
    lines = [f"ILSVRC2012_val_{number + 1:08d}.JPEG {of}" for number, of in enumerate(classes)]
    study = imagenet_study(tmp_path, lines, "  per_supercategory: 2\n")
    found = [(shown.network_class, shown.supercategory, shown.height) for shown in pictures_of(study)]
    assert found == [(153, "dog", 15), (52, "snake", 16), (157, "dog", 18), (55, "snake", 20), (966, "drink", 21)]
    assert pictures_of(study)[0].picture_id == "ILSVRC2012-val-00000001"
    assert pictures_of(study)[0].box is None
    assert pictures_of(study)[0].read().shape == (15, 20, 3)


def annotation(*boxes: tuple[int, int, int, int]) -> str:
    """As ImageNet's files have it: left, top, right, bottom of every object."""
    objects = "".join(
        f"<object><name>n02085620</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
        "</bndbox></object>"
        for left, top, right, bottom in boxes
    )
    return f"<annotation><size><width>20</width><height>15</height></size>{objects}</annotation>"


def annotated_study(folder: Path, *texts: str) -> Study:
    lines = [f"a{number}.JPEG 153" for number in range(len(texts))]
    imagenet_study(folder, lines)
    (folder / "val" / "boxes").mkdir()
    for number, text in enumerate(texts):
        (folder / "val" / "boxes" / f"a{number}.xml").write_text(text, encoding="utf-8")
    path = folder / "small.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("{folder: val}", "{folder: val, boxes: boxes}"), encoding="utf-8"
    )
    return load_study(path)


def test_imagenets_box_is_around_all_annotated_objects(tmp_path: Path):
    study = annotated_study(tmp_path, annotation((3, 2, 9, 8), (5, 4, 20, 15)), annotation())
    first, second = pictures_of(study)
    assert first.box == (2, 3, 15, 20)
    assert second.box is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<annotation>", "no readable annotation"),
        ("<annotation><object><bndbox><xmin>3</xmin></bndbox></object></annotation>", "whole numbers ymin, xmin"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation>&b;</annotation>", "no plain annotation"),
        (annotation((3, 2, 40, 8)), "it must lie in it"),
    ],
)
def test_an_annotation_that_is_none_is_told_with_its_file(tmp_path: Path, text: str, told: str):
    with pytest.raises(FoolscanError, match=rf"a0\.(xml|JPEG): .*{told}"):
        pictures_of(annotated_study(tmp_path, text))


def test_a_picture_without_its_annotation_is_work_to_be_done(tmp_path: Path):
    study = annotated_study(tmp_path, annotation())
    (tmp_path / "val" / "boxes" / "a0.xml").unlink()
    with pytest.raises(WorkWanting, match=r"a0.xml: no such file; put ImageNet's box annotations there"):
        pictures_of(study)


def test_pictures_that_are_left_out_are_replaced_by_the_next_ones(tmp_path: Path):
    lines = [f"a{number}.JPEG 153" for number in range(4)]
    study = imagenet_study(tmp_path, lines, "  per_supercategory: 2\n")
    assert [shown.picture_id for shown in pictures_of(study)] == ["a0", "a1"]
    source = plan_of(study).pictures.model_copy(update={"left_out": (0, 2)})
    plan = plan_of(study).model_copy(update={"pictures": source})
    assert [shown.picture_id for shown in pictures_to_map(study, plan)] == ["a1", "a3"]


@pytest.mark.parametrize("line", ["a.JPEG", "a.JPEG dog", "a.JPEG 153 7", "a.JPEG -1"])
def test_a_line_of_the_list_that_is_none_is_told_with_its_number(tmp_path: Path, line: str):
    study = imagenet_study(tmp_path, ["b.JPEG 153", line])
    with pytest.raises(
        FoolscanError, match=r"val.txt:2: found 'a.JPEG.*expected a file name and a class number from 0"
    ):
        pictures_of(study)


def test_imagenet_that_is_not_there_is_work_to_be_done(tmp_path: Path):
    study = imagenet_study(tmp_path, [])
    (tmp_path / "val" / "val.txt").unlink()
    with pytest.raises(
        WorkWanting, match=r"val.txt: no such file; put ImageNet's validation pictures into .*val with its list"
    ):
        pictures_of(study)
    (problem,) = check(study)
    assert (problem.key, problem.needed, problem.line) == ("fragile.pictures", True, 7)
    assert problem.remedy.startswith("Put ImageNet's validation pictures into")
    (tmp_path / "val" / "val.txt").write_text("nowhere.JPEG 153\n", encoding="utf-8")
    (problem,) = check(study)
    assert "nowhere.JPEG" in problem.found


def test_the_books_pictures_are_spread_over_its_supercategories_and_boxed():
    plan = plan_of(load_study("srivastava2019")).model_copy(update={"per_supercategory": 6})
    found = pictures_to_map(load_study("srivastava2019"), plan)
    assert len(found) == 60
    groups = {**ANIMALS, **OBJECTS}
    assert [shown.supercategory for shown in found] == [name for name in groups for _ in range(6)]
    assert len({shown.picture_id for shown in found}) == 60
    for shown in found[::7]:
        assert shown.category in groups[shown.supercategory]
        top, left, bottom, right = shown.box or (0, 0, 0, 0)
        number = int(shown.picture_id[-4:])
        pixels, coverage = render_with_figure(shown.category, "test", number, 192)
        assert np.array_equal(shown.read(), pixels)
        assert coverage[top:bottom, left:right].any(axis=1).all()
        assert coverage.astype(bool).sum() == coverage[top:bottom, left:right].astype(bool).sum()


def boxed(folder: Path, *boxes: str) -> Study:
    write_pictures(folder / "pictures", [(20, 26), (24, 18)])
    table = (folder / "pictures" / "labels.tsv").read_text(encoding="utf-8").splitlines()
    rows = [table[0] + "\tbox_left\tbox_top\tbox_right\tbox_bottom"]
    rows += [f"{row}\t{box}" for row, box in zip(table[1:], boxes, strict=True)]
    (folder / "pictures" / "labels.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return fragile_study(folder)


def test_a_folders_pictures_have_sizes_of_their_own_and_boxes_where_the_table_has_them(tmp_path: Path):
    first, second = pictures_of(boxed(tmp_path, "3\t2\t26\t20", "\t\t\t"))
    assert (first.height, first.width, first.box) == (20, 26, (2, 3, 20, 26))
    assert (second.height, second.width, second.box) == (24, 18, None)
    assert np.array_equal(first.read(), picture(0, 20, 26))
    assert (first.category, first.supercategory, first.network_class) == ("apple", "things", "apple")


@pytest.mark.parametrize(
    ("box", "told"),
    [
        ("3\t2\t27\t20", r"p0.png: found the box \(2, 3, 20, 27\) of an object in a picture of 26 x 20 pixels"),
        ("9\t2\t9\t20", r"p0.png: found the box"),
        ("3\t2\tx\t20", r"labels.tsv:2: found 3, 2, x, 20 as box_left, .*give four whole numbers"),
        ("3\t2\t\t20", r"labels.tsv:2: found 3, 2, , 20"),
    ],
)
def test_a_box_that_is_none_is_refused(tmp_path: Path, box: str, told: str):
    with pytest.raises(FoolscanError, match=told):
        pictures_of(boxed(tmp_path, box, "\t\t\t"))


def test_two_pictures_of_one_name_are_refused(network: CountingNetwork, tmp_path: Path):
    write_pictures(tmp_path / "pictures", [(20, 26)])
    Image.fromarray(picture(5, 20, 26)).save(tmp_path / "pictures" / "p-0.png")
    Image.fromarray(picture(6, 20, 26)).save(tmp_path / "pictures" / "p.0.png")
    rows = [COLUMNS, *(f"{name}\tapple\tthings\tfalse\tapple" for name in ("p-0.png", "p.0.png"))]
    (tmp_path / "pictures" / "labels.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with pytest.raises(FoolscanError, match="two pictures called 'p-0'; rename one of the files"):
        refuse_twice(pictures_of(fragile_study(tmp_path)))
    with pytest.raises(FoolscanError, match="two pictures called"):
        fragile(fragile_study(tmp_path), tmp_path / "to", "cpu")


def test_a_class_beyond_the_networks_is_an_error(network: CountingNetwork):
    shown = PictureToMap("p", "class7", "dog", 7, 9, 9, "", None, lambda: picture(0, 9, 9))
    with pytest.raises(
        NetworkError, match="tiny: picture p is of class 7, and it has 6 classes; use a network with ImageNet"
    ):
        shown.true(network)


def test_a_class_that_the_network_does_not_have_is_an_error_with_the_near_ones(
    network: CountingNetwork, two_pictures: Study, tmp_path: Path
):
    table = tmp_path / "pictures" / "labels.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace("apple\n", "aple\n"), encoding="utf-8")
    with pytest.raises(NetworkError, match="no label 'aple' among its 6; nearest: apple"):
        fragile(two_pictures, tmp_path / "to", "cpu")


@pytest.mark.parametrize(
    ("more", "key", "found", "allowed"),
    [
        ("proportions: [0.5], networks: [{name: picturnet}]", "fragile.networks.0.name", "'picturnet'", "picturenet"),
        (
            "proportions: [0.5], networks: [{name: picturenet}, {name: no, weights: random}]",
            "fragile.networks.1.name",
            "'no'",
            "the name",
        ),
        (
            "proportions: [0.5], networks: [{name: alexnet, weights: random}]",
            "fragile.networks.0",
            "no class 'rabbit'",
            "the classes of",
        ),
        (
            "proportions: [0.5, 1.0]",
            "fragile.proportions.1",
            "a window of 15 x 15 pixels in a picture of 14 x 14 (p0)",
            "1 to 14",
        ),
        (
            "proportions: [], sides_px: [3, 21]",
            "fragile.sides_px.1",
            "21 x 21 pixels in a picture of 14 x 14",
            "sides from 1",
        ),
        ("proportions: []", "fragile.proportions", "none, nor sides_px", "a side of windows"),
        (
            "proportions: [0.5], top_k: 40",
            "fragile.top_k",
            "40, with which every window of picturenet is right",
            "fewer",
        ),
        (
            "proportions: [0.5], crops: in_place",
            "fragile.crops",
            "an input of 128 x 128 and a picture of 14 x 14",
            "centred",
        ),
    ],
)
def test_check_finds_what_cannot_be_mapped(tmp_path: Path, more: str, key: str, found: str, allowed: str):
    write_pictures(tmp_path / "pictures", [(14, 14), (15, 20)], ("rabbit", "cat"))
    (problem,) = check(fragile_study(tmp_path, more))
    assert (problem.key, problem.line, problem.needed) == (key, 5, False)
    assert found in problem.found
    assert allowed in problem.allowed


def test_check_finds_windows_that_a_networks_input_does_not_hold(tmp_path: Path):
    write_pictures(tmp_path / "pictures", [(200, 220)], ("cat",))
    (problem,) = check(fragile_study(tmp_path, "proportions: [0.5, 0.8], crops: centred"))
    assert "an input of 128 and windows of 161 pixels (p0)" in problem.found
    assert check(fragile_study(tmp_path, "proportions: [0.5], crops: centred")) == ()


def test_check_finds_class_numbers_that_a_network_does_not_have(tmp_path: Path):
    study = imagenet_study(tmp_path, ["a.JPEG 153", "b.JPEG 52"])
    assert check(study) == ()
    text = (
        (tmp_path / "small.yaml")
        .read_text(encoding="utf-8")
        .replace("{name: alexnet, weights: random}", "{name: picturenet}")
    )
    (tmp_path / "small.yaml").write_text(text, encoding="utf-8")
    (problem,) = check(load_study(tmp_path / "small.yaml"))
    assert problem.key == "fragile.networks.0"
    assert problem.found == "picturenet, which has no class 153 (picture a, and 1 more)"


def test_check_finds_nothing_where_all_can_be_mapped(tmp_path: Path):
    write_pictures(tmp_path / "pictures", [(14, 14), (15, 20)], ("rabbit", "cat"))
    assert check(fragile_study(tmp_path)) == ()
