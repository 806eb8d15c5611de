"""Consistency of repeats: published worked examples, and what must hold for any answers."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.behaviour import Response
from analysis.behaviour_consistency import Repeats, agreement, alpha, consistency_interval, repeats_of
from protocols.folder import RunId


def repeats(pairs: list[tuple[int, int]]) -> Repeats:
    return Repeats(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]), np.arange(len(pairs)))


def test_alpha_of_the_worked_example() -> None:
    # Krippendorff (2011), "Computing Krippendorff's alpha-reliability", A: binary data, two observers, no missing data
    meg = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    owen = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    found = repeats([(a + b, 2 - a - b) for a, b in zip(meg, owen, strict=True)])
    assert agreement(found)[0] == pytest.approx(0.6)
    assert alpha(found)[0] == pytest.approx(0.095, abs=5e-4)


def test_the_same_answer_every_time() -> None:
    found = repeats([(4, 0), (0, 4), (3, 0), (0, 2)])
    assert agreement(found)[0] == alpha(found)[0] == 1
    assert math.isnan(alpha(repeats([(4, 0), (3, 0)]))[0])  # nothing could have disagreed
    assert math.isnan(agreement(repeats([]))[0])


def test_chance_is_no_consistency() -> None:
    rng = np.random.default_rng(0)
    said = rng.binomial(4, 0.8, 4000)  # a strong preference for one answer, and nothing else
    found = Repeats(said, 4 - said, np.arange(said.size))
    assert agreement(found)[0] == pytest.approx(0.8**2 + 0.2**2, abs=0.01)
    assert alpha(found)[0] == pytest.approx(0, abs=0.03)


counts = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda pair: sum(pair) > 1), min_size=2, max_size=20
)


@given(counts)
def test_it_does_not_matter_which_answer_is_called_animal(pairs: list[tuple[int, int]]) -> None:
    there, back = repeats(pairs), repeats([(b, a) for a, b in pairs])
    assert agreement(there)[0] == pytest.approx(agreement(back)[0])
    assert alpha(there)[0] == pytest.approx(alpha(back)[0], nan_ok=True)
    assert 0 <= agreement(there)[0] <= 1
    assert math.isnan(alpha(there)[0]) or alpha(there)[0] <= 1


@given(counts)
def test_a_weight_of_two_is_the_image_twice(pairs: list[tuple[int, int]]) -> None:
    weights = np.ones((1, len(pairs)), dtype=np.int32)
    weights[0, 0] = 2
    assert alpha(repeats(pairs), weights)[0] == pytest.approx(alpha(repeats([*pairs, pairs[0]]))[0], nan_ok=True)
    assert agreement(repeats(pairs), weights)[0] == pytest.approx(agreement(repeats([*pairs, pairs[0]]))[0])


def test_subjects_are_not_compared_with_one_another(fake: SimpleNamespace) -> None:
    images = [image for image in fake.manifest(2) if image.set == "RE"]
    answers = {"01": (True, True), "02": (False, False)}
    found = [
        Response(RunId(sub, "01", "animals", run + 1), image, said, 0.5)
        for sub, of_runs in answers.items()
        for run, said in enumerate(of_runs)
        for image in images
    ]
    found.append(Response(RunId("03", "01", "animals", 1), images[0], True, 0.5))  # once: nothing to agree with
    found.append(Response(RunId("03", "01", "animals", 2), images[0], None, None))
    told = repeats_of(found)
    assert told.images == 4
    assert told.answers == 8
    assert agreement(told)[0] == 1


def test_the_interval_holds_the_value() -> None:
    rng = np.random.default_rng(1)
    said = rng.binomial(4, rng.beta(2, 2, 40))
    found = Repeats(said, 4 - said, np.arange(said.size))
    (low, high), (alpha_low, alpha_high) = consistency_interval(found, 500, 0.95, rng)
    assert low < agreement(found)[0] < high
    assert alpha_low < alpha(found)[0] < alpha_high
