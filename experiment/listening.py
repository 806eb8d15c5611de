"""Listens to a rig's trigger and buttons without showing anything: what comes in, and what it means."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from experiment.ports import Ports
from experiment.responses import DeviceResponses
from experiment.triggers import TriggerSource, device_triggers, foreign_triggers
from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.rig_devices import DeskTrigger, EmulatedTrigger, ForeignTrigger, KeyboardTrigger, SerialButtons

LOOK_EVERY_S = 0.01


@dataclass(frozen=True)
class Heard:
    """One thing that came in.

    what    : pulse, press, or warning.
    meaning : the button, or the warning's words; empty for a pulse.
    t_s     : since listening began, s.
    since_s : since the pulse before it, s; None for the first pulse, and for what is no pulse.
    """

    what: Literal["pulse", "press", "warning"]
    meaning: str
    t_s: float
    since_s: float | None = None


def listen(
    rig: Rig,
    seconds: float,
    heard: Callable[[Heard], None],
    *,
    read: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Hear a rig's devices for a while.

    seconds : how long.
    heard   : told of each thing as it comes.

    Returns how many pulses and presses came. Raises FoolscanError when a device does not open or is lost, or when the rig has
    keys only: those need a window.
    """
    with closing(Ports(rig, read)) as ports:
        triggers = _triggers(rig, ports, read)
        plan = rig.buttons
        buttons = DeviceResponses(ports.buttons(plan), plan.codes) if isinstance(plan, SerialButtons) else None
        if triggers is None and buttons is None:
            raise FoolscanError(
                f"rig {rig.name}: trigger and buttons are keys or emulated; press the keys in any text editor to see them"
            )
        begin_s = read()
        before_s, count = None, 0
        if triggers is not None:
            triggers.start(begin_s)
        try:
            while read() - begin_s < seconds:
                sleep(LOOK_EVERY_S)
                for pulse in triggers.poll(read()) if triggers is not None else ():
                    since_s = None if before_s is None else pulse.t_s - before_s
                    heard(Heard("pulse", "", pulse.t_s - begin_s, since_s))
                    before_s, count = pulse.t_s, count + 1
                for press in buttons.poll(read()) if buttons is not None else ():
                    heard(Heard("press", f"{press.button} ({press.key})", press.t_s - begin_s))
                    count += 1
                for text in ports.news():
                    heard(Heard("warning", text, read() - begin_s))
        finally:
            if triggers is not None:
                triggers.close()
    return count


def _triggers(rig: Rig, ports: Ports, read: Callable[[], float]) -> TriggerSource | None:
    plan = rig.trigger
    if isinstance(plan, ForeignTrigger):
        return foreign_triggers(plan, read)
    if isinstance(plan, KeyboardTrigger | DeskTrigger | EmulatedTrigger):
        return None
    return device_triggers(plan, ports)
