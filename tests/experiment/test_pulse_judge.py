"""Every pulse is judged by what is known when it comes; together they give the scanner's clock and two hypotheses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from experiment.journal import Journal
from experiment.pulse_judge import Line, PulseJudge
from experiment.pulse_report import PulseReport, pulse_report
from experiment.scan import ScanTimes
from experiment.triggers import Pulse

SCAN = ScanTimes(2.0, 0.0, 20, 0.0, 40.0)


def judged(
    times_s: Sequence[float], scan: ScanTimes = SCAN, until_s: float = 0.0
) -> tuple[list[dict[str, Any]], list[Any]]:
    """What is said of each pulse, and the scanner's news, asked for every 0.1 s."""
    judge, said, news = PulseJudge(scan), [], []
    now_s = 0.0
    for t_s in (*times_s, None):
        while now_s < (until_s if t_s is None else t_s):
            news += judge.tick(now_s)
            now_s += 0.1
        if t_s is not None:
            said.append(judge.pulse(Pulse(t_s, t_s)))
    return said, news + judge.tick(now_s)


def of(said: list[dict[str, Any]], key: str) -> list[Any]:
    return [item[key] for item in said]


def test_a_regular_scanner_is_on_time_and_then_finished():
    said, news = judged([0.3 + 2.0 * k for k in range(20)], until_s=60)
    assert of(said, "n") == list(range(20))
    assert set(of(said, "verdict")) == {"on time"}
    assert said[-1]["tr_s"] == pytest.approx(2.0)
    assert [item["what"] for item in news] == ["finished"]


def test_missed_extra_early_and_late_pulses_are_told_as_they_come():
    said, _ = judged([0, 2, 4, 4.004, 8, 10.1, 11.9, 14, 15.0, 16])
    assert of(said, "verdict") == [
        "on time", "on time", "on time", "extra", "after gap", "late", "early", "on time", "extra", "on time",
    ]  # fmt: skip
    assert of(said, "n") == [0, 1, 2, 2, 4, 5, 6, 7, 8, 8]
    assert of(said, "missed") == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_one_late_pulse_does_not_shift_those_after_it():
    said, _ = judged([0, 2, 4.3, 6, 8, 10])
    assert of(said, "verdict") == ["on time", "on time", "late", "on time", "on time", "on time"]
    assert said[-1]["error_s"] == pytest.approx(0.0, abs=1e-6)


def test_a_scanner_that_stops_is_told_while_the_run_lasts_and_when_it_comes_back():
    said, news = judged([0, 2, 4, 13.0, 15.0], until_s=30)
    assert [item["what"] for item in news] == ["stopped", "resumed", "stopped"]
    assert news[0]["t_s"] == pytest.approx(4 + 5.0, abs=0.11)
    assert news[0]["pulses"] == 3
    assert said[3]["verdict"] == "after gap"
    assert said[4]["verdict"] == "on time"


def test_a_false_first_pulse_does_not_spoil_the_rest():
    said, news = judged([0, 3.3, 5.3, 7.3, 9.3])
    assert of(said, "verdict")[-2:] == ["on time", "on time"]
    assert "shifted" in [item["what"] for item in news] or said[2]["verdict"] == "after gap"


def test_another_tr_than_planned_is_told_once_and_followed():
    said, news = judged([2.2 * k for k in range(12)])
    told = [item for item in news if item["what"] == "tr"]
    assert len(told) == 1
    assert told[0]["interval_s"] == pytest.approx(2.2)
    assert told[0]["planned_s"] == 2.0
    assert set(of(said, "verdict")[6:]) == {"on time"}


def test_a_pulse_per_slice_where_one_per_volume_is_planned_is_told():
    said, news = judged([0.1 * k for k in range(200)])
    assert [item["interval_s"] for item in news if item["what"] == "tr"] == [pytest.approx(0.1)]
    assert of(said, "verdict").count("extra") > 150


def test_where_a_run_has_one_pulse_others_are_extra_and_silence_is_no_stop():
    said, news = judged([0, 2.0], ScanTimes(2.0, 0.0, 1, 0.0, 40.0, "run"), until_s=60)
    assert of(said, "verdict") == ["on time", "extra"]
    assert news == []


def test_pulses_after_the_last_volume_are_extra():
    said, _ = judged([2.0 * k for k in range(22)])
    assert of(said, "verdict")[-3:] == ["on time", "extra", "extra"]


