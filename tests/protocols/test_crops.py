"""The manifest of crop pairs: what is written is read again, and what is no set of pairs is refused where it stands."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from crop_rows import crop_row

from protocols.crops import COLUMNS, Crop, crops_table, pairs_of, read_crops, write_crops
from protocols.folder import StudyFolder, write_json
from protocols.formats import CROPS
from protocols.problems import FoolscanError, NotReady

V1 = Path(__file__).parents[1] / "formats" / "v1"


PAIRS = [crop_row(pair, member) for pair in ("p001-owl", "p002-hen") for member in ("fragile", "altered")]


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    """With two pairs."""
    folder = StudyFolder(tmp_path)
    write_crops(folder, PAIRS)
    write_json(crops_table(folder).with_suffix(".json"), {"format": CROPS})
    return folder


def spoil(folder: StudyFolder, line: int, column: str, value: str) -> None:
    """Put another value into a cell; line 1 is the header."""
    path = crops_table(folder)
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[line - 1].split("\t")
    cells[list(COLUMNS).index(column)] = value
    lines[line - 1] = "\t".join(cells)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_what_is_written_is_read_again(folder: StudyFolder) -> None:
    assert read_crops(folder) == PAIRS
    assert [(one.crop_id, other.crop_id) for one, other in pairs_of(PAIRS)] == [
        ("p001-owl_a", "p001-owl_b"),
        ("p002-hen_a", "p002-hen_b"),
    ]
    assert PAIRS[1].labels == ("mug", "owl")
    assert PAIRS[0].path(folder) == folder.stimuli / "crops" / "p001-owl_a.png"


def test_every_column_is_described() -> None:
    assert list(COLUMNS) == [field.name for field in fields(Crop)]
    assert all(meaning.endswith(".") for meaning in COLUMNS.values())


def test_a_manifest_of_format_1(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    crops_table(folder).parent.mkdir(parents=True)
    for name in ("crops.tsv", "crops.json"):
        (crops_table(folder).parent / name).write_bytes((V1 / name).read_bytes())
    crops = read_crops(folder)
    assert len(crops) == 6
    assert {crop.side_px for crop in crops} == {43, 41}


def test_without_a_manifest_the_step_that_makes_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="foolscan stimuli fragile-pairs STUDY --to FOLDER"):
        read_crops(StudyFolder(tmp_path))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("member", "twin", "member: found 'twin', expected fragile or altered"),
        ("row", "-1", "row: found '-1', expected a whole number from 0"),
        ("row", "1.5", "row: found '1.5', expected a whole number"),
        ("row", "n/a", "row: found 'n/a', expected a whole number"),
        ("side_px", "0", "side_px: found '0', expected a whole number from 1"),
        ("proportion", "nan", "proportion: found 'nan', expected a number from 0 to 1, or n/a"),
        ("confidence", "1.01", "confidence: found '1.01', expected a number from 0 to 1"),
        ("confidence_2", "inf", "confidence_2: found 'inf', expected a number from 0 to 1, or n/a"),
        ("correct", "True", "correct: found 'True', expected true or false"),
        ("label_1", "", "label_1: found '', expected text"),
        ("label_1", "n/a", None),
        ("box_overlap", "2", "box_overlap: found '2', expected a number from 0 to 1, or n/a"),
        ("seed", "x", "seed: found 'x', expected a whole number from 0"),
        ("crop_file", "../../secret.png", "crop_file: found '../../secret.png', expected a file in the stimuli folder"),
        ("crop_file", "/etc/passwd", "crop_file: found '/etc/passwd'"),
        ("crop_file", "C:\\x.png", "crop_file: found"),
        ("crop_file", "crops/p001-owl_b.png", "crop_file: found 'crops/p001-owl_b.png', which line 2 has"),
        ("crop_id", "p001-owl_b", "crop_id: found 'p001-owl_b', which line 2 has"),
    ],
)
def test_a_hostile_cell_is_refused_where_it_stands(
    folder: StudyFolder, column: str, value: str, message: str | None
) -> None:
    line = 3
    if message and "which line 2" in message:
        spoil(folder, 2, column, value)
    spoil(folder, line, column, value)
    if message is None:
        assert read_crops(folder)[1].label_1 == "n/a"  # a class may be called so
        return
    with pytest.raises(FoolscanError) as told:
        read_crops(folder)
    assert f"crops.tsv:{line}: {message}" in str(told.value)
    assert "make it again" in str(told.value)


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        (PAIRS[:1], "pair p001-owl: found no altered member"),
        (PAIRS[1:2], "pair p001-owl: found no fragile member"),
        ([PAIRS[0], replace(PAIRS[1], correct=True)], "pair p001-owl: correct: found both, expected one of the two"),
        ([replace(PAIRS[0], correct=False), PAIRS[1]], "pair p001-owl: correct: found neither, expected one"),
        ([PAIRS[0], replace(PAIRS[1], picture_id="hen")], "pair p001-owl: picture_id: found 'owl' and 'hen'"),
        (
            [*PAIRS[:2], replace(PAIRS[0], crop_id="c", crop_file="c.png")],
            "crops.tsv:4: member: found 'fragile of pair p001-owl', which line 2 has",
        ),
    ],
)
def test_what_is_no_pair_is_refused(folder: StudyFolder, crops: list[Crop], message: str) -> None:
    write_crops(folder, crops)
    with pytest.raises(FoolscanError) as told:
        read_crops(folder)
    assert message in str(told.value)


def test_a_table_that_is_none_is_refused(folder: StudyFolder) -> None:
    path = crops_table(folder)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace("\tseed\t", "\tsead\t", 1), encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"other columns than it should have \(sead, seed\)"):
        read_crops(folder)
    path.write_text(whole + "one cell\n", encoding="utf-8")
    with pytest.raises(FoolscanError, match=rf"crops.tsv:6: found 1 columns, expected {len(COLUMNS)}"):
        read_crops(folder)
    path.write_text("", encoding="utf-8")
    with pytest.raises(FoolscanError, match="other columns"):
        read_crops(folder)
    path.write_text("\t".join(COLUMNS) + "\n", encoding="utf-8")
    with pytest.raises(NotReady, match="found no crops"):
        read_crops(folder)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FoolscanError, match="not readable as a UTF-8 table"):
        read_crops(folder)


@pytest.mark.parametrize("found", [2, None, "1"])
def test_another_format_is_refused(folder: StudyFolder, found: object) -> None:
    write_json(crops_table(folder).with_suffix(".json"), {"format": found})
    with pytest.raises(FoolscanError, match=rf"format: found {found}, this foolscan reads 1"):
        read_crops(folder)
    crops_table(folder).with_suffix(".json").unlink()
    with pytest.raises(FoolscanError, match="it says which format the table has"):
        read_crops(folder)
