"""A whole run without a screen: its files, what it refuses, and what is left of one that did not end well."""

from __future__ import annotations

import csv
import errno
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from experiment_study import fill, small_study

import experiment.run as run_module
from experiment.bids import validate
from experiment.certificate import NOT_MEASURED
from experiment.journal import JournalWriter, read_journal
from experiment.participants import enrol
from experiment.recover import recover
from experiment.rehearse import rehearse, runs_of
from experiment.run import RunAborted, RunResult, run
from experiment.screen_images import screen_pictures
from experiment.stage import NullStage
from protocols.folder import RunId, StudyFolder, exclusive
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError, NotReady, ProtocolError
from protocols.provenance import sha256_of
from protocols.rig import Rig, load_rig
from protocols.study import Study

RUN = RunId("01", "01", "animals", 1)


def play(study: Study, rig: Rig, folder: StudyFolder, run_id: RunId = RUN, **more: Any) -> RunResult:
    return run(study, rig, folder.root, run_id, stage=more.pop("stage", "null"), **more)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def files(folder: StudyFolder) -> dict[str, bytes]:
    found = (path for path in sorted(folder.root.rglob("*")) if path.is_file())
    return {folder.relative(path): path.read_bytes() for path in found}


def test_a_run_writes_plan_journal_events_and_certificate(study: Study, rig: Rig, folder: StudyFolder):
    result = play(study, rig, folder)
    events = rows(result.events)
    assert [row["trial"] for row in events] == [str(n) for n in range(1, 15)]
    assert sorted(row["trial_type"] for row in events).count("blank") == 2
    for row in events:
        assert float(row["onset"]) == pytest.approx(float(row["planned_onset"]), abs=0.5 / 60)
        if row["stim_file"] != "n/a":
            assert (folder.stimuli / row["stim_file"]).exists()
        if row["trial_type"] == "AN":
            assert row["correct"] == row["expected_answer"] == "n/a"
    certificate = json.loads(result.certificate_file.read_text(encoding="utf-8"))
    assert certificate["passed"]
    assert certificate["timing"] == NOT_MEASURED
    assert (certificate["pulses_seen"], certificate["pulses_expected"]) == (60, 60)
    assert certificate["length_s"] == certificate["planned_length_s"] == 60.0
    for name, sha256 in certificate["sha256"].items():
        assert sha256_of(folder.root / name) == sha256
    header = read_journal(result.journal).header
    assert header["timeline"]["sha256"] == sha256_of(result.timeline)
    assert "SIMULATED" in header["note"]
    assert json.loads(result.events.with_suffix(".json").read_text(encoding="utf-8"))["Simulated"] is True


def test_the_same_run_twice_gives_the_same_bytes(tmp_path: Path, rig: Rig, study: Study):
    folders = [fill(tmp_path / name, study, rig) for name in ("a", "b")]
    for folder in folders:
        play(study, rig, folder)
    assert files(folders[0]) == files(folders[1])


@pytest.mark.parametrize(
    "dummies",
    ["sent, images: discarded", "silent, images: discarded", "sent, images: stored", "silent, images: stored"],
)
def test_onsets_agree_with_the_plan_for_all_four_kinds_of_dummies(tmp_path: Path, rig: Rig, dummies: str):
    study = small_study(tmp_path, scan=f"{{tr_s: 1.0, volumes: 60, dummies: {{volumes: 3, pulses: {dummies}}}}}")
    result = play(study, rig, fill(tmp_path / "study", study, rig))
    first = rows(result.events)[0]
    assert first["onset"] == first["planned_onset"] == ("7.0" if "stored" in dummies else "4.0")
    assert result.certificate.passed


def test_the_folder_passes_the_bids_validator(study: Study, rig: Rig, folder: StudyFolder):
    rehearse(study, rig, folder.root, stage="null")
    assert validate(folder.root).errors == ()
    assert [row["participant_id"] for row in rows(folder.root / "participants.tsv")] == ["sub-01", "sub-02"]


def test_the_validator_would_have_found_an_error(study: Study, rig: Rig, folder: StudyFolder):
    result = play(study, rig, folder)
    result.events.write_text("onset\tcolour\n1\tred\n", encoding="utf-8")
    assert validate(folder.root).errors


