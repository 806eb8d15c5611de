"""The online task under load: 500 people who answer every 3 s, then as many answers a second as 50 connections bring.

The server is `foolscan online serve` in a process of its own; every answer is a request of its own, as the page sends them, and is
acknowledged after its commit (SQLite, WAL, synchronous FULL). Afterwards every acknowledged answer is looked for in the database.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from _crowd_server import Came, Wire, all_come, answer_of, body_of, database_of, kept_in, server_of
from _record import measure_once

PEOPLE, EVERY_S, LENGTH_S = 500, 3.0, 60.0
CONNECTIONS, THROUGHPUT_S = 50, 20.0
PAIRS, MOST_PER_S = 60, 4000
TARGETS = {
    "errors": "0",
    "p99_ms": "<= 250",
    "answers_per_s": ">= 1500",
    "acknowledged_not_in_database": "0",
}

T = TypeVar("T")
Acknowledged = dict[tuple[str, int], Any]


async def send(wire: Wire, came: Came, number: int, held: Acknowledged, times_s: list[float]) -> bool:
    """Send the answer to one trial; whether it was acknowledged, and then it is noted with the time that this took."""
    answer = answer_of(came, number)
    began_s = time.perf_counter()  # some loops count whole ms
    status, _ = await wire.request("POST", "answers", body_of([answer]), came.token)
    times_s.append(time.perf_counter() - began_s)
    if status == 200:
        held[hashlib.sha256(came.token.encode()).hexdigest(), number] = answer
    return status == 200


async def person(port: int, came: Came, chance: random.Random, held: Acknowledged, times_s: list[float]) -> int:
    """Look at an image and answer, every so often; returns how many requests went wrong."""
    wire, errors = await Wire.to(port), 0
    loop = asyncio.get_running_loop()
    due_s = loop.time() + chance.uniform(0, EVERY_S)
    for number in range(1, int(LENGTH_S / EVERY_S) + 1):
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        asset = came.trials[number - 1]["asset"]
        if asset is not None:
            errors += (await wire.request("GET", f"asset/{asset}", token=came.token))[0] != 200
        errors += not await send(wire, came, number, held, times_s)
        due_s += EVERY_S
    wire.close()
    return errors


async def connection(port: int, waiting: list[Came], end_s: float, held: Acknowledged, times_s: list[float]) -> int:
    """Answer as fast as the server acknowledges, one person's session after the other's."""
    wire, errors = await Wire.to(port), 0
    loop = asyncio.get_running_loop()
    while waiting and loop.time() < end_s:
        came = waiting.pop()
        for number in range(1, len(came.trials) + 1):
            errors += not await send(wire, came, number, held, times_s)
            if loop.time() >= end_s:
                break
    wire.close()
    return errors


async def load(port: int, cpu_s: Callable[[], float]) -> tuple[dict[str, float], Acknowledged]:
    """Both parts, one after the other; `cpu_s` is the server's processor time so far."""
    held: Acknowledged = {}
    people = await all_come(port, [f"a{number}" for number in range(PEOPLE)])
    times_s: list[float] = []
    chance = random.Random(1)
    errors = sum(await asyncio.gather(*(person(port, one, chance, held, times_s) for one in people)))
    figures = {
        "people": float(PEOPLE),
        "answers_in_60_s": float(len(times_s)),
        "errors": float(errors),
        "median_ms": float(np.median(times_s) * 1000),
        "p99_ms": float(np.percentile(times_s, 99) * 1000),
        "max_ms": float(max(times_s) * 1000),
    }
    sessions = round(MOST_PER_S * THROUGHPUT_S / PAIRS)
    waiting = await all_come(port, [f"b{number}" for number in range(sessions)])
    times_s = []
    began_s, cpu_before_s, own_before_s = time.monotonic(), cpu_s(), time.process_time()
    end_s = asyncio.get_running_loop().time() + THROUGHPUT_S
    errors = sum(await asyncio.gather(*(connection(port, waiting, end_s, held, times_s) for _ in range(CONNECTIONS))))
    took_s = time.monotonic() - began_s
    if not waiting:
        raise RuntimeError("the sessions ran out; more must join before")
    figures["errors"] += errors
    figures |= {
        "connections": float(CONNECTIONS),
        "answers_per_s": (len(times_s) - errors) / took_s,
        "server_cpu_ms_per_answer": (cpu_s() - cpu_before_s) / len(times_s) * 1000,
        "load_generator_cpu_ms_per_answer": (time.process_time() - own_before_s) / len(times_s) * 1000,
        "median_at_50_connections_ms": float(np.median(times_s) * 1000),
        "p99_at_50_connections_ms": float(np.percentile(times_s, 99) * 1000),
    }
    return figures, held


def run(what: Coroutine[Any, Any, T]) -> T:
    """Run it on the leanest loop that there is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(what)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(what)


def syncs_ms(folder: Path, n: int = 200) -> np.ndarray:
    """How long this disk takes to make 4 KiB safe, ms, while nothing else is measured."""
    times = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(n):
            began_s = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            times.append((time.perf_counter() - began_s) * 1000)
    return np.array(times)


def measure() -> dict[str, float]:
    """Serve, load, stop, and look for every acknowledged answer."""
    with tempfile.TemporaryDirectory(prefix="foolscan-online-load-") as work:
        design = {"n_pairs": PAIRS, "per_list": 5000, "practice": 0, "attention_every": None, "pairs_of_each": 6}
        synced_ms = syncs_ms(Path(work))
        _, server = server_of(Path(work), **design)
        server.start()
        try:
            figures, held = run(load(server.port, server.cpu_s))
        finally:
            server.stop()
        kept = kept_in(database_of(server))
    lost = [key for key, answer in held.items() if kept.contents.get(key) != answer]
    figures["disk_sync_median_ms"] = float(np.median(synced_ms))
    figures["disk_sync_p99_ms"] = float(np.percentile(synced_ms, 99))
    figures["acknowledged"] = float(len(held))
    figures["acknowledged_not_in_database"] = float(len(lost))
    figures["chain_broken"] = float(kept.broken is not None)
    return figures


def met(figures: Mapping[str, float]) -> bool:
    """Whether every target is met."""
    return (
        figures["errors"] == figures["acknowledged_not_in_database"] == figures["chain_broken"] == 0
        and figures["p99_ms"] <= 250
        and figures["answers_per_s"] >= 1500
    )


if __name__ == "__main__":
    what = (
        f"{PEOPLE} people who answer every {EVERY_S:g} s for {LENGTH_S:g} s, then {CONNECTIONS} connections for {THROUGHPUT_S:g} s; "
        "one answer a request, acknowledged after its commit (SQLite, synchronous FULL)"
    )
    raise SystemExit(measure_once(__file__, what, TARGETS, measure, met))
