"""Hostile input over real sockets: each gets the smallest true answer, nothing is stored but a flag, and others are served on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from online_server import (
    NO_LIMITS,
    QUICK,
    Client,
    Person,
    answer_of,
    everything,
    running,
    status_of,
    stored_bytes,
    talk,
)
from online_study import crop_study, set_study
from sqlalchemy import select

from experiment.online import tables
from experiment.online.connections import guarded_h11
from experiment.online.database import connect_reading
from experiment.online.limits import Limits, Rate
from experiment.online.messages import MOST_BYTES
from protocols.folder import StudyFolder

NOBODY = "A" * 43


class Target:
    """A server that is attacked."""

    def __init__(self, address: str, folder: StudyFolder, database: Any) -> None:
        self.address, self.folder, self.database = address, folder, database
        self.client = Client(address)
        self._people = 0
        self.known = self.person().token

    def person(self) -> Person:
        """Somebody new."""
        self._people += 1
        return Client(self.address).person(f"person-{self._people}")

    def rows(self, name: str) -> list[Any]:
        """A table's rows."""
        engine = connect_reading(self.database)
        try:
            with engine.connect() as connection:
                return list(connection.execute(select(getattr(tables, name))))
        finally:
            engine.dispose()

    def flags(self) -> list[str]:
        """Kinds of flags, as often as they are stored, once what waits has been written."""
        self.person()  # the writer keeps the order: what came before is stored when somebody has joined
        return [row.kind for row in self.rows("flags")]

    def answers(self) -> int:
        """Answers that are stored."""
        return len(self.rows("responses"))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    study, folder = set_study(tmp_path_factory.mktemp("target"), per_list=500, conditions=("free",))
    with running(study, folder, deadlines=QUICK) as listening:
        yield Target(listening.pages["link"].removesuffix("/link"), folder, listening.database)


def refused(target: Target, status: int, flag: str, ask: Callable[[], Any]) -> Any:
    """Ask for what must be refused: with this status, one flag, and no answer stored."""
    before, answers = target.flags().count(flag), target.answers()
    said = ask()
    assert said.status == status, said.body
    assert set(said.json) >= {"error", "said"}
    assert target.answers() == answers, "nothing is stored"
    assert target.flags().count(flag) == before + 1, "and it is flagged"
    return said


# --- who --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [NOBODY, "short", "", "x" * 5000, "../../etc/passwd", "' OR 1=1 --", "tokén-ä" * 5])
def test_a_forged_token_opens_nothing(target: Target, token: str) -> None:
    body = {"answers": [], "happenings": []}
    headers = {"Authorization": f"Bearer {token}"}
    for method, path, sent in (
        ("POST", "/api/answers", body),
        ("GET", "/api/session", None),
        ("POST", "/api/withdraw", {"erase": True}),
    ):
        said = refused(
            target, 401, "unknown_token", lambda m=method, p=path, s=sent: target.client.ask(m, p, s, headers=headers)
        )
        assert said.error == "unknown_token"


def test_a_token_is_taken_from_its_header_alone(target: Target) -> None:
    token = target.person().token
    ask = target.client.ask
    for said in (
        ask("GET", f"/api/session?token={token}"),
        ask("GET", "/api/session", headers={"Cookie": f"token={token}"}),
        ask("GET", "/api/session", headers={"Authorization": f"Basic {token}"}),
        ask("GET", "/api/session", headers={"Authorization": token}),
        ask("GET", "/api/session", headers={"X-Authorization": f"Bearer {token}"}),
    ):
        assert said.status == 401
    raw = talk(
        target.address,
        f"GET /api/session HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nAuthorization: Bearer {NOBODY}\r\n"
        "Connection: close\r\n\r\n".encode(),
    )
    assert status_of(raw) == 401, "two tokens are none"


def test_swapped_ids_get_nothing_of_another_s(target: Target) -> None:
    one, other = target.person(), target.person()
    asset = next(trial["asset"] for trial in one.session["trials"] if trial["asset"])
    refused(target, 404, "unknown_asset", lambda: other.ask("GET", f"/api/asset/{asset}"))
    one.answer_all()
    said = other.ask("POST", "/api/finish", {"comment": "", "arrival": {"id": one.raw_id}})
    assert (said.status, said.error) == (409, "incomplete"), "the token says who it is, not the address"


