"""Serving: what is checked before anybody is let in, and how it ends without losing an answer."""

from __future__ import annotations

import http.client
import logging
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from online_server import Client, answer_of, running
from online_study import crop_study, set_study

from experiment.online.doctor import jspsych, ports
from experiment.online.items import items_of
from experiment.online.lists import lists_of
from experiment.online.readiness import bound, is_loopback, public_address, remarks_on, speaks
from experiment.online.server_log import discreet, logging_to
from experiment.online.serving import Listening, serve
from protocols.folder import StudyFolder
from protocols.online_plan import OnlinePlan
from protocols.problems import FoolscanError, NotReady
from protocols.study import Study, load_study


def participants(listening: Listening) -> Client:
    return Client(listening.pages["link"].removesuffix("/link"))


def refusal(study: Study, folder: StudyFolder, **settings: Any) -> str:
    """Why it is not served; nothing was opened then."""
    with pytest.raises(FoolscanError) as said, running(study, folder, **settings):
        pass
    return str(said.value)


# --- before anybody is let in -------------------------------------------------------------------------------------------


def test_a_study_without_a_task_in_the_browser_is_not_served(tmp_path: Path) -> None:
    _, folder = crop_study(tmp_path)
    assert "online: found nothing; a task in the browser" in refusal(load_study("demo"), folder)
    assert not folder.derived("online").exists()


