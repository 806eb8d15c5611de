"""The chain over all answers: whatever is changed, taken out or put in breaks it; what is erased with a tombstone does not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.online import chain


@dataclass(frozen=True)
class Row:
    place: int
    session: str
    trial: int
    content: str | None
    salt: str | None
    commitment: str
    link: str


def chained(contents: list[str]) -> list[Row]:
    rows, link = [], chain.START
    for place, content in enumerate(contents, start=1):
        salt = f"{place:032x}"
        committed = chain.commitment(salt, content)
        link = chain.link(link, f"s{place % 2}", place, committed)
        rows.append(Row(place, f"s{place % 2}", place, content, salt, committed, link))
    return rows


def test_links_are_as_the_formula_says() -> None:
    committed = hashlib.sha256(b"00ff" + b'{"a":1}').hexdigest()
    assert chain.commitment("00ff", '{"a":1}') == committed
    assert chain.link("p", "s", 3, committed) == hashlib.sha256(f"p|s|3|{committed}".encode()).hexdigest()
    assert chain.canonical({"b": [1.5, "ü"], "a": None}) == '{"a":null,"b":[1.5,"ü"]}'


def test_a_salt_is_sixteen_random_bytes() -> None:
    salts = {chain.new_salt() for _ in range(100)}
    assert len(salts) == 100
    assert all(len(bytes.fromhex(salt)) == 16 for salt in salts)


@given(st.lists(st.text(max_size=5), max_size=8))
def test_what_was_chained_holds(contents: list[str]) -> None:
    assert chain.first_break(chained(contents)) is None


@given(st.lists(st.text(max_size=5), min_size=2, max_size=8), st.data())
def test_every_change_breaks_it_where_it_was_made(contents: list[str], data: st.DataObject) -> None:
    rows = chained(contents)
    place = data.draw(st.integers(1, len(rows)))
    column = data.draw(st.sampled_from(["content", "salt", "commitment", "session", "trial"]))
    old = getattr(rows[place - 1], column)
    rows[place - 1] = replace(rows[place - 1], **{column: old + 1 if column == "trial" else old + "x"})
    found = chain.first_break(rows)
    assert found is not None
    assert found.place == place


@given(st.lists(st.text(max_size=5), min_size=2, max_size=8), st.data())
def test_an_answer_that_was_taken_out_is_missed(contents: list[str], data: st.DataObject) -> None:
    rows = chained(contents)
    place = data.draw(st.integers(1, len(rows) - 1))  # the last one is missed by the head that is kept elsewhere
    del rows[place - 1]
    found = chain.first_break(rows)
    assert found is not None
    assert found.place == place
    renumbered = [replace(row, place=number) for number, row in enumerate(rows, start=1)]
    assert chain.first_break(renumbered) is not None


@given(st.lists(st.text(max_size=5), min_size=1, max_size=8), st.sets(st.integers(1, 8)))
def test_erased_answers_leave_it_whole(contents: list[str], erased: set[int]) -> None:
    gone = {place for place in erased if place <= len(contents)}
    rows = [replace(row, content=None, salt=None) if row.place in gone else row for row in chained(contents)]
    assert chain.first_break(rows, gone) is None
    if gone:
        found = chain.first_break(rows, gone - {min(gone)})
        assert found == chain.Break(min(gone), "its content is gone, and no tombstone says why")


@pytest.mark.parametrize(
    ("change", "erased", "said"),
    [
        ({"salt": None}, [], "not both"),
        ({}, [1], "its content is there"),
        ({}, [9], "not there"),
    ],
)
def test_what_does_not_fit_a_tombstone_is_said(change: dict[str, None], erased: list[int], said: str) -> None:
    rows = [replace(row, **change) for row in chained(["a"])]
    found = chain.first_break(rows, erased)
    assert found is not None
    assert said in found.found