def test_a_made_up_entrance_is_none(target: Target) -> None:
    body = {"recruiter": "prolific", "arrival": {"id": "x"}, "language": "en", "consent": [True, True]}
    refused(target, 400, "unknown_recruiter", lambda: target.client.ask("POST", "/api/join", body))
    refused(target, 400, "refused_arrival", lambda: target.client.join("' OR 1=1 --"))


# --- what -------------------------------------------------------------------------------------------------------------


def test_an_answer_that_differs_from_the_one_held_is_flagged_and_not_taken(target: Target) -> None:
    person = target.person()
    first = person.answer(1)
    assert person.send(first).status == 200
    stored = target.rows("responses")[-1].content
    other = json.loads(json.dumps(first))
    other["given"][0]["value"] = person.session["questions"][0]["options"][1]["value"]
    before = target.flags().count("conflict")
    assert person.send(other).json["held"] == 1
    assert target.rows("responses")[-1].content == stored
    assert target.flags().count("conflict") == before + 1


@pytest.mark.parametrize("trial", [2, 5])
def test_an_answer_out_of_order_is_not_stored(target: Target, trial: int) -> None:
    person = target.person()
    answer = person.answer(trial)
    said = refused(target, 409, "out_of_order", lambda: person.send(answer))
    assert (said.error, said.json["held"]) == ("out_of_order", 0)


def test_what_somebody_sends_who_is_known_is_flagged_as_theirs(target: Target) -> None:
    person = target.person()
    assert person.ask("POST", "/api/answers", b"{").status == 400
    assert person.send(person.answer(3)).status == 409
    assert person.ask("GET", f"/api/asset/{'x' * 22}").status == 404
    target.flags()
    last = target.rows("sessions")[-2:]
    mine = [row.kind for row in target.rows("flags") if row.session in {row.session for row in last}]
    assert mine == ["malformed", "out_of_order", "unknown_asset"]


