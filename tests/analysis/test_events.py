"""Events: every row is read where it stands, and what is wrong is named by file, line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.events import check_images, check_length, read_events, shown_images
from protocols.problems import FoolscanError

HEADER = "onset\tduration\ttrial_type\tstim_id\tresponse"
ROWS = ("2.0\t1.0\tRE\tRE-otter\tanimal", "5.0\t3.0\tblank\tn/a\tn/a", "8.5\t1.0\tAN\tAN-boat\tn/a")


def events(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "events.tsv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8", newline="\n")
    return path


def test_rows_that_show_an_image_are_told_from_blanks(tmp_path: Path) -> None:
    found = read_events(events(tmp_path, *ROWS))
    assert [event.line for event in found] == [2, 3, 4]
    assert [event.stim_id for event in shown_images(found)] == ["RE-otter", "AN-boat"]
    assert (found[2].onset_s, found[2].duration_s, found[2].trial_type) == (8.5, 1.0, "AN")


def test_further_columns_are_text_and_not_available_is_none(tmp_path: Path) -> None:
    found = read_events(events(tmp_path, *ROWS))
    assert [event.text("response") for event in found] == ["animal", None, None]
    assert found[0].text("button") is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("2.0\t1.0\tRE",), r"events\.tsv:2: found 3 columns, expected 5; is the file cut off"),
        (("soon\t1.0\tRE\tRE-otter\tn/a",), r"events\.tsv:2: onset: found 'soon', expected seconds"),
        (("nan\t1.0\tRE\tRE-otter\tn/a",), r"events\.tsv:2: onset: found 'nan'"),
        (("2.0\t-1.0\tRE\tRE-otter\tn/a",), r"events\.tsv:2: duration: found -1.0, expected 0 or more"),
        ((ROWS[2], ROWS[0]), r"events\.tsv:3: onset: found 2 s after a row at 8.5 s"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, rows: tuple[str, ...], message: str) -> None:
    with pytest.raises(FoolscanError, match=message):
        read_events(events(tmp_path, *rows))


@pytest.mark.parametrize("header", ["onset\tduration\ttrial_type\tresponse\tx", ""])
def test_a_missing_column_is_named(tmp_path: Path, header: str) -> None:
    with pytest.raises(FoolscanError, match=r"events\.tsv:1: found no column .*stim_id"):
        read_events(events(tmp_path, header=header))


def test_bytes_that_are_not_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "events.tsv"
    path.write_bytes(b"onset\t\xff")
    with pytest.raises(FoolscanError, match="a byte that is not UTF-8 at 6"):
        read_events(path)


def test_an_image_that_the_manifest_does_not_have_is_named(tmp_path: Path) -> None:
    path = events(tmp_path, *ROWS)
    with pytest.raises(
        FoolscanError, match=r"events\.tsv:4: stim_id: found 'AN-boat', which stimuli\.tsv does not have"
    ):
        check_images(path, shown_images(read_events(path)), ["RE-otter"])


def test_a_run_without_images_is_refused(tmp_path: Path) -> None:
    path = events(tmp_path, ROWS[1])
    with pytest.raises(FoolscanError, match="no row with a stim_id"):
        check_images(path, shown_images(read_events(path)), ["RE-otter"])


def test_images_must_lie_within_the_volumes(tmp_path: Path) -> None:
    path = events(tmp_path, *ROWS)
    images = shown_images(read_events(path))
    check_length(path, images, n_volumes=19, tr_s=0.5)
    with pytest.raises(
        FoolscanError, match=r"events\.tsv:4: an image from 8.5 to 9.5 s; 18 volumes of 0.5 s cover 0 to 9 s"
    ):
        check_length(path, images, n_volumes=18, tr_s=0.5)
    early = events(tmp_path, "-1.0\t1.0\tRE\tRE-otter\tn/a")
    with pytest.raises(FoolscanError, match="an image from -1 to 0 s"):
        check_length(early, shown_images(read_events(early)), n_volumes=18, tr_s=0.5)
