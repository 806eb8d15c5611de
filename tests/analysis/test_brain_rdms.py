"""Brain RDMs: pooling, halves, measures that need runs, and what a study folder gets of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.betas import estimate_betas
from analysis.brain_rdms import SubjectRoi, choose, half_rdms_of, missing_runs, pooled, rdms_of, sample_of, samples_of
from analysis.glm.noise_normalisation import noise_covariance
from analysis.patterns import Patterns, scaled
from analysis.rdm import condensed
from analysis.rdm_files import find_rdms, read_rdms
from analysis.rdms import brain_path, rdms, scaling_path
from analysis.reliability_maps import COLUMNS, chosen_path, map_path
from analysis.scaling_dependence import scaling_rows
from analysis.selection import selections
from analysis.simulate_bold import simulate_bold
from analysis.stored_betas import load_patterns
from protocols.analysis_plan import AnalysisPlan
from protocols.folder import StudyFolder, read_json
from protocols.problems import FoolscanError, NotReady
from protocols.provenance import sidecar_path
from protocols.study import Study
from protocols.tables import read_table
from protocols.voxel_plan import VoxelSelection

Doubles = NDArray[np.float64]
N_CATEGORIES, N_VOXELS = 8, 40
SETS = ("RE", "AN", "AI")


def patterns(sub: str, seed: int, level: float = 0.0, scale: float = 1.0, n_runs: int = 4) -> Patterns:
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((N_CATEGORIES * 3, N_VOXELS))
    betas = signal + 0.5 * rng.standard_normal((n_runs, *signal.shape))
    return Patterns(
        sub=sub,
        roi="V1",
        runs=tuple(f"run-{i}" for i in range(n_runs)),
        stim_ids=tuple(f"{name}-{i}" for name in SETS for i in range(N_CATEGORIES)),
        sets=tuple(name for name in SETS for _ in range(N_CATEGORIES)),
        categories=tuple(str(i) for _ in SETS for i in range(N_CATEGORIES)),
        betas=level + scale * betas,
        voxels=np.argwhere(np.ones((2, 4, 5), dtype=bool)),
        positions_mm=np.argwhere(np.ones((2, 4, 5), dtype=bool)) * 2.0,
    )


def plan(**changes: object) -> AnalysisPlan:
    return AnalysisPlan.model_validate(
        {"task": "animals", "rois": ["V1"], "voxels": {"per_subject": 20}, "pattern_scaling": "none"} | changes
    )


def samples(of_plan: AnalysisPlan, *subjects: Patterns) -> dict[str, object]:
    found = samples_of(of_plan, SETS, choose(of_plan, [SubjectRoi(subject) for subject in subjects]))
    return {sample.subject: sample for sample in found}


def test_pooled_voxels_stand_side_by_side_as_published() -> None:
    """300 = 3 x 100: with raw pooling the RDM is that of all chosen voxels in one row."""
    of_plan = plan(pooling="raw", voxels={"per_subject": 20, "by": "published"})
    subjects = [patterns(f"0{i}", i) for i in (1, 2, 3)]
    found = samples(of_plan, *subjects)["pooled"]
    assert found.n_voxels == 60
    beside = np.concatenate(
        [one.mean()[:N_CATEGORIES, selections(one, of_plan.voxels)[0].voxels] for one in subjects], axis=1
    )
    expected = 1 - stats.spearmanr(beside, axis=1)[0]
    np.testing.assert_allclose(rdms_of(found, "spearman")["RE"].values, condensed(expected), atol=1e-12)


def test_z_within_subject_takes_out_what_subjects_differ_in_on_the_whole() -> None:
    alike = [patterns("01", 1), patterns("02", 2)]
    apart = [patterns("01", 1), patterns("02", 2, level=50.0, scale=4.0)]
    for pooling, unchanged in (("z_within_subject", True), ("raw", False)):
        one, other = (
            rdms_of(samples(plan(pooling=pooling), *subjects)["pooled"], "spearman")["RE"].values
            for subjects in (alike, apart)
        )
        assert np.allclose(one, other, atol=1e-12) == unchanged
        if not unchanged:
            assert other.mean() < 0.4 < one.mean(), "levels that all images share draw correlations up"


def test_raw_pooling_and_one_subject_are_the_subject() -> None:
    found = samples(plan(pooling="raw"), patterns("01", 1))
    for name in SETS:
        np.testing.assert_array_equal(
            rdms_of(found["pooled"], "spearman")[name].values, rdms_of(found["01"], "spearman")[name].values
        )


def test_halves_are_chosen_on_the_other_half_and_averaged() -> None:
    of_plan = plan()
    one = patterns("01", 1)
    found = samples(of_plan, one)["01"]
    halved = []
    for selection in selections(one, of_plan.voxels):
        mean = one.mean(selection.analyse_runs)[:N_CATEGORIES, selection.voxels]
        halved.append(condensed(1 - stats.spearmanr(mean, axis=1)[0]))
    np.testing.assert_allclose(rdms_of(found, "spearman")["RE"].values, np.mean(halved, axis=0), atol=1e-12)
    for rdm, expected in zip(half_rdms_of(found, "spearman")["RE"], halved, strict=True):
        np.testing.assert_allclose(rdm.values, expected, atol=1e-12)


@pytest.mark.parametrize("by", ["published", "searchlight_published"])
def test_every_rdm_of_a_circular_choice_says_so(by: str) -> None:
    found = samples(plan(voxels={"per_subject": 20, "by": by}), patterns("01", 1), patterns("02", 2))
    for sample in found.values():
        told = [*rdms_of(sample, "pearson").values(), *half_rdms_of(sample, "pearson")["AN"]]
        assert {rdm.descriptors["selection"] for rdm in told} == {f"{by} (circular)"}


def test_crossnobis_of_pooled_subjects_is_their_mean() -> None:
    found = samples(plan(dissimilarity="crossnobis"), patterns("01", 1), patterns("02", 2))
    of_each = [rdms_of(found[sub], "crossnobis")["AI"].values for sub in ("01", "02")]
    np.testing.assert_allclose(
        rdms_of(found["pooled"], "crossnobis")["AI"].values, np.mean(of_each, axis=0), atol=1e-12
    )


def test_crossnobis_over_halves_needs_no_run_that_shows_all_images() -> None:
    """Each run shows one half of the categories: two runs never show both of a pair, two halves of the runs do."""
    one = patterns("01", 1, n_runs=8)
    first = np.array([int(category) < 4 for category in one.categories])
    one.betas[::4, first] = np.nan
    one.betas[1::4, first] = np.nan
    one.betas[2::4, ~first] = np.nan
    one.betas[3::4, ~first] = np.nan
    published = plan(dissimilarity="crossnobis", voxels={"per_subject": 20, "by": "published"})
    found = samples(published, one)["01"]
    assert np.isfinite(rdms_of(found, "crossnobis", "halves")["RE"].values).all()
    with pytest.raises(FoolscanError, match=r"no two folds that show both of a pair.*folds: halves"):
        rdms_of(found, "crossnobis", "runs")


def test_subjects_with_other_images_are_not_pooled() -> None:
    one, other = patterns("01", 1), patterns("02", 2)
    other = replace(other, stim_ids=tuple(f"other-{i}" for i in range(len(other.stim_ids))))
    both = [sample_of(item, selections(item, VoxelSelection(per_subject=5)), SETS) for item in (one, other)]
    with pytest.raises(FoolscanError, match=r"V1: sub-01 and sub-02 were shown different images"):
        pooled(both)


def test_similarity_under_every_scaling_and_pooling() -> None:
    subjects = [SubjectRoi(patterns("01", 1)), SubjectRoi(patterns("02", 2, level=3.0))]
    of_plan = plan(pairs=[["RE", "AN"], ["RE", "AI"]])
    rows = scaling_rows(of_plan, SETS, subjects)
    assert len(rows) == 4 * 2 * 2
    (used,) = {(row["pattern_scaling"], row["pooling"]) for row in rows if row["used"]}
    assert used == ("none", "z_within_subject")
    sample = samples(of_plan, *(subject.patterns for subject in subjects))["pooled"]
    found = rdms_of(sample, "spearman")
    expected = np.corrcoef(found["RE"].values, found["AI"].values)[0, 1]
    (row,) = [row for row in rows if row["used"] and row["pair"] == "RE-AI"]
    assert row["similarity"] == pytest.approx(expected, abs=1e-12)
    raw = {
        row["pattern_scaling"]: row["similarity"] for row in rows if row["pooling"] == "raw" and row["pair"] == "RE-AI"
    }
    assert abs(raw["none"] - raw["z_voxel_run"]) > 1e-3


def test_scalings_that_the_dissimilarity_does_not_allow_are_not_available() -> None:
    rows = scaling_rows(plan(dissimilarity="crossnobis"), SETS, [SubjectRoi(patterns("01", 1))])
    missing = {row["pattern_scaling"] for row in rows if np.isnan(row["similarity"])}
    assert missing == {"z_voxel_run"}


@pytest.fixture
def made(finished: tuple[Study, StudyFolder], tmp_path: Path) -> tuple[Study, StudyFolder]:
    """A copy of a study with betas, to be written to."""
    study, folder = finished
    shutil.copytree(folder.root, tmp_path / "study")
    return study, StudyFolder(tmp_path / "study")


def test_a_study_folder_gets_rdms_tables_and_maps(made: tuple[Study, StudyFolder]) -> None:
    study, folder = made
    written = rdms(study, folder)
    stored = read_rdms(brain_path(folder))
    for part in ("all", "half1", "half2"):
        for subject in ("pooled", "01", "02"):
            assert len(find_rdms(stored, roi="LO", subject=subject, part=part)) == len(study.tasks["animals"].sets)
    rows = read_table(brain_path(folder).with_name("brain_dissimilarities.tsv"))
    assert {row["part"] for row in rows} == {"all", "half1", "half2"}
    assert {row["selection"] for row in rows} == {"split_half"}
    assert len(rows) == len(stored) * stored[0].values.size
    for path in written:
        assert path.exists()
        assert "Warnings" not in read_json(sidecar_path(path))
    of_scaling = read_table(scaling_path(folder))
    assert {row["roi"] for row in of_scaling} == {"V1", "LO"}
    for column in of_scaling[0]:
        assert read_json(sidecar_path(scaling_path(folder)))[column]["Description"]
    before = {path: path.read_bytes() for path in written}
    assert rdms(study, folder) == written
    assert {path: path.read_bytes() for path in written} == before


def test_maps_hold_the_reliability_of_every_voxel_and_the_table_those_chosen(made: tuple[Study, StudyFolder]) -> None:
    study, folder = made
    rdms(study, folder)
    rows = read_table(chosen_path(folder, "02", "V1"))
    assert list(rows[0]) == list(COLUMNS)
    scaled_patterns = scaled(load_patterns(study, folder, "02", "V1"), study.analysis.pattern_scaling)
    for number, selection in enumerate(selections(scaled_patterns, study.analysis.voxels), 1):
        image = nibabel.load(map_path(folder, "02", "V1", f"half{number}"))
        values = np.asarray(image.dataobj)
        assert np.isfinite(values).sum() == len(scaled_patterns.voxels)
        mine = [row for row in rows if row["chosen_on"] == f"half{number}"]
        assert {row["analysed_on"] for row in mine} == {f"half{3 - number}"}
        assert [int(row["rank"]) for row in mine] == list(range(1, 21))
        for row, voxel in zip(mine, selection.voxels, strict=True):
            place = tuple(int(row[axis]) for axis in "ijk")
            assert place == tuple(scaled_patterns.voxels[voxel])
            assert values[place] == pytest.approx(float(row["reliability"]), abs=1e-6)
            in_mm = image.affine[:3, :3] @ place + image.affine[:3, 3]
            np.testing.assert_allclose([float(row[f"{axis}_mm"]) for axis in "xyz"], in_mm, atol=1e-5)


def test_all_that_comes_of_a_circular_choice_says_so(made: tuple[Study, StudyFolder], fake: SimpleNamespace) -> None:
    study, folder = made
    study = fake.changed(study, analysis__voxels__by="published")
    for path in rdms(study, folder):
        assert any("circular" in warning for warning in read_json(sidecar_path(path))["Warnings"])
        if path.suffix == ".tsv":
            assert all("circular" in row["selection"] for row in read_table(path))
    target = map_path(folder, "01", "V1", "published")
    assert "circular" in str(nibabel.load(target).header["descrip"])
    assert "circular" in read_json(sidecar_path(target))["Description"]


def test_rsatoolbox_loads_what_the_verb_writes(made: tuple[Study, StudyFolder]) -> None:
    rsatoolbox = pytest.importorskip("rsatoolbox")
    study, folder = made
    rdms(study, folder)
    loaded = rsatoolbox.rdm.load_rdm(str(brain_path(folder)), file_type="hdf5")
    subset = loaded.subset("roi", "V1").subset("subject", "pooled").subset("set", "RE").subset("part", "all")
    (ours,) = find_rdms(read_rdms(brain_path(folder)), roi="V1", subject="pooled", set="RE", part="all")
    np.testing.assert_array_equal(subset.dissimilarities[0], ours.values)


def test_searchlights_choose_voxels_of_a_study_folder(made: tuple[Study, StudyFolder], fake: SimpleNamespace) -> None:
    study, folder = made
    voxels = study.analysis.voxels.model_copy(update={"by": "searchlight", "radius_mm": 6.0, "images": "RE"})
    rdms(fake.changed(study, analysis__voxels=voxels), folder)
    assert {row["selection"] for row in read_table(chosen_path(folder, "01", "V1"))} == {"searchlight"}


def test_runs_that_are_not_there_are_named(made: tuple[Study, StudyFolder]) -> None:
    study, folder = made
    complete = study.model_copy(update={"design": study.design.model_copy(update={"sessions": 2, "runs": 2})})
    assert missing_runs(complete, folder) == []
    lost = next(run for run in folder.runs("animals") if run.sub == "02")
    folder.events(lost).unlink()
    (told,) = missing_runs(complete, folder)
    assert told.startswith(f"sub-02: 1 of 4 runs are not there, first {folder.events(lost)}; ")


def test_a_run_without_betas_is_named(made: tuple[Study, StudyFolder]) -> None:
    study, folder = made
    lost = next(folder.derived("betas").rglob("sub-02*run-02_betas.nii.gz"))
    lost.unlink()
    with pytest.raises(NotReady, match=rf"{lost.name}: no betas of this run yet"):
        rdms(study, folder)


def test_crossnobis_of_a_study_folder_is_in_units_of_the_noise_that_betas_wrote(
    tmp_path: Path, fake: SimpleNamespace
) -> None:
    study = fake.study(analysis__dissimilarity="crossnobis", analysis__pattern_scaling="none", analysis__rois=("V1",))
    folder = fake.folder(tmp_path, study, n_categories=4)
    simulate_bold(study, folder)
    estimate_betas(study, folder)
    rdms(study, folder)
    (stored,) = find_rdms(read_rdms(brain_path(folder)), roi="V1", subject="pooled", set="AN", part="all")
    loaded = load_patterns(study, folder, "01", "V1")
    noise = noise_covariance(study, folder, "01", "V1")
    images = [row for row, name in enumerate(loaded.sets) if name == "AN"]
    expected = []
    for selection in selections(loaded, study.analysis.voxels):
        one, other = loaded.betas[list(selection.analyse_runs)][:, images][:, :, selection.voxels]
        precision = np.linalg.inv(noise[np.ix_(selection.voxels, selection.voxels)])
        pairs = list(combinations(range(4), 2))
        expected.append([(one[a] - one[b]) @ precision @ (other[a] - other[b]) / 20 for a, b in pairs])
    np.testing.assert_allclose(stored.values, np.mean(expected, axis=0), rtol=1e-8)
