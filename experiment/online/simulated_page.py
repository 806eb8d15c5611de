"""A simulated person at a simulated page: what is sent to the server and when, without a network or a clock of its own.

`visit` is a generator: it yields what it does next, `Wait` or `Ask`, and is sent the server's `Reply`, or None where none came.
So the same person can be played by a virtual clock, request by request, or by many connections at once.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from PIL import Image

from experiment.online.items import Item
from experiment.online.messages import MOST_AT_ONCE
from experiment.online.simulated_people import Person, Response, Truth, check_response, responses
from protocols.folder import StudyFolder
from protocols.online_plan import OnlinePlan
from protocols.problems import FoolscanError

Loss = Literal["request", "reply"]
LOSES = 0.2
"""Of the requests of somebody whose network is flaky: half of them get lost on their way, half their replies."""
MOST_BYTES = 48_000
"""Of answers that are sent at once, as the page has it: the server takes no body beyond 64 KiB."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
MOST_TRIES, MOST_FAULTS = 500, 5
READING_S = 20.0


@dataclass(frozen=True)
class Wait:
    """Nothing is done for some time, s."""

    seconds: float


@dataclass(frozen=True)
class Ask:
    """A request; `lost` says whether the network loses it or its reply."""

    method: Literal["GET", "POST"]
    path: str
    body: bytes | None = None
    token: str | None = None
    lost: Loss | None = None


@dataclass(frozen=True)
class Reply:
    """What the server answered."""

    status: int
    content: bytes

    @property
    def said(self) -> dict[str, Any]:
        """The body, where it is JSON; else empty."""
        try:
            found = json.loads(self.content)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


Step = Generator[Wait | Ask, Reply | None, Any]


@dataclass(frozen=True)
class Eyes:
    """What people see: an image by its pixels, as they come from the server, and nothing else of it.

    plan   : of the task, for what its questions ask about.
    truth  : of people.
    shown  : item by `pixels_of` its image.
    names  : of all things in the study.
    """

    plan: OnlinePlan
    truth: Truth
    shown: Mapping[str, Item]
    names: tuple[str, ...]

    @classmethod
    def of(cls, plan: OnlinePlan, truth: Truth, items: Sequence[Item], folder: StudyFolder) -> Eyes:
        """Eyes that know the images of a study."""
        shown = {pixels_of((folder.stimuli / item.file).read_bytes()): item for item in items}
        return cls(plan, truth, shown, tuple(sorted({item.traits["category"] for item in items})))

    def see(self, png: bytes) -> Item:
        """The item whose image it is. Raises FoolscanError for an image that the study does not have."""
        try:
            return self.shown[pixels_of(png)]
        except KeyError:
            raise FoolscanError(
                "simulated person: the server sent an image whose pixels no item of the study has"
            ) from None


def pixels_of(png: bytes) -> str:
    """SHA-256 of size and pixels."""
    with Image.open(io.BytesIO(png)) as image:
        return hashlib.sha256(f"{image.size}".encode() + image.convert("RGB").tobytes()).hexdigest()


@dataclass
class Ending:
    """How it ended for somebody, and what the server has acknowledged.

    end          : completed, dropped, withdrawn, or why nothing came of it (full, paused, finished, taken_part, …).
    acknowledged : by trial, what was answered; only what the server said that it holds.
    completion   : what the server gave at the end.
    statuses     : of replies, counted, by request and status.
    oddities     : what should not have happened, in words.
    """

    person: Person
    end: str = "dropped"
    acknowledged: dict[int, dict[str, Any]] = field(default_factory=dict)
    completion: dict[str, Any] | None = None
    n_trials: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    oddities: list[str] = field(default_factory=list)
    token: str | None = None


class Stopped(Exception):
    """Nothing further is to be done; its argument is the end."""


