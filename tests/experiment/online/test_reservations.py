"""Quotas: exactly as many valid completions as wanted, however many people come, drop out, lapse and come back at once."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import numpy as np
import pytest
from online_study import Clock, answers_to, crop_study

from experiment.online.crowd import Crowd
from experiment.online.lists import ShownList
from experiment.online.messages import Answers
from experiment.online.recruiters.recruiter import Arrival, Completion
from experiment.online.refusals import NotOpen
from experiment.online.reservations import Tally, next_list

THREADS = 16


def shown(list_id: str, quota: int) -> ShownList:
    return ShownList(list_id, "fragile", "free", (), (), quota)


def test_the_next_list_is_drawn_among_those_with_fewest_taken_places() -> None:
    lists = [shown("a", 2), shown("b", 2), shown("c", 9)]

    def chosen(**taken: tuple[int, int]) -> set[str | None]:
        tallied = {
            one.list_id: Tally(one.list_id, one.quota, counted=taken[one.list_id][0], active=taken[one.list_id][1])
            for one in lists
        }
        draws = [next_list(lists, tallied, np.random.default_rng(seed)) for seed in range(40)]
        return {found.list_id if found else None for found in draws}

    assert chosen(a=(0, 0), b=(0, 0), c=(0, 0)) == {"a", "b", "c"}
    assert chosen(a=(0, 1), b=(0, 0), c=(0, 0)) == {"b", "c"}
    assert chosen(a=(1, 1), b=(2, 0), c=(5, 1)) == {"c"}
    assert chosen(a=(2, 0), b=(0, 2), c=(9, 0)) == {None}


def test_groups_fill_evenly_and_not_in_turns(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path, per_list=20)
    with Crowd.open(study, folder, now_ms=Clock()) as crowd:
        groups = []
        for number in range(24):
            joined = crowd.join("link", Arrival(f"w{number}"), "en").result(60)
            groups.append(joined.session_state.list_id)
            taken = [tally.taken for tally in crowd.counts().values()]
            assert max(taken) - min(taken) <= 1
    assert groups[::2] != [groups[0]] * 12


class People:
    """Threads full of people who finish, cheat, drop out, and some of whom come back when their place is gone."""

    def __init__(self, crowd: Crowd, clock: Clock) -> None:
        self.crowd, self.clock = crowd, clock
        self.lock = threading.Lock()
        self.number = 0
        self.away: list[str] = []
        self.problems: list[BaseException] = []

    def new(self) -> str:
        with self.lock:
            self.number += 1
            return f"w{self.number}"

    def all_counted(self) -> bool:
        return all(tally.counted >= tally.quota for tally in self.crowd.counts().values())

    def come(self, chance: random.Random) -> None:
        try:
            while not self.all_counted():
                if self.away and chance.random() < 0.3:
                    with self.lock:
                        name = self.away.pop() if self.away else self.new()
                    self.take_part(name, chance, drop_out=0.0)
                else:
                    self.take_part(self.new(), chance, drop_out=0.15)
        except BaseException as problem:
            self.problems.append(problem)
            raise

    def take_part(self, name: str, chance: random.Random, drop_out: float) -> None:
        future = self.crowd.join("simulated", Arrival(name), "en")
        closed = future.exception()
        if isinstance(closed, NotOpen):
            assert closed.kind in ("full", "finished")
            if chance.random() < 0.5:
                self.clock.move(91)  # whoever dropped out lapses
            return
        came = future.result()
        if chance.random() < drop_out:
            with self.lock:
                self.away.append(name)
            return
        rt_ms = 50.0 if chance.random() < 0.1 else 700.0  # too fast for a person: excluded
        answers = answers_to(self.crowd, came.session_state, rt_ms=rt_ms)
        self.crowd.hold(came.token, Answers(answers=answers)).result()
        self.crowd.finish(came.token, "", lambda code: Completion("code", code=code)).result()


@pytest.mark.parametrize("seed", [1])
def test_of_twenty_groups_of_twenty_exactly_four_hundred_count(tmp_path: Path, seed: int) -> None:
    clock = Clock()
    study, folder = crop_study(
        tmp_path, n_pairs=10, blocks=10, per_list=20, practice=0, attention_every=None, pairs_of_each=1
    )
    with Crowd.open(study, folder, now_ms=clock) as crowd:
        people = People(crowd, clock)
        threads = [threading.Thread(target=people.come, args=(random.Random(f"{seed}/{k}"),)) for k in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not people.problems
        tallies = [*crowd.counts().values()]
        assert len(tallies) == 20
        assert [tally.counted for tally in tallies] == [20] * 20
        assert sum(tally.counted for tally in tallies) == 400
        assert all(tally.finished == tally.counted + tally.excluded + tally.surplus for tally in tallies)
        assert sum(tally.excluded for tally in tallies) > 0
        for name in people.away:  # whoever comes back now goes on, and does not count
            people.take_part(name, random.Random(0), drop_out=0.0)
        assert [tally.counted for tally in crowd.counts().values()] == [20] * 20
        assert crowd.openness() == "full"