@settings(max_examples=60, deadline=None)
@given(
    tr_s=st.floats(0.4, 4.0),
    ppm=st.floats(-200, 200),
    missed=st.sets(st.integers(1, 58), max_size=6),
    bounced=st.sets(st.integers(0, 59), max_size=10),
    seed=st.integers(0, 1000),
)
def test_every_pulse_gets_its_number_whatever_is_lost_or_bounces(
    tr_s: float, ppm: float, missed: set[int], bounced: set[int], seed: int
):
    rng = np.random.default_rng(seed)
    true_s = np.arange(60) * tr_s * (1 + ppm * 1e-6) + rng.normal(0, 0.001, 60)
    scan = ScanTimes(tr_s, 0.0, 60, 0.0, 60 * tr_s)
    judge = PulseJudge(scan)
    for number in sorted(set(range(60)) - missed):
        said = judge.pulse(Pulse(true_s[number], 0.0))
        assert said["n"] == number
        assert said["verdict"] in ("on time", "after gap", "extra")
        assert said["verdict"] != "extra"
        if number in bounced:
            assert judge.pulse(Pulse(true_s[number] + 0.006, 0.0))["verdict"] == "extra"
    assert judge.tr_s == pytest.approx(tr_s, rel=1e-3)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.floats(1e3, 1e6))
def test_the_running_line_is_least_squares(errors_s: list[float], offset_s: float):
    numbers = np.arange(len(errors_s))
    times_s = offset_s + 2.0 * numbers + np.array(errors_s)
    line = Line()
    for number, t_s in zip(numbers, times_s, strict=True):
        line.add(int(number), float(t_s))
    assert line.slope_s == pytest.approx(np.polyfit(numbers, times_s, 1)[0], rel=1e-6, abs=1e-6)


# --- together -------------------------------------------------------------------------------------------------------


def journal_of(times_s: Sequence[float], scan: ScanTimes = SCAN, end_s: float = 41.0, complete: bool = True) -> Journal:
    records: list[dict[str, Any]] = [{"kind": "pulse", "t_s": round(t_s, 6), "raw_s": t_s} for t_s in times_s]
    records.append({"kind": "flip", "n": 0, "t_s": end_s})
    records += [{"kind": "end", "status": "complete", "reason": ""}] if complete else []
    return Journal(Path("run_journal.jsonl"), {"scan": asdict(scan)}, tuple(records), cut=not complete)


def report_of(times_s: Sequence[float], **more: Any) -> PulseReport:
    return pulse_report(journal_of(times_s, **more))


def test_drift_and_jitter_are_those_that_were_put_in():
    scan = ScanTimes(2.0, 0.0, 278, 0.0, 556.0)
    rng = np.random.default_rng(3)
    times_s = 5.0 + np.arange(278) * 2.0 * (1 - 30e-6) + rng.normal(0, 0.001, 278)
    report = pulse_report(journal_of(list(times_s), scan, end_s=561.0))
    assert report.drift_ppm is not None
    assert report.drift_se_ppm is not None
    # the scanner's clock runs fast: its two seconds are short on ours
    assert report.drift_ppm == pytest.approx(30, abs=3 * report.drift_se_ppm)
    # SE of a slope: sigma / sqrt(sum of squares of the times around their mean)
    expected_se = 0.001 / np.sqrt(np.sum((times_s - times_s.mean()) ** 2)) * 1e6
    assert report.drift_se_ppm == pytest.approx(expected_se, rel=0.2)
    assert report.jitter_s == pytest.approx(0.001, rel=0.2)
    assert report.tr_s == pytest.approx(2.0 * (1 - 30e-6), rel=1e-6)
    assert (report.missed, report.extra, report.lacking, report.hypotheses) == (0, 0, 0, ())


def test_too_few_pulses_have_two_explanations_and_onsets_under_each():
    report = report_of([7.0 + 2.0 * k for k in range(18)])
    assert (report.expected, report.seen, report.lacking) == (20, 18, 2)
    first, early = report.hypotheses
    assert (first.name, first.onset_shift_s, first.volumes) == ("first-missed", 4.0, 20)
    assert (early.name, early.onset_shift_s, early.volumes) == ("stopped-early", 0.0, 18)
    assert "every onset is 4 s too early" in first.sentence


def test_pulses_that_are_lacking_in_between_shift_nothing():
    report = report_of([2.0 * k for k in range(20) if k not in (5, 11)])
    assert (report.seen, report.missed, report.lacking, report.hypotheses) == (18, 2, 0, ())


