"""A crowd against the real server: quotas exact, cheats do not count, nothing acknowledged is lost or stored twice."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from online_study import Clock, crop_study, set_study

from experiment.online.crowd import Crowd
from experiment.online.items import items_of
from experiment.online.limits import Gate, Limits
from experiment.online.messages import MOST_BYTES
from experiment.online.recruiters.recruiter import Refused
from experiment.online.simulated_crowd import Line, Rehearsed, Simulated, SimulatedClock, in_thread, play, rehearse
from experiment.online.simulated_page import Ask, Ending, Eyes, Page, Reply
from experiment.online.simulated_people import Kind, Truth, crowd_of
from experiment.online.simulated_visits import visit
from experiment.online.tokens import sha256_of_token
from protocols.folder import StudyFolder, open_folder, read_json
from protocols.problems import FoolscanError
from protocols.study import Study

EASY = Truth(ease={"fragile": 6.0, "altered": 6.0, "RE": 6.0, "AN": -3.0, "AI": 3.0}, lapse=0.0)


@dataclass(frozen=True)
class Played:
    """A crowd that was played, and where."""

    study: Study
    folder: StudyFolder
    done: Rehearsed

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Of the database as it lies there."""
        assert self.study.online is not None
        path = self.folder.derived("online") / f"{self.study.online.task}.sqlite3"
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(sql).fetchall()

    def answers(self) -> dict[tuple[str, int], dict[str, Any]]:
        """What the database holds, by hash of the last token and trial."""
        sql = "select s.token_sha256, r.trial, r.content from responses r join sessions s on s.session = r.session"
        return {(token, trial): json.loads(content) for token, trial, content in self.rows(sql) if content is not None}

    def of(self, kind: Kind) -> list[Ending]:
        """Endings of people of a kind."""
        return [ending for ending in self.done.endings if ending.person.kind == kind]


def played(
    where: Path, shares: Mapping[Kind, float], *, people: int, truth: Truth = EASY, seed: int = 3, **design: Any
) -> Played:
    where.mkdir(exist_ok=True)
    study, folder = crop_study(where, **{"n_pairs": 8, "practice": 2, "attention_every": 4, "per_list": 100, **design})
    folder = open_folder(folder.root, study.title, rehearsal=True)
    return Played(study, folder, rehearse(study, folder, people=people, shares=shares, seed=seed, truth=truth))


def lost(crowd: Played) -> list[tuple[str, int]]:
    """What was acknowledged, and is not in the database as it was answered."""
    held = crowd.answers()
    return [
        (ending.person.raw_id, trial)
        for ending in crowd.done.endings
        for trial, answer in ending.acknowledged.items()
        if ending.token is None or held.get((sha256_of_token(ending.token), trial), {}).get("given") != answer["given"]
    ]


