"""The guarded protocol on httptools (llhttp): it counts a head's bytes, of which llhttp itself allows any number."""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from experiment.online.connections import Connection, Deadlines, HeadTooLong, Phase, admit, refuse

TOO_LONG = "The head of this request is too long."


def guarded_httptools(deadlines: Deadlines) -> type[asyncio.Protocol]:
    """The protocol, with these deadlines."""

    class GuardedHttpTools(HttpToolsProtocol):
        phase: Phase = "head"
        since_s = 0.0
        seen = 0
        unfinished = (
            0  # bytes of packets of which nothing but head has come: what llhttp keeps of a header that does not end
        )

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.since_s = self.loop.time()
            admit(self, cast("set[Connection]", self.connections), deadlines)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.unfinished = self.unfinished + len(data) if self.phase == "head" else 0
            if self.unfinished > deadlines.head_bytes and not self.transport.is_closing():
                refuse(self.transport, 431, "too_large", TOO_LONG)

        def on_message_begin(self) -> None:
            self.phase, self.since_s, self.seen = "head", self.loop.time(), 1
            super().on_message_begin()

        def on_url(self, url: bytes) -> None:
            self._count(len(url))
            super().on_url(url)

        def on_header(self, name: bytes, value: bytes) -> None:
            self._count(len(name) + len(value) + 4)
            if self.phase == "head":  # what stands behind a body in pieces is of no use
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            super().on_headers_complete()
            self.phase, self.since_s = "body", self.loop.time()

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self.phase, self.since_s = "whole", self.loop.time()

        def _count(self, n_bytes: int) -> None:
            self.seen += n_bytes
            if self.seen > deadlines.head_bytes:
                raise HeadTooLong  # httptools turns it into an error of the parser

        def send_400_response(self, msg: str) -> None:
            if self.seen > deadlines.head_bytes:
                refuse(self.transport, 431, "too_large", TOO_LONG)
            else:
                refuse(self.transport, 400, "malformed", "This is no request.")

    return GuardedHttpTools
