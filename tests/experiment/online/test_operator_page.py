"""The operator's page: opened by its token alone, shows what is in the database as text, pauses and exports."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import threading
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from browser import Visitor
from finished_crowd import RAW, opened, small_crowd, take_part
from online_study import BASE_MS, Clock, answer_all, answer_to, crop_study, joined, set_study

from experiment.online import operator_api
from experiment.online.crowd import Crowd
from experiment.online.export import export
from experiment.online.messages import Answers, Given, Happening
from experiment.online.operator_api import WRONG_TOKENS, operator_app, operator_token
from experiment.online.recruiters.recruiter import Arrival, Completion
from experiment.online.refusals import NotOpen
from experiment.online.tokens import sha256_of_token
from experiment.online.trouble import Trouble
from experiment.online.watching import Pace, watched
from protocols.answers import read_answers
from protocols.folder import StudyFolder, open_folder
from protocols.problems import FoolscanError
from protocols.study import Study

TOKEN = "a-token-of-the-operator-that-nobody-guesses"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
SCRIPT = '<script>window.ran=1</script><img src=/ran onerror="window.ran=1;alert(1)"><svg onload=alert(2)>'


class Monotonic:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


class Client:
    """Asks an app without a socket."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def request(self, method: str, path: str, **what: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(self._app), base_url="http://operator"
            ) as client:
                return await client.request(method, path, **what)

        return asyncio.run(ask())

    def get(self, path: str, **what: Any) -> httpx.Response:
        return self.request("GET", path, **what)

    def post(self, path: str, **what: Any) -> httpx.Response:
        return self.request("POST", path, **what)


def client_of(crowd: Crowd, study: Study, folder: StudyFolder, **settings: Any) -> Client:
    return Client(operator_app(crowd, study, folder, sha256_of_token(TOKEN), **settings))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[Client, Crowd, Study, StudyFolder]]:
    study, folder, _ = small_crowd(tmp_path)
    clock = Clock(BASE_MS + 10 * 60_000)
    with opened(study, folder, clock) as crowd:
        yield client_of(crowd, study, folder, now_ms=clock), crowd, study, folder


# --- the door


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"]
)
def test_nothing_is_told_without_the_token(desk, header: str | None):
    client, crowd, *_ = desk
    headers = {} if header is None else {"Authorization": header}
    for method, path in (("GET", "/api/watch"), ("POST", "/api/pause"), ("POST", "/api/export")):
        answer = client.request(method, path, headers=headers, json={"paused": True} if method == "POST" else None)
        assert answer.status_code == 401
        assert set(answer.json()) == {"error", "said"}
    assert not crowd.paused


def test_the_token_in_the_address_or_a_cookie_opens_nothing(desk):
    client, *_ = desk
    assert client.get(f"/api/watch?token={TOKEN}").status_code == 401
    assert client.get("/api/watch", headers={"Cookie": f"Authorization={TOKEN}; token={TOKEN}"}).status_code == 401
    assert "set-cookie" not in client.get("/api/watch", headers=RIGHT).headers


def test_whoever_guesses_is_made_to_wait_and_the_operator_is_not(tmp_path: Path):
    study, folder, _ = small_crowd(tmp_path)
    clock = Monotonic()
    with opened(study, folder) as crowd:
        client = client_of(crowd, study, folder, monotonic_s=clock)
        wrong = [client.get("/api/watch", headers={"Authorization": f"Bearer {n}"}).status_code for n in range(40)]
        assert wrong == [401] * WRONG_TOKENS + [429] * (40 - WRONG_TOKENS)
        assert client.get("/api/watch", headers={"Authorization": "Bearer x"}).headers["retry-after"] == "60"
        assert client.get("/api/watch", headers=RIGHT).status_code == 200
        clock.s += 61
        assert client.get("/api/watch", headers={"Authorization": "Bearer x"}).status_code == 401
        crowd.write(lambda connection: None).result()
        kinds = [flag["kind"] for flag in client.get("/api/watch", headers=RIGHT).json()["flags"]]
        assert kinds.count("forged_operator_token") == 1


