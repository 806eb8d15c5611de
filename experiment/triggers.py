"""Where the scanner's pulses come from: a port, another package, or foolscan itself (keys: `experiment.psychopy_keys`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol

import numpy as np

from experiment.ports import PortReader, Ports, PortTrigger
from experiment.scan import ScanTimes
from protocols.problems import FoolscanError
from protocols.rig_devices import EmulatedTrigger, ForeignTrigger, LslTrigger, SerialTrigger, TcpTrigger

TRIGGER_GROUP = "foolscan.triggers"


@dataclass(frozen=True)
class Pulse:
    """One pulse of the scanner.

    t_s     : when it came, s on the run's clock.
    raw_s   : the stamp of the device that saw it, s on that device's clock.
    bounces : edges that followed the pulse before it too soon to be pulses.
    """

    t_s: float
    raw_s: float
    bounces: int = 0


class TriggerSource(Protocol):
    """Gives pulses, each once, in order."""

    def start(self, now_s: float) -> None:
        """The screen is ready: listen from now on."""
        ...

    def poll(self, now_s: float) -> list[Pulse]:
        """The pulses since the last call (the first one: since it was opened, `start` or not); never blocks.

        Raises FoolscanError when the device is gone.
        """
        ...

    def due_s(self) -> float:
        """When the next pulse will come, as far as the source knows; ``inf`` when it does not."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...

    def facts(self) -> dict[str, Any]:
        """What the journal says of this source."""
        ...


class EmulatedTriggers:
    """An emulated scanner that starts a moment after the screen is ready.

    plan : delay and jitter, from the rig.
    scan : how many pulses, how far apart.
    rng  : where the jitter comes from.
    """

    def __init__(self, plan: EmulatedTrigger, scan: ScanTimes, rng: np.random.Generator) -> None:
        self._plan, self._scan = plan, scan
        jitter_s = np.abs(rng.normal(0.0, plan.jitter_s, scan.pulses)) if plan.jitter_s else np.zeros(scan.pulses)
        self._offsets_s = np.arange(scan.pulses) * scan.pulse_interval_s + jitter_s
        self._first_s = math.inf
        self._sent = 0

    def start(self, now_s: float) -> None:
        """The first pulse comes `delay_s` from now."""
        self._first_s = now_s + self._plan.delay_s

    def due_s(self) -> float:
        """The time of the next pulse."""
        return self._first_s + float(self._offsets_s[self._sent]) if self._sent < self._scan.pulses else math.inf

    def poll(self, now_s: float) -> list[Pulse]:
        """The pulses up to now."""
        pulses = []
        while (due_s := self.due_s()) <= now_s + 1e-9:
            pulses.append(Pulse(due_s, due_s))
            self._sent += 1
        return pulses

    def close(self) -> None:
        """Nothing to give back."""

    def facts(self) -> dict[str, Any]:
        """That it is emulated."""
        return {"kind": "emulated", "delay_s": self._plan.delay_s, "jitter_s": self._plan.jitter_s}


class DeviceTriggers:
    """Pulses at a port, read and stamped by the port's own thread.

    reader         : of the port; whoever opened it closes it.
    code           : what means a pulse; None: whatever comes in.
    kind           : the rig's word for it.
    min_interval_s : what comes so soon after a pulse is its bounce; the next pulse tells how many there were.
    """

    def __init__(self, reader: PortReader, code: str | None, kind: str, min_interval_s: float = 0.0) -> None:
        self._reader, self._code, self._kind, self._min_interval_s = reader, code, kind, min_interval_s
        self._arrived = reader.queue_of(None if code is None else [code])
        self._last_s = -math.inf
        self._bounces = 0

    def start(self, now_s: float) -> None:
        """Pulses from now on count; what came before is forgotten."""
        self._arrived.clear()

    def due_s(self) -> float:
        """Unknown."""
        return math.inf

    def poll(self, now_s: float) -> list[Pulse]:
        """The pulses that the thread has stamped since the last call."""
        pulses = []
        for _ in range(len(self._arrived)):
            arrived = self._arrived.popleft()
            if 0 <= arrived.t_s - self._last_s < self._min_interval_s:
                self._bounces += 1
                continue
            pulses.append(Pulse(arrived.t_s, arrived.raw_s, self._bounces))
            self._last_s, self._bounces = arrived.t_s, 0
        if not pulses and self._reader.failure is not None:
            raise FoolscanError(
                f"trigger: {self._reader.port.name} was lost ({self._reader.failure}); is it plugged in?"
            )
        return pulses

    def close(self) -> None:
        """Nothing to give back: the port may serve the buttons too."""

    def facts(self) -> dict[str, Any]:
        """The port as the rig gives it, and what means a pulse."""
        facts = {"kind": self._kind, **self._reader.facts(), "min_interval_s": self._min_interval_s}
        return facts if self._code in (None, "edge") else {**facts, "code": self._code}


