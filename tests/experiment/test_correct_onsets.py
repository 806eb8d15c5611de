"""Onsets after a missed first pulse: both explanations told, one applied when the image file and the operator agree."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from experiment_study import fill, small_study
from typer.testing import CliRunner

from experiment.command_line import app
from experiment.correct_onsets import correct_onsets, pulses_in, volumes_of
from experiment.faults import faults_of
from experiment.recover import recover
from experiment.run import run
from protocols.folder import RunId, StudyFolder
from protocols.problems import FoolscanError
from protocols.provenance import sha256_of
from protocols.rig import load_rig

RUN = RunId("01", "01", "animals", 1)
TR_S = 0.5


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A rehearsed run of 72 volumes whose first two pulses were not heard."""
    place = tmp_path_factory.mktemp("lost")
    study, rig = small_study(place, scan=f"{{tr_s: {TR_S}, volumes: 72}}"), load_rig("rehearsal")
    folder = fill(place / "study", study, rig)
    run(study, rig, folder.root, RUN, stage="null", faults=faults_of(["first-pulse-missed=2"]))
    return folder


@pytest.fixture
def folder(lost: StudyFolder, tmp_path: Path) -> StudyFolder:
    shutil.copytree(lost.root, tmp_path / "study")
    return StudyFolder(tmp_path / "study")


def image(folder: StudyFolder, volumes: int) -> Path:
    path = folder.bold(RUN)
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, volumes), np.int16), np.eye(4)), path)
    return path


def onsets(folder: StudyFolder) -> list[float]:
    with folder.events(RUN).open(encoding="utf-8") as file:
        return [float(line["onset"]) for line in csv.DictReader(file, delimiter="\t")]


def test_both_explanations_are_told_with_their_volumes(folder: StudyFolder):
    (pulses,) = pulses_in(folder.root)
    assert (pulses.report.seen, pulses.report.expected) == (70, 72)
    assert [(h.name, h.onset_shift_s, h.volumes) for h in pulses.report.hypotheses] == [
        ("first-missed", 2 * TR_S, 72),
        ("stopped-early", 0.0, 70),
    ]


def test_the_command_shows_them_and_finds_the_work_wanting(folder: StudyFolder):
    result = CliRunner().invoke(app, ["pulses", str(folder.root)])
    assert result.exit_code == 1
    assert "if the first 2 were missed, every onset is 1 s too early" in result.output
    assert "correct-onsets FOLDER --sub 01 --ses 01 --task animals --run 1 --hypothesis first-missed" in result.output


def test_onsets_are_shifted_when_image_and_operator_agree_and_the_old_ones_are_kept(folder: StudyFolder):
    image(folder, 72)
    before, journal = onsets(folder), folder.journal(RUN).read_bytes()
    old = folder.events(RUN).read_bytes()
    done = correct_onsets(folder.root, RUN, "first-missed", confirmed=True)
    assert onsets(folder) == pytest.approx([onset + 2 * TR_S for onset in before])
    assert folder.journal(RUN).read_bytes() == journal
    assert done.kept[0].read_bytes() == old
    sidecar = json.loads(folder.events(RUN).with_suffix(".json").read_text(encoding="utf-8"))
    assert sidecar["OnsetsCorrected"]["Hypothesis"] == "first-missed"
    assert sidecar["OnsetsCorrected"]["Shift"] == 2 * TR_S
    (pulses,) = pulses_in(folder.root)
    assert pulses.correction is not None
    with pytest.raises(FoolscanError, match="corrected already"):
        correct_onsets(folder.root, RUN, "first-missed", confirmed=True)


def certificate(folder: StudyFolder) -> dict:
    path = folder.derived("certificates") / f"{RUN.stem}_certificate.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_certificate_states_from_what_to_what_onsets_were_corrected(folder: StudyFolder):
    image(folder, 72)
    before, first_s = certificate(folder), onsets(folder)[0]
    assert "every onset is 1 s too early" in " ".join(before["remarks"])
    assert before["onsets_corrected"] is None
    done = correct_onsets(folder.root, RUN, "first-missed", confirmed=True)
    after = certificate(folder)
    told = after["onsets_corrected"]
    assert (told["hypothesis"], told["shift_s"], told["volumes"]) == ("first-missed", 2 * TR_S, 72)
    assert told["first_onset_s"] == pytest.approx([first_s, onsets(folder)[0]], abs=1e-3)
    assert (after["passed"], after["remarks"], after["pulses_seen"]) == (True, [], 70)
    for path in (done.events, done.record):
        assert after["sha256"][folder.relative(path)] == sha256_of(path)
    page = done.page.read_text(encoding="utf-8")
    assert "onsets corrected by 1 s (first-missed; " in page
    assert f"the first from {first_s:.3f} s to {first_s + 1:.3f} s" in page


