"""What a thread asks of the system ends with the block it asks it for."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from experiment import urgency
from experiment.urgency import make_urgent, urgent

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux schedules threads by name")


def level() -> tuple[int, int]:
    return os.sched_getscheduler(0) & 0xFF, os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@linux
def test_a_thread_is_urgent_for_the_block_only():
    before = level()
    with urgent() as granted:
        assert (level() != before) == (granted != "normal")
    assert level() == before


@linux
def test_other_threads_stay_as_they_are():
    before, seen = level(), []
    with urgent() as granted:
        if granted == "raised":
            pytest.skip("threads take over a raised level; real-time ones are not inherited")
        thread = threading.Thread(target=lambda: seen.append(level()))
        thread.start()
        thread.join()
    assert seen == [before]


@linux
def test_where_the_system_grants_nothing_it_is_said_and_nothing_fails(monkeypatch: pytest.MonkeyPatch):
    def refused(*args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(urgency.os, "sched_setscheduler", refused)
    monkeypatch.setattr(urgency.os, "setpriority", refused)
    assert make_urgent() == "normal"
    with urgent() as granted:
        assert granted == "normal"


def test_who_does_not_ask_gets_nothing():
    with urgent(False) as granted:
        assert granted == "normal"
