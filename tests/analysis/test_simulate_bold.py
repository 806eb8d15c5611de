"""The simulated scanner: marked as simulated, the same bytes each time, and the stated truth comes back from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.betas import estimate_betas
from analysis.brain_rdms import load_samples, rdms_of
from analysis.command_line import app
from analysis.confounds import confounds_path
from analysis.nifti import open_nifti, write_nifti
from analysis.rois import read_mask, roi_path
from analysis.selection import voxel_reliability
from analysis.similarity import similarity
from analysis.simulate_bold import simulate_bold
from analysis.stored_betas import load_patterns
from analysis.truth_files import amplitudes_path, simulation, truth_path
from protocols.folder import REHEARSAL_NOTE, RunId, StudyFolder, read_json, write_json
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import sidecar_path
from protocols.study import Study

Simulated = tuple[Study, StudyFolder]


def contents(folder: StudyFolder) -> dict[str, bytes]:
    return {folder.relative(path): path.read_bytes() for path in sorted(folder.root.rglob("*")) if path.is_file()}


def test_every_run_with_events_gets_its_volumes(finished: Simulated) -> None:
    _, folder = finished
    for run in folder.runs("animals"):
        image = open_nifti(folder.bold(run))
        assert image.shape == (24, 20, 12, 90)
        assert image.get_data_dtype() == np.int16
        assert image.header.get_zooms() == (3.0, 3.0, 3.0, 2.0)
        facts = read_json(sidecar_path(folder.bold(run)))
        assert (facts["RepetitionTime"], facts["TaskName"], facts["StartTime"]) == (2.0, "animals", 1.0)


def test_all_that_is_written_says_that_it_is_simulated(finished: Simulated) -> None:
    _, folder = finished
    run = folder.runs("animals")[0]
    truth = next(simulation(folder).rglob("*_truth.npy"))
    for path in (folder.bold(run), roi_path(folder, "01", "V1"), truth):
        assert read_json(sidecar_path(path))["Simulated"] is True
    assert read_json(truth_path(folder))["Simulated"] is True
    assert open_nifti(folder.bold(run)).header["descrip"].item().decode() == REHEARSAL_NOTE[:79]


def test_the_same_study_gives_the_same_bytes(tmp_path: Path, fake: SimpleNamespace) -> None:
    study = fake.study()
    made = []
    for name in ("one", "two"):
        folder = fake.folder(tmp_path / name, study, n_categories=4, sessions=1, runs=2)
        simulate_bold(study, folder)
        made.append(contents(folder))
    assert made[0] == made[1]


def test_what_is_right_is_left_alone_and_what_is_missing_is_made_as_before(simulated: Simulated) -> None:
    study, folder = simulated
    run = folder.runs("animals")[0]
    before = contents(folder)
    assert simulate_bold(study, folder) == []
    for path in (
        folder.bold(run),
        sidecar_path(folder.bold(run)),
        confounds_path(folder, run),
        roi_path(folder, "01", "V1"),
    ):
        path.unlink()  # an interruption may come before any of them
        simulate_bold(study, folder)
        assert contents(folder) == before


def test_a_run_does_not_depend_on_the_runs_beside_it(tmp_path: Path, fake: SimpleNamespace) -> None:
    study = fake.study()
    many = fake.folder(tmp_path / "many", study, n_categories=4, subjects=("01", "02"), sessions=1)
    one = fake.folder(tmp_path / "one", study, n_categories=4, sessions=1, runs=1)
    run = RunId("01", "01", "animals", 1)
    shutil.copy(many.events(run), one.events(run))
    simulate_bold(study, many)
    simulate_bold(study, one)
    assert many.bold(run).read_bytes() == one.bold(run).read_bytes()


def test_another_seed_is_another_brain(simulated: Simulated, fake: SimpleNamespace) -> None:
    study, folder = simulated
    path = folder.bold(folder.runs("animals")[0])
    before = path.read_bytes()
    assert simulate_bold(fake.changed(study, seed=1), folder) == [path]
    assert path.read_bytes() != before


def test_truth_patterns_are_in_the_order_of_manifest_and_mask(finished: Simulated) -> None:
    _, folder = finished
    path = amplitudes_path(folder, "02", "LO")
    assert np.load(path).shape == (12, int(read_mask(roi_path(folder, "02", "LO")).sum()))
    informative = np.array(read_json(sidecar_path(path))["Informative"])
    np.testing.assert_array_equal(np.load(path).std(axis=0) > 1e-4, informative)


def test_the_truth_is_stated_for_every_roi_and_pair(finished: Simulated) -> None:
    study, folder = finished
    truth = read_json(truth_path(folder))
    assert truth["format"] == 1
    assert {roi: set(pairs) for roi, pairs in truth["rois"].items()} == {
        r: {"RE-AN", "RE-AI"} for r in study.analysis.rois
    }
    assert truth["measure"]["subjects"] == ["01", "02"]


def test_the_whole_folder_passes_the_bids_validator(finished: Simulated) -> None:
    _, folder = finished
    program = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    assert program is not None, "it comes with the extra [experiment]"
    result = subprocess.run([program, str(folder.root), "--format", "json"], capture_output=True, text=True)
    issues = json.loads(result.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    assert result.returncode == 0


def test_peoples_data_are_never_written_over(simulated: Simulated) -> None:
    study, folder = simulated
    path = folder.bold(folder.runs("animals")[0])
    image = open_nifti(path)
    write_nifti(path, np.asarray(image.dataobj), image.affine, dtype=np.int16, tr_s=2.0, slope=0.05, note="scanner")
    content = path.read_bytes()
    with pytest.raises(FoolscanError, match="found images that foolscan did not simulate"):
        simulate_bold(study, folder)
    assert path.read_bytes() == content


@pytest.mark.parametrize("mark", [False, None])
def test_a_folder_that_is_not_a_rehearsals_is_refused(tmp_path: Path, fake: SimpleNamespace, mark: bool | None) -> None:
    study = fake.study()
    folder = fake.folder(tmp_path, study, n_categories=4, sessions=1, runs=1)
    facts = read_json(folder.root / "dataset_description.json")
    write_json(folder.root / "dataset_description.json", {**facts, "Simulated": mark})
    before = contents(folder)
    with pytest.raises(FoolscanError, match="not a rehearsal's folder"):
        simulate_bold(study, folder)
    assert contents(folder) == before


def test_without_events_there_is_nothing_to_simulate(tmp_path: Path, fake: SimpleNamespace) -> None:
    study = fake.study()
    with pytest.raises(NotReady, match="no events of task animals yet; run: foolscan experiment"):
        simulate_bold(study, fake.folder(tmp_path, study, n_categories=4, runs=0))


def test_progress_goes_from_none_to_all(tmp_path: Path, fake: SimpleNamespace) -> None:
    study = fake.study()
    folder = fake.folder(tmp_path, study, n_categories=4, sessions=1, runs=2)
    calls: list[tuple[str, int, int]] = []
    simulate_bold(study, folder, lambda *call: calls.append(call))
    assert [(done, total) for _, done, total in calls] == [(0, 2), (1, 2), (2, 2)]


def test_the_commands_do_what_the_functions_do(tmp_path: Path, fake: SimpleNamespace) -> None:
    """A study file of its own, through the command line."""
    path = tmp_path / "small.yaml"
    path.write_text(
        """
