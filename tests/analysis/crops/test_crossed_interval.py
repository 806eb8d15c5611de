"""Means over images and people: known variances, known gaps, and how often the interval holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.crops.crossed_interval import ALIKE, Answered, crossed, unit_values
from analysis.crops.simulated_answers import SCENARIOS, Crowd


def table(values: np.ndarray, sign: int = 1, shown: int = 0, first_worker: int = 0) -> Answered:
    """A list of people (rows) who all answered all units (columns)."""
    n, m = values.shape
    worker, unit = np.meshgrid(np.arange(n) + first_worker, np.arange(m), indexing="ij")
    full = np.full(n * m, 1)
    return Answered(values.ravel().astype(float), unit.ravel(), sign * full, worker.ravel(), shown * full)


def joined(*parts: Answered) -> Answered:
    return Answered(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("value", "unit", "sign", "worker", "of_list")
        )
    )


def anova(values: np.ndarray) -> float:
    """The variance of the grand mean with rows and columns as random factors, by mean squares: (MSr + MSc - MSe) / (n m)."""
    n, m = values.shape
    rows, columns, grand = values.mean(1), values.mean(0), values.mean()
    ms_rows = m * ((rows - grand) ** 2).sum() / (n - 1)
    ms_columns = n * ((columns - grand) ** 2).sum() / (m - 1)
    rest = values - rows[:, None] - columns[None, :] + grand
    ms_rest = (rest**2).sum() / ((n - 1) * (m - 1))
    return float((ms_rows + ms_columns - ms_rest) / (n * m))


def test_one_full_table_has_the_variance_of_quasi_f() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(15, 1)) + rng.normal(size=(1, 12)) + rng.normal(size=(15, 12))
    found = crossed(table(values), 0.95)
    from scipy.stats import t

    reach = (found.high - found.low) / 2
    assert found.value == pytest.approx(values.mean())
    assert (reach / t.ppf(0.975, found.df)) ** 2 == pytest.approx(anova(values))


def test_two_nested_groups_add_up() -> None:
    """Separate groups: the units' variance is that of their differences, people's of both groups add."""
    rng = np.random.default_rng(4)
    effect = rng.normal(size=(1, 10))
    first, second = rng.normal(size=(8, 10)) + effect, rng.normal(size=(9, 10))
    found = crossed(joined(table(first), table(second, -1, 1, 100)), 0.95)
    means = first.mean(0) - second.mean(0)
    people = first.mean(1).var(ddof=1) / 8 + second.mean(1).var(ddof=1) / 9
    noise = (first.var(0, ddof=1) / 8 + second.var(0, ddof=1) / 9).sum()
    spread = means.var(ddof=1) - (noise - 10 * people) / 9
    assert found.value == pytest.approx(means.mean())
    assert found.se_workers == pytest.approx(math.sqrt(people))
    assert found.spread == pytest.approx(math.sqrt(max(0, spread)))


def test_hand_made_gaps_are_exact() -> None:
    first = np.array([[1, 1, 0, 1], [1, 0, 0, 1]])
    second = np.array([[0, 1, 1, 0], [1, 0, 0, 0]])
    answered = joined(table(first), table(second, -1, 1, 10))
    assert unit_values(answered)[1].tolist() == [0.5, 0.0, -0.5, 1.0]
    assert crossed(answered, 0.95).value == 0.25


def test_a_unit_of_which_one_side_lacks_is_left_out_and_told() -> None:
    first = table(np.array([[1, 0, 1], [1, 1, 0]]))
    second = table(np.array([[0, 0], [1, 0]]), -1, 1, 10)
    found = crossed(joined(first, second), 0.95)
    assert (found.n_units, found.n_workers, found.n_answers) == (2, 4, 8)


def test_no_spread_and_too_few_have_no_interval_and_say_why() -> None:
    assert crossed(table(np.ones((3, 4))), 0.95).why_none == ALIKE
    assert "single person" in crossed(table(np.array([[0, 1, 1]])), 0.95).why_none
    assert "single unit" in crossed(table(np.array([[0], [1]])), 0.95).why_none
    empty = Answered(*(np.array([], dtype=kind) for kind in (float, int, int, int, int)))
    assert "no answers" in crossed(empty, 0.95).why_none
    assert math.isnan(crossed(empty, 0.95).value)


@given(st.integers(0, 10_000), st.booleans())
def test_the_order_of_answers_and_turning_the_sides_round_change_nothing(seed: int, square: bool) -> None:
    crowd = Crowd(pairs=6, workers=4, members="counterbalanced" if square else "separate")
    answers = crowd.answers(np.random.default_rng(seed))
    order = np.random.default_rng(seed).permutation(answers.value.size)
    found, mixed = crossed(answers, 0.9), crossed(answers.only(order), 0.9)
    turned = crossed(Answered(answers.value, answers.unit, -answers.sign, answers.worker, answers.of_list), 0.9)
    assert found.value == pytest.approx(mixed.value) == pytest.approx(-turned.value)
    assert [found.low, found.high] == pytest.approx([mixed.low, mixed.high], nan_ok=True)
    assert [found.low, found.high] == pytest.approx([-turned.high, -turned.low], nan_ok=True)


@given(st.integers(0, 1000), st.floats(0.3, 3.0))
def test_a_weight_for_all_scales_the_interval(seed: int, weight: float) -> None:
    answers = Crowd(pairs=6, workers=4).answers(np.random.default_rng(seed))
    plain = crossed(answers, 0.95)
    scaled = crossed(
        Answered(
            answers.value,
            answers.unit,
            answers.sign,
            answers.worker,
            answers.of_list,
            np.full(answers.value.size, weight),
        ),
        0.95,
    )
    assert [scaled.value, scaled.low, scaled.high] == pytest.approx(
        [weight * number for number in (plain.value, plain.low, plain.high)], nan_ok=True
    )


def test_a_known_gap_is_recovered() -> None:
    crowd = Crowd(gap=1.5, pairs=300, workers=60)
    found = crossed(crowd.answers(np.random.default_rng(0)), 0.999)
    assert found.low < crowd.true_gap() < found.high
    assert found.high - found.low < 0.25


@pytest.mark.parametrize("name", SCENARIOS)
def test_intervals_hold_the_truth_about_as_often_as_they_say(name: str) -> None:
    """200 studies of 40 pairs and 20 people a member; the full measurement is tests/benchmarks/crop_interval_coverage.py."""
    crowd = SCENARIOS[name]
    truth = crowd.true_gap()
    found = [crossed(crowd.answers(np.random.default_rng(seed)), 0.95) for seed in range(200)]
    held = np.mean([item.low <= truth <= item.high for item in found])
    assert 0.90 <= held <= 0.99