def broken(session: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Answers to the first trial that none of the study's pages sends, by what is wrong."""
    good = answer_of(session, 1)
    (choice, typed, rating) = good["given"]
    return {
        "an option that was not offered": {**good, "given": [{**choice, "value": "unicorn"}, typed, rating]},
        "a step that the scale does not have": {**good, "given": [choice, typed, {**rating, "value": "5"}]},
        "an option of another question": {**good, "given": [{**choice, "value": "4"}, typed, rating]},
        "a typed name for a choice": {**good, "given": [{**choice, "value": None, "typed": "cat"}, typed, rating]},
        "both": {**good, "given": [choice, {**typed, "value": "nothing", "typed": "cat"}, rating]},
        "neither": {**good, "given": [{**choice, "value": None}, typed, rating]},
        "a question that was not asked": {**good, "given": [{**choice, "question": "age"}, typed, rating]},
        "a question too few": {**good, "given": [choice, typed]},
        "a question twice": {**good, "given": [choice, choice, rating]},
        "questions in another order": {**good, "given": [typed, choice, rating]},
        "no word of how it was shown": {**good, "shown": None},
        "a trial that was never assigned": {**good, "trial": 999},
        "a name that is too long": {**good, "given": [choice, {**typed, "value": None, "typed": "x" * 41}, rating]},
    }


WRONG = [
    "an option that was not offered",
    "a step that the scale does not have",
    "an option of another question",
    "a typed name for a choice",
    "both",
    "neither",
    "a question that was not asked",
    "a question too few",
    "a question twice",
    "questions in another order",
    "no word of how it was shown",
    "a trial that was never assigned",
    "a name that is too long",
]


@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_that_was_never_offered_is_refused(target: Target, wrong: str) -> None:
    person = target.person()
    answer = broken(person.session)[wrong]
    said = refused(target, 422, "mismatch", lambda: person.send(answer))
    assert said.error == "mismatch"
    assert person.session["held"] == 0


def test_one_wrong_answer_takes_its_neighbours_with_it_and_nothing_else(target: Target) -> None:
    person = target.person()
    session = person.session
    wrong = {**answer_of(session, 2), "given": []}
    assert person.send(answer_of(session, 1), wrong).status == 400
    assert person.session["held"] == 0
    assert person.send(answer_of(session, 1), answer_of(session, 2)).json["held"] == 2


BODIES = {
    "no JSON": b"nonsense",
    "nothing": b"",
    "half of it": b'{"answers": [',
    "a list": b"[]",
    "null": b"null",
    "not UTF-8": b'{"answers": [], "happenings": ["\xff\xfe"]}',
    "UTF-16": '{"answers": []}'.encode("utf-16"),
    "half a surrogate pair": b'{"comment": "\\ud800", "answers": []}',
    "not a number": b'{"answers": [], "happenings": [{"number": 1, "kind": "x", "at_ms": NaN}]}',
    "infinity": b'{"answers": [], "happenings": [{"number": 1, "kind": "x", "at_ms": Infinity}]}',
    "a huge number": b'{"answers": [], "happenings": [{"number": 1, "kind": "x", "at_ms": 1e400}]}',
    "ten thousand digits": b'{"answers": [], "happenings": [{"number": '
    + b"9" * 10_000
    + b', "kind": "x", "at_ms": 1}]}',
    "minus one": b'{"answers": [], "happenings": [{"number": -1, "kind": "x", "at_ms": 1}]}',
    "a number as text": b'{"answers": [], "happenings": [{"number": "1", "kind": "x", "at_ms": 1}]}',
    "true for one": b'{"answers": [], "happenings": [{"number": true, "kind": "x", "at_ms": 1}]}',
    "deep lists": b'{"answers": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "an unknown key": b'{"answers": [], "happenings": [], "is_admin": true}',
    "a prototype": b'{"answers": [], "__proto__": {"held": 99}}',
    "too many happenings": json.dumps(
        {"happenings": [{"number": n, "kind": "x", "at_ms": 1} for n in range(1, 100)]}
    ).encode(),
    "a kind with a line break": b'{"happenings": [{"number": 1, "kind": "x\\ny", "at_ms": 1}]}',
    "a null character": b'{"happenings": [{"number": 1, "kind": "x", "at_ms": 1, "content": "a\\u0000b"}]}',
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_true_one_is_refused(target: Target, name: str) -> None:
    person, happenings = target.person(), len(target.rows("happenings"))
    refused(target, 400, "malformed", lambda: person.ask("POST", "/api/answers", BODIES[name]))
    assert len(target.rows("happenings")) == happenings


KEYS = st.sampled_from(["answers", "happenings", "trial", "given", "shown", "value", "arrival", "consent", "comment"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("link"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON, st.sampled_from(["answers", "join", "withdraw", "finish"]))
def test_whatever_json_is_sent_nothing_breaks(target: Target, body: Any, address: str) -> None:
    token = None if address == "join" else target.known
    said = target.client.ask("POST", f"/api/{address}", json.dumps(body).encode(), token=token)
    harmless = address == "answers" and body in (
        {},
        {"answers": []},
        {"happenings": []},
        {"answers": [], "happenings": []},
    )
    assert said.status in ((200,) if harmless else (400, 409, 413, 422)), (body, said.body)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=200))
def test_whatever_bytes_are_sent_nothing_breaks(target: Target, sent: bytes) -> None:
    assert status_of(talk(target.address, sent + b"\r\n\r\n\r\n\r\n")) in (0, 400, 404, 405, 408, 431)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/jsonp"]
)
def test_a_form_of_another_site_cannot_send_anything(target: Target, kind: str) -> None:
    person = target.person()
    body = json.dumps({"answers": [], "happenings": []}).encode()
    said = refused(
        target, 415, "malformed", lambda: person.ask("POST", "/api/answers", body, headers={"Content-Type": kind})
    )
    assert said.error == "wrong_type"
    with_charset = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert person.ask("POST", "/api/answers", body, headers=with_charset).status == 200


SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}'; DROP TABLE responses; --"