class SilentTriggers:
    """A scanner that is no longer heard."""

    def start(self, now_s: float) -> None:
        """Nothing starts."""

    def poll(self, now_s: float) -> list[Pulse]:
        """Nothing."""
        return []

    def due_s(self) -> float:
        """Never."""
        return math.inf

    def close(self) -> None:
        """Nothing to close."""

    def facts(self) -> dict[str, Any]:
        """Nothing to say."""
        return {}


def device_triggers(plan: PortTrigger, ports: Ports) -> DeviceTriggers:
    """The trigger source at a rig's port.

    Raises FoolscanError when the port does not open.
    """
    reader = ports.trigger(plan)
    if isinstance(plan, SerialTrigger):
        return DeviceTriggers(reader, plan.byte, plan.kind, plan.min_interval_s)
    if isinstance(plan, LslTrigger | TcpTrigger):
        return DeviceTriggers(reader, plan.message, plan.kind)
    return DeviceTriggers(reader, "edge", plan.kind, plan.min_interval_s)


def foreign_triggers(plan: ForeignTrigger, read: Callable[[], float]) -> TriggerSource:
    """A trigger source that another package publishes as an entry point of the group ``foolscan.triggers``.

    plan : the entry point's name, and the options for it.
    read : the run's clock, by which the source stamps its pulses.

    The entry point names a function ``(options, read) -> TriggerSource``. Raises FoolscanError when there is none of that
    name, or it cannot open its device.
    """
    published = {point.name: point for point in entry_points(group=TRIGGER_GROUP)}
    if plan.source not in published:
        names = ", ".join(sorted(published)) or "none is installed"
        raise FoolscanError(
            f"trigger.source: found {plan.source!r}; published as {TRIGGER_GROUP}: {names}. Install the package that has it"
        )
    try:
        source: TriggerSource = published[plan.source].load()(plan.options, read)
    except FoolscanError:
        raise
    except Exception as error:  # another package's code
        raise FoolscanError(f"trigger.source: {plan.source} does not open ({type(error).__name__}: {error})") from error
    return WatchedTriggers(source, plan.source)


class WatchedTriggers:
    """A foreign trigger source: whatever goes wrong in it is told of as a device that is lost.

    source : as the package gave it.
    name   : of its entry point.
    """

    def __init__(self, source: TriggerSource, name: str) -> None:
        self._source, self._name = source, name

    def start(self, now_s: float) -> None:
        """As the source beneath."""
        self._source.start(now_s)

    def poll(self, now_s: float) -> list[Pulse]:
        """The source's pulses.

        Raises FoolscanError when it fails, or gives a pulse at no time.
        """
        try:
            pulses = list(self._source.poll(now_s))
            stamps_s = [pulse.t_s for pulse in pulses]
        except FoolscanError:
            raise
        except Exception as error:  # another package's code, in the middle of a run
            raise FoolscanError(f"trigger.source: {self._name} failed ({type(error).__name__}: {error})") from error
        if not all(map(math.isfinite, stamps_s)):
            raise FoolscanError(
                f"trigger.source: {self._name} gave a pulse at {stamps_s}; expected seconds of the run's clock"
            )
        return pulses

    def due_s(self) -> float:
        """As the source beneath."""
        return self._source.due_s()

    def close(self) -> None:
        """As the source beneath."""
        self._source.close()

    def facts(self) -> dict[str, Any]:
        """As the source beneath."""
        return self._source.facts()