def test_what_changes_something_must_say_that_it_is_json(desk):
    client, crowd, *_ = desk
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = client.post("/api/pause", headers=RIGHT | {"Content-Type": kind}, content=b'{"paused": true}')
        assert answer.status_code == 415
    assert not crowd.paused


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"paused": 1}',
        b'{"paused": true, "more": 1}',
        b"[" * 900,
        b" " * 10_000_000,
        b'"\xff"',
    ],
)
def test_a_malformed_body_changes_nothing(desk, body: bytes):
    client, crowd, *_ = desk
    answer = client.post("/api/pause", headers=RIGHT | {"Content-Type": "application/json"}, content=body)
    assert answer.status_code == 422
    assert not crowd.paused


def test_only_the_pages_own_files_are_served(desk):
    client, *_ = desk
    for path in (
        "/static/../operator_api.py",
        "/static/%2e%2e/operator_api.py",
        "/static/",
        "/operator_api.py",
        "/api/",
        "/api/erase",
    ):
        assert client.get(path, headers=RIGHT).status_code == 404
    assert client.post("/", headers=RIGHT).status_code == 405


def test_headers_of_every_answer(desk):
    client, *_ = desk
    paths = ["/", "/static/main.js", "/static/style.css", "/api/watch", "/nowhere"]
    for path in paths:
        found = client.get(path, headers=RIGHT).headers
        policy = found["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert (found["x-content-type-options"], found["referrer-policy"], found["cache-control"]) == (
            "nosniff",
            "no-referrer",
            "no-store",
        )
        assert found["x-frame-options"] == "DENY"


def test_the_page_has_no_inline_code_and_makes_no_markup_of_text():
    page = operator_api.PAGE
    html = (page / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:|https?://", html)
    for path in page.glob("*.js"):
        code = path.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser|cssText", code
        ), path
        assert [found for found in re.findall(r"https?://[^\"']+", code) if "www.w3.org/2000/svg" not in found] == []


def test_the_token_is_made_once_and_kept_to_its_owner(tmp_path: Path):
    _study, folder = crop_study(tmp_path)
    token = operator_token(folder, "crops")
    assert operator_token(folder, "crops") == token
    assert len(token) >= 40
    path = folder.derived("online") / "crops_operator.json"
    if shutil.os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0
    path.write_text('{"format": 1, "token": "short"}', encoding="utf-8")
    with pytest.raises(FoolscanError, match="delete it"):
        operator_token(folder, "crops")


# --- what it tells


def test_the_numbers_are_those_of_the_database(desk):
    client, crowd, *_ = desk
    told = client.get("/api/watch", headers=RIGHT).json()
    found = told["recruitment"]
    assert {key: found[key] for key in ("joined", "finished", "counted", "excluded", "withdrawn", "surplus")} == {
        "joined": 6,
        "finished": 3,
        "counted": 2,
        "excluded": 1,
        "withdrawn": 1,
        "surplus": 0,
    }
    assert (found["joined_by"][-1], found["finished_by"][-1]) == (6, 3)
    assert found["joined_by"] == sorted(found["joined_by"])
    assert found["excluded_for"] == {"attention_failures": 1}
    counts = crowd.counts()
    for row in told["lists"]:
        tally = counts[row["list_id"]]
        assert {
            key: row[key] for key in ("quota", "counted", "active", "lapsed", "excluded", "withdrawn", "surplus")
        } == {
            key: getattr(tally, key)
            for key in ("quota", "counted", "active", "lapsed", "excluded", "withdrawn", "surplus")
        }
    assert told["speed"]["answers"] == 27
    assert told["speed"]["rt_median_s"] == 0.7
    assert {row["held"] for row in told["people"]["rows"]} == {0, 3}
    assert told["comments"]["rows"][0]["text"] == "Well done"
    assert [flag["kind"] for flag in told["flags"] if flag["kind"] == "attention"]
    assert told["troubles"] == []


def test_nobody_says_more_than_one_comment(tmp_path: Path):
    study, folder = crop_study(tmp_path, per_list=3)
    with opened(study, folder) as crowd:
        take_part(crowd, "anna", comment="Well done")
        person = joined(crowd, "bert")
        told = [Happening(number=number, kind="comment", at_ms=1, content="spam") for number in range(1, 51)]
        crowd.hold(person.token, Answers(happenings=told)).result()
        said = crowd.read(lambda connection: watched(connection, Pace(), 0))["comments"]
    assert (said["n"], [row["text"] for row in said["rows"]]) == (1, ["Well done"])


