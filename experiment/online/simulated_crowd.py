"""A crowd of simulated people against a real server over HTTP, hours of theirs in seconds: `foolscan online rehearse`."""

from __future__ import annotations

import heapq
import http.client
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from experiment.online.recruiters.recruiter import Arrival, Completion, Recruiter, Refused
from experiment.online.simulated_page import Ask, Ending, Eyes, Reply
from experiment.online.simulated_people import SHARES, Kind, Person, Truth, crowd_of
from experiment.online.simulated_visits import Visit, visit
from protocols.answers import SIMULATED
from protocols.folder import StudyFolder
from protocols.problems import FoolscanError
from protocols.study import Study, online_plan

if TYPE_CHECKING:
    from experiment.online.crowd import Crowd

PARTICIPANT = re.compile(r"[a-z]{1,16}[0-9]{1,9}")


@dataclass(frozen=True)
class Simulated:
    """``/simulated?participant=sim0001``: the recruiter of a rehearsal; `foolscan online serve` has none such."""

    name: str = SIMULATED
    frame_ancestors: tuple[str, ...] = ()
    form_action: tuple[str, ...] = ()

    def arrived(self, query: Mapping[str, str]) -> Arrival:
        """Who came. Raises Refused."""
        found = query.get("participant", "")
        if not PARTICIPANT.fullmatch(found):
            raise Refused("participant: expected a simulated person's, as in /simulated?participant=sim0001")
        return Arrival(found)

    def completion(self, query: Mapping[str, str], new_code: str) -> Completion:
        """A code, as with a plain link."""
        return Completion("code", code=new_code)


class SimulatedClock:
    """A clock that is set forward, and that can go on by itself for as long as a real browser is there.

    begin_ms : its first moment, ms since 1970.
    """

    def __init__(self, begin_ms: int) -> None:
        self.begin_ms = begin_ms
        self._at_s = 0.0
        self._since_s: float | None = None

    def now_s(self) -> float:
        """Since its first moment, s."""
        return self._at_s + (0.0 if self._since_s is None else time.monotonic() - self._since_s)

    def now_ms(self) -> int:
        """Since 1970, ms."""
        return self.begin_ms + round(self.now_s() * 1000)

    def set_to(self, at_s: float) -> None:
        """Go forward; never back."""
        self._at_s = max(self._at_s, at_s)

    @contextmanager
    def in_real_time(self) -> Iterator[None]:
        """Go on by itself within the block."""
        self._since_s = time.monotonic()
        try:
            yield
        finally:
            self._at_s, self._since_s = self.now_s(), None


class Line:
    """One connection to a server, kept open; opened anew where it was closed.

    timeout_s : for which a reply is waited for.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = 60.0) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)

    def ask(self, ask: Ask) -> Reply | None:
        """Send a request, unless it gets lost; None where no reply came, or it got lost."""
        if ask.lost == "request":
            return None
        headers = {"Content-Type": "application/json"} if ask.body is not None else {}
        if ask.token is not None:
            headers["Authorization"] = f"Bearer {ask.token}"
        for last in (False, True):  # a connection that was idle for long may have been closed by the server
            try:
                self._connection.request(ask.method, f"/api/{ask.path}", ask.body, headers)
                response = self._connection.getresponse()
                reply = Reply(response.status, response.read())
                return None if ask.lost == "reply" else reply
            except (OSError, http.client.HTTPException):
                self._connection.close()
                if last:
                    return None
        return None

    def close(self) -> None:
        """Close it."""
        self._connection.close()


def play(visits: Sequence[tuple[float, Visit]], ask: Callable[[Ask], Reply | None], clock: SimulatedClock) -> None:
    """Play visits against each other in the order of a simulated clock: nobody waits, and it is the same each time.

    visits : (when it begins, s; visit).
    ask    : sends a request and returns the reply, or None.
    """
    due = [(begins_s, place) for place, (begins_s, _) in enumerate(visits)]
    heapq.heapify(due)
    try:
        while due:
            at_s, place = heapq.heappop(due)
            clock.set_to(at_s)
            wait_s = _next_wait(visits[place][1], ask)
            if wait_s is not None:
                heapq.heappush(due, (clock.now_s() + wait_s, place))
    finally:
        for _, left in visits:
            left.close()


def _next_wait(someone: Visit, ask: Callable[[Ask], Reply | None]) -> float | None:
    """Play one person up to the next wait, s; None: it has ended."""
    try:
        step = next(someone)
        while isinstance(step, Ask):
            step = someone.send(ask(step))
    except StopIteration:
        return None
    return step.seconds


@contextmanager
def in_thread(app: Any, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve an application on a free port, in a thread, for the length of the block; yields the port."""
    import uvicorn

    with socket.socket() as listener:
        listener.bind((host, 0))
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="auto", timeout_graceful_shutdown=5
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="rehearsal server")
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise FoolscanError("the server did not start; see what it said above")
                time.sleep(0.005)
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