def test_script_in_every_text_is_stored_as_text_and_never_comes_back_as_a_page(target: Target) -> None:
    person = target.person()
    session = person.session
    happening = {"number": 1, "kind": "shown", "trial": None, "at_ms": 1.0, "content": SCRIPT}
    typed = answer_of(session, 1)
    typed["given"][1] = {**typed["given"][1], "value": None, "typed": SCRIPT[:40]}
    assert person.send(typed, happenings=[happening]).status == 200
    assert person.answer_all() == len(session["trials"])
    assert person.finish(SCRIPT).status == 200
    assert json.loads(
        next(row.content for row in target.rows("responses") if SCRIPT[:40] in (row.content or "").replace('\\"', '"'))
    )
    assert SCRIPT in [row.content for row in target.rows("happenings")]
    answers = [
        person.ask("GET", "/api/session"),
        target.client.welcome(id=SCRIPT),
        target.client.ask("GET", "/%3Cscript%3Ealert(1)"),
    ]
    for said in answers:
        assert b"<script>" not in said.body
        assert said.header("content-type") != "text/html; charset=utf-8"


def test_a_language_or_a_recruiter_of_script_changes_nothing(target: Target) -> None:
    said = target.client.welcome(language=SCRIPT[:30])
    assert said.status == 200
    assert said.json["language"] == "en"
    assert b"<script>" not in said.body


def test_a_language_that_is_none_is_not_looked_for_letter_by_letter(target: Target) -> None:
    languages = target.client.welcome().json["languages"]
    own, other = languages[0], languages[-1]
    assert target.client.welcome(language=f"{other}-x").json["language"] == other
    assert target.client.welcome(language=other + "-x" * 1500).json["language"] == own


# --- how much ---------------------------------------------------------------------------------------------------------


