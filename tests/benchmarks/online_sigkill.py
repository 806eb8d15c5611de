"""Random SIGKILLs of the online task's server under load: what it had acknowledged must be in the database, once.

Simulated people (`experiment.online.simulated_visits`) play their whole visits over HTTP, faster than people would and with the
page's own rules: an outbox, retries, the session from which it goes on. The server is killed at random moments, its start
included, and started again on the same folder. `--kills N` makes fewer.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from _crowd_server import Kept, Server, Wire, ask, database_of, kept_in, server_of
from _record import measure_once

from experiment.online.items import items_of
from experiment.online.simulated_page import Ask, Ending, Eyes, Wait
from experiment.online.simulated_people import Truth, crowd_of
from experiment.online.simulated_visits import visit

KILLS, AT_ONCE, PACE = 100, 20, 0.004
EARLIEST_S, LATEST_S = 0.05, 1.5
# A share of the kills comes while the server starts and opens its database, as long after the process was started.
EARLY, START_S = 0.1, 2.0
TARGETS = {
    "acknowledged_lost": "0",
    "acknowledged_otherwise": "0",
    "duplicates": "0",
    "chain_broken": "0",
    "sessions_with_a_wrong_count": "0",
    "oddities": "0",
}
# Of people who never write twice what they did not write once: others' tabs answer a trial anew.
KINDS = {"honest": 6.0, "reloader": 1.0, "flaky": 1.0}


async def crowd(server: Server, eyes: Eyes, ended: asyncio.Event) -> list[Ending]:
    """People come one after the other, so many at once, until the kills are over; then those who are there may end."""
    people = iter(crowd_of(200_000, 1, KINDS, eyes.truth))  # type: ignore[arg-type]
    endings: list[Ending] = []
    began_s = time.monotonic()

    async def seat() -> None:
        wire: Wire | None = None
        while not ended.is_set():
            person = next(people)
            ending = Ending(person)
            endings.append(ending)
            someone = visit(
                person, eyes, lambda: time.monotonic() - began_s, recruiter="lab", parameter="label", ending=ending
            )
            reply = None
            try:
                while True:
                    step = someone.send(reply)
                    reply = None
                    if isinstance(step, Wait):
                        await asyncio.sleep(step.seconds * PACE)
                        continue
                    assert isinstance(step, Ask)
                    if step.lost != "request":
                        wire, reply = await ask(wire, server.port, step)
                    reply = None if step.lost == "reply" else reply
            except StopIteration:
                pass
            if wire is not None:
                wire.close()
            wire = None

    await asyncio.gather(*(seat() for _ in range(AT_ONCE)))
    return endings


async def kill_often(server: Server, kills: int, ended: asyncio.Event) -> Counter[str]:
    """Kill and start, so many times; counts what the server was at."""
    chance, at = random.Random(7), Counter[str]()
    for number in range(kills):
        if chance.random() < EARLY:
            await asyncio.sleep(chance.uniform(0, START_S))
            at["starting" if not _answers(server) else "serving"] += 1
        else:
            while not _answers(server):
                await asyncio.sleep(0.02)
            await asyncio.sleep(chance.uniform(EARLIEST_S, LATEST_S))
            at["serving"] += 1
        server.kill()
        server.start(wait=False)
        if (number + 1) % 10 == 0:
            print(f"{number + 1} of {kills} kills", flush=True)
    ended.set()
    return at


def _answers(server: Server) -> bool:
    return server.answers()


async def play(server: Server, eyes: Eyes, kills: int) -> tuple[list[Ending], Counter[str]]:
    """The crowd and the kills at the same time."""
    ended = asyncio.Event()
    endings, at = await asyncio.gather(crowd(server, eyes, ended), kill_often(server, kills, ended))
    return endings, at


def compared(endings: list[Ending], kept: Kept) -> dict[str, float]:
    """What was acknowledged, against what is in the database."""
    lost = otherwise = acknowledged = 0
    for ending in endings:
        token_sha256 = hashlib.sha256((ending.token or "").encode()).hexdigest()
        for trial, answer in ending.acknowledged.items():
            acknowledged += 1
            found = kept.contents.get((token_sha256, trial))
            lost += found is None
            otherwise += found is not None and found != answer
    return {
        "acknowledged": float(acknowledged),
        "acknowledged_lost": float(lost),
        "acknowledged_otherwise": float(otherwise),
        "rows": float(kept.rows),
        "duplicates": float(kept.rows - len(kept.contents)),
        "chain_broken": float(kept.broken is not None),
        "sessions_with_a_wrong_count": float(kept.wrong_counts),
    }


def measure(kills: int = KILLS) -> dict[str, float]:
    """Play, kill, stop, compare."""
    with tempfile.TemporaryDirectory(prefix="foolscan-online-sigkill-") as work:
        design = {"n_pairs": 28, "per_list": 5000, "practice": 2, "attention_every": 7, "pairs_of_each": 3}
        study, server = server_of(Path(work), **design)
        assert study.online is not None
        eyes = Eyes.of(study.online, Truth(), items_of(study.online, server.folder), server.folder)
        server.start()
        try:
            endings, at = asyncio.run(play(server, eyes, kills))
        finally:
            server.stop()
        kept = kept_in(database_of(server))
    for odd in [odd for ending in endings for odd in ending.oddities][:5]:
        print(odd)
    ends = Counter(ending.end for ending in endings)
    print(ends)
    return {
        "kills": float(at.total()),
        "of_them_while_starting": float(at["starting"]),
        "people": float(len(endings)),
        "people_who_completed": float(ends["completed"]),
        **compared(endings, kept),
        "oddities": float(sum(len(ending.oddities) for ending in endings)),
        "requests_without_a_reply": float(
            sum(count for ending in endings for what, count in ending.statuses.items() if what.endswith("no reply"))
        ),
    }


def met(figures: Mapping[str, float]) -> bool:
    """Whether nothing is lost, nothing twice, and everybody came to the end."""
    return (
        not any(figures[name] for name in TARGETS)
        and figures["people_who_completed"] == figures["people"]
        and figures["acknowledged"] > 1000
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=KILLS)
    kills = parser.parse_known_args()[0].kills
    what = f"{kills} SIGKILLs of the online task's server at random moments, {AT_ONCE} simulated people at once"
    raise SystemExit(measure_once(__file__, what, TARGETS, lambda: measure(kills), met))