def test_a_rehearsal_runs_what_is_missing_and_nothing_twice(study: Study, rig: Rig, folder: StudyFolder):
    play(study, rig, folder, RunId("02", "01", "animals", 1))
    told: list[RunResult] = []
    results = rehearse(study, rig, folder.root, stage="null", done=told.append)
    assert [result.run for result in results] == [result.run for result in told]
    assert len(results) == len(runs_of(study, "animals")) - 1 == 3
    assert rehearse(study, rig, folder.root, stage="null") == []


def test_a_run_that_exists_is_refused_and_nothing_changes(study: Study, rig: Rig, folder: StudyFolder):
    play(study, rig, folder)
    before = files(folder)
    with pytest.raises(FoolscanError, match="run 1 of sub-01, ses-01 exists already"):
        play(study, rig, folder)
    assert files(folder) == before


def test_a_run_that_another_process_is_at_is_refused(study: Study, rig: Rig, folder: StudyFolder):
    with exclusive(folder.journal(RUN), "run 1"), pytest.raises(FoolscanError, match="is at it now"):
        play(study, rig, folder)


class Impatient(NullStage):
    """Someone presses Ctrl-C at a flip."""

    def __init__(self, at_flip: int, times: int = 1) -> None:
        self.flips, self.at_flip, self.times = 0, at_flip, times

    def flip(self) -> None:
        self.flips += 1
        if self.at_flip <= self.flips < self.at_flip + self.times:
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_keeps_the_journal_under_an_aborted_name_and_the_run_can_be_repeated(
    study: Study, rig: Rig, folder: StudyFolder
):
    for attempt in (1, 2):
        with pytest.raises(RunAborted, match=f"aborted-0{attempt}_journal.*Repeat it with --continue"):
            play(study, rig, folder, stage=Impatient(15))
    assert not folder.journal(RUN).exists()
    assert not folder.func(RUN).exists()
    kept = sorted(folder.journals.glob("*_aborted-*_journal.jsonl"))
    assert len(kept) == 2
    aborted = read_journal(kept[0])
    assert (aborted.end or {})["reason"] == "Ctrl-C"
    assert len(aborted.of("flip")) == 15
    result = play(study, rig, folder)
    assert result.certificate.passed
    assert len(list(folder.journals.iterdir())) == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_ends_at_once_and_still_leaves_nothing_half_written(
    study: Study, rig: Rig, folder: StudyFolder
):
    class Hasty(Impatient):
        def flip(self) -> None:
            super().flip()
            if self.flips == self.at_flip:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        play(study, rig, folder, stage=Hasty(15))
    assert [path.name for path in folder.journals.iterdir()] == [f"{RUN.stem}_aborted-01_journal.jsonl"]
    assert not folder.func(RUN).exists()


def test_ctrl_c_while_a_run_is_written_waits_until_it_is_whole(
    study: Study, rig: Rig, folder: StudyFolder, monkeypatch: pytest.MonkeyPatch
):
    written = run_module.write_events

    def interrupted(*arguments: Any) -> Path:
        signal.raise_signal(signal.SIGINT)
        return written(*arguments)

    monkeypatch.setattr(run_module, "write_events", interrupted)
    with pytest.raises(KeyboardInterrupt):
        play(study, rig, folder)
    monkeypatch.undo()
    assert folder.events(RUN).with_suffix(".json").exists()
    assert (folder.derived("certificates") / f"{RUN.stem}_certificate.json").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("lost", ["func", "certificate", "sidecar"])
def test_a_rehearsal_finishes_what_a_killed_one_had_recorded(study: Study, rig: Rig, folder: StudyFolder, lost: str):
    result = play(study, rig, folder)
    before = files(folder)
    sidecar = result.events.with_suffix(".json")
    for path in {"func": [result.events, sidecar], "certificate": [result.certificate_file], "sidecar": [sidecar]}[
        lost
    ]:
        path.unlink()
    rehearse(study, rig, folder.root, stage="null")
    assert {name: content for name, content in files(folder).items() if name in before} == before | {
        "participants.tsv": files(folder)["participants.tsv"]
    }


def test_ctrl_c_before_the_run_leaves_only_the_plan(study: Study, rig: Rig, folder: StudyFolder):
    class Loading(NullStage):
        def load(self, pictures: Any) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        play(study, rig, folder, stage=Loading())
    assert not list(folder.journals.glob("*"))
    assert not folder.func(RUN).exists()
    assert play(study, rig, folder).certificate.passed


