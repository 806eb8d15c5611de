"""Simulated people do what their kind does, at the rates that were set, and the same again from the same seed."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from online_study import SUPERCATEGORIES

from experiment.online.items import Item
from experiment.online.simulated_people import (
    CHEAT_RT_S,
    KINDS,
    Kind,
    Person,
    Truth,
    check_response,
    crowd_of,
    difficulty,
    kinds_of,
    named_in,
    p_recognised,
    p_right,
    responses,
    shares_of,
)
from protocols.online_plan import NOTHING, OnlinePlan
from protocols.problems import FoolscanError
from protocols.study import load_study

CHOICE = {"name": "thing", "kind": "choice", "options": [{"value": name, "label": name} for name in SUPERCATEGORIES]}
PLAIN = Truth(ease={"fragile": 1.0, "altered": -0.5}, difficulty_sd=0.8, ability_sd=0.6)


def plan_of(study: str) -> OnlinePlan:
    plan = load_study(study).online
    assert plan is not None
    return plan


CROPS, ANIMALS = plan_of("srivastava2019"), plan_of("zhang2018_online")


def items(n: int, member: str) -> list[Item]:
    return [
        Item(f"p{k}_{member}", f"picture-{k}", f"{k}.png", "0" * 64,
             {"supercategory": SUPERCATEGORIES[k % 10], "category": f"thing_{k}", "animal": "animal"}, pair_id=f"p{k}", member=member)
        for k in range(n)
    ]  # fmt: skip


def people(kind: Kind, n: int, truth: Truth = PLAIN, seed: int = 5) -> list[Person]:
    return crowd_of(n, seed, {kind: 1.0}, truth)


def share_right(crowd: list[Person], shown: list[Item], truth: Truth) -> float:
    right = [
        responses(person, CROPS, [CHOICE], item, ["x"], truth)[0].value == item.traits["supercategory"]
        for person in crowd
        for item in shown
    ]
    return float(np.mean(right))


def test_people_are_right_as_often_as_their_truth_says_and_the_human_gap_is_the_one_that_was_set() -> None:
    crowd = people("honest", 60)
    found, expected = {}, {}
    for member in ("fragile", "altered"):
        shown = items(60, member)
        found[member] = share_right(crowd, shown, PLAIN)
        expected[member] = float(np.mean([p_right(person, item, PLAIN, 10) for person in crowd for item in shown]))
        standard_error = math.sqrt(expected[member] * (1 - expected[member]) / 3600)
        assert abs(found[member] - expected[member]) < 4 * standard_error
    assert expected["fragile"] - expected["altered"] > 0.15
    assert abs((found["fragile"] - found["altered"]) - (expected["fragile"] - expected["altered"])) < 0.05


def test_a_human_gap_of_zero_can_be_set() -> None:
    same = replace(PLAIN, ease={"fragile": 0.4, "altered": 0.4})
    crowd = people("honest", 5, same)
    for one, other in zip(items(20, "fragile"), items(20, "altered"), strict=True):
        assert all(p_recognised(person, one, same) == p_recognised(person, other, same) for person in crowd)


def test_both_members_of_a_pair_are_of_one_source_and_so_equally_difficult() -> None:
    assert difficulty("picture-3", 1, PLAIN) == difficulty("picture-3", 1, PLAIN)
    drawn = [difficulty(f"picture-{k}", 1, PLAIN) for k in range(2000)]
    assert abs(float(np.std(drawn)) - PLAIN.difficulty_sd) < 0.05


def test_guesses_are_even_over_the_answers() -> None:
    blind = replace(PLAIN, ease={"fragile": -50.0})
    counts = Counter(
        responses(person, CROPS, [CHOICE], item, ["x"], blind)[0].value
        for person in people("honest", 50)
        for item in items(60, "fragile")
    )
    assert set(counts) == set(SUPERCATEGORIES)
    assert (
        sum((count - 300) ** 2 / 300 for count in counts.values()) < 33.7
    )  # chi squared, 9 degrees of freedom, p = .0001


def test_cheats_click_at_random_and_impossibly_fast() -> None:
    crowd, shown = people("cheat", 30), items(40, "fragile")
    times = [responses(person, CROPS, [CHOICE], item, ["x"], PLAIN)[0].rt_s for person in crowd for item in shown]
    assert CHEAT_RT_S[0] <= min(times)
    assert max(times) <= CHEAT_RT_S[1] < CROPS.exclusions.impossible_rt_s
    assert abs(share_right(crowd, shown, PLAIN) - 0.1) < 0.04


@given(st.integers(0, 10**6))
def test_nobody_but_a_cheat_answers_impossibly_fast(seed: int) -> None:
    (person,) = crowd_of(1, seed, {"honest": 1, "lapsing": 1, "one_answer": 1})
    given_ = responses(person, CROPS, [CHOICE], items(1, "fragile")[0], ["x"], Truth())
    assert given_[0].rt_s > CROPS.exclusions.impossible_rt_s


def test_one_answer_is_one_answer() -> None:
    for person in people("one_answer", 10):
        given_ = {responses(person, CROPS, [CHOICE], item, ["x"], PLAIN)[0].value for item in items(40, "fragile")}
        checks = {check_response(person, "please choose: boats", CHOICE, trial).value for trial in range(20)}
        assert len(given_ | checks) == 1


@pytest.mark.parametrize(("kind", "rate"), [("honest", 0.99), ("lapsing", 0.55), ("cheat", 0.1)])
def test_attention_checks_are_passed_by_those_who_read_them(kind: Kind, rate: float) -> None:
    right = [
        check_response(person, "please choose: land_vehicles", CHOICE, trial).value == "land_vehicles"
        for person in people(kind, 50)
        for trial in range(20)
    ]
    assert abs(float(np.mean(right)) - rate) < 0.05


def test_an_attention_check_names_its_longest_label() -> None:
    options = [
        {"value": "a", "label": "animal"},
        {"value": "b", "label": "not an animal"},
        {"value": "c", "label": "an"},
    ]
    assert named_in("please choose: not an animal", options) == "b"
    assert named_in("please choose: animal", options) == "a"
    assert named_in("nothing of these", options) is None


def test_names_ratings_and_nothing_fit_their_questions() -> None:
    asked: list[dict[str, Any]] = [
        {
            "name": "animal",
            "kind": "choice",
            "options": [{"value": v, "label": v} for v in ("animal", "not_animal", NOTHING)],
        },
        {"name": "name", "kind": "typed", "options": [{"value": NOTHING, "label": "nothing"}], "max_letters": 6},
        {"name": "confidence", "kind": "rating", "options": [{"value": str(k), "label": str(k)} for k in (1, 2, 3, 4)]},
    ]
    seen = Counter[str | None]()
    for person in people("honest", 40):
        for item in items(10, "altered"):
            choice, name, sure = responses(person, ANIMALS, asked, item, ["some_thing"], PLAIN)
            seen[choice.value] += 1
            assert sure.value in ("1", "2", "3", "4")
            assert (name.value == NOTHING) != (name.typed is not None)
            assert name.typed is None or 0 < len(name.typed) <= 6
            if choice.value == NOTHING:
                assert name.value == NOTHING
                assert sure.value in ("1", "2")
    assert seen[NOTHING] > 50
    forced = [{**asked[0], "options": asked[0]["options"][:2]}]
    assert all(
        responses(person, ANIMALS, forced, item, ["x"], PLAIN)[0].value != NOTHING
        for person in people("honest", 10)
        for item in items(10, "altered")
    )


def test_the_same_seed_gives_the_same_crowd_and_the_same_answers() -> None:
    assert crowd_of(50, 3) == crowd_of(50, 3) != crowd_of(50, 4)
    (one, *_), (same, *_) = crowd_of(50, 3), crowd_of(50, 3)
    item = items(1, "fragile")[0]
    assert responses(one, CROPS, [CHOICE], item, ["x"], PLAIN) == responses(same, CROPS, [CHOICE], item, ["x"], PLAIN)


def test_two_identifiers_can_be_one_person_who_answers_in_the_same_way() -> None:
    one, other = people("two_ids", 2)
    assert (one.raw_id, one.number) != (other.raw_id, other.number)
    assert (one.self, one.ability) == (other.self, other.ability)
    for item in items(20, "fragile"):
        assert responses(one, CROPS, [CHOICE], item, ["x"], PLAIN) == responses(
            other, CROPS, [CHOICE], item, ["x"], PLAIN
        )


@given(st.integers(0, 500), st.dictionaries(st.sampled_from(list(KINDS)), st.floats(0.01, 100), min_size=1))
def test_kinds_come_in_the_shares_that_were_set(n: int, shares: dict[Kind, float]) -> None:
    counts, total = Counter(kinds_of(n, shares)), math.fsum(shares.values())
    assert counts.total() == n
    assert all(abs(counts[kind] - n * share / total) < 1 for kind, share in shares.items())


def test_kinds_are_read_from_the_command_line() -> None:
    assert shares_of("honest=8, cheat=1,flaky") == {"honest": 8.0, "cheat": 1.0, "flaky": 1.0}
    with pytest.raises(FoolscanError, match="did you mean 'honest'"):
        shares_of("honset=1")
    with pytest.raises(FoolscanError, match="expected a number"):
        shares_of("honest=many")
    with pytest.raises(FoolscanError, match="above 0"):
        shares_of("honest=0")
