"""The order of trials keeps the study's rules, whatever chance says."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.order import balanced_walk, order_of_trials, type_transitions
from protocols.problems import FoolscanError
from protocols.study import OrderRules

RULES = OrderRules()
TYPES = ("RE", "AN", "AI")
seeds = st.integers(0, 2**32)


def order(n_categories: int, blanks: int, seed: int, rules: OrderRules = RULES, repeats: int = 1) -> list:
    names = [f"c{number}" for number in range(n_categories)]
    return order_of_trials(names, TYPES, repeats, blanks, rules, np.random.default_rng(seed))


def distances(trials: list) -> list[int]:
    """For every trial, how many trials ago its category came last."""
    last: dict[str, int] = {}
    found = []
    for place, trial in enumerate(trials):
        if trial is not None:
            if trial[1] in last:
                found.append(place - last[trial[1]])
            last[trial[1]] = place
    return found


@given(seed=seeds)
def test_the_papers_run_keeps_every_rule(seed: int):
    trials = order(40, 9, seed)
    assert Counter(trial for trial in trials if trial) == Counter(product(TYPES, [f"c{i}" for i in range(40)]))
    assert trials.count(None) == 9
    assert min(distances(trials)) >= 4
    assert None not in (trials[0], trials[-1])
    assert (None, None) not in set(pairwise(trials))
    counts = type_transitions(trials)
    assert {counts[pair] for pair in product(TYPES, TYPES)} <= {13, 14}


@given(seed=seeds)
def test_half_the_categories_twice_keeps_the_rules_too(seed: int):
    trials = order(20, 9, seed, repeats=2)
    assert set(Counter(trial for trial in trials if trial).values()) == {2}
    assert min(distances(trials)) >= 4


@given(n=st.integers(4, 12), distance=st.integers(0, 4), blanks=st.integers(0, 5), seed=seeds)
def test_few_categories_are_spread_as_far_as_asked(n: int, distance: int, blanks: int, seed: int):
    trials = order(n, blanks, seed, OrderRules(source_distance=distance))
    assert len(trials) == 3 * n + blanks
    assert min(distances(trials)) >= max(distance, 2)


def test_another_seed_is_another_order_and_the_same_seed_the_same():
    assert order(40, 9, 1) == order(40, 9, 1)
    assert order(40, 9, 1) != order(40, 9, 2)


def test_rules_that_cannot_be_met_are_said_to_be_so():
    with pytest.raises(FoolscanError, match="at most 3"):
        order(3, 0, 0, OrderRules(source_distance=4))
    with pytest.raises(FoolscanError, match="do not fit apart"):
        order(4, 12, 0)


@given(seed=seeds)
def test_blanks_come_at_the_ends_and_together_only_where_the_study_allows_it(seed: int):
    free = OrderRules(blanks_apart=False, blank_at_ends=True)
    assert order(8, 40, seed, free).count(None) == 40


@given(n_types=st.integers(1, 5), per_type=st.integers(5, 30), seed=seeds)
def test_a_balanced_walk_uses_every_transition_equally_often(n_types: int, per_type: int, seed: int):
    walk = balanced_walk(n_types, per_type, np.random.default_rng(seed))
    assert np.bincount(walk, minlength=n_types).tolist() == [per_type] * n_types
    counts = Counter(pairwise(walk.tolist()))
    every = [counts[pair] for pair in product(range(n_types), repeat=2)]
    assert max(every) - min(every) <= 2
    assert sum(every) == n_types * per_type - 1
