"""The operator's server: one page, what it shows, pause and export; a token in a header opens it, and nothing else does."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import shutil
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiment.online.security_headers import headers
from experiment.online.tokens import new_token, sha256_of_token
from experiment.online.trouble import Trouble
from experiment.online.watching import Pace, watched
from protocols.answers import SIMULATED
from protocols.folder import StudyFolder, read_json, write_private
from protocols.problems import FoolscanError
from protocols.study import Study, online_plan

if TYPE_CHECKING:
    from experiment.online.crowd import Crowd

TOKEN_FORMAT = 1
PAGE = Path(__file__).parent / "operator_page"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MOST_BYTES = 1024
"""Of a body: it says `paused` or nothing."""
WRONG_TOKENS, WITHIN_S = 10, 60.0
"""So many wrong tokens are answered as such in so long a time; further ones are told to wait. The right one always opens."""
LITTLE_SPACE, NO_SPACE = 2 * 1024**3, 256 * 1024**2
SLOW_READ_S, CLOCK_STEP_S = 2.0, 2.0


def operator_token(folder: StudyFolder, task: str) -> str:
    """The token of a study folder's operator, made when it is first asked for; its file is readable by its owner alone.

    Raises FoolscanError where the file is none.
    """
    path = folder.derived("online") / f"{task}_operator.json"
    if not path.exists():
        write_private(path, {"format": TOKEN_FORMAT, "token": new_token()})
    found = read_json(path)
    token = found.get("token")
    if found.get("format") != TOKEN_FORMAT or not isinstance(token, str) or len(token) < 32:
        raise FoolscanError(
            f"{path}: found no operator's token of format {TOKEN_FORMAT}; delete it to have a new one made"
        )
    return token


def operator_app(
    crowd: Crowd,
    study: Study,
    folder: StudyFolder,
    token_sha256: str,
    *,
    problems: Callable[[], Iterable[Trouble]] = tuple,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The operator's page and what it asks for.

    token_sha256 : hash of the operator's token, hexadecimal.
    problems     : what else the server knows of: refused requests, a slow database.
    """
    desk = _Desk(crowd, study, folder, problems, now_ms, monotonic_s)
    door = _Door(token_sha256, monotonic_s, lambda: crowd.flag("forged_operator_token", f"more than {WRONG_TOKENS}"))
    routes = [
        Route("/", _page_file("index.html")),
        *(
            Route(f"/static/{path.name}", _page_file(path.name))
            for path in sorted(PAGE.iterdir())
            if path.suffix in KINDS
        ),
        Route("/api/watch", door.opens(desk.watch)),
        Route("/api/pause", door.opens(desk.pause), methods=["POST"]),
        Route("/api/export", door.opens(desk.export), methods=["POST"]),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(_Guarded)
    return app


class _Guarded:
    """The headers of every answer, whatever answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                of_page = not scope["path"].startswith("/api/")
                own = {name for name, _ in headers()}
                kept = [(name, value) for name, value in message["headers"] if name.lower() not in own]
                message["headers"] = [*kept, *headers(page=of_page)]
            await send(message)

        await self._app(scope, receive, with_headers)


def _page_file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return FileResponse(PAGE / name, media_type=KINDS[Path(name).suffix])

    return answer


class _Door:
    """Lets through whoever has the token in the header; cookies and forms cannot carry it."""

    def __init__(self, token_sha256: str, monotonic_s: Callable[[], float], tell: Callable[[], None]) -> None:
        self._sha256, self._monotonic_s, self._tell = token_sha256, monotonic_s, tell
        self._wrong: deque[float] = deque(maxlen=WRONG_TOKENS + 1)

    def opens(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(sha256_of_token(token.strip()), self._sha256)
            if kind.lower() != "bearer" or not right:
                return self._refused(bool(token))
            if request.method == "POST":
                content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
                if content_type != "application/json":
                    return _error(415, "content_type", "application/json is expected")
            return await answer(request)

        return guarded

    def _refused(self, tried: bool) -> Response:
        now_s = self._monotonic_s()
        while self._wrong and now_s - self._wrong[0] > WITHIN_S:
            self._wrong.popleft()
        if tried:
            self._wrong.append(now_s)
            if len(self._wrong) > WRONG_TOKENS:
                if len(self._wrong) == WRONG_TOKENS + 1 and now_s - self._told_s > WITHIN_S:
                    self._told_s = now_s
                    self._tell()
                return _error(429, "too_many", "too many wrong tokens", {"Retry-After": str(int(WITHIN_S))})
        return _error(401, "unknown_token", "the token is wrong or lacking", {"WWW-Authenticate": "Bearer"})

    _told_s = float("-inf")


def _error(status: int, kind: str, said: str, more: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": kind, "said": said}, status, more)


@dataclass
class _Exporting:
    """How the last export went, or how far the present one is."""

    running: bool = False
    done: int = 0
    of: int = 0
    at_ms: int | None = None
    people: int = 0
    removed: int = 0
    answers: int = 0
    where: str | None = None
    problem: str | None = None


@dataclass
class _Desk:
    """What the operator sees and does."""

    crowd: Crowd
    study: Study
    folder: StudyFolder
    problems: Callable[[], Iterable[Trouble]]
    now_ms: Callable[[], int]
    monotonic_s: Callable[[], float]
    pace: Pace = field(default_factory=Pace)
    exporting: _Exporting = field(default_factory=_Exporting)
    # one reading at a time: what the pace remembers is brought up to date by it
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.plan = online_plan(self.study)
        self.offset_s = self.now_ms() / 1000 - self.monotonic_s()

    async def watch(self, request: Request) -> Response:
        async with self.reading:
            return JSONResponse(await run_in_threadpool(self._watched))

    def _watched(self) -> dict[str, Any]:
        now_ms, begin_s = self.now_ms(), self.monotonic_s()
        try:
            seen = self.crowd.read(lambda connection: watched(connection, self.pace, now_ms))
            found, openness = [], self.crowd.openness()
        except Exception as error:  # whatever is wrong with the database, the operator is to be told of it
            self.pace = Pace()
            seen, openness = {}, "paused" if self.crowd.paused else "open"
            found = [Trouble("alarm", f"the database cannot be read: {getattr(error, 'orig', None) or error}")]
        found += [*self._own_troubles(now_ms, self.monotonic_s() - begin_s), *self.problems()]
        description = self.folder.root / "dataset_description.json"
        marked = description.exists() and read_json(description).get("Simulated") is True
        crowd_kinds = seen.get("recruitment", {}).get("recruiters", {})
        return seen | {
            "study": {"name": self.study.name, "title": self.study.title, "task": self.plan.task},
            "folder": str(self.folder.root.resolve()),
            "simulated": bool(marked or (crowd_kinds and set(crowd_kinds) == {SIMULATED})),
            "openness": openness,
            "impossible_rt_s": self.plan.exclusions.impossible_rt_s,
            "paused": self.crowd.paused,
            "now_ms": now_ms,
            "troubles": [
                {"level": item.level, "said": item.said} for item in sorted(found, key=lambda item: item.level)
            ],
            "export": self.exporting.__dict__,
        }

    def _own_troubles(self, now_ms: int, took_s: float) -> list[Trouble]:
        found = []
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(self.folder.root).free
            if free < LITTLE_SPACE:
                said = f"{free / 1024**2:,.0f} MB are left on the disk of the study folder"
                found.append(
                    Trouble(
                        "alarm" if free < NO_SPACE else "warning", said + ": free some, or answers cannot be stored"
                    )
                )
        if took_s > SLOW_READ_S:
            found.append(Trouble("warning", f"the database is slow: what this page shows took {took_s:.1f} s to read"))
        step_s = now_ms / 1000 - self.monotonic_s() - self.offset_s
        if abs(step_s) > CLOCK_STEP_S:
            said = f"this computer's clock was moved by {step_s:+.0f} s since the server started: leases and times are off by that"
            found.append(Trouble("warning", said))
        return found

    async def pause(self, request: Request) -> Response:
        body = await _body(request)
        if not isinstance(body, dict) or set(body) != {"paused"} or not isinstance(body["paused"], bool):
            return _error(422, "malformed", 'expected {"paused": true} or {"paused": false}')
        try:
            await asyncio.wrap_future(self.crowd.pause(body["paused"]))
        except FoolscanError as error:
            return _error(503, "not_stored", str(error))
        return JSONResponse({"paused": self.crowd.paused})

    async def export(self, request: Request) -> Response:
        if await _body(request) != {}:
            return _error(422, "malformed", "expected {}")
        if self.exporting.running:
            return _error(409, "running", "an export is at it already")
        self.exporting = _Exporting(running=True)
        threading.Thread(target=self._export, args=[self.exporting], name="online-export", daemon=True).start()
        return JSONResponse({"running": True}, 202)

    def _export(self, going: _Exporting) -> None:
        from experiment.online.export import export_from

        def told(done: int, of: int) -> None:
            going.done, going.of = done, of

        try:
            done = export_from(self.crowd, self.study, self.folder, told)
            going.people, going.removed, going.answers = len(done.beh), len(done.removed), done.n_answers
            going.where = str(done.answers.resolve())
        except Exception as error:
            going.problem = str(error)
        finally:
            going.at_ms, going.running = self.now_ms(), False


async def _body(request: Request) -> Any:
    """The JSON of a request; None where it is none, or too long."""
    content = b""
    try:
        async with asyncio.timeout(10):
            async for part in request.stream():
                content += part
                if len(content) > MOST_BYTES:
                    return None
        return json.loads(content)
    except (ValueError, RecursionError, TimeoutError):
        return None
