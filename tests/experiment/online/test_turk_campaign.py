"""Campaigns on Mechanical Turk, through the real boto3 against the stand-in: ordered once, paid once, cut off anywhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from turk_stand_in import Fault, NotAllowed, TurkStandIn
from turk_study import ADDRESS, Turking, turk_study, turking, with_keys

from experiment.online.recruiters import turk_campaign, turk_client, turk_pay
from experiment.online.recruiters.ledger import Ledger, OverCap
from experiment.online.recruiters.turk_client import TurkApi, TurkUnclear
from experiment.online.tables import ledger as ledger_table
from protocols.problems import FoolscanError

BONUS = ", bonus_usd: 0.5"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_keys(monkeypatch, tmp_path)
    monkeypatch.setattr("time.sleep", lambda s: None)  # botocore's backoff


@pytest.fixture
def turked(tmp_path: Path) -> Iterator[Turking]:
    with turking(tmp_path) as found:
        yield found


def operations(turked: Turking) -> list[str]:
    return [operation for operation, _ in turked.turk.calls]


# --- ordering


def test_the_wanted_places_come_as_hits_of_nine_at_most(turked: Turking):
    turked.open()
    assert turked.turk.totals["hits"] == [3, 9]  # 2 lists x 6
    assert turked.campaign.ledger.committed_cents() == 12 * 120
    assert turk_campaign.missing_places(turked.campaign) == 0


def test_opening_again_orders_nothing(turked: Turking):
    turked.open()
    turked.open()
    assert turked.turk.totals["hits"] == [3, 9]


def test_a_pilot_is_opened_first_and_topped_up(turked: Turking):
    turked.open(places=2)
    assert turked.turk.totals["hits"] == [2]
    turked.open(more=True)
    assert turked.turk.totals["hits"] == [1, 2, 9]


def test_topping_up_replaces_who_did_not_count_and_who_never_came(turked: Turking):
    turked.open()
    turked.take_part("good")
    gone = turked.turk.now_s
    assert turk_campaign.missing_places(turked.campaign) == 0
    turked.turk.advance(days=8)  # the HITs have expired: 11 places were never taken
    assert turked.turk.now_s > gone
    assert turk_campaign.missing_places(turked.campaign) == 11
    assert turked.campaign.ledger.committed_cents() == 12 * 120
    assert turk_campaign.release_expired(turked.campaign) == 11 * 120
    assert turk_campaign.release_expired(turked.campaign) == 0
    assert turked.campaign.ledger.committed_cents() == 120
    turked.open(more=True, most_cents=12 * 120)
    assert turked.turk.totals["hits"] == [2, 3, 9, 9]


def test_a_hit_says_what_the_study_says(tmp_path: Path):
    more = ", keywords: [a & b, <c>], countries: [US, DE], approved_pct: 95, approved_count: 100, minutes_allowed: 30"
    with turking(tmp_path, per_list=1, mturk=more) as turked:
        turk_campaign.place(
            turked.campaign, turk_campaign.order(turked.campaign, more=False), ADDRESS + "?a=1&b=2", most_cents=None
        )
        (hit,) = turked.turk.hits.values()
        assert hit["Keywords"] == "a & b, <c>"
        assert hit["Reward"] == "1.00"
        assert hit["AssignmentDurationInSeconds"] == 1800
        assert "?a=1&amp;b=2<" in hit["Question"]
        assert "<FrameHeight>0<" in hit["Question"]
        offered = turked.turk.offered
        assert offered(turked.turk.somebody("german", country="DE"))
        assert not offered(turked.turk.somebody("french", country="FR"))
        assert not offered(turked.turk.somebody("new", approved_count=3))
        assert not offered(turked.turk.somebody("careless", approved_pct=90))


def test_the_sandbox_asks_for_no_history(tmp_path: Path):
    with turking(tmp_path, per_list=1, live=False, mturk=", countries: [US], approved_count: 1000") as turked:
        turked.open()
        assert turked.turk.offered(turked.turk.somebody("me", country="FR", approved_count=0))


def test_who_took_part_is_offered_no_other_hit(turked: Turking):
    turked.open()
    worker, _ = turked.take_part("anna")
    assert len(turked.turk.offered(worker)) == 1  # the other HIT: split HITs alone let a worker repeat
    assert turk_campaign.qualify_everybody(turked.campaign) == (1, 0)
    assert turked.turk.offered(worker) == []
    assert turk_campaign.qualify_everybody(turked.campaign) == (0, 0)
    with pytest.raises(NotAllowed, match="not qualified"):
        turked.turk.accept(worker, [*turked.turk.hits][-1])


def test_an_id_that_amazon_does_not_know_is_tried_once(turked: Turking):
    turked.open()
    turked.join("AFORGED000000", *turked.accept("real")[1:])
    assert turk_campaign.qualify_everybody(turked.campaign) == (0, 1)
    calls = len(turked.turk.calls)
    assert turk_campaign.qualify_everybody(turked.campaign) == (0, 1)
    assert len(turked.turk.calls) == calls


# --- money


def test_nothing_is_ordered_beyond_the_cap(turked: Turking):
    with pytest.raises(OverCap, match=r"found \$14.39; with this the whole comes to \$14.40"):
        turked.open(most_cents=1439)
    assert turked.turk.hits == {}
    assert turked.campaign.ledger.entries() == []
    turked.open(most_cents=1440)
    assert turked.turk.totals["hits"] == [3, 9]


def test_the_cap_holds_the_bonuses_that_were_promised(tmp_path: Path):
    with turking(tmp_path, per_list=1, mturk=BONUS) as turked:
        with pytest.raises(OverCap):
            turked.open(most_cents=2 * (120 + 60) - 1)
        turked.open(most_cents=2 * (120 + 60))


def test_the_cap_holds_what_was_bound_before(turked: Turking):
    turked.open(places=9, most_cents=1200)
    with pytest.raises(OverCap):
        turked.open(more=True, most_cents=1200)
    assert turked.turk.totals["hits"] == [9]


def test_an_account_with_too_little_is_refused_before_anything_is_done(tmp_path: Path):
    with turking(tmp_path, turk=TurkStandIn(balance_cents=1439)) as turked:
        with pytest.raises(FoolscanError, match=r"found \$14.39, \$14.40 needed"):
            turked.open()
        assert turked.campaign.ledger.entries() == []


def test_closing_gives_back_what_nobody_took_and_those_under_way_may_finish(turked: Turking):
    turked.open()
    worker, hit, assignment = turked.accept("late")
    token = turked.join(worker, hit, assignment)
    assert turk_campaign.close(turked.campaign) == (2, 11 * 120)
    assert turked.campaign.ledger.committed_cents() == 120
    assert turked.turk.offered(turked.turk.somebody("later")) == []
    turked.turk.submit(assignment, turked.finish(token, worker, hit, assignment))
    assert turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign)).now == 1
    assert turk_campaign.close(turked.campaign) == (0, 0)


def test_people_of_the_sandbox_and_of_the_site_do_not_share_a_folder(tmp_path: Path):
    with turking(tmp_path, live=False) as turked:
        turked.open()
        turked.take_part("tester")
        live = replace(turked.campaign, environment=turk_client.LIVE)
        with pytest.raises(FoolscanError, match="found 1 people from the sandbox"):
            turk_campaign.place(live, turk_campaign.order(live, more=False), ADDRESS, most_cents=10_000)


# --- paying


def test_everybody_who_finished_is_paid_once_counted_or_not(turked: Turking):
    turked.open()
    paid = sorted([turked.take_part("anna")[0], turked.take_part("ben")[0]])
    for _ in range(3):
        turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign))
    assert turked.turk.totals["approved"] == paid
    assert (turked.turk.paid_cents, turked.turk.fees_cents) == (200, 40)


def test_the_excluded_are_paid_all_the_same(tmp_path: Path):
    with turking(tmp_path, per_list=1) as turked:
        turked.open()
        token = turked.join(*(ids := turked.accept("hasty")))
        from online_study import answers_to

        from experiment.online.messages import Answers

        answers = answers_to(turked.crowd, turked.crowd.state(token), rt_ms=20.0)
        turked.crowd.hold(token, Answers(answers=answers)).result()
        turked.turk.submit(ids[2], turked.finish(token, *ids))
        found = turk_pay.reconcile(turked.campaign)
        assert found.due[0].excluded_for is not None
        assert turk_pay.approve(turked.campaign, found).now == 1
        assert turk_campaign.missing_places(turked.campaign) == 1  # and the place is another's


def test_ids_in_an_address_pay_nobody_by_themselves(turked: Turking):
    turked.open()
    # submits at once and comes with nothing: no session
    _, _, lazy_work = turked.accept("lazy")
    turked.turk.submit(lazy_work, {"assignmentId": lazy_work, "code": "0000-0000-0000-0000"})
    # begins, and submits without finishing
    early = turked.accept("early")
    turked.join(*early)
    turked.turk.submit(early[2], {"assignmentId": early[2], "code": ""})
    # somebody else finishes under the ids of `victim`, who submits without having seen anything
    victim = turked.accept("victim")
    turked.finish(turked.join(*victim), *victim)
    turked.turk.submit(victim[2], {"assignmentId": victim[2], "code": "7QK2-M1ZD-0F9A-X3TB"})
    # finished under ids that are nobody's
    turked.finish(turked.join("AFORGED000000", "3HIT", "3ASG"), "AFORGED000000", "3HIT", "3ASG")
    # two submissions of one person: the second HIT was open to who had no qualification yet
    twice = turked.take_part("twice")[0]
    second_hit = turked.turk.offered(twice)[0]
    second = turked.turk.accept(twice, second_hit)
    fields = {"assignmentId": second, "code": "again"}
    turked.turk.submit(second, fields)

    found = turk_pay.reconcile(turked.campaign)
    assert [one.work.worker_id for one in found.due] == [twice]
    kinds = {one.kind: one.assignment for one in found.troubles if one.kind != "wrong_code"}
    assert kinds == {"without_session": lazy_work, "unfinished": early[2], "not_submitted": None}
    wrong = {one.assignment for one in found.troubles if one.kind == "wrong_code"}
    assert wrong == {victim[2], second}
    turk_pay.approve(turked.campaign, found)
    assert turked.turk.totals["approved"] == [twice]
    assert "RejectAssignment" not in operations(turked)
    # a person has looked into it, and pays one of them
    for _ in range(2):
        turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign), also=[victim[2]])
    assert turked.turk.totals["approved"] == sorted([twice, victim[0]])
    with pytest.raises(FoolscanError, match="--also: found 3NOTHING"):
        turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign), also=["3NOTHING"])


def test_a_second_submission_with_the_same_code_is_not_paid_by_itself(turked: Turking):
    turked.open()
    worker, hit, assignment = turked.accept("twice")
    form = turked.finish(turked.join(worker, hit, assignment), worker, hit, assignment)
    turked.turk.submit(assignment, form)
    other = turked.turk.accept(worker, turked.turk.offered(worker)[0])
    turked.turk.submit(other, {**form, "assignmentId": other})
    for _ in range(2):
        found = turk_pay.reconcile(turked.campaign)
        assert [one.kind for one in found.troubles] == ["second"]
        turk_pay.approve(turked.campaign, found)
    assert turked.turk.totals["approved"] == [worker]


def test_an_assignment_that_was_returned_and_taken_by_another_is_the_others(turked: Turking):
    turked.open()
    first = turked.accept("first")
    turked.join(*first)
    turked.turk.give_back(first[2])
    worker, assignment = turked.take_part("second")
    assert assignment == first[2]  # Amazon gives the id again
    turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign))
    assert turked.turk.totals["approved"] == [worker]


def test_who_returned_a_hit_and_finished_with_another_is_paid(turked: Turking):
    turked.open()
    worker, hit, assignment = turked.accept("returning")
    token = turked.join(worker, hit, assignment)
    turked.turk.give_back(assignment)
    hit = turked.turk.offered(worker)[-1]
    assignment = turked.turk.accept(worker, hit)
    turked.turk.submit(assignment, turked.finish(token, worker, hit, assignment))
    assert turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign)).now == 1


def test_who_had_everything_erased_is_still_owed_the_money(turked: Turking):
    from sqlalchemy import update

    from experiment.online.tables import payments

    turked.open()
    worker, _ = turked.take_part("gone")
    gone = {"raw_id": None, "assignment": None, "hit": None, "code_sha256": None}
    turked.crowd.write(lambda connection: connection.execute(update(payments).values(gone)).rowcount).result()
    assert turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign)).now == 1
    assert turked.turk.totals["approved"] == [worker]


def test_what_amazon_approved_by_itself_is_not_paid_again_and_gets_its_bonus(tmp_path: Path):
    with turking(tmp_path, mturk=BONUS) as turked:
        turked.open()
        worker, _ = turked.take_part("anna")
        turked.turk.advance(days=4)
        assert turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign)) == turk_pay.Paid(0, 1, ())
        for _ in range(2):
            turk_pay.bonus(turked.campaign, turk_pay.reconcile(turked.campaign), most_cents=None)
        assert turked.turk.totals["bonuses"] == [(worker, "0.50")]


def test_rejected_by_hand_is_a_problem_and_stays_one(turked: Turking):
    turked.open()
    _, assignment = turked.take_part("anna")
    turked.turk.work[assignment].status = "Rejected"
    found = turk_pay.reconcile(turked.campaign)
    assert [one.kind for one in found.troubles] == ["rejected"]
    assert turk_pay.approve(turked.campaign, found) == turk_pay.Paid(0, 0, ())


def test_bonuses_keep_to_the_cap_and_the_account(tmp_path: Path):
    with turking(tmp_path, per_list=1, mturk=BONUS) as turked:
        turked.open()
        turked.take_part("anna")
        turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign))
        found = turk_pay.reconcile(turked.campaign)
        with pytest.raises(OverCap):
            turk_pay.bonus(turked.campaign, found, most_cents=2 * 120 + 59)
        assert turked.turk.bonuses == []
        turked.turk.balance_cents = 120 + 59  # of which 120 are held for the other place
        with pytest.raises(FoolscanError, match="needed"):
            turk_pay.bonus(turked.campaign, found, most_cents=None)
        turked.turk.balance_cents += 1
        assert turk_pay.bonus(turked.campaign, found, most_cents=2 * 120 + 60).now == 1


def test_a_study_without_a_bonus_pays_none(turked: Turking):
    with pytest.raises(FoolscanError, match="bonus_usd: found 0"):
        turk_pay.bonus(turked.campaign, turk_pay.Reconciled((), ()), most_cents=None)


def test_lists_of_many_pages_are_read_to_their_end(tmp_path: Path):
    with turking(tmp_path, turk=TurkStandIn(page_size=1)) as turked:
        turked.open()
        paid = sorted(turked.take_part(name)[0] for name in ("a", "b", "c"))
        assert turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign)).now == 3
        assert turked.turk.totals["approved"] == paid


def test_no_raw_id_of_a_worker_is_in_the_ledger(tmp_path: Path):
    with turking(tmp_path, mturk=BONUS) as turked:
        turked.open()
        workers = [turked.take_part(name)[0] for name in ("anna", "ben")]
        turked.join("AFORGED000000", "3HIT", "3ASG")
        turk_campaign.qualify_everybody(turked.campaign)
        turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign))
        turk_pay.bonus(turked.campaign, turk_pay.reconcile(turked.campaign), most_cents=None)
        with turked.campaign.reading.begin() as connection:
            rows = repr(connection.execute(ledger_table.select()).all())
        assert rows.count("bonus") >= 2
        assert not any(worker in rows for worker in [*workers, "AFORGED000000"])
        assert not any(worker in repr(turk_pay.reconcile(turked.campaign)) for worker in workers)


# --- cut off anywhere, answers lost


class Killed(BaseException):
    """The process is gone."""


class Steps:
    """Counts what is done, and ends the process at one step."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


