"""A race for places: 16 threads bring people into 20 lists of 20 places until nobody is let in; exactly 400 must count.

People join, answer and finish through `experiment.online.crowd`, against one database; some answer impossibly fast and are
excluded, some drop out, and their places must go to others: no more, no fewer. The clock is moved past leases when all is taken.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _crowd_server import crop_study
from _record import measure_once
from online_study import Clock, answer_all

from experiment.online.crowd import Crowd
from experiment.online.recruiters.recruiter import Arrival, Completion
from experiment.online.refusals import NotOpen

LISTS, PLACES, THREADS = 20, 20, 16
CHEATS, DROP_OUTS = 0.1, 0.1
TARGETS = {
    "counted": str(LISTS * PLACES),
    "lists_off_their_quota": "0",
    "surplus": "0",
    "places_given_beyond_the_quota_at_once": "0",
    "errors": "0",
}


class Race:
    """People who come from many threads at once."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.next = 0
        self.came = self.refused = self.dropped = 0
        self.errors: list[Exception] = []
        self.lock = threading.Lock()

    def run(self, seed: int) -> None:
        """Bring people until one is refused."""
        chance = random.Random(seed)
        while True:
            with self.lock:
                self.next += 1
                name = f"worker{self.next}"
            try:
                joined = self.crowd.join("link", Arrival(name), "en").result()
            except NotOpen:
                with self.lock:
                    self.refused += 1
                return
            except Exception as error:
                self.errors.append(error)
                return
            try:
                with self.lock:
                    self.came += 1
                if chance.random() < DROP_OUTS:
                    with self.lock:
                        self.dropped += 1
                    continue
                answer_all(self.crowd, joined.token, rt_ms=20.0 if chance.random() < CHEATS else 700.0)
                self.crowd.finish(joined.token, "", lambda code: Completion("code", code=code)).result()
            except Exception as error:
                self.errors.append(error)
                return


def measure() -> dict[str, float]:
    """Race, let leases run out, race again, until every place is filled."""
    with tempfile.TemporaryDirectory(prefix="foolscan-online-quota-") as work:
        design = {"n_pairs": 20, "blocks": LISTS // 2, "per_list": PLACES, "practice": 0, "attention_every": None}
        study, folder = crop_study(Path(work), **design, pairs_of_each=2)
        clock, began_s, beyond, rounds = Clock(), time.monotonic(), 0, 0
        with Crowd.open(study, folder, now_ms=clock) as crowd:
            race, ended = Race(crowd), threading.Event()

            def watch() -> None:
                nonlocal beyond
                while not ended.wait(0.02):
                    beyond += sum(tally.counted + tally.active > tally.quota for tally in crowd.counts().values())

            watcher = threading.Thread(target=watch)
            watcher.start()
            with ThreadPoolExecutor(THREADS) as pool:
                while not race.errors:
                    rounds += 1
                    list(pool.map(race.run, range(rounds * THREADS, (rounds + 1) * THREADS)))
                    if all(tally.counted >= tally.quota for tally in crowd.counts().values()):
                        break
                    clock.move(1 + (study.online.lease_minutes if study.online else 0))
            ended.set()
            watcher.join()
            counts = list(crowd.counts().values())
    for error in race.errors[:3]:
        print(repr(error))
    return {
        "lists": float(len(counts)),
        "threads": float(THREADS),
        "came": float(race.came),
        "refused": float(race.refused),
        "dropped_out": float(race.dropped),
        "excluded": float(sum(tally.excluded for tally in counts)),
        "counted": float(sum(tally.counted for tally in counts)),
        "lists_off_their_quota": float(sum(tally.counted != PLACES for tally in counts)),
        "surplus": float(sum(tally.surplus for tally in counts)),
        "places_given_beyond_the_quota_at_once": float(beyond),
        "errors": float(len(race.errors)),
        "seconds": time.monotonic() - began_s,
    }


def met(figures: Mapping[str, float]) -> bool:
    """Whether exactly as many count as there are places."""
    wanted = {"counted": LISTS * PLACES, "lists_off_their_quota": 0, "surplus": 0, "errors": 0}
    wanted["places_given_beyond_the_quota_at_once"] = 0
    return figures["lists"] == LISTS and all(figures[name] == value for name, value in wanted.items())


if __name__ == "__main__":
    what = f"{LISTS} lists of {PLACES} places, {THREADS} threads, with cheats and drop-outs among the people"
    raise SystemExit(measure_once(__file__, what, TARGETS, measure, met))
