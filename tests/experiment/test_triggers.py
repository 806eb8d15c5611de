"""Pulses: emulated ones, and real bytes through a pseudo terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest

from experiment.scan import ScanTimes
from experiment.triggers import EmulatedTriggers, SerialTriggers
from protocols.problems import FoolscanError
from protocols.rig_devices import EmulatedTrigger, SerialTrigger

SCAN = ScanTimes(2.0, 0.0, 5, 0.0, 10.0)


def emulated(jitter_s: float = 0.0) -> EmulatedTriggers:
    plan = EmulatedTrigger(kind="emulated", delay_s=1.5, jitter_s=jitter_s)
    return EmulatedTriggers(plan, SCAN, np.random.default_rng(1))


def test_the_emulated_scanner_is_silent_until_started_then_regular():
    scanner = emulated()
    assert scanner.poll(1000.0) == []
    scanner.start(10.0)
    assert scanner.due_s() == 11.5
    assert scanner.poll(11.4) == []
    assert [pulse.t_s for pulse in scanner.poll(100.0)] == [11.5, 13.5, 15.5, 17.5, 19.5]
    assert scanner.due_s() == float("inf")


def test_its_jitter_is_late_and_reproducible():
    times = []
    for _ in range(2):
        scanner = emulated(0.01)
        scanner.start(0.0)
        times.append([pulse.t_s for pulse in scanner.poll(100.0)])
    assert times[0] == times[1]
    assert np.diff(times[0]) != pytest.approx(np.full(4, 2.0), abs=1e-4)


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """The sending end of a serial line, and the name of its other end."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo terminals to stand in for a serial port")
    import tty

    sender, receiver = os.openpty()
    tty.setraw(receiver)
    yield sender, os.ttyname(receiver)
    for end in (sender, receiver):
        try:
            os.close(end)
        except OSError:
            continue  # the test closed it


def until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_bytes_on_a_serial_line_are_pulses_stamped_when_they_came(line: tuple[int, str]):
    sender, port = line
    triggers = SerialTriggers(SerialTrigger(kind="serial", port=port, byte="5"))
    try:
        os.write(sender, b"5")
        time.sleep(0.05)
        triggers.start(time.perf_counter())  # what came before counts no more
        before_s = time.perf_counter()
        os.write(sender, b"x5")
        found: list = []
        until(lambda: bool(found.extend(triggers.poll(0.0)) or found))
        assert len(found) == 1
        assert before_s <= found[0].t_s <= time.perf_counter()
        for _ in range(50):
            os.write(sender, b"5")
        until(lambda: bool(found.extend(triggers.poll(0.0)) or len(found) == 51))
        assert all(b.t_s >= a.t_s for a, b in pairwise(found))
    finally:
        triggers.close()


def test_any_byte_is_a_pulse_where_the_rig_names_none(line: tuple[int, str]):
    sender, port = line
    triggers = SerialTriggers(SerialTrigger(kind="serial", port=port))
    try:
        triggers.start(0.0)
        os.write(sender, b"ab")
        found: list = []
        until(lambda: bool(found.extend(triggers.poll(0.0)) or len(found) == 2))
    finally:
        triggers.close()


def test_a_port_that_is_not_there_names_the_key_and_the_remedy():
    with pytest.raises(FoolscanError, match=r"trigger\.port: .*does not open.*Plug the trigger box in"):
        SerialTriggers(SerialTrigger(kind="serial", port="/dev/no-such-port"))


def test_a_line_that_is_cut_is_told_at_the_next_look(line: tuple[int, str]):
    sender, port = line
    triggers = SerialTriggers(SerialTrigger(kind="serial", port=port))
    try:
        triggers.start(0.0)
        os.close(sender)

        def lost() -> bool:
            try:
                triggers.poll(0.0)
            except FoolscanError as error:
                return "was lost" in str(error)
            return False

        until(lost)
    finally:
        triggers.close()
