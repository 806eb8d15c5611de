"""The tables of `compare` beside the similarities: what they hold, that they describe themselves, and when they are made again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from analysis.betas import estimate_betas
from analysis.brain_rdms import POOLED, load_samples, rdms_of
from analysis.compare import compare, difference_path, similarity_path
from analysis.inference.further_tables import (
    ceilings_path,
    correspondence_matrix_path,
    correspondence_path,
    models_path,
    significance_path,
    trends_path,
)
from analysis.inference.places import UNITED, united_of_roi
from analysis.network_rdms import activations_path
from analysis.rdm import condensed
from analysis.rdms import rdms
from analysis.similarity_table import DifferenceRow, SimilarityRow, read_rows
from protocols.folder import StudyFolder
from protocols.formats import ACTIVATIONS
from protocols.manifest import read_manifest
from protocols.problems import FoolscanError
from protocols.provenance import sidecar_path
from protocols.study import Study
from protocols.tables import number, read_table

Ready = tuple[Study, StudyFolder]
LAYERS = ("conv1", "conv2", "fc")


def with_network(study: Study, folder: StudyFolder) -> None:
    """Activations of three layers as `stimuli activations` leaves them."""
    images = read_manifest(folder)
    path = activations_path(study, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = ACTIVATIONS
        file.attrs["layers"] = list(LAYERS)
        file["stim_id"] = [image.stim_id for image in images]
        for layer in LAYERS:
            file[f"layers/{layer}"] = rng.standard_normal((len(images), 50)).astype(np.float32)


@pytest.fixture(scope="module")
def compared(finished: Ready, fake: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Ready:
    """Two subjects, two ROIs, three layers, four categories; every similarity and all models."""
    study, original = finished
    root = tmp_path_factory.mktemp("compared") / "study"
    shutil.copytree(original.root, root)
    study = fake.changed(
        study,
        analysis__further_similarities=("kendall_tau_a", "whitened_cosine"),
        analysis__models=("supercategory", "animacy", "pixel", "layer:fc", "layer:conv1:RE", "set:RE"),
        analysis__tests__bootstrap_t=True,
        analysis__bootstrap__resamples=100,
    )
    folder = StudyFolder(root)
    with_network(study, folder)
    rdms(study, folder)
    compare(study, folder)
    return study, folder


def rows(path: Path, **wanted: str) -> list[dict[str, str]]:
    return [row for row in read_table(path) if all(row[key] == value for key, value in wanted.items())]


def test_every_column_of_every_table_is_described(compared: Ready) -> None:
    _, folder = compared
    paths = [
        *(of(folder, what) for of in (significance_path, models_path, trends_path) for what in ("brain", "network")),
        ceilings_path(folder),
        correspondence_path(folder),
        correspondence_matrix_path(folder),
    ]
    for path in paths:
        record = json.loads(sidecar_path(path).read_text(encoding="utf-8"))
        columns = path.read_text(encoding="utf-8").splitlines()[0].split("\t")
        assert set(columns) <= set(record), path.name
        assert all(record[name]["Description"] for name in columns)
        assert record["foolscan"]["parameters"]["tests"]["permutations"] == 1000
        assert record["foolscan"]["inputs"]


def test_the_tested_values_are_those_of_the_similarity_tables(compared: Ready) -> None:
    _, folder = compared
    for what in ("brain", "network"):
        tests = significance_path(folder, what)
        for row in read_rows(similarity_path(folder, what), SimilarityRow):
            (test,) = rows(
                tests,
                test="label_permutation",
                contrast=row.pair,
                place=row.place,
                subject=row.subject,
                measure="pearson",
            )
            assert number(test["value"]) == pytest.approx(row.similarity, abs=1e-8)
            # four images have 24 orders, all of which are taken
            assert (test["exact"], test["n_rearranged"], test["n"]) == ("true", "24", "4")
            assert 1 / 24 <= number(test["p"]) <= number(test["p_max"]) <= 1
            assert test["p_corrected"] == test["p_max"]
        for row in read_rows(difference_path(folder, what), DifferenceRow):
            (test,) = rows(
                tests,
                test="swap_permutation",
                contrast=row.contrast,
                place=row.place,
                subject=row.subject,
                measure="pearson",
            )
            assert number(test["value"]) == pytest.approx(row.difference, abs=1e-8)
            assert (test["exact"], test["n_rearranged"]) == ("true", "16")


def test_further_measures_are_tested_beside(compared: Ready) -> None:
    _, folder = compared
    for measure in ("pearson", "kendall_tau_a", "whitened_cosine"):
        assert (
            len(rows(significance_path(folder, "brain"), measure=measure, test="label_permutation", subject=POOLED))
            == 4
        )
        assert rows(correspondence_path(folder), measure=measure)


def test_two_subjects_are_told_one_by_one(compared: Ready) -> None:
    _, folder = compared
    found = rows(significance_path(folder, "brain"), test="sign_flip over subjects")
    assert {row["contrast"] for row in found} == {"RE-AN", "RE-AI", "RE-AI minus RE-AN"}
    for row in found:
        assert row["p"] == row["p_corrected"] == "n/a"
        assert "2 subjects" in row["note"]
        assert "needs 8" in row["note"]


def test_what_is_not_inference_is_marked_as_published(compared: Ready) -> None:
    _, folder = compared
    of_network = rows(significance_path(folder, "network"), test="published: paired t over layers", measure="pearson")
    assert len(of_network) == 1
    apart = [row.difference for row in read_rows(difference_path(folder, "network"), DifferenceRow)]
    expected = np.mean(apart) / (np.std(apart, ddof=1) / len(apart) ** 0.5)
    assert number(of_network[0]["statistic"]) == pytest.approx(expected, rel=1e-6)
    assert "not inference" in of_network[0]["note"]
    of_brain = rows(significance_path(folder, "brain"), test="published: t over bootstrap replicates")
    assert [row["place"] for row in of_brain] == ["V1", "LO"]
    assert all(row["note"].startswith("not inference") and row["n"] == "100" for row in of_brain)


def test_over_layers_the_images_are_what_is_exchanged(compared: Ready) -> None:
    _, folder = compared
    (row,) = rows(significance_path(folder, "network"), test="swap_permutation over layers", measure="pearson")
    of_layers = [
        number(one["value"])
        for one in rows(significance_path(folder, "network"), test="swap_permutation", measure="pearson")
    ]
    assert number(row["value"]) == pytest.approx(np.mean(of_layers), abs=1e-8)
    assert row["n_rearranged"] == "16"


def test_the_united_rdm_holds_both_sets_rdms(compared: Ready) -> None:
    study, folder = compared
    for sample in load_samples(study, folder, "V1"):
        united = united_of_roi(sample, ("AN", "AI"), "spearman", "runs")
        square = np.zeros((8, 8))
        square[np.triu_indices(8, 1)] = united
        alone = rdms_of(sample, "spearman")
        assert np.allclose(condensed(square[:4, :4]), alone["AN"].values, atol=1e-12)
        assert np.allclose(condensed(square[4:, 4:]), alone["AI"].values, atol=1e-12)
        assert UNITED not in alone


def test_models_say_why_they_say_nothing(compared: Ready) -> None:
    _, folder = compared
    table = models_path(folder, "brain")
    notes = {
        name: {row["note"] for row in rows(table, model=name, set="AN")}
        for name in ("animacy", "pixel", "layer:fc", "set:RE")
    }
    assert notes["animacy"] == {"the same for every two images of this set"}  # four categories, all animals
    assert notes["pixel"] == {"the same for every two images of this set"}  # so are the images of the test
    assert notes["layer:fc"] == notes["set:RE"] == {""}
    assert {row["note"] for row in rows(table, model="set:RE", set="RE")} == {"the set itself"}
    assert {row["similarity"] for row in rows(table, model="pixel")} == {"n/a"}
    of_pair = {
        (row.place, row.subject): row.similarity
        for row in read_rows(similarity_path(folder, "brain"), SimilarityRow)
        if row.pair == "RE-AN"
    }
    for row in rows(table, model="set:RE", set="AN", measure="pearson"):
        assert number(row["similarity"]) == pytest.approx(of_pair[row["place"], row["subject"]], abs=1e-8)
    of_layer = rows(models_path(folder, "network"), model="layer:fc", set="RE", place="fc", measure="pearson")
    assert number(of_layer[0]["similarity"]) == pytest.approx(1)


def test_trends_go_over_layers_and_not_over_two_rois(compared: Ready) -> None:
    _, folder = compared
    assert rows(trends_path(folder, "brain")) == []
    found = rows(trends_path(folder, "network"), measure="pearson")
    assert [row["series"] for row in found] == ["RE-AN", "RE-AI", "RE-AI minus RE-AN"]
    assert {(row["n"], row["along"]) for row in found} == {("3", "layers")}
    assert all(number(row["p"]) >= number(row["p_least"]) - 1e-9 for row in found)


def test_ceilings_come_in_both_conventions(compared: Ready) -> None:
    _, folder = compared
    of = rows(ceilings_path(folder), set="RE", place="V1", measure="pearson")
    assert [(row["convention"], row["subject"]) for row in of] == [
        ("between_subjects", "group"),
        ("split_half", POOLED),
        ("split_half", "01"),
        ("split_half", "02"),
    ]
    reliability = {
        row.subject: row.reliability_first
        for row in read_rows(similarity_path(folder, "brain"), SimilarityRow)
        if (row.place, row.pair) == ("V1", "RE-AN")
    }
    for row in of[1:]:
        assert number(row["lower"]) == pytest.approx(reliability[row["subject"]], abs=1e-8)


def test_correspondence_is_told_tidily_and_as_a_matrix(compared: Ready) -> None:
    study, folder = compared
    tidy = rows(correspondence_path(folder), measure="pearson")
    assert len(tidy) == 3 * len(LAYERS) * 2 * 3  # sets, layers, ROIs, subjects and pooled
    matrix = read_table(correspondence_matrix_path(folder))
    assert list(matrix[0]) == ["set", "subject", "layer", *study.analysis.rois, "selection"]
    wide = {(row["set"], row["subject"], row["layer"], roi): row[roi] for row in matrix for roi in study.analysis.rois}
    assert wide == {(row["set"], row["subject"], row["layer"], row["roi"]): row["similarity"] for row in tidy}


def test_tables_are_made_again_only_when_something_changed(compared: Ready, fake: SimpleNamespace) -> None:
    study, folder = compared
    before = {path: path.stat().st_mtime_ns for path in compare(study, folder)}
    assert len(before) == 13
    assert {path: path.stat().st_mtime_ns for path in compare(study, folder)} == before
    other = fake.changed(study, analysis__noise_ceilings=("split_half",))
    after = {path: path.stat().st_mtime_ns for path in compare(other, folder)}
    changed = {path.name for path in before if after[path] != before[path]}
    assert "ceilings_brain.tsv" in changed
    assert not changed & {"similarity_brain.tsv", "tests_brain.tsv", "similarity_network.tsv", "tests_network.tsv"}
    compare(study, folder)


def test_a_layer_that_is_not_there_is_named(compared: Ready, fake: SimpleNamespace) -> None:
    study, folder = compared
    other = fake.changed(study, analysis__models=("layer:fc9",))
    with pytest.raises(FoolscanError, match=r"'layer:fc9'; layers that have RDMs: conv1, conv2, fc"):
        compare(other, folder)
    compare(study, folder)


def test_distances_in_units_of_the_noise_are_tested_too(finished: Ready, fake: SimpleNamespace, tmp_path: Path) -> None:
    """Crossnobis needs runs and their noise: swapping takes them along; the network has distances without noise."""
    study, original = finished
    shutil.copytree(original.root, tmp_path / "study")
    folder = StudyFolder(tmp_path / "study")
    study = fake.changed(
        study,
        analysis__dissimilarity="crossnobis",
        analysis__pattern_scaling="none",
        analysis__similarity="cosine",
        analysis__glm__noise_normalisation="multivariate",
    )
    estimate_betas(study, folder)
    with_network(study, folder)
    rdms(study, folder)
    compare(study, folder)
    found = rows(significance_path(folder, "brain"), test="swap_permutation")
    differences = {
        (row.place, row.subject): row.difference for row in read_rows(difference_path(folder, "brain"), DifferenceRow)
    }
    assert len(found) == len(differences) == 6
    for row in found:
        assert number(row["value"]) == pytest.approx(differences[row["place"], row["subject"]], abs=1e-8)
        assert number(row["p"]) >= 1 / 16
    assert rows(correspondence_path(folder), measure="cosine")
