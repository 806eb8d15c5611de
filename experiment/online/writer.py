"""The one thread that writes: what waits is written in one transaction, and told to be held only once that is on the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine

from experiment.online.database import changes_elsewhere, is_of_the_disk
from experiment.online.refusals import NotStored

T = TypeVar("T")
Item = TypeVar("Item")
Batch = Callable[[Connection, Sequence[Item]], Sequence[T | BaseException]]
"""Writes several things of one kind at once: for each what came of it, or why it was refused."""

MOST_AT_ONCE = 1000
"""Jobs of one transaction."""
LONGEST_S = 0.05
"""After which a transaction takes up no further jobs, so that those who wait are answered."""

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Job:
    batch: Batch[Any, Any]
    item: Any
    future: Future[Any] = field(default_factory=Future)


class Writer(Generic[T]):
    """Writes jobs, many in one transaction: in turn those that can be written together, and one of the others.

    So an answer need not wait for all who want to join. Of each of the two sorts the first to come is the first to be written.

    engine  : opens transactions that exclude other writers.
    forget  : called where what is remembered of the database may be untrue: a transaction failed, a batch was taken back, or
              another process has written.
    """

    def __init__(self, engine: Engine, *, forget: Callable[[], None] = lambda: None) -> None:
        self._engine, self._forget = engine, forget
        self._together: deque[_Job] = deque()
        self._alone: deque[_Job] = deque()
        self._alone_next = False
        self._something = threading.Condition()
        self._closing = False
        self._connection: Connection | None = None
        self._version: int | None = None
        self._thread = threading.Thread(target=self._work, name="online-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that no transaction has taken up yet."""
        return len(self._together) + len(self._alone)

    def submit(self, write: Callable[[Connection], T]) -> Future[T]:
        """Have something written.

        write : called in the writer's thread; what it raises takes back what it wrote, and nothing else.

        The future is resolved after the commit; NotStored where that failed.
        """
        return self.add(_each, write)

    def add(self, batch: Batch[Item, T], item: Item) -> Future[T]:
        """Have one thing written together with those of its kind that wait beside it."""
        job = _Job(batch, item)
        job.future.set_running_or_notify_cancel()  # whoever asked may go away; what was asked for is done all the same
        with self._something:
            if self._closing:
                job.future.set_exception(NotStored("nothing was stored: the server is closing"))
                return job.future
            (self._alone if batch is _each else self._together).append(job)
            self._something.notify()
        return job.future

    def close(self) -> None:
        """Write what waits, then end."""
        with self._something:
            self._closing = True
            self._something.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._something:
                while not self.waiting and not self._closing:
                    self._something.wait()
                if not self.waiting:
                    break
            self._one_transaction()
        self._disconnect()

    def _one_transaction(self) -> None:
        taken: list[_Job] = []
        outcomes: list[Any] = []
        try:
            connection = self._connection = self._connection or self._engine.connect()
            with connection.begin():
                version = changes_elsewhere(connection)
                if version is None or version != self._version:
                    self._forget()
                    self._version = version
                until_s = time.monotonic() + LONGEST_S
                while len(taken) < MOST_AT_ONCE and (jobs := self._next(MOST_AT_ONCE - len(taken))):
                    taken += jobs
                    outcomes += self._written(connection, jobs)
                    if time.monotonic() > until_s:
                        break
        except Exception as error:
            self._failed(taken, error)
            return
        for job, outcome in zip(taken, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)

    def _next(self, most: int) -> list[_Job]:
        """Jobs of one kind, which are written at once; none where none waits."""
        queue = (self._alone or self._together) if self._alone_next else (self._together or self._alone)
        self._alone_next = queue is self._together
        jobs: list[_Job] = []
        most = 1 if queue is self._alone else most
        with suppress(IndexError):  # only this thread takes from a queue
            while len(jobs) < most and (not jobs or queue[0].batch == jobs[0].batch):
                jobs.append(queue.popleft())
        return jobs

    def _written(self, connection: Connection, jobs: Sequence[_Job]) -> Sequence[Any]:
        """What came of jobs of one kind; where they fail together, each is tried alone."""
        saved = connection.begin_nested()
        try:
            outcomes = jobs[0].batch(connection, [job.item for job in jobs])
            if len(outcomes) != len(jobs):
                raise RuntimeError(f"{len(jobs)} jobs, {len(outcomes)} outcomes")
            saved.commit()
        except Exception as error:
            if is_of_the_disk(error):
                raise
            saved.rollback()
            self._forget()
            return [error] if len(jobs) == 1 else [self._written(connection, [job])[0] for job in jobs]
        return outcomes

    def _failed(self, taken: Sequence[_Job], error: Exception) -> None:
        self._forget()
        self._disconnect()
        if not taken:  # not even begun: those who wait are told so, rather than to let them wait for a disk
            with self._something:
                taken = [*self._together, *self._alone]
                self._together.clear()
                self._alone.clear()
        _log.error("nothing of %d jobs was stored: %s", len(taken), error)
        why = getattr(error, "orig", None) or error
        for job in taken:
            job.future.set_exception(
                NotStored(f"nothing was stored ({why}); free space on the disk, or a failing one?")
            )

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                self._connection.invalidate()
            with suppress(Exception):
                self._connection.close()
        self._connection = self._version = None


def _each(connection: Connection, writes: Sequence[Callable[[Connection], Any]]) -> Sequence[Any]:
    """Each alone: it may read what the one before wrote."""
    return [write(connection) for write in writes]


def failed(error: Exception) -> Future[Any]:
    """A future that has failed already."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def then(before: Future[Any], turn: Callable[[Any], T]) -> Future[T]:
    """The future of what is made of another one's result."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def ready(done: Future[Any]) -> None:
        error = done.exception()
        try:
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(turn(done.result()))
        except Exception as wrong:
            future.set_exception(wrong)

    before.add_done_callback(ready)
    return future
