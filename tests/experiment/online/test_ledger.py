"""The ledger: written before the call, once for each call, never beyond the cap."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from experiment.online.database import connect
from experiment.online.recruiters.codes import use_code
from experiment.online.recruiters.ledger import Intent, Ledger, OverCap, usd
from experiment.online.recruiters.turk_hits import (
    batches,
    bonus_with_fee_cents,
    cents_of,
    external_question,
    fee_cents,
    page_address,
    requirements,
    reward_with_fee_cents,
    submitted_fields,
)
from experiment.online.tables import schema
from protocols.online_plan import TurkPlan
from protocols.problems import FoolscanError


def create(path: Path) -> Engine:
    found = connect(path)
    with found.begin() as connection:
        schema.create_all(connection)
    return found


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = create(tmp_path / "crops.sqlite3")
    yield found
    found.dispose()


def ledger_of(engine: Engine, recruiter: str = "mturk") -> Ledger:
    return Ledger(engine, recruiter, lambda: 1_700_000_000_000)


def test_a_call_is_written_down_once_with_the_same_token(engine: Engine):
    ledger = ledger_of(engine)
    (first,) = ledger.intend([Intent("create_hit", "1", 1080, {"places": 9})])
    (again,) = ledger.intend([Intent("create_hit", "1", 999, {"places": 3})])
    assert first.fresh
    assert not again.fresh
    assert (again.token, again.cents, again.answer, again.state) == (first.token, 1080, {"places": 9}, "intended")
    assert 1 <= len(first.token) <= 64
    assert ledger.committed_cents() == 1080


def test_what_is_done_stays_done(engine: Engine):
    ledger = ledger_of(engine)
    (entry,) = ledger.intend([Intent("approve", "k3v9")])
    ledger.done(entry, {"found": "approved"})
    ledger.failed(entry, "too late")
    assert [(one.state, one.answer) for one in ledger.entries()] == [("done", {"found": "approved"})]
    assert ledger.intend([Intent("approve", "k3v9")])[0].state == "done"


def test_what_was_refused_costs_nothing_and_can_be_meant_again_with_its_token(engine: Engine):
    ledger = ledger_of(engine)
    (entry,) = ledger.intend([Intent("create_hit", "1", 1080)])
    ledger.failed(entry, "XMLParseError")
    assert ledger.committed_cents() == 0
    (again,) = ledger.intend([Intent("create_hit", "1", 2160)])
    assert (again.token, again.state, again.cents) == (entry.token, "intended", 2160)
    assert ledger.committed_cents() == 2160


def test_money_comes_back_when_it_has_come_back_and_not_before(engine: Engine):
    ledger = ledger_of(engine)
    ledger.intend([Intent("create_hit", "1", 1080)])
    (end,) = ledger.intend([Intent("expire", "1", -500)])
    assert ledger.committed_cents() == 1080
    ledger.done(end, cents=-360)
    assert ledger.committed_cents() == 720


def test_beyond_the_cap_nothing_at_all_is_written(engine: Engine):
    ledger = ledger_of(engine)
    ledger.intend([Intent("create_hit", "1", 1000)], most_cents=1000)
    with pytest.raises(OverCap, match=r"--spend-at-most: found \$19.99; with this the whole comes to \$20.00"):
        ledger.intend([Intent("create_hit", "2", 500), Intent("create_hit", "3", 500)], most_cents=1999)
    assert [entry.about for entry in ledger.entries()] == ["1"]


def test_the_sandbox_and_the_site_have_ledgers_of_their_own(engine: Engine):
    ledger_of(engine, "mturk_sandbox").intend([Intent("create_hit", "1", 9000)])
    assert ledger_of(engine).entries() == []
    assert ledger_of(engine).committed_cents() == 0


def test_two_consoles_at_once_do_not_pass_the_cap_together(tmp_path: Path):
    create(tmp_path / "crops.sqlite3").dispose()
    ends: list[str] = []

    def console(name: int) -> None:
        engine = connect(tmp_path / "crops.sqlite3")
        try:
            ledger_of(engine).intend([Intent("create_hit", str(name), 100)], most_cents=500)
            ends.append("done")
        except OverCap:
            ends.append("over")
        finally:
            engine.dispose()

    threads = [threading.Thread(target=console, args=(name,)) for name in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["done"] * 5 + ["over"] * 7


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 500), st.sampled_from(["intend", "done", "failed"])),
        max_size=20,
    )
)
@settings(max_examples=30)
def test_the_ledger_is_never_above_its_cap(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str]]):
    engine = create(tmp_path_factory.mktemp("ledger") / "crops.sqlite3")
    ledger, tokens = ledger_of(engine), {}
    for about, cents, what in steps:
        try:
            (entry,) = ledger.intend([Intent("create_hit", about, cents)], most_cents=800)
        except OverCap:
            continue
        assert tokens.setdefault(about, entry.token) == entry.token
        if what != "intend":
            getattr(ledger, what)(entry, *(["no"] if what == "failed" else []))
        assert ledger.committed_cents() <= 800
    engine.dispose()


def test_a_code_that_is_nobody_s_is_nobody_s(engine: Engine):
    with engine.begin() as connection:
        assert use_code(connection, "0000-0000-0000-0000", 1) is None
        assert use_code(connection, "", 1) is None
        assert use_code(connection, "' or 1=1 --", 1) is None


# --- what is asked for, and what it costs


@given(st.integers(0, 3000))
def test_places_are_dealt_into_hits_that_keep_the_lower_fee(places: int):
    dealt = batches(places)
    assert sum(dealt) == places
    assert all(1 <= size <= 9 for size in dealt)
    assert len(dealt) == -(-places // 9)


def test_the_fee_is_a_fifth_and_a_cent_at_least():
    assert [fee_cents(cents) for cents in (0, 1, 4, 5, 6, 100, 101)] == [0, 1, 1, 1, 2, 20, 21]
    assert fee_cents(100, assignments=9) == 20
    assert fee_cents(100, assignments=10) == 40
    plan = TurkPlan(title="a", description="b", reward_usd=1.5, bonus_usd=0.25)
    assert (reward_with_fee_cents(plan), bonus_with_fee_cents(plan)) == (180, 30)


@given(st.integers(0, 100_000))
def test_cents_are_whole_whatever_floats_do(cents: int):
    assert cents_of(cents / 100) == cents
    assert usd(cents) == f"${cents / 100:.2f}"


def test_parts_of_a_cent_are_refused():
    with pytest.raises(FoolscanError, match="Amazon pays whole cents"):
        cents_of(0.125)


@pytest.mark.parametrize(
    "url",
    [
        "http://lab.example",
        "https://",
        "lab.example",
        "https://lab.example?x=1",
        "https://lab.example#x",
        "https://me:pw@lab.example",
        "https://lab.example:0",
        "https://[",
        "ftp://lab.example",
        "",
    ],
)
def test_amazon_frames_https_alone(url: str):
    with pytest.raises(FoolscanError, match="--public-url: found"):
        page_address(url, "mturk")


def test_the_page_stands_below_the_public_address():
    assert page_address("https://lab.example", "mturk") == "https://lab.example/mturk"
    assert (
        page_address("https://lab.example:8443/study/", "mturk_sandbox")
        == "https://lab.example:8443/study/mturk_sandbox"
    )


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1))
def test_the_question_is_xml_whatever_the_address(text: str):
    import xml.etree.ElementTree as ET

    address = f"https://lab.example/{text}"
    root = ET.fromstring(external_question(address))
    assert root[0].text == address


def test_whoever_took_part_is_kept_from_every_hit():
    plan = TurkPlan(title="a", description="b", reward_usd=1.0, countries=("US",), approved_pct=95)
    for live in (True, False):
        first = requirements(plan, "3QUALIFICATION", live=live)[0]
        assert first == {
            "QualificationTypeId": "3QUALIFICATION",
            "Comparator": "DoesNotExist",
            "ActionsGuarded": "DiscoverPreviewAndAccept",
        }
    assert len(requirements(plan, "3QUALIFICATION", live=True)) == 3
    assert len(requirements(plan, "3QUALIFICATION", live=False)) == 1


@pytest.mark.parametrize(
    "answer",
    ["", "<", "not xml", "<a/>", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "<QuestionFormAnswers/>"],
)
def test_what_strangers_submitted_is_read_or_left(answer: str):
    assert submitted_fields(answer) == {}
