"""What a thread asks of the system ends with the block it asks it for."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from experiment import urgency
from experiment.urgency import make_urgent, urgent

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux schedules threads by name")


def level(thread: int = 0) -> int:
    return os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK


@linux
def test_every_thread_is_urgent_for_the_block_only():
    before, done, ready = level(), threading.Event(), threading.Event()

    def other() -> None:
        ready.set()
        done.wait()

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait()
    with urgent() as granted:
        expected = os.SCHED_RR if granted == "realtime" else before
        assert level() == level(thread.native_id or 0) == expected
    assert level() == level(thread.native_id or 0) == before
    done.set()
    thread.join()


@linux
def test_threads_and_processes_that_begin_meanwhile_are_ordinary():
    before, seen = level(), []
    with urgent():
        thread = threading.Thread(target=lambda: seen.append(level()))
        thread.start()
        thread.join()
    assert seen == [before]


@linux
def test_a_thread_that_was_urgent_already_stays_so():
    seen = []

    def port() -> None:
        seen.append(make_urgent())
        with urgent():
            pass
        seen.append("realtime" if level() == os.SCHED_RR else "normal")

    thread = threading.Thread(target=port)
    thread.start()
    thread.join()
    assert seen[0] == seen[1]


@linux
def test_where_the_system_grants_nothing_it_is_said_and_nothing_fails(monkeypatch: pytest.MonkeyPatch):
    def refused(*args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(urgency.os, "sched_setscheduler", refused)
    assert make_urgent() == "normal"
    with urgent() as granted:
        assert granted == "normal"


def test_who_does_not_ask_gets_nothing():
    with urgent(False) as granted:
        assert granted == "normal"
