"""Serial ports: bytes, the bits of state bytes, and the level of a control line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from experiment.edges import Edges
from experiment.port import LOOK_UP_S, Sample
from protocols.rig_devices import Coding, SerialLineTrigger


class SerialPort:
    """Bytes on a serial port.

    port   : the device (COM3, /dev/ttyUSB0).
    coding : ``bytes``: each byte is a code; ``bits``: each byte is a state, and a bit that is newly set is a code (0-7).

    Raises serial.SerialException, OSError or ValueError when it cannot be opened.
    """

    shared = False

    def __init__(self, port: str, baud: int, coding: Coding = "bytes") -> None:
        import serial

        self.name, self._baud, self._coding = port, baud, coding
        self._serial = serial.Serial(port, baud, timeout=LOOK_UP_S)
        self._state = 0

    def wait(self) -> list[Sample]:
        """The bytes that have come; the first is stamped as it is read."""
        received = self._serial.read(1)
        if received:
            # A port that vanishes here has still given its last byte; the next look says that it is gone.
            with suppress(Exception):
                received += self._serial.read(self._serial.in_waiting)
        if self._coding == "bytes":
            return [Sample(chr(byte)) for byte in received]
        return [Sample(str(bit)) for byte in received for bit in self._newly_set(byte)]

    def close(self) -> None:
        """Close the port."""
        self._serial.close()

    def facts(self) -> dict[str, Any]:
        """The port as the rig gives it."""
        return {"port": self.name, "baud": self._baud, "coding": self._coding}

    def _newly_set(self, state: int) -> list[int]:
        news, self._state = state & ~self._state, state
        return [bit for bit in range(8) if news >> bit & 1]


def _opened(port: str) -> Any:
    import serial

    return serial.Serial(port, timeout=0)


class SerialLine:
    """A control line of a serial port, looked at twice in a millisecond.

    plan   : port, line and edge.
    opened : opens the port (a test hands in a cable of its own).

    Raises serial.SerialException or OSError when the port cannot be opened, or has no control lines.
    """

    shared = False

    def __init__(self, plan: SerialLineTrigger, opened: Callable[[str], Any] = _opened) -> None:
        self.name, self._plan = plan.port, plan
        self._serial = opened(plan.port)
        try:
            self._edges = Edges(lambda: bool(getattr(self._serial, plan.line)), plan.edge)
        except OSError as error:
            self._serial.close()
            raise OSError(f"the line {plan.line} cannot be read: {error}") from error

    def wait(self) -> list[Sample]:
        """The edge that has come, if one has."""
        return [Sample("edge")] if self._edges.wait(LOOK_UP_S) else []

    def close(self) -> None:
        """Close the port."""
        self._serial.close()

    def facts(self) -> dict[str, Any]:
        """The line as the rig gives it."""
        return {"port": self.name, "line": self._plan.line, "edge": self._plan.edge}
