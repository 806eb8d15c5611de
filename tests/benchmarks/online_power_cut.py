"""Power cuts of the online task's server under load: whatever was acknowledged before a cut must be in the database after it.

A library that is preloaded into the server writes down every write, cut and sync of the database's files. From that, for many
moments, the files are put together as the disk would have them: as of the last sync of each (everything after it forgotten), and
again with any sectors of what was not yet synced, in no order. Each is opened by SQLite and compared with what people's pages had
been told by then. Linux with a C compiler.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _crowd_server import Came, Server, Wire, all_come, answer_of, body_of, database_of, kept_in, server_of
from _power_cut_log import Disk, built
from _record import measure_once

CUTS, LENGTH_S, CONNECTIONS, PAIRS = 100, 6.0, 20, 60
TARGETS = {
    "acknowledged_lost": "0",
    "duplicates": "0",
    "databases_not_intact": "0",
    "chains_broken": "0",
    "lost_without_the_syncs_of_the_last_second": "> 0, or nothing is proved",
}

Told = list[tuple[float, tuple[str, int], dict[str, Any]]]


async def connection(port: int, waiting: list[Came], end_s: float, told: Told, batch: random.Random) -> None:
    """Answer, some answers alone and some together; note when each was acknowledged."""
    wire = await Wire.to(port)
    while time.monotonic() < end_s and waiting:
        came, number = waiting.pop(), 1
        token_sha256 = hashlib.sha256(came.token.encode()).hexdigest()
        while number <= len(came.trials) and time.monotonic() < end_s:
            n = min(batch.choice((1, 1, 1, 5)), len(came.trials) - number + 1)
            answers = [answer_of(came, number + k) for k in range(n)]
            status, said = await wire.request("POST", "answers", body_of(answers), came.token)
            at_s = time.monotonic()
            if status != 200:
                raise RuntimeError(f"answers: found {status}: {said[:200]!r}")
            told += [(at_s, (token_sha256, answer["trial"]), answer) for answer in answers]
            number += n
    wire.close()


async def load(server: Server) -> tuple[Told, float]:
    """People come, and answer; returns what was acknowledged, and when the first answers were sent."""
    waiting = await all_come(server.port, [f"p{number}" for number in range(300)])
    told: Told = []
    begin_s = time.monotonic()
    await asyncio.gather(
        *(
            connection(server.port, waiting, begin_s + LENGTH_S, told, random.Random(number))
            for number in range(CONNECTIONS)
        )
    )
    return sorted(told, key=lambda one: one[0]), begin_s


def after_cut(disk: Disk, database: Path, work: Path, chance: random.Random | None) -> Path:
    """Put the files of a database together as they are found after a cut."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for name, file in disk.files.items():
        content = file.after_cut(chance)
        if content is not None and not name.endswith("-shm"):  # shared memory, made anew from the log
            (work / Path(name).name).write_bytes(content)
    return work / database.name


def cuts_of(disk: Disk, told: Told, begin_s: float, chance: random.Random) -> list[float]:
    """Moments of cuts: half of them anywhere, half of them the moment in which an answer was acknowledged."""
    end_s = told[-1][0]
    anywhere = [chance.uniform(begin_s, end_s) for _ in range(CUTS // 2)]
    return sorted(anywhere + [chance.choice(told)[0] for _ in range(CUTS - len(anywhere))])


def compare(disk: Disk, told: Told, begin_s: float, database: Path, work: Path) -> dict[str, float]:
    """Cut, open, compare."""
    chance = random.Random(11)
    counts = dict.fromkeys(("acknowledged_lost", "duplicates", "databases_not_intact", "chains_broken"), 0)
    found_more = acknowledged = 0
    for cut_s in cuts_of(disk, told, begin_s, chance):
        disk.forward(cut_s)
        due = [(key, answer) for at_s, key, answer in told if at_s <= cut_s]
        for how in (None, chance):
            path = after_cut(disk, database, work, how)
            try:
                with sqlite3.connect(path) as opened:
                    intact = opened.execute("pragma integrity_check").fetchone()[0] == "ok"
                kept = kept_in(path)
            except sqlite3.Error as error:
                print(f"cut at {cut_s - begin_s:.3f} s: {error}")
                counts["databases_not_intact"] += 1
                counts["acknowledged_lost"] += len(due)
                continue
            counts["databases_not_intact"] += not intact
            counts["chains_broken"] += kept.broken is not None
            counts["duplicates"] += kept.rows - len(kept.contents)
            counts["acknowledged_lost"] += sum(kept.contents.get(key) != answer for key, answer in due)
            found_more += kept.rows - len(due)
            acknowledged += len(due)
    return {
        **{name: float(count) for name, count in counts.items()},
        "acknowledged_before_a_cut_mean": acknowledged / (2 * CUTS),
        "committed_but_not_yet_acknowledged_mean": found_more / (2 * CUTS),
    }


def control(log: Path, told: Told, database: Path, work: Path) -> int:
    """What would be lost by the same cut if the last second's syncs had not been made: were it nothing, nothing would be proved."""
    cut_s = told[-1][0]
    disk = Disk(log, deaf_from_s=cut_s - 1)
    disk.forward(cut_s)
    kept = kept_in(after_cut(disk, database, work, None))
    return sum(kept.contents.get(key) != answer for _, key, answer in told)


def measure() -> dict[str, float]:
    """Serve with the library, load, stop, cut."""
    with tempfile.TemporaryDirectory(prefix="foolscan-online-power-cut-") as where:
        work = Path(where)
        log = work / "writes.log"
        design = {"n_pairs": PAIRS, "per_list": 5000, "practice": 0, "attention_every": None, "pairs_of_each": 6}
        extra = {"LD_PRELOAD": str(built(work)), "POWER_CUT_LOG": str(log), "POWER_CUT_FILES": "crops.sqlite3"}
        _, server = server_of(work, extra, **design)
        server.start()
        try:
            told, begin_s = asyncio.run(load(server))
        finally:
            server.kill()
        disk = Disk(log)
        figures = compare(disk, told, begin_s, database_of(server), work / "cut")
        figures |= {
            "lost_without_the_syncs_of_the_last_second": float(control(log, told, database_of(server), work / "cut"))
        }
    return {"cuts": float(2 * CUTS), "acknowledged": float(len(told)), "syncs": float(disk.syncs), **figures}


def met(figures: Mapping[str, float]) -> bool:
    """Whether nothing that was acknowledged is ever lost."""
    proved = figures["lost_without_the_syncs_of_the_last_second"] > 0 and figures["acknowledged"] > 1000
    return proved and not any(figures[name] for name, target in TARGETS.items() if target == "0")


if __name__ == "__main__":
    if sys.platform != "linux" or shutil.which("cc") is None:
        print("needs Linux and a C compiler")
        raise SystemExit(2)
    what = (
        f"the online task's server under load from {CONNECTIONS} connections, {CUTS} power cuts, each with everything after the last "
        "sync forgotten, and again with any sectors of it written early"
    )
    raise SystemExit(measure_once(__file__, what, TARGETS, measure, met))
