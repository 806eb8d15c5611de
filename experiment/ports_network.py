"""Pulses that other computers send: Lab Streaming Layer samples, and messages over a TCP connection."""

from __future__ import annotations

import socket
from typing import Any

from experiment.port import LOOK_UP_S, Sample
from protocols.rig_devices import LslTrigger, TcpTrigger

CONNECT_S = 5.0
# A sender that never ends its lines is not allowed to fill the memory.
LONGEST_LINE = 4096


class LslStream:
    """The samples of a Lab Streaming Layer stream, at the times their sender gave them.

    plan : the stream's name, and how long to look for it.

    Raises ImportError without pylsl, OSError when the stream is not there.
    """

    shared = True

    def __init__(self, plan: LslTrigger) -> None:
        import pylsl

        self.name = f"LSL stream {plan.stream}"
        self._now = pylsl.local_clock
        found = pylsl.resolve_byprop("name", plan.stream, timeout=plan.wait_s)
        if not found:
            raise OSError(f"no such stream within {plan.wait_s:g} s")
        self._host, self._found = found[0].hostname(), len(found)
        self._inlet = pylsl.StreamInlet(found[0], recover=False)
        self._inlet.open_stream(timeout=plan.wait_s)
        # What the sender's clock shows when this computer's shows zero; asking again costs milliseconds, and goes on below.
        self._behind_s = self._inlet.time_correction(timeout=plan.wait_s)

    def wait(self) -> list[Sample]:
        """The samples that have come; an age is never negative, since no clock knows of the future."""
        sample, sent_s = self._inlet.pull_sample(timeout=LOOK_UP_S)
        samples = []
        while sample is not None and sent_s is not None:
            age_s = max(0.0, self._now() - (sent_s + self._behind_s))
            samples.append(Sample(_text(sample[0]), age_s, float(sent_s)))
            sample, sent_s = self._inlet.pull_sample(timeout=0.0)
        if not samples:
            self._behind_s = self._inlet.time_correction(timeout=CONNECT_S)
        return samples

    def close(self) -> None:
        """Leave the stream."""
        self._inlet.close_stream()

    def facts(self) -> dict[str, Any]:
        """Where the stream comes from."""
        return {"stream": self.name, "host": self._host, "streams_of_that_name": self._found}


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


class TcpSender:
    """Messages of another computer, by lines or by bytes.

    plan : where it is, or with `listen` where it shall connect to; what a message is.

    Raises OSError when there is no connection, or the address is taken.
    """

    shared = True

    def __init__(self, plan: TcpTrigger) -> None:
        self.name, self._plan = f"{plan.host}:{plan.port}", plan
        self._server: socket.socket | None = None
        self._sender: socket.socket | None = None
        self._rest = b""
        if plan.listen:
            self._server = socket.create_server((plan.host, plan.port))
            self._server.settimeout(LOOK_UP_S)
        else:
            self._sender = socket.create_connection((plan.host, plan.port), timeout=CONNECT_S)
            self._sender.settimeout(LOOK_UP_S)

    def wait(self) -> list[Sample]:
        """The messages that have come; a sender that connects to this computer may come back after it has left.

        Raises OSError when a sender that this computer has connected to is gone.
        """
        try:
            if self._sender is None:
                self._accept()
                return []
            received = self._sender.recv(LONGEST_LINE)
        except TimeoutError:
            return []
        except ConnectionError:
            received = b""
        if not received:
            self._gone()
        return self._messages(received)

    def close(self) -> None:
        """Close the connection."""
        for end in (self._sender, self._server):
            if end is not None:
                end.close()

    def facts(self) -> dict[str, Any]:
        """The address as the rig gives it."""
        return {"address": self.name, "unit": self._plan.unit, "listen": self._plan.listen}

    def _accept(self) -> None:
        if self._server is not None:
            self._sender, _ = self._server.accept()
            self._sender.settimeout(LOOK_UP_S)

    def _gone(self) -> None:
        if self._sender is not None:
            self._sender.close()
        self._sender, self._rest = None, b""
        if self._server is None:
            raise ConnectionError("the sender has closed the connection")

    def _messages(self, received: bytes) -> list[Sample]:
        if self._plan.unit == "byte":
            return [Sample(chr(byte)) for byte in received]
        *lines, rest = (self._rest + received).split(b"\n")
        self._rest = rest[-LONGEST_LINE:]
        texts = [line.decode("utf-8", "replace").strip() for line in lines]
        return [Sample(text) for text in texts if text]