def mortal(campaign: turk_campaign.Campaign, step: Callable[[], None]) -> turk_campaign.Campaign:
    """A campaign whose process can end after every call to Amazon and every transaction of the ledger."""

    class Client:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            def call(**parameters: Any) -> Any:
                answer = getattr(campaign.api.client, name)(**parameters)
                step()
                return answer

            return call

    class MortalLedger(Ledger):
        def _through(self, name: str, *parameters: Any, **named: Any) -> Any:
            found = getattr(Ledger, name)(self, *parameters, **named)
            step()
            return found

        def intend(self, *parameters: Any, **named: Any) -> Any:
            return self._through("intend", *parameters, **named)

        def done(self, *parameters: Any, **named: Any) -> Any:
            return self._through("done", *parameters, **named)

        def failed(self, *parameters: Any, **named: Any) -> Any:
            return self._through("failed", *parameters, **named)

    ledger = MortalLedger(campaign.ledger.engine, campaign.ledger.recruiter, campaign.ledger.now_ms)
    return replace(campaign, api=TurkApi(Client(), campaign.api.now), ledger=ledger)


def whole_campaign(turked: Turking, campaign: turk_campaign.Campaign, prepare: Callable[[], None]) -> None:
    """All that a console does, from the order to the end."""
    turk_campaign.place(campaign, turk_campaign.order(campaign, more=False), ADDRESS, most_cents=5000)
    prepare()
    turk_campaign.qualify_everybody(campaign)
    turk_pay.approve(campaign, turk_pay.reconcile(campaign))
    turk_pay.bonus(campaign, turk_pay.reconcile(campaign), most_cents=5000)
    turk_campaign.close(campaign)


