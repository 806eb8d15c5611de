"""What stands at a port is read and stamped by a thread of its own, and handed to whoever asked for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from experiment.port import Port
from experiment.urgency import Urgency, make_urgent
from protocols.problems import FoolscanError
from protocols.rig import Rig
from protocols.rig_devices import (
    LslTrigger,
    ParallelTrigger,
    SerialButtons,
    SerialLineTrigger,
    SerialTrigger,
    TcpTrigger,
)

# So much that means nothing is no accident: the wrong baud rate, or the wrong mode of the box.
STRANGE = 8

PortTrigger = SerialTrigger | SerialLineTrigger | ParallelTrigger | LslTrigger | TcpTrigger


@dataclass(frozen=True)
class Arrived:
    """A sample with its times: `t_s` on the run's clock, `raw_s` as the device stamped it."""

    code: str
    t_s: float
    raw_s: float


class PortReader:
    """Reads a port in a thread of its own, stamps what comes, and queues it for those who asked for it.

    port : open; the reader closes it.
    read : the run's clock.
    """

    def __init__(self, port: Port, read: Callable[[], float] = time.perf_counter) -> None:
        self.port, self._read = port, read
        self.failure: Exception | None = None
        self._queues: list[tuple[frozenset[str] | None, deque[Arrived]]] = []
        self._ignored: frozenset[str] = frozenset()
        self._meant = self._strange = 0
        self._examples: dict[str, None] = {}
        self._told = False
        self.urgency: Urgency = "normal"
        self._begun, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._listen, name=f"port {port.name}", daemon=True)
        self._thread.start()
        self._begun.wait(timeout=1.0)

    def facts(self) -> dict[str, Any]:
        """What the journal says of the port and of the thread that reads it."""
        return {**self.port.facts(), "urgency": self.urgency}

    def queue_of(self, codes: Collection[str] | None) -> deque[Arrived]:
        """A queue that everything with these codes (None: whatever comes) will be put into, in order."""
        mine: deque[Arrived] = deque()
        self._queues = [*self._queues, (None if codes is None else frozenset(codes), mine)]
        return mine

    def ignore(self, codes: Collection[str]) -> None:
        """Codes that are known to mean nothing."""
        self._ignored |= frozenset(codes)

    def news(self) -> list[str]:
        """What the operator should know, each once: that what comes in means nothing."""
        many = STRANGE if self._meant == 0 or not self.port.shared else float("inf")
        if self._told or self._strange < many or self._strange <= 2 * self._meant:
            return []
        self._told = True
        examples = " ".join(_shown(code) for code in list(self._examples)[:6])
        return [
            f"{self.port.name}: {self._strange} times something came in that the rig gives no meaning ({examples}), and "
            f"{self._meant} times something it does. Compare baud, mode and codes of the box with the rig file"
        ]

    def close(self) -> None:
        """Stop the thread and close the port."""
        self._closing.set()
        self._thread.join(timeout=2.0)
        self.port.close()

    def _listen(self) -> None:
        self.urgency = make_urgent()
        self._begun.set()
        while not self._closing.is_set():
            try:
                samples = self.port.wait()
            except Exception as error:  # drivers raise what they like when a device vanishes
                if not self._closing.is_set():
                    self.failure = error
                return
            now_s = self._read()
            for sample in samples:
                t_s = now_s - sample.age_s
                self._hand_over(Arrived(sample.code, t_s, t_s if sample.raw_s is None else sample.raw_s))

    def _hand_over(self, arrived: Arrived) -> None:
        wanted = False
        for codes, mine in self._queues:
            if codes is None or arrived.code in codes:
                mine.append(arrived)
                wanted = True
        if wanted:
            self._meant += 1
        elif self._queues and arrived.code not in self._ignored:
            self._strange += 1
            if len(self._examples) < STRANGE:
                self._examples[arrived.code] = None


class Ports:
    """The ports of a rig, each opened once although trigger and buttons may share it.

    rig  : the place.
    read : the run's clock.
    """

    def __init__(self, rig: Rig, read: Callable[[], float] = time.perf_counter) -> None:
        self._rig, self._read = rig, read
        self._readers: dict[str, PortReader] = {}
        self._lost: set[str] = set()

    def trigger(self, plan: PortTrigger) -> PortReader:
        """The reader of the trigger's port.

        Raises FoolscanError when it does not open.
        """
        return self._reader("trigger", plan)

    def buttons(self, plan: SerialButtons) -> PortReader:
        """The reader of the buttons' port, the trigger's where it is the same.

        Raises FoolscanError when it does not open.
        """
        reader = self._reader("buttons", plan)
        reader.ignore(plan.ignore)
        return reader

    def news(self) -> list[str]:
        """What the operator should know of the ports, each once."""
        found = []
        for name, reader in self._readers.items():
            found += reader.news()
            if reader.failure is not None and name not in self._lost:
                self._lost.add(name)
                found.append(
                    f"{name} was lost ({reader.failure}): nothing that it sends is heard any more. Is it plugged in?"
                )
        return found

    def close(self) -> None:
        """Close every port."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def _reader(self, section: str, plan: PortTrigger | SerialButtons) -> PortReader:
        name = port_name(plan)
        if name not in self._readers:
            try:
                port = open_port(plan)
            except Exception as error:  # pyserial, psychopy.parallel, pylsl and sockets raise each their own
                raise FoolscanError(
                    f"{section}.{_key(plan)}: {name} does not open ({error}). {_remedy(plan)}"
                ) from error
            self._readers[name] = PortReader(port, self._read)
        return self._readers[name]


def port_name(plan: PortTrigger | SerialButtons) -> str:
    """What a port is called in messages; the same for all that use it."""
    if isinstance(plan, LslTrigger):
        return f"LSL stream {plan.stream}"
    if isinstance(plan, TcpTrigger):
        return f"{plan.host}:{plan.port}"
    return plan.port


def open_port(plan: PortTrigger | SerialButtons) -> Port:
    """Open the port that a trigger or button box is at; raises what its driver raises."""
    if isinstance(plan, SerialTrigger | SerialButtons):
        from experiment.ports_serial import SerialPort

        return SerialPort(plan.port, plan.baud, plan.coding)
    if isinstance(plan, SerialLineTrigger):
        from experiment.ports_serial import SerialLine

        return SerialLine(plan)
    if isinstance(plan, ParallelTrigger):
        from experiment.ports_parallel import ParallelPin

        return ParallelPin(plan)
    from experiment.ports_network import LslStream, TcpSender

    return LslStream(plan) if isinstance(plan, LslTrigger) else TcpSender(plan)


def _key(plan: PortTrigger | SerialButtons) -> str:
    if isinstance(plan, LslTrigger):
        return "stream"
    return "host" if isinstance(plan, TcpTrigger) else "port"


def _remedy(plan: PortTrigger | SerialButtons) -> str:
    if isinstance(plan, LslTrigger):
        return "Start its sender on this network (and pip install pylsl), or mend trigger.stream in the rig file"
    if isinstance(plan, TcpTrigger):
        return "Start the sender first, or mend trigger.host and trigger.port in the rig file"
    box = "button box" if isinstance(plan, SerialButtons) else "trigger box"
    return f"Plug the {box} in, or mend the port in the rig file (foolscan doctor lists the ports)"


def _shown(code: str) -> str:
    plain = len(code) > 1 or (code.isascii() and code.isprintable())
    return code[:20] if plain else f"0x{ord(code):02x}"
