"""Connections that may not be kept for nothing: deadlines for a request's head and body, a cap on its head and on connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, Protocol, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from experiment.online.security_headers import headers

Phase = Literal["head", "body", "whole"]
"""What of a request has come last: part of its head (or nothing yet), part of its body, or all of it."""
SWEEPS = 5
"""Ticks of uvicorn's main loop (0.1 s each) between two looks at all connections."""


@dataclass(frozen=True)
class Deadlines:
    """How long a connection may take, and how many there may be.

    head_s      : from its first moment, or its request's first byte, until the request's head is there.
    body_s      : from then until its body is there.
    answer_s    : from then until the other side has taken the answer.
    idle_s      : between requests.
    head_bytes  : of a head, at most.
    connections : at once on one port; beyond, the one that has been idle for longest is dropped for a new one, or the slowest body.
    """

    head_s: float = 10.0
    body_s: float = 30.0
    answer_s: float = 60.0
    idle_s: int = 75
    head_bytes: int = 16 * 1024
    connections: int = 4000


class HeadTooLong(Exception):
    """The head of a request has more bytes than any true one."""


class Connection(Protocol):
    """What is asked of a protocol of uvicorn that knows in which phase it is."""

    transport: asyncio.Transport
    cycle: Any
    phase: Phase
    since_s: float
    seen: int


def overdue(connection: Connection, now_s: float, deadlines: Deadlines) -> bool:
    """Whether a connection has taken longer than its phase may last.

    now_s : by the event loop's clock, s.
    """
    taken_s = now_s - connection.since_s
    if connection.phase == "head":
        return taken_s > deadlines.head_s
    if connection.phase == "body":
        return taken_s > deadlines.body_s
    answered = connection.cycle is None or connection.cycle.response_complete
    return taken_s > deadlines.answer_s + (deadlines.idle_s if answered else 0)


def sweep(connections: Iterable[Connection], now_s: float, deadlines: Deadlines) -> int:
    """End the connections that are overdue. Returns how many."""
    late = [connection for connection in connections if overdue(connection, now_s, deadlines)]
    for connection in late:
        waits = connection.cycle is None or not connection.cycle.response_started or connection.phase == "head"
        if connection.transport.is_closing() or connection.phase == "whole" or not waits:
            connection.transport.abort()  # it does not even take what is sent
        elif connection.seen == 0:
            connection.transport.close()  # opened in case it is needed, as browsers do
        else:
            refuse(connection.transport, 408, "too_slow", "The request did not come in time.")
    return len(late)


def make_room(connections: Iterable[Connection]) -> bool:
    """Drop the connection that has waited longest without a request, else the one whose body has been coming for longest.

    Returns whether there was one. Who loses an honest request by it sends it again.
    """
    open_ = [connection for connection in connections if not connection.transport.is_closing()]
    idle = [
        connection
        for connection in open_
        if (connection.cycle is None or connection.cycle.response_complete) and connection.phase != "body"
    ]
    waiting = idle or [connection for connection in open_ if connection.phase == "body"]
    if not waiting:
        return False
    min(waiting, key=lambda connection: connection.since_s).transport.abort()
    return True


def refuse(transport: asyncio.Transport, status: int, kind: str, said: str) -> None:
    """Answer without an application, and close."""
    content = json.dumps({"error": kind, "said": said}).encode()
    head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    head += [name + b": " + value for name, value in headers()]
    head += [b"content-type: application/json", b"content-length: %d" % len(content), b"connection: close"]
    transport.write(b"\r\n".join([*head, b"", content]))
    transport.close()


def guarded(deadlines: Deadlines) -> type[asyncio.Protocol]:
    """The protocol that uvicorn shall speak, with these deadlines: httptools' where that is installed, else h11's."""
    try:
        from experiment.online.fast_connections import guarded_httptools
    except ImportError:
        return guarded_h11(deadlines)
    return guarded_httptools(deadlines)


def guarded_h11(deadlines: Deadlines) -> type[asyncio.Protocol]:
    """The protocol on h11, which caps a request's head by itself."""

    class GuardedH11(H11Protocol):
        phase: Phase = "head"
        since_s = 0.0
        seen = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.since_s = self.loop.time()
            admit(self, cast("set[Connection]", self.connections), deadlines)

        def data_received(self, data: bytes) -> None:
            if self.phase == "whole":
                self.phase, self.since_s = "head", self.loop.time()
            self.seen += len(data)
            super().data_received(data)
            self._look()

        def handle_events(self) -> None:
            super().handle_events()
            self._look()

        def _look(self) -> None:
            if self.cycle is None:
                return
            phase: Phase = "body" if self.cycle.more_body else "whole"
            if phase != self.phase and not (self.phase == "head" and self.cycle.response_complete):
                self.phase, self.since_s = phase, self.loop.time()

        def send_400_response(self, msg: str) -> None:
            refuse(self.transport, 400, "malformed", "This is no request.")

    return GuardedH11


def admit(connection: Connection, connections: set[Connection], deadlines: Deadlines) -> None:
    """Let a new connection in, in the place of an idle one where there are too many; or refuse it."""
    if len(connections) > deadlines.connections and not make_room(connections - {connection}):
        refuse(connection.transport, 503, "busy", "Too many people at once; please try again in a minute.")


class GuardedServer(uvicorn.Server):
    """A server of uvicorn that sweeps its connections and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config, deadlines: Deadlines) -> None:
        super().__init__(config)
        self.deadlines = deadlines

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; looks at the connections twice a second."""
        if counter % SWEEPS == 0:
            found = cast("set[Connection]", self.server_state.connections)
            sweep(list(found), asyncio.get_running_loop().time(), self.deadlines)
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Of two servers in one process neither may take the signals."""
        yield
