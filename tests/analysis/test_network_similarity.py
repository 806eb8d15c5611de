"""Similarity of a network's layers: intervals over units, few and many, and over images."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from analysis.inference.weighted_rdms import resampled_rdms
from analysis.network_rdms import LayerSample
from analysis.network_similarity import FEW_UNITS, network_rows
from analysis.similarity import correlation
from analysis.similarity_table import SimilarityRow
from protocols.inference_plan import BootstrapPlan

N_IMAGES = 12


def layer(n_units: int, seed: int = 0) -> LayerSample:
    """Units with a geometry of few dimensions, of which AN shares a half and AI all but a tenth."""
    geometry = np.random.default_rng(7).standard_normal((3, N_IMAGES, 5))
    weights = np.random.default_rng(seed).standard_normal((3, 5, n_units))
    patterns = {"RE": geometry[0] @ weights[0]}
    for row, (name, share) in enumerate({"AN": 0.5, "AI": 0.9}.items(), start=1):
        own = geometry[row] @ weights[row]
        patterns[name] = np.sqrt(share) * patterns["RE"] + np.sqrt(1 - share) * own
    stim_ids = {name: tuple(f"{name}-{i}" for i in range(N_IMAGES)) for name in patterns}
    return LayerSample("conv1", stim_ids, {name: values.astype(np.float32) for name, values in patterns.items()})


def row_of(
    fake: SimpleNamespace, sample: LayerSample, plan: BootstrapPlan, similarity: str = "pearson"
) -> SimilarityRow:
    study = fake.study(analysis__bootstrap=plan, analysis__similarity=similarity)
    one = np.ones((1, sample.n_units))
    rdms = {name: resampled_rdms(values, one, "spearman")[0] for name, values in sample.patterns.items()}
    measured = {(a, b): float(correlation(rdms[a], rdms[b], similarity)) for a, b in study.analysis.pairs}
    rows, differences = network_rows(study, sample, measured)
    assert differences[0].ci_low < differences[0].difference < differences[0].ci_high
    assert differences[0].estimand.startswith("difference of similarities")
    return rows[0]


@pytest.mark.parametrize("similarity", ["pearson", "spearman"])
@pytest.mark.parametrize("n_units", [200, FEW_UNITS + 400])
def test_the_default_is_a_jackknife_over_blocks_of_units(fake: SimpleNamespace, n_units: int, similarity: str) -> None:
    row = row_of(fake, layer(n_units), BootstrapPlan(), similarity)
    assert -1 < row.ci_low < row.similarity < row.ci_high < 1
    assert "jackknife" in row.ci_method
    assert row.resampled == "blocks of neighbouring units"


def test_few_and_many_units_have_intervals_that_go_together(fake: SimpleNamespace) -> None:
    """Twice as many units, an interval shorter by the root of two: by weights, and by the derivative."""
    widths = []
    for n_units in (FEW_UNITS, 2 * FEW_UNITS):
        rows = [row_of(fake, layer(n_units, seed), BootstrapPlan(blocks=50)) for seed in range(3)]
        widths.append(np.mean([row.ci_high - row.ci_low for row in rows]))
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(2), rel=0.25)


@pytest.mark.parametrize("over", ["voxels", "images", "both"])
def test_units_and_images_are_resampled(fake: SimpleNamespace, over: str) -> None:
    row = row_of(fake, layer(100), BootstrapPlan(kind="bootstrap", over=over, resamples=100))
    assert row.ci_low < row.ci_high
    assert row.resampled in ("units", "images (categories)", "units and images (categories)")
