"""Results of another thread on their way into the event loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from experiment.online.thread_results import ThreadResults


def test_results_and_errors_of_a_thread_come_to_those_who_wait() -> None:
    async def everybody() -> list[Any]:
        results, promised = ThreadResults(asyncio.get_running_loop()), [Future[int]() for _ in range(500)]

        def work() -> None:
            for number, future in enumerate(promised):
                if number % 7 == 3:
                    future.set_exception(ValueError(number))
                else:
                    future.set_result(number)

        thread = threading.Thread(target=work)
        waiting = [asyncio.create_task(results.result(future)) for future in promised]
        await asyncio.sleep(0)
        thread.start()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        thread.join()
        return found

    for number, found in enumerate(asyncio.run(everybody())):
        assert str(found) == str(number)
        assert isinstance(found, ValueError) == (number % 7 == 3)


def test_what_is_there_already_comes_at_once() -> None:
    async def one() -> int:
        done: Future[int] = Future()
        done.set_result(17)
        return await ThreadResults(asyncio.get_running_loop()).result(done)

    assert asyncio.run(one()) == 17


def test_whoever_goes_away_takes_nothing_back_and_keeps_nobody() -> None:
    async def two() -> int:
        results = ThreadResults(asyncio.get_running_loop())
        left: Future[int] = Future()
        stays: Future[int] = Future()
        gone = asyncio.create_task(results.result(left))
        waits = asyncio.create_task(results.result(stays))
        await asyncio.sleep(0)
        gone.cancel()
        left.set_result(1)
        stays.set_result(2)
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert not left.cancelled(), "it was written all the same"
        return await waits

    assert asyncio.run(two()) == 2


def test_a_result_that_comes_after_the_loop_has_ended_hurts_nobody() -> None:
    late: Future[int] = Future()

    async def impatient() -> None:
        task = asyncio.create_task(ThreadResults(asyncio.get_running_loop()).result(late))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(impatient())
    late.set_result(1)
