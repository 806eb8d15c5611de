"""Where the scanner's pulses come from: a key, a serial line, or foolscan itself."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from experiment.scan import ScanTimes
from protocols.problems import FoolscanError
from protocols.rig_devices import EmulatedTrigger, SerialTrigger


@dataclass(frozen=True)
class Pulse:
    """One pulse of the scanner.

    t_s   : when it came, s on the run's clock.
    raw_s : the stamp of the device that saw it, s on that device's clock.
    """

    t_s: float
    raw_s: float


class TriggerSource(Protocol):
    """Gives pulses, each once, in order."""

    def start(self, now_s: float) -> None:
        """The screen is ready: listen from now on."""
        ...

    def poll(self, now_s: float) -> list[Pulse]:
        """The pulses since the last call; never blocks.

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


class SerialTriggers:
    """Bytes on a serial port, read and stamped by a thread of their own.

    plan : port, baud and byte, from the rig.
    read : the run's clock.

    Raises FoolscanError when the port cannot be opened.
    """

    def __init__(self, plan: SerialTrigger, read: Callable[[], float] = time.perf_counter) -> None:
        import serial

        self._plan, self._read = plan, read
        self._wanted = None if plan.byte is None else plan.byte.encode("latin-1")
        try:
            self._port = serial.Serial(plan.port, plan.baud, timeout=0.1)
        except (serial.SerialException, OSError, ValueError) as error:
            remedy = "Plug the trigger box in, or mend trigger.port in the rig file (foolscan doctor lists the ports)"
            raise FoolscanError(f"trigger.port: {plan.port} does not open ({error}). {remedy}") from error
        self._pulses: deque[Pulse] = deque()
        self._failure: Exception | None = None
        self._listening = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="serial trigger", daemon=True)
        self._thread.start()

    def start(self, now_s: float) -> None:
        """Pulses from now on count; what came before is forgotten."""
        self._pulses.clear()
        self._listening.set()

    def due_s(self) -> float:
        """Unknown."""
        return math.inf

    def poll(self, now_s: float) -> list[Pulse]:
        """The pulses that the thread has stamped since the last call."""
        if self._failure is not None:
            raise FoolscanError(
                f"trigger: the serial port {self._plan.port} was lost ({self._failure}); is it plugged in?"
            )
        return [self._pulses.popleft() for _ in range(len(self._pulses))]

    def close(self) -> None:
        """Stop the thread and close the port."""
        self._closing.set()
        self._thread.join(timeout=2.0)
        self._port.close()

    def facts(self) -> dict[str, Any]:
        """The port as the rig gives it."""
        return {"kind": "serial", "port": self._plan.port, "baud": self._plan.baud, "byte": self._plan.byte}

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                received = self._port.read(1)
                t_s = self._read()
                received += self._port.read(self._port.in_waiting)
            except Exception as error:  # pyserial raises TypeError and OSError too when a port vanishes
                self._failure = error
                return
            if self._listening.is_set():
                for i in range(len(received)):
                    if self._wanted is None or received[i : i + 1] == self._wanted:
                        self._pulses.append(Pulse(t_s, t_s))