def people_come(turked: Turking) -> Callable[[], None]:
    came: list[str] = []

    def come() -> None:
        if not came:
            came.extend(turked.take_part(name)[0] for name in ("anna", "ben"))

    return come


def test_cut_off_at_any_step_and_run_again_it_comes_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    session = boto3.Session()  # it reads its models once
    monkeypatch.setattr(boto3, "Session", lambda: session)
    made = turk_study(tmp_path, per_list=5, mturk=BONUS)

    def run(at: int) -> tuple[dict[str, Any], int, bool]:
        with turking(tmp_path, made=made) as turked:
            come, killed = people_come(turked), False
            try:
                whole_campaign(turked, mortal(turked.campaign, Steps(at)), come)
            except Killed:
                killed = True
                whole_campaign(turked, turked.campaign, come)
            outcome = turked.turk.totals, turked.campaign.ledger.committed_cents(), killed
        shutil.rmtree(turked.folder.derived("online"))
        return outcome

    whole = run(0)
    assert whole[0]["hits"] == [1, 9]
    assert len(whole[0]["approved"]) == len(whole[0]["bonuses"]) == 2
    assert whole[1] == 2 * (120 + 60)
    steps = 0
    while True:
        steps += 1
        totals, committed, killed = run(steps)
        assert (totals, committed) == whole[:2], f"cut off at step {steps}"
        if not killed:
            break
    assert steps > 30