def test_stored_dummies_count_as_volumes_of_the_image_file():
    # three dummies are sent and stored: 23 pulses, 23 volumes in the file, the task starts at 6 s
    scan = ScanTimes(2.0, 0.0, 23, 6.0, 46.0)
    report = pulse_report(journal_of([2.0 * k for k in range(22)], scan, end_s=47))
    assert [item.volumes for item in report.hypotheses] == [23, 22]


def test_a_run_that_was_aborted_lacks_nothing_but_what_was_due_until_then():
    report = report_of([2.0 * k for k in range(6)], end_s=11.0, complete=False)
    assert (report.expected, report.seen, report.lacking, report.hypotheses) == (6, 6, 0, ())


def test_where_the_plans_tr_is_wrong_pulses_still_get_their_numbers():
    report = report_of([2.2 * k for k in range(20)], end_s=45.0)
    assert (report.seen, report.extra, report.missed, report.lacking) == (20, 0, 0, 0)
    assert report.tr_s == pytest.approx(2.2)


def test_a_stop_is_in_the_report():
    report = report_of([2.0 * k for k in (*range(5), *range(12, 20))])
    assert report.stops == (8.0,)
    assert report.missed == 7


def test_lacking_slices_are_less_than_a_volume():
    scan = ScanTimes(2.0, 0.0, 200, 0.0, 40.0, "slice", 10)
    report = pulse_report(journal_of([0.2 * k for k in range(195)], scan))
    first, early = report.hypotheses
    assert first.onset_shift_s == pytest.approx(1.0)
    assert early.volumes == 19


def test_no_pulse_at_all_is_a_report_too():
    report = report_of([])
    assert (report.expected, report.seen, report.tr_s, report.hypotheses) == (20, 0, None, ())


# --- pulses far off their time --------------------------------------------------------------------------------------


def test_a_pulse_far_off_its_time_is_counted_once():
    late = [2.0 * k + (0.8 if k in (5, 9) else 0.0) for k in range(20)]
    said, _ = judged(late)
    assert [number for number, verdict in enumerate(of(said, "verdict")) if verdict == "off grid"] == [5, 9]
    assert of(said, "missed") == [0] * 20
    report = report_of(late)
    assert (report.seen, report.off_grid, report.extra, report.missed, report.lacking) == (20, 2, 0, 0, 0)
    assert report.hypotheses == ()


def test_the_last_pulse_far_off_its_time_does_not_lack():
    report = report_of([*(2.0 * k for k in range(19)), 38.9])
    assert (report.seen, report.off_grid, report.lacking, report.hypotheses) == (20, 1, 0, ())


def test_a_pulse_between_two_that_are_there_stands_for_no_volume():
    report = report_of(sorted([*(2.0 * k for k in range(20)), 11.1]))
    assert (report.seen, report.off_grid, report.extra, report.missed, report.lacking) == (20, 0, 1, 0, 0)


@settings(max_examples=60, deadline=None)
@given(jitter_s=st.floats(0.0, 0.6), missed=st.sets(st.integers(1, 58), max_size=6), seed=st.integers(0, 1000))
@example(jitter_s=0.59375, missed=set(), seed=55)
def test_however_much_they_jitter_each_pulse_and_each_volume_is_counted_once(
    jitter_s: float, missed: set[int], seed: int
):
    rng = np.random.default_rng(seed)
    times_s = np.sort(np.arange(60) * 2.0 + np.abs(rng.normal(0, jitter_s, 60)))
    times_s -= times_s[0]
    scan = ScanTimes(2.0, 0.0, 60, 0.0, 120.0)
    report = report_of([times_s[k] for k in range(60) if k not in missed], scan=scan, end_s=130.0)
    assert report.seen + report.extra == 60 - len(missed)
    assert report.seen + report.missed + report.lacking == 60


def test_a_pulse_after_the_last_volume_is_extra_also_when_it_comes_at_a_time_of_its_own():
    pause = [*(2.0 * k for k in range(15)), 47.3, 49.3]
    report = report_of(pause, end_s=60.0)
    assert (report.seen, report.extra, report.missed, report.lacking) == (15, 2, 0, 5)
    shifted = [*(2.0 * k for k in range(18)), 40.8, 42.8]
    report = report_of(shifted, end_s=60.0)
    assert (report.seen, report.extra, report.missed, report.lacking) == (18, 2, 0, 2)