def test_images_must_be_there_and_as_they_were_made(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    assert study.online
    shown = lists_of(study.online, items_of(study.online, folder), study.seed)[0].items[0]
    path = folder.stimuli / shown.file
    whole = path.read_bytes()
    for change in (path.unlink, lambda: path.write_bytes(whole[:-1])):
        change()
        assert path.name in refusal(study, folder)
        path.write_bytes(whole)
    assert not folder.derived("online").exists(), "no database was begun"
    (folder.stimuli / "crops" / "crops.tsv").unlink()
    with pytest.raises(NotReady, match="foolscan stimuli fragile-pairs"):
        serve(study, folder, vendored={})


def test_lists_must_be_filled(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path, n_pairs=10, practice=1)
    assert "online.design.n_pairs: found 10 pairs" in refusal(study, folder)


def test_a_language_is_said_in_whole_or_not_offered(tmp_path: Path) -> None:
    half = "  saying: {title: {fr: Des bouts d'images}}\n"
    study, folder = crop_study(tmp_path, more=half)
    with running(study, folder) as listening:
        (remark,) = [remark for remark in listening.remarks if "language" in remark]
        assert remark.startswith("language fr is not offered: it lacks saying.information, saying.consent")
        assert participants(listening).welcome(language="fr").json["language"] == "en"


def test_the_study_s_own_language_must_be_whole(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path, more="  language: fr\n")
    said = refusal(study, folder)
    assert "found no text in fr for saying.title, saying.information" in said
    assert "online.language" in said


def test_texts_that_nobody_can_do_without_must_be_there(tmp_path: Path) -> None:
    study, _ = crop_study(tmp_path)
    assert study.online
    silent = study.online.model_copy(update={"saying": study.online.saying.model_copy(update={"title": {}})})
    with pytest.raises(FoolscanError, match=r"saying\.title"):
        speaks(silent, "tiny")
    quiet = study.online.model_copy(
        update={"saying": study.online.saying.model_copy(update={"rest": {}, "debriefing": {}})}
    )
    assert isinstance(quiet, OnlinePlan)
    assert speaks(quiet, "tiny") == []


def test_trials_that_nobody_could_answer_are_not_served(tmp_path: Path) -> None:
    rating = "  questions: [{kind: rating, name: sure, text: {en: Sure, de: Sicher}}]\n"
    study, folder = crop_study(tmp_path, more=rating)
    assert "online.attention: found a first question of kind rating" in refusal(study, folder)
    assert not folder.derived("online").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"recruiters": ()}, "--recruiter: found none"),
        ({"recruiters": ("lnk",)}, "did you mean 'link'"),
        ({"trusted_proxies": ("nginx",)}, "--trust-proxy: found 'nginx'"),
        ({"public_url": "lab.example.org"}, "--public-url: found 'lab.example.org'"),
        ({"host": "198.51.100.1"}, "no address of this computer"),
        ({"host": "no such host"}, "--host: found 'no such host'"),
    ],
)
def test_what_was_asked_for_must_be_possible(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    study, folder = crop_study(tmp_path)
    assert said in refusal(study, folder, **settings)
    assert not folder.derived("online").exists()


def test_a_port_that_is_taken_is_said_with_a_remedy(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refusal(study, folder, port=port)
        assert f"port {port} of 127.0.0.1 is taken" in said
        assert "choose another port with --port" in said
        assert "choose another port with --operator-port" in refusal(study, folder, operator_port=port)
        assert ports((port,)).status == "limited"
    assert not folder.derived("online").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user who may not open port 80")
def test_a_port_that_may_not_be_opened_is_said() -> None:
    with pytest.raises(FoolscanError, match="choose one above 1023"):
        bound("127.0.0.1", 80, "--port")


def test_a_study_is_served_once_at_a_time(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    with running(study, folder):
        assert "is at it now" in refusal(study, folder)
    with running(study, folder) as listening:
        assert participants(listening).welcome().status == 200


def test_the_page_s_library_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, folder = crop_study(tmp_path)

    def lacking() -> None:
        raise NotReady("jsPsych could not be fetched")

    monkeypatch.setattr("experiment.online.jspsych.vendored", lacking)
    with pytest.raises(NotReady, match="could not be fetched"):
        serve(study, folder, port=0, operator_port=0)
    assert not folder.derived("online").exists()


def test_who_can_reach_it_is_minded() -> None:
    assert remarks_on("127.0.0.1", ("link",), None) == remarks_on("::1", ("link",), None) == []
    (open_to_all,) = remarks_on("0.0.0.0", ("link",), "http://lab.example.org")
    assert "not encrypted" in open_to_all
    assert "--trust-proxy" in open_to_all
    (labels,) = remarks_on("127.0.0.1", ("link", "lab"), "https://lab.example.org")
    assert "any label" in labels
    assert remarks_on("127.0.0.1", ("link", "lab"), None) == []
    (operator,) = remarks_on("127.0.0.1", ("link",), None, "0.0.0.0")
    assert "operator's token" in operator
    (framed,) = remarks_on("127.0.0.1", ("mturk_sandbox",), "http://lab.example.org")
    assert "https://" in framed
    assert "--public-url" in framed
    assert remarks_on("127.0.0.1", ("mturk_sandbox",), "https://lab.example.org") == []


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("lab", False),
    ],
)
def test_what_is_this_computer_alone(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("url", ["https://lab.example.org", "https://lab.example.org/study/", "http://127.0.0.1:8420"])
def test_a_public_address_loses_its_last_slash_alone(url: str) -> None:
    assert public_address(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    ["ftp://lab.example.org", "https://", "https://a:b@lab.example.org", "https://x.org/?q", "javascript:alert(1)"],
)
def test_what_is_no_public_address(url: str) -> None:
    with pytest.raises(FoolscanError, match="--public-url"):
        public_address(url)


# --- while it is served -------------------------------------------------------------------------------------------------


def test_where_everything_is_is_told(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    with running(
        study, folder, public_url="https://lab.example.org/crops/", recruiters=("lab", "link", "lab")
    ) as listening:
        assert dict(listening.pages) == {
            "lab": "https://lab.example.org/crops/lab",
            "link": "https://lab.example.org/crops/link",
        }
        assert listening.database == folder.derived("online") / "crops.sqlite3"
        assert listening.database.exists()
        assert listening.log.read_text(encoding="utf-8").count("serving crops to lab, link") == 1
        address, token = listening.operator.split("/#")
        assert address.startswith("http://127.0.0.1:")
        assert len(token) >= 32
        desk = Client(address)
        assert desk.ask("GET", "/api/watch", token=token).status == 200
        assert desk.ask("GET", "/api/watch").status == 401


def test_participants_and_operator_do_not_share_a_port(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    with running(study, folder) as listening:
        client, desk = participants(listening), Client(listening.operator.partition("/#")[0])
        token = listening.operator.partition("#")[2]
        assert client.ask("GET", "/api/watch", token=token).status == 404
        assert desk.ask("POST", "/api/join", {}).status in (401, 404)
        assert desk.ask("GET", "/link").status == 404


def test_version_6_works_where_there_is_one(tmp_path: Path) -> None:
    try:
        bound("::1", 0, "--port").close()
    except FoolscanError:
        pytest.skip("this computer has no IPv6")
    study, folder = crop_study(tmp_path)
    with running(study, folder, host="::1") as listening:
        assert listening.pages["link"].startswith("http://[::1]:")
        assert participants(listening).welcome().status == 200


def test_a_proxy_that_is_not_believed_is_told_to_the_operator(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    with running(study, folder) as listening:
        address, token = listening.operator.split("/#")
        desk = Client(address)
        assert "--trust-proxy" not in str(desk.ask("GET", "/api/watch", token=token).json)
        participants(listening).join("anna", **{"X-Forwarded-For": "203.0.113.5"})
        assert "--trust-proxy" in str(desk.ask("GET", "/api/watch", token=token).json)
    log = listening.log.read_text(encoding="utf-8")
    assert log.count("a request came through a proxy that is not believed") == 1
    assert "203.0.113.5" not in log


def test_started_again_it_goes_on_with_the_same_people(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    with running(study, folder) as listening:
        person = participants(listening).person()
        session = person.session
        person.send(answer_of(session, 1), answer_of(session, 2))
        operator = listening.operator.partition("#")[2]
    with running(study, folder) as listening:
        person.client = participants(listening)
        assert person.session["held"] == 2
        assert person.session["trials"] == session["trials"]
        assert person.answer_all() == len(session["trials"])
        assert listening.operator.partition("#")[2] == operator


def test_what_was_acknowledged_before_it_ended_is_held(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path, per_list=30)
    acknowledged: dict[int, int] = {}
    begun = threading.Event()
    with running(study, folder) as listening:
        people = [participants(listening).person(f"p{number}") for number in range(8)]

        def answer(number: int) -> None:
            session = people[number].session
            for trial in session["trials"]:
                try:
                    said = people[number].send(answer_of(session, trial["number"]))
                except (OSError, http.client.HTTPException):  # the server has closed
                    return
                if said.status != 200:
                    assert said.status == 503
                    return
                acknowledged[number] = said.json["held"]
                begun.set()

        threads = [threading.Thread(target=answer, args=[number]) for number in range(len(people))]
        for thread in threads:
            thread.start()
        assert begun.wait(60)
    for thread in threads:
        thread.join()
    with running(study, folder) as listening:
        for number, person in enumerate(people):
            person.client = participants(listening)
            assert person.session["held"] >= acknowledged.get(number, 0)


def test_a_fault_of_ours_is_said_without_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, folder = set_study(tmp_path)
    with running(study, folder) as listening:
        person = participants(listening).person()
        answer = person.answer(1)

        def broken(*_: object) -> None:
            raise RuntimeError("the secret reason")

        for name, ask in (
            ("hold", lambda: person.send(answer)),
            ("state", lambda: person.ask("GET", "/api/session")),
            ("asset", lambda: person.ask("GET", "/api/asset/abcdefgh12345")),
        ):
            with monkeypatch.context() as patched:
                patched.setattr(f"experiment.online.crowd.Crowd.{name}", broken)
                said = ask()
                assert (said.status, said.error) == (500, "broken")
                assert b"secret" not in said.body
                assert int(said.header("retry-after") or 0) >= 1
        assert person.send(answer).status == 200
    assert "the secret reason" in listening.log.read_text(encoding="utf-8"), "with its traceback, for whoever runs it"


def test_a_disk_that_is_full_acknowledges_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    from experiment.online.holding import Holding

    study, folder = crop_study(tmp_path)
    with running(study, folder) as listening:
        person = participants(listening).person()
        answer = person.answer(1)
        with monkeypatch.context() as patched:

            def full(*_: object) -> None:
                raise OperationalError("INSERT", {}, Exception("database or disk is full"))

            patched.setattr(Holding, "hold", full)
            said = person.send(answer)
            assert (said.status, said.error) == (503, "not_stored")
            assert said.header("retry-after") == "2"
        assert person.session["held"] == 0
        assert person.send(answer).json["held"] == 1, "sent again, it is held"


# --- the log ------------------------------------------------------------------------------------------------------------


def test_a_log_leaves_out_addresses_and_tokens() -> None:
    text = (
        "from 203.0.113.77:5012 and 2001:db8::7, ::ffff:203.0.113.77, token 0123456789abcdefghijABCDEFGHIJ0123456789-_a at "
        '12:30:05.123, File "experiment/online/crowd.py", line 17'
    )
    found = discreet(text)
    assert "203.0.113.77" not in found
    assert "2001:db8" not in found
    assert "0123456789abcdef" not in found
    assert "12:30:05.123" in found
    assert 'File "experiment/online/crowd.py", line 17' in found


def test_a_log_is_bounded_and_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiment.online.server_log.MOST_BYTES", 10_000)
    path = tmp_path / "online" / "server.log"
    with logging_to(path):
        for number in range(2000):
            logging.getLogger("experiment.online.x").info(
                "line %d of a flood that somebody has caused on purpose", number
            )
        logging.getLogger("experiment.online.x").debug("too much")
    size = sum(file.stat().st_size for file in path.parent.iterdir())
    assert 50_000 < size <= 60_000
    last = path.read_text(encoding="utf-8").splitlines()[-1]
    assert last.endswith("line 1999 of a flood that somebody has caused on purpose")
    assert last[10] == "T"


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(FoolscanError, match="could not be written"), logging_to(tmp_path / "file" / "server.log"):
        pass


# --- the doctor ---------------------------------------------------------------------------------------------------------


def test_the_doctor_tells_whether_jspsych_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert jspsych(tmp_path).status == "limited"
    monkeypatch.setattr("experiment.online.doctor.is_installed", lambda module: False)
    monkeypatch.setattr("experiment.online.doctor.shutil.which", lambda name: None)
    missing = jspsych(tmp_path)
    assert missing.status == "missing"
    assert str(tmp_path) in missing.remedy
    (tmp_path / "jspsych-8.3.0.tgz").write_bytes(b"")
    assert jspsych(tmp_path).status == "ok"