@pytest.mark.parametrize("every", [3, 7])
def test_cut_off_again_and_again_it_comes_to_the_same(tmp_path: Path, every: int):
    with turking(tmp_path, per_list=5, mturk=BONUS) as turked:
        come = people_come(turked)
        for attempt in range(1000):
            try:
                whole_campaign(turked, mortal(turked.campaign, Steps(every + attempt)), come)
                break
            except Killed:
                continue
        totals = turked.turk.totals
        assert totals["hits"] == [1, 9]
        assert len(totals["approved"]) == len(totals["bonuses"]) == totals["qualified"] == 2
        assert totals["qualification_types"] == 1


PAYING = ["CreateQualificationType", "CreateHIT", "AssociateQualificationWithWorker", "ApproveAssignment", "SendBonus"]


@pytest.mark.parametrize("kind", ["throttle", "broken", "lost_before", "lost_after"])
@pytest.mark.parametrize("times", [1, 5])
def test_what_goes_wrong_on_the_way_is_made_good(tmp_path: Path, kind: str, times: int):
    """Once: botocore tries again by itself. Five times: the command ends, and is run again."""
    with turking(tmp_path, per_list=5, mturk=BONUS) as turked:
        come, ended = people_come(turked), 0
        turked.turk.faults.extend(Fault(kind, operation, times) for operation in PAYING)
        for _ in PAYING * 2:
            try:
                whole_campaign(turked, turked.campaign, come)
            except TurkUnclear:
                ended += 1
        assert ended == (0 if times == 1 else len(PAYING))
        totals = turked.turk.totals
        assert totals["hits"] == [1, 9]
        assert totals["qualification_types"] == 1
        assert len(totals["approved"]) == len(totals["bonuses"]) == totals["qualified"] == 2
        assert totals["paid_cents"] == 2 * 150