def test_an_error_in_the_stage_keeps_the_journal_too(study: Study, rig: Rig, folder: StudyFolder):
    class Broken(Impatient):
        def flip(self) -> None:
            self.flips += 1
            if self.flips == self.at_flip:
                raise FoolscanError("display: the window is gone")

    with pytest.raises(FoolscanError, match="window is gone"):
        play(study, rig, folder, stage=Broken(15))
    kept = read_journal(next(folder.journals.glob("*_aborted-01_journal.jsonl")))
    assert (kept.end or {})["reason"] == "display: the window is gone"


class FillingDisk:
    """A file on a disk that fills up after some writes."""

    def __init__(self, file: BinaryIO, room: int) -> None:
        self._file, self._room = file, room

    def write(self, content: bytes) -> int:
        self._room -= len(content)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [0, 12_000, 14_000])
def test_a_full_disk_ends_the_run_with_one_message_and_no_events(
    study: Study, rig: Rig, folder: StudyFolder, room: int
):
    def writer(path: Path) -> JournalWriter:
        return JournalWriter(path, lambda where: FillingDisk(where.open("xb"), room))  # type: ignore[arg-type,return-value]

    with pytest.raises(FoolscanError, match=r"No space left on device.*Free space"):
        play(study, rig, folder, journal_writer=writer)
    assert not folder.func(RUN).exists()
    assert not folder.journal(RUN).exists()
    assert play(study, rig, folder).certificate.passed


SCRIPT = """
import sys
from experiment.run import run
from protocols.folder import RunId
from protocols.rig import load_rig
from protocols.study import load_study
run(load_study(sys.argv[1]), load_rig("rehearsal"), sys.argv[2], RunId("01", "01", "animals", 1), stage="null", real_time=True)
"""


def test_what_a_killed_run_showed_is_recovered_and_the_run_can_be_repeated_instead(
    tmp_path: Path, rig: Rig, project_root: Path
):
    study = small_study(tmp_path, scan="{tr_s: 1.0, volumes: 600}", times=0.1)
    folder = fill(tmp_path / "study", study, rig)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "small.yaml"), str(folder.root)]
    process = subprocess.Popen(command, cwd=project_root)
    journal = folder.journal(RUN)
    end_s = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b'"shows": "picture') < 5:
        assert process.poll() is None
        assert time.monotonic() < end_s
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not folder.func(RUN).exists()
    recovered = recover(folder.root)
    assert recovered[0].events is not None
    assert recovered[0].note.startswith("cut off")
    events = rows(recovered[0].events)
    assert 4 <= len(events) < 14
    assert all(abs(float(row["onset"]) - float(row["planned_onset"])) < 0.5 for row in events)
    assert validate(folder.root).errors == ()
    assert recover(folder.root)[0].events is None
    recovered[0].events.unlink()  # the operator would rather repeat it
    result = play(study, rig, folder)
    assert result.set_aside is not None
    assert result.set_aside.name == f"{RUN.stem}_aborted-01_journal.jsonl"
    assert [item.note for item in recover(folder.root)] == [
        "an aborted attempt, kept (recover it with --journal)",
        "has its events",
    ]


def test_events_are_rebuilt_from_a_journal_byte_for_byte(study: Study, rig: Rig, folder: StudyFolder):
    result = play(study, rig, folder)
    before = files(folder)
    result.events.unlink()
    result.certificate_file.unlink()
    with pytest.raises(FoolscanError, match="experiment recover"):
        play(study, rig, folder)
    assert [item.note for item in recover(folder.root)] == ["complete"]
    assert files(folder) == before


def test_an_aborted_attempt_is_recovered_only_when_it_is_named(study: Study, rig: Rig, folder: StudyFolder):
    with pytest.raises(RunAborted):
        play(study, rig, folder, stage=Impatient(15))
    assert [item.events for item in recover(folder.root)] == [None]
    named = recover(folder.root, next(folder.journals.iterdir()))
    assert named[0].events is not None
    assert 0 < len(rows(named[0].events)) < 14
    with pytest.raises(FoolscanError, match="nothing is overwritten"):
        recover(folder.root, next(folder.journals.iterdir()))


