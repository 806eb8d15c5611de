"""A visit's record is taken as it was written, or refused with one message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from protocols.folder import StudyFolder
from protocols.problems import FoolscanError
from protocols.session import open_session
from protocols.study import Study, load_study
from protocols.study_versions import changes, keys_of


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("button_of_answer", "left", "button_of_answer: found 'left'"),
        ("button_of_answer", {"animal": "left", "not_animal": "left"}, "task animals has answers animal, not_animal"),
        ("button_of_answer", {"same": "left", "different": "right"}, "Use a new --ses for another task"),
        ("order_seed", "many", "order_seed: found 'many'"),
        ("language", "xx", "task animals has en, de"),
        ("sub_", "01", "sub_"),
    ],
)
def test_a_record_that_is_not_this_tasks_is_refused(tmp_path: Path, key: str, value: Any, said: str):
    study, folder = load_study("demo"), StudyFolder(tmp_path)
    assert open_session(folder, study, "01", "01", "animals", rehearsal=True) == open_session(
        folder, study, "01", "01", "animals", rehearsal=True
    )
    path = folder.session_record("01", "01")
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {key: value}), encoding="utf-8")
    with pytest.raises(FoolscanError, match=said):
        open_session(folder, study, "01", "01", "animals", rehearsal=True)


def changed(tmp_path: Path, text: str) -> Study:
    path = tmp_path / "changed.yaml"
    path.write_text(f"format: 1\nextends: demo\n{text}\n", encoding="utf-8")
    return load_study(path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("title: Another title", "title"),
        ("reference: Somebody, 2026", "reference"),
        ("tasks: {animals: {instructions: {en: Please begin}}}", "tasks.animals.instructions.en"),
        ("tasks: {animals: {screens: {pause: {en: Have a rest}}}}", "tasks.animals.screens.pause.en"),
        ("tasks: {animals: {question: Animal or thing}}", "tasks.animals.question"),
        ("analysis: {bootstrap: {resamples: 200}}", "analysis.bootstrap.resamples"),
        ("design: {subjects: 9}", "design.subjects"),
    ],
)
def test_a_visit_goes_on_when_texts_or_the_analysis_have_changed_and_says_so(tmp_path: Path, text: str, key: str):
    folder, told = StudyFolder(tmp_path), list[str]()
    record = open_session(folder, load_study("demo"), "01", "01", "animals", rehearsal=True)
    again = open_session(folder, changed(tmp_path, text), "01", "01", "animals", rehearsal=True, warn=told.append)
    assert again == record  # with the hash of the study as it was
    (warning,) = told
    assert key in warning


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("seed: 99", "seed"),
        ("design: {runs: 7}", "design.runs"),
        ("tasks: {animals: {image_s: 1.5}}", "tasks.animals.image_s"),
        ("tasks: {animals: {order: {source_distance: 2}}}", "tasks.animals.order.source_distance"),
        ("tasks: {animals: {response_window_s: 1.5}}", "tasks.animals.response_window_s"),
        ("tasks: {animals: {practice: {trials: 3}}}", "tasks.animals.practice.trials"),
        ("scan: {tr_s: 1.5}", "scan.tr_s"),
    ],
)
def test_a_visit_is_refused_when_what_it_consists_of_has_changed(tmp_path: Path, text: str, key: str):
    folder = StudyFolder(tmp_path)
    open_session(folder, load_study("demo"), "01", "01", "animals", rehearsal=True)
    with pytest.raises(FoolscanError, match=rf"another version of study 'demo' \(changed: {key}\); finish it"):
        open_session(folder, changed(tmp_path, text), "01", "01", "animals", rehearsal=True)


def test_a_record_of_an_earlier_release_knows_only_the_hash_of_its_study(tmp_path: Path):
    folder, study = StudyFolder(tmp_path), load_study("demo")
    open_session(folder, study, "01", "01", "animals", rehearsal=True)
    path = folder.session_record("01", "01")
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["study_keys"]
    path.write_text(json.dumps(data), encoding="utf-8")
    assert open_session(folder, study, "01", "01", "animals", rehearsal=True).study_keys == {}
    with pytest.raises(FoolscanError, match="another version of study 'demo'; finish it"):
        open_session(folder, changed(tmp_path, "title: Another"), "01", "01", "animals", rehearsal=True)


def test_what_is_left_out_is_as_what_is_written_with_the_same_value(tmp_path: Path):
    before, same = load_study("demo"), changed(tmp_path, "scan: {dummies: {volumes: 0}}")
    assert changes(keys_of(before), same) == changes(keys_of(before), before)