def test_an_answer_that_comes_too_late_is_as_one_that_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turk_client, "ANSWER_S", 0.3)
    with turking(tmp_path, per_list=5) as turked:
        turked.turk.faults.append(Fault("late", "CreateHIT", 1))
        turked.open()
        assert turked.turk.totals["hits"] == [1, 9]


def test_lost_answers_are_found_when_the_tokens_have_expired(tmp_path: Path):
    """Amazon knows a request token for 24 hours; what was noted on the HIT stays."""
    with turking(tmp_path, per_list=5, mturk=BONUS) as turked:
        turked.turk.faults.append(Fault("lost_after", "CreateHIT", 1))
        turked.turk.faults.append(Fault("lost_before", "CreateHIT", 4))
        with pytest.raises(TurkUnclear, match="nothing is done or paid twice"):
            turked.open()
        turked.turk.advance(days=2)
        turked.open()
        assert turked.turk.totals["hits"] == [1, 9]
        turked.take_part("anna")
        turk_pay.approve(turked.campaign, turk_pay.reconcile(turked.campaign))
        turked.turk.faults.append(Fault("lost_after", "SendBonus", 1))
        turked.turk.faults.append(Fault("lost_before", "SendBonus", 4))
        with pytest.raises(TurkUnclear):
            turk_pay.bonus(turked.campaign, turk_pay.reconcile(turked.campaign), most_cents=None)
        turked.turk.advance(days=2)
        assert turk_pay.bonus(turked.campaign, turk_pay.reconcile(turked.campaign), most_cents=None) == turk_pay.Paid(
            0, 1, ()
        )
        assert len(turked.turk.bonuses) == 1