def test_images_that_are_missing_or_changed_stop_the_run_before_it_starts(study: Study, rig: Rig, folder: StudyFolder):
    image = folder.stimuli / "RE" / "RE-otter.png"
    good = image.read_bytes()
    image.write_bytes(b"")
    with pytest.raises(NotReady, match=r"RE-otter\.png: changed after the manifest"):
        play(study, rig, folder)
    image.unlink()
    with pytest.raises(NotReady, match=r"RE-otter\.png: is missing"):
        play(study, rig, folder)
    image.write_bytes(good)
    assert not (folder.root / "sourcedata").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda screen: (screen / "export.json").unlink(), "no images at the pixels of rig rehearsal"),
        (lambda screen: (screen / "AI-heron.png").unlink(), "AI-heron.png: is missing"),
        (lambda screen: (screen / "AI-heron.png").write_bytes(b""), "changed after the export"),
        (lambda screen: edit(screen / "export.json", side_px=5), "5 px; rig rehearsal needs format 1, 107 px"),
        (lambda screen: edit(screen / "export.json", images={}), "no image of"),
    ],
)
def test_a_window_needs_the_export_and_names_its_command(
    study: Study, rig: Rig, folder: StudyFolder, spoil: Any, message: str
):
    spoil(folder.screen_images("rehearsal"))
    with pytest.raises(NotReady, match=message) as refused:
        play(study, rig, folder, stage="window")
    assert "foolscan stimuli export small --rig rehearsal --to" in str(refused.value)
    assert not folder.journals.exists() or not list(folder.journals.iterdir())


def test_tasks_whose_images_have_another_size_share_a_rig(tmp_path: Path, rig: Rig):
    study = small_study(tmp_path)
    large = study.tasks["animals"].model_copy(update={"image_deg": 5.0})
    study = study.model_copy(update={"tasks": {**study.tasks, "large": large}})
    folder = fill(tmp_path / "study", study, rig)
    stimuli = read_manifest(folder)
    small_px, large_px = (rig.display.px(study.tasks[name].image_deg) for name in ("animals", "large"))
    with pytest.raises(NotReady, match=rf"{small_px} px; rig rehearsal needs format 1, {large_px} px.* --task large"):
        screen_pictures(folder, study, rig, large, stimuli)
    plain, beside = folder.screen_images("rehearsal"), folder.screen_images("rehearsal", large_px)
    assert beside.name == f"rehearsal.{large_px}px"
    shutil.copytree(plain, beside)
    edit(beside / "export.json", side_px=large_px)
    assert {path.parent for path in screen_pictures(folder, study, rig, large, stimuli).values()} == {beside}
    assert {path.parent for path in screen_pictures(folder, study, rig, study.tasks["animals"], stimuli).values()} == {
        plain
    }


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")


def test_without_images_the_command_that_makes_them_is_named_and_nothing_is_made(
    tmp_path: Path, study: Study, rig: Rig
):
    with pytest.raises(NotReady, match="foolscan stimuli make"):
        run(study, rig, tmp_path / "new", RUN, stage="null")
    assert not (tmp_path / "new").exists()


def test_keys_need_a_window(tmp_path: Path, study: Study):
    desk = load_rig("desk")
    folder = fill(tmp_path / "real", study, desk)
    with pytest.raises(FoolscanError, match="keys need a window"):
        play(study, desk, folder)
    assert not list(folder.journals.glob("*.jsonl"))


def test_a_study_that_does_not_fit_the_rig_is_refused(tmp_path: Path, study: Study, rig: Rig, folder: StudyFolder):
    far = rig.model_copy(update={"display": rig.display.model_copy(update={"distance_mm": 80_000.0})})
    with pytest.raises(ProtocolError, match="image_deg"):
        play(study, far, folder)
    with pytest.raises(FoolscanError, match="--screenshots"):
        play(study, rig, folder, screenshots=2, real_time=True)


def test_a_new_participant_keeps_the_others_and_their_columns(folder: StudyFolder):
    table = folder.root / "participants.tsv"
    table.write_text("participant_id\tage\nsub-07\t31\n", encoding="utf-8")
    enrol(folder, "02", simulated=False)
    enrol(folder, "02", simulated=False)
    assert table.read_text(encoding="utf-8") == "participant_id\tage\nsub-02\tn/a\nsub-07\t31\n"