def test_people_are_pseudonyms(desk):
    client, *_ = desk
    told = client.get("/api/watch", headers=RIGHT).text
    assert RAW[:8] not in told
    assert "ASSIGNMENT" not in told
    assert "HIT-RAW" not in told


def test_what_was_erased_is_forgotten(tmp_path: Path):
    study, folder = crop_study(tmp_path, per_list=3)
    clock, pace = Clock(), Pace()
    with opened(study, folder, clock) as crowd:
        person = joined(crowd, "anna")
        answer_all(crowd, person.token, rt_ms=400)
        take_part(crowd, "other", rt_ms=900)
        assert crowd.read(lambda connection: watched(connection, pace, clock()))["speed"]["rt_medians_s"] == [0.4, 0.9]
        crowd.withdraw(person.token, True).result()
        assert crowd.read(lambda connection: watched(connection, pace, clock()))["speed"]["rt_medians_s"] == [0.9]


def test_troubles_are_told(desk, monkeypatch: pytest.MonkeyPatch):
    _, crowd, study, folder = desk
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 100 * 1024**2))
    clock = Clock(BASE_MS)
    told = lambda: [Trouble("warning", "many requests were refused")]  # noqa: E731
    client = client_of(crowd, study, folder, problems=told, now_ms=clock)
    clock.move(7)
    found = client.get("/api/watch", headers=RIGHT).json()["troubles"]
    assert [item["level"] for item in found] == ["alarm", "warning", "warning"]
    said = "\n".join(item["said"] for item in found)
    assert "100 MB are left" in said
    assert "clock was moved by +420 s" in said
    assert "many requests were refused" in said


def test_a_database_that_cannot_be_read_is_told_of(desk, monkeypatch: pytest.MonkeyPatch):
    client, _crowd, *_ = desk

    def broken(connection: Any, pace: Any, now_ms: int) -> dict[str, Any]:
        raise RuntimeError("disk I/O error")

    monkeypatch.setattr(operator_api, "watched", broken)
    answer = client.get("/api/watch", headers=RIGHT)
    assert answer.status_code == 200
    assert "disk I/O error" in answer.json()["troubles"][0]["said"]


def test_pause_and_go_on(desk):
    client, crowd, *_ = desk
    assert client.post("/api/pause", headers=RIGHT, json={"paused": True}).json() == {"paused": True}
    assert client.get("/api/watch", headers=RIGHT).json()["openness"] == "paused"
    with pytest.raises(NotOpen):
        crowd.join("link", Arrival("late"), "en").result()
    client.post("/api/pause", headers=RIGHT, json={"paused": False})
    crowd.join("link", Arrival("late"), "en").result()


def wait_for_export(client: Client) -> dict[str, Any]:
    assert client.post("/api/export", headers=RIGHT, json={}).status_code in (202, 409)
    for thread in threading.enumerate():
        if thread.name == "online-export":
            thread.join(60)
    return dict(client.get("/api/watch", headers=RIGHT).json()["export"])


def test_export(desk):
    client, _, study, folder = desk
    told = wait_for_export(client)
    answers, _ = read_answers(folder, "crops")
    assert (told["problem"], told["answers"], told["people"]) == (None, len(answers), 5)
    assert told["where"] == str((folder.derived("answers") / "crops.tsv").resolve())
    assert export(study, folder).n_answers == len(answers)


def test_an_export_that_fails_says_why(desk):
    client, _crowd, _, folder = desk
    (folder.derived("answers")).parent.mkdir(exist_ok=True)
    folder.derived("answers").write_text("in the way", encoding="utf-8")
    assert "answers" in wait_for_export(client)["problem"]


def test_a_rehearsal_is_marked(tmp_path: Path):
    study, folder = crop_study(tmp_path)
    open_folder(folder.root, study.title, rehearsal=True)
    with opened(study, folder) as crowd:
        assert client_of(crowd, study, folder).get("/api/watch", headers=RIGHT).json()["simulated"] is True


