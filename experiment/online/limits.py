"""How much of what one address or one participant may ask: token buckets in memory, body caps, and whose address is believed."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiment.online.messages import MOST_BYTES
from experiment.online.trouble import Trouble
from protocols.problems import FoolscanError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Receive = Callable[[], Awaitable[Any]]
MOST_HOPS = 20
"""Addresses that are read of one X-Forwarded-For."""
MANY_OF_ONE = 10
"""People who join by the link from one address, from which on the operator is told."""
IPV6_PREFIX = 64
"""Of one household: whoever has one address has all of these."""


@dataclass(frozen=True)
class Rate:
    """What a bucket holds and how fast it fills again.

    burst : requests at once.
    per_s : requests a second for ever.
    """

    burst: float
    per_s: float


@dataclass(frozen=True)
class Limits:
    """What is allowed; a room of 500 people behind one address, who all come at once, is.

    looks    : at the information, of one address.
    comings  : to join, finish or withdraw, of one address.
    failures : forged tokens, refused arrivals and malformed requests, of one address.
    answers  : requests with answers, of one participant.
    asks     : other requests of one participant: the session, its images.
    most_buckets : of each kind that are kept; those longest unused are forgotten first.
    """

    looks: Rate = Rate(3000, 30)
    comings: Rate = Rate(2000, 20)
    failures: Rate = Rate(100, 1)
    answers: Rate = Rate(300, 15)
    asks: Rate = Rate(600, 10)
    most_buckets: int = 50_000


class Buckets:
    """Token buckets by key: each fills at its rate and gives one token for each request.

    rate : of every bucket.
    most : buckets that are kept.
    """

    def __init__(self, rate: Rate, most: int = 50_000) -> None:
        self.rate = rate
        self.most = most
        self._levels: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: bytes, now_s: float) -> float:
        """Take one token.

        key   : whose bucket.
        now_s : of a clock that never goes back, s.

        Returns 0 where there was one, else the time until there will be one, s; then nothing is taken.
        """
        level, then_s = self._levels.pop(key, (self.rate.burst, now_s))
        level = min(self.rate.burst, level + max(0.0, now_s - then_s) * self.rate.per_s)
        wait_s = 0.0 if level >= 1 else (1 - level) / self.rate.per_s
        self._levels[key] = (level - 1 if level >= 1 else level, now_s)
        if len(self._levels) > self.most:
            self._levels.popitem(last=False)
        return wait_s


@dataclass
class Gate:
    """All buckets of a server. Addresses are only ever kept as hashes that are salted anew for each process.

    now_s         : a clock that never goes back, s.
    slowed        : requests that were told to wait.
    unknown_proxy : whether a request came through a proxy that is not believed: then all behind it share one limit.
    """

    limits: Limits
    now_s: Callable[[], float]
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)
    slowed: int = 0
    unknown_proxy: bool = False

    def __post_init__(self) -> None:
        most = self.limits.most_buckets
        self._of_address = {
            name: Buckets(getattr(self.limits, name), most) for name in ("looks", "comings", "failures")
        }
        self._came: OrderedDict[bytes, int] = OrderedDict()
        self._of_participant = {name: Buckets(getattr(self.limits, name), most) for name in ("answers", "asks")}

    def of_address(self, kind: str, address: str) -> float:
        """Time to wait for another request of a kind (looks, comings, failures) from an address, s; 0: it may be answered."""
        return self._counted(self._of_address[kind].take(self._hashed(household(address)), self.now_s()))

    def of_participant(self, kind: str, token: str) -> float:
        """The same of a participant, by token (answers, asks)."""
        return self._counted(self._of_participant[kind].take(self._hashed(token), self.now_s()))

    def came(self, address: str) -> None:
        """Somebody was let in by the link, who may have been let in before."""
        key = self._hashed(household(address))
        self._came[key] = self._came.pop(key, 0) + 1
        if len(self._came) > self.limits.most_buckets:
            self._came.popitem(last=False)

    def troubles(self) -> list[Trouble]:
        """What the operator should know."""
        found = []
        if self.unknown_proxy:
            found.append(
                Trouble(
                    "warning",
                    "requests come through a proxy that is not believed, so that everybody behind it shares one limit: start the "
                    "server with --trust-proxy and the proxy's address",
                )
            )
        most = max(list(self._came.values()), default=0)
        if most >= MANY_OF_ONE and not self.unknown_proxy:
            found.append(
                Trouble(
                    "warning",
                    f"{most:,} people who joined by the link since the start came from one address: a room of people, or one again "
                    "and again",
                )
            )
        if self.slowed:
            found.append(
                Trouble("warning", f"{self.slowed:,} requests since the start came too often and were told to wait")
            )
        return found

    def _counted(self, wait_s: float) -> float:
        self.slowed += wait_s > 0
        return wait_s

    def _hashed(self, name: str) -> bytes:
        return hashlib.blake2b(name.encode(), key=self.salt, digest_size=16).digest()


def household(address: str) -> str:
    """An address, or of version 6 the network of a household, since its owner has all of it."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed)


def retry_after(wait_s: float) -> int:
    """Whole seconds, at least one, for the header Retry-After."""
    return max(1, math.ceil(wait_s))


def proxies(named: Iterable[str]) -> tuple[Network, ...]:
    """The proxies whose word on addresses is believed.

    named : addresses or networks, such as 127.0.0.1 or 10.0.0.0/8.

    Raises FoolscanError for what is neither.
    """
    found = []
    for name in named:
        try:
            found.append(ipaddress.ip_network(name, strict=False))
        except ValueError:
            raise FoolscanError(
                f"--trust-proxy: found {name!r}, expected the address or network of a proxy, such as 127.0.0.1 or 10.0.0.0/8"
            ) from None
    return tuple(found)


def came_from(peer: str, forwarded: Sequence[bytes], trusted: Sequence[Network]) -> str:
    """The address that a request came from.

    peer      : of the connection.
    forwarded : values of X-Forwarded-For, in order.
    trusted   : proxies; only what they say is believed, from the last one on towards the first that is none.
    """
    if not trusted or not is_one(peer, trusted):
        return peer
    hops = b",".join(forwarded).decode("latin-1").split(",")[-MOST_HOPS:]
    last = peer
    for hop in reversed([hop.strip() for hop in hops]):
        try:
            ipaddress.ip_address(hop)
        except ValueError:
            return last  # not an address: nothing further left is believed either
        last = hop
        if not is_one(hop, trusted):
            return hop
    return last


def is_one(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address is one of these networks'."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)


class TooLarge(Exception):
    """A body has more bytes than any true one."""


class Gone(Exception):
    """The other side went away before its body had come."""


async def body_of(receive: Receive, declared: bytes | None, most: int = MOST_BYTES) -> bytes:
    """The body of a request, read no further than allowed.

    receive  : of the ASGI request.
    declared : Content-Length, where there is one.
    most     : bytes.

    Raises TooLarge as soon as it is known, Gone where the connection ends.
    """
    if declared is not None and (not declared.isdigit() or len(declared) > 18 or int(declared) > most):
        raise TooLarge
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > most:
            raise TooLarge
        return body
    parts: list[bytes] = []
    length = 0
    while True:
        if message["type"] != "http.request":
            raise Gone
        part = message.get("body", b"")
        length += len(part)
        if length > most:
            raise TooLarge
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
