"""Instructions, button test, practice, break and end screen: in any language, driven by the participant's buttons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from experiment_study import fill, small_study, stimuli_of

from experiment.compiler import compile_timeline
from experiment.drawings import Words
from experiment.journal import Journal, read_journal
from experiment.run import RunResult, run
from experiment.screen_segments import practice_stimuli
from experiment.timeline import Timeline
from protocols.checks import check
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.rig import Rig, load_rig
from protocols.screens import runs_right_to_left
from protocols.session import open_session, record_for
from protocols.study import Study, load_study

HEBREW = "הַבֵּט בַּנְּקֻדָּה."
ARABIC = "انظر إلى النقطة"
IN_HEBREW = f"""    language: he
    instructions: {{he: "{HEBREW}"}}
    screens:
      names: {{he: {{animal: חיה, not_animal: לא חיה, left: שמאל, right: ימין}}}}
      instructions: {{he: ["{HEBREW}", "{{animal}} = חיה"]}}
      button_test: null
      pause: null
      end: null
    practice: null
"""


def plan(study: Study, run_number: int = 1, rig: Rig | None = None, language: str | None = None) -> Timeline:
    rig = rig or load_rig("rehearsal")
    run_id = RunId("01", "01", "animals", run_number)
    record = record_for(study, "01", "01", "animals", rehearsal=True, language=language)
    return compile_timeline(study, rig, record, stimuli_of(study.stimuli.n_categories), run_id)


def names(timeline: Timeline) -> list[str]:
    return [segment.name for segment in timeline.segments]


def said(timeline: Timeline) -> list[str]:
    return [row.drawing.text for row in timeline.rows if isinstance(row.drawing, Words)]


def test_the_first_run_of_a_session_is_introduced_the_others_follow_a_break_the_last_has_an_end():
    study = load_study("zhang2018")
    practice = [name for number in range(1, 7) for name in (f"practice {number}", f"feedback {number}")]
    introduction = ["instructions 1", "instructions 2", "button test animal", "button test not_animal", *practice]
    assert names(plan(study)) == [*introduction, "trials"]
    assert names(plan(study, 2)) == ["break", "trials"]
    assert names(plan(study, 5)) == ["break", "trials", "end"]


@pytest.mark.parametrize(("when", "introduced"), [("none", [False, False]), ("every_run", [True, True])])
def test_the_study_says_before_which_runs_the_introduction_comes(tmp_path: Path, when: str, introduced: list[bool]):
    study = small_study(tmp_path, introduced=True, more=f"    screens: {{introduction: {when}}}\n")
    assert ["practice 1" in names(plan(study, number)) for number in (1, 2)] == introduced


@pytest.mark.parametrize("name", ["zhang2018", "demo", "desk"])
@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("sub", ["01", "02"])
def test_every_text_names_the_participants_own_buttons(name: str, language: str, sub: str):
    study, rig = load_study(name), load_rig("rehearsal")
    record = record_for(study, sub, "01", "animals", rehearsal=True, language=language)
    timeline = compile_timeline(study, rig, record, stimuli_of(40), RunId(sub, "01", "animals", 1))
    texts = [*said(timeline), timeline.waiting.text]
    assert not [text for text in texts if "{" in text or "}" in text]
    word = {"en": {"left": "left", "right": "right"}, "de": {"left": "links", "right": "rechts"}}[language]
    tests = [segment for segment in timeline.segments if segment.name.startswith("button test")]
    for segment, (answer, button) in zip(tests, record.button_of_answer.items(), strict=True):
        assert segment.until == (button,)
        assert segment.timeout_s is None
        text = segment.rows[0].drawing.text  # type: ignore[attr-defined]
        assert word[button] in text
        assert segment.name == f"button test {answer}"


def test_at_a_desk_a_button_is_named_with_its_key():
    timeline = plan(load_study("desk"), rig=load_rig("desk"))
    assert "(F)" in said(timeline)[0]
    assert "(J)" in said(timeline)[0]
    assert "space: start" in timeline.waiting.text


@pytest.mark.parametrize(
    ("text", "rtl"),
    [
        ("Look", False),
        (HEBREW, True),
        (ARABIC, True),
        ("1. " + ARABIC, True),
        ("看", False),
        ("1 2 3", False),
        ("", False),
    ],
)
def test_the_first_letter_says_in_which_direction_a_text_runs(text: str, rtl: bool):
    assert runs_right_to_left(text) is rtl


def test_instructions_in_a_language_that_runs_from_right_to_left(tmp_path: Path):
    study = small_study(tmp_path, introduced=True, more=IN_HEBREW)
    timeline = plan(study)
    pages = [segment.rows[0].drawing for segment in timeline.segments if segment.name.startswith("instructions")]
    assert pages[0] == Words(HEBREW, right_to_left=True)
    assert isinstance(pages[1], Words)
    assert pages[1].text in ("שמאל = חיה", "ימין = חיה")
    assert timeline.waiting.right_to_left


def test_a_language_that_the_study_does_not_speak_is_refused_with_those_it_does():
    with pytest.raises(FoolscanError, match=r"--language: found 'fr'; task animals of study demo has en, de"):
        plan(load_study("demo"), language="fr")


def test_practice_shows_the_same_few_images_to_everybody_each_once_and_half_of_them_animals():
    study = load_study("demo")
    chosen = practice_stimuli(study, study.tasks["animals"], stimuli_of(40))
    assert chosen == practice_stimuli(study, study.tasks["animals"], stimuli_of(40))
    assert len({stimulus.stim_id for stimulus in chosen}) == 6
    assert {stimulus.set for stimulus in chosen} == {"RE"}
    assert sum(stimulus.animal_source for stimulus in chosen) == 3


def test_practice_is_no_trial_of_the_run():
    timeline = plan(load_study("demo"))
    practice = [row for row in timeline.rows if row.trial_type == "practice"]
    assert len(practice) == 6
    assert {row.trial for row in practice} == {None}
    assert len(timeline.trials) == 129
    assert {row.stim_id for row in practice} <= set(timeline.stim_ids)  # they are loaded, too


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("screens: {instructions: {fr: [Bonjour]}}", "tasks.animals.practice.right"),
        ("practice: {right: {en: Good, de: Gut, fr: Bien}}", "tasks.animals.practice.wrong"),
        ("screens: {names: {en: {dog: hound}}}", "tasks.animals.screens.names.en.dog"),
        ("practice: {sets: [XX]}", "tasks.animals.practice.sets"),
        ("screens: null", "tasks.animals.practice"),
        ("confidence: {labels: {en: [no, yes], de: [nein, ja]}, buttons: [left, right]}", "tasks.animals.confidence"),
        ("image_until_response: true", "tasks.animals.image_until_response"),
        ("mask: {duration_s: 6.0}", "tasks.animals.mask"),
    ],
)
def test_what_does_not_agree_is_found_before_anything_starts(tmp_path: Path, more: str, key: str):
    path = tmp_path / "mine.yaml"
    path.write_text(f"format: 1\nextends: demo\nname: mine\ntasks:\n  animals:\n    {more}\n", encoding="utf-8")
    assert key in [problem.key for problem in check(load_study(path), load_rig("rehearsal")).problems]


def rehearsed(tmp_path: Path, **more: Any) -> tuple[RunResult, Journal]:
    rig = load_rig("rehearsal")
    study = small_study(tmp_path, introduced=True, **more)
    folder = fill(tmp_path / "study", study, rig)
    result = run(study, rig, folder.root, RunId("01", "01", "animals", 1), stage="null")
    return result, read_journal(result.journal)


def test_the_emulated_observer_presses_through_the_screens_and_the_events_are_those_of_the_trials(tmp_path: Path):
    result, journal = rehearsed(tmp_path, times=0.5)
    assert result.certificate.passed
    segments = [record["name"] for record in journal.of("segment")]
    assert segments[0] == "instructions 1"
    assert segments[-1] == "trials"
    assert "feedback 4" in segments
    feedback = [flip["shows"] for flip in journal.of("flip") if flip.get("shows", "").startswith("words Right")]
    assert len(feedback) == 4
    lines = result.events.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 14
    assert all(line.split("\t")[12] == str(number) for number, line in enumerate(lines[1:], start=1))
    assert result.certificate.late_presses == result.certificate.extra_presses == 0


def test_pulses_do_not_count_until_the_screens_are_over(tmp_path: Path):
    _, journal = rehearsed(tmp_path)
    waiting_s = next(flip["t_s"] for flip in journal.of("flip") if flip.get("shows") == "waiting")
    assert journal.of("pulse")[0]["t_s"] > waiting_s
    assert waiting_s > 20  # instructions were read and practice was done


def test_a_session_keeps_the_language_it_began_in(tmp_path: Path):
    study, folder = load_study("demo"), StudyFolder(tmp_path)
    visit = ("01", "01", "animals")
    assert open_session(folder, study, *visit, rehearsal=True, language="de").language == "de"
    assert open_session(folder, study, *visit, rehearsal=True).language == "de"
    with pytest.raises(FoolscanError, match="this visit began in language 'de', found --language en"):
        open_session(folder, study, *visit, rehearsal=True, language="en")
    with pytest.raises(FoolscanError, match="found 'fr'"):
        open_session(folder, study, "02", *visit[1:], rehearsal=True, language="fr")
    assert not folder.session_record("02", "01").exists()
