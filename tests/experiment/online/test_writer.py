"""The one writer: nothing is told to be held before the disk has it, a bad job spoils no other, a full disk none that come after."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, event, func, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from experiment.online import database
from experiment.online.refusals import NotStored
from experiment.online.writer import Batch, Writer

things = Table("things", MetaData(), Column("number", Integer, primary_key=True))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = database.connect(tmp_path / "things.sqlite3")
    with engine.begin() as connection:
        things.create(connection)
    yield engine
    engine.dispose()


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer[int]]:
    writer: Writer[int] = Writer(engine)
    yield writer
    writer.close()


def put(number: int, connection: Connection) -> int:
    connection.execute(insert(things).values(number=number))
    return number


def put_all(connection: Connection, numbers: Sequence[int]) -> list[int | BaseException]:
    connection.execute(insert(things), [{"number": number} for number in numbers])
    return [*numbers]


def stored(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return [*connection.execute(select(things.c.number).order_by(things.c.number)).scalars()]


def held_up(writer: Writer[int]) -> tuple[threading.Event, Future[int]]:
    """The writer waits within a transaction until the event is set."""
    begun, go = threading.Event(), threading.Event()

    def waits(connection: Connection) -> int:
        begun.set()
        go.wait(60)
        return 0

    future = writer.submit(waits)
    begun.wait(60)
    return go, future


def test_what_is_told_to_be_held_can_be_read_by_others(engine: Engine, writer: Writer[int]) -> None:
    for number in range(20):
        assert writer.submit(lambda connection, number=number: put(number, connection)).result() == number  # type: ignore[misc]
        assert number in stored(engine)


def test_many_jobs_share_one_commit(engine: Engine, writer: Writer[int]) -> None:
    commits = []
    event.listen(engine, "commit", lambda connection: commits.append(1))
    go, first = held_up(writer)
    futures = [writer.add(put_all, number) for number in range(500)]
    go.set()
    assert [future.result() for future in futures] == [*range(500)]
    assert first.result() == 0
    assert len(commits) <= 3
    assert len(stored(engine)) == 500


def test_what_can_be_written_together_does_not_wait_for_all_the_others(engine: Engine, writer: Writer[int]) -> None:
    order: list[str] = []

    def alone(connection: Connection) -> int:
        order.append("alone")
        return 0

    def together(connection: Connection, numbers: Sequence[int]) -> list[int | BaseException]:
        order.append("together")
        return [*numbers]

    go, _ = held_up(writer)
    futures = [writer.submit(alone) for _ in range(5)] + [writer.add(together, number) for number in range(100)]
    go.set()
    wait(futures)
    assert order == ["together", *["alone"] * 5]


def test_the_others_are_not_kept_waiting_either(engine: Engine, writer: Writer[int]) -> None:
    order: list[str] = []

    def alone(connection: Connection) -> int:
        order.append("alone")
        return 0

    def kinds(name: str) -> Batch[int, int]:
        def together(connection: Connection, numbers: Sequence[int]) -> list[int | BaseException]:
            order.append(name)
            return [*numbers]

        return together

    go, _ = held_up(writer)
    futures = [writer.submit(alone) for _ in range(2)] + [writer.add(kinds(name), 1) for name in "abcd"]
    go.set()
    wait(futures)
    assert order == ["a", "alone", "b", "alone", "c", "d"]


def test_a_job_that_fails_takes_back_what_it_wrote_and_nothing_else(engine: Engine, writer: Writer[int]) -> None:
    def fails(connection: Connection) -> int:
        put(2, connection)
        raise ValueError("no")

    go, _ = held_up(writer)
    futures = [
        writer.submit(lambda connection: put(1, connection)),
        writer.submit(fails),
        writer.submit(lambda connection: put(1, connection)),
        writer.submit(lambda connection: put(3, connection)),
    ]
    go.set()
    wait(futures)
    assert [type(future.exception()) for future in futures] == [type(None), ValueError, IntegrityError, type(None)]
    assert stored(engine) == [1, 3]


def test_of_jobs_of_one_kind_the_one_that_is_wrong_is_refused_alone(engine: Engine, writer: Writer[int]) -> None:
    go, _ = held_up(writer)
    futures = [writer.add(put_all, number) for number in (1, 2, 2, 3)]
    go.set()
    wait(futures)
    assert [future.exception() is None for future in futures] == [True, True, False, True]
    assert stored(engine) == [1, 2, 3]


def test_a_commit_that_fails_fails_all_of_its_jobs_and_none_that_come_after(
    engine: Engine, writer: Writer[int]
) -> None:
    broken = [True]

    def fail(connection: Connection) -> None:
        if broken:
            raise OperationalError("COMMIT", {}, OSError("disk I/O error"))

    event.listen(engine, "commit", fail)
    go, first = held_up(writer)
    futures = [writer.add(put_all, number) for number in range(5)]
    go.set()
    for future in [first, *futures]:
        with pytest.raises(NotStored, match="disk I/O error"):
            future.result()
    assert stored(engine) == []
    broken.clear()
    assert writer.add(put_all, 7).result() == 7
    assert stored(engine) == [7]


def test_what_is_remembered_is_forgotten_where_it_may_be_untrue(engine: Engine, tmp_path: Path) -> None:
    forgotten = []
    writer: Writer[int] = Writer(engine, forget=lambda: forgotten.append(1))
    writer.add(put_all, 1).result()
    forgotten.clear()
    for number in range(2, 6):
        writer.add(put_all, number).result()
    assert not forgotten  # its own writing changes nothing that it does not know of
    other = database.connect(tmp_path / "things.sqlite3")
    with other.begin() as connection:
        put(100, connection)
    other.dispose()
    writer.add(put_all, 6).result()
    assert forgotten
    forgotten.clear()
    with pytest.raises(IntegrityError):
        writer.add(put_all, 100).result()
    assert forgotten
    writer.close()


def test_a_writer_elsewhere_is_waited_for(engine: Engine, writer: Writer[int], tmp_path: Path) -> None:
    other = database.connect(tmp_path / "things.sqlite3")
    with other.begin() as connection:
        put(1, connection)
        future = writer.add(put_all, 2)
        assert not wait([future], timeout=0.2).done
    assert future.result() == 2
    other.dispose()


def test_closing_writes_what_waits_and_takes_nothing_more(engine: Engine, writer: Writer[int]) -> None:
    go, _ = held_up(writer)
    futures = [writer.add(put_all, number) for number in range(50)]
    go.set()
    writer.close()
    assert [future.result(timeout=0) for future in futures] == [*range(50)]
    with pytest.raises(NotStored, match="closing"):
        writer.add(put_all, 51).result(timeout=0)


def test_somebody_who_goes_away_takes_nothing_back(engine: Engine, writer: Writer[int]) -> None:
    go, _ = held_up(writer)
    future = writer.add(put_all, 1)
    assert not future.cancel()
    go.set()
    assert future.result() == 1


def test_from_many_threads_everything_is_written_once(engine: Engine, writer: Writer[int]) -> None:
    def write(begin: int) -> None:
        for number in range(begin, begin + 100):
            assert writer.add(put_all, number).result() == number

    threads = [threading.Thread(target=write, args=(100 * k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(things)).scalar_one() == 800
