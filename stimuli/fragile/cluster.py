"""Tiles read by a cluster: Dask's workers on this machine, at an address, or in jobs of SLURM."""

from __future__ import annotations

import logging
import pickle
import queue
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from protocols.problems import FoolscanError
from stimuli.fragile.mapping import Executor, Here, Job
from stimuli.fragile.remote import Readiness, Software, differences, read_sent, readiness, software
from stimuli.fragile.tiles import Answer
from stimuli.fragile.workers import by_slurm, on_this_machine

if TYPE_CHECKING:
    from distributed import Client, Future

ALLOWED = "local, local:N (workers), tcp://host:port (a Dask scheduler), slurm, slurm:N (jobs)"
PROTOCOLS = ("tcp://", "tls://")
AHEAD = 2
"""Tiles for each thread of a worker: one that is read, and one that waits there."""
LOOK_EVERY_S = 2.0
ANSWER_S = 10.0
"""How long a scheduler has for one question."""


@dataclass(frozen=True)
class Patience:
    """How long is waited before a run ends with a message, s.

    connect : for a scheduler to answer at first.
    first   : for the first worker.
    gone    : for another worker when all are gone.
    silent  : for a scheduler that has answered before.
    """

    connect: float = 30.0
    first: float = 120.0
    gone: float = 120.0
    silent: float = 60.0


PATIENCE = {"local": Patience(gone=60.0), "address": Patience(), "slurm": Patience(first=12 * 3600.0, gone=600.0)}


@dataclass(frozen=True)
class Wanted:
    """Which cluster is wanted.

    n : workers ('local') or jobs ('slurm'); None: not said.
    """

    kind: Literal["local", "address", "slurm"]
    text: str
    n: int | None = None


def wanted(cluster: str) -> Wanted:
    """What `--cluster` asks for.

    Raises FoolscanError, with what is allowed, for anything else.
    """
    if cluster.startswith(PROTOCOLS) and len(cluster) > len(PROTOCOLS[0]):
        return Wanted("address", cluster)
    word, colon, number = cluster.partition(":")
    if word in ("local", "slurm") and (not colon or (number.isdecimal() and int(number) > 0)):
        return Wanted("local" if word == "local" else "slurm", cluster, int(number) if colon else None)
    raise FoolscanError(f"--cluster: found {cluster!r}; allowed: {ALLOWED}")


@contextmanager
def executor_of(
    cluster: str | None, device: str, say: Callable[[str], object], patience: Patience | None = None
) -> Iterator[Executor]:
    """Who reads tiles, until the block ends.

    cluster  : None: this process; else see `wanted`.
    device   : where networks shall compute; 'auto': each worker's own GPU where it has one.
    say      : takes lines for people, such as the dashboard's address.
    patience : None: the `PATIENCE` of this kind of cluster.

    Raises FoolscanError for another word, a scheduler that does not answer, no workers in time, workers of other software,
    or of several kinds of device.
    """
    if cluster is None:
        yield Here()
        return
    asked = wanted(cluster)
    if device.startswith("cuda:"):
        raise FoolscanError(
            f"--device {device}: found with --cluster, whose workers have a GPU each; give --device cuda, and name GPUs by "
            "CUDA_VISIBLE_DEVICES"
        )
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise FoolscanError(f"--cluster: {error}; pip install 'foolscan[cluster]'") from error
    waits = patience or PATIENCE[asked.kind]
    with _quiet(), _started(asked, device) as started:
        where = asked.text if isinstance(started, str) else started.scheduler_address
        client = _connected(started, where, waits.connect)
        try:
            say(f"cluster at {where}, dashboard: {client.dashboard_link}")
            asking = Asking(client, where, waits)
            yield OnCluster(asking, asking.ready(device, say))
        finally:
            with suppress(Exception):  # whatever it is, the work is over
                client.close(CLOSE_S)


CLOSE_S = 10.0