class Page:
    """A page in one tab, with its outbox.

    person, eyes : who looks at it.
    ending       : filled in as it goes on; shared by the tabs of one person.
    now_s        : the clock by which everything is dated, s.
    recruiter    : by whom the person comes.
    parameter    : of the page's address, which holds the person's identifier.
    kept         : what the browser keeps between two loads: the outbox, numbers of happenings and loads.
    """

    def __init__(
        self, person: Person, eyes: Eyes, ending: Ending, now_s: Callable[[], float], recruiter: str, parameter: str
    ) -> None:
        self.person, self.eyes, self.ending, self.now_s = person, eyes, ending, now_s
        self.recruiter, self.arrival = recruiter, {parameter: person.raw_id}
        self.chance = person.generator(f"network/{person.number}")
        self.token: str | None = None
        self.held = 0
        self.outbox: dict[int, dict[str, Any]] = {}
        self.happened: list[dict[str, Any]] = []
        self.n_happened = 0
        self.load = 0
        self.loaded_s = 0.0
        self.session: dict[str, Any] = {}
        self.images: dict[int, Item] = {}
        self.offline = False

    @property
    def trials(self) -> list[dict[str, Any]]:
        """Of the session, as the server said."""
        found: list[dict[str, Any]] = self.session["trials"]
        return found

    def clock_ms(self) -> float:
        """Since the page was loaded, as the page's clock has it."""
        return round((self.now_s() - self.loaded_s) * 1000, 3)

    def ask(self, method: Literal["GET", "POST"], path: str, body: Mapping[str, Any] | None = None) -> Step:
        """One request; None where no reply came."""
        lost: Loss | None = None
        if self.person.kind == "flaky" and self.chance.random() < LOSES:
            lost = "request" if self.chance.random() < 0.5 else "reply"
        content = None if body is None else json.dumps(body).encode()
        reply = yield Ask(method, path, content, self.token, "request" if self.offline else lost)
        what = f"{path.split('?')[0].split('/')[0]} {reply.status if reply else 'no reply'}"
        self.ending.statuses[what] = self.ending.statuses.get(what, 0) + 1
        if reply is not None and reply.status == 500:
            self.ending.oddities.append(f"the server broke: {method} {path.split('?')[0]}")
            if self.ending.statuses[what] > MOST_FAULTS:
                raise Stopped("the server broke")
        return reply

    def insist(self, method: Literal["GET", "POST"], path: str, body: Mapping[str, Any] | None = None) -> Step:
        """The same request until there is a reply that is not for another time, with backoff."""
        wait_s = FIRST_WAIT_S
        for _ in range(MOST_TRIES):
            reply = yield from self.ask(method, path, body)
            if reply is not None and reply.status not in (429, 500, 502, 503, 504):
                return reply
            yield Wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        raise Stopped("gave up")

    def come(self) -> Step:
        """Information, consent, joining."""
        query = "&".join(f"{name}={value}" for name, value in self.arrival.items())
        welcome = yield from self.insist("GET", f"welcome?recruiter={self.recruiter}&{query}")
        if welcome.status != 200:
            raise Stopped(welcome.said.get("error", f"welcome {welcome.status}"))
        said = welcome.said
        yield Wait(READING_S * len(said["information"]))
        joining = {
            "recruiter": self.recruiter,
            "arrival": self.arrival,
            "language": said["language"],
            "consent": [True] * len(said["consent"]),
        }
        joined = yield from self.insist("POST", "join", joining)
        if joined.status != 201:
            raise Stopped(joined.said.get("error", f"join {joined.status}"))
        self.token = joined.said["token"]
        self.ending.token = self.token
        yield from self.open()

    def open(self) -> Step:
        """Load the page: the session, from which it goes on, and its images."""
        reply = yield from self.insist("GET", "session")
        if reply.status != 200:
            raise Stopped(reply.said.get("error", f"session {reply.status}"))
        self.session = reply.said
        if self.session["state"] != "active":
            raise Stopped(self.session["state"])
        self.ending.n_trials = len(self.trials)
        self._hears(self.session["held"])
        self.load = max(self.load, self.session.get("n_loads") or 0) + 1
        self.n_happened = max(self.n_happened, self.session.get("n_happenings") or 0)
        self.loaded_s = self.now_s()
        self._happens("loaded")
        yield from self.send()
        for trial in self.trials[self.held :]:
            if trial["asset"] is not None and trial["number"] not in self.images:
                image = yield from self.insist("GET", f"asset/{trial['asset']}")
                if image.status != 200:
                    raise Stopped(image.said.get("error", f"asset {image.status}"))
                self.images[trial["number"]] = self.eyes.see(image.content)

    def do(self, number: int) -> Step:
        """One trial: look, answer, put the answer into the outbox."""
        trial, person = self.trials[number - 1], self.person
        noise = person.generator(f"screen/{number}")
        if trial["rest"]:
            yield Wait(float(noise.uniform(2, 20)))
        yield Wait(self.session["showing"]["fixation_s"] + float(noise.uniform(0.05, 0.2)))
        questions = self.session["questions"]
        if trial["asset"] is None:
            questions = questions[:1]
            given = [check_response(person, trial["text"], questions[0], number)]
        else:
            given = responses(person, self.eyes.plan, questions, self.images[number], self.eyes.names, self.eyes.truth)
        onset_ms = self.clock_ms()
        yield Wait(sum(response.rt_s for response in given))
        away = noise.random() < 0.01
        if away:
            self._happens("hidden", number)
            yield Wait(float(noise.uniform(1, 30)))
            self._happens("shown", number)
        shown = None if trial["asset"] is None else self._shown(onset_ms, given[0].rt_s, late=noise.random() < 0.02)
        self.outbox[number] = {
            "trial": number,
            "shown": shown,
            "given": [
                self._given(question["name"], response) for question, response in zip(questions, given, strict=True)
            ],
            "hidden": bool(away),
            "sent_ms": self.clock_ms(),
            "load": self.load,
        }

    def send(self) -> Step:
        """One attempt to send what lies in the outbox; what the server holds leaves it. Returns whether it is empty."""
        while self.outbox or self.happened:
            batch = self.batch()
            happened = self.happened[:MOST_AT_ONCE]
            reply = yield from self.ask("POST", "answers", {"answers": batch, "happenings": happened})
            if reply is None or reply.status in (429, 500, 502, 503, 504):
                return False
            if reply.status == 409 and reply.said.get("error") == "out_of_order":
                self._hears(reply.said["held"])
                self._acknowledge()
                if self.outbox and min(self.outbox) > self.held + 1:
                    raise Stopped(f"answers lost: {self.held} held, {min(self.outbox)} the first in the outbox")
                continue
            if reply.status != 200:
                raise Stopped(reply.said.get("error", f"answers {reply.status}"))
            self._hears(reply.said["held"])
            self._acknowledge()
            self.happened = [one for one in self.happened if one not in happened]
            if batch and batch[0]["trial"] > self.held:
                self.ending.oddities.append(f"trial {batch[0]['trial']} was sent, and only {self.held} are held")
                return False
        return True

    def batch(self) -> list[dict[str, Any]]:
        """The first answers of the outbox, as many as the page sends at once: so many, and no more bytes."""
        batch: list[dict[str, Any]] = []
        n_bytes = 0
        for number in sorted(self.outbox)[:MOST_AT_ONCE]:
            n_bytes += len(json.dumps(self.outbox[number])) + 1
            if batch and n_bytes > MOST_BYTES:
                break
            batch.append(self.outbox[number])
        return batch

    def flush(self) -> Step:
        """Send until the outbox is empty."""
        wait_s = FIRST_WAIT_S
        for _ in range(MOST_TRIES):
            if (yield from self.send()):
                return
            yield Wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        raise Stopped("gave up")

    def finish(self) -> Step:
        """The end: everything held, completion."""
        yield from self.flush()
        comment = "" if self.person.number % 3 else "It was fine, <b>thank you</b>."
        reply = yield from self.insist("POST", "finish", {"comment": comment, "arrival": self.arrival})
        if reply.status != 200:
            raise Stopped(reply.said.get("error", f"finish {reply.status}"))
        self.ending.completion = reply.said["completion"]

    def _hears(self, held: int) -> None:
        """The server says how many trials it holds: never fewer than before."""
        if held < self.held:
            self.ending.oddities.append(f"the server held {self.held} trials, and now says {held}")
        self.held = held

    def _acknowledge(self) -> None:
        """What the server holds leaves the outbox."""
        for number in [number for number in self.outbox if number <= self.held]:
            self.ending.acknowledged.setdefault(number, self.outbox.pop(number))

    def _happens(self, kind: str, trial: int | None = None) -> None:
        self.n_happened += 1
        self.happened.append(
            {"number": self.n_happened, "kind": kind, "trial": trial, "at_ms": self.clock_ms(), "content": None}
        )

    def _given(self, question: str, response: Response) -> dict[str, Any]:
        return {
            "question": question,
            "value": response.value,
            "typed": response.typed,
            "rt_ms": round(response.rt_s * 1000, 3),
            "by": self.person.by,
        }

    def _shown(self, onset_ms: float, rt_s: float, *, late: bool) -> dict[str, Any]:
        """Frames as this person's screen draws them; an image goes on the frame that is due, or on the first after the answer."""
        frame_ms, image_s = self.person.frame_ms, self.session["showing"]["image_s"]
        asked_ms = None if image_s is None else image_s * 1000.0
        n_frames = int(rt_s * 1000 / frame_ms) + 1 if asked_ms is None else max(1, round(asked_ms / frame_ms))
        offset_ms = round(onset_ms + (n_frames + late) * frame_ms, 3)
        frames = [round(onset_ms + place * frame_ms, 3) for place in range(min(n_frames, 999))]
        return {
            "onset_ms": onset_ms,
            "offset_ms": offset_ms,
            "asked_ms": asked_ms,
            "n_frames": n_frames,
            "late_frames": int(late),
            "frame_ms": round(frame_ms, 3),
            "frames_ms": [*frames, offset_ms],
        }
