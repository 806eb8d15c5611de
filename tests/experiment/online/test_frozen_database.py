"""A database that was written by the first release with crowds: every later one reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, select

from experiment.online import chain, database, tables
from experiment.online.messages import TrialAnswer
from experiment.online.opening import read_facts
from experiment.online.tokens import sha256_of_token

V1 = Path(__file__).parents[2] / "formats" / "v1" / "online.sqlite3"


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Connection]:
    """A copy: one person finished, one excluded, one erased, one under way."""
    path = tmp_path / "crops.sqlite3"
    path.write_bytes(V1.read_bytes())
    engine = database.connect_reading(path)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_it_says_which_format_and_study_it_is_of(frozen: Connection, tmp_path: Path) -> None:
    facts = read_facts(frozen, tmp_path / "crops.sqlite3")
    assert (facts["format"], facts["study"], facts["task"], facts["paused"]) == ("1", "tinycrops", "crops", "false")
    database.refuse_damaged(frozen, tmp_path / "crops.sqlite3")


def test_its_columns_are_those_that_are_read(frozen: Connection) -> None:
    for table in tables.schema.sorted_tables:
        stored = {column["name"] for column in inspect(frozen).get_columns(table.name)}
        assert stored == {column.name for column in table.columns}, table.name


def test_people_and_their_answers_are_read(frozen: Connection) -> None:
    sessions = frozen.execute(
        select(tables.sessions).order_by(tables.sessions.c.joined_ms, tables.sessions.c.place)
    ).all()
    assert sorted(session.state for session in sessions) == ["active", "erased", "finished", "finished"]
    assert sorted(str(session.excluded_for) for session in sessions) == ["None", "None", "None", "impossible_share"]
    rows = frozen.execute(select(tables.responses).order_by(tables.responses.c.place)).all()
    erased = frozen.execute(select(tables.erased.c.place)).scalars().all()
    assert chain.first_break(rows, erased) is None
    assert {row.place for row in rows if row.content is None} == set(erased) != set()
    for row in rows:
        if row.content is not None:
            answer = TrialAnswer.model_validate_json(row.content)
            assert answer.trial == row.trial
            assert chain.canonical(answer.model_dump(mode="json")) == row.content


def test_codes_and_comments_are_read(frozen: Connection) -> None:
    codes = [code for code in frozen.execute(select(tables.payments.c.code_sha256)).scalars() if code]
    assert len(codes) == 2
    assert sha256_of_token("0000-0000-0000-0000") not in codes
    told = frozen.execute(
        select(tables.happenings.c.number, tables.happenings.c.kind, tables.happenings.c.content)
    ).all()
    assert sorted(told) == [(0, "comment", "Thank you."), (1, "loaded", "desktop")]
