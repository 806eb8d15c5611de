"""A run that did not end well is kept, linked and repeated; nothing is ever overwritten."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from experiment_study import fill, small_study

from experiment.attempts import attempts_of, next_run, order_number, status_of
from experiment.bids import validate
from experiment.journal import read_journal
from experiment.recover import recover
from experiment.run import RunAborted, run
from experiment.stage import NullStage
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of, sidecar_path
from protocols.rig import Rig
from protocols.study import Study

RUN, SECOND = RunId("01", "01", "animals", 1), RunId("01", "01", "animals", 2)
VISIT = (RUN, SECOND)


class Gone(NullStage):
    """A stage whose window is lost at a flip; flips 0 and 1 show the waiting screen."""

    def __init__(self, at_flip: int) -> None:
        self.flips, self.at_flip = 0, at_flip

    def flip(self) -> None:
        self.flips += 1
        if self.flips == self.at_flip:
            raise FoolscanError("the window is gone")


def play(study: Study, rig: Rig, folder: StudyFolder, run_id: RunId = RUN, stage: Any = "null") -> Any:
    return run(study, rig, folder.root, run_id, stage=stage)


def fail(study: Study, rig: Rig, folder: StudyFolder, at_flip: int = 15) -> None:
    with pytest.raises(FoolscanError, match="window is gone"):
        play(study, rig, folder, stage=Gone(at_flip))


def by_a_person(journal: Path) -> None:
    """Let a journal say that its buttons were real ones."""
    content = journal.read_text(encoding="utf-8")
    assert content.count('"responses": {"kind": "emulated"') == 1
    journal.write_text(
        content.replace('"responses": {"kind": "emulated"', '"responses": {"kind": "serial"'), newline="\n"
    )


def order_in(journal: Path) -> list[str]:
    return [row["stim_id"] for row in read_journal(journal).header["timeline"]["rows"]]


def files(folder: StudyFolder) -> dict[str, bytes]:
    return {folder.relative(path): path.read_bytes() for path in folder.root.rglob("*") if path.is_file()}


def test_a_repeated_run_names_what_it_continues_and_has_an_order_of_its_own(
    study: Study, rig: Rig, folder: StudyFolder
) -> None:
    for _ in range(2):
        fail(study, rig, folder)
        by_a_person(attempts_of(folder, RUN)[-1].journal)
    result = play(study, rig, folder)
    attempts = attempts_of(folder, RUN)
    assert [attempt.journal.name.removeprefix(RUN.stem) for attempt in attempts] == [
        "_aborted-01_journal.jsonl",
        "_aborted-02_journal.jsonl",
        "_journal.jsonl",
    ]
    assert [attempt.seen for attempt in attempts] == [True, True, False]
    headers = [read_journal(attempt.journal).header for attempt in attempts]
    assert [header["attempt"] for header in headers] == [1, 2, 3]
    assert headers[0]["continues"] is None
    assert [folder.root / header["continues"] for header in headers[1:]] == [
        attempt.journal for attempt in attempts[:2]
    ]
    orders = [order_in(attempt.journal) for attempt in attempts]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert sorted(map(str, orders[0])) == sorted(map(str, orders[2]))
    for attempt, header in zip(attempts, headers, strict=True):
        plan = folder.derived("timeline") / attempt.journal.name.replace("_journal.jsonl", "_timeline.tsv")
        assert sha256_of(plan) == header["timeline"]["sha256"]
    assert result.timeline == plan
    assert order_number(folder, RUN) == 3
    assert validate(folder.root).errors == ()


def test_an_order_of_which_nothing_was_seen_is_used(study: Study, rig: Rig, folder: StudyFolder) -> None:
    fail(study, rig, folder, at_flip=1)
    assert not attempts_of(folder, RUN)[0].seen
    result = play(study, rig, folder)
    aborted, repeated = attempts_of(folder, RUN)
    assert order_in(aborted.journal) == order_in(repeated.journal)
    assert read_journal(result.journal).header["attempt"] == 2


def test_an_emulated_observer_learns_nothing(study: Study, rig: Rig, folder: StudyFolder) -> None:
    fail(study, rig, folder)
    result = play(study, rig, folder)
    assert order_in(result.journal) == order_in(attempts_of(folder, RUN)[0].journal)


def test_no_attempt_changes_what_an_earlier_one_wrote(study: Study, rig: Rig, folder: StudyFolder) -> None:
    fail(study, rig, folder)
    before = files(folder)
    play(study, rig, folder)
    play(study, rig, folder, SECOND)
    after = files(folder)
    assert {name: after[name] for name in before} == before


def test_a_visit_goes_on_where_it_stopped(study: Study, rig: Rig, folder: StudyFolder) -> None:
    assert [status_of(folder, run_id) for run_id in VISIT] == ["pending", "pending"]
    assert next_run(folder, VISIT).run == RUN
    fail(study, rig, folder)
    upcoming = next_run(folder, VISIT)
    assert upcoming.run == RUN
    assert upcoming.continues is not None
    assert upcoming.continues.reason == "the window is gone"
    play(study, rig, folder)
    assert [status_of(folder, run_id) for run_id in VISIT] == ["done", "pending"]
    upcoming = next_run(folder, VISIT)
    assert (upcoming.run, upcoming.continues) == (SECOND, None)
    second = play(study, rig, folder, SECOND)
    with pytest.raises(FoolscanError, match="all 2 runs of sub-01, ses-01 have been shown"):
        next_run(folder, VISIT)
    second.events.unlink()
    assert status_of(folder, SECOND) == "recorded"
    with pytest.raises(FoolscanError, match="experiment recover"):
        next_run(folder, VISIT)


def test_a_journal_cut_off_in_its_header_was_seen_by_nobody(study: Study, rig: Rig, folder: StudyFolder) -> None:
    result = play(study, rig, folder)
    content = result.journal.read_bytes()
    result.events.unlink()
    result.journal.write_bytes(content[:100])
    assert status_of(folder, RUN) == "aborted"
    assert not attempts_of(folder, RUN)[0].seen
    assert next_run(folder, VISIT).continues is not None
    damaged = content.replace(b'{"kind": "flip"', b"{broken", 1)
    result.journal.write_bytes(damaged)
    assert attempts_of(folder, RUN)[0].seen  # nobody knows: a new order is the safe choice


@pytest.mark.parametrize("lost", ["certificate", "sidecar", "participants", "all"])
def test_what_a_crash_after_the_events_left_out_is_made_byte_for_byte(
    study: Study, rig: Rig, folder: StudyFolder, lost: str
) -> None:
    result = play(study, rig, folder)
    before = files(folder)
    certificate = [path for path in result.certificate_file.parent.iterdir() if RUN.stem in path.name]
    people = [folder.root / "participants.tsv"]
    for name in (f".{RUN.stem}_events.tsv.0a1b2c3d.tmp.tsv", f".{SECOND.stem}_timeline.json.0a1b2c3d.tmp.json"):
        (folder.func(RUN) / name).write_text("half", encoding="utf-8")
    gone = {"certificate": certificate, "sidecar": [sidecar_path(result.events)], "participants": people + certificate}
    for path in gone.get(lost, [sidecar_path(result.events), *certificate, *people]):
        path.unlink()
    assert [item.note for item in recover(folder.root)] == ["complete"]
    assert files(folder) == before


def test_events_that_were_edited_are_left_as_they_are(study: Study, rig: Rig, folder: StudyFolder) -> None:
    result = play(study, rig, folder)
    edited = result.events.read_text(encoding="utf-8").replace("\t", "\t ", 1)
    result.events.write_text(edited, encoding="utf-8")
    sidecar_path(result.events).unlink()
    assert "left as it is" in recover(folder.root)[0].note
    assert result.events.read_text(encoding="utf-8") == edited


def test_the_events_of_an_aborted_attempt_stand_apart_from_those_of_its_repetition(
    study: Study, rig: Rig, folder: StudyFolder
) -> None:
    fail(study, rig, folder)
    play(study, rig, folder)
    before = files(folder)
    aborted = attempts_of(folder, RUN)[0].journal
    recovered = recover(folder.root, aborted)[0]
    assert recovered.events == folder.derived("attempts") / f"{RUN.stem}_aborted-01_events.tsv"
    facts = json.loads(sidecar_path(recovered.events).read_text(encoding="utf-8"))
    assert "Incomplete" in facts
    assert folder.relative(aborted) in facts["foolscan"]["inputs"]
    assert {name: files(folder)[name] for name in before} == before
    assert validate(folder.root).errors == ()
    with pytest.raises(FoolscanError, match="nothing is overwritten"):
        recover(folder.root, aborted)


def test_aborted_but_not_yet_renamed_is_aborted(study: Study, rig: Rig, folder: StudyFolder) -> None:
    fail(study, rig, folder)
    attempts_of(folder, RUN)[0].journal.rename(folder.journal(RUN))  # the process died between the two
    assert "aborted" in recover(folder.root)[0].note
    assert not folder.func(RUN).exists()
    assert play(study, rig, folder).set_aside.name == f"{RUN.stem}_aborted-01_journal.jsonl"


def test_the_command_goes_on_and_says_with_what(
    study: Study, rig: Rig, folder: StudyFolder, project_root: Path
) -> None:
    command = [sys.executable, "-m", "foolscan", "experiment", "run", str(folder.root.parent / "small.yaml")]
    command += ["--rig", "rehearsal", "--sub", "01", "--ses", "01", "--stage", "null", "--to", str(folder.root)]

    def said(*options: str) -> tuple[int, str]:
        done = subprocess.run([*command, *options], cwd=project_root, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    fail(study, rig, folder)
    by_a_person(attempts_of(folder, RUN)[0].journal)
    status, text = said("--continue")
    assert status == 0, text
    assert "started again with a new order" in text
    assert "aborted-01_journal.jsonl ended early (the window is gone)" in text
    folder.events(RUN).unlink()
    status, text = said("--continue")
    assert status == 0, text
    assert f"{folder.events(RUN)}: complete" in text
    assert status_of(folder, SECOND) == "done"
    for options in (("--continue",), ("--continue", "--run", "1"), ()):
        status, text = said(*options)
        assert status == 2
        assert text.startswith("foolscan: --")


def test_an_abort_is_not_recovered_behind_the_operators_back(study: Study, rig: Rig, folder: StudyFolder) -> None:
    stage = Gone(0)
    stage.flip = lambda: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises((RunAborted, KeyboardInterrupt)):
        play(study, rig, folder, stage=stage)
    assert [item.events for item in recover(folder.root)] == [None]


def test_participants_of_runs_that_end_at_once_are_all_listed(folder: StudyFolder, project_root: Path) -> None:
    script = "import sys; from pathlib import Path; from experiment.participants import enrol; "
    script += "from protocols.folder import StudyFolder; "
    script += "[enrol(StudyFolder(Path(sys.argv[1])), f'{sys.argv[2]}{n}', simulated=True) for n in range(10)]"
    people = [
        subprocess.Popen([sys.executable, "-c", script, str(folder.root), name], cwd=project_root) for name in "abc"
    ]
    assert [each.wait(120) for each in people] == [0, 0, 0]
    rows = (folder.root / "participants.tsv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1 + 30


@pytest.mark.parametrize(
    "more", ["", "    pace: self_paced\n    image_until_response: true\n"], ids=["scanner", "desk"]
)
def test_a_run_that_was_killed_after_its_last_flip_is_complete(tmp_path: Path, rig: Rig, more: str) -> None:
    study = small_study(tmp_path, more=more)
    folder = fill(tmp_path / "study", study, rig)
    result = run(study, rig, folder.root, RUN, stage="null")
    lines = result.journal.read_text(encoding="utf-8").splitlines(keepends=True)
    flips = [place for place, line in enumerate(lines) if '"kind": "flip"' in line]
    events = result.events.read_bytes()
    for path in (result.events, result.events.with_suffix(".json"), result.certificate_file):
        path.unlink()
    result.journal.write_text("".join(lines[: flips[-1]]), encoding="utf-8")
    assert status_of(folder, RUN) == "aborted"
    result.journal.write_text("".join(lines[:-1]), encoding="utf-8")  # all but the end
    assert status_of(folder, RUN) == "recorded"
    assert next_run(folder, [RUN, RunId("01", "01", "animals", 2)]).run.run == 2
    recovered = recover(folder.root)[0]
    assert recovered.note == "complete: all was shown, only the journal's last word is lacking"
    assert result.events.read_bytes() == events
    assert "Incomplete" not in json.loads(result.events.with_suffix(".json").read_text(encoding="utf-8"))
    certificate = json.loads(result.certificate_file.read_text(encoding="utf-8"))
    assert (certificate["complete"], certificate["passed"]) == (True, True)
    assert "the run's process ended after the last flip, before the journal's last word" in certificate["notes"]
    assert status_of(folder, RUN) == "done"
