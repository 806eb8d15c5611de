"""What chance alone gives for absolute gaps, against enumeration, and people dealt again."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.crops.chance_gaps import Counts, chance_of_mean, chance_of_pair, dealt_again
from analysis.crops.simulated_answers import Crowd


def by_enumeration(rate: float, n_1: int, n_2: int, least: float = 0.0) -> tuple[float, float]:
    """Mean absolute difference, and probability of one of at least `least`, term by term."""
    mean = tail = 0.0
    for k_1, k_2 in product(range(n_1 + 1), range(n_2 + 1)):
        share = math.comb(n_1, k_1) * math.comb(n_2, k_2) * rate ** (k_1 + k_2) * (1 - rate) ** (n_1 + n_2 - k_1 - k_2)
        gap = abs(k_1 / n_1 - k_2 / n_2)
        mean += share * gap
        tail += share * (gap >= least - 1e-9)
    return mean, tail


def test_with_twenty_answers_a_member_chance_gives_a_gap_of_a_tenth_and_more() -> None:
    assert chance_of_pair(Counts((10, 10), (20, 20))).mean == pytest.approx(0.12537, abs=1e-5)
    assert chance_of_pair(Counts((4, 4), (20, 20))).mean == pytest.approx(0.09956, abs=1e-5)


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_chance_of_a_pair_is_the_enumerated_one(n_1: int, n_2: int, data: st.DataObject) -> None:
    pair = Counts((data.draw(st.integers(0, n_1)), data.draw(st.integers(0, n_2))), (n_1, n_2))
    chance = chance_of_pair(pair)
    mean, tail = by_enumeration(pair.rate, n_1, n_2, pair.gap)
    assert chance.mean == pytest.approx(mean)
    assert chance.at_least(pair.gap) == pytest.approx(tail)
    assert chance.share.sum() == pytest.approx(1)


def test_chance_of_a_mean_is_that_of_all_combinations() -> None:
    pairs = [Counts((2, 1), (3, 2)), Counts((1, 2), (2, 3))]
    mean = chance_of_mean(pairs, np.random.default_rng(0))
    one, other = (chance_of_pair(pair) for pair in pairs)
    tail = sum(
        p * q
        for (g, p), (h, q) in product(zip(one.gap, one.share, strict=True), zip(other.gap, other.share, strict=True))
        if (g + h) / 2 >= 0.5 - 1e-9
    )
    assert mean.how == "exact"
    assert mean.at_least(0.5) == pytest.approx(tail)
    assert mean.mean == pytest.approx((one.mean + other.mean) / 2)


def test_counts_without_a_common_grid_are_drawn_and_agree() -> None:
    pairs = [Counts((10, 9), (20, 19)), Counts((8, 8), (17, 23)), Counts((5, 9), (13, 29))] * 10
    drawn = chance_of_mean(pairs, np.random.default_rng(0), draws=20_000)
    assert "draws" in drawn.how
    assert drawn.mean == pytest.approx(np.mean([chance_of_pair(pair).mean for pair in pairs]), abs=1e-3)
    assert drawn.mean == chance_of_mean(pairs, np.random.default_rng(0), draws=20_000).mean


def test_a_rate_of_one_leaves_nothing_to_chance() -> None:
    chance = chance_of_pair(Counts((20, 20), (20, 20)))
    assert (chance.mean, chance.at_least(0.0)) == (0.0, pytest.approx(1.0))


@pytest.mark.parametrize("members", ["separate", "counterbalanced"])
def test_people_dealt_again_hold_their_level(members: str) -> None:
    """Without a gap, p is below 0.1 in a tenth of studies, also where people differ and a binomial null would be wrong."""
    crowd = Crowd(gap=0, gap_sd=0, ability_sd=1.5, pairs=20, workers=8, members=members)  # type: ignore[arg-type]
    found = [
        dealt_again(crowd.answers(np.random.default_rng(seed)), np.random.default_rng(seed), 99)[1]
        for seed in range(150)
    ]
    assert 0.04 < np.mean([p <= 0.1 for p in found]) < 0.17


def test_a_real_gap_is_found_by_people_dealt_again() -> None:
    crowd = Crowd(gap=0, gap_sd=2.5)
    chance, p = dealt_again(crowd.answers(np.random.default_rng(1)), np.random.default_rng(1), 199)
    assert p == pytest.approx(1 / 200)
    assert 0.09 < chance.mean < 0.15
