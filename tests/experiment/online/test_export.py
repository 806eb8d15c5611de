"""What is exported: tables that the analysis reads, BIDS behaviour, the same bytes for the same database, and nobody's identity."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from finished_crowd import RAW, opened, small_crowd, take_part, tampered
from hypothesis import given
from hypothesis import strategies as st
from online_study import answer_to, crop_study, joined, set_study
from small_image_study import contents
from sqlalchemy import text
from typer.testing import CliRunner
from watermark import unmarked

from experiment.bids import kinds_of, validate
from experiment.online.answer_rows import plain
from experiment.online.database import connect_reading
from experiment.online.erase import erase
from experiment.online.export import Exported, cut_off, database_of, export
from experiment.online.messages import Answers, Given
from experiment.online.people import everybody
from experiment.online.verify import verify
from experiment.recover import recover
from protocols.answers import COLUMNS, SESSION_COLUMNS, read_answers
from protocols.folder import StudyFolder, open_folder
from protocols.problems import FoolscanError, NotReady, WorkWanting

ROOT = Path(__file__).resolve().parents[3]
# What only the lab can say of its data: foolscan invents none of it.
THE_LABS_OWN = {
    *("TOO_FEW_AUTHORS", "NO_AUTHORS Authors", "HEDVersion", "License", "SourceDatasets"),
    *("CogAtlasID", "CogPOID", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def exported_bytes(folder: StudyFolder) -> dict[str, str]:
    return {name: found for name, found in contents(folder.root).items() if "/online/" not in name}


def tables_of(folder: StudyFolder) -> dict[str, str]:
    return {
        name: found for name, found in exported_bytes(folder).items() if name.endswith(".tsv") and ".tmp" not in name
    }


def test_the_tables_say_who_answered_what(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    done = export(study, folder)
    answers, sessions = read_answers(folder, "crops")
    assert len(answers) == done.n_answers
    by_id = {session.participant_id.removeprefix("sub-"): session for session in sessions}
    assert set(by_id) == set(who.values())
    assert [by_id[who[kind]].counted for kind in ("good", "other")] == [True, True]
    assert {kind: by_id[who[kind]].excluded_for for kind in ("excluded", "active", "withdrawn", "joined")} == {
        "excluded": "attention_failures",
        "active": "unfinished",
        "withdrawn": "withdrawn",
        "joined": "unfinished",
    }
    assert by_id[who["excluded"]].attention_failed == 2
    assert by_id[who["excluded"]].flags
    assert "attention" in by_id[who["excluded"]].flags
    assert (by_id[who["active"]].answered, by_id[who["joined"]].answered) == (3, 0)
    good = [answer for answer in answers if answer.participant_id == f"sub-{who['good']}"]
    assert [answer.trial for answer in good] == list(range(1, len(good) + 1))
    assert [answer.kind for answer in good].count("main") == 4
    assert all(answer.correct for answer in good)
    assert all(answer.rt_s == 0.7 for answer in good)
    checks = [answer for answer in good if answer.kind == "attention"]
    assert all((check.item_id, check.stim_file, check.onset_s) == (None, None, None) for check in checks)
    bad = [answer for answer in answers if answer.participant_id == f"sub-{who['excluded']}"]
    assert not any(answer.correct for answer in bad)
    assert [answers.index(answer) for answer in answers] == sorted(
        range(len(answers)), key=lambda place: (answers[place].participant_id, answers[place].trial)
    )


def test_ratings_and_typed_names_have_rows_of_their_own(tmp_path: Path):
    study, folder = set_study(tmp_path, n_sources=7, per_list=1)
    with opened(study, folder) as crowd:
        worker = take_part(crowd, "somebody")
    export(study, folder)
    answers, _ = read_answers(folder, "recognition")
    main = [answer for answer in answers if answer.kind == "main"]
    assert {answer.question for answer in main} == {"animal", "name", "confidence"}
    assert all(answer.correct for answer in main if answer.question != "confidence")
    assert all(answer.correct is None for answer in main if answer.question == "confidence")
    assert all(answer.answer is None and answer.typed for answer in main if answer.question == "name")
    assert all(answer.set in ("RE", "AN", "AI") and answer.animal is not None for answer in main)
    table = folder.root / f"sub-{worker}" / "beh" / f"sub-{worker}_task-recognition_beh.tsv"
    first = next(row for row in rows(table) if row["trial_type"] == "main")
    assert (first["correct"], first["name_correct"], first["confidence"]) == ("true", "true", "4")
    assert "confidence_correct" not in first
    described = json.loads(table.with_suffix(".json").read_text(encoding="utf-8"))
    assert described["confidence"]["Levels"]["4"] == "sure"
    assert set(described["response"]["Levels"]) == {"animal", "not_animal", "nothing"}
    valid(folder)


def test_every_column_is_described(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    done = export(study, folder)
    for path, columns in ((done.answers, COLUMNS), (done.sessions, SESSION_COLUMNS)):
        sidecar = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert sidecar["format"] == 1
        assert all(sidecar[name]["Description"] == said for name, said in columns.items())
        assert sidecar["foolscan"]["parameters"]["chain"]["head"] == done.head
    for path in done.beh:
        sidecar = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        assert sidecar["TaskName"] == "crops"
        for row in rows(path):
            assert all(sidecar[name]["Description"] for name in row)
            for name in ("trial_type", "response", "correct", "input", "member", "hidden"):
                assert row[name] == "n/a" or row[name] in sidecar[name]["Levels"]
            assert row["stim_file"] == "n/a" or (folder.stimuli / row["stim_file"]).exists()
    assert {path.name for path in done.beh} == {
        f"sub-{who[kind]}_task-crops_beh.tsv" for kind in ("good", "other", "excluded", "active", "withdrawn")
    }


def valid(folder: StudyFolder) -> None:
    issues = validate(folder.root)
    assert issues.errors == ()
    kinds = {kind.split(" (in ")[0] for line in kinds_of(issues.warnings) for kind in split(line)}
    assert kinds <= THE_LABS_OWN


def split(line: str) -> list[str]:
    return line.removeprefix("recommended: ").split(", ") if line.startswith("recommended: ") else [line]


def test_the_folder_is_valid_bids_also_after_erasing(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    export(study, folder)
    valid(folder)
    assert {row["participant_id"] for row in rows(folder.root / "participants.tsv")} == {
        f"sub-{who[kind]}" for kind in ("good", "other", "excluded", "active", "withdrawn")
    }
    assert {row["simulated"] for row in rows(folder.root / "participants.tsv")} == {"false"}
    erase(study, folder, f"sub-{who['good']}", answers=True, payment=False, now_ms=lambda: 1)
    export(study, folder)
    valid(folder)


def test_the_same_database_gives_the_same_bytes(tmp_path: Path):
    study, folder, _ = small_crowd(tmp_path)
    export(study, folder)
    before = exported_bytes(folder)
    export(study, folder)
    assert exported_bytes(folder) == before
    for path in (folder.derived("answers"), *folder.root.glob("sub-*"), folder.root / "participants.tsv"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    export(study, folder)
    assert exported_bytes(folder) == before


def test_files_that_say_the_same_are_not_written_again(tmp_path: Path):
    study, folder, _ = small_crowd(tmp_path)
    done = export(study, folder)
    before = {path: path.stat().st_mtime_ns for path in done.beh}
    export(study, folder)
    assert {path: path.stat().st_mtime_ns for path in done.beh} == before
    done.beh[0].write_text("spoilt\n", encoding="utf-8")
    export(study, folder)
    assert len(rows(done.beh[0])) > 1


def test_raw_identifiers_stand_in_no_exported_byte(tmp_path: Path):
    study, folder, _ = small_crowd(tmp_path)
    export(study, folder)
    key = json.loads((folder.derived("online") / "crops_key.json").read_text(encoding="utf-8"))["key"]
    kept = {path.resolve() for path in folder.derived("online").glob("*")}
    for path in folder.root.rglob("*"):
        if path.is_file() and path.resolve() not in kept:
            content = path.read_bytes()
            for raw in (*(RAW.format(number) for number in range(1, 7)), "ASSIGNMENT-", "HIT-RAW", key, "Well done"):
                assert raw.encode() not in content, path


def test_no_time_of_day_is_told(tmp_path: Path):
    study, folder, _ = small_crowd(tmp_path)
    done = export(study, folder)
    for path in (done.answers, done.sessions, *done.beh):
        for row in rows(path):
            for name, value in row.items():
                assert name == "seed" or not value.replace(".", "").isdigit() or float(value) < 1e6, (path, name)


def test_it_can_be_done_while_people_answer(tmp_path: Path):
    study, folder = crop_study(tmp_path, per_list=5)
    with opened(study, folder) as crowd:
        take_part(crowd, "first")
        first = export(study, folder)
        take_part(crowd, "second")
        second = export(study, folder)
        take_part(crowd, "third")
    assert second.n_answers == 2 * first.n_answers
    assert (len(first.beh), len(second.beh)) == (1, 2)


def test_people_whose_data_were_erased_vanish(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    before = export(study, folder)
    erase(study, folder, f"sub-{who['good']}", answers=True, payment=False, now_ms=lambda: 1)
    after = export(study, folder)
    assert [path.name for path in after.removed] == [f"sub-{who['good']}_task-crops_beh.tsv"]
    assert len(after.beh) == len(before.beh) - 1
    assert not list(folder.root.glob(f"sub-{who['good']}*"))
    for path in folder.root.rglob("*"):
        if path.is_file() and path.parent != folder.derived("online"):
            assert who["good"].encode() not in path.read_bytes(), path


def test_what_was_left_of_a_killed_export_goes_too(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    done = export(study, folder)
    mine = next(path for path in done.beh if who["good"] in path.name)
    mine.with_suffix(".json").unlink()  # killed between table and sidecar
    (mine.parent / f".{mine.name}.1234abcd.tmp.tsv").write_text("half", encoding="utf-8")
    (done.answers.parent / ".crops.tsv.1234abcd.tmp.tsv").write_text(who["good"], encoding="utf-8")
    erase(study, folder, f"sub-{who['good']}", answers=True, payment=False, now_ms=lambda: 1)
    export(study, folder)
    assert not (folder.root / f"sub-{who['good']}").exists()
    assert [path.name for path in done.answers.parent.glob(".*")] == []


def test_other_data_of_an_erased_person_stay(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    export(study, folder)
    other = folder.root / f"sub-{who['good']}" / "beh" / f"sub-{who['good']}_task-rest_beh.tsv"
    other.write_text("trial\n1\n", encoding="utf-8")
    foreign = folder.root / "sub-07" / "beh" / "sub-07_task-crops_beh.tsv"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("trial\n1\n", encoding="utf-8")
    erase(study, folder, f"sub-{who['good']}", answers=True, payment=False, now_ms=lambda: 1)
    export(study, folder)
    assert other.exists()
    assert foreign.exists()
    assert f"sub-{who['good']}" in {row["participant_id"] for row in rows(folder.root / "participants.tsv")}


def test_simulated_people_are_marked_everywhere(tmp_path: Path):
    study, folder = crop_study(tmp_path)
    with opened(study, folder) as crowd:
        take_part(crowd, "sim0001", recruiter="simulated")
    done = export(study, folder)
    assert json.loads((folder.root / "dataset_description.json").read_text(encoding="utf-8"))["Simulated"] is True
    assert {row["simulated"] for row in rows(folder.root / "participants.tsv")} == {"true"}
    assert all(json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["Simulated"] for path in done.beh)
    assert [name for name in unmarked(folder.root) if "/online/" not in name] == []
    valid(folder)


def test_in_a_rehearsals_folder_everybody_is_simulated(tmp_path: Path):
    study, folder = crop_study(tmp_path)
    open_folder(folder.root, study.title, rehearsal=True)
    with opened(study, folder) as crowd:
        take_part(crowd, "a driven browser", recruiter="link")
    export(study, folder)
    assert {row["simulated"] for row in rows(folder.root / "participants.tsv")} == {"true"}


@pytest.mark.parametrize("marked", [None, False])
def test_people_and_simulated_ones_are_not_mixed(tmp_path: Path, marked: bool | None):
    study, folder = crop_study(tmp_path)
    if marked is not None:
        open_folder(folder.root, study.title, rehearsal=marked)
    with opened(study, folder) as crowd:
        take_part(crowd, "sim0001", recruiter="simulated")
        if marked is None:
            take_part(crowd, "a person", recruiter="link")
    with pytest.raises(FoolscanError, match="simulated participants in a study folder for people"):
        export(study, folder)
    assert not list(folder.root.glob("sub-*"))


def test_before_anybody_came_it_says_what_to_do(tmp_path: Path):
    study, folder = crop_study(tmp_path)
    with pytest.raises(NotReady, match="foolscan online serve"):
        export(study, folder)
    with opened(study, folder):
        pass
    done = export(study, folder)
    assert (done.beh, done.n_answers, done.head) == ((), 0, None)
    assert read_answers(folder, "crops") == ([], [])


def test_a_chain_that_was_cut_off_is_not_exported_over(tmp_path: Path):
    study, folder, _ = small_crowd(tmp_path)
    export(study, folder)
    tampered(folder, "DELETE FROM responses WHERE place > 20")
    with pytest.raises(WorkWanting, match="its end was cut off"):
        export(study, folder)
    assert read_answers(folder, "crops")[0]


def test_on_a_full_disk_the_last_export_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    study, folder = crop_study(tmp_path, per_list=4)
    with opened(study, folder) as crowd:
        take_part(crowd, "first")
        export(study, folder)
        before = exported_bytes(folder)
        take_part(crowd, "second")
    fsync = os.fsync
    for written in (4, 3, 2, 1, 0):
        left = [written]

        def full(handle: int, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            fsync(handle)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(FoolscanError, match="No space left"):
                export(study, folder)
        assert read_answers(folder, "crops")[0]
        assert not [path for path in folder.root.rglob(".*") if ".tmp" in path.name]
    assert all(exported_bytes(folder)[name] == found for name, found in before.items() if name.startswith("sub-"))
    export(study, folder)
    assert verify(study, folder).findings == ()


def test_killed_at_any_moment_it_leaves_no_half_file(tmp_path: Path):
    study, folder, _ = small_crowd(tmp_path)
    export(study, folder)
    wanted = tables_of(folder)
    for path in (folder.derived("answers"), *folder.root.glob("sub-*")):
        shutil.rmtree(path)
    code = (
        "import os, sys\n"
        "from protocols import folder as f\n"
        "n = [int(sys.argv[3])]\n"
        "def fsync(handle, fsync=os.fsync):\n"
        "    n[0] -= 1\n"
        "    if n[0] < 0: os._exit(9)\n"  # nothing is tidied up
        "    fsync(handle)\n"
        "os.fsync = fsync\n"
        "from experiment.online.export import export\n"
        "from protocols.study import load_study\n"
        "export(load_study(sys.argv[1]), f.StudyFolder(f.Path(sys.argv[2])))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "tiny.yaml"), str(folder.root)]
    kills = 0
    while subprocess.run([*command, str(3 if kills < 4 else kills - 4)], cwd=ROOT, capture_output=True).returncode != 0:
        kills += 1
        for path in folder.root.rglob("*.json"):
            assert ".tmp" in path.name or json.loads(path.read_text(encoding="utf-8"))
        assert all(wanted[name] == found for name, found in tables_of(folder).items())
    assert kills > 4
    assert tables_of(folder) == wanted
    assert verify(study, folder).findings == ()


def test_two_exports_do_not_write_into_one_another(tmp_path: Path):
    study, folder, _ = small_crowd(tmp_path)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(3) as pool:
        done: list[Exported] = list(pool.map(lambda _: export(study, folder), range(3)))
    assert len({(item.n_answers, item.head) for item in done}) == 1


def test_what_was_typed_stays_one_cell(tmp_path: Path):
    study, folder = set_study(tmp_path, n_sources=4, per_list=1, practice=1, attention_every=None)
    said = [
        "<script>alert(1)</script>",
        'a "quoted" word',
        "n/a",
        "=1+1",
        "\u202eright to left",
        "zwei\u2028zeilen",
        "null\u00a0breit",
    ]
    with opened(study, folder) as crowd:
        person = joined(crowd)
        questions = crowd.design.plan.questions
        for trial, typed in zip(person.session_state.plan.trials, said, strict=False):
            answer = answer_to(trial, questions, person.session_state.plan.options)
            given = [
                Given(question="name", typed=typed, rt_ms=700, by="key") if item.question == "name" else item
                for item in answer.given
            ]
            crowd.hold(person.token, Answers(answers=[answer.model_copy(update={"given": given})])).result()
    export(study, folder)
    answers, _ = read_answers(folder, "recognition")
    typed_now = [answer.typed for answer in answers if answer.question == "name"]
    assert typed_now == [plain(typed) for typed in said[: len(typed_now)]]
    assert typed_now[2] == "N/A"


@given(st.text(st.characters()))
def test_any_text_becomes_one_line_or_nothing(typed: str):
    line = plain(typed)
    assert line is None or (line and line == " ".join(line.split()) and len(line.splitlines()) == 1 and line != "n/a")
    if line is not None:
        line.encode("utf-8")


def test_other_commands_do_not_stumble_over_these_people(tmp_path: Path):
    study, folder, _ = small_crowd(tmp_path)
    export(study, folder)
    assert folder.runs("crops") == []
    assert folder.runs("crops", "beh") == []
    with pytest.raises(FoolscanError, match="found no journals"):
        recover(folder.root)
    from stimulus_pc.run_files import runs_in

    assert runs_in(folder) == []


def test_as_a_command(tmp_path: Path):
    import typer

    from experiment.online.closing_verbs import mount

    _study, folder, who = small_crowd(tmp_path)
    app = typer.Typer()
    mount(app)
    done = CliRunner().invoke(app, ["export", str(tmp_path / "tiny.yaml"), "--to", str(folder.root)])
    assert done.exit_code == 0, done.output
    assert "5 people" in done.output
    assert str(folder.derived("answers") / "crops.tsv") in done.output.replace("\n", "")
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "tiny.yaml"), "--to", str(folder.root)])
    assert done.exit_code == 0, done.output
    assert "all as it was written" in done.output
    arguments = [
        "erase",
        str(tmp_path / "tiny.yaml"),
        "--to",
        str(folder.root),
        "--recruiter",
        "link",
        "--answers",
        "--payment",
    ]
    done = CliRunner().invoke(app, arguments, input=RAW.format(1) + "\n")
    assert done.exit_code == 0, done.output
    assert f"sub-{who['good']}: raw identifiers erased" in done.output
    assert "foolscan online export" in done.output


def test_the_snapshot_is_of_one_moment(tmp_path: Path):
    study, folder = crop_study(tmp_path, per_list=5)
    with opened(study, folder) as crowd:
        take_part(crowd, "first")
        reading = connect_reading(database_of(study, folder))
        with reading.begin() as connection:
            before = everybody(connection)
            take_part(crowd, "second")
            assert everybody(connection) == before
            assert cut_off(connection) is None
        with reading.begin() as connection:
            assert len(everybody(connection)) == 2
            assert connection.execute(text("SELECT count(*) FROM facts WHERE name = 'exported_head'")).scalar_one() == 0
        reading.dispose()