format: 1
extends: demo
name: small
scan: {tr_s: 2.0, volumes: 90}
tasks: {animals: {blank_s: 3.0, image_s: 1.0, blank_trial_s: 4.0, lead_in_s: 10.0, blank_trials: 5}}
analysis: {rois: [V1], voxels: {per_subject: 20}}
rehearsal: {brain: {voxels_per_roi: 60}}
""",
        encoding="utf-8",
    )
    folder = fake.folder(tmp_path / "folder", fake.study(), n_categories=4, sessions=1, runs=1)
    for verb, said in (("simulate-bold", "_bold.nii.gz"), ("betas", "_betas.nii.gz"), ("rois", "fine")):
        result = CliRunner().invoke(app, [verb, str(path), "--to", str(folder.root)])
        assert result.exit_code == 0, result.output
        assert said in result.output
    again = CliRunner().invoke(app, ["betas", str(path), "--to", str(folder.root)])
    assert "Nothing to do" in again.output


@pytest.fixture(scope="module")
def clear_study(tmp_path_factory: pytest.TempPathFactory, fake: SimpleNamespace) -> Simulated:
    """All 40 categories in a scanner with a tSNR that no scanner has, so that one subject shows the truth."""
    shared = {"V1": {"AN": 0.6, "AI": 0.95}, "LO": {"AN": 0.1, "AI": 0.85}}
    study = fake.study(
        scan__volumes=300,
        rehearsal__brain__tsnr=400.0,
        rehearsal__brain__voxels_per_roi=250,
        rehearsal__brain__shared=shared,
        analysis__voxels__per_subject=100,
    )
    folder = fake.folder(tmp_path_factory.mktemp("clear"), study, n_categories=40)
    simulate_bold(study, folder)
    estimate_betas(study, folder)
    return study, folder


def test_betas_follow_the_noiseless_responses(clear_study: Simulated) -> None:
    study, folder = clear_study
    true = np.load(amplitudes_path(folder, "01", "V1"))
    found = load_patterns(study, folder, "01", "V1").mean()
    strong = true.std(axis=0) > np.median(true.std(axis=0))
    correlations = [np.corrcoef(true[:, v], found[:, v])[0, 1] for v in np.flatnonzero(strong)]
    assert np.median(np.square(correlations)) > 0.5  # most of the variance; the rest are HRFs that the fit does not use
    # amplitudes are in the same units: % at the peak of one isolated presentation, as far as HRFs differ
    slopes = [np.polyfit(true[:, v], found[:, v], 1)[0] for v in np.flatnonzero(strong)]
    assert 0.7 < np.median(slopes) < 1.3


def test_reliable_voxels_are_those_that_tell_images_apart(clear_study: Simulated) -> None:
    study, folder = clear_study
    informative = np.array(read_json(simulation(folder) / "sub-01" / "sub-01_roi-LO_truth.json")["Informative"])
    reliability = voxel_reliability(load_patterns(study, folder, "01", "LO").betas)
    assert informative[np.argsort(-reliability)[:100]].mean() > 0.98


def test_the_stated_similarities_are_recovered(clear_study: Simulated) -> None:
    study, folder = clear_study
    truth = read_json(truth_path(folder))["rois"]
    for roi in study.analysis.rois:
        rdms = rdms_of(load_samples(study, folder, roi)[0], study.analysis.dissimilarity)
        for name in ("AN", "AI"):
            found = similarity(rdms["RE"], rdms[name], study.analysis.similarity)
            assert found == pytest.approx(truth[roi][f"RE-{name}"], abs=0.12), (roi, name)
