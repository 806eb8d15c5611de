"""Permutation tests: exact where few, uniform under the null, and held against the largest over places."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from analysis.inference.permutation import (
    condensed_places,
    label_null,
    label_orders,
    p_values,
    sign_flip_null,
    swap_null,
    swaps,
)
from analysis.rdm import condensed, pearson_rdm, squared
from analysis.similarity import NAMES, correlation


def rdm(n_images: int, rng: np.random.Generator) -> np.ndarray:
    return condensed(pearson_rdm(rng.standard_normal((n_images, 12))))


def uniform(p: list[float], steps: int) -> float:
    """The p-value of a χ² test that p-values in steps of 1/steps fall evenly into ten bins."""
    bins = np.minimum(np.ceil(np.array(p) * 10 - 1e-9).astype(int) - 1, 9)
    assert steps % 10 == 0
    return float(stats.chisquare(np.bincount(bins, minlength=10)).pvalue)


def test_places_are_those_of_the_permuted_square() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(66)
    for row in condensed_places(np.array([rng.permutation(12)[:7] for _ in range(5)]), 12):
        assert row.shape == (21,)
    order = rng.permutation(12)
    permuted = condensed(squared(values, 12)[np.ix_(order, order)])
    assert np.array_equal(values[condensed_places(order[None], 12)[0]], permuted)


def test_all_rearrangements_are_taken_where_they_are_few() -> None:
    rng = np.random.default_rng(0)
    orders = label_orders(4, 100, rng)
    assert orders.exact
    assert sorted(map(tuple, orders.rows.tolist())) == sorted(permutations(range(4)))
    assert orders.rows[0].tolist() == [0, 1, 2, 3]
    exchanged = swaps(5, 100, rng)
    assert exchanged.exact
    assert len({tuple(row) for row in exchanged.rows.tolist()}) == 32
    assert not exchanged.rows[0].any()
    assert not label_orders(5, 100, rng).exact
    assert not swaps(7, 100, rng).exact
    assert len(label_orders(40, 250, rng).rows) == len(swaps(40, 250, rng).rows) == 250


@pytest.mark.parametrize("measure", NAMES)
def test_the_null_of_labels_is_the_similarity_of_permuted_rdms(measure: str) -> None:
    rng = np.random.default_rng(1)
    fixed, permuted = np.stack([rdm(8, rng), rdm(8, rng)]), rdm(8, rng)
    orders = label_orders(8, 30, rng)
    null = label_null(fixed, permuted, measure, orders)
    for found, order in zip(null, orders.rows, strict=True):
        other = condensed(squared(permuted, 8)[np.ix_(order, order)])
        assert np.allclose(found, correlation(fixed, other, measure), atol=1e-12)


@pytest.mark.parametrize("measure", NAMES)
def test_the_null_of_swaps_is_that_of_patterns_with_exchanged_rows(measure: str) -> None:
    rng = np.random.default_rng(2)
    reference, first, second = rng.standard_normal((3, 6, 20))
    swapped = swaps(6, 20, rng)
    united = condensed(pearson_rdm(np.concatenate([first, second])))
    against = condensed(pearson_rdm(reference))
    null = swap_null(against, united, measure, swapped)
    for found, row in zip(null, swapped.rows.astype(bool)[:, :, None], strict=True):
        sides = [pearson_rdm(np.where(row, a, b)) for a, b in ((second, first), (first, second))]
        values = [float(correlation(against, condensed(side), measure)) for side in sides]
        assert found == pytest.approx(values[1] - values[0], abs=1e-12)


@pytest.mark.parametrize("alternative", ["two_sided", "greater"])
def test_p_of_unrelated_rdms_is_uniform(alternative: str) -> None:
    found = []
    for seed in range(400):
        rng = np.random.default_rng([3, seed])
        one, other = rdm(10, rng), rdm(10, rng)
        orders = label_orders(10, 99, rng)
        null = label_null(one[None], other, "pearson", orders)
        found.append(float(p_values(correlation(one[None], other, "pearson"), null, False, alternative)[0][0]))
    assert min(found) >= 0.01
    assert uniform(found, 100) > 0.01


def test_p_of_sets_that_differ_in_name_only_is_uniform() -> None:
    found = []
    for seed in range(400):
        rng = np.random.default_rng([4, seed])
        reference = rng.standard_normal((10, 15))
        first, second = 0.5 * reference + rng.standard_normal((2, 10, 15))  # both like the reference, equally
        united = condensed(pearson_rdm(np.concatenate([first, second])))
        null = swap_null(condensed(pearson_rdm(reference)), united, "spearman", swaps(10, 99, rng))
        against = condensed(pearson_rdm(reference))
        sides = [correlation(against, condensed(pearson_rdm(x)), "spearman") for x in (first, second)]
        found.append(float(p_values(np.array([sides[1] - sides[0]]), null[:, None], False, "two_sided")[0][0]))
    assert uniform(found, 100) > 0.01


def test_a_difference_that_is_there_is_found() -> None:
    rng = np.random.default_rng(5)
    reference = rng.standard_normal((10, 15))
    first, second = rng.standard_normal((10, 15)), reference + 0.1 * rng.standard_normal((10, 15))
    united = condensed(pearson_rdm(np.concatenate([first, second])))
    exchanged = swaps(10, 2000, rng)
    null = swap_null(condensed(pearson_rdm(reference)), united, "pearson", exchanged)
    assert exchanged.exact
    p, largest = p_values(null[:1], null[:, None], True, "two_sided")
    assert np.allclose(np.sort(null), -np.sort(null)[::-1])  # the complement of a swap is its negative
    assert p[0] == largest[0] == np.mean(np.abs(null) >= abs(null[0]) - 1e-12)
    assert p[0] < 0.01


def test_the_largest_over_places_bounds_any_false_positive() -> None:
    """Five places that share their images: the least p_max is below 0.1 in a tenth of studies, the least p far more often."""
    least, least_of_largest = [], []
    for seed in range(400):
        rng = np.random.default_rng([6, seed])
        one = np.stack([rdm(9, rng) for _ in range(5)])
        other = rdm(9, rng)
        null = label_null(one, other, "pearson", label_orders(9, 99, rng))
        p, largest = p_values(correlation(one, other, "pearson"), null, False, "two_sided")
        assert (largest >= p).all()
        least.append(p.min())
        least_of_largest.append(largest.min())
    assert np.mean(np.array(least) <= 0.1) > 0.25
    assert stats.binomtest(int(np.sum(np.array(least_of_largest) <= 0.1)), 400, 0.1).pvalue > 0.01


def test_a_place_without_a_value_has_no_p_and_does_not_spoil_others() -> None:
    rng = np.random.default_rng(7)
    null = rng.standard_normal((99, 3))
    observed = np.array([np.nan, 1.0, 9.0])
    null[:, 0] = np.nan
    p, largest = p_values(observed, null, False, "two_sided")
    assert np.isnan([p[0], largest[0]]).all()
    assert p[2] == largest[2] == 0.01


def test_signs_of_few_are_all_flipped() -> None:
    null, exact = sign_flip_null(np.array([1.0, 2.0, 4.0]), 100, np.random.default_rng(0))
    assert exact
    assert sorted((3 * null).round(9).tolist()) == [-7, -5, -3, -1, 1, 3, 5, 7]
    p, _ = p_values(null[:1], null[:, None], True, "greater")
    assert p[0] == 1 / 8
