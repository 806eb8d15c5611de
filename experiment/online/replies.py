"""Answers of the server as bytes: JSON with its headers, and refusals as one kind and one sentence."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from experiment.online.security_headers import Header, headers

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
API_HEADERS = tuple(headers())
JSON_HEADERS = ((b"content-type", b"application/json"), *API_HEADERS)


@dataclass(frozen=True)
class Reply:
    """What is sent back.

    headers : all of them but Content-Length.
    """

    status: int
    body: bytes
    headers: tuple[Header, ...] = JSON_HEADERS

    async def send(self, send: Send) -> None:
        """Send it."""
        length = (b"content-length", b"%d" % len(self.body))
        await send({"type": "http.response.start", "status": self.status, "headers": [*self.headers, length]})
        await send({"type": "http.response.body", "body": self.body})


@dataclass
class Refuse(Exception):
    """A request that is refused, and how that is said.

    kind    : one word for the page.
    said    : one sentence for people.
    more    : further keys of the answer.
    flag    : kind under which it is flagged; None: it is nobody's fault.
    wait_s  : whole seconds after which it may be tried again.
    """

    status: int
    kind: str
    said: str
    more: Mapping[str, Any] = field(default_factory=dict)
    flag: str | None = None
    wait_s: int | None = None

    @property
    def reply(self) -> Reply:
        """What is sent."""
        extra: tuple[Header, ...] = () if self.wait_s is None else ((b"retry-after", b"%d" % self.wait_s),)
        if self.status == 401:
            extra += ((b"www-authenticate", b"Bearer"),)  # which no browser asks people about
        content = {"error": self.kind, "said": self.said, **self.more}
        return Reply(self.status, encoded(content), (*JSON_HEADERS, *extra))


def answer(content: Mapping[str, Any], status: int = 200) -> Reply:
    """JSON."""
    return Reply(status, encoded(content))


def encoded(content: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON without spaces."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
