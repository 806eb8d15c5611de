"""The operator's view of a run: any beginning of a journal gives a state, and the whole of it agrees with the events."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from experiment_study import fill, small_study
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from experiment.events import events_of
from experiment.faults import faults_of
from experiment.journal import read_journal
from experiment.operator.alerts import alerts
from experiment.operator.big_digits import PIXELS, big
from experiment.operator.follow import Follower, newest_journal
from experiment.operator.state import RunState, after, at_start, fold
from experiment.operator.view import LiveView, plain_line
from experiment.run import run
from protocols.folder import RunId, StudyFolder
from protocols.rig import load_rig

FROZEN = Path(__file__).parent.parent / "formats" / "v1" / "journal.jsonl"
LINES = FROZEN.read_text(encoding="utf-8").splitlines()
RECORDS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
HEADER, AFTER_HEADER = RECORDS[0], RECORDS[1:]


def up_to(t_s: float, records: list[dict[str, Any]] = RECORDS) -> RunState:
    return fold(record for record in records if record.get("t_s", 0.0) <= t_s)


def valid(state: RunState) -> None:
    """What holds of every state."""
    n_trials = state.plan.n_trials if state.plan else 0
    assert 0 <= state.trial <= n_trials
    assert len(state.images) <= n_trials
    assert 0 <= state.missed <= len(state.images) - state.answered
    assert 0 <= state.left_s <= (state.plan.length_s if state.plan else 0.0)
    assert set(state.accuracy) <= {"RE", "AI"}
    assert all(0 <= right <= of for right, of in state.accuracy.values())
    assert all(alert.text for alert in alerts(state))


def drawn(state: RunState, width: int = 110, height: int = 40, **more: Any) -> str:
    console = Console(width=width, height=height)
    with console.capture() as capture:
        console.print(LiveView(state, **more))
    return capture.get()


@given(st.integers(0, len(RECORDS)))
def test_any_beginning_of_a_journal_gives_a_valid_state(length: int):
    valid(fold(RECORDS[:length]))


def test_every_beginning_can_be_drawn_and_said():
    state = at_start
    for record in RECORDS:
        state = after(state, record)
        assert plain_line(state).isascii()
    assert "COMPLETE" in drawn(state)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(AFTER_HEADER), max_size=60), st.booleans())
def test_records_in_any_order_with_or_without_a_header_give_a_valid_state(records: list[dict], headed: bool):
    state = fold([HEADER, *records] if headed else records)
    valid(state)
    drawn(state)


SCRAPS = st.dictionaries(
    st.sampled_from(["kind", "t_s", "row", "shows", "lost", "what", "button", "n", "status", "mode", "name"]),
    st.one_of(st.sampled_from([record["kind"] for record in RECORDS]), st.none(), st.integers(), st.text(max_size=5)),
)


@given(st.lists(SCRAPS, max_size=20))
def test_scraps_of_records_change_nothing_that_matters(scraps: list[dict]):
    valid(fold(scraps, fold([HEADER])))


def agrees_with_the_events(path: Path) -> RunState:
    journal = read_journal(path)
    events = [event for event in events_of(journal) if event.stim_id is not None]
    state = fold([journal.header, *journal.records])
    judged = Counter(event.trial_type for event in events if event.correct is not None)
    right = Counter(event.trial_type for event in events if event.correct)
    assert state.accuracy == {name: (right[name], of) for name, of in judged.items()}
    assert state.answered == sum(event.response_time is not None for event in events)
    assert state.missed == len(events) - state.answered
    assert [trial.response for trial in state.images] == [event.response for event in events]
    assert [trial.late for trial in state.images] == [event.late_presses for event in events]
    assert [trial.extra for trial in state.images] == [event.extra_presses for event in events]
    for trial, event in zip(state.images, events, strict=True):
        assert trial.response_time_s == pytest.approx(event.response_time, abs=2e-6)
    return state


def test_the_whole_journal_says_what_the_events_say():
    state = agrees_with_the_events(FROZEN)
    assert (state.phase, state.trial, state.left_s) == ("complete", 14, 0.0)
    assert (state.pulses.seen, state.tr_s, state.frames_dropped) == (60, pytest.approx(1.0), 2)


RATED = """    pace: self_paced
    confidence:
      labels: {en: [guess, unsure, sure]}
      buttons: ["1", "2", "3"]
      timeout_s: 3.0
