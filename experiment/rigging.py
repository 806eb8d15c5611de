"""Opens what a rig describes: the stage, the trigger source, the buttons, and the ways to end a run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from experiment.clock import FrameClock
from experiment.observer import paced_reactions, reactions
from experiment.ports import Ports
from experiment.responses import DeviceResponses, EmulatedResponses, ResponseSource
from experiment.stage import NullStage, Stage
from experiment.timeline import Timeline
from experiment.triggers import EmulatedTriggers, TriggerSource, device_triggers, foreign_triggers
from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.rig_devices import (
    DeskTrigger,
    EmulatedTrigger,
    ForeignTrigger,
    KeyboardButtons,
    KeyboardTrigger,
    SerialButtons,
)
from protocols.seeds import generator_for
from protocols.session import SessionRecord
from protocols.study import ImagesTask, Study

StageKind = Literal["window", "null"]


@contextmanager
def opened_stage(stage: StageKind | Stage, rig: Rig, task: ImagesTask) -> Iterator[Stage]:
    """A stage for the block: one that is open already stays open, one that is named is opened and closed."""
    if not isinstance(stage, str):
        yield stage
        return
    opened = open_stage(stage, rig, task)
    try:
        yield opened
    finally:
        opened.close()


def open_stage(kind: StageKind, rig: Rig, task: ImagesTask) -> Stage:
    """A stage for a rig, to be closed by the caller; without a display a window opens on a virtual one.

    Raises FoolscanError when no window can open.
    """
    if kind == "null":
        return NullStage()
    make_window_possible(rig)
    from experiment.psychopy_stage import PsychoPyStage

    return PsychoPyStage(rig, task)


def make_window_possible(rig: Rig) -> None:
    """Load PsychoPy, on a virtual display where there is none.

    Raises FoolscanError when that is not possible here.
    """
    from experiment.virtual_display import ensure_display

    ensure_display(rig.display.size_px)
    try:
        import experiment.psychopy_stage  # noqa: F401
    except ImportError as error:
        remedy = "pip install 'foolscan[experiment]', or rehearse with --stage null"
        raise FoolscanError(f"a window needs PsychoPy, which does not load here ({error}); remedy: {remedy}") from error
    except Exception as error:  # pyglet connects to the display when it is imported
        name = os.environ.get("DISPLAY", "")
        raise FoolscanError(
            f"display: no window opens on display {name!r} ({error}); unset DISPLAY or mend it"
        ) from error


def open_triggers(
    study: Study, rig: Rig, timeline: Timeline, stage: Stage, clock: FrameClock, ports: Ports
) -> TriggerSource:
    """The rig's trigger source, open; the caller closes it, and the ports.

    Raises FoolscanError when it cannot be had.
    """
    plan = rig.trigger
    if isinstance(plan, EmulatedTrigger):
        return EmulatedTriggers(plan, timeline.scan, generator_for(study.seed, f"pulses/{timeline.run.stem}"))
    if isinstance(plan, ForeignTrigger):
        return foreign_triggers(plan, clock.now_s)
    if not isinstance(plan, KeyboardTrigger | DeskTrigger):
        return device_triggers(plan, ports)
    keys = _keys(stage, "trigger")
    from experiment.psychopy_keys import KeyboardTriggers

    return KeyboardTriggers(keys, plan.key, plan.kind)


def open_responses(
    study: Study, rig: Rig, task: ImagesTask, record: SessionRecord, timeline: Timeline, stage: Stage, ports: Ports
) -> ResponseSource:
    """The rig's buttons, or the emulated observer that presses them.

    Raises FoolscanError when there is no window to press keys in, or the port does not open.
    """
    if isinstance(rig.buttons, SerialButtons):
        return DeviceResponses(ports.buttons(rig.buttons), rig.buttons.codes)
    if isinstance(rig.buttons, KeyboardButtons):
        keys = _keys(stage, "buttons")
        from experiment.psychopy_keys import KeyboardResponses

        return KeyboardResponses(keys, rig.buttons.keys)
    observer, buttons = study.rehearsal.observer, record.button_of_answer
    plan = reactions(observer, timeline.trials, task.answers, buttons, study.seed, timeline.run.stem)
    return EmulatedResponses(plan, paced_reactions(observer, timeline, plan, buttons, study.seed))


def stopper(stage: Stage, rig: Rig, interrupted: threading.Event) -> Callable[[], str | None]:
    """What the conductor asks after every flip: Ctrl-C and, in a window, the abort key pressed twice."""
    keys = stage.keys
    if keys is None:
        return lambda: "Ctrl-C" if interrupted.is_set() else None
    from experiment.psychopy_keys import AbortKey

    abort = AbortKey(keys, rig.abort_key)
    return lambda: "Ctrl-C" if interrupted.is_set() else abort.stop()


def _keys(stage: Stage, what: str) -> Any:
    keys = stage.keys
    if keys is None:
        raise FoolscanError(f"{what}: keys need a window to be pressed in; leave out --stage null, or use another rig")
    return keys


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """While the block runs Ctrl-C only raises a flag, so that a driver's callback cannot swallow it; twice ends at once.

    On Windows so does Ctrl-Break, which is what one process can send to another there.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    numbers = [signal.SIGINT]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    before = {number: signal.getsignal(number) for number in numbers}

    def raise_flag(number: int, frame: object) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    for number in numbers:
        signal.signal(number, raise_flag)
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
