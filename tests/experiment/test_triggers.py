"""Pulses: emulated ones, what a pulse stands for, and other packages' sources."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from experiment.scan import ScanTimes, scan_times
from experiment.triggers import TRIGGER_GROUP, EmulatedTriggers, Pulse, WatchedTriggers, foreign_triggers
from protocols.problems import FoolscanError
from protocols.rig import load_rig
from protocols.rig_devices import EmulatedTrigger, ForeignTrigger
from protocols.study import load_study

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


def test_a_pulse_per_slice_comes_so_much_more_often():
    study, rig = load_study("demo"), load_rig("rehearsal")
    trigger = rig.trigger.model_copy(update={"per": "slice", "slices": 20})
    scan = scan_times(study.scan, rig.model_copy(update={"trigger": trigger}))
    assert scan.pulses == 20 * study.scan.volumes
    assert scan.pulse_interval_s == pytest.approx(study.scan.tr_s / 20)
    scanner = EmulatedTriggers(trigger, scan, np.random.default_rng(1))
    scanner.start(0.0)
    times_s = [pulse.t_s for pulse in scanner.poll(10_000.0)]
    assert len(times_s) == scan.pulses
    assert times_s[-1] - times_s[0] == pytest.approx(study.scan.volumes * study.scan.tr_s - scan.pulse_interval_s)


def test_a_pulse_per_run_is_the_only_one():
    study, rig = load_study("demo"), load_rig("rehearsal")
    trigger = rig.trigger.model_copy(update={"per": "run"})
    scan = scan_times(study.scan, rig.model_copy(update={"trigger": trigger}))
    assert scan.pulses == 1
    assert scan.end_s == study.scan.volumes * study.scan.tr_s


# --- other packages' sources ----------------------------------------------------------------------------------------


def start_button(options: dict[str, Any], read: Callable[[], float]) -> EmulatedTriggers:
    plan = EmulatedTrigger(kind="emulated", delay_s=options["delay_s"])
    return EmulatedTriggers(plan, SCAN, np.random.default_rng(1))


@pytest.fixture
def mylab(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mylab", "tests_of_mylab:start_button", TRIGGER_GROUP)
    module = ModuleType("tests_of_mylab")
    module.start_button = start_button  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tests_of_mylab", module)
    monkeypatch.setattr("experiment.triggers.entry_points", lambda group: [point] if group == TRIGGER_GROUP else [])


@pytest.mark.usefixtures("mylab")
def test_another_package_brings_its_own_source():
    plan = ForeignTrigger(kind="foreign", source="mylab", options={"delay_s": 3.0})
    source = foreign_triggers(plan, time.perf_counter)
    source.start(1.0)
    assert source.due_s() == 4.0


@pytest.mark.usefixtures("mylab")
@pytest.mark.parametrize(
    ("source", "words"),
    [("theirs", "found 'theirs'; published as foolscan.triggers: mylab"), ("mylab", "mylab does not open")],
)
def test_a_source_that_is_not_there_or_fails_is_named(source: str, words: str):
    with pytest.raises(FoolscanError, match=words):
        foreign_triggers(ForeignTrigger(kind="foreign", source=source), time.perf_counter)


class Unreliable:
    """Another package's source: it fails, or gives a pulse at no time."""

    def __init__(self, pulses: list[Pulse] | Exception) -> None:
        self.pulses = pulses

    def poll(self, now_s: float) -> list[Pulse]:
        if isinstance(self.pulses, Exception):
            raise self.pulses
        return self.pulses


@pytest.mark.parametrize(
    ("pulses", "words"),
    [(ZeroDivisionError("by zero"), "ZeroDivisionError"), ([Pulse(float("nan"), 0.0)], "nan"), ([3], "AttributeError")],
)
def test_what_goes_wrong_in_another_packages_source_is_a_lost_device(pulses: object, words: str) -> None:
    watched = WatchedTriggers(Unreliable(pulses), "box")  # type: ignore[arg-type]
    with pytest.raises(FoolscanError, match=f"box .*{words}"):
        watched.poll(1.0)
    assert WatchedTriggers(Unreliable([Pulse(1.0, 1.0)]), "box").poll(1.0) == [Pulse(1.0, 1.0)]  # type: ignore[arg-type]