def test_every_kind_of_flag_is_explained():
    room = operator_api.PAGE.parent
    code = "".join(path.read_text(encoding="utf-8") for path in room.glob("*.py"))
    kinds = {
        *re.findall(r'flag="(\w+)"', code),
        *re.findall(r'flags(?:\.append\(\(| \+= \[\()"(\w+)"', code),
        *re.findall(r'crowd\.flag\("(\w+)"', code),
        *re.findall(r'"kind": "(\w+)", "detail"', code),
        *re.findall(r'_flag\("(\w+)"', code),
    }
    assert {
        "attention",
        "clock",
        "conflict",
        "unknown_token",
        "malformed",
        "forged_operator_token",
        "out_of_order",
    } <= kinds
    page = (operator_api.PAGE / "parts.js").read_text(encoding="utf-8")
    assert [kind for kind in sorted(kinds) if f"  {kind}: [" not in page] == []


# --- in a browser


@contextmanager
def shown(crowd: Crowd, study: Study, folder: StudyFolder, **settings: Any) -> Iterator[str]:
    """The page's address, its server at work on a free port."""
    app = operator_app(crowd, study, folder, sha256_of_token(TOKEN), **settings)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(20)


def test_the_page_shows_it_and_acts(tmp_path: Path, browser):
    study, folder, who = small_crowd(tmp_path)
    clock = Clock(BASE_MS + 6 * 60_000)
    with opened(study, folder, clock) as crowd, shown(crowd, study, folder, now_ms=clock) as address:
        visitor = Visitor(browser)
        page = visitor.page
        page.goto(f"{address}#{TOKEN}")
        page.locator(".tile.main .value").wait_for()
        assert page.locator(".tile.main .value").inner_text().replace("\n", "") == "2/ 6"
        assert TOKEN not in page.url
        assert page.locator("#people tbody tr").count() == 2
        assert page.locator("#recruitment svg path.joined").count() == 1
        assert page.locator("#speed svg rect.bin").count() > 5
        assert "Well done" in page.locator("#comments").inner_text()
        page.locator("#flags summary", has_text="Attention checks").click()
        assert who["excluded"] in page.locator("#flags").inner_text()
        page.reload()
        page.locator(".tile.main").wait_for()  # the tab remembers
        page.locator("#pause").click()
        page.locator("#ask-no").click()
        assert not crowd.paused
        page.locator("#pause").click()
        page.locator("#ask-yes").click()
        page.locator("#openness.paused").wait_for()
        assert crowd.paused
        page.locator("#pause").click()
        page.locator("#openness.open").wait_for()
        page.locator("#export").click()
        page.locator("#exported:not([hidden])").wait_for()
        assert "5 people" in page.locator("#exported").inner_text()
        assert (folder.derived("answers") / "crops.tsv").exists()
        take_part(crowd, "one more", comment="A new comment")
        page.locator("#comments", has_text="A new comment").wait_for()
        assert visitor.complaints == []
        assert visitor.elsewhere(address) == []
        assert visitor.context.cookies() == []
        other = visitor.opened()
        other.goto(address)
        other.locator("#locked").wait_for()
        assert other.locator("#desk").is_hidden()
        visitor.close()


def test_script_in_any_text_is_text(tmp_path: Path, browser):
    study, folder = set_study(tmp_path, n_sources=6, per_list=2, attention_every=None)
    with opened(study, folder) as crowd:
        person = joined(crowd, SCRIPT, language=SCRIPT[:35])
        for trial in person.session_state.plan.trials:
            answer = answer_to(trial, crowd.design.plan.questions, person.session_state.plan.options)
            given = [
                Given(question="name", typed=SCRIPT[:39], rt_ms=700, by="key") if item.question == "name" else item
                for item in answer.given
            ]
            told = Happening(number=trial.number, kind="screen", at_ms=1.0, content=SCRIPT)
            crowd.hold(
                person.token, Answers(answers=[answer.model_copy(update={"given": given})], happenings=[told])
            ).result()
        crowd.flag("mismatch", SCRIPT, person.session_state.session)
        crowd.flag(SCRIPT, SCRIPT)
        crowd.finish(person.token, SCRIPT, lambda code: Completion("thanks")).result()
        joined(crowd, "under way", language=SCRIPT[:35])
        problems = lambda: [Trouble("alarm", SCRIPT)]  # noqa: E731
        with shown(crowd, study, folder, problems=problems) as address:
            visitor = Visitor(browser)
            dialogs: list[str] = []
            visitor.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
            visitor.page.goto(f"{address}#{TOKEN}")
            visitor.page.locator("#comments blockquote").wait_for()
            for summary in visitor.page.locator("#flags summary").all():
                summary.click()
            assert SCRIPT in visitor.page.locator("#comments").inner_text()
            assert SCRIPT in visitor.page.locator("#flags").inner_text()
            assert SCRIPT in visitor.page.locator("#troubles").inner_text()
            with visitor.page.expect_response("**/api/watch"):
                pass
            assert visitor.page.evaluate("() => window.ran") is None
            assert visitor.page.locator("main script, main img, main [onload], main [onerror]").count() == 0
            assert dialogs == []
            assert [request.url for request in visitor.requests if "/ran" in request.url] == []
            assert visitor.complaints == []
            visitor.close()


