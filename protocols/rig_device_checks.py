"""Cross-checks of a rig's trigger and buttons, with each other and with what a study needs."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.key_names import ALLOWED, KEY_NAMES, near_names
from protocols.problems import Problem
from protocols.rig import Rig
from protocols.rig_devices import DeskTrigger, KeyboardButtons, KeyboardTrigger, SerialButtons, SerialTrigger
from protocols.study import Study


def device_problems(study: Study, rig: Rig) -> Iterator[Problem]:
    """What is wrong with the rig's trigger and buttons for a study.

    study : its tasks name the abstract buttons they need.
    rig   : a key, byte or bit that means two things is refused here, before a run could mistake an answer for a pulse.
    """
    for name, task in study.tasks.items():
        lacking = [button for button in task.buttons if button not in rig.button_names]
        if lacking:
            yield rig.problem("buttons", ", ".join(rig.button_names), f"task {name} needs also: {', '.join(lacking)}")
    yield from _keys(rig)
    yield from _codes(rig)
    yield from _serial(rig)
    yield from _slices(rig)


def _keys(rig: Rig) -> Iterator[Problem]:
    used: dict[str, str] = {}
    yield from _claim(rig, used, rig.abort_key, "abort_key", "key")
    if isinstance(rig.trigger, KeyboardTrigger | DeskTrigger):
        yield from _claim(rig, used, rig.trigger.key, "trigger.key", "key")
    if isinstance(rig.buttons, KeyboardButtons):
        for button, key in rig.buttons.keys.items():
            yield from _claim(rig, used, key, f"buttons.keys.{button}", "key")


def _codes(rig: Rig) -> Iterator[Problem]:
    """Bytes that no port can send, bits that no byte has."""
    found: list[tuple[str, str, str]] = []
    if isinstance(rig.trigger, SerialTrigger) and rig.trigger.byte is not None:
        found.append(("trigger.byte", rig.trigger.byte, rig.trigger.coding))
    if isinstance(rig.buttons, SerialButtons):
        found += [(f"buttons.codes.{name}", code, rig.buttons.coding) for name, code in rig.buttons.codes.items()]
    for key, code, coding in found:
        if coding == "bits" and code not in "01234567":
            yield rig.problem(key, repr(code), "with coding: bits, the number of a bit, 0 to 7")
        elif ord(code) > 255:
            yield rig.problem(key, repr(code), "one byte: a character of Latin-1")


def _serial(rig: Rig) -> Iterator[Problem]:
    if not isinstance(rig.buttons, SerialButtons):
        return
    buttons, trigger, used = rig.buttons, rig.trigger, dict[str, str]()
    if isinstance(trigger, SerialTrigger) and _is_one_port(trigger.port, buttons.port):
        if (trigger.baud, trigger.coding) != (buttons.baud, buttons.coding):
            found = f"{buttons.baud} baud, coding {buttons.coding}"
            allowed = f"what trigger says of the same port: {trigger.baud} baud, coding {trigger.coding}"
            yield rig.problem("buttons.baud", found, allowed)
        if trigger.byte is None:
            allowed = f"the byte of a pulse: the buttons are on {trigger.port} too, and each press would be a pulse"
            yield rig.problem("trigger.byte", "none: any byte is a pulse", allowed)
        else:
            used[trigger.byte] = "trigger.byte"
    elif _is_one_port(getattr(trigger, "port", None), buttons.port):
        yield rig.problem("buttons.port", repr(buttons.port), "a port of its own: the trigger uses it already")
    for button, code in buttons.codes.items():
        yield from _claim(rig, used, code, f"buttons.codes.{button}", "code")
    ignored = [code for code in used if code in buttons.ignore]
    if ignored:
        yield rig.problem(
            "buttons.ignore", repr(buttons.ignore), f"without {ignored[0]!r}, which {used[ignored[0]]} needs"
        )


def _is_one_port(first: object, second: str) -> bool:
    """Whether two names are one serial port: Windows calls COM3 also com3."""
    return isinstance(first, str) and first.strip().casefold() == second.strip().casefold()


def _slices(rig: Rig) -> Iterator[Problem]:
    trigger = rig.trigger
    if isinstance(trigger, DeskTrigger):
        return
    if trigger.per == "slice" and trigger.slices == 1:
        yield rig.problem("trigger.slices", "1", "with per: slice, how many pulses a volume has")
    if trigger.per != "slice" and trigger.slices != 1:
        yield rig.problem("trigger.slices", str(trigger.slices), f"left out: it has no meaning with per: {trigger.per}")


def _claim(rig: Rig, used: dict[str, str], code: str, name: str, what: str) -> Iterator[Problem]:
    if code in used:
        yield rig.problem(name, repr(code), f"a {what} of its own: {used[code]} uses it already")
    elif what == "key" and code not in KEY_NAMES:
        # A key that does not exist is never pressed: the run would wait for its pulse, or note no answer, for ever.
        near = " or ".join(near_names(code))
        yield rig.problem(name, repr(code), f"the name of a key: {ALLOWED}", f"Did you mean {near}?" if near else "")
    used[code] = name
