"""Sessions replay from their seed; attention checks come once within each so many trials, and never first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from experiment.online.items import Item
from experiment.online.lists import ShownList
from experiment.online.trials import plan_session, session_seed
from protocols.online_plan import NOTHING, OnlinePlan
from protocols.study import load_study

CROPS = load_study("srivastava2019").online
SETS = load_study("zhang2018_online").online
assert CROPS is not None
assert SETS is not None


def item(number: int) -> Item:
    kind = "ab"[number % 2]
    animal = "animal" if number % 2 else "not_animal"
    return Item(
        f"i{number}", f"s{number}", "x.png", "0", {"supercategory": kind, "category": f"c{number}", "animal": animal}
    )


def shown(n: int, practice: int, condition: str = "free") -> ShownList:
    everything = [item(number) for number in range(n + practice)]
    return ShownList("list", "fragile", condition, tuple(everything[:n]), tuple(everything[n:]), 20)


def with_checks(plan: OnlinePlan, every: int | None, rest_every: int | None = None) -> OnlinePlan:
    assert plan.attention is not None
    attention = None if every is None else plan.attention.model_copy(update={"every": every})
    return plan.model_copy(update={"attention": attention, "rest_every": rest_every})


seeds = st.integers(0, 2**63 - 1)


@given(st.integers(2, 40), st.integers(0, 4), st.none() | st.integers(1, 12), seeds)
def test_a_session_shows_its_list_once_in_an_order_of_its_own(
    n: int, practice: int, every: int | None, seed: int
) -> None:
    plan, given_list = with_checks(CROPS, every), shown(n, practice)
    everything = [*given_list.items, *given_list.practice]
    session = plan_session(plan, given_list, everything, seed)
    assert session == plan_session(plan, given_list, everything, seed)
    assert [trial.number for trial in session.trials] == [*range(1, len(session.trials) + 1)]
    of_kind = {
        kind: [trial for trial in session.trials if trial.kind == kind] for kind in ("practice", "main", "attention")
    }
    assert [trial.item for trial in of_kind["practice"]] == [*given_list.practice]
    assert [trial.kind for trial in session.trials[:practice]] == ["practice"] * practice
    main = [trial.item.item_id for trial in of_kind["main"] if trial.item]
    assert sorted(main) == sorted(item.item_id for item in given_list.items)
    assert all(trial.item is None for trial in of_kind["attention"])


@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 4), seeds)
def test_one_check_in_each_so_many_trials_and_none_first(n: int, every: int, practice: int, seed: int) -> None:
    plan, given_list = with_checks(CROPS, every), shown(n, practice)
    session = plan_session(plan, given_list, [*given_list.items, *given_list.practice], seed)
    drawn = session.trials[practice:]
    assert drawn[0].kind == "main"
    before = 0
    checks_after = []
    for trial in drawn:
        if trial.kind == "attention":
            checks_after.append(before)
            assert trial.asked in session.options["thing"]
        else:
            before += 1
    assert len(checks_after) == n // every
    for number, place in enumerate(checks_after):
        assert number * every < place <= (number + 1) * every


@given(st.integers(3, 40), st.integers(1, 10), seeds)
def test_breaks_come_every_so_many_trials_and_never_first(n: int, rest_every: int, seed: int) -> None:
    session = plan_session(with_checks(CROPS, None, rest_every), shown(n, 2), shown(n, 2).items, seed)
    rests = [trial.number - 3 for trial in session.trials if trial.rest]
    assert rests == [*range(rest_every, n, rest_every)]


def test_places_of_checks_cannot_be_foreseen() -> None:
    plan, given_list = with_checks(CROPS, 10), shown(40, 0)
    places = {
        tuple(
            trial.number
            for trial in plan_session(plan, given_list, given_list.items, seed).trials
            if trial.kind == "attention"
        )
        for seed in range(50)
    }
    assert len(places) > 40


def test_nothing_is_offered_last_and_not_where_naming_is_forced() -> None:
    everything = [item(number) for number in range(6)]
    free = plan_session(SETS, shown(6, 0), everything, 1).options
    forced = plan_session(SETS, shown(6, 0, "forced"), everything, 1).options
    assert free == {"animal": ("animal", "not_animal", NOTHING), "name": (NOTHING,), "confidence": ("1", "2", "3", "4")}
    assert forced == {"animal": ("animal", "not_animal"), "name": (), "confidence": ("1", "2", "3", "4")}


def test_a_check_never_asks_for_nothing() -> None:
    plan, everything = with_checks(SETS, 2), [item(number) for number in range(20)]
    asked = {
        trial.asked
        for seed in range(20)
        for trial in plan_session(plan, shown(20, 0), everything, seed).trials
        if trial.kind == "attention"
    }
    assert asked == {"animal", "not_animal"}


def test_options_are_of_all_images_whatever_a_list_has() -> None:
    everything = [item(number) for number in range(6)]
    only_a = ShownList("list", "fragile", "free", (everything[0],), (), 20)
    assert plan_session(CROPS, only_a, everything, 1).options == {"thing": ("a", "b")}


def test_shuffled_options_are_drawn_anew_for_each_person() -> None:
    question = CROPS.questions[0].model_copy(update={"order": "shuffled"})
    plan = CROPS.model_copy(update={"questions": (question,)})
    everything = [Item(f"i{k}", f"s{k}", "x", "0", {"supercategory": f"k{k}"}) for k in range(6)]
    given_list = ShownList("list", "fragile", "free", tuple(everything), (), 20)
    orders = {plan_session(plan, given_list, everything, seed).options["thing"] for seed in range(20)}
    assert len(orders) > 15
    assert all(sorted(order) == [f"k{k}" for k in range(6)] for order in orders)


@given(seeds, st.text(min_size=1, max_size=10), st.integers(1, 1000))
def test_every_place_of_a_list_has_a_seed_of_its_own(study_seed: int, list_id: str, place: int) -> None:
    seed = session_seed(study_seed, list_id, place)
    assert 0 <= seed < 2**63
    assert seed == session_seed(study_seed, list_id, place)
    assert seed != session_seed(study_seed, list_id, place + 1)