def test_a_scanner_that_stopped_early_still_makes_the_run_wanting(folder: StudyFolder):
    image(folder, 70)
    correct_onsets(folder.root, RUN, "stopped-early", confirmed=True)
    (remark,) = certificate(folder)["remarks"]
    assert remark == f"the scanner stopped early: {folder.bold(RUN).name} has 70 volumes"


def test_events_that_are_rebuilt_from_the_journal_are_corrected_too(folder: StudyFolder):
    image(folder, 72)
    correct_onsets(folder.root, RUN, "first-missed", confirmed=True)
    corrected = folder.events(RUN).read_bytes()
    folder.events(RUN).unlink()
    recover(folder.root)
    assert folder.events(RUN).read_bytes() == corrected


def test_a_scanner_that_stopped_early_leaves_the_onsets_and_is_written_down(folder: StudyFolder):
    image(folder, 70)
    before = onsets(folder)
    correct_onsets(folder.root, RUN, "stopped-early", confirmed=True)
    assert onsets(folder) == before
    sidecar = json.loads(folder.events(RUN).with_suffix(".json").read_text(encoding="utf-8"))
    assert sidecar["OnsetsCorrected"]["VolumesInImage"] == 70


@pytest.mark.parametrize(
    ("volumes", "hypothesis", "confirmed", "words"),
    [
        (72, "first-missed", False, "agrees with first-missed; onsets would be shifted by 1 s. Repeat .* --confirm"),
        (70, "first-missed", True, "found 70 volumes; first-missed expects 72, .* agrees with stopped-early"),
        (71, "stopped-early", True, "agrees with no explanation"),
        (72, "late", True, "found 'late'; expected first-missed or stopped-early"),
        (None, "first-missed", True, "found no image file"),
    ],
)
def test_nothing_is_changed_unless_both_agree(
    folder: StudyFolder, volumes: int | None, hypothesis: str, confirmed: bool, words: str
):
    if volumes is not None:
        image(folder, volumes)
    before = {path: path.read_bytes() for path in folder.root.rglob("*.*") if path.is_file()}
    with pytest.raises(FoolscanError, match=words):
        correct_onsets(folder.root, RUN, hypothesis, confirmed=confirmed)
    assert {path: path.read_bytes() for path in folder.root.rglob("*.*") if path.is_file()} == before


def test_a_run_with_all_its_pulses_is_not_corrected(tmp_path: Path):
    study, rig = small_study(tmp_path, scan=f"{{tr_s: {TR_S}, volumes: 72}}"), load_rig("rehearsal")
    folder = fill(tmp_path / "study", study, rig)
    run(study, rig, folder.root, RUN, stage="null")
    image(folder, 72)
    with pytest.raises(FoolscanError, match="72 pulses of 72 expected: there is nothing to correct"):
        correct_onsets(folder.root, RUN, "first-missed", confirmed=True)
    assert CliRunner().invoke(app, ["pulses", str(folder.root)]).exit_code == 0


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_volumes_are_read_from_every_kind_of_header(tmp_path: Path, kind: type, name: str):
    nib.save(kind(np.zeros((2, 3, 4, 5), np.float32), np.eye(4)), tmp_path / name)
    assert volumes_of(tmp_path / name) == 5
    nib.save(kind(np.zeros((2, 3, 4), np.float32), np.eye(4)), tmp_path / name)
    assert volumes_of(tmp_path / name) == 1


def test_a_header_of_the_other_byte_order_is_read(tmp_path: Path):
    header = bytearray(348)
    struct.pack_into(">i", header, 0, 348)
    struct.pack_into(">8h", header, 40, 4, 2, 2, 2, 77, 1, 1, 1)
    (tmp_path / "big.nii").write_bytes(bytes(header))
    assert volumes_of(tmp_path / "big.nii") == 77


@pytest.mark.parametrize(
    "content",
    [b"", b"text", gzip.compress(b"x" * 400, mtime=0), gzip.compress(b"y" * 4000, mtime=0)[:30]],
    ids=["empty", "text", "zipped text", "cut off"],
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, name: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FoolscanError, match=r"found no NIfTI header|cannot be read"):
        volumes_of(tmp_path / name)
