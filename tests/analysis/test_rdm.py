"""RDMs: exact to scipy, and to the bit under everything that must not matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import squareform

from analysis.dissimilarities import rdm_of
from analysis.rdm import (
    BadPatterns,
    Rdm,
    condensed,
    doubled_centred_ranks,
    pearson_rdm,
    rank_products,
    spearman_rdm,
    squared,
)
from analysis.sorting import COUNTED_FROM, sorted_order
from protocols.problems import FoolscanError

MANY = arrays(np.float64, (5, 30), elements=st.integers(-40, 40).map(lambda n: n / 8))


def varied(patterns: np.ndarray) -> np.ndarray:
    """The same patterns, none of them constant."""
    return np.concatenate([patterns, np.full((len(patterns), 1), 99.0)], axis=1)


def oracle(patterns: np.ndarray) -> np.ndarray:
    return 1 - stats.spearmanr(patterns.T)[0]


@given(MANY)
def test_ranks_are_scipys_mid_ranks_doubled_and_centred(patterns: np.ndarray) -> None:
    expected = 2 * stats.rankdata(patterns, axis=1) - (patterns.shape[1] + 1)
    np.testing.assert_array_equal(doubled_centred_ranks(patterns), expected)
    np.testing.assert_array_equal(doubled_centred_ranks(patterns.astype(np.float32)), expected)


@given(MANY.map(varied))
def test_one_minus_spearman_is_scipys(patterns: np.ndarray) -> None:
    np.testing.assert_allclose(spearman_rdm(patterns), oracle(patterns), rtol=0, atol=1e-12)


def test_one_minus_spearman_with_a_layers_ties() -> None:
    rng = np.random.default_rng(0)
    activations = np.maximum(rng.standard_normal((12, 5000)), 0).astype(np.float32)
    np.testing.assert_allclose(spearman_rdm(activations), oracle(activations.astype(float)), rtol=0, atol=1e-12)


def test_one_minus_pearson_is_numpys_also_with_a_large_offset() -> None:
    patterns = np.random.default_rng(0).standard_normal((10, 400)) + 1e6
    np.testing.assert_allclose(pearson_rdm(patterns, block=7), 1 - np.corrcoef(patterns), rtol=0, atol=1e-9)


@given(MANY.map(varied), st.randoms(use_true_random=False), st.integers(1, 40))
def test_neither_the_order_of_voxels_nor_the_blocks_change_a_bit(
    patterns: np.ndarray, random: object, block: int
) -> None:
    order = list(range(patterns.shape[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert spearman_rdm(patterns).tobytes() == spearman_rdm(patterns[:, order], block=block).tobytes()


@given(MANY.map(varied))
def test_a_monotone_transform_changes_nothing(patterns: np.ndarray) -> None:
    assert spearman_rdm(patterns).tobytes() == spearman_rdm(np.arctan(patterns) * 3 + 1).tobytes()


def test_identical_patterns_are_0_apart_opposite_ones_2() -> None:
    pattern = np.array([3.0, 1.0, 2.0, 2.0])
    square = spearman_rdm(np.stack([pattern, pattern, -pattern]))
    assert square[0, 1] == 0.0
    assert square[0, 2] == 2.0
    assert not np.diag(square).any()


def test_negative_zero_ties_with_zero() -> None:
    patterns = np.array([[0.0, -0.0, 1.0], [-0.0, 0.0, 1.0]], dtype=np.float32)
    np.testing.assert_array_equal(doubled_centred_ranks(patterns), [[-1, -1, 2], [-1, -1, 2]])


def test_products_of_millions_of_ranks_are_exact_beyond_63_bits() -> None:
    """Without ties the doubled centred ranks of n features have the squared length (n³ − n) / 3."""
    for n in (3, 4, 100, 300_001, 3_300_000):
        ranks = np.arange(1 - n, n, 2, dtype=np.int32)
        products = rank_products(np.stack([ranks, -ranks]))
        assert products[0, 0] == float((n**3 - n) // 3)
        assert products[0, 1] == -float((n**3 - n) // 3)


def test_constant_and_infinite_patterns_are_named() -> None:
    patterns = np.random.default_rng(0).standard_normal((3, 5))
    patterns[1] = 2.0
    with pytest.raises(BadPatterns) as caught:
        spearman_rdm(patterns)
    assert caught.value.rows == [1]
    with pytest.raises(BadPatterns):
        pearson_rdm(patterns)
    patterns[2, 0] = np.nan
    with pytest.raises(FoolscanError, match=r"roi V1.*not finite.*1 of 3.*AN-cat"):
        rdm_of(patterns, ("RE-cat", "AI-cat", "AN-cat"), "spearman", {"roi": "V1"})


def test_condensed_is_scipys_squareform() -> None:
    square = spearman_rdm(np.random.default_rng(0).standard_normal((6, 20)))
    np.testing.assert_array_equal(condensed(square), squareform(square, checks=False))
    np.testing.assert_array_equal(squared(condensed(square), 6), square)
    with pytest.raises(ValueError, match="expected"):
        Rdm(condensed(square), ("a", "b"), "spearman")


def test_threads_do_not_change_a_bit() -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    patterns = np.random.default_rng(0).standard_normal((40, 3000)).astype(np.float32)
    results = set()
    for threads in (1, 2):
        with threadpoolctl.threadpool_limits(threads):
            results.add(spearman_rdm(patterns).tobytes())
    assert len(results) == 1


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_another_device_does_not_change_a_bit(device: str, dtype: type) -> None:
    torch = pytest.importorskip("torch")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    from analysis.rdm_on_device import spearman_rdm_on

    patterns = np.random.default_rng(0).standard_normal((9, 4000)).astype(dtype)
    patterns[:, ::3] = np.maximum(patterns[:, ::3], 0)  # ties, as a layer has them
    patterns[0, 1] = -0.0
    assert spearman_rdm_on(patterns, device, block=700).tobytes() == spearman_rdm(patterns).tobytes()


@pytest.mark.parametrize("ties", [False, True])
def test_a_layers_units_are_sorted_by_counting_as_others_by_comparing(ties: bool) -> None:
    rng = np.random.default_rng(0)
    layer = rng.standard_normal((3, COUNTED_FROM + 5), dtype=np.float32) * np.float32(1e3)
    layer[:, :6] = [0.0, -0.0, np.finfo(np.float32).max, np.finfo(np.float32).min, 1e-45, -1e-45]
    layer = np.maximum(np.rint(layer), 0) if ties else layer
    for pattern, ranks in zip(layer, doubled_centred_ranks(layer), strict=True):
        order, new = sorted_order(pattern)
        np.testing.assert_array_equal(order, np.argsort(pattern, kind="stable"))
        np.testing.assert_array_equal(np.flatnonzero(new), np.unique(pattern[order], return_index=True)[1])
        np.testing.assert_array_equal(ranks, 2 * stats.rankdata(pattern) - (pattern.size + 1))


@given(MANY)
def test_features_are_put_in_order_with_ties_in_theirs(patterns: np.ndarray) -> None:
    for pattern in (*patterns, *patterns.astype(np.float32)):
        order, new = sorted_order(pattern)
        np.testing.assert_array_equal(order, np.argsort(pattern, kind="stable"))
        np.testing.assert_array_equal(np.flatnonzero(new), np.unique(pattern[order], return_index=True)[1])


def test_the_paper_of_2008_human_and_monkey_it(project_root: Path) -> None:
    """Kriegeskorte et al. 2008: mean human IT against monkey IT, .4912 (Pearson) and .4389 (Spearman); animacy .588 (Spearman)."""
    from scipy.io import loadmat

    from analysis.similarity import correlation

    data = project_root.parent / "shared" / "data" / "kriegeskorte2008"
    if not data.is_dir():
        pytest.skip("the RDMs of Kriegeskorte et al. 2008 are not on this machine")
    human = np.mean([rdm["RDM"] for rdm in loadmat(data / "92_brainRDMs.mat", squeeze_me=True)["RDMs"].ravel()], axis=0)
    models = loadmat(data / "92_modelRDMs.mat", squeeze_me=True)["Models"]
    of_name = {str(model["name"]): np.asarray(model["RDM"], dtype=float) for model in models}
    monkey = condensed(of_name["monkeyIT"])
    animacy = condensed(of_name["animacy"])
    assert correlation(condensed(human), monkey, "pearson") == pytest.approx(0.4912, abs=5e-5)
    assert correlation(condensed(human), monkey, "spearman") == pytest.approx(0.4389, abs=5e-5)
    assert correlation(condensed(human), animacy, "spearman") == pytest.approx(0.588, abs=5e-4)
