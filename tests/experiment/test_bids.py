"""Study folders are BIDS, whatever was recorded into them: in a scanner, at a desk, aborted and recovered."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from experiment_study import fill, small_study

from experiment.attempts import set_aside_journal
from experiment.bids import kinds_of, validate
from experiment.events import events_path
from experiment.participants import enrol
from experiment.recover import recover
from experiment.run import run
from protocols.folder import RunId, StudyFolder
from protocols.rig import Rig
from protocols.study import Study

RUN, NEXT = RunId("01", "01", "animals", 1), RunId("01", "01", "animals", 2)
# What only the lab can say of its data: foolscan invents none of it.
THE_LABS_OWN = {
    *("TOO_FEW_AUTHORS", "NO_AUTHORS Authors", "HEDVersion", "License", "SourceDatasets"),
    *("CogAtlasID", "CogPOID", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
}


def valid(folder: StudyFolder) -> None:
    issues = validate(folder.root)
    assert issues.errors == ()
    kinds = {kind.split(" (in ")[0] for line in kinds_of(issues.warnings) for kind in split(line)}
    assert kinds <= THE_LABS_OWN


def split(line: str) -> list[str]:
    return line.removeprefix("recommended: ").split(", ") if line.startswith("recommended: ") else [line]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def test_runs_in_a_scanner(study: Study, rig: Rig, folder: StudyFolder):
    for run_id in (RUN, NEXT, RunId("02", "01", "animals", 1)):
        run(study, rig, folder.root, run_id, stage="null")
    valid(folder)


@pytest.mark.parametrize("dummies", ["sent, images: discarded", "silent, images: stored"])
def test_onset_0_is_the_first_stored_volume(tmp_path: Path, rig: Rig, dummies: str):
    study = small_study(tmp_path, scan=f"{{tr_s: 1.0, volumes: 60, dummies: {{volumes: 3, pulses: {dummies}}}}}")
    folder = fill(tmp_path / "study", study, rig)
    result = run(study, rig, folder.root, RUN, stage="null")
    described = json.loads(result.events.with_suffix(".json").read_text(encoding="utf-8"))["onset"]
    assert "first stored volume" in described["Description"]
    assert float(rows(result.events)[0]["onset"]) == (7.0 if "stored" in dummies else 4.0)
    valid(folder)


def test_a_run_at_a_desk_is_behaviour_and_as_valid(tmp_path: Path, study: Study, rig: Rig, folder: StudyFolder):
    result = run(study, rig, folder.root, RUN, stage="null")
    header, *lines = result.journal.read_text(encoding="utf-8").splitlines()
    scan = json.loads(header)["scan"] | {"end_s": None, "pulses": 1}
    at_desk = fill(tmp_path / "desk", study, rig)
    journal = at_desk.journal(RUN)
    journal.parent.mkdir(parents=True)
    kept = [
        line for place, line in enumerate(lines) if '"pulse"' not in line or '"pulse"' not in "".join(lines[:place])
    ]
    journal.write_text("\n".join([json.dumps(json.loads(header) | {"scan": scan}), *kept]) + "\n", encoding="utf-8")
    assert recover(at_desk.root)[0].events == events_path(at_desk, RUN, scanner=False)
    assert not at_desk.func(RUN).exists()
    assert len(rows(events_path(at_desk, RUN, scanner=False))) == 14
    valid(at_desk)


def test_self_paced_trials_are_as_valid(tmp_path: Path, rig: Rig):
    study = small_study(tmp_path, more="    pace: self_paced\n    image_until_response: true\n")
    folder = fill(tmp_path / "study", study, rig)
    result = run(study, rig, folder.root, RUN, stage="null")
    assert len(rows(result.events)) == 14
    valid(folder)


def test_aborted_then_recovered_beside_its_repetition(study: Study, rig: Rig, folder: StudyFolder):
    run(study, rig, folder.root, NEXT, stage="null")
    result = run(study, rig, folder.root, RUN, stage="null")
    lines = result.journal.read_text(encoding="utf-8").splitlines(keepends=True)
    for path in (result.events, result.events.with_suffix(".json"), result.certificate_file):
        path.unlink()
    result.journal.write_text("".join(lines[:50]), encoding="utf-8")
    kept = set_aside_journal(result.journal)
    run(study, rig, folder.root, RUN, stage="null")
    valid(folder)
    assert recover(folder.root, kept)[0].events is not None
    valid(folder)


def test_cut_off_and_recovered_in_its_own_place(study: Study, rig: Rig, folder: StudyFolder):
    result = run(study, rig, folder.root, RUN, stage="null")
    content = result.journal.read_bytes()
    for path in (result.events, result.events.with_suffix(".json"), result.certificate_file):
        path.unlink()
    result.journal.write_bytes(content[: len(content) * 2 // 3])
    assert recover(folder.root)[0].events == result.events
    valid(folder)


def test_the_sidecar_describes_every_column_and_the_presentation(study: Study, rig: Rig, folder: StudyFolder):
    result = run(study, rig, folder.root, RUN, stage="null")
    sidecar = json.loads(result.events.with_suffix(".json").read_text(encoding="utf-8"))
    columns = rows(result.events)[0]
    for name in columns:
        assert sidecar[name]["Description"]
    for name in ("onset", "duration", "response_time", "planned_onset"):
        assert sidecar[name]["Units"] == "s"
    for name in ("trial_type", "response", "correct", "animal_source"):
        used = {row[name] for row in rows(result.events)} - {"n/a"}
        assert used <= set(sidecar[name]["Levels"])
    screen = sidecar["StimulusPresentation"]
    assert {"OperatingSystem", "SoftwareName", "SoftwareVersion"} <= set(screen)
    assert screen["ScreenResolution"] == [1024, 768]
    assert screen["ScreenSize"] == pytest.approx([0.4, 0.3])
    assert (screen["ScreenDistance"], screen["ScreenRefreshRate"]) == (0.8, 60.0)
    for row in rows(result.events):
        assert row["stim_file"] == "n/a" or (folder.stimuli / row["stim_file"]).exists()


def test_what_the_lab_wrote_of_its_participants_stays(folder: StudyFolder):
    table, described = folder.root / "participants.tsv", folder.root / "participants.json"
    table.write_text("participant_id\tage\tsimulated\nsub-07\t31\tfalse\n", encoding="utf-8")
    own: dict[str, Any] = {"age": {"Description": "Age", "Units": "year"}, "simulated": {"Description": "ours"}}
    described.write_text(json.dumps(own), encoding="utf-8")
    enrol(folder, "02", simulated=True)
    assert table.read_text(encoding="utf-8").splitlines()[1:] == ["sub-02\tn/a\ttrue", "sub-07\t31\tfalse"]
    now = json.loads(described.read_text(encoding="utf-8"))
    assert {name: now[name] for name in own} == own
    assert "participant_id" in now
    enrol(folder, "02", simulated=True)
    assert json.loads(described.read_text(encoding="utf-8")) == now
