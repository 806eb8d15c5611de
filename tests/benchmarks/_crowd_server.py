"""A real server of the online task in a process of its own, people's tokens, and what its database holds afterwards."""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import psutil

from experiment.online import chain
from experiment.online.simulated_page import Ask, Reply
from protocols.folder import StudyFolder
from protocols.study import Study

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS)]
crop_study = importlib.import_module("online_study").crop_study


@dataclass
class Server:
    """`foolscan online serve`, as it is started on the command line.

    extra : of its environment.
    """

    study: Path
    folder: StudyFolder
    port: int
    extra: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "foolscan", "online", "serve", str(self.study), "--to", str(self.folder.root)]
        command += ["--port", str(self.port), "--operator-port", "0", "--recruiter", "lab"]
        said = (self.folder.root.parent / "server.txt").open("ab")
        with said:
            self.process = subprocess.Popen(
                command, stdout=said, stderr=said, cwd=TESTS.parent, env={**os.environ, **self.extra}
            )
        while wait and not self.answers():
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether its port is open. Raises RuntimeError when it has ended."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"the server ended with {self.process.returncode}: {self.said()[-2000:]}")
        with socket.socket() as line:
            return line.connect_ex(("127.0.0.1", self.port)) == 0

    def said(self) -> str:
        """What it printed."""
        return (self.folder.root.parent / "server.txt").read_text(encoding="utf-8", errors="replace")

    def cpu_s(self) -> float:
        """Processor time that it has used, s."""
        assert self.process is not None
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ctrl-C, and wait."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


def server_of(work: Path, extra: Mapping[str, str] | None = None, **design: Any) -> tuple[Study, Server]:
    """A study in an existing folder, and its server, not started."""
    study, folder = crop_study(work, **design)
    return study, Server(work / "tiny.yaml", folder, free_port(), extra or {})


