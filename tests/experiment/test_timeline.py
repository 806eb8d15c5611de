"""The compiled plan: onsets, frames, dummies, and the same bytes every time."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from experiment_study import small_study, stimuli_of

from experiment.compiler import compile_timeline
from experiment.scan import scan_times
from experiment.timeline import COLUMNS, Timeline, row_from, timeline_text, write_timeline
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import read_provenance, sha256_of
from protocols.rig import Rig, load_rig
from protocols.session import record_for
from protocols.study import Dummies, ScanProtocol, Study, load_study

RUN = RunId("01", "01", "animals", 1)


def timeline_of(study: Study, rig: Rig, run: RunId = RUN, n_categories: int | None = None) -> Timeline:
    record = record_for(study, run.sub, run.ses, run.task, rehearsal=True)
    return compile_timeline(study, rig, record, stimuli_of(n_categories or study.stimuli.n_categories), run)


def at_refresh(rig: Rig, hz: float) -> Rig:
    return rig.model_copy(update={"display": rig.display.model_copy(update={"refresh_hz": hz})})


def test_the_papers_run_is_556_s_of_120_images_and_9_blanks(rig: Rig):
    timeline = timeline_of(load_study("zhang2018"), rig)
    assert timeline.length_s == 556
    assert Counter(row.trial_type for row in timeline.trials) == {"RE": 40, "AN": 40, "AI": 40, "blank": 9}
    rows = [row for row in timeline.rows if row.segment == "trials"]
    assert rows[0].trial_type == rows[-1].trial_type == "rest"
    assert rows[0].duration_s == rows[-1].duration_s == 20
    images = [row for row in timeline.trials if row.stim_id]
    assert images[0].onset_s == 22
    assert {row.duration_s for row in images} == {2.0}
    assert {row.expected_answer for row in images if row.trial_type != "AN"} == {"animal", "not_animal"}
    assert {row.expected_answer for row in images if row.trial_type == "AN"} == {None}


@pytest.mark.parametrize("hz", [59.94, 60.0, 75.0, 120.0])
def test_every_onset_is_the_frame_nearest_to_it_and_nothing_accumulates(rig: Rig, hz: float):
    timeline = timeline_of(load_study("zhang2018"), at_refresh(rig, hz))
    for row in next(segment.rows for segment in timeline.segments if segment.mode == "pulse_locked"):
        assert abs(row.frame / hz - row.onset_s) <= 0.5 / hz + 1e-9
        assert row.expected_volume == row.onset_s // 2.0
    assert {row.n_frames for row in timeline.trials if row.stim_id} == {round(2 * hz)}


@pytest.mark.parametrize(
    ("pulses", "images", "first_pulse_s", "n_pulses", "task_start_s"),
    [
        ("sent", "discarded", -3.0, 43, 0.0),
        ("silent", "discarded", 0.0, 40, 0.0),
        ("sent", "stored", 0.0, 43, 3.0),
        ("silent", "stored", 3.0, 40, 3.0),
    ],
)
def test_dummy_volumes_make_four_cases(
    rig: Rig, pulses: str, images: str, first_pulse_s: float, n_pulses: int, task_start_s: float
):
    dummies = Dummies.model_validate({"volumes": 3, "pulses": pulses, "images": images})
    scan = scan_times(ScanProtocol(tr_s=1.0, volumes=40, dummies=dummies), rig)
    assert (scan.first_pulse_s, scan.pulses, scan.task_start_s) == (first_pulse_s, n_pulses, task_start_s)
    assert scan.end_s == task_start_s + 40


@pytest.mark.parametrize("pulses", ["sent", "silent"])
@pytest.mark.parametrize("images", ["discarded", "stored"])
def test_the_first_image_comes_at_the_same_time_after_the_dummies_in_all_four(
    tmp_path: Path, rig: Rig, pulses: str, images: str
):
    scan = f"{{tr_s: 1.0, volumes: 60, dummies: {{volumes: 3, pulses: {pulses}, images: {images}}}}}"
    timeline = timeline_of(small_study(tmp_path, scan=scan), rig)
    first = next(row for row in timeline.trials if row.stim_id)
    assert first.onset_s == timeline.scan.task_start_s + 4.0
    assert first.frame / 60 == first.onset_s - timeline.scan.first_pulse_s


def test_the_fixation_point_stays_until_the_scanner_is_done(tmp_path: Path, rig: Rig):
    timeline = timeline_of(small_study(tmp_path), rig)
    assert timeline.length_s == 60
    assert timeline.rows[-1].onset_s == 31


def test_at_a_desk_the_run_ends_when_the_task_does(tmp_path: Path):
    timeline = timeline_of(small_study(tmp_path), load_rig("desk"))
    assert timeline.length_s == 34
    assert timeline.scan.pulses == 1


def test_every_run_and_subject_has_an_order_of_its_own(rig: Rig):
    study = load_study("demo")
    runs = [RunId(sub, ses, "animals", run) for sub in ("01", "02") for ses in ("01", "02") for run in (1, 2)]
    orders = {tuple(row.stim_id for row in timeline_of(study, rig, run).rows) for run in runs}
    assert len(orders) == len(runs)


def test_half_twice_shows_each_half_in_one_session_evenly_over_supercategories(tmp_path: Path, rig: Rig):
    more = "    presentation: half_twice\n"
    study = small_study(tmp_path, 8, more=more)
    shown = {}
    for ses in ("01", "02"):
        timeline = timeline_of(study, rig, RunId("01", ses, "animals", 1))
        counts = Counter(row.stim_id for row in timeline.trials if row.stim_id)
        assert len(counts) == 12
        assert set(counts.values()) == {2}
        shown[ses] = {row.category for row in timeline.trials if row.category}
    assert not shown["01"] & shown["02"]
    assert len(shown["01"] | shown["02"]) == 8


def test_it_is_written_with_its_hash_and_reads_back(folder: StudyFolder, study: Study, rig: Rig):
    record = record_for(study, "01", "01", "animals", rehearsal=True)
    timeline = timeline_of(study, rig)
    path = write_timeline(folder, timeline, rig, record)
    first = path.read_bytes()
    assert write_timeline(folder, timeline_of(study, rig), rig, record).read_bytes() == first
    assert sha256_of(path) == timeline.sha256 == read_provenance(path)["sha256"]
    rows = list(csv.DictReader(timeline_text(timeline).splitlines(), delimiter="\t"))
    assert [row["trial"] for row in rows] == ["n/a", *(str(n) for n in range(1, 15)), "n/a"]
    assert list(rows[0]) == list(COLUMNS)
    assert tuple(row_from(row.record()) for row in timeline.rows) == timeline.rows


def test_missing_images_name_the_command_that_makes_them(study: Study, rig: Rig):
    record = record_for(study, "01", "01", "animals", rehearsal=True)
    without = [stimulus for stimulus in stimuli_of(4) if stimulus.stim_id != "AN-heron"]
    with pytest.raises(NotReady, match=r"AN of heron.*foolscan stimuli make"):
        compile_timeline(study, rig, record, without, RUN)
    with pytest.raises(FoolscanError, match="study small has animals"):
        compile_timeline(study, rig, record, without, RunId("01", "01", "faces", 1))
