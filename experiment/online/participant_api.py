"""What the page may ask of the server: each request is checked, met, or refused with the smallest true answer and a flag."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import ValidationError

from experiment.online.limits import Gate, Network, Receive, TooLarge, body_of, came_from, is_one, retry_after
from experiment.online.messages import Answers, Finishing, Joining, Message, Withdrawal
from experiment.online.recruiters.recruiter import Arrival, Preview, Recruiter, Refused
from experiment.online.refusals import Incomplete, Mismatch, NotOpen, NotStored, OutOfOrder, UnknownAsset, UnknownToken
from experiment.online.replies import API_HEADERS, Refuse, Reply, Scope, answer
from experiment.online.session_page import chosen_language, session, welcome
from experiment.online.thread_results import ThreadResults

if TYPE_CHECKING:
    from experiment.online.assets import Assets
    from experiment.online.crowd import Crowd
    from experiment.online.session_state import SessionState
    from protocols.online_plan import OnlinePlan
    from protocols.study import Study

T = TypeVar("T")
Body = TypeVar("Body", bound=Message)

_log = logging.getLogger(__name__)

TOKEN = re.compile(r"[A-Za-z0-9_-]{20,64}")
ASSET = re.compile(r"[A-Za-z0-9_-]{8,64}")
MOST_QUERY = 4096
"""Characters of the page's own parameters."""
KIOSK = "lab"
ANYBODY = "link"
TRY_AGAIN_S = 2
"""After a commit that failed."""
PNG_HEADERS = ((b"content-type", b"image/png"), *API_HEADERS)


