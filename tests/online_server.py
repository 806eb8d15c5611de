"""The real server of the crowd task in a thread or a process, and people who talk to it over real sockets, without a browser."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from experiment.online.connections import Deadlines
from experiment.online.jspsych import vendored
from experiment.online.limits import Limits, Rate
from experiment.online.serving import Listening, serve
from protocols.folder import StudyFolder
from protocols.problems import NotReady
from protocols.study import Study

ANY = Rate(1e9, 1e9)
NO_LIMITS = Limits(ANY, ANY, ANY, ANY, ANY)
CONSENT = [True, True]


def needs_jspsych() -> None:
    """Skip the test where jsPsych is not there and cannot be fetched."""
    try:
        vendored()
    except NotReady as error:
        pytest.skip(str(error))


@contextmanager
def running(study: Study, folder: StudyFolder, **settings: Any) -> Iterator[Listening]:
    """The real server in a thread, on free ports, without limits; a file of no consequence stands for jsPsych."""
    script = folder.root.parent / "jspsych.js"
    script.write_text("// stands for jsPsych\n", encoding="utf-8")
    usual: dict[str, Any] = {"vendored": {"jspsych.js": script}, "limits": NO_LIMITS}
    with in_thread(study, folder, **usual | settings) as listening:
        yield listening


@contextmanager
def in_thread(study: Study, folder: StudyFolder, **settings: Any) -> Iterator[Listening]:
    """The real server in a thread, on free ports; what it fails with is raised."""
    told: list[Listening] = []
    failed: list[BaseException] = []
    ready = threading.Event()

    def listening(what: Listening) -> None:
        told.append(what)
        ready.set()

    def run() -> None:
        try:
            serve(study, folder, **{"port": 0, "operator_port": 0, **settings}, listening=listening)
        except BaseException as error:
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(60)
    if failed:
        raise failed[0]
    try:
        yield told[0]
    finally:
        told[0].stop()
        thread.join(60)
    if failed:
        raise failed[0]


@dataclass(frozen=True)
class Said:
    """What the server answered.

    headers : names in small letters, in order; a name may come twice.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, where it has one."""
        return next((value for found, value in self.headers if found == name), None)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The kind of an error."""
        found: str = self.json["error"]
        return found


@dataclass
class Client:
    """Talks to a server over one connection that is kept."""

    address: str
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.address)
        assert parts.hostname
        assert parts.port
        self.host, self.port = parts.hostname, parts.port
        self.connection = http.client.HTTPConnection(self.host, self.port, timeout=60)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] = {},
    ) -> Said:
        """One request; a body that is no bytes is sent as JSON."""
        sent = {} if token is None else {"Authorization": f"Bearer {token}"}
        if body is not None:
            sent["Content-Type"] = "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, body, {**sent, **headers})
        found = self.connection.getresponse()
        headers_found = tuple((name.lower(), value) for name, value in found.getheaders())
        return Said(found.status, headers_found, found.read())

    def welcome(self, recruiter: str = "link", language: str = "", **arrival: str) -> Said:
        """What somebody reads before joining."""
        query = {"recruiter": recruiter, "language": language, **(arrival or {"id": "anna"})}
        return self.ask("GET", f"/api/welcome?{urlencode(query)}")

    def join(self, raw_id: str = "anna", *, language: str = "en", consent: Any = CONSENT, **headers: str) -> Said:
        """Somebody of the link agrees."""
        body = {"recruiter": "link", "arrival": {"id": raw_id}, "language": language, "consent": consent}
        return self.ask("POST", "/api/join", body, headers=headers)

    def person(self, raw_id: str = "anna") -> Person:
        """Somebody who has joined."""
        said = self.join(raw_id)
        assert said.status == 201, said.body
        return Person(self, raw_id, said.json["token"])


@dataclass
class Person:
    """Somebody of the link who has joined."""

    client: Client
    raw_id: str
    token: str

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Said:
        """A request with the token."""
        return self.client.ask(method, path, body, token=self.token, **more)

    @property
    def session(self) -> dict[str, Any]:
        """The session as the page gets it."""
        said = self.ask("GET", "/api/session")
        assert said.status == 200, said.body
        found: dict[str, Any] = said.json
        return found

    def answer(self, trial: int, **changed: Any) -> dict[str, Any]:
        """An answer to a trial as the page sends it: the first option of every question."""
        return answer_of(self.session, trial, **changed)

    def send(self, *answers: dict[str, Any], happenings: Any = ()) -> Said:
        """Send what lies in the outbox."""
        return self.ask("POST", "/api/answers", {"answers": list(answers), "happenings": list(happenings)})

    def answer_all(self) -> int:
        """Answer what is left; the number of trials that the server holds then."""
        session = self.session
        held: int = session["held"]
        for trial in session["trials"][held:]:
            said = self.send(answer_of(session, trial["number"]))
            assert said.status == 200, said.body
            held = said.json["held"]
        return held

    def finish(self, comment: str = "") -> Said:
        """End it."""
        return self.ask("POST", "/api/finish", {"comment": comment, "arrival": {"id": self.raw_id}})


def answer_of(session: Mapping[str, Any], number: int, **changed: Any) -> dict[str, Any]:
    """An answer to a trial of a session, as the page sends it."""
    trial = session["trials"][number - 1]
    check = trial["kind"] == "attention"
    given = []
    for question in session["questions"][:1] if check else session["questions"]:
        options = question["options"]
        if check:
            options = [option for option in options if option["label"] in trial["text"]] or options
        value = options[0]["value"] if options else None
        typed = None if options else "owl"
        given.append({"question": question["name"], "value": value, "typed": typed, "rt_ms": 700.0, "by": "key"})
    frames = [2000.0 * number + 16.7 * frame for frame in range(5)]
    shown = (
        None
        if check
        else {"onset_ms": frames[0], "n_frames": 4, "late_frames": 0, "frame_ms": 16.7, "frames_ms": frames}
    )
    answer = {
        "trial": number,
        "shown": shown,
        "given": given,
        "hidden": False,
        "sent_ms": 2000.0 * number + 900,
        "load": 1,
    }
    return {**answer, **changed}


def talk(address: str, sent: bytes, *, until_closed: bool = True, timeout_s: float = 30.0) -> bytes:
    """Send bytes as they are, and take what comes until the server closes."""
    parts = urlsplit(address)
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=timeout_s) as door:
        door.sendall(sent)
        return everything(door) if until_closed else door.recv(65536)


def everything(door: socket.socket) -> bytes:
    """What comes until the other side closes; a connection that is cut off has nothing more to say."""
    found = b""
    try:
        while part := door.recv(65536):
            found += part
    except ConnectionError:
        pass
    return found


def status_of(raw: bytes) -> int:
    """The status of a raw answer; 0 where there was none."""
    match = re.match(rb"HTTP/1\.1 (\d{3}) ", raw)
    return int(match[1]) if match else 0


def stored_bytes(folder: StudyFolder) -> dict[Path, bytes]:
    """Every file below the study folder's part of the online task, as it is on the disk."""
    return {path: path.read_bytes() for path in folder.derived("online").rglob("*") if path.is_file()}


QUICK = Deadlines(head_s=1.0, body_s=1.5, answer_s=5.0)
