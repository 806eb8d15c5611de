"""What is right, who is excluded by which rule, and what is flagged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.online.items import Item
from experiment.online.judging import Record, exclusion, flags_of, forms, is_right, summary
from experiment.online.messages import Given, TrialAnswer
from experiment.online.trials import Trial
from protocols.online_plan import Choice, Exclusions, OnlinePlan, Rating, Typed
from protocols.study import load_study

CROPS = load_study("srivastava2019").online
assert CROPS is not None
OWL = Item("a", "a", "a.png", "0", {"supercategory": "birds", "category": "snowy_owl", "animal": "animal"})
MUG = Item("b", "b", "b.png", "0", {"supercategory": "furniture", "category": "mug", "animal": "not_animal"})
BEGAN_MS = 1_700_000_000_000


def chosen(value: str, rt_ms: float = 700) -> Given:
    return Given(question="thing", value=value, rt_ms=rt_ms, by="key")


def named(name: str) -> Given:
    return Given(question="name", typed=name, rt_ms=700, by="key")


def plan_of(**rules: Any) -> OnlinePlan:
    none = {"attention_failures": None, "impossible_share": None, "one_answer_share": None, "hidden_share": None}
    return CROPS.model_copy(update={"exclusions": Exclusions(**{**none, **rules})})


def record(
    number: int, value: str, *, kind: str = "main", rt_ms: float = 700, hidden: bool = False, **more: Any
) -> Record:
    trial = Trial(number, kind, OWL if kind != "attention" else None, "fish" if kind == "attention" else None, False)  # type: ignore[arg-type]
    sent_ms = more.get("sent_ms", number * 1000.0)
    answer = TrialAnswer(
        trial=number, shown=None, given=[chosen(value, rt_ms)], hidden=hidden, sent_ms=sent_ms, load=more.get("load", 1)
    )
    return Record(trial, answer, more.get("received_ms", BEGAN_MS + number * 1000))


def test_a_choice_is_right_where_it_names_what_is_shown() -> None:
    question = Choice(kind="choice", name="thing", about="supercategory", text={"en": "?"}, nothing=True)
    assert is_right(question, OWL, chosen("birds")) is True
    assert is_right(question, OWL, chosen("furniture")) is False
    assert is_right(question, OWL, chosen("nothing")) is False
    assert is_right(question.model_copy(update={"about": "animal"}), MUG, chosen("not_animal")) is True


def test_a_rating_and_a_check_are_neither_right_nor_wrong() -> None:
    assert is_right(Rating(kind="rating", name="sure", text={"en": "?"}), OWL, chosen("3")) is None
    assert is_right(Choice(kind="choice", name="thing", about="category", text={"en": "?"}), None, chosen("x")) is None


@pytest.mark.parametrize(
    "typed",
    [
        "snowy owl",
        "Snowy Owl",
        "a snowy owl",
        "The snowy owls",
        " snowy-owl. ",
        "SNÖWY ÖWL",
        "snowy  owls!",
        "eine Schneeeule",
        "schneeeule",
        "snow-owl",
    ],
)
def test_a_typed_name_is_right_however_it_is_written(typed: str) -> None:
    question = Typed(
        kind="typed", name="name", text={"en": "?", "de": "?"}, accepted={"snowy_owl": ("snow owl", "Schneeeule")}
    )
    assert is_right(question, OWL, named(typed)) is True


@pytest.mark.parametrize("typed", ["owl", "a", "the", "snow", "snowy owlet", "mug", "???"])
def test_another_name_is_wrong(typed: str) -> None:
    assert is_right(Typed(kind="typed", name="name", text={"en": "?"}), OWL, named(typed)) is False


def test_nothing_instead_of_a_name_is_wrong() -> None:
    nothing = Given(question="name", value="nothing", rt_ms=700, by="key")
    assert is_right(Typed(kind="typed", name="name", text={"en": "?"}), OWL, nothing) is False


@pytest.mark.parametrize(
    ("one", "other"),
    [("butterfly", "Butterflies"), ("bus", "buses"), ("fish", "fishes"), ("éléphant", "elephant"), ("straße", "Strasse"),
     ("Ⅻ", "xii"), ("l'avion", "avion"), ("ﬁsh", "fish")],
)  # fmt: skip
def test_names_that_mean_the_same(one: str, other: str) -> None:
    assert forms(one, ("en", "fr")) & forms(other, ("en", "fr"))


@pytest.mark.parametrize(("one", "other"), [("cat", "cart"), ("ass", "as"), ("dog", "god"), ("कुत्ता", "कता"), ("", "")])
def test_names_that_do_not(one: str, other: str) -> None:
    assert not forms(one) & forms(other)


def test_an_article_alone_is_a_name() -> None:
    assert forms("the") == {"the"}
    assert forms("die", ("de",)) == {"die"}


@given(st.text(max_size=30))
def test_every_text_means_itself(text: str) -> None:
    found = forms(text)
    assert found == forms(text.upper().lower()) or not text.isascii()
    assert found == forms(f"  {text} ") or any(letter.isspace() for letter in text)


def test_who_fails_more_checks_than_allowed_is_excluded() -> None:
    plan = plan_of(attention_failures=1)
    checks = [record(1, "birds", kind="attention"), record(2, "fish", kind="attention"), record(3, "birds")]
    assert exclusion(plan, checks) is None
    assert exclusion(plan, [*checks, record(4, "boats", kind="attention")]) == "attention_failures"


@pytest.mark.parametrize(("key", "bad"), [("impossible_share", {"rt_ms": 199.9}), ("hidden_share", {"hidden": True})])
def test_a_share_excludes_where_it_is_larger_than_allowed(key: str, bad: dict[str, Any]) -> None:
    plan = plan_of(**{key: 0.1})
    ten = [record(1, "birds", **bad), *(record(number, "birds") for number in range(2, 11))]
    assert exclusion(plan, ten) is None
    assert exclusion(plan, ten[:9]) == key
    assert exclusion(plan_of(), ten[:9]) is None


def test_two_hundred_milliseconds_are_possible() -> None:
    assert summary(plan_of(), [record(1, "birds", rt_ms=200)]).impossible == 0


def test_practice_does_not_count() -> None:
    practice = [record(number, "birds", kind="practice", rt_ms=1, hidden=True) for number in range(1, 9)]
    assert summary(plan_of(), practice) == summary(plan_of(), [])
    assert exclusion(plan_of(impossible_share=0, hidden_share=0, one_answer_share=0), practice) is None


def test_one_and_the_same_answer() -> None:
    answers = [record(number, "birds" if number <= 6 else "fish") for number in range(1, 11)]
    assert summary(plan_of(), answers).same == 6
    assert exclusion(plan_of(one_answer_share=0.6), answers) is None
    assert exclusion(plan_of(one_answer_share=0.5), answers) == "one_answer_share"


def test_rules_are_named_in_their_order() -> None:
    plan = plan_of(attention_failures=0, impossible_share=0.0)
    assert exclusion(plan, [record(1, "x", kind="attention"), record(2, "birds", rt_ms=1)]) == "attention_failures"


def kinds(records: list[Record], joined_ms: int = BEGAN_MS) -> list[str]:
    return [kind for kind, _ in flags_of(plan_of(), records, joined_ms)]


def test_an_honest_session_has_no_flags() -> None:
    mixed = [record(number, "birds" if number % 2 else "fish") for number in range(1, 21)]
    assert kinds(mixed) == []
    assert kinds([]) == []


def test_what_is_flagged() -> None:
    assert kinds([record(1, "birds", kind="attention")]) == ["attention"]
    assert kinds([record(1, "birds", rt_ms=100)]) == ["impossible_rt"]
    assert kinds([record(1, "birds", hidden=True)]) == ["hidden"]
    assert kinds([record(number, "birds") for number in range(1, 11)]) == ["same_answer"]


def test_a_page_that_tells_of_more_time_than_passed_is_flagged() -> None:
    # fifty answers within a second, each of which claims to have taken two
    bot = [record(n, "ab"[n % 2], rt_ms=2000, sent_ms=20.0 * n, received_ms=BEGAN_MS + 20 * n) for n in range(1, 51)]
    assert kinds(bot) == ["clock"]
    # or claims it of its clock
    skewed = [record(n, "ab"[n % 2], sent_ms=2000.0 * n, received_ms=BEGAN_MS + 20 * n) for n in range(1, 51)]
    assert kinds(skewed) == ["clock"]


def test_an_hour_without_network_is_not_flagged() -> None:
    hour_ms = 3_600_000
    waited = [record(n, "ab"[n % 2], received_ms=BEGAN_MS + hour_ms + n) for n in range(1, 11)]
    assert kinds(waited) == []


def test_a_page_that_was_loaded_again_begins_its_clock_anew() -> None:
    before = [record(n, "ab"[n % 2], sent_ms=60_000.0 * n, received_ms=BEGAN_MS + 60_000 * n) for n in range(1, 6)]
    after = [
        record(n, "ab"[n % 2], sent_ms=1000.0 * n, received_ms=BEGAN_MS + 400_000 + 1000 * n, load=2)
        for n in range(6, 11)
    ]
    assert kinds([*before, *after]) == []


def test_a_day_in_between_is_told() -> None:
    assert kinds([record(1, "birds"), record(2, "fish", received_ms=BEGAN_MS + 86_400_000)]) == ["clock"]
