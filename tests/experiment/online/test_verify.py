"""Whatever is done to the database or to exported files with an editor, `foolscan online verify` names it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from finished_crowd import RAW, opened, small_crowd, take_part, tampered
from online_study import Clock, answers_to, crop_study, joined

from experiment.online.database import connect
from experiment.online.erase import erase
from experiment.online.export import export
from experiment.online.messages import Answers
from experiment.online.verify import verify
from protocols.problems import NotReady, WorkWanting

OF = "(SELECT session FROM sessions WHERE worker = '{}')"


@pytest.fixture
def crowd(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    export(study, folder)
    return study, folder, who


def said(study, folder) -> str:
    return "\n".join(f"{finding.check}: {finding.said}" for finding in verify(study, folder).findings)


def test_what_was_written_verifies(crowd):
    study, folder, _ = crowd
    found = verify(study, folder)
    assert found.findings == ()
    assert found.notes == ()
    assert (found.people, found.erased) == (6, 0)
    assert found.answers == 3 * 7 + 2 * 3


def test_it_verifies_without_an_export_too(tmp_path: Path):
    study, folder, _ = small_crowd(tmp_path)
    assert verify(study, folder).findings == ()


def test_before_anybody_came_it_says_what_to_do(tmp_path: Path):
    study, folder = crop_study(tmp_path)
    with pytest.raises(NotReady, match="foolscan online serve"):
        verify(study, folder)


def test_answers_that_came_since_are_no_fault(tmp_path: Path):
    study, folder = crop_study(tmp_path, per_list=4)
    clock = Clock()
    with opened(study, folder, clock) as opened_crowd:
        take_part(opened_crowd, "first")
        person = joined(opened_crowd, "second")
        answers = answers_to(opened_crowd, person.session_state)
        opened_crowd.hold(person.token, Answers(answers=answers[:2])).result()
        export(study, folder)
        clock.move(5)
        opened_crowd.hold(person.token, Answers(answers=answers[2:])).result()
        joined(opened_crowd, "third")
        found = verify(study, folder)  # while it is served
    assert found.findings == ()
    assert found.notes == ("5 answered trials came after the last export (export again: foolscan online export)",)


def test_somebody_who_withdrew_since_is_no_fault(tmp_path: Path):
    study, folder = crop_study(tmp_path, per_list=4)
    with opened(study, folder) as opened_crowd:
        take_part(opened_crowd, "first")
        person = joined(opened_crowd, "second")
        opened_crowd.hold(person.token, Answers(answers=answers_to(opened_crowd, person.session_state)[:2])).result()
        export(study, folder)
        opened_crowd.withdraw(person.token, False).result()
    assert verify(study, folder).findings == ()


def test_a_changed_answer(crowd):
    study, folder, _who = crowd
    tampered(
        folder, "UPDATE responses SET content = replace(content, '\"rt_ms\":700.0', '\"rt_ms\":900.0') WHERE place = 9"
    )
    found = said(study, folder)
    assert "chain: answer 9: its content is not the one that was committed to" in found
    assert "triggers" in found
    assert re.search(r"export: .*crops\.tsv.*rt_s: exported '0\.7', the database has '0\.9'", found)


def test_a_trigger_that_does_nothing_any_more(crowd):
    study, folder, _ = crowd
    engine = connect(folder.derived("online") / "crops.sqlite3")
    with engine.begin() as connection:
        name = (
            connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'workers'")
            .scalars()
            .first()
        )
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql(f"CREATE TRIGGER {name} BEFORE UPDATE ON workers WHEN 0 BEGIN SELECT 1; END")
    engine.dispose()
    assert "1 of" in said(study, folder)
    assert "taken out or changed" in said(study, folder)
    assert "1 triggers are not foolscan's" in said(study, folder)


@pytest.mark.parametrize("name", ["x/../../../../out", "a b", "", "ä"])
def test_a_name_that_is_no_pseudonym_names_no_file(crowd, name: str):
    study, folder, who = crowd
    tampered(
        folder,
        "PRAGMA defer_foreign_keys = ON",
        *(
            f"UPDATE {table} SET worker = '{name}' WHERE worker = '{who['good']}'"
            for table in ("workers", "sessions", "seen", "payments")
        ),
    )
    assert f"database: {name!r}: no pseudonym" in said(study, folder)
    before = set(folder.root.parent.rglob("*"))
    with pytest.raises(WorkWanting, match="no pseudonym"):
        export(study, folder)
    assert set(folder.root.parent.rglob("*")) == before


def test_a_changed_answer_with_its_commitment_made_anew(crowd):
    from experiment.online import chain

    study, folder, _ = crowd
    content = '{"given":[],"hidden":false}'
    tampered(
        folder,
        f"UPDATE responses SET content = '{content}', salt = '00', commitment = '{chain.commitment('00', content)}' WHERE place = 9",
    )
    found = said(study, folder)
    assert "chain: answer 9: its link does not follow" in found
    assert "content: answer 9 of the database" in found


def test_a_removed_row(crowd):
    study, folder, _who = crowd
    tampered(folder, "DELETE FROM responses WHERE place = 10")
    found = said(study, folder)
    assert "chain: answer 10: it is missing" in found
    assert "answers: sub-" in found
    assert "7 answers were acknowledged, and trials 3 are missing" in found


def test_swapped_rows(crowd):
    study, folder, _ = crowd
    tampered(
        folder,
        "UPDATE responses SET place = 1000 WHERE place = 3",
        "UPDATE responses SET place = 3 WHERE place = 4",
        "UPDATE responses SET place = 4 WHERE place = 1000",
    )
    found = said(study, folder)
    assert "chain: answer 3: its link does not follow from the one before" in found
    assert "chain: answer 4: its link does not follow from the one before" in found


def test_swapped_contents(crowd):
    study, folder, _ = crowd
    swap = "(SELECT content FROM responses WHERE place = {}), salt = (SELECT salt FROM responses WHERE place = {})"
    tampered(
        folder,
        "CREATE TABLE kept AS SELECT * FROM responses WHERE place = 3",
        "UPDATE responses SET content = " + swap.format(4, 4) + " WHERE place = 3",
        "UPDATE responses SET content = (SELECT content FROM kept), salt = (SELECT salt FROM kept) WHERE place = 4",
        "DROP TABLE kept",
    )
    found = said(study, folder)
    assert "chain: answer 3: its content is not the one" in found
    assert "answers: sub-" in found
    assert "stands as that to trial 3" in found


@pytest.mark.parametrize("with_counts", [False, True])
def test_a_truncated_end(crowd, with_counts: bool):
    study, folder, who = crowd
    statements = ["DELETE FROM responses WHERE place > 21"]
    if with_counts:  # by somebody who knows the tables: only what was exported tells
        gone = ",".join(f"'{who[kind]}'" for kind in ("active", "withdrawn", "joined"))
        of = f"(SELECT session FROM sessions WHERE worker IN ({gone}))"
        statements += [
            f"DELETE FROM {table} WHERE session IN {of}" for table in ("trials", "seen", "happenings", "flags")
        ]
        statements += [
            "UPDATE lists SET given = given - (SELECT count(*) FROM sessions WHERE sessions.list_id = lists.list_id "
            f"AND worker IN ({gone}))",
            f"DELETE FROM sessions WHERE worker IN ({gone})",
            f"DELETE FROM payments WHERE worker IN ({gone})",
            f"DELETE FROM workers WHERE worker IN ({gone})",
        ]
    tampered(folder, *statements)
    found = said(study, folder)
    assert "chain: 27 answers had been exported, and the chain has 21: its end was cut off" in found
    if not with_counts:
        assert "3 answers were acknowledged, and trials 1, 2, 3 are missing" in found


def test_a_truncated_end_is_seen_by_the_table_too(crowd):
    study, folder, _ = crowd
    tampered(folder, "DELETE FROM responses WHERE place > 21", "DELETE FROM facts WHERE name = 'exported_head'")
    assert "crops.tsv: 27 answers had been exported, and the chain has 21" in said(study, folder)


def test_a_changed_seed(crowd):
    study, folder, who = crowd
    tampered(folder, f"UPDATE sessions SET seed = seed + 1 WHERE worker = '{who['good']}'")
    assert f"seeds: sub-{who['good']}: found seed" in said(study, folder)


def test_a_changed_assignment(crowd):
    study, folder, who = crowd
    tampered(
        folder,
        "UPDATE trials SET item_id = 'another' WHERE kind = 'main' AND trial = (SELECT min(trial) FROM trials WHERE kind = 'main') "
        f"AND session = {OF.format(who['joined'])}",
    )
    assert f"seeds: sub-{who['joined']}, trial 2: found ('main', 'another', None)" in said(study, folder)


def test_somebody_excluded_who_counts(crowd):
    study, folder, who = crowd
    tampered(folder, f"UPDATE sessions SET counted = 1 WHERE worker = '{who['excluded']}'")
    assert f"rules: sub-{who['excluded']}: counted, and excluded for attention_failures" in said(study, folder)


def test_an_exclusion_that_was_taken_away(crowd):
    study, folder, who = crowd
    tampered(folder, f"UPDATE sessions SET counted = 1, excluded_for = NULL WHERE worker = '{who['excluded']}'")
    found = said(study, folder)
    assert (
        f"rules: sub-{who['excluded']}: excluded for nothing, expected attention_failures by the study's rules" in found
    )
    assert "counted: exported 'false', the database has 'true'" in found


def test_somebody_who_is_excluded_by_no_rule(crowd):
    study, folder, who = crowd
    tampered(folder, f"UPDATE sessions SET counted = 0, excluded_for = 'disliked' WHERE worker = '{who['good']}'")
    assert f"rules: sub-{who['good']}: excluded for disliked, expected nothing" in said(study, folder)


def test_more_counted_than_were_wanted(tmp_path: Path):
    study, folder = crop_study(tmp_path, per_list=2)
    with opened(study, folder) as opened_crowd:
        for number in range(4):
            take_part(opened_crowd, f"person {number}")
    tampered(
        folder,
        "UPDATE sessions SET list_id = 'fragile', place = place + 2 WHERE list_id = 'altered'",
        "UPDATE lists SET given = 4 WHERE list_id = 'fragile'",
        "UPDATE lists SET given = 0 WHERE list_id = 'altered'",
    )
    assert "counts: list fragile: 4 are counted, and 2 were wanted" in said(study, folder)


def test_somebody_unfinished_who_counts(crowd):
    study, folder, who = crowd
    tampered(folder, f"UPDATE sessions SET counted = 1 WHERE worker = '{who['active']}'")
    assert f"rules: sub-{who['active']}: counted, and unfinished" in said(study, folder)
    tampered(folder, f"UPDATE sessions SET state = 'finished' WHERE worker = '{who['active']}'")
    assert f"answers: sub-{who['active']}: finished, with 3 of 7 trials" in said(study, folder)


def test_an_invented_person(crowd):
    study, folder, who = crowd
    tampered(
        folder,
        "INSERT INTO workers VALUES ('zzzzzzzzzzzz', 'link', 1)",
        "INSERT INTO sessions SELECT 'abc', 'zzzzzzzzzzzz', list_id, 99, seed, 'hash', language, state, counted, excluded_for, "
        f"surplus, n_trials, n_held, joined_ms, heard_ms, lease_until_ms, ended_ms FROM sessions WHERE worker = '{who['good']}'",
    )
    found = said(study, folder)
    assert "sub-zzzzzzzzzzzz: 7 answers were acknowledged, and trials 1, 2, 3, 4, 5, 6, 7 are missing" in found
    assert "seeds: sub-zzzzzzzzzzzz: found seed" in found
    assert "counts: list" in found


def test_an_erasure_without_a_tombstone_and_the_reverse(crowd):
    study, folder, _who = crowd
    tampered(
        folder,
        "UPDATE responses SET content = NULL, salt = NULL WHERE place = 2",
        "INSERT INTO erased VALUES (5, 1, 'no')",
    )
    found = said(study, folder)
    assert "answer 2: its content is gone, and no tombstone says why" in found
    assert "answer 5: a tombstone says that it was erased, and its content is there" in found
    assert "1 answers are erased, and the session is not" in found


def test_what_was_erased_verifies_once_it_is_exported_again(crowd):
    study, folder, who = crowd
    erase(study, folder, f"sub-{who['good']}", answers=True, payment=True, now_ms=Clock())
    found = said(study, folder)
    assert f"sub-{who['good']}: erased, and still in the exported tables" in found
    assert "of somebody whose answers were erased" in found
    export(study, folder)
    again = verify(study, folder)
    assert (again.findings, again.erased) == ((), 7)


@pytest.mark.parametrize("table", ["crops.tsv", "crops_sessions.tsv"])
def test_a_changed_table(crowd, table: str):
    study, folder, _who = crowd
    path = folder.derived("answers") / table
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("\tfalse\t", "\ttrue\t", 1), encoding="utf-8")
    found = said(study, folder)
    assert f"export: {path}: was changed after it was exported" in found
    assert "exported 'true', the database has 'false'" in found


def test_a_changed_table_with_its_sidecar_made_anew(crowd):
    from protocols.provenance import sha256_of

    study, folder, _ = crowd
    path = folder.derived("answers") / "crops.tsv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:5], *lines[6:]]) + "\n", encoding="utf-8")
    sidecar = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    sidecar["foolscan"]["sha256"] = sha256_of(path)
    path.with_suffix(".json").write_text(json.dumps(sidecar), encoding="utf-8")
    assert "1 answers are lacking that were exported" in said(study, folder)


def test_changed_and_missing_behaviour(crowd):
    study, folder, who = crowd
    path = folder.root / f"sub-{who['good']}" / "beh" / f"sub-{who['good']}_task-crops_beh.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace("0.7", "0.4", 1), encoding="utf-8")
    assert f"export: {path}:2: not what the database has" in said(study, folder)
    path.unlink()
    assert f"export: {path}: was exported, and is missing" in said(study, folder)
    stranger = folder.root / "sub-nobody" / "beh" / "sub-nobody_task-crops_beh.tsv"
    stranger.parent.mkdir(parents=True)
    stranger.write_text("trial\n1\n", encoding="utf-8")
    assert f"export: {stranger}: of somebody whom the database does not know" in said(study, folder)


def test_changed_images(crowd):
    study, folder, _ = crowd
    shown = sorted((folder.stimuli / "crops").glob("*.png"))
    for path in shown:
        path.write_bytes(path.read_bytes() + b" ")
    assert "not the image that the table of images tells of" in said(study, folder)
    for path in shown:
        path.unlink()
    assert "images: " in said(study, folder)
    assert "missing" in said(study, folder)


def test_a_damaged_file(crowd):
    study, folder, _ = crowd
    path = folder.derived("online") / "crops.sqlite3"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(bytes(content))
    for beside in (path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        beside.unlink(missing_ok=True)
    assert "database: " in said(study, folder) or "study: " in said(study, folder)


def test_another_study_file(crowd, tmp_path: Path):
    _study, folder, _ = crowd
    (tmp_path / "elsewhere").mkdir()
    other, _ = crop_study(tmp_path / "elsewhere", per_list=3, more="  exclusions: {attention_failures: 0}\n")
    assert "study: " in said(other, folder)
    assert "exclusions" in said(other, folder)


def test_raw_identifiers_are_not_told(crowd):
    study, folder, _ = crowd
    tampered(folder, "DELETE FROM responses WHERE place > 3")
    assert RAW.format(1)[:6] not in said(study, folder)
