"""Serves the task: checks everything, opens the database, listens on both ports, and ends without losing an answer."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette

from experiment.online.assets import read_assets
from experiment.online.connections import Deadlines, GuardedServer, guarded
from experiment.online.items import items_of
from experiment.online.limits import Gate, Limits, proxies
from experiment.online.lists import lists_of
from experiment.online.opening import files_of
from experiment.online.readiness import allow_open_files, bound, entrances, public_address, remarks_on, speaks
from experiment.online.server import PAGE, participant_app
from experiment.online.server_log import logging_to
from experiment.online.tokens import sha256_of_token
from protocols.folder import StudyFolder
from protocols.online_checks import trial_problems
from protocols.problems import ProtocolError
from protocols.study import Study, online_plan

if TYPE_CHECKING:
    from types import FrameType

PORT, OPERATOR_PORT = 8420, 8421
LOOPBACK = "127.0.0.1"
GRACE_S = 10
"""For which requests that have begun may last when the server ends."""
USUAL_LIMITS, USUAL_DEADLINES = Limits(), Deadlines()
OPERATORS = 64
"""Connections to the operator's page."""
FILES_BESIDES = 128 + OPERATORS
"""Open files that are no connections of participants."""

_log = logging.getLogger("experiment.online.serving")


@dataclass(frozen=True)
class Listening:
    """What is served where.

    pages    : of each recruiter by name: its address.
    operator : the operator's page; the token stands behind #, which no browser sends.
    database : the file that holds the answers.
    log      : the server's own.
    remarks  : what is to be minded, in sentences.
    stop     : end it, from any thread.
    """

    pages: Mapping[str, str]
    operator: str
    database: Path
    log: Path
    remarks: tuple[str, ...]
    stop: Callable[[], None]


def serve(
    study: Study,
    folder: StudyFolder,
    *,
    host: str = LOOPBACK,
    port: int = PORT,
    operator_host: str = LOOPBACK,
    operator_port: int = OPERATOR_PORT,
    recruiters: Sequence[str] = ("link", "lab"),
    trusted_proxies: Sequence[str] = (),
    public_url: str | None = None,
    limits: Limits = USUAL_LIMITS,
    deadlines: Deadlines = USUAL_DEADLINES,
    vendored: Mapping[str, Path] | None = None,
    page: Path = PAGE,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    listening: Callable[[Listening], None] = lambda _: None,
) -> int | None:
    """Serve a study's task in the browser until a signal comes.

    host, port                   : for participants; port 0: any that is free.
    operator_host, operator_port : for the operator's page.
    recruiters                   : names of the entrances that are open.
    trusted_proxies              : addresses or networks whose X-Forwarded-For is believed.
    public_url                   : the address that people see, where a proxy stands in front.
    vendored                     : files of ``/vendor/``; left out: jsPsych's, fetched once.
    page                         : folder of the page's own files.
    now_ms                       : the wall's clock, ms since 1970.
    listening                    : called once both ports answer.

    Returns the signal that ended it (SIGINT, SIGTERM); None where `Listening.stop` did.
    Raises FoolscanError for whatever is not right; then nothing was opened to anybody.
    """
    plan = online_plan(study)
    if problems := [*trial_problems(study, plan)]:
        raise ProtocolError(problems)
    remarks = speaks(plan, study.name)
    open_to = entrances(recruiters, plan)
    trusted = proxies(trusted_proxies)
    public = None if public_url is None else public_address(public_url)
    remarks += remarks_on(host, recruiters, public, operator_host)
    items = items_of(plan, folder)
    shown = [item for part in lists_of(plan, items, study.seed) for item in (*part.items, *part.practice)]
    with ExitStack() as opened:
        assets = opened.enter_context(read_assets(shown, folder))
        remarks += assets.remarks()
        if vendored is None:
            from experiment.online.jspsych import vendored as fetched

            vendored = fetched()
        doors = [
            opened.enter_context(bound(host, port, "--port")),
            opened.enter_context(bound(operator_host, operator_port, "--operator-port")),
        ]
        from experiment.online.crowd import Crowd
        from experiment.online.operator_api import operator_app, operator_token

        database = files_of(study, folder).database
        log = opened.enter_context(logging_to(database.with_name(f"{plan.task}_server.log")))
        crowd = opened.enter_context(Crowd.open(study, folder, now_ms=now_ms))
        gate = Gate(limits, time.monotonic)
        app = participant_app(
            crowd, study, folder, open_to, assets=assets, vendored=vendored, page=page, gate=gate, trusted=trusted
        )
        token = operator_token(folder, plan.task)
        desk = operator_app(crowd, study, folder, sha256_of_token(token), problems=gate.troubles)
        deadlines = within_reach(deadlines)
        servers = [_server(app, deadlines), _server(desk, replace(deadlines, connections=OPERATORS))]
        base = public or address_of(host, doors[0])
        told = Listening(
            {name: f"{base}/{name}" for name in open_to},
            f"{address_of(operator_host, doors[1])}/#{token}",
            database,
            log,
            tuple(remarks),
            lambda: _stop(servers),
        )
        _log.info("serving %s to %s", plan.task, ", ".join(open_to))
        with _until_signal(servers) as signals:
            loop = servers[0].config.get_loop_factory()
            with asyncio.Runner(loop_factory=loop) as runner:
                runner.run(_run(servers, doors, lambda: listening(told)))
        _log.info("ended%s", f" by signal {signals[0]}" if signals else "")
    return signals[0] if signals else None


def address_of(host: str, door: socket.socket) -> str:
    """``http://host:port`` of a socket."""
    port = door.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def within_reach(deadlines: Deadlines) -> Deadlines:
    """The deadlines with no more connections than the system lets this process have."""
    most = allow_open_files(deadlines.connections + FILES_BESIDES)
    if most is None or most >= deadlines.connections + FILES_BESIDES:
        return deadlines
    return replace(deadlines, connections=max(64, most - FILES_BESIDES))


def _server(app: Starlette, deadlines: Deadlines) -> GuardedServer:
    config = uvicorn.Config(
        app,
        http=guarded(deadlines),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=deadlines.idle_s,
        timeout_graceful_shutdown=GRACE_S,
    )
    return GuardedServer(config, deadlines)


async def _run(servers: Sequence[GuardedServer], doors: Sequence[socket.socket], started: Callable[[], None]) -> None:
    """Serve on all sockets until every server is told to end; where one fails, all end."""
    running = [asyncio.create_task(server.serve(sockets=[door])) for server, door in zip(servers, doors, strict=True)]
    try:
        while not all(server.started for server in servers) and not any(task.done() for task in running):
            await asyncio.sleep(0.01)
        if all(server.started for server in servers):
            started()
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        _stop(servers)
        await asyncio.gather(*running)


def _stop(servers: Sequence[GuardedServer]) -> None:
    for server in servers:
        server.should_exit = True


@contextmanager
def _until_signal(servers: Sequence[GuardedServer]) -> Iterator[list[int]]:
    """End the servers when a signal comes; at the second one without waiting for requests that have begun."""
    signals: list[int] = []

    def came(number: int, frame: FrameType | None) -> None:
        if signals:
            for server in servers:
                server.force_exit = True
        signals.append(number)
        _stop(servers)

    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    names = ("SIGINT", "SIGTERM", "SIGBREAK")  # the last one on Windows alone
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, came) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