"""


@pytest.mark.parametrize("more", ["", RATED], ids=["scanner", "rated at a desk"])
@pytest.mark.parametrize("fault", [[], ["button-storm=3"]], ids=["calm", "storm"])
def test_and_so_does_every_kind_of_task_even_in_a_storm_of_presses(tmp_path: Path, more: str, fault: list[str]):
    study = small_study(tmp_path, more=more)
    rig = load_rig("rehearsal")
    folder = fill(tmp_path / "study", study, rig)
    result = run(study, rig, folder.root, RunId("01", "01", "animals", 1), stage="null", faults=faults_of(fault))
    state = agrees_with_the_events(result.journal)
    assert state.phase == "complete"
    valid(state)


def test_an_an_has_no_correct_answer_and_is_not_counted():
    assert "AN" not in fold(RECORDS).accuracy
    assert any(trial.trial_type == "AN" and trial.response is not None for trial in fold(RECORDS).images)


def test_before_the_first_pulse_the_scanner_is_waited_for():
    state = fold(RECORDS[:3])
    assert (state.phase, state.trial, state.left_s) == ("waiting", 0, 60.0)
    assert "WAITING FOR THE SCANNER" in drawn(state)


def test_half_way_the_time_left_is_what_is_left():
    state = up_to(31.516667)
    assert state.elapsed_s == pytest.approx(30.0)
    assert state.left_s == pytest.approx(30.0)
    assert "0:30 left" in plain_line(state)
    assert alerts(state)[0].level == "note"  # the dropped frames of this journal


def texts(state: RunState, silent_s: float = 0.0) -> str:
    return "; ".join(alert.text for alert in alerts(state, silent_s) if alert.level == "alarm")


def test_a_scanner_that_falls_silent_is_an_alarm_until_it_comes_back():
    records = [r for r in RECORDS if not (r["kind"] == "pulse" and 20 < r["t_s"] < 30)]
    assert "has the scanner stopped?" in texts(up_to(25, records))
    back = up_to(31, records)
    assert "9 pulses missed" in texts(back) or "10 pulses missed" in texts(back)
    assert "has the scanner stopped?" not in texts(back)


def test_the_end_of_the_scan_is_no_alarm():
    assert texts(up_to(70)) == ""


def test_a_bouncing_trigger_is_a_note_and_no_volume():
    bounced = [
        again for r in RECORDS for again in ([r, {**r, "t_s": r["t_s"] + 0.03}] if r["kind"] == "pulse" else [r])
    ]
    state = fold(bounced)
    assert (state.pulses.seen, state.pulses.extra) == (60, 60)
    assert any("bounce" in alert.text for alert in alerts(state))


def test_a_pulse_far_off_its_time_is_a_note_and_missed_by_nobody():
    count, records = 0, []
    for record in RECORDS:
        count += record["kind"] == "pulse"
        stray = record["kind"] == "pulse" and count == 20
        moved = {"t_s": record["t_s"] + 0.4, "verdict": "off grid", "error_s": 0.4} if stray else {}
        records.append({**record, **moved})
    state = fold(records)
    assert (state.pulses.volumes, state.pulses.off_grid, state.pulses.missed, state.pulses.extra) == (60, 1, 0, 0)
    assert any("+400 ms off its time" in alert.text for alert in alerts(state))


def test_a_participant_who_does_not_press_is_noticed():
    silent = [r for r in RECORDS if r["kind"] != "press"]
    assert "are the buttons connected" in texts(up_to(40, silent))
    asleep = [r for r in RECORDS if not (r["kind"] == "press" and r["t_s"] > 20)]
    assert "is the participant awake" in texts(up_to(45, asleep))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"what": "stopped"}, "the scanner has stopped"),
        ({"what": "tr", "interval_s": 1.25, "planned_s": 1.0}, "a pulse every 1.25 s, not every 1 s"),
        ({"what": "shifted", "shift_s": 0.3}, "+300 ms beside their old times"),
    ],
)
def test_what_the_judge_of_the_pulses_finds_is_an_alarm(record: dict[str, Any], said: str):
    assert said in texts(after(up_to(20), {"kind": "scanner", "t_s": 20.0, **record}))


def test_a_scanner_slower_than_planned_shows_its_drift():
    slow = [{**r, "t_s": r["t_s"] * 1.0001} if r["kind"] == "pulse" else r for r in RECORDS]
    assert fold(slow).drift_ppm == pytest.approx(-100, abs=1)


def test_a_journal_that_stops_growing_is_an_alarm_in_real_time_only():
    real = fold([{**HEADER, "clock": {"kind": "wall"}}, *AFTER_HEADER[:10]])
    assert "has the run's program ended?" in texts(real, silent_s=9.0)
    assert texts(up_to(10), silent_s=9.0) == ""


@pytest.mark.parametrize("height", [12, 20, 24, 30, 50])
def test_the_view_fits_a_low_terminal_and_alarms_are_never_cut(height: int):
    state = fold([r for r in RECORDS if r["kind"] not in ("press", "end")])
    text = drawn(state, width=80, height=height)
    assert "TRIAL" in text
    assert len(text.splitlines()) <= height
    assert any(word in text for word in ("dropped in", "buttons"))


def test_every_digit_is_as_wide_as_the_others_and_different():
    shapes = {sign: big(sign) for sign in PIXELS}
    assert {len(lines) for lines in shapes.values()} == {5}
    assert {len(line) for lines in shapes.values() for line in lines} == {6}
    assert len({tuple(lines) for lines in shapes.values()}) == len(PIXELS)
    assert all(line.isascii() for line in big("12/34", blocks=False))


def test_a_follower_waits_for_the_file_and_tolerates_half_a_line(tmp_path: Path):
    path = tmp_path / "x_journal.jsonl"
    follower = Follower(path)
    assert follower.look() == at_start
    content = FROZEN.read_bytes()
    for cut in range(0, len(content), 997):
        path.write_bytes(content[:cut])
        valid(follower.look())
    path.write_bytes(content)
    assert follower.look() == fold(RECORDS)
    assert follower.broken == 0


def test_a_follower_goes_with_an_attempt_that_is_set_aside_and_starts_over_with_the_next(tmp_path: Path):
    path = tmp_path / "x_journal.jsonl"
    path.write_text("\n".join(LINES[:20]) + "\n", encoding="utf-8")
    follower = Follower(path)
    assert follower.look() == fold(RECORDS[:20])
    kept = path.rename(tmp_path / "x_aborted-01_journal.jsonl")
    end = {"kind": "end", "status": "aborted", "reason": "Ctrl-C", "t_s": 9.0}
    with kept.open("a", encoding="utf-8") as file:
        file.write(json.dumps(end) + "\n")
    assert (follower.look().phase, follower.state.reason) == ("aborted", "Ctrl-C")
    path.write_text("\n".join(LINES[:5]) + "\n", encoding="utf-8")
    assert follower.look() == fold(RECORDS[:5])


def test_a_broken_line_is_passed_over_and_counted(tmp_path: Path):
    path = tmp_path / "x_journal.jsonl"
    path.write_text("\n".join([*LINES[:5], "{half", "7", *LINES[5:]]) + "\n", encoding="utf-8")
    follower = Follower(path)
    assert follower.look() == fold(RECORDS)
    assert follower.broken == 1


def test_silence_is_counted_from_the_last_write_whatever_the_files_date(tmp_path: Path):
    path, now = tmp_path / "x_journal.jsonl", [100.0]
    path.write_bytes(FROZEN.read_bytes())
    os.utime(path, (0, 0))
    follower = Follower(path, now=lambda: now[0])
    assert follower.silent_s == 0.0
    follower.look()
    now[0] = 107.0
    follower.look()
    assert follower.silent_s == pytest.approx(7.0)
    with path.open("ab") as file:
        file.write(b"{}\n")
    follower.look()
    assert follower.silent_s == 0.0


def test_the_newest_journal_of_a_visit_is_found(tmp_path: Path):
    folder = StudyFolder(tmp_path)
    assert newest_journal(folder) is None
    folder.journals.mkdir(parents=True)
    for age, name in enumerate(
        ["sub-01_ses-01_task-a_run-01", "sub-01_ses-02_task-a_run-02", "sub-011_ses-01_task-a_run-01"]
    ):
        path = folder.journals / f"{name}_journal.jsonl"
        path.write_bytes(b"")
        os.utime(path, (1000 - age, 1000 - age))
    found = newest_journal(folder, sub="01")
    assert found is not None
    assert found.name.startswith("sub-01_ses-01")
    other = newest_journal(folder, sub="01", ses="02", run=2)
    assert other is not None
    assert other.name.startswith("sub-01_ses-02")
    assert newest_journal(folder, sub="1") is None