@dataclass
class Asking:
    """A scheduler, and how patiently it is asked.

    where : its address, for people.
    """

    client: Client
    where: str
    patience: Patience
    _threads: dict[str, int] = field(default_factory=dict, init=False)
    _looked_s: float = field(default=-1e9, init=False)
    _answered_s: float = field(default_factory=time.monotonic, init=False)
    _manned_s: float = field(default_factory=time.monotonic, init=False)
    _ever_manned: bool = field(default=False, init=False)

    def threads(self) -> dict[str, int]:
        """Threads of each worker, by its address; asked anew every `LOOK_EVERY_S`.

        Raises FoolscanError when the scheduler is silent, or there has been no worker, for too long.
        """
        now = time.monotonic()
        if now - self._looked_s < LOOK_EVERY_S:
            return self._threads
        self._looked_s = now
        scheduler: Any = self.client.scheduler
        try:
            self._threads = dict(self.client.sync(scheduler.ncores, callback_timeout=ANSWER_S))
            self._answered_s = time.monotonic()
        except (OSError, ValueError, RuntimeError) as error:
            if time.monotonic() - self._answered_s > self.patience.silent:
                raise self.lost(f"has not answered for {self.patience.silent:g} s ({_short(error)})") from error
        if self._threads:
            self._manned_s, self._ever_manned = self._answered_s, True
        else:
            self._refuse_unmanned()
        return self._threads

    def lost(self, what: str) -> FoolscanError:
        """What is said when the scheduler is gone."""
        return FoolscanError(
            f"{self.where}: the Dask scheduler {what}; check that it is up, then run the same command again: what was read is kept"
        )

    def ready(self, device: str, say: Callable[[str], object]) -> Readiness:
        """What the workers are, once there are some.

        Raises FoolscanError for workers of other software, or of several kinds of device or models of GPU.
        """
        while not self.threads():
            time.sleep(0.1)
        answers = {worker: future for worker, future in self._probes(device).items() if future.done()}
        kinds: dict[str, tuple[str, Readiness]] = {}
        for worker, future in answers.items():
            found = self._readiness(worker, future)
            kinds[found.kind] = worker, found
        if len(kinds) > 1:
            told = ", ".join(f"{kind} ({worker})" for kind, (worker, _) in kinds.items())
            raise FoolscanError(
                f"{self.where}: found workers that compute on {told}; their bits differ: give --device cpu, or use workers of one kind"
            )
        ((kind, (_, found)),) = kinds.items()
        say(f"{len(self.threads())} workers, which compute on {kind}")
        return found

    def _probes(self, device: str) -> dict[str, Future]:
        probes: dict[str, Future] = {}
        until_s = time.monotonic() + self.patience.first
        while not any(future.done() for future in probes.values()):
            for worker in self.threads().keys() - probes.keys():
                probes[worker] = self.client.submit(
                    readiness, device, workers=[worker], pure=False, priority=100, allow_other_workers=False
                )
            time.sleep(0.05)
            if time.monotonic() > until_s:
                raise FoolscanError(
                    f"{self.where}: {len(probes)} workers are there, and none answered within {self.patience.first:g} s; look at "
                    f"{self.client.dashboard_link}: they may be busy with other work"
                )
        until_s = time.monotonic() + ANSWER_S
        while time.monotonic() < until_s and not all(future.done() for future in probes.values()):
            time.sleep(0.05)
        return probes

    def _readiness(self, worker: str, future: Future) -> Readiness:
        try:
            ready: Readiness = future.result(ANSWER_S)
        except Exception as error:
            raise FoolscanError(
                f"{self.where}: worker {worker} cannot run foolscan ({_short(error)}); install the same foolscan there, and start "
                "the worker anew"
            ) from error
        told = differences(software(), ready.software)
        if told:
            raise FoolscanError(
                f"{self.where}: worker {worker} has other software than this process ({told}); install the same there, and start "
                "the worker anew"
            )
        if ready.device_type is None:
            raise FoolscanError(f"{self.where}: worker {worker}: {ready.lacking}")
        return ready

    def _refuse_unmanned(self) -> None:
        waits = self.patience.gone if self._ever_manned else self.patience.first
        if time.monotonic() - self._manned_s > waits:
            raise FoolscanError(
                f"{self.where}: {'all workers are gone' if self._ever_manned else 'found no worker'}, and none came within "
                f"{waits:g} s; start workers with the same foolscan (dask worker {self.where} --nthreads 1), then run the same "
                "command again: what was read is kept"
            )