def test_lists_that_lag_behind_make_nothing_twice(tmp_path: Path):
    with turking(tmp_path, per_list=5) as turked:
        for fault in ("lost_after", "lost_before"):
            turked.turk.faults.append(Fault(fault, "CreateHIT", 1 if fault == "lost_after" else 4))
        with pytest.raises(TurkUnclear):
            turked.open()
        turked.turk.lists_lag = True
        with pytest.raises(TurkUnclear, match="not listed yet; run the same command in a minute"):
            turked.open()
        turked.turk.lists_lag = False
        turked.open()
        assert turked.turk.totals["hits"] == [1, 9]


def test_a_refusal_is_no_cost_and_the_next_run_tries_again(turked: Turking):
    plan = turked.campaign.plan
    broken = replace(turked.campaign, plan=plan.model_copy(update={"minutes_allowed": 10_000_000}))
    with pytest.raises(turk_client.TurkRefused, match="ParameterValidationError"):
        turk_campaign.place(broken, turk_campaign.order(broken, more=False), ADDRESS, most_cents=None)
    assert turked.campaign.ledger.committed_cents() == 3 * 120  # the batch that was not tried yet
    turked.open()
    assert turked.turk.totals["hits"] == [3, 9]


def test_closing_finds_and_ends_a_hit_whose_answer_was_lost(turked: Turking):
    turked.turk.faults += [Fault("lost_after", "CreateHIT", 1), Fault("lost_before", "CreateHIT", 4)]
    with pytest.raises(TurkUnclear):
        turked.open()
    turked.turk.lists_lag = True
    with pytest.raises(TurkUnclear, match="may have it and not list it yet"):
        turk_campaign.close(turked.campaign)
    turked.turk.lists_lag = False
    turked.turk.advance(minutes=11)
    assert turk_campaign.close(turked.campaign) == (1, 9 * 120)
    assert turked.turk.offered(turked.turk.somebody("late")) == []


