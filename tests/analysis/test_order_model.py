"""What the order writes into RDMs is known from the design, and can be taken out again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.dissimilarities import rdm_of
from analysis.order_model import OrderModel, design_paths, order_model, read_design
from analysis.similarity import correlation, partial_correlation
from protocols.folder import RunId, StudyFolder, write_json, write_text
from protocols.formats import DESIGN
from protocols.problems import FoolscanError
from protocols.provenance import sidecar_path

N = 20
RUNS = [RunId("01", "01", "animals", run) for run in (1, 2)]


def overlapping(rng: np.random.Generator) -> np.ndarray:
    """Errors of images in a random order: each goes with its neighbours'."""
    place = rng.permutation(N)
    apart = np.abs(place[:, None] - place[None, :])
    return np.where(apart == 0, 1.0, np.where(apart == 1, 0.45, 0.0))


def write(folder: StudyFolder, run: RunId, names: list[str], covariance: np.ndarray) -> Path:
    path = folder.design(run)
    rows = [[name, *map(str, row)] for name, row in zip(names, covariance, strict=True)]
    write_text(path, "\n".join("\t".join(row) for row in [["stim_id", *names], *rows]) + "\n")
    write_json(sidecar_path(path), {"format": DESIGN})
    return path


def test_two_sets_in_the_same_order_look_alike_in_pure_noise_until_the_order_is_taken_out() -> None:
    rng = np.random.default_rng(3)
    covariance = overlapping(rng)
    names = tuple(f"i{k}" for k in range(N))
    model = OrderModel(names, covariance).rdm(names)
    factor = np.linalg.cholesky(covariance)
    first, second = (rdm_of(factor @ rng.standard_normal((N, 200)), names, "pearson", {}).values for _ in range(2))
    assert correlation(first, second, "pearson") > 0.5
    assert abs(partial_correlation(first, second, model[None], "pearson")) < 0.2
    assert correlation(first, model, "pearson") > 0.7


def test_partial_correlation_is_that_of_the_inverse_covariance() -> None:
    """The textbook's other way: minus the normalised element of the inverse of all correlations."""
    values = np.random.default_rng(1).standard_normal((4, 60))
    inverse = np.linalg.inv(np.corrcoef(values))
    expected = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    assert partial_correlation(values[0], values[1], values[2:], "pearson") == pytest.approx(expected)
    together = partial_correlation(np.stack([values[0]] * 3), np.stack([values[1]] * 3), values[2:], "pearson")
    assert together == pytest.approx([expected] * 3)
    assert np.isnan(partial_correlation(2 * values[2] + 1, values[1], values[2:], "pearson"))
    ranks = values.argsort(axis=1).argsort(axis=1).astype(float)
    of_ranks = partial_correlation(ranks[0], ranks[1], ranks[2:], "pearson")
    assert partial_correlation(values[0], values[1], values[2:], "spearman") == pytest.approx(of_ranks)


@pytest.mark.parametrize("scaling", ["none", "z_voxel_run", "mean_removed_within_type"])
def test_the_model_is_the_covariance_of_mean_patterns_scaled_as_they_are(tmp_path: Path, scaling: str) -> None:
    rng = np.random.default_rng(5)
    folder = StudyFolder(tmp_path)
    names = [f"{kind}-{k}" for kind in ("RE", "AN") for k in range(N // 2)]
    covariances = [overlapping(rng), overlapping(rng)]
    paths = [write(folder, run, names, covariance) for run, covariance in zip(RUNS, covariances, strict=True)]
    model = order_model(paths, scaling, {name: name[:2] for name in names})
    assert model is not None
    noise = [np.linalg.cholesky(c) @ rng.standard_normal((N, 60_000)) for c in covariances]
    if scaling == "z_voxel_run":
        noise = [part - part.mean(axis=0) for part in noise]
    if scaling == "mean_removed_within_type":
        noise = [np.concatenate([half - half.mean(axis=0) for half in np.split(part, 2)]) for part in noise]
    assert np.cov(np.mean(noise, axis=0)) == pytest.approx(model.covariance, abs=0.02)


def test_runs_that_show_different_halves_are_put_together(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    paths = [write(folder, RUNS[0], ["a", "b"], np.eye(2)), write(folder, RUNS[1], ["b", "c"], np.eye(2))]
    model = order_model(paths, "none", {})
    assert model is not None
    assert model.stim_ids == ("a", "b", "c")
    assert np.diag(model.covariance) == pytest.approx([1, 0.5, 1])


def test_without_designs_of_all_runs_there_is_no_model(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    write(folder, RUNS[0], ["a", "b"], np.eye(2))
    assert design_paths(folder, RUNS) == []
    assert order_model([], "none", {}) is None


@pytest.mark.parametrize("damage", ["stim_id\ta\tb\na\t1\t0\n", "stim_id\ta\na\tx\n", "stim_id\ta\nb\t1\n"])
def test_a_damaged_design_is_refused(tmp_path: Path, damage: str) -> None:
    path = write(StudyFolder(tmp_path), RUNS[0], ["a", "b"], np.eye(2))
    write_text(path, damage)
    with pytest.raises(FoolscanError, match="foolscan experiment timeline"):
        read_design(path)
    write_json(sidecar_path(path), {"format": 99})
    with pytest.raises(FoolscanError, match="format 99"):
        read_design(path)
