"""The crowd: everybody's participation, over one database; safe to use from many threads at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, bindparam, insert, select

from experiment.online import database, joining, judging, opening, reservations, tokens
from experiment.online.answer_checks import refuse_mismatch
from experiment.online.holding import Holding, NowHeld, ToHold, last_happening, last_load, prepared
from experiment.online.items import Item, items_of
from experiment.online.joining import Design, Finished
from experiment.online.lists import ShownList, lists_of
from experiment.online.messages import Answers
from experiment.online.recruiters.recruiter import Arrival, Completion
from experiment.online.refusals import Mismatch, UnknownAsset, UnknownToken
from experiment.online.reservations import Tally
from experiment.online.session_state import Held, Joined, SessionState
from experiment.online.tables import flags, trials, workers
from experiment.online.trials import SessionPlan, Trial, plan_session
from experiment.online.writer import Writer, failed, then
from protocols.folder import StudyFolder
from protocols.locks import exclusive
from protocols.study import Study

T = TypeVar("T")
Openness = Literal["open", "paused", "full"]
MOST_KNOWN = 5_000
"""Sessions whose plans are kept in memory."""
MOST_FLAGS = {True: 50, False: 1_000}
"""Flags of one kind that are stored while a server runs: of one session, and of nobody in particular."""
MOST_FLAGS_WAITING = 2_000
EMPTY_AGAIN_MS = 10_000
"""After which the log is tried to be emptied again, where somebody read."""
TOUCH_MS = 10_000
"""A session that was heard more lately than this need not be marked as heard again."""


@dataclass(frozen=True)
class _Known:
    """What never changes of a session."""

    session: str
    recruiter: str
    shown: ShownList
    plan: SessionPlan
    trials: Mapping[int, Trial]
    assets: Mapping[int, str]
    items: Mapping[str, Item]


_ASSETS = select(trials.c.trial, trials.c.asset).where(trials.c.session == bindparam("of"), trials.c.asset.is_not(None))

_RECRUITER = select(workers.c.recruiter).where(workers.c.worker == bindparam("of"))


class Crowd:
    """Everybody's participation in one study's task; opened by `Crowd.open`.

    What writes gives a future, which is resolved once it is on the disk.
    """

    def __init__(
        self,
        study: Study,
        folder: StudyFolder,
        files: opening.TaskFiles,
        design: Design,
        now_ms: Callable[[], int],
        ends: ExitStack,
    ) -> None:
        self.study, self.folder, self.files, self.design = study, folder, files, design
        self._now_ms, self._ends = now_ms, ends
        self._holding = Holding(now_ms, design.lease_ms)
        self._writing = database.connect(files.database)
        self._reading = database.connect_reading(files.database)
        ends.callback(self._reading.dispose)
        ends.callback(self._writing.dispose)
        self._writer: Writer[Any] = Writer(self._writing, forget=self._holding.forget)
        ends.callback(self._writer.close)
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._flagged: dict[tuple[str, str | None], int] = {}
        self._empty_from_ms: int | None = None
        self._lock = threading.Lock()

    @staticmethod
    def open(
        study: Study, folder: StudyFolder, *, now_ms: Callable[[], int], create: bool = True, alone: bool = True
    ) -> Crowd:
        """Open the crowd task of a study, or begin it.

        now_ms : the clock, whole ms since 1970.
        create : whether it is begun where it was not yet.
        alone  : whether this is the server, of which there is one; commands beside it read and write, but hold no answers.

        Raises FoolscanError where the images are lacking, where it is another study's or served already.
        """
        files = opening.files_of(study, folder)
        plan = study.online
        assert plan is not None
        items = tuple(items_of(plan, folder))
        lists = lists_of(plan, items, study.seed)
        if not create and not files.database.exists():
            raise opening.nobody_asked_yet(files)
        with ExitStack() as ends:
            if alone:
                database.refuse_far_away(folder.root if folder.root.exists() else folder.root.parent)
                ends.enter_context(exclusive(files.database, f"the online task {plan.task!r} in {folder.root}"))
            engine, key = opening.open_database(files, study, items, lists, now_ms(), create=create)
            engine.dispose()
            design = Design(plan, items, lists, study.seed, key, plan.lease_minutes * 60_000)
            return Crowd(study, folder, files, design, now_ms, ends.pop_all())

    def close(self) -> None:
        """Write what waits, and let go of the database."""
        self._ends.close()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- a person's way through

    def join(self, recruiter: str, arrival: Arrival, language: str) -> Future[Joined]:
        """Let somebody in; who is under way already goes on, with a new token.

        The future raises NotOpen.
        """
        token = tokens.new_token()
        token_sha256 = tokens.sha256_of_token(token)

        def write(connection: Connection) -> tuple[str, SessionState]:
            session, void = joining.join(connection, self.design, recruiter, arrival, language, token, self._now_ms())
            self._holding.forget(session)
            return void, self._state(connection, token_sha256)

        def done(outcome: tuple[str, SessionState]) -> Joined:
            void, state = outcome
            with self._lock:
                self._known.pop(void, None)
            if self._empty_from_ms is not None and self._now_ms() >= self._empty_from_ms:
                self._empty_log()
            return Joined(token, state)

        return then(self._writer.submit(write), done)

    def state(self, token: str) -> SessionState:
        """A session as it is now; its place is kept from now. Raises UnknownToken."""
        token_sha256 = tokens.sha256_of_token(token)
        with self._reading.connect() as connection:
            found = self._state(connection, token_sha256)
            heard_ms = int(joining.session_of(connection, token_sha256)["heard_ms"])
        if found.state == "active" and self._now_ms() - heard_ms > TOUCH_MS:
            self._writer.add(self._holding.touch, found.session)
        return found

    def asset(self, token: str, asset: str) -> Item:
        """The image that an asset id of a session stands for. Raises UnknownToken, UnknownAsset."""
        known = self._know(tokens.sha256_of_token(token))
        if asset not in known.items:
            raise UnknownAsset
        return known.items[asset]

    def hold(self, token: str, sent: Answers) -> Future[Held]:
        """Store answers and happenings.

        The future raises UnknownToken, Mismatch, OutOfOrder, NotOpen where the session was withdrawn; NotStored where the disk
        fails.
        """
        token_sha256 = tokens.sha256_of_token(token)
        try:
            known = self._know(token_sha256)
        except UnknownToken as refusal:
            return failed(refusal)
        questions = self.design.plan.questions
        try:
            for answer in sent.answers:
                refuse_mismatch(answer, known.trials, known.plan, questions)
        except Mismatch as refusal:
            return self._flagged_then(refusal, "mismatch", str(refusal), known.session)
        answers = tuple(prepared(answer) for answer in sent.answers)
        wanted = ToHold(known.session, token_sha256, answers, tuple(sent.happenings))

        def done(now: NowHeld) -> Held:
            feedback: dict[int, Literal["right", "wrong"]] = {}
            for answer in sent.answers:
                trial = known.trials[answer.trial]
                if trial.kind == "practice" and answer.trial not in now.conflicting:
                    right = judging.is_right(questions[0], trial.item, answer.given[0])
                    if right is not None:
                        feedback[answer.trial] = "right" if right else "wrong"
            return Held(now.held, feedback)

        return then(self._writer.add(self._holding.hold, wanted), done)

    def withdraw(self, token: str, erase: bool) -> Future[None]:
        """End a session whose person takes part no longer. The future raises UnknownToken.

        erase : whether what was answered is taken back, too.
        """
        token_sha256 = tokens.sha256_of_token(token)

        def write(connection: Connection) -> bool:
            row = joining.session_of(connection, token_sha256)
            joining.withdraw(connection, row["session"], erase, "withdrawn", self._now_ms())
            self._holding.forget(row["session"])
            return erase and row["state"] != "erased"  # asked again and again, it keeps nobody else waiting

        def done(erased: bool) -> None:
            if erased:
                self._empty_log()

        return then(self._writer.submit(write), done)

    def finish(self, token: str, comment: str, completion_of: Callable[[str], Completion]) -> Future[Finished]:
        """End a session of which every trial is held; again: the same completion.

        completion_of : from a new code to how the recruiter ends it; what it raises ends nothing.

        The future raises UnknownToken, NotOpen where it was withdrawn, Incomplete.
        """
        token_sha256 = tokens.sha256_of_token(token)
        try:
            known = self._know(token_sha256)
        except UnknownToken as refusal:
            return failed(refusal)

        def write(connection: Connection) -> Finished:
            self._holding.forget(known.session)
            now_ms = self._now_ms()
            return joining.finish(connection, self.design, known.plan, token_sha256, comment, completion_of, now_ms)

        return self._writer.submit(write)

    # --- the operator's view

    def flag(self, kind: str, detail: str, session: str | None = None) -> None:
        """Have something marked for the operator; of many that are alike only the first are stored."""
        self._flag(kind, detail, session)

    def pause(self, paused: bool) -> Future[None]:
        """Let nobody new join, or let them again; who is under way goes on."""
        return self._writer.submit(
            lambda connection: opening.set_fact(connection, "paused", "true" if paused else "false")
        )

    @property
    def paused(self) -> bool:
        """Whether nobody new may join."""
        return self.read(joining.is_paused)

    def openness(self) -> Openness:
        """Whether somebody new may join now."""

        def look(connection: Connection) -> Openness:
            if joining.is_paused(connection):
                return "paused"
            tallied = reservations.tallies(connection, self.design.lists, self._now_ms())
            return "open" if reservations.free_lists(self.design.lists, tallied) else "full"

        return self.read(look)

    def counts(self) -> dict[str, Tally]:
        """How many sessions of each list are in which state, in the lists' order."""
        return self.read(lambda connection: reservations.tallies(connection, self.design.lists, self._now_ms()))

    def read(self, look: Callable[[Connection], T]) -> T:
        """Whatever else is read, all of one moment."""
        with self._reading.connect() as connection:
            return look(connection)

    def write(self, change: Callable[[Connection], T]) -> Future[T]:
        """Whatever else is written, in one transaction; what it raises takes it back."""

        def write(connection: Connection) -> T:
            self._holding.forget()
            return change(connection)

        return self._writer.submit(write)

    # --- what is behind them

    def _state(self, connection: Connection, token_sha256: str) -> SessionState:
        row = joining.session_of(connection, token_sha256)
        known = self._know(token_sha256, connection)
        return SessionState(
            session=known.session,
            recruiter=known.recruiter,
            list_id=known.shown.list_id,
            condition=known.shown.condition,
            language=row["language"],
            state=row["state"],
            held=row["n_held"],
            plan=known.plan,
            assets=known.assets,
            happenings=last_happening(connection, known.session),
            loads=last_load(connection, known.session),
        )

    def _know(self, token_sha256: str, connection: Connection | None = None) -> _Known:
        with self._lock:
            known = self._known.get(token_sha256)
            if known is not None:
                self._known.move_to_end(token_sha256)
                return known
        if connection is None:
            with self._reading.connect() as opened:
                known = self._looked_up(opened, token_sha256)
        else:
            known = self._looked_up(connection, token_sha256)
        with self._lock:
            self._known[token_sha256] = known
            while len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
        return known

    def _looked_up(self, connection: Connection, token_sha256: str) -> _Known:
        row = joining.session_of(connection, token_sha256)
        shown = self.design.list_of(row["list_id"])
        plan = plan_session(self.design.plan, shown, self.design.items, row["seed"])
        numbered = {trial.number: trial for trial in plan.trials}
        assets = {found.trial: found.asset for found in connection.execute(_ASSETS, {"of": row["session"]})}
        items = {asset: item for number, asset in assets.items() if (item := numbered[number].item)}
        recruiter = connection.execute(_RECRUITER, {"of": row["worker"]}).scalar_one()
        return _Known(row["session"], recruiter, shown, plan, numbered, assets, items)

    def _empty_log(self) -> None:
        """Take what was erased out of the log, too; while somebody reads, that waits for the next to join, or the server's end."""
        self._empty_from_ms = self._now_ms() + EMPTY_AGAIN_MS
        with suppress(Exception):
            if database.empty_log(self._writing):
                self._empty_from_ms = None

    def _flag(self, kind: str, detail: str, session: str | None) -> Future[None] | None:
        with self._lock:
            number = self._flagged.get((kind, session), 0)
            if number >= MOST_FLAGS[session is not None] or self._writer.waiting > MOST_FLAGS_WAITING:
                return None
            if len(self._flagged) > MOST_KNOWN * 10:
                self._flagged.clear()
            self._flagged[kind, session] = number + 1
        row = {"session": session, "kind": kind[:48], "detail": detail[:2000], "at_ms": self._now_ms()}
        return self._writer.add(_flag_all, row)

    def _flagged_then(self, refusal: Exception, kind: str, detail: str, session: str | None) -> Future[Any]:
        """A refusal that comes once its flag is stored, or could not be."""
        stored = self._flag(kind, detail, session)
        if stored is None:
            return failed(refusal)
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        stored.add_done_callback(lambda _: future.set_exception(refusal))
        return future


def _flag_all(connection: Connection, rows: Any) -> list[None]:
    connection.execute(insert(flags), [*rows])
    return [None for _ in rows]