def post(token: str, body: bytes, *headers: str) -> bytes:
    """A raw request with answers."""
    lines = [
        "POST /api/answers HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_a_body_of_ten_megabytes_is_refused_before_it_is_read(target: Target) -> None:
    person = target.person()
    body = b'{"answers": [' + b" " * 10_000_000 + b"]}"
    refused(
        target, 413, "too_large", lambda: Client(target.address).ask("POST", "/api/answers", body, token=person.token)
    )
    with socket.create_connection(("127.0.0.1", target.client.port), timeout=30) as door:
        door.sendall(post(person.token, b"", "Content-Length: 10000000"))
        assert status_of(door.recv(65536)) == 413, "its declared length is enough"


def test_a_body_in_pieces_without_a_length_is_read_no_further_than_allowed(target: Target) -> None:
    person = target.person()
    with socket.create_connection(("127.0.0.1", target.client.port), timeout=30) as door:
        door.sendall(post(person.token, b"", "Transfer-Encoding: chunked"))
        piece = b"1000\r\n" + b" " * 4096 + b"\r\n"
        for _ in range(MOST_BYTES // 4096 + 1):
            door.sendall(piece)
        assert status_of(door.recv(65536)) == 413
    assert person.send(person.answer(1)).status == 200, "who sends what is right is served on"


def test_a_head_without_an_end_is_cut_off(target: Target) -> None:
    for head in (
        b"GET /healthz HTTP/1.1\r\n" + b"X-A: " + b"a" * 40_000,
        b"GET /" + b"a" * 40_000,
        b"X: y\r\n" * 10_000,
    ):
        start = b"" if head.startswith(b"GET") else b"GET / HTTP/1.1\r\n"
        assert status_of(talk(target.address, start + head)) in (431, 0)
    assert target.client.ask("GET", "/healthz").status == 200


def test_headers_behind_a_body_in_pieces_are_not_kept(target: Target) -> None:
    person = target.person()
    trailer = b"".join(b"x-%d: %s\r\n" % (number, b"a" * 1000) for number in range(1000))
    raw = talk(
        target.address,
        post(person.token, b"0\r\n" + trailer + b"\r\n", "Transfer-Encoding: chunked", "Connection: close"),
    )
    assert status_of(raw) in (0, 400, 431)


def drip(
    target_address: Client, begin: bytes, drop: bytes, *, every_s: float = 0.2, for_s: float = 20.0
) -> tuple[float, bytes]:
    """Send a beginning, then a few bytes now and then: how long it lasted, and what came of it."""
    with socket.create_connection((target_address.host, target_address.port), timeout=0.01) as door:
        door.sendall(begin)
        began_s, found = time.monotonic(), b""
        while time.monotonic() - began_s < for_s:
            time.sleep(every_s)
            try:
                door.sendall(drop)
                part = door.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            if not part:
                break
            found += part
        return time.monotonic() - began_s, found


def test_a_head_that_drips_is_cut_off(target: Target) -> None:
    lasted_s, found = drip(target.client, b"GET /api/session HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n")
    assert QUICK.head_s < lasted_s < 10
    assert status_of(found) in (408, 0)


def test_a_body_that_drips_is_cut_off(target: Target) -> None:
    person, answers = target.person(), target.answers()
    lasted_s, found = drip(target.client, post(person.token, b'{"answers"', "Content-Length: 5000"), b" ")
    assert QUICK.body_s < lasted_s < 10
    assert status_of(found) in (408, 0)
    assert target.answers() == answers


def test_a_body_in_pieces_that_drips_is_cut_off(target: Target) -> None:
    person = target.person()
    lasted_s, _ = drip(target.client, post(person.token, b"", "Transfer-Encoding: chunked"), b"1\r\n \r\n")
    assert QUICK.body_s < lasted_s < 10


def test_a_connection_that_says_nothing_is_closed(target: Target) -> None:
    with socket.create_connection((target.client.host, target.client.port), timeout=10) as door:
        assert everything(door) == b""


def test_a_hundred_that_drip_keep_nobody_from_answering(target: Target) -> None:
    person = target.person()
    doors = [socket.create_connection((target.client.host, target.client.port)) for _ in range(100)]
    try:
        for door in doors:
            door.sendall(b"POST /api/answers HTTP/1.1\r\nHost: x\r\nX-")
        assert person.send(person.answer(1)).status == 200
    finally:
        for door in doors:
            door.close()


def test_beyond_the_most_connections_idle_ones_make_room(tmp_path: Any) -> None:
    from dataclasses import replace

    study, folder = crop_study(tmp_path)
    with running(study, folder, deadlines=replace(QUICK, connections=20, head_s=30.0)) as listening:
        address = listening.pages["link"].removesuffix("/link")
        client = Client(address)
        idle = [socket.create_connection((client.host, client.port)) for _ in range(60)]
        try:
            assert client.ask("GET", "/healthz").status == 200, "an honest request gets through"
            dropped = 0
            for door in idle:
                door.settimeout(0.2)
                try:
                    dropped += door.recv(1) == b""
                except ConnectionError:
                    dropped += 1
                except TimeoutError:
                    pass
            assert dropped >= 40
        finally:
            for door in idle:
                door.close()


def test_beyond_the_most_connections_slow_bodies_make_room(tmp_path: Any) -> None:
    from dataclasses import replace

    study, folder = crop_study(tmp_path)
    with running(study, folder, deadlines=replace(QUICK, connections=20, body_s=60.0)) as listening:
        client = Client(listening.pages["link"].removesuffix("/link"))
        doors = [socket.create_connection((client.host, client.port)) for _ in range(20)]
        try:
            for door in doors:
                door.sendall(post(NOBODY, b"{", "Content-Length: 5000"))
            time.sleep(0.5)
            assert client.ask("GET", "/healthz").status == 200
        finally:
            for door in doors:
                door.close()


def test_without_httptools_the_same_deadlines_hold(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiment.online.serving.guarded", guarded_h11)
    study, folder = crop_study(tmp_path)
    with running(study, folder, deadlines=QUICK) as listening:
        client = Client(listening.pages["link"].removesuffix("/link"))
        person = client.person()
        assert person.answer_all() == len(person.session["trials"])
        for begin, drop in (
            (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n"),
            (post(person.token, b"{", "Content-Length: 5000"), b" "),
        ):
            lasted_s, _ = drip(client, begin, drop)
            assert lasted_s < 10
        assert status_of(talk(client.address, b"no HTTP at all\r\n\r\n")) == 400


# --- where ------------------------------------------------------------------------------------------------------------

ASTRAY = [
    "/api/asset/../../etc/passwd",
    "/api/asset/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/api/asset/..%5c..%5cwindows%5cwin.ini",
    "/api/asset/%252e%252e%252fpasswd",
    "/api/asset/" + "a" * 300,
    "/api/asset/%00",
    "/api/asset/",
    "/static/../server.py",
    "/static/%2e%2e/server.py",
    "/static/..%2fserver.py",
    "/static/....//server.py",
    "/static//etc/passwd",
    "/static/index.html%00.js",
    "/static/.hidden",
    "/static/index.html",
    "/vendor/../../../etc/passwd",
    "/vendor/%2e%2e%2fpackage.json",
    "/..%2f..%2fetc/passwd",
    "/link/../operator",
    "/api/../link/../../x",
]


@pytest.mark.parametrize("path", ASTRAY)
def test_a_path_that_leads_out_leads_nowhere(target: Target, path: str) -> None:
    person = target.person()
    lines = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {person.token}", "Connection: close", "", ""]
    raw = talk(target.address, "\r\n".join(lines).encode())
    assert status_of(raw) == 404
    assert b"root:" not in raw
    assert b"import" not in raw


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "POSTX", "post"])
def test_answers_can_be_posted_and_nothing_else(target: Target, method: str) -> None:
    person, answers = target.person(), target.answers()
    body = json.dumps({"answers": [person.answer(1)], "happenings": []}).encode()
    head = post(person.token, body, f"Content-Length: {len(body)}", "Connection: close")
    raw = talk(target.address, head.replace(b"POST", method.encode(), 1))
    assert status_of(raw) in (400, 405)
    overridden = post(
        person.token, body, f"Content-Length: {len(body)}", "X-HTTP-Method-Override: DELETE", "Connection: close"
    )
    assert target.answers() == answers
    assert status_of(talk(target.address, overridden)) == 200, "a header changes no method"


def test_a_session_cannot_be_posted_to(target: Target) -> None:
    person = target.person()
    said = person.ask("POST", "/api/session", {})
    assert (said.status, said.error, said.header("allow")) in {
        (405, "wrong_method", allow) for allow in ("GET", "GET, HEAD", "HEAD, GET")
    }


SMUGGLED = {
    "two lengths": "Content-Length: 5\r\nContent-Length: 60",
    "length and pieces": "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "pieces of another kind": "Transfer-Encoding: xchunked",
    "a folded header": "X-A: b\r\n c: d",
    "a space before the colon": "Content-Length : 5",
    "a negative length": "Content-Length: -5",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_a_request_that_two_servers_would_read_differently_is_not_taken(target: Target, name: str) -> None:
    person, answers = target.person(), target.answers()
    smuggled = b"0\r\n\r\nPOST /api/withdraw HTTP/1.1\r\nHost: x\r\n\r\n"
    raw = talk(target.address, post(person.token, smuggled, SMUGGLED[name], "Connection: close"))
    assert b" 200 OK" not in raw
    assert target.answers() == answers
    assert person.session["state"] == "active"


def test_nothing_of_a_request_gets_into_a_header(target: Target) -> None:
    for path in ("/%0d%0aSet-Cookie:%20a=b", "/api/welcome?recruiter=%0d%0aSet-Cookie:a=b", "/static/%0d%0aX-Evil:1"):
        said = target.client.ask("GET", path, headers={"X-Forwarded-Host": "evil.example", "Host": "evil.example"})
        assert not {"set-cookie", "x-evil", "location"} & dict(said.headers).keys()
        assert "evil" not in repr(said.headers)


def test_what_is_no_http_fills_no_log(target: Target) -> None:
    log = target.database.with_name("recognition_server.log")
    before = log.read_bytes()
    for _ in range(20):
        talk(target.address, b"hello\r\n\r\n")
    assert log.read_bytes() == before


def test_what_is_no_http_is_told_so_and_cut_off(target: Target) -> None:
    for sent in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ):
        raw = talk(target.address, sent)
        assert status_of(raw) in (400, 0)
        assert b"Traceback" not in raw
    assert target.client.ask("GET", "/healthz").json == {"ok": True}


def test_an_upgrade_is_not_made(target: Target) -> None:
    asked = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"}
    assert Client(target.address).ask("GET", "/api/session", headers=asked).status == 401


# --- how often --------------------------------------------------------------------------------------------------------


def test_guessed_tokens_and_codes_are_slowed_and_honest_people_are_not(tmp_path: Any) -> None:
    study, folder = crop_study(tmp_path)
    limits = Limits(failures=Rate(20, 0.5))
    with running(study, folder, limits=limits) as listening:
        address = listening.pages["link"].removesuffix("/link")
        target = Target(address, folder, listening.database)
        person, client = target.person(), Client(address)
        found = [client.ask("GET", "/api/session", token=f"{guess:043d}") for guess in range(2000)]
        kinds = [said.status for said in found]
        assert 20 <= kinds.count(401) <= 60
        assert kinds.count(401) + kinds.count(429) == 2000
        late = found[-1]
        assert late.error == "too_often"
        assert int(late.header("retry-after") or 0) >= 1
        codes = [
            client.ask("POST", "/api/finish", {"arrival": {"id": "x"}, "comment": f"{code}"}, token=f"{code:043d}")
            for code in range(500)
        ]
        assert {said.status for said in codes} <= {401, 429}
        assert person.send(person.answer(1)).status == 200, "the same address, but somebody who is known"
        assert target.flags().count("unknown_token") <= 80, "and the flags do not fill the disk"


def test_somebody_who_sends_without_end_is_told_to_wait(tmp_path: Any) -> None:
    study, folder = crop_study(tmp_path)
    with running(study, folder, limits=Limits(answers=Rate(5, 0.5), asks=Rate(1000, 10))) as listening:
        target = Target(listening.pages["link"].removesuffix("/link"), folder, listening.database)
        one, other = target.person(), target.person()
        found = [one.send().status for _ in range(20)]
        assert found[:5] == [200] * 5
        assert set(found[6:]) == {429}
        assert other.send(other.answer(1)).status == 200


def test_whoever_joins_without_end_is_told_to_wait(tmp_path: Any) -> None:
    study, folder = crop_study(tmp_path, per_list=50)
    with running(study, folder, limits=Limits(comings=Rate(5, 0.01))) as listening:
        client = Client(listening.pages["link"].removesuffix("/link"))
        found = [client.join(f"sock-puppet-{number}").status for number in range(12)]
        assert found == [201] * 5 + [429] * 7


def test_of_one_who_joins_again_and_again_the_operator_is_told(tmp_path: Any) -> None:
    study, folder = crop_study(tmp_path, per_list=50)
    with running(study, folder) as listening:
        client = Client(listening.pages["link"].removesuffix("/link"))
        desk, _, token = listening.operator.partition("/#")
        for expected in (False, True):
            for number in range(9 if not expected else 1):
                assert client.join(f"sock-puppet-{expected}-{number}").status == 201
            troubles = Client(desk).ask("GET", "/api/watch", token=token).json["troubles"]
            assert any("from one address" in trouble["said"] for trouble in troubles) == expected


def test_a_claimed_address_does_not_escape_the_limit(tmp_path: Any) -> None:
    study, folder = crop_study(tmp_path)
    with running(study, folder, limits=Limits(failures=Rate(5, 0.01))) as listening:
        client = Client(listening.pages["link"].removesuffix("/link"))
        asked = [
            client.ask("GET", "/api/session", headers={"X-Forwarded-For": f"198.51.100.{number}"}).status
            for number in range(50)
        ]
        assert asked.count(401) == 5
    with running(study, folder, limits=Limits(failures=Rate(5, 0.01)), trusted_proxies=("127.0.0.1",)) as listening:
        client = Client(listening.pages["link"].removesuffix("/link"))
        asked = [
            client.ask("GET", "/api/session", headers={"X-Forwarded-For": f"198.51.100.{number}"}).status
            for number in range(50)
        ]
        assert asked.count(401) == 50
        spoofed = [
            client.ask("GET", "/api/session", headers={"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.5"}).status
            for number in range(50)
        ]
        assert spoofed.count(401) == 5, "what stands left of the last address is the client's own claim"


def test_a_flood_of_malformed_requests_leaves_a_bounded_trace(tmp_path: Any) -> None:
    study, folder = crop_study(tmp_path)
    with running(study, folder, limits=NO_LIMITS) as listening:
        target = Target(listening.pages["link"].removesuffix("/link"), folder, listening.database)
        target.person()
        for _ in range(3000):
            target.client.ask("POST", "/api/join", b"{")
        assert len(target.flags()) <= 1100
        assert sum(len(content) for content in stored_bytes(folder).values()) < 20_000_000