@pytest.mark.parametrize("width", [320, 390, 800, 1300])
def test_it_fits_every_screen(tmp_path: Path, browser, width: int):
    study, folder, _ = small_crowd(tmp_path)
    clock = Clock(BASE_MS + 6 * 60_000)
    with opened(study, folder, clock) as crowd, shown(crowd, study, folder, now_ms=clock) as address:
        visitor = Visitor(browser, viewport={"width": width, "height": 800})
        visitor.page.goto(f"{address}#{TOKEN}")
        visitor.page.locator("#people tbody tr").first.wait_for()
        assert visitor.page.evaluate("() => document.documentElement.scrollWidth") <= width
        wide = "() => [...document.querySelectorAll('.card .scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
        assert visitor.page.evaluate(wide) == 0
        visitor.close()


def test_it_says_when_the_server_is_gone(tmp_path: Path, browser):
    study, folder, _ = small_crowd(tmp_path)
    with opened(study, folder) as crowd:
        visitor = Visitor(browser)
        with shown(crowd, study, folder) as address:
            visitor.page.goto(f"{address}#{TOKEN}")
            visitor.page.locator(".tile.main").wait_for()
        visitor.page.locator("#connection:not([hidden])").wait_for()
        assert "does not answer" in visitor.page.locator("#connection").inner_text()
        visitor.close()


def test_a_wrong_token_says_so(tmp_path: Path, browser):
    study, folder, _ = small_crowd(tmp_path)
    with opened(study, folder) as crowd, shown(crowd, study, folder) as address:
        visitor = Visitor(browser)
        visitor.page.goto(f"{address}#wrong")
        visitor.page.locator("#locked:not([hidden])").wait_for()
        assert "token is wrong" in visitor.page.locator("#locked-why").inner_text()
        visitor.close()


@contextmanager
def strangers_site(target: str) -> Iterator[str]:
    """Another site that tries to have the operator's browser pause the study."""
    page = f"""<!doctype html><body>
<form id="plain" method="post" action="{target}api/pause" enctype="text/plain">
<input name='{{"paused": true, "x":"' value='"}}'></form>
<form id="coded" method="post" action="{target}api/pause"><input name="paused" value="true"></form></body>"""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def test_another_site_cannot_act_in_the_operators_browser(tmp_path: Path, browser):
    study, folder, _ = small_crowd(tmp_path)
    with opened(study, folder) as crowd, shown(crowd, study, folder) as address, strangers_site(address) as strange:
        visitor = Visitor(browser)
        visitor.page.goto(f"{address}#{TOKEN}")
        visitor.page.locator(".tile.main").wait_for()  # the operator is there, with the token
        tab = visitor.opened()
        for form in ("plain", "coded"):
            tab.goto(strange)
            with tab.expect_navigation(url="**/api/pause") as answered:
                tab.evaluate(f"document.getElementById('{form}').submit()")
            assert answered.value.status == 401
        tab.goto(strange)
        said, typed = {"body": '{"paused": true}'}, {"Content-Type": "application/json"}
        plain = {"method": "POST", "mode": "no-cors", "credentials": "include"} | said
        headed = {"method": "POST", "headers": typed | {"Authorization": "Bearer x"}} | said
        for path, how in (("api/pause", plain), ("api/pause", headed), ("api/watch", {})):
            script = f"fetch('{address}{path}', {json.dumps(how)}).then(answer => answer.type, () => 'refused')"
            assert tab.evaluate(script) == "refused"
        assert not crowd.paused
        assert not folder.derived("answers").exists()
        visitor.close()
