"""At a desk: self-paced trials with jitter and mask or free viewing, a rating after each answer, events in beh/."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiment_study import fill, small_study, stimuli_of
from hypothesis import given, settings
from hypothesis import strategies as st

from experiment.bids import validate
from experiment.compiler import compile_timeline
from experiment.drawings import Mask, Picture, Rating
from experiment.journal import read_journal
from experiment.run import RunResult, run
from experiment.stage import HashingStage
from experiment.timeline import Timeline
from protocols.checks import check
from protocols.folder import RunId, StudyFolder
from protocols.rig import load_rig
from protocols.screens import MaskPlan
from protocols.session import record_for
from protocols.study import Study, load_study

WINDOW_OF = "desk"  # whose task the window of `conftest` is for
RUN = RunId("01", "01", "animals", 1)
DESK = """    pace: self_paced
    blank_jitter_s: 0.5
    confidence:
      question: {en: "How sure?", de: "Wie sicher?"}
      labels: {en: [guess, unsure, sure], de: [geraten, unsicher, sicher]}
      buttons: ["1", "2", "3"]
      timeout_s: 3.0
"""
BRIEF = "    image_s: 0.1\n    mask: {duration_s: 0.2, delay_s: 0.05}\n"
FREE = "    image_until_response: true\n"


def desk_study(folder: Path, how: str = "") -> Study:
    """The small study, self-paced and rated; `how` adds keys to its task, or replaces them."""
    small_study(folder)
    path = folder / "small.yaml"
    replaced = tuple(line.partition(":")[0] + ":" for line in how.splitlines())
    kept = [
        line for line in path.read_text(encoding="utf-8").splitlines() if not (replaced and line.startswith(replaced))
    ]
    path.write_text("\n".join([*kept, DESK + how]), encoding="utf-8")
    return load_study(path)


def plan(study: Study, run_number: int = 1) -> Timeline:
    record = record_for(study, "01", "01", "animals", rehearsal=True)
    run_id = RunId("01", "01", "animals", run_number)
    return compile_timeline(study, load_rig("rehearsal"), record, stimuli_of(4), run_id)


def played(tmp_path: Path, how: str, **more: Any) -> tuple[RunResult, list[dict[str, str]], StudyFolder]:
    study, rig = desk_study(tmp_path, how), load_rig("rehearsal")
    folder = fill(tmp_path / "study", study, rig)
    result = run(study, rig, folder.root, RUN, stage=more.pop("stage", "null"), **more)
    with result.events.open(encoding="utf-8", newline="") as lines:
        return result, list(csv.DictReader(lines, delimiter="\t")), folder


@pytest.mark.parametrize("rig", ["desk", "rehearsal"])
def test_the_study_that_comes_with_foolscan_fits_its_rig(rig: str):
    assert check(load_study("desk"), load_rig(rig)).problems == ()


def test_a_self_paced_task_is_refused_where_a_scanner_is_waited_for():
    (problem,) = [
        found for found in check(load_study("desk"), load_rig("scanner_example")).problems if "pace" in found.key
    ]
    assert problem.key == "tasks.animals.pace"


def test_jitter_is_drawn_anew_for_every_trial_and_run_within_its_range_and_is_reproducible(tmp_path: Path):
    study = desk_study(tmp_path)
    blanks = {}
    for number in (1, 2):
        images = [row for row in plan(study, number).trials if row.stim_id]
        blanks[number] = [row.onset_s for row in images]
        assert all(1.0 <= blank_s <= 1.5 for blank_s in blanks[number])
        assert len(set(blanks[number])) == 12
        assert blanks[number] == [row.onset_s for row in plan(study, number).trials if row.stim_id]
    assert blanks[1] != blanks[2]


def test_jitter_in_a_scanner_makes_the_longest_run_that_has_to_fit(tmp_path: Path):
    study = small_study(tmp_path, more="    blank_jitter_s: 1.0\n")
    assert study.tasks["animals"].run_s == 34 + 12 * 1.0
    record = record_for(study, "01", "01", "animals", rehearsal=True)
    timeline = compile_timeline(study, load_rig("rehearsal"), record, stimuli_of(4), RUN)
    gaps = np.diff([row.onset_s for row in timeline.trials if row.stim_id])
    assert gaps.min() >= 2.0
    assert len({round(float(gap), 6) for gap in gaps}) > 8
    short = small_study(tmp_path, scan="{tr_s: 1.0, volumes: 40}", more="    blank_jitter_s: 1.0\n")
    assert "scan.volumes" in [problem.key for problem in check(short).problems]


def test_a_brief_image_is_followed_by_its_mask_and_the_answer_ends_the_trial(tmp_path: Path):
    result, events, _ = played(tmp_path, BRIEF)
    journal = read_journal(result.journal)
    flips = [flip for flip in journal.of("flip") if "shows" in flip]
    for image, blank, mask, after in zip(flips, flips[1:], flips[2:], flips[3:], strict=False):
        if image["shows"].startswith("picture"):
            stim_id = image["shows"].removeprefix("picture ")
            assert blank["t_s"] - image["t_s"] == pytest.approx(0.1, abs=1e-5)
            assert mask["shows"] == Mask(stim_id).name
            assert mask["t_s"] - image["t_s"] == pytest.approx(0.15, abs=1e-5)
            assert after["t_s"] - mask["t_s"] == pytest.approx(0.2, abs=1e-5)
    answered = [row for row in events if row["response"] != "n/a"]
    begins = {record["name"]: record["t_s"] for record in journal.of("segment")}
    onsets = {flip["shows"]: flip["t_s"] for flip in flips}
    for row in answered:
        pressed_s = onsets[f"picture {row['stim_id']}"] + float(row["response_time"])
        assert 0 <= begins[f"confidence {row['trial']}"] - pressed_s <= 3 / 60
        assert row["duration"] == "0.1"


@pytest.mark.parametrize("window_s", [0.5, 0.01])
def test_a_response_window_shorter_than_the_image_cuts_no_image_off(tmp_path: Path, window_s: float):
    _, rows, _ = played(tmp_path, f"    response_window_s: {window_s}\n")
    assert len(rows) == 14
    assert {float(row["duration"]) for row in rows if row["trial_type"] != "blank"} == {1.0}


def test_in_free_viewing_the_image_stays_until_the_answer_or_the_time_out(tmp_path: Path):
    _, events, _ = played(tmp_path, FREE + "    response_window_s: 0.7\n")
    images = [row for row in events if row["stim_id"] != "n/a"]
    assert {row["response"] == "n/a" for row in images} == {True, False}
    for row in images:
        if row["response"] == "n/a":
            assert float(row["duration"]) == pytest.approx(0.7, abs=1 / 60)
        else:
            assert 0 <= float(row["duration"]) - float(row["response_time"]) <= 3 / 60


def test_a_rating_follows_every_answer_and_stands_in_the_events(tmp_path: Path):
    result, events, folder = played(tmp_path, BRIEF)
    assert result.events.parent.name == "beh"
    assert result.certificate.passed
    rated = [row for row in events if row["confidence"] != "n/a"]
    answered = [row for row in events if row["response"] != "n/a"]
    assert len(rated) >= 10
    assert {row["trial"] for row in rated} <= {row["trial"] for row in answered}
    assert {row["confidence"] for row in rated} <= {"1", "2", "3"}
    assert all(0 < float(row["confidence_time"]) < 3 for row in rated)
    assert all(row["late_presses"] == row["extra_presses"] == "0" for row in events)
    sidecar = json.loads(result.events.with_suffix(".json").read_text(encoding="utf-8"))
    assert sidecar["confidence"]["Levels"] == {"1": "guess", "2": "unsure", "3": "sure"}
    assert sidecar["confidence_time"]["Units"] == "s"
    assert validate(folder.root).errors == ()


def test_onsets_are_those_planned_from_each_trials_own_beginning(tmp_path: Path):
    _, events, _ = played(tmp_path, BRIEF)
    for row in events:
        assert float(row["onset"]) == pytest.approx(float(row["planned_onset"]), abs=0.5 / 60 + 1e-5)
        assert row["expected_volume"] == "n/a"


def test_the_same_session_twice_gives_the_same_bytes(tmp_path: Path):
    texts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        result, _, _ = played(tmp_path / name, BRIEF)
        texts.append((result.events.read_bytes(), result.journal.read_bytes(), result.timeline.read_bytes()))
    assert texts[0] == texts[1]


def test_in_a_real_window_image_mask_and_scale_are_what_was_planned(window: Any, tmp_path: Path):
    hashing = HashingStage(window)
    result, events, _ = played(tmp_path, BRIEF, stage=hashing)
    journal = read_journal(result.journal)
    seen: dict[str, set[str]] = {}
    shows = ""
    for flip, sha256 in zip(journal.of("flip"), hashing.hashes, strict=True):
        shows = flip.get("shows", shows)
        seen.setdefault(shows, set()).add(sha256)
    assert all(len(hashes) == 1 for hashes in seen.values())  # nothing moved while it was shown
    drawn = {kind: {name for name in seen if name.startswith(kind)} for kind in ("picture", "mask", "rating")}
    assert len(drawn["picture"]) == len(drawn["mask"]) == 12
    assert len(set.union(*seen.values())) == len(seen)  # all of them differ
    assert {Picture(row["stim_id"]).name for row in events if row["stim_id"] != "n/a"} == drawn["picture"]
    assert Rating(("1 guess", "2 unsure", "3 sure"), None, "How sure?").name in drawn["rating"]


KEYS_RIG = """format: 1
name: keys
display: {width_mm: 400.0, distance_mm: 800.0, size_px: [1024, 768], refresh_hz: 60.0, full_screen: false}
trigger: {kind: start_key, key: space}
buttons: {kind: keyboard, keys: {left: f, right: j, "1": "1", "2": "2", "3": "3"}}
"""
INTRODUCED = """    lead_in_s: 0.2
    lead_out_s: 0.1
    blank_s: 0.2
    blank_jitter_s: 0.1
    blank_trial_s: 0.2
    image_s: 0.1
    screens:
      instructions: {en: ["Press {animal}."], de: ["Drücken Sie {animal}."]}
