"""How much may be asked: buckets, whose address is believed, and how far a body is read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.online.limits import (
    MANY_OF_ONE,
    Buckets,
    Gate,
    Gone,
    Limits,
    Rate,
    TooLarge,
    body_of,
    came_from,
    household,
    proxies,
    retry_after,
)
from protocols.problems import FoolscanError

STEPS = st.lists(st.floats(0, 5, allow_nan=False), min_size=1, max_size=60)


@given(STEPS, st.integers(1, 5), st.floats(0.1, 3))
def test_no_span_of_time_gives_more_than_the_burst_and_its_share(waits: list[float], burst: int, per_s: float) -> None:
    buckets, now_s, passed = Buckets(Rate(burst, per_s)), 0.0, []
    for wait in waits:
        now_s += wait
        if buckets.take(b"one", now_s) == 0:
            passed.append(now_s)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - passed[first]) * per_s + 1e-6


@given(STEPS, st.floats(0.1, 3))
def test_whoever_waits_as_long_as_told_is_let_through(waits: list[float], per_s: float) -> None:
    buckets, now_s = Buckets(Rate(1, per_s)), 0.0
    for wait in waits:
        now_s += wait
        told_s = buckets.take(b"one", now_s)
        if told_s:
            now_s += told_s + 1e-6
            assert buckets.take(b"one", now_s) == 0


def test_a_refused_request_costs_nothing() -> None:
    buckets = Buckets(Rate(1, 1))
    assert buckets.take(b"one", 0.0) == 0
    assert all(buckets.take(b"one", 0.5) == pytest.approx(0.5) for _ in range(100))
    assert buckets.take(b"one", 1.0) == 0


def test_keys_do_not_share_a_bucket() -> None:
    buckets = Buckets(Rate(1, 0.01))
    assert [buckets.take(key, 0.0) > 0 for key in (b"one", b"one", b"other")] == [False, True, False]


def test_a_million_addresses_take_no_more_memory_than_the_table_has() -> None:
    buckets = Buckets(Rate(1, 1), most=100)
    for number in range(10_000):
        buckets.take(number.to_bytes(4, "big"), 0.0)
    assert len(buckets) == 100


def test_a_clock_that_stands_still_or_jumps_back_gives_nothing_away() -> None:
    buckets = Buckets(Rate(2, 1))
    assert [buckets.take(b"one", now) > 0 for now in (10.0, 10.0, 9.0, 8.0)] == [False, False, True, True]


def test_five_hundred_people_behind_one_address_who_come_at_once_are_all_served() -> None:
    now_s = [0.0]
    gate = Gate(Limits(), lambda: now_s[0])
    refused = 0.0
    for _ in range(2):  # everybody loads the page twice, at the same moment
        refused += sum(gate.of_address("looks", "192.0.2.1") for _ in range(500))
    refused += sum(gate.of_address("comings", "192.0.2.1") for _ in range(500))
    for second in range(0, 60, 3):
        now_s[0] = float(second)
        refused += sum(gate.of_participant("answers", f"token-{person}") for person in range(500))
        refused += sum(gate.of_participant("asks", f"token-{person}") for person in range(500))
    refused += sum(gate.of_address("comings", "192.0.2.1") for _ in range(500))  # and all finish together
    assert (refused, gate.slowed) == (0, 0)


def test_guessing_from_one_address_is_slowed_to_one_guess_a_second() -> None:
    now_s = [0.0]
    gate = Gate(Limits(), lambda: now_s[0])
    through = 0
    for guess in range(20_000):
        now_s[0] = guess / 1000
        through += gate.of_address("failures", "192.0.2.1") == 0
    assert through <= 100 + 20 + 1


def test_addresses_are_kept_as_salted_hashes_alone() -> None:
    gate, other = Gate(Limits(), lambda: 0.0), Gate(Limits(), lambda: 0.0)
    gate.of_address("looks", "192.0.2.1")
    other.of_address("looks", "192.0.2.1")
    found = gate._of_address["looks"]._levels
    assert b"192.0.2.1" not in b"".join(found)
    assert "192.0.2.1" not in repr(gate)
    assert set(found) != set(other._of_address["looks"]._levels)


def test_many_who_join_from_one_address_are_told_of_without_it() -> None:
    gate = Gate(Limits(most_buckets=20), lambda: 0.0)
    for number in range(1, 30):
        gate.came(f"198.51.100.{number}")
    for _ in range(MANY_OF_ONE - 1):
        gate.came("192.0.2.1")
    assert gate.troubles() == []
    gate.came("192.0.2.1")
    (trouble,) = gate.troubles()
    assert trouble.said.startswith(f"{MANY_OF_ONE} people")
    assert "192.0.2.1" not in repr(gate) + trouble.said
    assert len(gate._came) == 20
    gate.unknown_proxy = True
    assert len(gate.troubles()) == 1, "all behind a proxy have one address: that it is not believed is told instead"


def test_who_has_one_address_of_version_6_has_the_household_s() -> None:
    assert household("2001:db8:1:2::5") == household("2001:db8:1:2:ffff::9") != household("2001:db8:1:3::5")
    assert household("::ffff:192.0.2.7") == household("192.0.2.7") == "192.0.2.7"
    assert household("fe80::1%eth0") == household("fe80::2%eth0")
    assert household("no address" * 100) == ("no address" * 100)[:64]


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("127.0.0.1", [b"198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", [b"203.0.113.9, 198.51.100.7"], "198.51.100.7"),  # the left one is what the client claimed
        ("127.0.0.1", [b"203.0.113.9", b"198.51.100.7, 10.1.2.3"], "198.51.100.7"),
        ("127.0.0.1", [b"evil\x00, 10.1.2.3"], "10.1.2.3"),
        ("127.0.0.1", [b"198.51.100.7, unknown"], "127.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("192.0.2.5", [b"198.51.100.7"], "192.0.2.5"),  # no proxy of ours: not believed
        ("::ffff:127.0.0.1", [b"2001:db8::1"], "2001:db8::1"),
        ("", [b"198.51.100.7"], ""),
    ],
)
def test_an_address_is_believed_from_trusted_proxies_alone(peer: str, forwarded: Sequence[bytes], found: str) -> None:
    assert came_from(peer, forwarded, proxies(["127.0.0.1", "10.0.0.0/8"])) == found


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert came_from("127.0.0.1", [b"198.51.100.7"], ()) == "127.0.0.1"


def test_a_proxy_must_be_an_address() -> None:
    with pytest.raises(FoolscanError, match=r"--trust-proxy: found 'proxy\.example'"):
        proxies(["127.0.0.1", "proxy.example"])


@pytest.mark.parametrize(("wait_s", "told"), [(0.001, 1), (1.0, 1), (1.01, 2), (59.2, 60)])
def test_retry_after_is_in_whole_seconds(wait_s: float, told: int) -> None:
    assert retry_after(wait_s) == told


def read(
    parts: Sequence[bytes], declared: bytes | None = None, *, ends: bool = True, most: int = 10
) -> tuple[Any, int]:
    """What a body in parts comes to, and how many parts were taken."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.request", "body": b"", "more_body": False} if ends else {"type": "http.disconnect"})
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return messages[taken - 1]

    try:
        return asyncio.run(body_of(receive, declared, most)), taken
    except (TooLarge, Gone) as error:
        return type(error), taken


def test_a_body_in_parts_is_put_together() -> None:
    assert read([b"1234", b"567890"]) == (b"1234567890", 3)


def test_a_body_that_grows_too_large_is_read_no_further() -> None:
    assert read([b"123456"] * 1000) == (TooLarge, 2)


@pytest.mark.parametrize("declared", [b"11", b"9" * 19, b"-1", b"1e3", b""])
def test_a_declared_length_that_is_too_large_or_none_is_not_even_read(declared: bytes) -> None:
    assert read([b"1"], declared) == (TooLarge, 0)


def test_somebody_who_goes_away_in_the_middle_is_gone() -> None:
    assert read([b"1"], ends=False) == (Gone, 2)
