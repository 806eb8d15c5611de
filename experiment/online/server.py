"""The participants' application: the page and its files, and the addresses that it asks."""

from __future__ import annotations

import hashlib
import html
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from experiment.online.items import items_of
from experiment.online.limits import Gate, Gone, Limits, Network, Receive
from experiment.online.lists import lists_of
from experiment.online.participant_api import Handler, ParticipantApi
from experiment.online.recruiters.recruiter import Recruiter
from experiment.online.replies import Refuse, Reply, Scope, Send, answer
from experiment.online.security_headers import Header, headers
from experiment.online.session_page import most_trials
from protocols.folder import StudyFolder
from protocols.online_plan import OnlinePlan
from protocols.study import Study, online_plan

if TYPE_CHECKING:
    from experiment.online.assets import Assets
    from experiment.online.crowd import Crowd

PAGE = Path(__file__).with_name("page")
PAGE_FILE = "index.html"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
BROKEN = Refuse(500, "broken", "Something broke on the server; what was acknowledged is held.", wait_s=5)
NOT_HERE = "There is nothing here. Please use the link exactly as you got it."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A file that is served as it is.

    etag : strong, of its content.
    """

    content: bytes
    type: str
    etag: str


@dataclass(frozen=True)
class Handled:
    """An address below /api/: an application that answers with what a handler says."""

    handler: Handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            reply = await self.handler(scope, receive)
        except Refuse as refusal:
            reply = refusal.reply
        except Gone:
            return
        except Exception:  # a fault of ours: said in the log, with where it happened
            _log.exception("%s broke", self.handler.__qualname__)
            reply = BROKEN.reply
        await reply.send(send)


@dataclass(frozen=True)
class FileInMemory:
    """A file in memory; a browser that has it already is told so.

    headers : besides what says how long and of what type it is.
    """

    served: Served
    headers: tuple[Header, ...]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asked = b",".join(value for name, value in scope["headers"] if name == b"if-none-match").decode("latin-1")
        tag = (b"etag", self.served.etag.encode())
        if self.served.etag in [part.strip().removeprefix("W/") for part in asked.split(",")]:
            await send({"type": "http.response.start", "status": 304, "headers": [*self.headers, tag]})
            await send({"type": "http.response.body", "body": b""})
            return
        kind = (b"content-type", self.served.type.encode())
        await Reply(200, self.served.content, (*self.headers, kind, tag)).send(send)


class ParticipantApp(Starlette):
    """An application in which a few addresses are reached at once when something is posted to them.

    at_once : address -> what answers; the routes have it, too, for other methods.
    """

    def __init__(self, at_once: Mapping[str, Handled], **settings: Any) -> None:
        super().__init__(**settings)
        self._at_once = at_once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "POST" and (found := self._at_once.get(scope["path"])):
            await found(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def participant_app(
    crowd: Crowd,
    study: Study,
    folder: StudyFolder,
    recruiters: Mapping[str, Recruiter],
    *,
    assets: Assets,
    vendored: Mapping[str, Path],
    page: Path = PAGE,
    gate: Gate | None = None,
    trusted: Sequence[Network] = (),
) -> Starlette:
    """The application that participants talk to.

    recruiters : open entrances by name: each has its page at ``/<name>``.
    assets     : every image that is shown.
    vendored   : files of ``/vendor/``.
    page       : folder of ``/static/``, with the page itself.
    gate       : how much may be asked; left out: the usual limits.
    trusted    : proxies whose word on addresses is believed.

    Files are read now; nothing of the disk is looked up by what a request asks for.
    """
    plan = online_plan(study)
    gate = gate or Gate(Limits(), time.monotonic)
    api = ParticipantApi(crowd, study, plan, recruiters, assets, gate, _n_trials(plan, study, folder), trusted)
    routes = [
        *_api_routes(api),
        *(_page_route(recruiter, page) for recruiter in recruiters.values()),
        *(_file_route(f"/static/{name}", path) for name, path in static_files(page).items()),
        *(_file_route(f"/vendor/{name}", path) for name, path in vendored.items()),
        Route("/healthz", Handled(_health), methods=["GET"]),
    ]
    app = ParticipantApp(
        {"/api/answers": Handled(api.answers)},
        routes=routes,
        exception_handlers={HTTPException: _refused, Exception: _broken},
    )
    app.router.redirect_slashes = False  # a redirect would name the host that the request named
    return app


def static_files(page: Path) -> dict[str, Path]:
    """The page's own files by name, in order; the page itself is not among them."""
    found = {
        path.relative_to(page).as_posix(): path
        for path in sorted(page.rglob("*"))
        if path.is_file() and path.suffix in TYPES and not any(part.startswith(".") for part in path.parts[-2:])
    }
    found.pop(PAGE_FILE, None)
    return found


def read_served(path: Path) -> Served:
    """A file as it is served."""
    content = path.read_bytes()
    return Served(content, TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def _api_routes(api: ParticipantApi) -> list[Route]:
    return [
        Route("/api/answers", Handled(api.answers), methods=["POST"]),
        Route("/api/asset/{asset}", Handled(api.asset), methods=["GET"]),
        Route("/api/session", Handled(api.session), methods=["GET"]),
        Route("/api/welcome", Handled(api.welcome), methods=["GET"]),
        Route("/api/join", Handled(api.join), methods=["POST"]),
        Route("/api/withdraw", Handled(api.withdraw), methods=["POST"]),
        Route("/api/finish", Handled(api.finish), methods=["POST"]),
    ]


def _page_route(recruiter: Recruiter, page: Path) -> Route:
    served = read_served(page / PAGE_FILE)
    return Route(f"/{recruiter.name}", FileInMemory(served, tuple(headers(recruiter, page=True))), methods=["GET"])


def _file_route(address: str, path: Path) -> Route:
    return Route(address, FileInMemory(read_served(path), tuple(headers(caching="revalidated"))), methods=["GET"])


def _n_trials(plan: OnlinePlan, study: Study, folder: StudyFolder) -> int:
    lists = lists_of(plan, items_of(plan, folder), study.seed)
    return max(most_trials(plan, len(shown.items), len(shown.practice)) for shown in lists)


async def _health(scope: Scope, receive: Receive) -> Reply:
    return answer({"ok": True})


def _refused(request: Request, error: Exception) -> Response:
    """No such address, or not by this method: a page for people, JSON for programs."""
    found = cast(HTTPException, error)
    path, accepted = request.url.path, request.headers.get("accept", "")
    if found.status_code == 404 and "text/html" in accepted and not path.startswith("/api/"):
        title = html.escape(NOT_HERE)
        content = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>404</title><p>{title}</p></html>'
        return _response(Reply(404, content.encode(), (*headers(), (b"content-type", b"text/html; charset=utf-8"))))
    kinds = {404: ("not_found", "There is nothing at this address."), 405: ("wrong_method", "Not by this method.")}
    kind, said = kinds.get(found.status_code, ("refused", "This request cannot be met."))
    return _response(Refuse(found.status_code, kind, said).reply, found.headers)


def _broken(request: Request, error: Exception) -> Response:
    """A fault of ours: it is logged by whoever runs the application."""
    return _response(BROKEN.reply)


def _response(reply: Reply, more: Mapping[str, str] | None = None) -> Response:
    response = Response(reply.body, reply.status)
    extra = [(name.lower().encode(), value.encode()) for name, value in (more or {}).items()]
    length = [(b"content-length", b"%d" % len(reply.body))]
    response.raw_headers = [*reply.headers, *extra, *length]
    return response