@dataclass(frozen=True)
class ParticipantApi:
    """The handlers, and what they stand on.

    recruiters : that are open, by name.
    n_trials   : of the longest session.
    trusted    : proxies whose word on addresses is believed.
    """

    crowd: Crowd
    study: Study
    plan: OnlinePlan
    recruiters: Mapping[str, Recruiter]
    assets: Assets
    gate: Gate
    n_trials: int
    trusted: Sequence[Network] = ()
    loops: dict[asyncio.AbstractEventLoop, ThreadResults] = field(default_factory=dict, repr=False)

    # --- what needs no token -----------------------------------------------------------------------------------------

    async def welcome(self, scope: Scope, receive: Receive) -> Reply:
        """What somebody reads before joining; nothing is written."""
        self._slow_down("looks", scope)
        query = self._query(scope)
        recruiter = self._recruiter(query.pop("recruiter", ""), scope)
        language = chosen_language(self.plan, query.pop("language", ""))
        came = self._arrived(recruiter, query, scope)
        state = "preview" if isinstance(came, Preview) else self.crowd.openness()
        kiosk = recruiter.name == KIOSK
        return answer(welcome(self.plan, self.study.name, language, state=state, kiosk=kiosk, n_trials=self.n_trials))

    async def join(self, scope: Scope, receive: Receive) -> Reply:
        """Somebody agrees, and is given a list."""
        self._slow_down("comings", scope)
        joining = await self._body(Joining, scope, receive)
        recruiter = self._recruiter(joining.recruiter, scope)
        came = self._arrived(recruiter, joining.arrival, scope)
        if isinstance(came, Preview):
            raise Refuse(403, "preview", "This is a preview; accept the work first.")
        language = chosen_language(self.plan, joining.language)
        if joining.consent != [True] * len(self.plan.saying.consent[language]):
            raise Refuse(400, "consent", "Every statement has to be agreed to.")
        joined = await self._written(self.crowd.join(recruiter.name, came, language), scope)
        if recruiter.name == ANYBODY and joined.session_state.held == 0:
            self.gate.came(self._address(scope))
        return answer({"token": joined.token}, 201)

    # --- what needs one ----------------------------------------------------------------------------------------------

    async def session(self, scope: Scope, receive: Receive) -> Reply:
        """The session's plan and how far it has come."""
        token = self._token(scope)
        self._slow_down_participant("asks", token)
        state = self._state(token, scope)
        language = chosen_language(self.plan, state.language)
        kiosk = state.recruiter == KIOSK
        told = session(self.plan, language, state.plan.trials, state.plan.options, state.assets, kiosk=kiosk)
        counted = {"held": state.held, "n_happenings": state.happenings, "n_loads": state.loads, "state": state.state}
        return answer(told | counted)

    async def asset(self, scope: Scope, receive: Receive) -> Reply:
        """An image of this session: an asset of another one, and a token that nobody has, are answered alike."""
        token, asset = self._token(scope, 404), scope["path"].rpartition("/")[2]
        self._slow_down_participant("asks", token)
        try:
            if not ASSET.fullmatch(asset):
                raise UnknownAsset
            item = self.crowd.asset(token, asset)
        except (UnknownAsset, UnknownToken):
            refusal = Refuse(404, "no_such_asset", "No such image.", flag="unknown_asset")
            raise self._failed(scope, refusal, token) from None
        return Reply(200, self.assets.png(item.item_id), PNG_HEADERS)

    async def answers(self, scope: Scope, receive: Receive) -> Reply:
        """Answers, held once this has been answered."""
        token = self._token(scope)
        self._slow_down_participant("answers", token)
        outbox = await self._body(Answers, scope, receive, token)
        held = await self._written(self.crowd.hold(token, outbox), scope, token)
        if not held.feedback:
            return Reply(200, b'{"held":%d,"feedback":{}}' % held.held)
        return answer({"held": held.held, "feedback": {str(trial): told for trial, told in held.feedback.items()}})

    async def withdraw(self, scope: Scope, receive: Receive) -> Reply:
        """Somebody ends it."""
        token = self._token(scope)
        self._slow_down("comings", scope)
        withdrawal = await self._body(Withdrawal, scope, receive, token)
        await self._written(self.crowd.withdraw(token, withdrawal.erase), scope)
        return answer({})

    async def finish(self, scope: Scope, receive: Receive) -> Reply:
        """Everything was answered: how the page ends, the same each time."""
        token = self._token(scope)
        self._slow_down("comings", scope)
        finishing = await self._body(Finishing, scope, receive, token)
        state = self._state(token, scope)
        recruiter = self._recruiter(state.recruiter, scope)
        if isinstance(self._arrived(recruiter, finishing.arrival, scope), Preview):
            raise Refuse(400, "refused", "This is a preview; accept the work first.")
        ending = self.crowd.finish(token, finishing.comment, lambda code: recruiter.completion(finishing.arrival, code))
        completion = (await self._written(ending, scope)).completion
        told = {
            "kind": completion.kind,
            "code": completion.code,
            "url": completion.url,
            "fields": dict(completion.fields),
        }
        language = chosen_language(self.plan, state.language)
        return answer({"completion": told, "debriefing": self.plan.saying.debriefing.get(language, "")})

    # --- checks ------------------------------------------------------------------------------------------------------

    def _query(self, scope: Scope) -> dict[str, str]:
        raw: bytes = scope["query_string"]
        try:
            if len(raw) > MOST_QUERY:
                raise ValueError
            pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=40)
        except ValueError:
            raise self._failed(scope, _malformed("the address's parameters", "no readable parameters")) from None
        return dict(pairs)

    def _recruiter(self, name: str, scope: Scope) -> Recruiter:
        found = self.recruiters.get(name)
        if found is None:
            said = "This study has no such entrance; please use the link exactly as you got it."
            raise self._failed(scope, Refuse(400, "refused", said, flag="unknown_recruiter"))
        return found

    def _arrived(self, recruiter: Recruiter, query: Mapping[str, str], scope: Scope) -> Arrival | Preview:
        try:
            return recruiter.arrived(query)
        except Refused as error:
            raise self._failed(scope, Refuse(400, "refused", str(error), flag="refused_arrival")) from None

    def _token(self, scope: Scope, status: int = 401) -> str:
        """The token in a request's header; what cannot be one is answered like one that nobody has."""
        found = [value for name, value in scope["headers"] if name == b"authorization"]
        kind, _, token = found[0].decode("latin-1").partition(" ") if len(found) == 1 else ("", "", "")
        if kind.lower() != "bearer" or not TOKEN.fullmatch(token):
            raise self._unknown(scope, status)
        return token

    def _unknown(self, scope: Scope, status: int = 401) -> Refuse:
        if status == 404:
            return self._failed(scope, Refuse(404, "no_such_asset", "No such image.", flag="unknown_token"))
        return self._failed(scope, Refuse(401, "unknown_token", f"{_sentence(UnknownToken())}", flag="unknown_token"))

    async def _body(self, form: type[Body], scope: Scope, receive: Receive, token: str | None = None) -> Body:
        """The body, as what it must be."""
        kind = length = None
        for name, value in scope["headers"]:
            if name == b"content-type":
                kind = value
            elif name == b"content-length":
                length = value
        if kind is None or kind.partition(b";")[0].strip().lower() != b"application/json":
            raise self._failed(scope, Refuse(415, "wrong_type", "Expected application/json.", flag="malformed"), token)
        try:
            raw = await body_of(receive, length)
            parsed = form.model_validate_json(raw)
        except TooLarge:
            raise self._failed(
                scope, Refuse(413, "too_large", "The request is too large.", flag="too_large"), token
            ) from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])[:100] or form.__name__
            raise self._failed(scope, _malformed(where, first["type"]), token) from None
        if b"\\u0000" in raw and _has_nul(parsed.model_dump()):  # no database of text takes it
            raise self._failed(scope, _malformed(form.__name__, "null character"), token)
        return parsed

    # --- waiting for the database ------------------------------------------------------------------------------------

    def _state(self, token: str, scope: Scope) -> SessionState:
        """How a session stands."""
        try:
            return self.crowd.state(token)
        except UnknownToken:
            raise self._unknown(scope) from None

    async def _written(self, promised: Future[T], scope: Scope, token: str | None = None) -> T:
        """What a write came to, after its commit."""
        try:
            return await self._results().result(promised)
        except UnknownToken:
            raise self._unknown(scope) from None
        except NotOpen as error:
            raise Refuse(403 if error.kind in ("paused", "full") else 409, error.kind, _sentence(error)) from None
        except OutOfOrder as error:
            self._flag("out_of_order", str(error), token)
            raise Refuse(409, "out_of_order", _sentence(error), {"held": error.held}) from None
        except Incomplete as error:
            raise Refuse(409, "incomplete", _sentence(error), {"held": error.held}) from None
        except Mismatch as error:
            raise Refuse(422, "mismatch", _sentence(error)) from None
        except Refused as error:
            raise self._failed(scope, Refuse(400, "refused", str(error), flag="refused_arrival")) from None
        except NotStored:
            said = "The answer could not be stored just now; it will be sent again."
            raise Refuse(503, "not_stored", said, wait_s=TRY_AGAIN_S) from None

    def _results(self) -> ThreadResults:
        loop = asyncio.get_running_loop()
        found = self.loops.get(loop)
        if found is None:
            self.loops.clear()  # one server runs at a time; tests run one after the other
            found = self.loops[loop] = ThreadResults(loop)
        return found

    # --- how much ----------------------------------------------------------------------------------------------------

    def _address(self, scope: Scope) -> str:
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if forwarded and not self.gate.unknown_proxy and not is_one(peer, self.trusted):
            self.gate.unknown_proxy = True
            _log.warning("a request came through a proxy that is not believed; name it with --trust-proxy")
        return came_from(peer, forwarded, self.trusted)

    def _slow_down(self, kind: str, scope: Scope) -> None:
        wait_s = self.gate.of_address(kind, self._address(scope))
        if wait_s:
            raise _too_often(wait_s)

    def _slow_down_participant(self, kind: str, token: str) -> None:
        wait_s = self.gate.of_participant(kind, token)
        if wait_s:
            raise _too_often(wait_s)

    def _failed(self, scope: Scope, refusal: Refuse, token: str | None = None) -> Refuse:
        """Flag what should not have been asked; whoever asks too much of it is only told to wait."""
        wait_s = self.gate.of_address("failures", self._address(scope))
        if wait_s:
            return _too_often(wait_s)
        if refusal.flag:
            # what a recruiter says of an arrival may name somebody: raw identifiers stand in `payments` alone
            self._flag(refusal.flag, refusal.kind if refusal.kind == "refused" else refusal.said, token)
        return refusal

    def _flag(self, kind: str, detail: str, token: str | None) -> None:
        """Flag it with its session, where the token is somebody's."""
        session = None
        if token is not None:
            with suppress(UnknownToken):
                session = self.crowd.state(token).session
        self.crowd.flag(kind, detail, session)


Handler = Callable[[Scope, Receive], Awaitable[Reply]]


def _malformed(where: str, what: str) -> Refuse:
    return Refuse(400, "malformed", f"{where}: {what.replace('_', ' ')}.", flag="malformed")


def _too_often(wait_s: float) -> Refuse:
    seconds = retry_after(wait_s)
    return Refuse(429, "too_often", f"Too many requests; please wait {seconds} s.", wait_s=seconds)


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(part) for pair in value.items() for part in pair)
    return isinstance(value, list | tuple) and any(map(_has_nul, value))
