"""Runs come back whole or not at all, by their content; nothing that differs is overwritten, and nothing is mixed."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from experiment_study import fill, small_study

import stimulus_pc.merge as merging
from protocols.folder import StudyFolder, exclusive, open_folder
from protocols.problems import FoolscanError
from protocols.rig import load_rig
from stimulus_pc.merge import Copy, merge

RUNS = [(sub, run) for sub in ("01", "02") for run in (1, 2)]


def stem(sub: str, run: int) -> str:
    return f"sub-{sub}_ses-01_task-animals_run-{run:02d}"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """The study folder: images, and nothing recorded."""
    study, rig = small_study(tmp_path), load_rig("rehearsal")
    fill(tmp_path / "filled", study, rig)
    open_folder(tmp_path / "lab", study.title)
    shutil.copytree(tmp_path / "filled" / "stimuli", tmp_path / "lab" / "stimuli")
    return tmp_path / "lab"


def recorded(lab: Path, name: str, runs: list[tuple[str, int]], *, simulated: bool = False) -> Path:
    """A copy of the study folder on another computer, after some runs."""
    there = lab.with_name(name)
    shutil.copytree(lab, there)
    folder = open_folder(there, "small", rehearsal=simulated)
    for sub, run in runs:
        one = stem(sub, run)
        write(folder.journals / f"{one}_journal.jsonl", f'{{"kind": "header", "run": "{one}"}}\n')
        write(folder.journals / f"{one}_aborted-01_journal.jsonl", f'{{"kind": "header", "run": "{one}, aborted"}}\n')
        for kind in ("timeline.tsv", "timeline.json", "design.tsv"):
            write(folder.derived("timeline") / f"{one}_{kind}", f"{kind} of {one}\n")
        write(folder.derived("certificates") / f"{one}_certificate.json", "{}\n")
        for suffix in ("tsv", "json"):
            write(there / f"sub-{sub}" / "ses-01" / "func" / f"{one}_events.{suffix}", f"events of {one}\n")
        write(folder.session_record(sub, "01"), f'{{"sub": "{sub}"}}\n')
    subs = sorted({sub for sub, _ in runs})
    rows = "".join(f"sub-{sub}\tfalse\t{20 + int(sub)}\n" for sub in subs)
    write(there / "participants.tsv", f"participant_id\tsimulated\tage\n{rows}")
    write(there / "participants.json", "{}\n")
    return there


def hashes(root: Path) -> dict[str, str]:
    paths = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_every_file_of_every_run_comes_and_a_second_time_nothing_does(lab: Path):
    there = recorded(lab, "there", RUNS)
    sent = hashes(there)
    done = merge(there, lab)
    after = hashes(lab)
    mine = {name for name in sent if name.startswith(("sub-", "sourcedata/", "derivatives/", "participants"))}
    assert {name: after[name] for name in mine} == {name: sent[name] for name in mine}
    assert len(done.lines) == len(RUNS) + 2
    assert json.loads((lab / "dataset_description.json").read_text(encoding="utf-8"))["Simulated"] is False
    again = merge(there, lab)
    assert again.files_copied == 0
    assert hashes(lab) == after
    assert hashes(there) == sent, "the source is only read"


def test_runs_of_two_stimulus_pcs_come_together(lab: Path):
    merge(recorded(lab, "one", RUNS[:2]), lab)
    merge(_only(lab, RUNS[2:]), lab)
    assert len([*lab.glob("sub-*/ses-*/func/*_events.tsv")]) == len(RUNS)
    rows = (lab / "participants.tsv").read_text(encoding="utf-8").splitlines()
    assert [row.split("\t")[0] for row in rows] == ["participant_id", "sub-01", "sub-02"]


def _only(lab: Path, runs: list[tuple[str, int]]) -> Path:
    """Another computer's folder, which never saw what the lab has by now."""
    clean = lab.with_name("clean")
    open_folder(clean, "small")
    shutil.copytree(lab / "stimuli", clean / "stimuli")
    return recorded(clean, "two", runs)


def test_a_dry_run_writes_nothing_and_says_what_would_be_done(lab: Path):
    there = recorded(lab, "there", RUNS[:1])
    before = hashes(lab)
    asked = merge(there, lab, dry_run=True)
    assert hashes(lab) == before
    assert asked.files_copied == 0
    assert asked.lines[0].startswith(f"{stem('01', 1)}: 9 files would come")
    assert asked.lines[1] == "participants.tsv: would gain sub-01"


def test_every_difference_is_listed_before_anything_is_written(lab: Path):
    there = recorded(lab, "there", RUNS)
    merge(recorded(lab, "first", RUNS[:2]), lab)
    shown = stem("01", 1), stem("01", 2)
    for one in shown:
        write(StudyFolder(lab).journals / f"{one}_journal.jsonl", "another run\n")
    before = hashes(lab)
    with pytest.raises(FoolscanError) as refused:
        merge(there, lab)
    assert all(f"{one}_journal.jsonl" in str(refused.value) for one in shown)
    assert "2 files" in str(refused.value)
    assert hashes(lab) == before