@dataclass(frozen=True)
class Rehearsed:
    """What a rehearsal came to.

    endings : of everybody, in order of arrival.
    counts  : per list, as `Crowd.counts` has them.
    hours   : of simulated time.
    seconds : that it took.
    """

    endings: tuple[Ending, ...]
    counts: Any
    hours: float
    seconds: float
    browsers: int = 0
    oddities: tuple[str, ...] = ()

    @property
    def ends(self) -> Counter[tuple[str, str]]:
        """How many people of each kind came to which end."""
        return Counter((ending.person.kind, ending.end) for ending in self.endings)

    @property
    def acknowledged(self) -> int:
        """Answers that the server said it holds."""
        return sum(len(ending.acknowledged) for ending in self.endings)


def rehearse(
    study: Study,
    folder: StudyFolder,
    *,
    people: int = 50,
    shares: Mapping[Kind, float] = SHARES,
    seed: int | None = None,
    truth: Truth | None = None,
    browsers: int = 0,
    told: Callable[[str], None] = lambda said: None,
) -> Rehearsed:
    """Play a crowd against the real server of a study on a free port of this machine, in simulated time.

    folder   : of a rehearsal (opened as such): what is made there is marked as simulated.
    people   : identifiers that come.
    shares   : of kinds of people.
    seed     : of the crowd; None: the study's.
    browsers : real headless browsers that do a whole session each afterwards, through the real page.
    told     : is told of each person who has ended.

    The same seed in the same study gives the same answers. Run again, it goes on: who has finished is told so.
    Raises FoolscanError where the study has no task online or its images are not made.
    """
    from experiment.online.assets import read_assets
    from experiment.online.crowd import Crowd
    from experiment.online.items import items_of
    from experiment.online.jspsych import vendored
    from experiment.online.limits import Gate, Limits
    from experiment.online.server import participant_app

    plan = online_plan(study)
    truth, began_s = truth or Truth(), time.monotonic()
    items = items_of(plan, folder)
    eyes = Eyes.of(plan, truth, items, folder)
    packages = vendored() if browsers else {}
    crowd_seed = study.seed if seed is None else seed
    clock = SimulatedClock(round(time.time() * 1000))
    with Crowd.open(study, folder, now_ms=clock.now_ms) as crowd, read_assets(items, folder) as assets:
        clock.set_to((last_heard_ms(crowd) - clock.begin_ms) / 1000)
        recruiters: dict[str, Recruiter] = {SIMULATED: Simulated()}
        app = participant_app(
            crowd, study, folder, recruiters, assets=assets, vendored=packages, gate=Gate(Limits(), clock.now_s)
        )
        with in_thread(app) as port:
            browsed = []
            for guest in crowd_of(browsers, crowd_seed, {"honest": 1.0}, truth):
                someone = replace(guest, raw_id=f"browser{guest.number:04d}", self=-guest.number)  # nobody of the crowd
                if has_finished(crowd, someone.raw_id):
                    continue
                from experiment.online.simulated_browser import whole_session

                with clock.in_real_time():
                    page = f"http://127.0.0.1:{port}/simulated?participant={someone.raw_id}"
                    browsed.append(whole_session(page, someone, eyes))
                told(f"browser {someone.number}: {browsed[-1].trials} trials")
            begins_s = clock.now_s()
            endings = [Ending(person) for person in crowd_of(people, crowd_seed, shares, truth)]
            visits = [
                (
                    begins_s + ending.person.arrives_s,
                    _told(visit(ending.person, eyes, clock.now_s, ending=ending), ending, told),
                )
                for ending in endings
            ]
            line = Line("127.0.0.1", port)
            try:
                play(visits, line.ask, clock)
            finally:
                line.close()
            hours = (clock.now_s() - begins_s) / 3600
        counts = crowd.counts()
    oddities = [
        f"{ending.person.raw_id} ({ending.person.kind}): {odd}" for ending in endings for odd in ending.oddities
    ]
    oddities += [f"a real browser asked elsewhere: {url}" for one in browsed for url in one.elsewhere]
    return Rehearsed(tuple(endings), counts, hours, time.monotonic() - began_s, len(browsed), tuple(oddities))


def last_heard_ms(crowd: Crowd) -> int:
    """When somebody was last heard of, ms since 1970; 0: never. A rehearsal that goes on begins there, since it ran ahead."""
    from sqlalchemy import func, select

    from experiment.online.tables import sessions

    return int(crowd.read(lambda connection: connection.execute(select(func.max(sessions.c.heard_ms))).scalar()) or 0)


def has_finished(crowd: Crowd, raw_id: str) -> bool:
    """Whether somebody has finished in an earlier rehearsal into the same folder."""
    from sqlalchemy import select

    from experiment.online.tables import payments, sessions

    ended = select(sessions.c.session).join(payments, payments.c.worker == sessions.c.worker)
    ended = ended.where(payments.c.raw_id == raw_id, sessions.c.state != "active")
    return crowd.read(lambda connection: connection.execute(ended).first()) is not None


def _told(someone: Visit, ending: Ending, told: Callable[[str], None]) -> Visit:
    yield from someone
    person: Person = ending.person
    told(f"{person.raw_id} ({person.kind}): {ending.end}, {len(ending.acknowledged)} of {ending.n_trials} trials")
    return ending
