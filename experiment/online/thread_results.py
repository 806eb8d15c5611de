"""Results of the writer's thread on their way into the event loop: all of one commit come in together, with one call."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class ThreadResults:
    """Brings results of other threads into one event loop.

    Like `asyncio.wrap_future`, which wakes the loop once for each result: at a thousand results a second that is what it does
    most. A request that goes away takes nothing back: what is under way is written all the same.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._back: deque[tuple[asyncio.Future[Any], Future[Any]]] = deque()
        self._told = False

    async def result(self, promised: Future[T]) -> T:
        """Wait in the loop for what another thread does; raises what it raises."""
        waiter: asyncio.Future[T] = self.loop.create_future()
        promised.add_done_callback(lambda done: self._came(waiter, done))
        return await waiter

    def _came(self, waiter: asyncio.Future[Any], done: Future[Any]) -> None:
        self._back.append((waiter, done))
        if not self._told:  # set before the loop looks, so that none is left behind
            self._told = True
            try:
                self.loop.call_soon_threadsafe(self._bring)
            except RuntimeError:  # the loop has ended, and with it whoever waited
                self._told = False

    def _bring(self) -> None:
        self._told = False
        while self._back:
            waiter, done = self._back.popleft()
            if waiter.done():
                continue
            error = done.exception()
            if error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(done.result())
