"""Whatever people do in whatever order: no quota is exceeded, what was acknowledged is held, and the chain is whole."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from online_study import Clock, answers_to, crop_study
from sqlalchemy import select

from experiment.online import chain, replay, tables
from experiment.online.crowd import Crowd
from experiment.online.messages import Answers
from experiment.online.recruiters.recruiter import Arrival, Completion
from experiment.online.refusals import Incomplete, NotOpen, OutOfOrder, UnknownToken
from experiment.online.tokens import sha256_of_token

QUOTA = 2
names = st.sampled_from([f"w{number}" for number in range(9)])


class Participation(RuleBasedStateMachine):
    """People by name, what each was told, and the crowd beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.study, self.folder = crop_study(self.root, n_pairs=2, per_list=QUOTA, attention_every=2)
        self.crowd = Crowd.open(self.study, self.folder, now_ms=self.clock)
        self.tokens: dict[str, str] = {}
        self.void: list[str] = []
        self.told: dict[str, int] = {}  # name -> trials that were acknowledged
        self.ended: dict[str, str] = {}

    def teardown(self) -> None:
        self.crowd.close()
        shutil.rmtree(self.root)

    @rule(name=names)
    def joins(self, name: str) -> None:
        before = self.crowd.counts()
        future = self.crowd.join("link", Arrival(name), "en")
        closed = future.exception()
        if isinstance(closed, NotOpen):
            if name in self.ended:
                assert closed.kind == self.ended[name]
            else:
                assert name not in self.tokens
                assert closed.kind in ("full", "paused")
                if closed.kind == "full":
                    assert all(tally.taken >= tally.quota for tally in before.values())
            return
        came = future.result()
        assert name not in self.ended
        if name in self.tokens:
            self.void.append(self.tokens[name])
        self.tokens[name] = came.token
        assert came.session_state.held == self.told.setdefault(name, 0)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), n=st.integers(1, 6), right=st.booleans())
    def answers(self, data: st.DataObject, n: int, right: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.tokens)))
        state = self.crowd.state(self.tokens[name])
        answers = answers_to(self.crowd, state, right=right)[:n]
        future = self.crowd.hold(self.tokens[name], Answers(answers=answers))
        if self.ended.get(name) == "withdrawn":
            assert isinstance(future.exception(), NotOpen)
            return
        assert future.result().held == state.held + len(answers)
        self.told[name] += len(answers)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def skips_a_trial(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.tokens)))
        answers = answers_to(self.crowd, self.crowd.state(self.tokens[name]))[1:2]
        if answers:
            error = self.crowd.hold(self.tokens[name], Answers(answers=answers)).exception()
            assert isinstance(error, OutOfOrder | NotOpen)

    @precondition(lambda self: self.void)
    @rule(data=st.data())
    def an_old_page_tries_again(self, data: st.DataObject) -> None:
        token = self.void[data.draw(st.integers(0, len(self.void) - 1))]
        assert isinstance(self.crowd.hold(token, Answers()).exception(), UnknownToken)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def finishes(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.tokens)))
        n_trials = len(self.crowd.state(self.tokens[name]).plan.trials)
        future = self.crowd.finish(self.tokens[name], "", lambda code: Completion("code", code=code))
        error = future.exception()
        if self.ended.get(name) == "withdrawn":
            assert isinstance(error, NotOpen)
        elif self.told[name] < n_trials:
            assert isinstance(error, Incomplete)
        else:
            assert error is None
            self.ended[name] = "finished"

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), erase=st.booleans())
    def withdraws(self, data: st.DataObject, erase: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.tokens)))
        self.crowd.withdraw(self.tokens[name], erase).result()
        self.ended[name] = "withdrawn"

    @rule(minutes=st.sampled_from([1, 60, 91]))
    def time_passes(self, minutes: int) -> None:
        self.clock.move(minutes)

    @rule(paused=st.booleans())
    def is_paused(self, paused: bool) -> None:
        self.crowd.pause(paused).result()

    @rule()
    def the_server_starts_again(self) -> None:
        self.crowd.close()
        self.crowd = Crowd.open(self.study, self.folder, now_ms=self.clock)

    @invariant()
    def no_quota_is_exceeded(self) -> None:
        for tally in self.crowd.counts().values():
            assert tally.counted <= QUOTA

    @invariant()
    def what_was_acknowledged_is_held_once_and_in_order(self) -> None:
        # not by `state`, which is a sign of life and keeps places
        sessions, responses = tables.sessions, tables.responses
        stored = self.crowd.read(
            lambda c: c.execute(select(responses.c.session, responses.c.trial).order_by(responses.c.place)).all()
        )
        rows = {row.token_sha256: row for row in self.crowd.read(lambda c: c.execute(select(sessions)).all())}
        for name, token in self.tokens.items():
            row = rows[sha256_of_token(token)]
            assert row.n_held == self.told[name]
            assert [trial for session, trial in stored if session == row.session] == [*range(1, row.n_held + 1)]

    @invariant()
    def the_chain_is_whole_and_every_assignment_replays(self) -> None:
        order = select(tables.responses).order_by(tables.responses.c.place)
        rows = self.crowd.read(lambda c: c.execute(order).all())
        erased = self.crowd.read(lambda c: c.execute(select(tables.erased.c.place)).scalars().all())
        assert chain.first_break(rows, erased) is None
        design = self.crowd.design
        lists = {shown.list_id: shown for shown in design.lists}
        assert not self.crowd.read(lambda c: replay.differences(c, design.plan, lists, design.items, design.seed))


TestParticipation = Participation.TestCase
TestParticipation.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # every step waits for a disk: shrinking takes an hour
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
