"""Every model end to end, on small simulated runs: files, tables, provenance, and patterns that agree with one another."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.betas import MEMORY_BYTES, estimate_betas
from analysis.confounds import confounds_path
from analysis.glm.noise_normalisation import noise_covariance, noise_path, normalised, read_noise
from analysis.glm.run_series import run_blocks
from analysis.glm.series import pulses_path
from analysis.nifti import open_nifti
from analysis.rois import load_rois
from analysis.simulate_bold import simulate_bold
from analysis.stored_betas import betas_path, load_patterns, session_betas_path, table_path
from analysis.truth_files import amplitudes_path
from protocols.folder import StudyFolder, read_json, write_json, write_text
from protocols.problems import FoolscanError
from protocols.provenance import sidecar_path
from protocols.study import Study
from protocols.tables import read_table


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, fake: SimpleNamespace) -> tuple[Study, StudyFolder]:
    """One subject, one session of three simulated runs; every test estimates its own betas of them."""
    study = fake.study(scan__volumes=120, rehearsal__brain__tsnr=200.0)
    folder = fake.folder(tmp_path_factory.mktemp("models"), study, n_categories=3, sessions=1, runs=3)
    simulate_bold(study, folder)
    return study, folder


@pytest.fixture(autouse=True)
def as_before(runs: tuple[Study, StudyFolder]) -> Iterator[None]:
    shutil.rmtree(runs[1].derived("betas"), ignore_errors=True)
    yield
    pulses_path(runs[1], runs[1].runs("animals")[0]).unlink(missing_ok=True)


def estimated(fake: SimpleNamespace, runs: tuple[Study, StudyFolder], **changes: object) -> tuple[Study, list[Path]]:
    study = fake.changed(runs[0], **{f"analysis__glm__{name}": value for name, value in changes.items()})
    return study, estimate_betas(study, runs[1])


def values(path: Path) -> np.ndarray:
    return np.asarray(open_nifti(path).dataobj)


@pytest.mark.parametrize("model", ["single_trial", "lss"])
def test_single_trials_have_a_volume_and_a_row_each(
    fake: SimpleNamespace, runs: tuple[Study, StudyFolder], model: str
) -> None:
    study, written = estimated(fake, runs, model=model)
    assert len(written) == 3
    run = runs[1].runs("animals")[0]
    rows = read_table(table_path(betas_path(runs[1], run)))
    with runs[1].events(run).open(encoding="utf-8", newline="") as lines:
        shown = [row for row in csv.DictReader(lines, delimiter="\t") if row["stim_id"] != "n/a"]
    assert [row["stim_id"] for row in rows] == [row["stim_id"] for row in shown]
    assert [float(row["onset_s"]) for row in rows] == [float(row["onset"]) for row in shown]
    assert [row["trial"] for row in rows] == [str(i) for i in range(1, 10)]
    single = load_patterns(study, runs[1], "01", "V1").betas
    study, _ = estimated(fake, runs)
    together = load_patterns(study, runs[1], "01", "V1").betas
    # every image is shown once in a run: the same patterns, LSS with less noise and a little bias
    if model == "single_trial":
        np.testing.assert_allclose(single, together, rtol=1e-4, atol=1e-5)
    else:
        assert np.corrcoef(single.ravel(), together.ravel())[0, 1] > 0.9


def test_a_session_has_one_file_and_the_mean_of_its_runs(
    fake: SimpleNamespace, runs: tuple[Study, StudyFolder]
) -> None:
    study, _ = estimated(fake, runs)
    each = load_patterns(study, runs[1], "01", "V1")
    study, written = estimated(fake, runs, model="session_condition")
    first = runs[1].runs("animals")[0]
    assert written == [session_betas_path(runs[1], first)]
    assert not betas_path(runs[1], first).exists()  # replaced: a session has betas of one kind
    assert {row["presentations"] for row in read_table(table_path(written[0]))} == {"3"}
    together = load_patterns(study, runs[1], "01", "V1")
    assert together.runs == (written[0].name.removesuffix("_betas.nii.gz"),)
    assert np.corrcoef(together.betas[0].ravel(), each.mean().ravel())[0, 1] > 0.98
    assert estimate_betas(study, runs[1]) == []
    record = read_json(sidecar_path(written[0]))
    assert "run_2_trans_x" in record["Regressors"]
    assert record["foolscan"]["parameters"]["volumes"] == [120, 120, 120]
    estimated(fake, runs)
    assert not written[0].exists()


def test_finite_impulse_responses_of_a_session(fake: SimpleNamespace, runs: tuple[Study, StudyFolder]) -> None:
    changes = {"model": "session_condition", "hrf": "fir", "fir_delays": 8}
    study, (path,) = estimated(fake, runs, **changes)
    assert values(path).shape[3] == 9
    assert read_json(sidecar_path(path))["Units"] == "percent signal change, mean from 4 to 8 s after onset"
    found = load_patterns(study, runs[1], "01", "V1").betas[0]
    truth = np.load(amplitudes_path(runs[1], "01", "V1"))
    # nothing is assumed of the shape, which costs precision: eight regressors for each image
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.6
    with pytest.raises(FoolscanError, match=r"more volumes than regressors: .* or fewer fir_delays$"):
        estimated(fake, runs, **changes | {"fir_delays": 40})


def test_all_blanks_are_one_regressor(fake: SimpleNamespace, runs: tuple[Study, StudyFolder]) -> None:
    _, written = estimated(fake, runs, blanks="one_regressor")
    assert read_json(sidecar_path(written[0]))["Regressors"][0] == "blank"
    assert values(written[0]).shape[3] == 9


def test_each_voxel_has_a_response_of_the_library_and_it_is_saved(
    fake: SimpleNamespace, runs: tuple[Study, StudyFolder]
) -> None:
    study, written = estimated(fake, runs, hrf="library")
    path = runs[1].derived("betas") / "sub-01" / "sub-01_task-animals_hrf.nii.gz"
    choice, table = values(path), read_table(path.with_name("sub-01_task-animals_hrf.tsv"))
    union = np.logical_or.reduce(list(load_rois(study, runs[1], "01").values()))
    assert (choice[union] > 0).all()
    assert not choice[~union].any()
    assert [int(row["voxels"]) for row in table] == [int((choice == int(row["index"])).sum()) for row in table]
    assert len({row["index"] for row in table if row["voxels"] != "0"}) > 3  # simulated voxels have no two alike
    assert runs[1].relative(path) in read_json(sidecar_path(written[0]))["foolscan"]["inputs"]
    found = load_patterns(study, runs[1], "01", "V1").betas
    assert estimate_betas(study, runs[1]) == []
    study, _ = estimated(fake, runs)
    assert np.corrcoef(found.ravel(), load_patterns(study, runs[1], "01", "V1").betas.ravel())[0, 1] > 0.9
    assert not path.exists()  # no other model's choice stays behind


@pytest.mark.parametrize("asked", [2, "auto"])
def test_noise_components_are_confounds_of_every_run(
    fake: SimpleNamespace, runs: tuple[Study, StudyFolder], asked: int | str
) -> None:
    study, written = estimated(fake, runs, noise_components=asked)
    summary = read_table(runs[1].derived("betas") / "sub-01" / "sub-01_task-animals_noisecomponents.tsv")
    (used,) = [int(row["components"]) for row in summary if row["used"] == "true"]
    assert len(summary) == (3 if asked == 2 else 11)
    assert asked in (used, "auto")
    record = read_json(sidecar_path(written[1]))
    named = [name for name in record["Regressors"] if name.startswith("noise_component_")]
    assert len(named) == used
    table = written[1].with_name(written[1].name.replace("_betas.nii.gz", "_noisecomponents.tsv"))
    assert runs[1].relative(table) in record["foolscan"]["inputs"]
    assert estimate_betas(study, runs[1]) == []
    estimated(fake, runs)
    assert not list(runs[1].derived("betas").rglob("*noisecomponents*"))


def test_the_whole_brain_has_betas_if_asked(fake: SimpleNamespace, runs: tuple[Study, StudyFolder]) -> None:
    study, written = estimated(fake, runs)
    in_rois = values(written[0])
    study, written = estimated(fake, runs, where="brain")
    everywhere = values(written[0])
    union = np.logical_or.reduce(list(load_rois(study, runs[1], "01").values()))
    np.testing.assert_allclose(everywhere[union], in_rois[union], rtol=1e-5, atol=1e-6)
    assert np.isfinite(everywhere).all(axis=3).sum() > 2 * union.sum()
    load_patterns(study, runs[1], "01", "V1")


@pytest.mark.parametrize("noise", ["ols", "ar1"])
def test_t_patterns_are_betas_over_their_errors(
    fake: SimpleNamespace, runs: tuple[Study, StudyFolder], noise: str
) -> None:
    _, written = estimated(fake, runs, pattern="t", noise=noise)
    t = values(written[0])
    assert read_json(sidecar_path(written[0]))["Units"] == "t"
    _, written = estimated(fake, runs, noise=noise)
    beta = values(written[0])
    inside = np.isfinite(beta)
    assert (np.sign(t[inside]) == np.sign(beta[inside])).all()
    assert np.abs(t[inside]).max() > 3


def test_less_memory_changes_nothing(fake: SimpleNamespace, runs: tuple[Study, StudyFolder]) -> None:
    study = fake.changed(runs[0], analysis__glm__model="session_condition", analysis__glm__noise="ar1")
    (path,) = estimate_betas(study, runs[1], memory_bytes=MEMORY_BYTES)
    before = values(path)
    path.unlink()
    estimate_betas(study, runs[1], memory_bytes=2_000_000)
    np.testing.assert_allclose(values(path), before, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["univariate", "multivariate"])
def test_patterns_are_loaded_in_units_of_their_noise(
    fake: SimpleNamespace, runs: tuple[Study, StudyFolder], kind: str
) -> None:
    study, _ = estimated(fake, runs)
    plain = load_patterns(study, runs[1], "01", "LO").betas
    study, written = estimated(fake, runs, noise_normalisation=kind)
    assert all(noise_path(path).exists() for path in written)
    covariance = noise_covariance(study, runs[1], "01", "LO")
    assert covariance.shape == (60, 60)
    assert [read_noise(noise_path(path), "LO").dof for path in written] == [
        120 - open_nifti(written[0]).shape[3] - 6 - 5
    ] * 3
    found = load_patterns(study, runs[1], "01", "LO").betas
    np.testing.assert_allclose(found, normalised(plain, covariance, kind), rtol=1e-5)
    noise_path(written[0]).unlink()
    assert estimate_betas(study, runs[1]) == [written[0]]
    estimated(fake, runs)
    assert not list(runs[1].derived("betas").rglob("*noise*"))


def test_a_dissimilarity_that_needs_noise_has_it(fake: SimpleNamespace, runs: tuple[Study, StudyFolder]) -> None:
    study = fake.changed(runs[0], analysis__dissimilarity="crossnobis")
    for path in estimate_betas(study, runs[1]):
        assert noise_path(path).exists()
    raw = noise_covariance(study, runs[1], "01", "V1", shrunk=False)
    shrunk = noise_covariance(study, runs[1], "01", "V1")
    assert np.linalg.eigvalsh(shrunk).min() > np.linalg.eigvalsh(raw).min()


def test_residuals_are_held_within_the_budget_or_on_the_disk(
    fake: SimpleNamespace, runs: tuple[Study, StudyFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = fake.changed(runs[0], analysis__glm__noise_normalisation="univariate")
    n_voxels = int(np.logical_or.reduce(list(load_rois(study, runs[1], "01").values())).sum())
    residuals = 4 * 120 * n_voxels
    left: list[int] = []

    def watched(series: object, mask: object, budget: int, working: int) -> object:
        left.append(budget)
        return run_blocks(series, mask, budget, working)  # type: ignore[arg-type]

    monkeypatch.setattr("analysis.betas.run_blocks", watched)
    path = noise_path(betas_path(runs[1], runs[1].runs("animals")[0]))
    found = []
    for memory_bytes, held in ((MEMORY_BYTES, residuals), (2 * residuals - 1, 0)):
        left.clear()
        shutil.rmtree(runs[1].derived("betas"), ignore_errors=True)
        estimate_betas(study, runs[1], memory_bytes=memory_bytes)
        assert left == [memory_bytes - held] * 3
        found.append(read_noise(path, "V1").covariance)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-6)


def test_an_roi_whose_noise_does_not_fit_is_refused_and_nothing_written(
    fake: SimpleNamespace, runs: tuple[Study, StudyFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.glm.noise_normalisation.host_free_bytes", lambda: 1000)
    with pytest.raises(
        FoolscanError, match=r"sub-01 V1: the noise covariance of 60 voxels takes .* GiB are free\. Use a"
    ):
        estimated(fake, runs, noise_normalisation="multivariate")
    assert not list(runs[1].derived("betas").rglob("*.nii.gz"))


def test_confounds_that_a_run_does_not_have_are_asked_for(
    fake: SimpleNamespace, runs: tuple[Study, StudyFolder]
) -> None:
    with pytest.raises(FoolscanError, match=r"found no column csf; the table has: trans_x, trans_y"):
        estimated(fake, runs, confounds=("motion", "csf"))
    table = confounds_path(runs[1], runs[1].runs("animals")[0])
    content = table.read_text(encoding="utf-8")
    table.unlink()
    with pytest.raises(
        FoolscanError, match=r"found no confounds table of this run; analysis\.glm asks for motion, 2 a_comp_cor"
    ):
        estimated(fake, runs, a_comp_cor=2)
    write_text(table, content)
    _, written = estimated(fake, runs, confounds=(), confound_columns=("rot_z",))
    assert read_json(sidecar_path(written[0]))["foolscan"]["parameters"]["confounds"] == ["rot_z"]


def test_a_run_whose_pulses_are_not_explained_is_not_analysed(
    fake: SimpleNamespace, runs: tuple[Study, StudyFolder]
) -> None:
    certificate = pulses_path(runs[1], runs[1].runs("animals")[0])
    write_json(certificate, {"pulses_expected": 120, "pulses_seen": 119})
    with pytest.raises(FoolscanError, match=r"found 120 volumes; .* logged 119 of 120 pulses"):
        estimated(fake, runs)


def test_imported_betas_are_not_replaced(fake: SimpleNamespace, runs: tuple[Study, StudyFolder]) -> None:
    _, written = estimated(fake, runs)
    record = read_json(sidecar_path(written[0]))
    write_json(sidecar_path(written[0]), record | {"ImportedFrom": "spm"})
    with pytest.raises(FoolscanError, match=r"found imported betas \(spm\); move them elsewhere"):
        estimated(fake, runs, hrf="glover")
