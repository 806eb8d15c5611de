"""Starts the workers of a cluster: processes of this machine, one for each GPU or core, or jobs of SLURM."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from protocols.problems import FoolscanError

if TYPE_CHECKING:
    from distributed.deploy import Cluster

CLOSE_S = 30.0
GPUS = "CUDA_VISIBLE_DEVICES"
SLURM_EXAMPLE = (
    "jobqueue: {slurm: {cores: 4, memory: 16GB, walltime: '04:00:00', job-extra-directives: ['--gres=gpu:1']}}"
)


@contextmanager
def on_this_machine(n: int | None, device: str) -> Iterator[Cluster]:
    """Worker processes of this machine, each with one thread; with GPUs, each has one to itself.

    n      : workers; None: one for each GPU, or without GPUs one for each core.
    device : where networks shall compute.

    Raises FoolscanError for more workers than GPUs, or a device that is not there.
    """
    from distributed import Nanny, Scheduler, SpecCluster

    environments = _environments(n, device)

    class Cluster(SpecCluster):
        """Workers that differ in the GPU they see."""

        def new_worker_spec(self) -> dict[int, dict[str, Any]]:
            """One more worker."""
            number = len(self.worker_spec)
            options = {"nthreads": 1, "memory_limit": 0, "env": environments[number], "silence_logs": "CRITICAL"}
            return {number: {"cls": Nanny, "options": options}}

    options = {"host": "127.0.0.1", "dashboard": True, "dashboard_address": "127.0.0.1:8787"}
    with _ctrl_c_is_not_for_children():
        cluster = Cluster(workers={}, worker={"cls": Nanny}, scheduler={"cls": Scheduler, "options": options})
    try:
        cluster.scale(len(environments))
        yield cluster
    finally:
        cluster.close(CLOSE_S)


@contextmanager
def by_slurm(n_jobs: int) -> Iterator[Cluster]:
    """Jobs of SLURM as Dask's own configuration describes them (``jobqueue.slurm``); one thread for each worker.

    A job that asks for GPUs runs one worker, another one a worker for each of its cores, unless ``processes`` says otherwise.

    Raises FoolscanError where there is no sbatch, no description of jobs, or where sbatch refuses them.
    """
    if shutil.which("sbatch") is None:
        raise FoolscanError(
            "--cluster slurm: found no sbatch on this machine; run this where jobs are submitted, or give the address of a Dask "
            "scheduler (tcp://host:8786)"
        )
    try:
        from dask import config
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise FoolscanError(f"--cluster slurm: {error}; pip install 'foolscan[cluster]'") from error
    described: dict[str, Any] = config.get("jobqueue.slurm")
    lacking = [name for name in ("cores", "memory") if described.get(name) is None]
    if lacking:
        raise _undescribed(f"found no {' and no '.join(lacking)} for a job in Dask's configuration")
    wants_gpu = "gpu" in " ".join(described.get("job-extra-directives") or ())
    processes = described.get("processes") or (1 if wants_gpu else described["cores"])
    arguments = [*(described.get("worker-extra-args") or ()), "--nthreads", "1"]
    try:
        with _ctrl_c_is_not_for_children():
            cluster = SLURMCluster(processes=processes, worker_extra_args=arguments)
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        raise _undescribed(_first_line(error)) from error
    try:
        cluster.scale(jobs=n_jobs)
        yield cluster
    finally:
        cluster.close(CLOSE_S)


def _undescribed(what: str) -> FoolscanError:
    return FoolscanError(
        f"--cluster slurm: {what}; describe a job in ~/.config/dask/jobqueue.yaml, such as\n{SLURM_EXAMPLE}"
    )


def _environments(n: int | None, device: str) -> list[dict[str, str]]:
    """For each worker, what its environment has of its own."""
    from stimuli.networks.network import chosen_device

    kind = chosen_device(device).type
    if kind == "cuda":
        gpus = visible_gpus()
        if n is not None and n > len(gpus):
            raise FoolscanError(
                f"--cluster local:{n}: found {len(gpus)} GPUs; give at most as many workers, or --device cpu"
            )
        return [{GPUS: gpu} for gpu in gpus[:n]]
    return [{}] * (n or (1 if kind == "mps" else cores()))


def visible_gpus() -> list[str]:
    """The GPUs that this process sees, by the names or numbers that `GPUS` takes."""
    import torch

    listed = os.environ.get(GPUS)
    names = [name.strip() for name in listed.split(",")] if listed else []
    return names or [str(number) for number in range(torch.cuda.device_count())]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _ctrl_c_is_not_for_children() -> Iterator[None]:
    """Threads that start within it, and the processes that these start, do not hear Ctrl-C: this process ends them."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # else the first process starts it, and unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