"""


def journal_has(folder: StudyFolder, text: str) -> bool:
    return any(text in path.read_text(encoding="utf-8") for path in folder.journals.glob("*.jsonl"))


def type_keys(folder: StudyFolder, done: threading.Event) -> None:
    """A participant who reads, tries the start key too early, starts, and then answers whatever comes."""
    end_s = time.monotonic() + 60

    def key(name: str) -> None:
        subprocess.run(["xdotool", "key", name], timeout=10, check=True)

    for seen, keys in (
        ("instructions 1", ("space", "1", "f")),
        ("button test", ("j", "f", "j", "f")),
        ("waiting", ("space",)),
    ):
        while not journal_has(folder, f'"{seen}' if seen != "button test" else '"button test'):
            if time.monotonic() > end_s or done.is_set():
                return
            time.sleep(0.02)
        for name in keys:
            time.sleep(0.25)
            key(name)
    while not done.is_set() and time.monotonic() < end_s:
        for name in ("f", "2"):
            key(name)
            time.sleep(0.15)


def test_a_person_at_the_keyboard_goes_through_a_whole_session(window: Any, tmp_path: Path):
    if shutil.which("xdotool") is None:
        pytest.skip("xdotool is not installed: keys cannot be pressed from outside")
    (tmp_path / "keys.yaml").write_text(KEYS_RIG, encoding="utf-8")
    study = desk_study(tmp_path, INTRODUCED.replace("    blank_jitter_s: 0.1\n", ""))
    rig = load_rig(tmp_path / "keys.yaml")
    folder = fill(tmp_path / "people", study, rig)
    done = threading.Event()
    typist = threading.Thread(target=type_keys, args=(folder, done))
    typist.start()
    try:
        result = run(study, rig, folder.root, RUN, stage=window)
    finally:
        done.set()
        typist.join()
    journal = read_journal(result.journal)
    names = [record["name"] for record in journal.of("segment")]
    assert names[0] == "instructions 1"
    assert names.index("lead-in") > names.index("button test not_animal")
    assert len(journal.of("pulse")) == 1  # the start key counts only when it is waited for
    assert journal.header["rehearsal"] is False
    with result.events.open(encoding="utf-8", newline="") as lines:
        events = [row for row in csv.DictReader(lines, delimiter="\t") if row["stim_id"] != "n/a"]
    assert result.events.parent.name == "beh"
    assert len(events) == 12
    assert {row["button"] for row in events} <= {"left", "2"}
    assert {row["confidence"] for row in events} <= {"2", "n/a"}
    assert sum(row["confidence"] == "2" for row in events) >= 6
    assert validate(folder.root).errors == ()


@settings(max_examples=60)
@given(
    hz=st.sampled_from([59.94, 60.0, 75.0, 85.0, 100.0, 120.0, 143.9]),
    image_s=st.floats(0.02, 0.5),
    mask_s=st.floats(0.02, 0.5),
    blank_s=st.floats(0.0, 1.0),
    paced=st.booleans(),
)
def test_at_any_refresh_the_mask_follows_the_image_without_a_gap_or_an_overlap(
    hz: float, image_s: float, mask_s: float, blank_s: float, paced: bool
):
    study, rig = load_study("desk"), load_rig("rehearsal")
    rig = rig.model_copy(update={"display": rig.display.model_copy(update={"refresh_hz": hz})})
    plain = study.tasks["animals"]
    times = {"image_s": image_s, "mask": MaskPlan(duration_s=mask_s), "blank_s": blank_s + mask_s}
    task = plain.model_copy(update={**times, "pace": "self_paced" if paced else "fixed", "stimulus_trials": 12})
    study = study.model_copy(update={"tasks": {"animals": task}})
    record = record_for(study, "01", "01", "animals", rehearsal=True)
    timeline = compile_timeline(study, rig, record, stimuli_of(4), RUN)
    for segment in timeline.segments:
        for image, mask in pairwise(segment.rows):
            if mask.trial_type == "mask":
                assert mask.frame == image.frame + image.n_frames
                assert abs(mask.n_frames / hz - mask_s) <= 0.5 / hz + 1e-9
            if image.stim_id:
                assert abs(image.frame / hz - image.onset_s) <= 0.5 / hz + 1e-9
