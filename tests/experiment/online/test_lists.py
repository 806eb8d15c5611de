"""Lists: nobody sees two images of one source, groups see the same pairs, every set of a square is shown equally often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.online.items import Item
from experiment.online.lists import ShownList, lists_of, spread
from protocols.online_plan import CropPairs, OnlinePlan, SetRecognition
from protocols.problems import FoolscanError
from protocols.study import load_study

CROPS = load_study("srivastava2019").online
SETS = load_study("zhang2018_online").online
assert CROPS is not None
assert SETS is not None


def crops(n_of_each: dict[str, int]) -> list[Item]:
    """Pairs of crops, so many of each supercategory."""
    return [
        Item(f"{kind}{k}_{m}", f"{kind}{k}", "x.png", "0", {"supercategory": kind, "category": kind}, f"p-{kind}{k}", m)
        for kind, n in n_of_each.items()
        for k in range(n)
        for m in ("fragile", "altered")
    ]


def of_kinds(shown: Iterable[Item]) -> Counter[str]:
    """How many images of each supercategory."""
    return Counter(item.traits["supercategory"] for item in shown)


def images(n: int) -> list[Item]:
    """RE, AN and AI of so many sources."""
    return [
        Item(
            f"{name}-{k}", f"source{k}", "x.png", "0", {"supercategory": f"kind{k % 3}", "category": f"c{k}"}, set=name
        )
        for name in ("RE", "AN", "AI")
        for k in range(n)
    ]


def plan_of(plan: OnlinePlan, practice: int, **design: object) -> OnlinePlan:
    assert plan.practice is not None
    return plan.model_copy(
        update={
            "design": plan.design.model_copy(update=design),
            "practice": plan.practice.model_copy(update={"n": practice}),
        }
    )


def pairs(shown: ShownList) -> list[str | None]:
    return sorted(str(item.pair_id) for item in shown.items)


kinds = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(1, 4), min_size=2)


@given(kinds, st.integers(0, 2**63 - 1), st.sampled_from(["separate", "counterbalanced"]), st.data())
def test_crop_lists(n_of_each: dict[str, int], seed: int, members: str, data: st.DataObject) -> None:
    everything = crops(n_of_each)
    total = sum(n_of_each.values())
    n_pairs = data.draw(st.integers(1, total))
    practice = data.draw(st.integers(0, total - n_pairs))
    blocks = data.draw(st.integers(1, n_pairs))
    plan = plan_of(CROPS, practice, n_pairs=n_pairs, blocks=blocks, members=members)
    lists = lists_of(plan, everything, seed)
    assert lists == lists_of(plan, everything, seed)
    assert len({shown.list_id for shown in lists}) == len(lists) == 2 * blocks
    of_block = [lists[place : place + 2] for place in range(0, len(lists), 2)]
    for one, other in of_block:
        assert pairs(one) == pairs(other)
        # the two groups see different members of every pair
        assert not {item.item_id for item in one.items} & {item.item_id for item in other.items}
        if members == "separate":
            assert {item.member for item in one.items} == {"fragile"}
            assert {item.member for item in other.items} == {"altered"}
        else:
            counts = Counter(item.member for item in one.items)
            assert abs(counts["fragile"] - counts["altered"]) <= 1
    # no block has much more of a supercategory than another, and neither group of fragile crops
    blocks_kinds = [of_kinds(one.items) for one, _ in of_block]
    members_kinds = [of_kinds(item for item in shown.items if item.member == "fragile") for shown in lists]
    for kind in n_of_each:
        assert max(found[kind] for found in blocks_kinds) - min(found[kind] for found in blocks_kinds) <= 1
        if members == "counterbalanced":
            for one, other in zip(members_kinds[::2], members_kinds[1::2], strict=True):
                assert abs(one[kind] - other[kind]) <= 1
    shown_pairs = [pair for one, _ in of_block for pair in pairs(one)]
    assert len(set(shown_pairs)) == len(shown_pairs) == n_pairs
    for shown in lists:
        sources = [item.source_id for item in (*shown.items, *shown.practice)]
        assert len(set(sources)) == len(sources)
        assert {item.pair_id for item in shown.practice}.isdisjoint(shown_pairs)
        assert len(shown.practice) == practice


@given(
    st.integers(4, 30),
    st.integers(0, 2**63 - 1),
    st.integers(0, 1),
    st.lists(st.sampled_from(["free", "forced"]), min_size=1, unique=True),
)
def test_a_latin_square_shows_each_source_once_and_each_set_equally_often(
    n: int, seed: int, practice: int, conditions: list[str]
) -> None:
    everything = images(n)
    plan = plan_of(SETS, practice, sets=("RE", "AN", "AI"), conditions=tuple(conditions))
    lists = lists_of(plan, everything, seed)
    assert len(lists) == 3 * len(conditions)
    for condition in conditions:
        rows = [shown for shown in lists if shown.condition == condition]
        for shown in rows:
            sources = [item.source_id for item in (*shown.items, *shown.practice)]
            assert len(set(sources)) == len(sources) == n
            sets = Counter(item.set for item in shown.items)
            assert max(sets.values()) - min(sets[name] for name in ("RE", "AN", "AI")) <= 1
            # nor is a set shown of some supercategories only
            kinds_of = [of_kinds(item for item in shown.items if item.set == name) for name in ("RE", "AN", "AI")]
            for kind in of_kinds(shown.items):
                assert max(found[kind] for found in kinds_of) - min(found[kind] for found in kinds_of) <= 1
        # over the rows of the square every image is shown exactly once
        everyone = Counter(item.item_id for shown in rows for item in shown.items)
        assert set(everyone.values()) == {1}
        assert len(everyone) == 3 * (n - practice)


@given(kinds, st.integers(0, 2**63 - 1))
def test_every_beginning_of_a_spread_is_even_over_kinds(n_of_each: dict[str, int], seed: int) -> None:
    names = [f"{kind}{k}" for kind, n in n_of_each.items() for k in range(n)]
    drawn = spread(names, [name[0] for name in names], seed, "test")
    assert sorted(drawn) == sorted(names)
    for end in range(len(drawn) + 1):
        counts = Counter(name[0] for name in drawn[:end])
        for kind, n in n_of_each.items():
            # a kind lags behind another by two or more only once it has run out
            assert counts[kind] == n or all(counts[kind] >= number - 1 for number in counts.values())


def test_forty_pairs_of_ten_supercategories_are_four_of_each() -> None:
    everything = crops(dict.fromkeys("abcdefghij", 5))
    lists = lists_of(plan_of(CROPS, 4), everything, 2019)
    assert [shown.list_id for shown in lists] == ["fragile", "altered"]
    for shown in lists:
        assert set(Counter(item.traits["supercategory"] for item in shown.items).values()) == {4}
        assert shown.quota == 20


def test_a_different_seed_draws_other_pairs() -> None:
    everything = crops(dict.fromkeys("abcdefghij", 5))
    drawn = {tuple(pairs(lists_of(plan_of(CROPS, 4, n_pairs=10), everything, seed)[0])) for seed in range(10)}
    assert len(drawn) == 10


@pytest.mark.parametrize(
    ("plan", "items", "said"),
    [
        (plan_of(CROPS, 1), crops({"a": 40}), "found 40 pairs of crops, 40 and 1 for practice"),
        (plan_of(CROPS, 0, n_pairs=2, blocks=3), crops({"a": 2}), "found 3 for 2 pairs"),
        (plan_of(SETS, 2), images(4), "found 2 of 4 source images"),
        (plan_of(SETS, 0), images(4)[:-1], "source 'source3' has no image in set AI"),
    ],
)
def test_too_few_images_are_said(plan: OnlinePlan, items: list[Item], said: str) -> None:
    with pytest.raises(FoolscanError, match=said):
        lists_of(plan, items, 1)


def test_two_images_of_one_source_cannot_be_in_a_list() -> None:
    one, other = crops({"a": 1})
    with pytest.raises(FoolscanError, match="two images of one source"):
        ShownList("x", "fragile", "free", (one,), (other,), 20)


def test_the_shipped_designs() -> None:
    assert isinstance(CROPS.design, CropPairs)
    assert isinstance(SETS.design, SetRecognition)
    assert (CROPS.design.n_pairs, CROPS.design.members, CROPS.design.per_list) == (40, "separate", 20)
