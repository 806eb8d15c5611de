"""Intervals of behaviour: known answers, what must hold for any answers, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import beta, norm

from analysis.behaviour_intervals import (
    Trials,
    jeffreys,
    over_images,
    over_subjects,
    over_trials,
    percentile_bounds,
    weighted_measures,
    weighted_median,
)


def trials_of(rng: np.random.Generator, hit: float, alarm: float, images: int = 40, repeats: int = 4) -> Trials:
    """One subject's answers to images of which half are animals, every trial independent."""
    image = np.repeat(np.arange(images), repeats)
    animal = image < images // 2
    said = rng.random(image.size) < np.where(animal, hit, alarm)
    return Trials(said, animal, rng.gamma(8, 0.08, image.size), image, np.zeros(image.size, dtype=np.intp))


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_a_weighted_median_is_that_of_the_values_repeated(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    values = data.draw(arrays(np.float64, n, elements=st.floats(0, 3, width=16)))
    weights = data.draw(arrays(np.int32, (3, n), elements=st.integers(0, 4)))
    found = weighted_median(values, weights)
    for got, counts in zip(found, weights, strict=True):
        repeated = np.repeat(values, counts)
        assert math.isnan(got) if repeated.size == 0 else got == pytest.approx(float(np.median(repeated)))


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_measures_under_weights_are_those_of_the_trials_repeated(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trials = trials_of(rng, 0.8, 0.3, images=6, repeats=2)
    counts = rng.integers(0, 3, (1, trials.size)).astype(np.int32)
    found = weighted_measures(trials, counts, scored=True)
    said, animal = np.repeat(trials.said, counts[0]), np.repeat(trials.animal, counts[0])
    hits, alarms = int((said & animal).sum()), int((said & ~animal).sum())
    n_animal, n_not = int(animal.sum()), int((~animal).sum())
    if n_animal and n_not:
        z_hit, z_alarm = norm.ppf((hits + 0.5) / (n_animal + 1)), norm.ppf((alarms + 0.5) / (n_not + 1))
        assert found["accuracy"][0] == pytest.approx((said == animal).mean())
        assert found["d_prime"][0] == pytest.approx(z_hit - z_alarm)
        assert found["criterion"][0] == pytest.approx(-(z_hit + z_alarm) / 2)
        assert found["p_difference"][0] == pytest.approx(hits / n_animal - alarms / n_not)


def test_turning_all_answers_round_turns_every_measure_round() -> None:
    rng = np.random.default_rng(3)
    trials = trials_of(rng, 0.9, 0.2)
    turned = Trials(~trials.said, trials.animal, trials.rt_s, trials.image, trials.subject)
    once = np.ones((1, trials.size), dtype=np.int32)
    before, after = weighted_measures(trials, once, scored=True), weighted_measures(turned, once, scored=True)
    assert after["accuracy"][0] == pytest.approx(1 - before["accuracy"][0])
    for name in ("d_prime", "criterion", "p_difference"):
        assert after[name][0] == pytest.approx(-before[name][0])


def test_jeffreys_interval_is_that_of_its_paper() -> None:
    low, high = jeffreys(7, 20, 0.95)
    assert (low, high) == pytest.approx(tuple(beta.ppf([0.025, 0.975], 7.5, 13.5)))
    assert jeffreys(0, 20, 0.95)[0] == 0
    assert jeffreys(20, 20, 0.95)[1] == 1
    assert 0.8 < jeffreys(20, 20, 0.95)[0] < 0.95
    assert all(math.isnan(value) for value in jeffreys(0, 0, 0.95))
    assert jeffreys(0, 7, 0.95)[1] == pytest.approx(0.292, abs=5e-4)  # Brown, Cai & DasGupta (2001), table 5


def test_perfect_answers_have_an_interval_over_trials_and_none_over_images() -> None:
    trials = trials_of(np.random.default_rng(0), 1.0, 0.0)
    options = {"scored": True, "resamples": 200, "coverage": 0.95, "who": "this subject"}
    images = {b.measure: b for b in over_images(trials, generator=np.random.default_rng(1), **options)}  # type: ignore[arg-type]
    alone = {b.measure: b for b in over_trials(trials, generator=np.random.default_rng(1), **options)}  # type: ignore[arg-type]
    assert math.isnan(images["accuracy"].low)
    assert images["accuracy"].method.startswith("none: no spread")
    assert alone["accuracy"].low < 1 == alone["accuracy"].high
    assert alone["p_difference"].low < 1
    assert 0 < alone["d_prime"].low < alone["d_prime"].high


def test_intervals_over_trials_hold_the_truth_as_often_as_they_say() -> None:
    held = {"accuracy": 0, "p_difference": 0, "d_prime": 0}
    truth = {"accuracy": 0.75, "p_difference": 0.5, "d_prime": norm.ppf(0.85) - norm.ppf(0.35)}
    studies = 400
    for seed in range(studies):
        trials = trials_of(np.random.default_rng(seed), 0.85, 0.35)
        generator = np.random.default_rng(seed)
        for bound in over_trials(trials, scored=True, resamples=100, coverage=0.95, generator=generator, who="x"):
            if bound.measure in held:
                held[bound.measure] += bound.low <= truth[bound.measure] <= bound.high
    for name, count in held.items():
        assert 0.92 <= count / studies <= 0.98, name


def test_intervals_over_images_hold_the_mean_of_all_images_like_these() -> None:
    # every image has a rate of its own: trials are not independent, and intervals over trials would be too narrow
    studies, held, held_by_trials = 400, 0, 0
    for seed in range(studies):
        rng = np.random.default_rng(seed)
        rate = rng.beta(2, 2, 40)
        image = np.repeat(np.arange(40), 8)
        said = rng.random(320) < rate[image]
        trials = Trials(said, np.ones(320, dtype=np.bool_), np.ones(320), image, np.zeros(320, dtype=np.intp))
        options = {"scored": False, "resamples": 400, "coverage": 0.95, "generator": rng, "who": "x"}
        for found, name in ((over_images(trials, **options), "images"), (over_trials(trials, **options), "trials")):  # type: ignore[arg-type]
            bound = next(b for b in found if b.measure == "p_animal_if_animal")
            inside = bound.low <= 0.5 <= bound.high
            held, held_by_trials = held + (inside and name == "images"), held_by_trials + (inside and name == "trials")
    assert 0.91 <= held / studies <= 0.98
    assert held_by_trials / studies < 0.9


def test_subjects_have_an_interval_only_when_there_are_enough_of_them() -> None:
    few = {"accuracy": [0.80, 0.84, 0.86, 0.88, 0.90]}
    assert over_subjects(few, 0.95, least=6) == []
    values = [0.80, 0.84, 0.86, 0.88, 0.90, 0.95]
    (bound,) = over_subjects({"accuracy": [*values, math.nan]}, 0.95, least=6)
    mean, sd = np.mean(values), np.std(values, ddof=1)
    assert bound.value == pytest.approx(mean)
    assert bound.high - bound.low == pytest.approx(
        2 * 2.570582 * sd / math.sqrt(6), rel=1e-6
    )  # t of 5 degrees of freedom


def test_replicates_that_do_not_vary_have_no_interval() -> None:
    assert all(math.isnan(value) for value in percentile_bounds(np.ones(10), 0.95))
    assert all(math.isnan(value) for value in percentile_bounds(np.array([math.nan] * 6 + [1.0, 2, 3, 4]), 0.95))