class Wire(asyncio.Protocol):
    """One HTTP/1.1 connection, one request at a time: as lean as can be, so that the server is what is measured."""

    def __init__(self) -> None:
        self._came = bytearray()
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None
        self.lost = False

    @classmethod
    async def to(cls, port: int) -> Wire:
        """A new connection."""
        _, wire = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)  # other loops have transports of their own

    def connection_lost(self, exc: Exception | None) -> None:
        """It is no more."""
        self.lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        """A part of a reply."""
        self._came += data
        end = self._came.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None or self._waiting.done():
            return
        head = bytes(self._came[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._came) >= end + 4 + length:
            body = bytes(self._came[end + 4 : end + 4 + length])
            del self._came[: end + 4 + length]
            self._waiting.set_result((int(head[9:12]), body))

    async def request(self, method: str, path: str, body: bytes = b"", token: str | None = None) -> tuple[int, bytes]:
        """Status and body. Raises ConnectionError."""
        if self.lost or self._transport is None:
            raise ConnectionError("the connection is closed")
        lines = [f"{method} /api/{path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        return await self._waiting

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()


async def ask(wire: Wire | None, port: int, asked: Ask) -> tuple[Wire | None, Reply | None]:
    """What a page asks, by a connection that is opened anew where it was lost; None where no reply came."""
    try:
        if wire is None or wire.lost:
            wire = await Wire.to(port)
        status, body = await wire.request(asked.method, asked.path, asked.body or b"", asked.token)
        return wire, Reply(status, body)
    except OSError:
        if wire is not None:
            wire.close()
        return None, None


@dataclass(frozen=True)
class Came:
    """Somebody who was let in."""

    token: str
    trials: tuple[Mapping[str, Any], ...]
    options: tuple[str, ...]
    question: str


async def come(wire: Wire, label: str) -> Came:
    """Join as somebody of the lab."""
    joining = {"recruiter": "lab", "arrival": {"label": label}, "language": "en", "consent": [True, True]}
    status, body = await wire.request("POST", "join", json.dumps(joining).encode())
    if status != 201:
        raise RuntimeError(f"join: found {status}: {body[:200]!r}")
    token = json.loads(body)["token"]
    status, body = await wire.request("GET", "session", token=token)
    if status != 200:
        raise RuntimeError(f"session: found {status}: {body[:200]!r}")
    session = json.loads(body)
    question = session["questions"][0]
    return Came(token, tuple(session["trials"]), tuple(one["value"] for one in question["options"]), question["name"])


async def all_come(port: int, labels: Sequence[str], at_once: int = 20) -> list[Came]:
    """Many people join."""
    left, found = list(enumerate(labels)), dict[int, Came]()

    async def some() -> None:
        wire = await Wire.to(port)
        while left:
            place, label = left.pop()
            found[place] = await come(wire, label)
        wire.close()

    await asyncio.gather(*(some() for _ in range(at_once)))
    return [found[place] for place in range(len(labels))]


FRAME_MS = 16.67


@functools.cache
def frames_of(number: int) -> list[float]:
    """Times of frames of a trial by number: 57 with the image, which stands until the answer, and the first without."""
    return [round(2000.5 * number + place * FRAME_MS, 2) for place in range(58)]


def answer_of(came: Came, number: int) -> dict[str, Any]:
    """An answer as the page sends it, of a trial by number; which option does not matter here."""
    trial = came.trials[number - 1]
    frames_ms = frames_of(number)
    shown = {"onset_ms": frames_ms[0], "offset_ms": frames_ms[-1], "asked_ms": None, "n_frames": 57, "late_frames": 0}
    given = {"question": came.question, "value": came.options[number % len(came.options)], "typed": None}
    return {
        "trial": number,
        "shown": None if trial["asset"] is None else {**shown, "frame_ms": FRAME_MS, "frames_ms": frames_ms},
        "given": [{**given, "rt_ms": 950.25, "by": "key"}],
        "hidden": False,
        "sent_ms": 2000.5 * number + 1000,
        "load": 1,
    }


def body_of(answers: Iterable[Mapping[str, Any]]) -> bytes:
    """The body of a request with answers."""
    return json.dumps({"answers": list(answers), "happenings": []}).encode()


@dataclass(frozen=True)
class Kept:
    """What a database holds.

    contents : by hash of the token and trial.
    rows     : of responses; more than `contents` would be duplicates.
    broken   : where the chain is broken; None: nowhere.
    """

    contents: Mapping[tuple[str, int], Mapping[str, Any]]
    rows: int
    broken: Any
    wrong_counts: int


def kept_in(database: Path) -> Kept:
    """Read a database as it lies there, by another program than the server's: sqlite3 alone."""
    with sqlite3.connect(database) as connection:
        found = connection.execute(
            "select r.place, r.session, r.trial, r.content, r.salt, r.commitment, r.link, s.token_sha256 "
            "from responses r join sessions s on s.session = r.session order by r.place"
        ).fetchall()
        wrong = connection.execute(
            "select count(*) from sessions s where n_held != (select count(*) from responses r where r.session = s.session)"
        ).fetchone()[0]
    contents = {(token, trial): json.loads(content) for _, _, trial, content, _, _, _, token in found}
    return Kept(contents, len(found), _first_break(found), int(wrong))


def _first_break(rows: Sequence[tuple[Any, ...]]) -> int | None:
    """The place at which the chain does not hold, counted here anew."""
    link = chain.START
    for number, (place, session, trial, content, salt, commitment, found, _) in enumerate(rows, start=1):
        link = chain.link(link, session, trial, commitment)
        if place != number or found != link or commitment != chain.commitment(salt, content):
            return int(place)
    return None


def database_of(server: Server) -> Path:
    """The file that holds the answers."""
    return database_of_folder(server.folder)


def database_of_folder(folder: StudyFolder) -> Path:
    """The file that holds the answers of a study folder."""
    return folder.derived("online") / "crops.sqlite3"
