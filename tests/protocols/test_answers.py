"""The tables of what people answered online: as they were frozen, as they are written, and damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from protocols.answers import answers_table, read_answers, sessions_table, write_answers
from protocols.folder import StudyFolder, write_json
from protocols.problems import FoolscanError, NotReady

V1 = Path(__file__).parents[1] / "formats" / "v1" / "answers"


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    shutil.copytree(V1, StudyFolder(tmp_path).derived("answers"))
    return StudyFolder(tmp_path)


def test_tables_of_format_1_are_read(folder: StudyFolder) -> None:
    answers, sessions = read_answers(folder, "crops")
    assert len(sessions) == len({session.participant_id for session in sessions}) == 6
    assert [session.state for session in sessions].count("finished") == 3
    assert sum(session.counted for session in sessions) == 2
    assert {answer.kind for answer in answers} == {"practice", "main", "attention"}
    assert all(answer.rt_s == 0.7 and answer.question == "thing" for answer in answers)


def test_what_is_written_is_read_again(folder: StudyFolder, tmp_path: Path) -> None:
    answers, sessions = read_answers(folder, "crops")
    other = StudyFolder(tmp_path / "other")
    for table in write_answers(other, "again", answers, sessions):
        write_json(table.with_suffix(".json"), {"format": 1})
    assert read_answers(other, "again") == (answers, sessions)
    assert answers_table(other, "again").read_bytes() == answers_table(folder, "crops").read_bytes()
    assert sessions_table(other, "again").read_bytes() == sessions_table(folder, "crops").read_bytes()


def test_no_answers_yet_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"crops.tsv: no answers yet; export them with: foolscan online export"):
        read_answers(StudyFolder(tmp_path), "crops")


@pytest.mark.parametrize("found", [2, None])
def test_another_format_is_refused(folder: StudyFolder, found: int | None) -> None:
    sidecar = sessions_table(folder, "crops").with_suffix(".json")
    record = json.loads(sidecar.read_text(encoding="utf-8"))
    write_json(sidecar, {**record, "format": found})
    with pytest.raises(FoolscanError, match=rf"crops_sessions.json: format: found {found}, this foolscan reads 1"):
        read_answers(folder, "crops")


def test_a_damaged_cell_is_named_with_line_and_column(folder: StudyFolder) -> None:
    table = answers_table(folder, "crops")
    table.write_text(table.read_text(encoding="utf-8").replace("\ttrue\t0.7\t", "\ttrue\tsoon\t", 1), encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"crops.tsv:2: rt_s: found 'soon', expected a number, or n/a"):
        read_answers(folder, "crops")