def doubled(crowd: Played) -> list[tuple[Any, ...]]:
    """Trials of which the database holds two answers."""
    return crowd.rows("select session, trial, count(*) from responses group by session, trial having count(*) > 1")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Some of every kind but those who have their answers erased."""
    shares: dict[Kind, float] = {
        "honest": 6, "cheat": 2, "one_answer": 1, "drop_out": 2, "again": 2, "two_ids": 2, "reloader": 3, "two_tabs": 2, "flaky": 4
    }  # fmt: skip
    return played(tmp_path_factory.mktemp("mixed"), shares, people=24)


def test_whatever_people_and_networks_do_nothing_acknowledged_is_lost_and_nothing_is_stored_twice(
    mixed: Played,
) -> None:
    assert mixed.done.oddities == ()
    assert mixed.done.acknowledged > 200
    assert lost(mixed) == []
    assert doubled(mixed) == []
    statuses = sum((Counter(ending.statuses) for ending in mixed.of("flaky")), Counter[str]())
    assert statuses["answers no reply"] > 10  # the network did lose something


def test_whoever_was_away_for_long_sends_no_more_at_once_than_the_server_takes() -> None:
    long = [{"trial": trial, "frames_ms": [1234567.89] * 999} for trial in range(1, 31)]
    outbox = {answer["trial"]: answer for answer in long}
    page = SimpleNamespace(outbox=outbox)
    sent = []
    while outbox:
        batch = Page.batch(page)  # type: ignore[arg-type]
        assert 0 < len(json.dumps(batch)) < MOST_BYTES
        sent += [outbox.pop(answer["trial"]) for answer in batch]
    assert sent == long


def test_answers_tell_of_every_frame_as_the_pages_do(mixed: Played) -> None:
    shown = [answer["shown"] for answer in mixed.answers().values() if answer["shown"]]
    assert len(shown) > 100
    for one in shown:  # the image stood until the answer
        assert one["asked_ms"] is None
        assert len(one["frames_ms"]) == min(one["n_frames"] + 1, 1000)
        assert (one["frames_ms"][0], one["frames_ms"][-1]) == (one["onset_ms"], one["offset_ms"])


@pytest.mark.parametrize("kind", ["honest", "again", "two_ids", "reloader", "two_tabs", "flaky"])
def test_who_goes_on_comes_to_the_end(mixed: Played, kind: Kind) -> None:
    for ending in mixed.of(kind):
        assert ending.end == "completed"
        assert ending.completion is not None
        assert ending.completion["kind"] == "code"
        assert set(ending.acknowledged) == set(range(1, ending.n_trials + 1))


def test_the_same_identifier_twice_is_one_session(mixed: Played) -> None:
    assert mixed.rows("select count(*), count(distinct worker) from sessions") == [(24, 24)]
    assert {ending.statuses["join 201"] for ending in mixed.of("again")} == {2}  # in mid-session, with a new token
    assert {ending.statuses["join 409"] for ending in mixed.of("again")} == {1}  # after the end
    assert {ending.statuses["answers 401"] for ending in mixed.of("two_tabs")} == {
        1
    }  # the tab that another took over from


def test_cheats_do_not_count_and_honest_people_do(mixed: Played) -> None:
    of_raw = dict(mixed.rows("select raw_id, excluded_for from payments p join sessions s on s.worker = p.worker"))
    for ending in mixed.done.endings:
        excluded = of_raw[ending.person.raw_id]
        if ending.person.kind in ("cheat", "one_answer"):
            assert excluded is not None
        elif ending.end == "completed":
            assert excluded is None, ending.person
    assert mixed.rows("select count(*) from sessions where counted and excluded_for is not null") == [(0,)]


def test_cheats_fill_no_quota_and_quotas_are_exact(tmp_path: Path) -> None:
    crowd = played(tmp_path, {"honest": 2, "cheat": 1}, people=30, per_list=5)
    for tally in crowd.done.counts.values():
        assert (tally.counted, tally.surplus, tally.active) == (5, 0, 0)
        assert tally.finished == tally.counted + tally.excluded
    assert sum(tally.excluded for tally in crowd.done.counts.values()) > 0
    assert crowd.done.ends["honest", "completed"] == 10
    assert crowd.done.ends["honest", "full"] == 10


def test_places_of_those_who_drop_out_are_free_again_after_their_lease(tmp_path: Path) -> None:
    crowd = played(tmp_path, {"honest": 1, "drop_out": 1}, people=40, per_list=4, more="  lease_minutes: 30\n")
    assert crowd.done.ends["drop_out", "dropped"] > 0
    for tally in crowd.done.counts.values():
        assert tally.counted == 4
    assert crowd.done.oddities == ()


def test_before_its_lease_has_run_out_a_place_is_kept(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path, per_list=1, more="  lease_minutes: 30\n")
    clock = Clock()
    assert study.online is not None
    people = crowd_of(5, 1, {"drop_out": 1.0})
    eyes = Eyes.of(study.online, EASY, items_of(study.online, folder), folder)

    def came(app_port: int, number: int) -> str:
        line, ending = Line("127.0.0.1", app_port), Ending(people[number])
        try:
            moved = SimulatedClock(0)
            play([(0.0, visit(people[number], eyes, moved.now_s, ending=ending))], line.ask, moved)
        finally:
            line.close()
        return ending.end

    from experiment.online.assets import read_assets
    from experiment.online.server import participant_app

    with (
        Crowd.open(study, folder, now_ms=clock) as crowd,
        read_assets(items_of(study.online, folder), folder) as assets,
    ):
        gate = Gate(Limits(), lambda: 0.0)
        app = participant_app(crowd, study, folder, {"simulated": Simulated()}, assets=assets, vendored={}, gate=gate)
        with in_thread(app) as port:
            assert [came(port, 0), came(port, 1)] == ["dropped", "dropped"]
            assert came(port, 2) == "full"
            clock.move(29)
            assert came(port, 2) == "full"
            clock.move(2)
            assert came(port, 2) == "dropped"


def test_who_withdraws_leaves_a_place_and_where_asked_no_answer(tmp_path: Path) -> None:
    crowd = played(tmp_path, {"withdraw": 1}, people=6)
    assert crowd.done.ends == {("withdraw", "withdrawn"): 6}
    assert crowd.done.oddities == ()
    left = dict(
        crowd.rows(
            "select p.raw_id, count(r.content) from payments p join sessions s on s.worker = p.worker "
            "left join responses r on r.session = s.session where p.raw_id is not null group by p.raw_id"
        )
    )
    for ending in crowd.done.endings:
        if ending.person.number % 2:
            assert left[ending.person.raw_id] == len(ending.acknowledged)
        else:
            assert left.get(ending.person.raw_id, 0) == 0
    assert sum(tally.counted + tally.active for tally in crowd.done.counts.values()) == 0


def test_the_same_seed_gives_the_same_answers(tmp_path: Path) -> None:
    shares: dict[Kind, float] = {"honest": 2, "flaky": 2, "two_tabs": 1, "cheat": 1, "drop_out": 1}
    one, same, other = (
        played(tmp_path / name, shares, people=10, truth=Truth(), seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )

    def given(crowd: Played) -> list[Any]:
        return [(ending.person, ending.end, ending.acknowledged) for ending in crowd.done.endings]

    assert given(one) == given(same)
    assert given(one) != given(other)
    sql = "select trial, content, received_ms - (select min(received_ms) from responses) from responses order by place"
    assert one.rows(sql) == same.rows(sql)  # to the order in which the server got them, and the millisecond


def test_a_rehearsal_run_again_goes_on_and_adds_nothing_of_those_who_have_finished(tmp_path: Path) -> None:
    first = played(tmp_path, {"honest": 3, "drop_out": 1}, people=8)
    again = rehearse(first.study, first.folder, people=8, shares={"honest": 1.0}, seed=3, truth=EASY)
    ends = Counter(ending.end for ending in again.endings)
    assert ends == {"finished": 6, "completed": 2}  # who had dropped out went on
    assert again.oddities == ()
    assert doubled(first) == []


def test_people_see_sets_and_type_names_and_the_forced_condition_offers_no_nothing(tmp_path: Path) -> None:
    study, folder = set_study(tmp_path, per_list=2)
    folder = open_folder(folder.root, study.title, rehearsal=True)
    done = rehearse(study, folder, people=14, shares={"honest": 1.0}, seed=2, truth=EASY)
    assert done.oddities == ()
    assert {tally.counted for tally in done.counts.values()} == {2}
    given = [given for ending in done.endings for answer in ending.acknowledged.values() for given in answer["given"]]
    assert {one["question"] for one in given} == {"animal", "name", "confidence"}
    assert any(one["typed"] for one in given)
    assert any(one["value"] == "nothing" for one in given)


def test_what_is_rehearsed_is_marked_and_people_are_not_recorded_beside_it(mixed: Played) -> None:
    assert read_json(mixed.folder.root / "dataset_description.json")["Simulated"] is True
    with pytest.raises(FoolscanError, match="simulated"):
        open_folder(mixed.folder.root, mixed.study.title, rehearsal=False)
    assert {recruiter for (recruiter,) in mixed.rows("select recruiter from workers")} == {"simulated"}


def test_a_recruiter_of_simulated_people_takes_simulated_people_alone() -> None:
    assert Simulated().arrived({"participant": "sim0001"}).raw_id == "sim0001"
    for query in ({}, {"participant": "A1B2"}, {"participant": "<b>"}, {"participant": "sim" + "1" * 40}):
        with pytest.raises(Refused):
            Simulated().arrived(query)


def test_a_server_that_loses_what_it_acknowledged_is_found_out(mixed: Played, tmp_path: Path) -> None:
    """The crowd is no use if it would not notice: here the last answer is forgotten behind everybody's back."""
    root = tmp_path / "forgetful"
    shutil.copytree(mixed.folder.root, root)
    forgetful = Played(mixed.study, StudyFolder(root), mixed.done)
    path = next(forgetful.folder.derived("online").glob("*.sqlite3"))
    with closing(sqlite3.connect(path)) as connection:
        for (name,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            connection.execute(f'drop trigger "{name}"')
        connection.execute("delete from responses where place = (select max(place) from responses)")
        connection.commit()
    assert len(lost(forgetful)) == 1


def test_a_page_notices_a_server_that_holds_fewer_trials_than_it_said(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    assert study.online is not None
    eyes = Eyes.of(study.online, EASY, items_of(study.online, folder), folder)
    images = iter([(folder.stimuli / item.file).read_bytes() for item in items_of(study.online, folder)])
    (person,) = crowd_of(1, 1, {"honest": 1.0})
    trials = [{"number": k, "kind": "main", "asset": f"a{k}", "rest": False, "text": None} for k in (1, 2, 3)]
    question = {"name": "thing", "kind": "choice", "options": [{"value": "birds", "label": "bird"}]}
    session = {
        "trials": trials, "questions": [question], "held": 0, "state": "active", "practice": None,
        "showing": {"fixation_s": 0.1, "image_s": None},
    }  # fmt: skip
    held = iter([0, 1, 0, 1])

    def ask(asked: Ask) -> Reply:
        what = asked.path.split("?")[0].split("/")[0]
        if what == "asset":
            return Reply(200, next(images))
        said: dict[str, Any] = {
            "welcome": {"information": [], "consent": [], "language": "en"},
            "join": {"token": "t"},
            "session": session,
            "answers": {"held": next(held, 1)} if what == "answers" else {},
        }[what]
        return Reply(201 if what == "join" else 200, json.dumps(said).encode())

    clock, ending = SimulatedClock(0), Ending(person)
    play([(0.0, visit(person, eyes, clock.now_s, ending=ending))], ask, clock)
    assert any("held 1 trials, and now says 0" in odd for odd in ending.oddities)