def test_events_that_were_corrected_here_meanwhile_stay_corrected(lab: Path):
    there = recorded(lab, "there", RUNS[:1])
    merge(there, lab)
    events = lab / "sub-01" / "ses-01" / "func" / f"{stem('01', 1)}_events.tsv"
    kept = lab / "sourcedata" / "corrections" / f"{stem('01', 1)}_events_before-1.tsv"
    write(kept, events.read_text(encoding="utf-8"))
    write(events, "corrected\n")
    assert merge(there, lab).files_copied == 0
    assert events.read_text(encoding="utf-8") == "corrected\n"
    write(kept, "something else\n")
    with pytest.raises(FoolscanError, match="other contents"):
        merge(there, lab)


def test_a_run_that_cannot_come_whole_does_not_come(lab: Path, monkeypatch: pytest.MonkeyPatch):
    there = recorded(lab, "there", RUNS[:2])
    copied, number = merging._copied, iter(range(100))

    def fails(copy: Copy) -> None:
        if next(number) == 12:  # in the middle of the second run
            raise FoolscanError("the disk is full")
        copied(copy)

    monkeypatch.setattr(merging, "_copied", fails)
    with pytest.raises(FoolscanError, match="disk is full"):
        merge(there, lab)
    assert [*lab.rglob(f"{stem('01', 1)}*")] != []
    assert [*lab.rglob(f"{stem('01', 2)}*")] == []
    monkeypatch.undo()
    merge(there, lab)
    assert len([*lab.glob("sub-*/ses-*/func/*_events.tsv")]) == 2


@pytest.mark.parametrize(("theirs", "ours"), [(True, False), (False, True)])
def test_rehearsals_and_people_are_not_mixed(lab: Path, theirs: bool, ours: bool):
    there = recorded(lab, "there", RUNS[:1], simulated=theirs)
    open_folder(lab, "small", rehearsal=ours)
    before = hashes(lab)
    with pytest.raises(FoolscanError, match="never mixed"):
        merge(there, lab)
    assert hashes(lab) == before


def test_runs_that_showed_other_images_are_refused(lab: Path):
    there = recorded(lab, "there", RUNS[:1])
    manifest = there / "stimuli" / "stimuli.tsv"
    manifest.write_text(manifest.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(FoolscanError, match="other images"):
        merge(there, lab)


def test_a_run_that_is_being_recorded_is_left_alone(lab: Path):
    there = recorded(lab, "there", RUNS[:1])
    before = hashes(lab)
    journal = StudyFolder(there).journals / f"{stem('01', 1)}_journal.jsonl"
    with exclusive(journal, "the run"), pytest.raises(FoolscanError, match="is at it now"):
        merge(there, lab)
    assert {name: sha for name, sha in hashes(lab).items() if name.startswith("sub-")} == {}
    assert before.keys() <= hashes(lab).keys()


def test_two_merges_of_one_run_do_not_meet(lab: Path):
    there = recorded(lab, "there", RUNS[:1])
    journal = StudyFolder(lab).journals / f"{stem('01', 1)}_journal.jsonl"
    with exclusive(journal, "the run"), pytest.raises(FoolscanError, match="is at it now"):
        merge(there, lab)


def test_participants_keep_their_rows_and_columns(lab: Path):
    write(lab / "participants.tsv", "participant_id\tsimulated\thand\nsub-01\tfalse\tleft\n")
    done = merge(recorded(lab, "there", RUNS), lab)
    assert (lab / "participants.tsv").read_text(encoding="utf-8") == (
        "participant_id\tsimulated\thand\nsub-01\tfalse\tleft\nsub-02\tfalse\tn/a\n"
    )
    assert "age of" in done.lines[-1]


@pytest.mark.parametrize("which", ["source", "target"])
def test_what_is_no_study_folder_is_refused(lab: Path, tmp_path: Path, which: str):
    there = recorded(lab, "there", RUNS[:1])
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    folders = (nothing, lab) if which == "source" else (there, nothing)
    with pytest.raises(FoolscanError, match="give a study folder"):
        merge(*folders)
    assert [*nothing.iterdir()] == []


def test_a_folder_cannot_be_merged_into_itself_and_an_empty_one_not_at_all(lab: Path):
    with pytest.raises(FoolscanError, match="both the source and the target"):
        merge(lab, lab)
    shutil.copytree(lab, lab.with_name("copy"))
    with pytest.raises(FoolscanError, match="found no runs"):
        merge(lab.with_name("copy"), lab)
