"""What is erased is gone from every byte of the database's files, and the rest can still be verified."""

from __future__ import annotations

from pathlib import Path

import pytest
from finished_crowd import RAW, opened, small_crowd, take_part
from online_study import Clock, answers_to, crop_study, joined, set_study
from sqlalchemy import text

from experiment.online.database import connect_reading
from experiment.online.erase import erase, pseudonym_of
from experiment.online.export import database_of, export
from experiment.online.messages import Answers, Happening
from experiment.online.refusals import NotOpen
from experiment.online.verify import verify
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError, WorkWanting


def bytes_of(folder: StudyFolder) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.derived("online").glob("*.sqlite3*")))


def test_raw_identifiers_are_gone_from_the_files(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    raw = RAW.format(1).encode()
    assert raw in bytes_of(folder)
    assert b"ASSIGNMENT-" + raw in bytes_of(folder)
    done = erase(study, folder, f"sub-{who['good']}", answers=False, payment=True, now_ms=Clock())
    assert (done.payment, done.answers) == (True, None)
    assert raw not in bytes_of(folder)
    assert RAW.format(2).encode() in bytes_of(folder)
    assert verify(study, folder).findings == ()
    again = erase(study, folder, f"sub-{who['good']}", answers=False, payment=True, now_ms=Clock())
    assert again.payment is False


def test_what_was_said_is_gone_from_the_files(tmp_path: Path):
    study, folder = set_study(tmp_path, n_sources=6, per_list=1, attention_every=None)
    with opened(study, folder) as crowd:
        person = joined(crowd, "anna")
        answers = answers_to(crowd, person.session_state)
        said = [
            answer.model_copy(
                update={
                    "given": [
                        item.model_copy(update={"typed": "SECRETWORD"}) if item.typed else item for item in answer.given
                    ]
                }
            )
            for answer in answers
        ]
        told = Happening(number=1, kind="screen", at_ms=1.0, content="SECRETSCREEN")
        crowd.hold(person.token, Answers(answers=said, happenings=[told])).result()
        other = take_part(crowd, "other", comment="kept comment")
        take_part(crowd, "commenting", comment="SECRETCOMMENT")
    for secret in (b"SECRETWORD", b"SECRETSCREEN", b"SECRETCOMMENT"):
        assert secret in bytes_of(folder)
    done = erase(
        study, folder, pseudonym_of(study, folder, "link", "anna"), answers=True, payment=False, now_ms=Clock()
    )
    assert (done.answers, done.comments, done.exported) == (len(said), 1, False)
    erase(study, folder, pseudonym_of(study, folder, "link", "commenting"), answers=True, payment=False, now_ms=Clock())
    for secret in (b"SECRETWORD", b"SECRETSCREEN", b"SECRETCOMMENT"):
        assert secret not in bytes_of(folder)
    assert b"kept comment" in bytes_of(folder)
    export(study, folder)
    assert [path.name for path in folder.root.glob("sub-*")] == [f"sub-{other}"]
    found = verify(study, folder)
    assert (found.findings, found.erased) == ((), len(said) + len(said))


def test_it_can_be_done_while_it_is_served(tmp_path: Path):
    study, folder = crop_study(tmp_path, per_list=3)
    with opened(study, folder) as crowd:
        person = joined(crowd, "anna")
        answers = answers_to(crowd, person.session_state)
        crowd.hold(person.token, Answers(answers=answers[:3])).result()
        done = erase(
            study, folder, pseudonym_of(study, folder, "link", "anna"), answers=True, payment=True, now_ms=Clock()
        )
        assert done.answers == 3
        with pytest.raises(NotOpen):
            crowd.hold(person.token, Answers(answers=answers[3:])).result()
        assert crowd.state(person.token).state == "erased"
        take_part(crowd, "another")
        assert b"anna" not in bytes_of(folder)
        assert verify(study, folder).findings == ()


def test_done_twice_it_finds_nothing_left(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    first = erase(study, folder, f"sub-{who['withdrawn']}", answers=True, payment=False, now_ms=Clock())
    again = erase(study, folder, f"sub-{who['withdrawn']}", answers=True, payment=False, now_ms=Clock())
    assert (first.answers, again.answers) == (3, 0)


@pytest.mark.parametrize("participant", ["sub-nobody", "", "sub-", "sub-../..", "sub-*"])
def test_somebody_unknown(tmp_path: Path, participant: str):
    study, folder, _ = small_crowd(tmp_path)
    with pytest.raises(FoolscanError, match="found no sub-"):
        erase(study, folder, participant, answers=True, payment=True, now_ms=Clock())


def test_nothing_to_be_erased(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    with pytest.raises(FoolscanError, match="say what is to be erased"):
        erase(study, folder, f"sub-{who['good']}", answers=False, payment=False, now_ms=Clock())


def test_a_code_that_was_not_redeemed_is_told_of(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    assert erase(study, folder, f"sub-{who['good']}", answers=False, payment=True, now_ms=Clock()).unused_code
    assert not erase(study, folder, f"sub-{who['good']}", answers=False, payment=True, now_ms=Clock()).unused_code
    assert not erase(study, folder, f"sub-{who['active']}", answers=False, payment=True, now_ms=Clock()).unused_code


def test_a_reader_who_does_not_end_is_named(tmp_path: Path):
    study, folder, who = small_crowd(tmp_path)
    reading = connect_reading(database_of(study, folder))
    waited: list[float] = []
    with reading.begin() as connection:
        connection.execute(text("SELECT count(*) FROM sessions")).scalar_one()
        with pytest.raises(WorkWanting, match="still has the bytes"):
            erase(
                study, folder, f"sub-{who['good']}", answers=True, payment=True, now_ms=Clock(), sleep_s=waited.append
            )
    reading.dispose()
    assert len(waited) > 3
    erase(study, folder, f"sub-{who['good']}", answers=True, payment=True, now_ms=Clock())
    assert RAW.format(1).encode() not in bytes_of(folder)
