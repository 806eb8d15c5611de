"""A person's way: joining, answering, coming again, finishing, withdrawing; forged, swapped and tampered answers store nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from online_study import Clock, answer_all, answer_to, answers_to, crop_study, joined, right_value, set_study
from sqlalchemy import select

from experiment.online import chain, database, joining, tables, tokens
from experiment.online.crowd import Crowd
from experiment.online.holding import MOST_CONFLICTS, MOST_HAPPENINGS
from experiment.online.messages import Answers, Given, Happening, TrialAnswer
from experiment.online.recruiters.recruiter import Arrival, Completion, Refused
from experiment.online.refusals import Incomplete, Mismatch, NotOpen, OutOfOrder, UnknownAsset, UnknownToken
from experiment.online.session_state import SessionState


def code(new: str) -> Completion:
    return Completion("code", code=new)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crowd(tmp_path: Path, clock: Clock) -> Iterator[Crowd]:
    with Crowd.open(*crop_study(tmp_path), now_ms=clock) as crowd:
        yield crowd


@pytest.fixture
def sets(tmp_path: Path, clock: Clock) -> Iterator[Crowd]:
    with Crowd.open(*set_study(tmp_path), now_ms=clock) as crowd:
        yield crowd


def rows(crowd: Crowd, table: Any) -> list[Any]:
    return crowd.read(lambda connection: [*connection.execute(select(table))])


def flagged(crowd: Crowd) -> list[str]:
    return [row.kind for row in rows(crowd, tables.flags)]


def hold(crowd: Crowd, token: str, *answers: TrialAnswer) -> int:
    return crowd.hold(token, Answers(answers=[*answers])).result().held


def unbroken(crowd: Crowd) -> bool:
    erased = {row.place for row in rows(crowd, tables.erased)}
    found = crowd.read(lambda c: c.execute(select(tables.responses).order_by(tables.responses.c.place)).all())
    return chain.first_break(found, erased) is None


# --- joining


def test_somebody_joins(crowd: Crowd) -> None:
    came = joined(crowd)
    state = came.session_state
    assert state == crowd.state(came.token)
    assert (state.recruiter, state.language, state.state, state.held) == ("link", "en", "active", 0)
    kinds = [trial.kind for trial in state.plan.trials]
    assert (kinds.count("practice"), kinds.count("main"), kinds.count("attention")) == (1, 4, 2)
    assert set(state.assets) == {trial.number for trial in state.plan.trials if trial.item}


def test_of_a_token_its_hash_alone_is_kept(crowd: Crowd) -> None:
    token = joined(crowd).token
    assert [row.token_sha256 for row in rows(crowd, tables.sessions)] == [tokens.sha256_of_token(token)]
    crowd.close()
    assert token.encode() not in crowd.files.database.read_bytes()


def test_raw_ids_stand_in_payments_alone(crowd: Crowd) -> None:
    crowd.join("mturk", Arrival("A1WORKER", "ASSIGNMENT7", "HIT3"), "en").result()
    for table in tables.schema.sorted_tables:
        said = json.dumps([[str(cell) for cell in row] for row in rows(crowd, table)])
        found = any(raw in said for raw in ("A1WORKER", "ASSIGNMENT7", "HIT3"))
        assert found == (table.name == "payments"), table.name


def test_every_image_has_a_name_that_tells_nothing(crowd: Crowd) -> None:
    states = [joined(crowd, name).session_state for name in ("anna", "bert", "carla")]
    assets = [asset for state in states for asset in state.assets.values()]
    assert len(set(assets)) == len(assets)
    assert {len(asset) for asset in assets} == {43}


def test_an_asset_is_of_one_session(crowd: Crowd) -> None:
    anna, bert = joined(crowd, "anna"), joined(crowd, "bert")
    for trial in anna.session_state.plan.trials:
        if trial.item:
            asset = anna.session_state.assets[trial.number]
            assert crowd.asset(anna.token, asset) == trial.item
            with pytest.raises(UnknownAsset):
                crowd.asset(bert.token, asset)
    with pytest.raises(UnknownAsset):
        crowd.asset(anna.token, "../../crops.sqlite3")
    with pytest.raises(UnknownToken):
        crowd.asset("forged", asset)


def test_lists_fill_evenly_and_then_the_study_is_full(crowd: Crowd) -> None:
    given = [joined(crowd, f"w{number}").session_state.list_id for number in range(3)]
    assert {*given[:2]} == {"fragile", "altered"}
    assert crowd.openness() == "open"
    given.append(joined(crowd, "w3").session_state.list_id)
    assert {*given[2:]} == {"fragile", "altered"}
    assert crowd.openness() == "full"
    with pytest.raises(NotOpen) as refused:
        joined(crowd, "w4")
    assert refused.value.kind == "full"
    assert len(rows(crowd, tables.workers)) == 4
    assert len(rows(crowd, tables.payments)) == 4


def test_nobody_new_joins_while_paused_and_who_is_under_way_goes_on(crowd: Crowd) -> None:
    anna = joined(crowd, "anna")
    crowd.pause(True).result()
    assert (crowd.paused, crowd.openness()) == (True, "paused")
    with pytest.raises(NotOpen) as refused:
        joined(crowd, "bert")
    assert refused.value.kind == "paused"
    assert joined(crowd, "anna").session_state.session == anna.session_state.session
    crowd.pause(False).result()
    joined(crowd, "bert")


def test_a_pause_outlives_the_server(crowd: Crowd, clock: Clock) -> None:
    crowd.pause(True).result()
    crowd.close()
    with Crowd.open(crowd.study, crowd.folder, now_ms=clock) as again:
        assert again.paused


def test_who_comes_again_goes_on_at_the_same_trial_and_the_old_page_is_void(crowd: Crowd) -> None:
    first = joined(crowd)
    answers = answers_to(crowd, first.session_state)
    assert hold(crowd, first.token, *answers[:3]) == 3
    second = crowd.join("link", Arrival("anna"), "de").result()
    assert second.token != first.token
    assert second.session_state.held == 3
    assert second.session_state.plan == first.session_state.plan
    assert second.session_state.assets == first.session_state.assets
    assert second.session_state.language == "de"
    for refused in (
        lambda: crowd.state(first.token),
        lambda: hold(crowd, first.token, answers[3]),
        lambda: crowd.asset(first.token, first.session_state.assets[1]),
        lambda: crowd.finish(first.token, "", code).result(),
        lambda: crowd.withdraw(first.token, False).result(),
    ):
        with pytest.raises(UnknownToken):
            refused()
    assert hold(crowd, second.token, answers[3]) == 4


def test_a_returned_assignment_is_the_latest_persons(crowd: Crowd) -> None:
    crowd.join("mturk", Arrival("A1", "S1", "H1"), "en").result()
    crowd.join("mturk", Arrival("A2", "S1", "H1"), "en").result()  # A1 had returned it
    crowd.join("mturk", Arrival("A1", "S2", "H2"), "en").result()
    found = {(row.raw_id, row.assignment, row.hit) for row in rows(crowd, tables.payments)}
    assert found == {("A1", "S2", "H2"), ("A2", "S1", "H1")}


def test_whose_assignment_was_returned_keeps_no_place(crowd: Crowd) -> None:
    came = [crowd.join("mturk", Arrival(f"A{k}", f"S{k}", "H1"), "en").result() for k in range(4)]
    with pytest.raises(NotOpen):
        crowd.join("mturk", Arrival("A4", "S4", "H1"), "en").result()
    instead = crowd.join("mturk", Arrival("A4", "S0", "H1"), "en").result()  # A0 had returned it
    assert instead.session_state.list_id == came[0].session_state.list_id
    again = crowd.join("mturk", Arrival("A0", "S9", "H1"), "en").result()  # and takes another one: goes on
    assert again.session_state.session == came[0].session_state.session
    assert sum(tally.active for tally in crowd.counts().values()) == 5
    for person, counts in ((instead, True), (again, None)):
        answer_all(crowd, person.token)
        finished = crowd.finish(person.token, "", code).result()
        assert counts is None or finished.counted


def test_who_has_finished_or_withdrawn_does_not_take_part_again(crowd: Crowd) -> None:
    anna, bert = joined(crowd, "anna"), joined(crowd, "bert")
    answer_all(crowd, anna.token)
    crowd.finish(anna.token, "", code).result()
    crowd.withdraw(bert.token, False).result()
    for name, kind in (("anna", "finished"), ("bert", "withdrawn")):
        with pytest.raises(NotOpen) as refused:
            joined(crowd, name)
        assert refused.value.kind == kind
    assert joined(crowd, "anna", recruiter="lab").session_state.held == 0  # of another recruiter it is somebody else


def test_who_saw_a_source_already_is_not_shown_it_again(crowd: Crowd) -> None:
    worker = tokens.pseudonym(crowd.design.key, "link", "anna")
    bert = joined(crowd, "bert").session_state.session
    source = crowd.design.lists[0].items[0].source_id

    def saw(connection: Any) -> None:
        connection.execute(tables.workers.insert().values(worker=worker, recruiter="link", since_ms=1))
        connection.execute(tables.seen.insert().values(worker=worker, source_id=source, session=bert))

    crowd.write(saw).result()
    with pytest.raises(NotOpen) as refused:
        joined(crowd, "anna")
    assert refused.value.kind == "taken_part"
    assert len(rows(crowd, tables.sessions)) == 1
    assert sum(row.given for row in rows(crowd, tables.lists)) == 1


# --- answering


def test_answers_are_held_and_practice_is_told(sets: Crowd) -> None:
    came = joined(sets)
    trials, options = came.session_state.plan.trials, came.session_state.plan.options
    questions = sets.design.plan.questions
    held = sets.hold(came.token, Answers(answers=[answer_to(trials[0], questions, options, right=False)])).result()
    assert (held.held, held.feedback) == (1, {1: "wrong"})
    held = sets.hold(came.token, Answers(answers=[answer_to(trials[1], questions, options)])).result()
    assert (held.held, held.feedback) == (2, {})  # not practice: nobody is told
    content = json.loads(rows(sets, tables.responses)[0].content)
    assert TrialAnswer.model_validate(content) == answer_to(trials[0], questions, options, right=False)
    assert unbroken(sets)


def test_an_answer_sent_again_is_stored_once_and_acknowledged_again(crowd: Crowd) -> None:
    came = joined(crowd)
    answers = answers_to(crowd, came.session_state)
    for _ in range(3):
        held = crowd.hold(came.token, Answers(answers=answers[:2])).result()
        assert (held.held, held.feedback) == (2, {1: "right"})
    assert hold(crowd, came.token, *answers[1:4]) == 4
    again = answers[3].model_copy(update={"sent_ms": 99_000.0})  # when it was sent is not what was said
    assert hold(crowd, came.token, again) == 4
    assert len(rows(crowd, tables.responses)) == 4
    assert flagged(crowd) == []


def test_another_answer_to_the_same_trial_is_flagged_and_the_first_stays(crowd: Crowd) -> None:
    came = joined(crowd)
    answers = answers_to(crowd, came.session_state)
    other = answer_to(
        came.session_state.plan.trials[0], crowd.design.plan.questions, came.session_state.plan.options, right=False
    )
    hold(crowd, came.token, answers[0])
    before = rows(crowd, tables.responses)
    held = crowd.hold(came.token, Answers(answers=[other, answers[1]])).result()
    assert (held.held, held.feedback) == (2, {})  # practice cannot be tried out
    assert rows(crowd, tables.responses)[:1] == before
    assert flagged(crowd) == ["conflict"]
    hold(crowd, came.token, answers[2], answers[2].model_copy(update={"hidden": True}))
    assert flagged(crowd) == ["conflict", "conflict"]
    for _ in range(MOST_CONFLICTS):
        hold(crowd, came.token, other)
    assert len(flagged(crowd)) == MOST_CONFLICTS
    with pytest.raises(Incomplete):
        crowd.finish(came.token, "", code).result()
    hold(crowd, joined(crowd).token, other)
    assert len(flagged(crowd)) == MOST_CONFLICTS, "nor by trying to finish, nor by coming again"


def test_trials_come_in_order(crowd: Crowd) -> None:
    came = joined(crowd)
    answers = answers_to(crowd, came.session_state)
    for sent in ([answers[1]], [answers[0], answers[2]], [answers[-1]]):
        with pytest.raises(OutOfOrder) as refused:
            hold(crowd, came.token, *sent)
        assert refused.value.held == 0
    assert rows(crowd, tables.responses) == []
    assert hold(crowd, came.token, *answers[:2]) == 2
    with pytest.raises(OutOfOrder) as refused:
        hold(crowd, came.token, answers[3])
    assert refused.value.held == 2


def changed(answer: TrialAnswer, place: int = 0, **given: Any) -> TrialAnswer:
    """With another answer to one of its questions."""
    answers = [*answer.given]
    answers[place] = Given(**{**answers[place].model_dump(), **given})
    return answer.model_copy(update={"given": answers})


def tampered(answer: TrialAnswer) -> dict[str, TrialAnswer]:
    """Of a trial of RE, AN or AI: choice, typed, rating."""
    first, second, third = answer.given
    return {
        "a trial that was never assigned": answer.model_copy(update={"trial": 999}),
        "an option that was not offered": changed(answer, value="cat"),
        "the name of an item": changed(answer, value="RE-beast_00"),
        "no option": changed(answer, value=None),
        "a typed name for a choice": changed(answer, value=None, typed="animal"),
        "a choice and a typed name": changed(answer, typed="animal"),
        "an option for a typed name": changed(answer, 1, typed=None, value="animal"),
        "an empty name": changed(answer, 1, typed="  "),
        "too long a name": changed(answer, 1, typed="x" * 41),
        "a control character": changed(answer, 1, typed="a\x00b"),
        "a line break": changed(answer, 1, typed="a\nb"),
        "a step beyond the scale": changed(answer, 2, value="5"),
        "no such step": changed(answer, 2, value="0"),
        "a question too few": answer.model_copy(update={"given": [first, second]}),
        "a question too many": answer.model_copy(update={"given": [first, second, third, third]}),
        "questions out of order": answer.model_copy(update={"given": [second, first, third]}),
        "another question": changed(answer, question="other"),
        "an image that was not shown": answer.model_copy(update={"shown": None}),
    }


def test_tampered_answers_store_nothing_and_are_flagged(sets: Crowd) -> None:
    came = joined(sets)
    answer = answer_to(came.session_state.plan.trials[0], sets.design.plan.questions, came.session_state.plan.options)
    for number, (what, sent) in enumerate(tampered(answer).items(), start=1):
        with pytest.raises(Mismatch):
            hold(sets, came.token, sent)
        assert rows(sets, tables.responses) == [], what
        assert flagged(sets) == ["mismatch"] * number, what
    assert {row.session for row in rows(sets, tables.flags)} == {came.session_state.session}
    assert hold(sets, came.token, answer) == 1


def test_forced_naming_takes_no_nothing_and_free_naming_does(sets: Crowd) -> None:
    seen = set()
    for number in range(6):
        came = joined(sets, f"w{number}")
        state = came.session_state
        answer = answer_to(state.plan.trials[0], sets.design.plan.questions, state.plan.options)
        none = changed(changed(answer, value="nothing"), 1, typed=None, value="nothing")
        seen.add(state.condition)
        if state.condition == "free":
            assert sets.hold(came.token, Answers(answers=[none])).result().feedback == {1: "wrong"}
        else:
            for sent in (none, changed(answer, value="nothing"), changed(answer, 1, typed=None, value="nothing")):
                with pytest.raises(Mismatch):
                    hold(sets, came.token, sent)
    assert seen == {"free", "forced"}


def test_an_attention_check_has_one_answer_and_no_image(crowd: Crowd) -> None:
    came = joined(crowd)
    answers = answers_to(crowd, came.session_state)
    check = next(trial.number for trial in came.session_state.plan.trials if trial.kind == "attention")
    hold(crowd, came.token, *answers[: check - 1])
    right = answers[check - 1]
    with pytest.raises(Mismatch):
        hold(crowd, came.token, right.model_copy(update={"shown": answers[0].shown}))
    with pytest.raises(Mismatch):
        hold(crowd, came.token, right.model_copy(update={"given": [*right.given, *right.given]}))
    assert hold(crowd, came.token, right) == check


def test_swapped_and_forged_tokens_store_nothing(crowd: Crowd) -> None:
    anna, bert = joined(crowd, "anna"), joined(crowd, "bert")
    answers = answers_to(crowd, anna.session_state)
    for token in ("", "forged", anna.token[:-1], anna.session_state.session, bert.token + "x", "\ud800"):
        with pytest.raises(UnknownToken):
            hold(crowd, token, answers[0])
        with pytest.raises(UnknownToken):
            crowd.state(token)
    assert rows(crowd, tables.responses) == []
    hold(crowd, bert.token, answers_to(crowd, bert.session_state)[0])
    assert {row.session for row in rows(crowd, tables.responses)} == {bert.session_state.session}


def test_happenings_are_stored_once_and_only_so_many(crowd: Crowd) -> None:
    came = joined(crowd)

    def tell(*numbers: int) -> int:
        told = [Happening(number=number, kind="hidden", at_ms=1.5, content="a\x00b") for number in numbers]
        return crowd.hold(came.token, Answers(happenings=told)).result().held

    assert tell(1, 2, 3) == 0
    assert tell(2, 3, 4) == 0
    assert tell(5, 5) == 0
    assert [row.number for row in rows(crowd, tables.happenings)] == [1, 2, 3, 4, 5]
    assert rows(crowd, tables.happenings)[0].content == "ab"
    assert crowd.state(came.token).happenings == 5
    tell(MOST_HAPPENINGS, MOST_HAPPENINGS + 1, 1_000_000)
    assert crowd.state(came.token).happenings == MOST_HAPPENINGS


def test_a_page_is_told_how_often_it_was_loaded(crowd: Crowd) -> None:
    came = joined(crowd)
    answers = answers_to(crowd, came.session_state)
    assert came.session_state.loads == 0
    hold(crowd, came.token, answers[0].model_copy(update={"load": 3}))
    assert crowd.state(came.token).loads == 3


def test_every_sign_of_life_keeps_the_place(crowd: Crowd, clock: Clock) -> None:
    came = joined(crowd)
    for answer in answers_to(crowd, came.session_state)[:3]:
        clock.move(80)
        hold(crowd, came.token, answer)
        assert crowd.counts()["fragile"].active == 1
    clock.move(80)
    crowd.state(came.token)
    crowd.pause(False).result()  # what was to be written before is written
    clock.move(80)
    assert crowd.counts()["fragile"].active == 1
    clock.move(11)
    assert (crowd.counts()["fragile"].active, crowd.counts()["fragile"].lapsed) == (0, 1)
    assert crowd.state(came.token).state == "active"


# --- ending


def test_finishing_needs_every_trial_and_can_be_asked_for_again(crowd: Crowd, clock: Clock) -> None:
    came = joined(crowd)
    clock.move(5)
    with pytest.raises(Incomplete) as refused:
        crowd.finish(came.token, "", code).result()
    assert refused.value.held == 0
    n = answer_all(crowd, came.token)
    first = crowd.finish(came.token, "I liked it", code).result()
    assert first.counted
    assert first.completion.code == tokens.completion_code(crowd.design.key, came.session_state.session)
    assert crowd.finish(came.token, "again", code).result() == first
    state = crowd.state(came.token)
    assert (state.state, state.held) == ("finished", n)
    comments = [row.content for row in rows(crowd, tables.happenings)]
    assert comments == ["I liked it"]
    assert [row.code_sha256 for row in rows(crowd, tables.payments)] == [tokens.sha256_of_token(first.completion.code)]
    assert flagged(crowd) == []


def test_a_recruiter_that_refuses_ends_nothing(crowd: Crowd) -> None:
    token = joined(crowd).token
    answer_all(crowd, token)

    def refuse(_: str) -> Completion:
        raise Refused("no such assignment")

    with pytest.raises(Refused, match="no such assignment"):
        crowd.finish(token, "", refuse).result()
    assert crowd.state(token).state == "active"
    assert crowd.finish(token, "", lambda _: Completion("thanks")).result().completion.kind == "thanks"
    assert [row.code_sha256 for row in rows(crowd, tables.payments)] == [None]


def test_a_recruiters_own_code_may_be_the_same_for_everybody(crowd: Crowd) -> None:
    for name in ("anna", "bert"):
        token = joined(crowd, name).token
        answer_all(crowd, token)
        done = crowd.finish(token, "", lambda _: Completion("code", code="C0FFEE")).result()
        assert done.completion.code == "C0FFEE"
    assert [row.code_sha256 for row in rows(crowd, tables.payments)] == [None, None]


def test_who_is_excluded_is_told_nothing_gets_the_code_and_frees_the_place(crowd: Crowd, clock: Clock) -> None:
    came = joined(crowd)
    clock.move(5)
    answer_all(crowd, came.token, right=False)  # both attention checks failed
    finished = crowd.finish(came.token, "", code).result()
    assert (finished.counted, finished.completion.kind) == (False, "code")
    tally = crowd.counts()[came.session_state.list_id]
    assert (tally.finished, tally.excluded, tally.counted, tally.taken) == (1, 1, 0, 0)
    assert [row.excluded_for for row in rows(crowd, tables.sessions)] == ["attention_failures"]
    assert "attention" in flagged(crowd)
    assert all(tally.taken == 0 for tally in crowd.counts().values())


def test_who_comes_back_late_and_finds_the_list_full_is_surplus(crowd: Crowd, clock: Clock) -> None:
    late = joined(crowd, "late")
    clock.move(91)
    others = [joined(crowd, f"w{number}") for number in range(4)]
    with pytest.raises(NotOpen):
        joined(crowd, "w4")
    for came in others:
        answer_all(crowd, came.token)
        assert crowd.finish(came.token, "", code).result().counted
    back = joined(crowd, "late")
    assert back.session_state.session == late.session_state.session
    answer_all(crowd, back.token)
    finished = crowd.finish(back.token, "", code).result()
    assert (finished.counted, finished.completion.kind) == (False, "code")
    tally = crowd.counts()[late.session_state.list_id]
    assert (tally.counted, tally.surplus, tally.excluded, tally.finished) == (2, 1, 0, 3)


def test_withdrawing_frees_the_place_and_what_was_answered_stays(crowd: Crowd) -> None:
    came = joined(crowd)
    answers = answers_to(crowd, came.session_state)
    hold(crowd, came.token, *answers[:3])
    crowd.withdraw(came.token, False).result()
    crowd.withdraw(came.token, False).result()
    assert crowd.state(came.token).state == "withdrawn"
    assert (crowd.counts()["fragile"].withdrawn, crowd.counts()["fragile"].taken) == (1, 0)
    assert all(row.content for row in rows(crowd, tables.responses))
    for late in (lambda: hold(crowd, came.token, answers[3]), lambda: crowd.finish(came.token, "", code).result()):
        with pytest.raises(NotOpen) as refused:
            late()
        assert refused.value.kind == "withdrawn"


def test_erasing_takes_back_all_that_was_said_and_the_chain_holds(crowd: Crowd) -> None:
    anna, bert = joined(crowd, "anna"), joined(crowd, "bert")
    for came in (anna, bert):
        answer_all(crowd, came.token, at_once=2)
    crowd.hold(anna.token, Answers(happenings=[Happening(number=1, kind="left", at_ms=1, content="x")])).result()
    crowd.finish(anna.token, "my comment", code).result()
    assert crowd.counts()["fragile"].counted == 1
    crowd.withdraw(anna.token, True).result()
    crowd.withdraw(anna.token, True).result()
    crowd.withdraw(anna.token, False).result()
    session = anna.session_state.session
    assert crowd.state(anna.token).state == "erased"
    assert crowd.counts()["fragile"].counted == 0
    mine = [row for row in rows(crowd, tables.responses) if row.session == session]
    assert {(row.content, row.salt) for row in mine} == {(None, None)}
    assert all(row.content for row in rows(crowd, tables.responses) if row.session != session)
    assert {row.place for row in rows(crowd, tables.erased)} == {row.place for row in mine}
    assert {row.content for row in rows(crowd, tables.happenings)} == {None}
    assert [row.raw_id for row in rows(crowd, tables.payments)] == ["anna", "bert"]  # pay may be due
    assert unbroken(crowd)
    assert answer_all(crowd, bert.token) == len(bert.session_state.plan.trials)


def test_what_was_erased_while_somebody_read_leaves_the_log_later(crowd: Crowd, clock: Clock) -> None:
    def said() -> bool:
        return any(b"it was a walrus" in path.read_bytes() for path in crowd.files.folder.iterdir())

    came = joined(crowd)
    told = [Happening(number=1, kind="left", at_ms=1, content="it was a walrus")]
    crowd.hold(came.token, Answers(happenings=told)).result()
    with database.connect_reading(crowd.files.database).begin() as reading:
        assert reading.execute(select(tables.happenings)).all()
        crowd.withdraw(came.token, True).result()
        assert said()
    joined(crowd, "bert")
    assert said()
    clock.move(1)
    joined(crowd, "cleo")
    assert not said()


def test_erasing_again_and_again_keeps_nobody_waiting(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[object] = []
    monkeypatch.setattr("experiment.online.crowd.database.empty_log", lambda log: not emptied.append(log))
    came = joined(crowd)
    crowd.withdraw(came.token, False).result()
    assert emptied == []
    for _ in range(3):
        crowd.withdraw(came.token, True).result()
    assert len(emptied) == 1


# --- beside the way


def test_flags_are_bounded(crowd: Crowd) -> None:
    session = joined(crowd).session_state.session
    for number in range(1500):
        crowd.flag("forged", f"{number}")
        crowd.flag("odd", "x" * 5000, session)
    for _ in range(2):  # a busy writer takes a thousand at once, and others in turn
        crowd.pause(False).result()
    kinds = flagged(crowd)
    assert (kinds.count("forged"), kinds.count("odd")) == (1000, 50)
    assert max(len(row.detail) for row in rows(crowd, tables.flags)) == 2000


def test_an_erasure_by_another_process_is_heeded_at_once(crowd: Crowd, clock: Clock) -> None:
    came = joined(crowd)
    answers = answers_to(crowd, came.session_state)
    hold(crowd, came.token, *answers[:2])
    with Crowd.open(crowd.study, crowd.folder, now_ms=clock, alone=False) as beside:
        session = came.session_state.session
        beside.write(lambda connection: joining.withdraw(connection, session, True, "asked", 1)).result()
    with pytest.raises(NotOpen):
        hold(crowd, came.token, answers[2])
    assert unbroken(crowd)


def test_everything_is_there_after_the_server_was_started_again(crowd: Crowd, clock: Clock) -> None:
    came = joined(crowd)
    answers = answers_to(crowd, came.session_state)
    hold(crowd, came.token, *answers[:3])
    crowd.close()
    with Crowd.open(crowd.study, crowd.folder, now_ms=clock) as again:
        assert again.state(came.token) == SessionState(**{**vars(came.session_state), "held": 3, "loads": 1})
        assert hold(again, came.token, *answers[2:]) == len(answers)
        assert unbroken(again)


def test_right_answers_are_not_in_what_a_page_is_told(crowd: Crowd) -> None:
    state = joined(crowd).session_state
    question = crowd.design.plan.questions[0]
    right = {right_value(trial, question) for trial in state.plan.trials if trial.item}
    assert not any(name in asset for name in right for asset in state.assets.values())
    assert state.plan.options["thing"] == tuple(sorted(state.plan.options["thing"]))  # of all, not of this list