def test_what_was_never_made_is_not_made_after_the_end_unless_people_are_wanted(tmp_path: Path):
    with turking(tmp_path, per_list=1) as turked:
        turked.turk.faults.append(Fault("lost_before", "CreateHIT", 5))
        with pytest.raises(TurkUnclear):
            turked.open()
        turked.turk.advance(minutes=11)
        turk_campaign.close(turked.campaign)
        turked.open(more=True, places=1)
        assert turked.turk.totals["hits"] == [1]


def test_a_reward_that_changed_between_is_noticed(turked: Turking):
    turked.turk.faults.append(Fault("lost_before", "CreateHIT", 5))
    with pytest.raises(TurkUnclear):
        turked.open()
    dearer = replace(turked.campaign, plan=turked.campaign.plan.model_copy(update={"reward_usd": 2.0}))
    with pytest.raises(FoolscanError, match=r"batch 1 was begun for \$10.80, and would now be \$21.60"):
        turk_campaign.place(dearer, turk_campaign.order(dearer, more=False), ADDRESS, most_cents=None)
    with pytest.raises(TurkUnclear, match="batch 1, 2: begun a moment ago"):
        turk_campaign.close(turked.campaign)
    turked.turk.advance(minutes=11)
    turk_campaign.close(turked.campaign)
    assert turked.campaign.ledger.committed_cents() == 0
    turk_campaign.place(dearer, turk_campaign.order(dearer, more=True), ADDRESS, most_cents=None)
    assert [hit["Reward"] for hit in turked.turk.hits.values()] == ["2.00", "2.00"]


# --- keys


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_missing_keys_are_said_with_the_remedy(turked: Turking, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.delenv(name)
    if name == "AWS_SECRET_ACCESS_KEY":  # half a pair
        with pytest.raises(FoolscanError, match="Amazon's keys: PartialCredentialsError"):
            turk_client.connect(turk_client.SANDBOX, endpoint=turked.endpoint).balance_cents()
        return
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(FoolscanError, match="Amazon's keys: NoCredentialsError; name a profile"):
        turk_client.connect(turk_client.SANDBOX, endpoint=turked.endpoint).balance_cents()


def test_a_profile_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(FoolscanError, match="Amazon's keys: ProfileNotFound"):
        turk_client.connect(turk_client.SANDBOX)


def test_keys_that_amazon_does_not_take_are_said(turked: Turking, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFANOTHER0000000")
    with pytest.raises(FoolscanError, match=r"does not take these keys .*UnrecognizedClientException"):
        turk_client.connect(turk_client.SANDBOX, endpoint=turked.endpoint).balance_cents()


def test_a_message_of_amazon_s_is_shown_without_ids_of_workers(turked: Turking):
    with pytest.raises(turk_client.TurkRefused) as refused:
        turked.campaign.api.qualify(turk_campaign.study_qualification(turked.campaign), "A1SECRETWORKER")
    assert "(a worker) does not exist" in str(refused.value)
    assert refused.value.__cause__ is None
    assert "A1SECRETWORKER" not in repr(refused.value)