class OnCluster:
    """Reads tiles on the workers of a Dask scheduler, which gives the tiles of a worker that dies to others.

    Jobs are taken as workers have room for them. Answers come back to this process, which alone writes.

    asking : the scheduler.
    ready  : what its workers are.
    """

    def __init__(self, asking: Asking, ready: Readiness) -> None:
        self.device_type, self.gpu = ready.device_type, ready.gpu
        self.asking, self._client = asking, asking.client
        self._software: Software = software()

    def run(self, jobs: Iterator[Job]) -> Generator[tuple[Job, Answer], None, None]:
        """Read every job's tile; answers come in the order in which they are ready.

        Raises FoolscanError for a tile that fails on its worker, a silent scheduler, or no workers for too long.
        """
        ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        sent: dict[str, tuple[Future, Job]] = {}
        try:
            while True:
                room = AHEAD * max(1, sum(self.asking.threads().values())) - len(sent)
                for _ in range(room):
                    job = next(jobs, None)
                    if job is None:
                        break
                    future = self._submitted(job, ended)
                    sent[str(future.key)] = future, job
                if not sent:
                    return
                key = self._next(ended)
                future, job = sent[key]
                answer = self._answer(future, job)
                if answer is None:
                    future.add_done_callback(lambda done: ended.put(str(done.key)))
                    continue
                del sent[key], future
                yield job, answer
        finally:
            if sent:
                with suppress(Exception):  # they are of no use any more, whether the scheduler hears of it or not
                    self._client.cancel([future for future, _ in sent.values()], force=True)

    def _submitted(self, job: Job, ended: queue.SimpleQueue[str]) -> Future:
        future = self._client.submit(
            read_sent, pickle.dumps(job.request), self._software, key=f"{job.tile.name}-{uuid4().hex}", pure=False
        )
        future.add_done_callback(lambda done: ended.put(str(done.key)))
        return future

    def _next(self, ended: queue.SimpleQueue[str]) -> str:
        while True:
            try:
                return ended.get(timeout=LOOK_EVERY_S / 4)
            except queue.Empty:
                self.asking.threads()

    def _answer(self, future: Future, job: Job) -> Answer | None:
        """What was read; None when the worker that held it is gone, so that another one reads it again."""
        from distributed import KilledWorker

        if future.status == "pending" or future.status == "lost":
            return None
        try:
            answer = pickle.loads(future.result(ANSWER_S))
        except TimeoutError:
            return None
        except CancelledError as error:
            raise self.asking.lost(f"has given up the tile {job.tile.name} ({_short(error)})") from error
        except KilledWorker as error:
            raise FoolscanError(
                f"tile {job.tile.name}: {error.allowed_failures + 1} workers died while they had it, the last at "
                f"{error.last_worker.address}; look at their logs (out of memory?), then run the same command again: what was "
                "read is kept"
            ) from error
        except Exception as error:
            raise FoolscanError(f"tile {job.tile.name} failed on its worker: {_short(error)}") from error
        if isinstance(answer, str):
            raise FoolscanError(f"tile {job.tile.name} failed on its worker: {answer}")
        return answer  # type: ignore[no-any-return]


def _connected(started: Any, where: str, within_s: float) -> Client:
    """A client of a scheduler. A thread tries it: Dask waits without end for one that takes the call and says nothing."""
    from distributed import Client

    found: queue.SimpleQueue[Client | Exception] = queue.SimpleQueue()

    def connect() -> None:
        try:
            found.put(Client(started, timeout=within_s, set_as_default=False))
        except Exception as error:
            found.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        client = found.get(timeout=within_s + ANSWER_S)
    except queue.Empty:
        client = TimeoutError("it takes calls and says nothing")
    if isinstance(client, Exception):
        raise FoolscanError(
            f"{where}: no Dask scheduler answered within {within_s:g} s ({_short(client)}); check that it is up (dask "
            "scheduler), its address and port, and that no firewall stands between"
        ) from client
    return client


@contextmanager
def _started(asked: Wanted, device: str) -> Iterator[Any]:
    """The address of a scheduler, or a cluster that is started and ends with the block."""
    if asked.kind == "address":
        cluster: Any = nullcontext(asked.text)
    elif asked.kind == "local":
        cluster = on_this_machine(asked.n, device)
    else:
        cluster = by_slurm(asked.n or 1)
    with cluster as started:
        yield started


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it Dask says nothing on the terminal: what matters to people is said by foolscan."""
    names = ["distributed", "tornado", "asyncio", "bokeh"]
    names += [name for name in logging.Logger.manager.loggerDict if name.split(".")[0] in names]
    loggers = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(distributed|dask|contextlib)")
            yield
    finally:
        for logger, level in loggers.items():
            logger.setLevel(level)


def _short(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
