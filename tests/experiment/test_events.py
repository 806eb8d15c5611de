"""From the journal to BIDS events: known answers on journals written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from experiment.certificate import certificate_of
from experiment.events import column_facts, events_of, events_text, sidecar_facts
from experiment.journal import Journal

Record = dict[str, Any]


def row(onset_s: float, trial: int | None, kind: str = "RE", answer: str | None = "animal") -> Record:
    image = kind not in ("blank", "rest")
    return {
        "onset_s": onset_s,
        "frame": round(onset_s * 60),
        "n_frames": 60,
        "duration_s": 1.0,
        "trial": trial,
        "trial_type": kind,
        "stim_id": f"{kind}-{trial}" if image else None,
        "stim_file": f"{kind}/{kind}-{trial}.png" if image else None,
        "stim_sha256": "0" if image else None,
        "category": "otter" if image else None,
        "animal_source": True if image else None,
        "expected_answer": answer if image else None,
        "expected_volume": int(onset_s),
        "drawing": f"picture {kind}-{trial}" if image else "nothing",
    }


def journal(rows: list[Record], records: list[Record], first_pulse_s: float = 0.0, pulses: int = 1) -> Journal:
    header: Record = {
        "kind": "header",
        "format": 1,
        "run": {"sub": "01", "ses": "01", "task": "animals", "run": 1},
        "rehearsal": True,
        "session": {"button_of_answer": {"animal": "right", "not_animal": "left"}},
        "question": "Animal?",
        "response_window_s": 2.0,
        "refresh_hz": 60.0,
        "length_s": 10.0,
        "scan": {"first_pulse_s": first_pulse_s, "pulses": pulses, "tr_s": 1.0, "task_start_s": 0.0, "end_s": 10.0},
        "clock": {"kind": "virtual"},
        "stage": {"kind": "null"},
        "system": "Linux",
        "versions": {"foolscan": "0"},
        "timeline": {"rows": rows},
    }
    return Journal(Path("j.jsonl"), header, tuple(records), cut=False)


def flip(t_s: float, index: int | None, n: int = 0) -> Record:
    return {"kind": "flip", "n": n, "t_s": t_s, "frame": 0, "shows": "x", "row": index}


def press(t_s: float, button: str = "right") -> Record:
    return {"kind": "press", "button": button, "key": button, "t_s": t_s, "raw_s": t_s}


PULSE = {"kind": "pulse", "t_s": 100.0, "raw_s": 100.0}
END = {"kind": "end", "status": "complete", "reason": "", "t_s": 110.0}
TWO_IMAGES = [row(2.0, 1), row(6.0, 2, "AN", None)]
FLIPS = [flip(102.01, 0), flip(103.01, None), flip(106.0, 1), flip(107.0, None), flip(110.0, None)]


def events(*presses: Record, **more: Any) -> list:
    return events_of(journal(TWO_IMAGES, [PULSE, *FLIPS, *presses, END], **more))


def test_onset_duration_and_response_time_are_those_of_the_flips():
    first, second = events(press(102.76))
    assert (first.onset, first.duration) == (2.01, 1.0)
    assert (first.response, first.response_time, first.button, first.correct) == ("animal", 0.75, "right", True)
    assert (second.response, second.response_time, second.correct) == (None, None, None)


@pytest.mark.parametrize(("first_pulse_s", "onset"), [(0.0, 2.01), (-3.0, -0.99), (3.0, 5.01)])
def test_onset_0_is_the_first_stored_volume_whatever_the_dummies_send(first_pulse_s: float, onset: float):
    assert events(first_pulse_s=first_pulse_s)[0].onset == onset


def test_a_wrong_answer_is_wrong_and_adversarial_noise_has_no_right_one():
    first, second = events(press(102.5, "left"), press(106.5, "left"))
    assert (first.response, first.correct) == ("not_animal", False)
    assert (second.response, second.correct) == ("not_animal", None)


def test_a_late_press_is_no_response_but_is_counted():
    first, _ = events(press(104.02))
    assert (first.response, first.response_time, first.late_presses) == (None, None, 1)
    assert events(press(104.0))[0].response_time == 1.99


def test_of_two_presses_the_first_counts_whichever_was_written_first():
    first, _ = events(press(102.9, "left"), press(102.5, "right"))
    assert (first.response, first.extra_presses) == ("animal", 1)


def test_a_press_belongs_to_the_image_that_appeared_last_before_it():
    first, second = events(press(105.999), press(106.001), press(101.0))
    assert (first.late_presses, first.response) == (1, None)
    assert second.response_time == 0.001


def test_a_button_without_meaning_is_no_answer():
    first, _ = events(press(102.5, "middle"))
    assert (first.response, first.correct, first.button) == (None, None, "middle")


def test_a_trial_that_was_never_shown_is_left_out_and_the_certificate_says_so():
    cut = journal(TWO_IMAGES, [PULSE, FLIPS[0], FLIPS[1]])
    assert [event.trial for event in events_of(cut)] == [1]
    certificate = certificate_of(cut)
    assert not certificate.passed
    assert certificate.remarks[:2] == (
        "the run did not come to its planned end (cut off)",
        "1 of 2 trials were not shown",
    )


def test_before_the_first_pulse_nothing_happened():
    assert events_of(journal(TWO_IMAGES, [flip(99.0, None)])) == []
    assert certificate_of(journal(TWO_IMAGES, [])).onset_error_max_s is None


def test_the_table_is_bids():
    lines = events_text(events(press(102.5))).splitlines()
    assert lines[0].split("\t")[:3] == ["onset", "duration", "trial_type"]
    assert lines[1].split("\t")[:5] == ["2.01", "1.0", "RE", "RE/RE-1.png", "RE-1"]
    assert set(lines[0].split("\t")) == set(column_facts(journal(TWO_IMAGES, []).header))


def test_the_sidecar_of_a_rehearsal_says_that_it_is_simulated():
    assert "SIMULATED" in sidecar_facts(journal(TWO_IMAGES, [END]))["SimulatedNote"]
    assert "Incomplete" in sidecar_facts(journal(TWO_IMAGES, []))


def test_the_certificate_counts_what_the_journal_holds():
    pulses = [{"kind": "pulse", "t_s": 100.0 + 1.01 * k, "raw_s": 0.0} for k in range(10)]
    late = [{"kind": "late", "n": 3, "frame": 120, "lost": 2}, {"kind": "late", "n": 9, "frame": 300, "lost": 1}]
    presses = [press(102.5), press(104.5)]
    certificate = certificate_of(journal(TWO_IMAGES, [*pulses, *FLIPS, *late, *presses, END], pulses=11))
    assert (certificate.late_flips, certificate.frames_dropped) == (2, 3)
    assert certificate.tr_estimate_s == pytest.approx(1.01)
    assert certificate.onset_error_max_s == pytest.approx(0.01)
    assert (certificate.responses, certificate.missed, certificate.late_presses) == (1, 1, 1)
    assert certificate.timing.startswith("simulated clock")
    assert any("10 pulses for 11 expected" in remark for remark in certificate.remarks)


def scale(onset_s: float) -> Record:
    return row(onset_s, None, "confidence", None) | {
        "stim_id": None,
        "stim_file": None,
        "drawing": "rating None|ltr||a|b",
    }


def test_a_rating_belongs_to_the_trial_before_it_and_its_presses_to_no_image():
    rows = [row(0.5, 1), scale(0.0), row(0.5, 2, "AN", None), scale(0.0)]
    begins = {"kind": "segment", "name": "x", "mode": "response_driven"}
    records = [
        PULSE,
        {**begins, "t_s": 101.5},
        flip(102.0, 0),
        press(102.6),
        {**begins, "t_s": 102.7},
        flip(102.7, 1),
        press(103.2, "2"),
        {**begins, "t_s": 103.3},
        flip(103.8, 2),
        {**begins, "t_s": 105.8},
        flip(105.8, 3),
        press(106.4, "left"),
        flip(109.0, None),
        END,
    ]
    kept = journal(rows, records)
    kept.header["rating"] = {"question": "How sure?", "labels": ["no", "yes"], "buttons": ["1", "2"]}
    first, second = events_of(kept)
    assert (first.confidence, first.confidence_time) == (2, 0.5)
    assert (first.response, first.extra_presses, first.late_presses) == ("animal", 0, 0)
    assert first.planned_onset == 2.0  # half a second after the segment's own first flip
    assert first.onset == 2.0
    assert (second.confidence, second.confidence_time, second.response) == (None, None, None)
    assert second.late_presses == 0  # the press on the scale is not one on the image
    lines = events_text([first, second], rated=True).splitlines()
    assert lines[0].split("\t")[-2:] == ["confidence", "confidence_time"]
    assert set(lines[0].split("\t")) == set(column_facts(kept.header))
    assert "confidence" not in events_text([first, second])


def test_practice_and_screens_are_no_events_and_take_their_own_presses():
    practice = row(0.5, None, "practice") | {"stim_id": "RE-9", "drawing": "picture RE-9"}
    screen = row(0.0, None, "screen", None) | {"stim_id": None, "drawing": "words The end"}
    rows = [practice, row(2.0, 1), screen]
    flips = [flip(99.0, 0), press(99.5), PULSE, flip(102.0, 1), flip(103.0, None), flip(103.5, 2), press(103.9), END]
    (event,) = events_of(journal(rows, flips))
    assert (event.trial, event.response, event.late_presses, event.extra_presses) == (1, None, 0, 0)
