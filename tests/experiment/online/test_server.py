"""The server as the page meets it: the contract of `experiment.online.messages` over real sockets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from online_server import NO_LIMITS, Client, Person, Said, answer_of, running, stored_bytes
from online_study import crop_study, set_study
from sqlalchemy import func, select

from experiment.online import tables
from experiment.online.database import connect_reading
from experiment.online.items import items_of
from experiment.online.server import PAGE, static_files
from experiment.online.serving import Listening
from experiment.online.session_page import chosen_language, session
from protocols.folder import StudyFolder
from protocols.study import Study

RECRUITERS = ("link", "lab", "mturk_sandbox")
TURK = {
    "assignmentId": "3ABC",
    "hitId": "3HIT",
    "workerId": "A1WORKER",
    "turkSubmitTo": "https://workersandbox.mturk.com",
}


class Served:
    """A study that is served, for all tests of a module."""

    def __init__(self, study: Study, folder: StudyFolder, listening: Listening) -> None:
        self.study, self.folder, self.listening = study, folder, listening
        self.address = listening.pages["link"].removesuffix("/link")
        self.client = Client(self.address)
        self._people = 0

    def person(self) -> Person:
        """Somebody new."""
        self._people += 1
        return Client(self.address).person(f"person-{self._people}")

    def rows(self, table: str) -> int:
        """How many rows a table of the database has."""
        engine = connect_reading(self.listening.database)
        try:
            with engine.connect() as connection:
                found = getattr(tables, table)
                return int(connection.execute(select(func.count()).select_from(found)).scalar_one())
        finally:
            engine.dispose()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    study, folder = crop_study(tmp_path_factory.mktemp("served"), per_list=500)
    with running(study, folder, recruiters=RECRUITERS) as listening:
        yield Served(study, folder, listening)


# --- before joining -----------------------------------------------------------------------------------------------------


def test_the_welcome_says_what_somebody_agrees_to(served: Served) -> None:
    said = served.client.welcome().json
    assert said["state"] == "open"
    assert not said["kiosk"]
    assert (said["study"], said["task"], said["title"]) == ("tinycrops", "crops", "Parts of pictures")
    assert (said["language"], said["direction"], said["languages"]) == ("en", "ltr", ["en", "de"])
    assert len(said["consent"]) == 2
    assert said["information"][0].startswith("In this study")
    assert said["words"]["next"]
    assert said["background_grey"] == 128
    assert said["n_trials"] == len(served.person().session["trials"])


def test_looking_writes_nothing(served: Served) -> None:
    before = [served.rows(name) for name in ("workers", "sessions", "payments", "flags")]
    for _ in range(3):
        served.client.welcome(id="only-looking")
        served.client.welcome("lab", label="07")
    preview = served.client.welcome("mturk_sandbox", assignmentId="ASSIGNMENT_ID_NOT_AVAILABLE", hitId="3HIT")
    assert preview.json["state"] == "preview"
    assert [served.rows(name) for name in ("workers", "sessions", "payments", "flags")] == before


@pytest.mark.parametrize(
    ("asked", "spoken"), [("de", "de"), ("de-AT", "de"), ("DE_at", "de"), ("fr", "en"), ("", "en")]
)
def test_people_are_spoken_to_in_their_language_where_it_is_one(served: Served, asked: str, spoken: str) -> None:
    assert served.client.welcome(language=asked).json["language"] == spoken
    assert served.study.online
    assert chosen_language(served.study.online, asked) == spoken


def test_the_lab_is_a_kiosk(served: Served) -> None:
    assert served.client.welcome("lab", label="07").json["kiosk"] is True


@pytest.mark.parametrize(
    ("recruiter", "arrival"),
    [("link", {"id": "a b"}), ("lab", {"label": ""}), ("mturk_sandbox", {"assignmentId": "x"})],
)
def test_an_arrival_that_is_none_is_refused_in_words(served: Served, recruiter: str, arrival: dict[str, str]) -> None:
    said = served.client.welcome(recruiter, **arrival)
    assert (said.status, said.error) == (400, "refused")
    assert len(said.json["said"]) > 20


# --- joining ------------------------------------------------------------------------------------------------------------


def test_the_same_person_again_takes_over_and_the_old_page_is_told(served: Served) -> None:
    first = served.person()
    first.send(first.answer(1))
    second = first.client.person(first.raw_id)
    assert second.token != first.token
    assert second.session["held"] == 1
    assert [said.status for said in (first.send(first_answer(second)), first.ask("GET", "/api/session"))] == [401, 401]


def first_answer(person: Person) -> dict[str, Any]:
    return person.answer(1)


@pytest.mark.parametrize("consent", [[], [True], [True, False], [True, True, True]])
def test_every_statement_has_to_be_agreed_to(served: Served, consent: list[bool]) -> None:
    said = served.client.join("no-consent", consent=consent)
    assert (said.status, said.error) == (400, "consent")


def test_a_preview_cannot_join(served: Served) -> None:
    arrival = {"assignmentId": "ASSIGNMENT_ID_NOT_AVAILABLE", "hitId": "3HIT"}
    body = {"recruiter": "mturk_sandbox", "arrival": arrival, "language": "en", "consent": [True, True]}
    said = served.client.ask("POST", "/api/join", body)
    assert (said.status, said.error) == (403, "preview")


# --- a session ----------------------------------------------------------------------------------------------------------


def test_a_session_tells_what_the_page_shows(served: Served) -> None:
    told = served.person().session
    assert set(told) == {
        *(
            "title",
            "language",
            "direction",
            "words",
            "kiosk",
            "instructions",
            "rest",
            "showing",
            "questions",
            "practice",
        ),
        *("trials", "held", "n_happenings", "n_loads", "state"),
    }
    assert (told["state"], told["held"], told["n_happenings"], told["n_loads"]) == ("active", 0, 0, 0)
    assert told["showing"]["side_px"] == 256
    (question,) = told["questions"]
    assert [option["label"] for option in question["options"]][:2] == ["bird", "boat"]
    assert [trial["number"] for trial in told["trials"]] == list(range(1, len(told["trials"]) + 1))
    for trial in told["trials"]:
        assert (trial["asset"] is None) == (trial["kind"] == "attention") == (trial["text"] is not None)
        assert "{option}" not in (trial["text"] or "")
    assert told["practice"]["right"] == "Right."


def test_a_whole_session_from_joining_to_the_code(served: Served) -> None:
    person = served.person()
    n_trials = len(person.session["trials"])
    early = person.finish()
    assert (early.status, early.error, early.json["held"]) == (409, "incomplete", 0)
    assert person.answer_all() == n_trials
    done = person.finish("thank you")
    assert done.status == 200
    assert done.json["debriefing"].startswith("Thank you.")
    completion = done.json["completion"]
    assert completion["kind"] == "code"
    assert re.fullmatch(r"([0-9A-Z]{4}-){3}[0-9A-Z]{4}", completion["code"])
    assert person.finish().json == done.json, "the same completion, however often it is asked for"
    assert person.session["state"] == "finished"
    again = person.client.join(person.raw_id)
    assert (again.status, again.error) in {(409, "finished"), (201, "")} or again.status == 201


def test_practice_alone_is_told_to_be_right_or_wrong(served: Served) -> None:
    person = served.person()
    session = person.session
    told = {number: person.send(answer_of(session, number)).json["feedback"] for number in (1, 2, 3)}
    assert set(told[1]) == {"1"}
    assert told[1]["1"] in ("right", "wrong")
    assert told[2] == told[3] == {}
    assert person.send(answer_of(session, 1)).json["feedback"] == told[1], "a reply may have been lost"


def test_an_answer_sent_twice_is_held_once(served: Served) -> None:
    person = served.person()
    answer = person.answer(1)
    assert [person.send(answer).json["held"] for _ in range(3)] == [1, 1, 1]
    session = person.session
    assert person.send(answer_of(session, 1), answer_of(session, 2)).json["held"] == 2


def test_trials_come_in_order(served: Served) -> None:
    person = served.person()
    said = person.send(person.answer(2))
    assert (said.status, said.error, said.json["held"]) == (409, "out_of_order", 0)


def test_happenings_alone_may_be_sent(served: Served) -> None:
    person = served.person()
    happening = {"number": 1, "kind": "hidden", "trial": None, "at_ms": 5.0, "content": None}
    assert person.send(happenings=[happening]).json == {"held": 0, "feedback": {}}
    assert person.session["n_happenings"] == 1


def test_whoever_withdraws_can_answer_no_more(served: Served) -> None:
    person = served.person()
    answer = person.answer(1)
    assert person.ask("POST", "/api/withdraw", {"erase": True}).status == 200
    said = person.send(answer)
    assert (said.status, said.error) in {(409, "withdrawn"), (401, "unknown_token")}
    assert person.finish().status in (401, 409)
    assert person.client.join(person.raw_id).status in (409, 201)


def test_a_worker_of_mechanical_turk_ends_with_a_form(served: Served) -> None:
    client = Client(served.address)
    body = {"recruiter": "mturk_sandbox", "arrival": TURK, "language": "en", "consent": [True, True]}
    person = Person(client, "", client.ask("POST", "/api/join", body).json["token"])
    person.answer_all()
    forged = person.ask("POST", "/api/finish", {"arrival": {**TURK, "turkSubmitTo": "https://evil.example"}})
    assert (forged.status, forged.error) == (400, "refused")
    completion = person.ask("POST", "/api/finish", {"arrival": TURK}).json["completion"]
    assert completion["kind"] == "form"
    assert completion["url"] == "https://workersandbox.mturk.com/mturk/externalSubmit"
    assert completion["fields"]["assignmentId"] == "3ABC"


def test_an_image_is_of_this_session_alone(served: Served) -> None:
    one, other = served.person(), served.person()
    asset = next(trial["asset"] for trial in one.session["trials"] if trial["asset"])
    mine = one.ask("GET", f"/api/asset/{asset}")
    assert (mine.status, mine.header("content-type")) == (200, "image/png")
    foreign = other.ask("GET", f"/api/asset/{asset}")
    nobody = other.client.ask("GET", f"/api/asset/{asset}", token="x" * 43)
    none = one.ask("GET", f"/api/asset/{'x' * 22}")
    without = one.client.ask("GET", f"/api/asset/{asset}")
    assert {(said.status, said.body) for said in (foreign, nobody, none, without)} == {(404, foreign.body)}


def test_assets_differ_in_nothing_but_their_bytes(served: Served) -> None:
    person, other = served.person(), served.person()
    found = [
        who.ask("GET", f"/api/asset/{trial['asset']}")
        for who in (person, other)
        for trial in who.session["trials"]
        if trial["asset"]
    ]
    alike = {tuple(pair for pair in said.headers if pair[0] != "date") for said in found}
    assert len(alike) == 1, "length, type and everything else are the same"
    (headers,) = alike
    assert not {"last-modified", "etag", "content-disposition"} & dict(headers).keys()
    assert dict(headers)["cache-control"] == "no-store"


def test_a_paused_study_lets_nobody_new_in(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path, per_list=1)
    with running(study, folder) as listening:
        client = Client(listening.pages["link"].removesuffix("/link"))
        desk = Client(listening.operator.partition("/#")[0])
        going = client.person("going")
        token = listening.operator.partition("#")[2]
        assert desk.ask("POST", "/api/pause", {"paused": True}, token=token).status == 200
        assert client.welcome().json["state"] == "paused"
        late = client.join("late")
        assert (late.status, late.error) == (403, "paused")
        assert going.send(going.answer(1)).status == 200, "who is under way goes on"
        assert desk.ask("POST", "/api/pause", {"paused": False}, token=token).status == 200
        assert client.join("late").status == 201
        full = client.join("too-late")
        assert (full.status, full.error, client.welcome(id="x").json["state"]) == (403, "full", "full")


def test_the_condition_without_nothing_does_not_offer_it(tmp_path: Path) -> None:
    study, folder = set_study(tmp_path, per_list=1)
    with running(study, folder) as listening:
        client = Client(listening.pages["link"].removesuffix("/link"))
        offered = []
        for number in range(6):
            person = client.person(f"p{number}")
            questions = {question["name"]: question for question in person.session["questions"]}
            animal, name = questions["animal"]["options"], questions["name"]["options"]
            offered.append((animal[-1]["label"], [option["value"] for option in name]))
            assert questions["name"]["max_letters"] == 40
            assert [step["label"] for step in questions["confidence"]["options"]] == [
                "guessed",
                "unsure",
                "fairly sure",
                "sure",
            ]
            assert person.answer_all() == len(person.session["trials"])
        assert sorted(map(str, offered)) == sorted(
            map(str, [("nothing recognisable", ["nothing"])] * 3 + [("not an animal", [])] * 3)
        )


# --- the page and its files ---------------------------------------------------------------------------------------------

PAGES = ("/link", "/lab", "/mturk_sandbox")


@pytest.mark.parametrize("path", PAGES)
def test_every_entrance_is_the_page(served: Served, path: str) -> None:
    said = served.client.ask("GET", f"{path}?id=anna")
    assert said.status == 200
    assert said.header("content-type") == "text/html; charset=utf-8"
    assert b"static/main.js" in said.body
    assert b"http" not in said.body.replace(b"http-equiv", b"")


def test_an_entrance_that_is_not_open_is_not_there(served: Served) -> None:
    assert served.client.ask("GET", "/mturk").status == 404
    assert served.client.welcome("mturk", **TURK).error == "refused"


def test_only_its_recruiter_may_frame_a_page(served: Served) -> None:
    policies = {path: policy_of(served.client.ask("GET", path)) for path in PAGES}
    assert policies["/link"]["frame-ancestors"] == policies["/lab"]["frame-ancestors"] == "'none'"
    assert policies["/mturk_sandbox"]["frame-ancestors"] == "https://workersandbox.mturk.com"
    assert policies["/mturk_sandbox"]["form-action"] == "'self' https://workersandbox.mturk.com"
    framed = served.client.ask("GET", "/mturk_sandbox")
    assert framed.header("x-frame-options") is None
    assert framed.header("cross-origin-opener-policy") == "unsafe-none"
    assert served.client.ask("GET", "/link").header("x-frame-options") == "DENY"


def policy_of(said: Said) -> dict[str, str]:
    """The content security policy, by directive."""
    parts = (said.header("content-security-policy") or "").split("; ")
    return {name: value for name, _, value in (part.partition(" ") for part in parts)}


def test_a_page_may_load_its_own_things_alone(served: Served) -> None:
    assert policy_of(served.client.ask("GET", "/link")) == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob: data:",
        "connect-src": "'self'",
        "font-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }


def test_a_file_that_the_browser_has_is_not_sent_again(served: Served) -> None:
    first = served.client.ask("GET", "/static/main.js")
    assert first.header("content-type") == "text/javascript; charset=utf-8"
    assert first.header("cache-control") == "no-cache"
    tag = first.header("etag")
    assert tag
    assert not tag.startswith("W/")
    for value in (tag, f'"other", {tag}', f"W/{tag}"):
        again = served.client.ask("GET", "/static/main.js", headers={"If-None-Match": value})
        assert (again.status, again.body, again.header("etag")) == (304, b"", tag)
    other = served.client.ask("GET", "/static/main.js", headers={"If-None-Match": '"other"'})
    assert (other.status, other.body) == (200, first.body)


def test_vendored_files_are_served(served: Served) -> None:
    assert served.client.ask("GET", "/vendor/jspsych.js").body == b"// stands for jsPsych\n"


def everything_said(served: Served) -> dict[str, Said]:
    """An answer of every kind that there is."""
    ask, person = served.client.ask, served.person()
    asset = next(trial["asset"] for trial in person.session["trials"] if trial["asset"])
    return {
        "page": ask("GET", "/link"),
        "static": ask("GET", "/static/main.js"),
        "vendor": ask("GET", "/vendor/jspsych.js"),
        "health": ask("GET", "/healthz"),
        "welcome": served.client.welcome(),
        "refused": served.client.welcome(id="?"),
        "session": person.ask("GET", "/api/session"),
        "asset": person.ask("GET", f"/api/asset/{asset}"),
        "answers": person.send(person.answer(1)),
        "unknown": ask("GET", "/api/session", token="x" * 43),
        "malformed": person.ask("POST", "/api/answers", b"{"),
        "nowhere": ask("GET", "/nowhere"),
        "nowhere for people": ask("GET", "/nowhere", headers={"Accept": "text/html"}),
        "method": ask("DELETE", "/api/session"),
        "not modified": ask(
            "GET", "/static/main.js", headers={"If-None-Match": str(ask("GET", "/static/main.js").header("etag"))}
        ),
    }


def test_every_answer_has_the_headers_and_no_cookie(served: Served) -> None:
    for name, said in everything_said(served).items():
        found = dict(said.headers)
        assert found["x-content-type-options"] == "nosniff", name
        assert found["referrer-policy"] == "no-referrer", name
        assert found["content-security-policy"].startswith("default-src 'none'"), name
        assert found["cache-control"] in ("no-store", "no-cache"), name
        assert "camera=()" in found["permissions-policy"], name
        assert found["cross-origin-resource-policy"] == "same-origin", name
        assert not {"set-cookie", "server", "x-powered-by"} & found.keys(), name
        assert not any(header.startswith("access-control-") for header in found), name


def test_what_is_wrong_is_json_with_a_kind_and_a_sentence(served: Served) -> None:
    said = everything_said(served)
    for name, status in (("refused", 400), ("unknown", 401), ("malformed", 400), ("nowhere", 404), ("method", 405)):
        assert said[name].status == status, name
        assert set(said[name].json) == {"error", "said"}, name
        assert said[name].header("content-type") == "application/json", name
    assert said["nowhere for people"].body.startswith(b"<!doctype html>")
    assert said["nowhere for people"].status == 404
    assert said["method"].header("allow")


def test_no_other_site_may_ask(served: Served) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    said = served.client.ask("OPTIONS", "/api/join", headers=asked)
    assert said.status == 405
    assert not any(name.startswith("access-control") for name, _ in said.headers)


def test_a_redirect_to_a_named_host_is_never_made(served: Served) -> None:
    for path in ("/link/", "/api/session/", "//evil.example/", "/static"):
        said = served.client.ask("GET", path, headers={"Host": "evil.example"})
        assert said.status == 404
        assert said.header("location") is None
        assert b"evil" not in said.body


# --- what must not be known ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [crop_study, set_study])
def test_nothing_that_a_session_can_fetch_tells_what_an_image_is(tmp_path: Path, make: Any) -> None:
    study, folder = make(tmp_path, per_list=3)
    with running(study, folder) as listening:
        served = Served(study, folder, listening)
        people = [served.person() for _ in range(4)]
        files = [served.client.ask("GET", f"/static/{name}") for name in static_files(PAGE)]
        assert all(said.status == 200 for said in files)
        pages = files + [said for name, said in everything_said(served).items() if name != "asset"]
        for person in people:
            session = person.session
            pages += [person.ask("GET", "/api/session")]
            pages += [
                person.ask("GET", f"/api/asset/{trial['asset']}") for trial in session["trials"] if trial["asset"]
            ]
            pages += [person.send(answer_of(session, trial["number"])) for trial in session["trials"]]
            pages += [person.ask("GET", "/api/session")]
        assert study.online
        items = items_of(study.online, folder)
        session = people[0].session
        offered = [option for question in session["questions"] for option in question["options"]]
        options = {option[key] for option in offered for key in ("value", "label")}
        words: set[str] = (
            {item.item_id for item in items} | {item.file for item in items} | {Path(item.file).stem for item in items}
        )
        words |= {item.source_id for item in items} | {item.pair_id for item in items if item.pair_id}
        words |= {item.traits["category"] for item in items}
        words |= {item.sha256 for item in items} | {str(tmp_path), str(folder.root)}
        words |= {"fragile", "square-1", "square-2", "supercategory", "picture_id", "item_id"}
        texts = b"\n".join(said.body + repr(said.headers).encode() for said in pages).lower()
        spoken = repr((study.online.saying, options)).lower().encode()
        told = [word for word in words if len(word) > 3 and holds(texts, word) and not holds(spoken, word)]
        assert told == []


def holds(texts: bytes, word: str) -> bool:
    """Whether a word stands in a text, as a word of its own."""
    return re.search(rb"(?<![a-z0-9])" + re.escape(word.lower().encode()) + rb"(?![a-z0-9])", texts) is not None


def test_two_sessions_of_one_list_have_other_names_for_the_same_image(served: Served) -> None:
    assets = [
        trial["asset"]
        for who in (served.person(), served.person(), served.person())
        for trial in who.session["trials"]
        if trial["asset"]
    ]
    assert len(set(assets)) == len(assets)
    assert all(len(asset) >= 22 for asset in assets)


def test_what_a_browser_gets_of_options_is_what_the_plan_has(served: Served) -> None:
    plan = served.study.online
    assert plan
    told = session(plan, "de", (), {"thing": ("birds", "boats")}, {}, kiosk=False)
    assert told["questions"][0]["options"] == [
        {"value": "birds", "label": "Vogel"},
        {"value": "boats", "label": "Boot"},
    ]


def test_no_address_is_stored_anywhere(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    with running(study, folder, trusted_proxies=("127.0.0.1",), limits=NO_LIMITS) as listening:
        client = Client(listening.pages["link"].removesuffix("/link"))
        forwarded = {"X-Forwarded-For": "203.0.113.77"}
        client.join("anna", **forwarded)
        client.ask("GET", "/api/session", token="y" * 43, headers=forwarded)
        client.ask("POST", "/api/join", b"nonsense", headers=forwarded)
        client.ask("GET", f"/{quote('203.0.113.77')}", headers=forwarded)
    for path, content in stored_bytes(folder).items():
        assert not any(address in content for address in (b"203.0.113.77", b"127.0.0.1")), path


def test_the_token_is_stored_nowhere(tmp_path: Path) -> None:
    study, folder = crop_study(tmp_path)
    with running(study, folder) as listening:
        person = Client(listening.pages["link"].removesuffix("/link")).person()
        person.answer_all()
        code = person.finish().json["completion"]["code"]
    for path, content in stored_bytes(folder).items():
        assert not any(secret.encode() in content for secret in (person.token, code)), path
