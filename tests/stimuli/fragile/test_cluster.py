"""Tiles read by a cluster: the same bytes whoever reads, whoever dies; and an end with a message where none can read."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from PIL import Image
from small_image_study import contents

from protocols.problems import FoolscanError
from protocols.study import Study, load_study
from stimuli.fragile import cluster
from stimuli.fragile.cluster import AHEAD, PATIENCE, Asking, OnCluster, Patience, executor_of, wanted
from stimuli.fragile.mapping import Job, Told
from stimuli.fragile.remote import Readiness, differences, read_sent, software
from stimuli.fragile.run import fragile
from stimuli.fragile.tiles import Answer, Looking, NetworkAt, Request, read_tile
from stimuli.fragile.windows import Grid
from stimuli.fragile.work import Piece, by_column
from stimuli.networks import load_network

distributed = pytest.importorskip("distributed")

N_WORKERS = 2
N_WINDOWS = 300
HASTY = Patience(connect=2.0, first=2.0, gone=2.0, silent=5.0)

STUDY = """format: 1
extends: srivastava2019
name: three-pictures
title: three small pictures
fragile:
  pictures: {kind: folder, folder: pictures}
  per_supercategory: 1
  networks: [{name: picturenet}]
  proportions: []
  sides_px: [43]
  batch_size: 8
"""
SIZE_PX = 48
CHUNK = 4
N_TILES = 24


@pytest.fixture(scope="module")
def study_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of three pictures of 48 pixels with 100 windows each: 36 of side 43, and 64 of side 41."""
    from stimuli.picturebook.book import ANIMALS, OBJECTS, render

    folder = tmp_path_factory.mktemp("three-pictures")
    (folder / "pictures").mkdir()
    known = [category for drawings in {**ANIMALS, **OBJECTS}.values() for category in drawings]
    rows = ["file\tcategory\tsupercategory\tanimal\tnetwork_class"]
    for number, category in enumerate(known[::15][:3]):
        name = f"picture{number}.png"
        Image.fromarray(render(category, "test", 0, SIZE_PX)).save(folder / "pictures" / name)
        rows.append(f"{name}\t{category}\tgroup{number}\tno\t{category}")
    (folder / "pictures" / "labels.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    return folder / "study.yaml"


@pytest.fixture(scope="module")
def three_pictures(study_file: Path) -> Study:
    return load_study(study_file)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of so few cells that small maps have many."""
    monkeypatch.setattr("stimuli.fragile.store.CHUNK", CHUNK)


@pytest.fixture(scope="module")
def plain(three_pictures: Study, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every file's hash of the study's folder as one process writes it, with small chunks."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("stimuli.fragile.store.CHUNK", CHUNK)
        return mapped(three_pictures, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def two_workers() -> Iterator[OnCluster]:
    """Two real worker processes of this machine."""
    with executor_of(f"local:{N_WORKERS}", "cpu", print) as executor:
        assert isinstance(executor, OnCluster)
        yield executor


def mapped(study: Study, folder: Path, **options: Any) -> dict[str, str]:
    fragile(study, folder, "cpu", full=True, **options)
    return contents(folder)


@contextmanager
def dask_here(n_workers: int) -> Iterator[Any]:
    """A scheduler and workers that are threads of this process."""
    with distributed.LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address=None,
    ) as started:
        yield started


def test_words_that_mean_no_cluster_are_told_with_those_that_do():
    assert (wanted("local").n, wanted("local:3").n, wanted("slurm:8").n) == (None, 3, 8)
    assert wanted("tcp://gpu1:8786").kind == wanted("tls://gpu1:8786").kind == "address"
    for word in ("", "remote", "local:", "local:0", "local:two", "slurm:-1", "tcp://", "gpu1:8786"):
        with pytest.raises(FoolscanError, match="allowed: local, local:N"):
            wanted(word)


def test_workers_tile_sizes_and_one_process_end_with_the_same_bytes(
    two_workers: OnCluster, three_pictures: Study, plain: dict[str, str], tmp_path: Path
):
    assert mapped(three_pictures, tmp_path / "cluster", executor=two_workers) == plain
    assert mapped(three_pictures, tmp_path / "larger", executor=two_workers, chunks_a_tile=3) == plain


def test_a_worker_that_is_killed_in_mid_map_loses_no_tile(
    two_workers: OnCluster, three_pictures: Study, plain: dict[str, str], tmp_path: Path
):
    pids = two_workers.asking.client.run(os.getpid)
    victim, told = psutil.Process(next(iter(pids.values()))), []

    def tell(_network: str, latest: Told) -> None:
        told.append(latest)
        if len(told) == 3:
            victim.kill()

    assert mapped(three_pictures, tmp_path / "killed", executor=two_workers, told=tell) == plain
    assert not victim.is_running()
    assert told[-1].done == told[-1].total == N_WINDOWS


def test_interrupted_in_mid_map_another_process_goes_on_to_the_same_bytes(
    two_workers: OnCluster, three_pictures: Study, plain: dict[str, str], tmp_path: Path
):
    def stop(_network: str, latest: Told) -> None:
        if latest.done > N_WINDOWS / 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mapped(three_pictures, tmp_path / "to", executor=two_workers, told=stop)
    found: list[int] = []
    assert mapped(three_pictures, tmp_path / "to", told=lambda _, latest: found.append(latest.found)) == plain
    assert 0 < found[-1] < N_WINDOWS


def test_jobs_are_taken_as_workers_have_room(
    two_workers: OnCluster, three_pictures: Study, plain: dict[str, str], tmp_path
):
    counted = Counted(two_workers)
    assert mapped(three_pictures, tmp_path / "lazy", executor=counted) == plain
    assert counted.taken == N_TILES
    assert counted.most_ahead <= AHEAD * N_WORKERS


class Counted:
    """Counts the jobs that an executor takes before it gives their answers."""

    def __init__(self, executor: OnCluster) -> None:
        self.executor, self.device_type, self.gpu = executor, executor.device_type, executor.gpu
        self.taken = self.given = self.most_ahead = 0

    def run(self, jobs: Iterator[Job]) -> Generator[tuple[Job, Answer], None, None]:
        for found in self.executor.run(self.counted(jobs)):
            self.given += 1
            yield found

    def counted(self, jobs: Iterator[Job]) -> Iterator[Job]:
        for job in jobs:
            self.taken += 1
            self.most_ahead = max(self.most_ahead, self.taken - self.given)
            yield job


class Changed:
    """An executor whose requests are changed on their way."""

    def __init__(self, executor: OnCluster, change: Callable[[Request], Request]) -> None:
        self.executor, self.change = executor, change
        self.device_type, self.gpu = executor.device_type, executor.gpu

    def run(self, jobs: Iterator[Job]) -> Generator[tuple[Job, Answer], None, None]:
        return self.executor.run(replace(job, request=self.change(job.request)) for job in jobs)


def with_other_weights(request: Request) -> Request:
    return replace(request, network=replace(request.network, sha256="0" * 64))


def with_a_mistake(request: Request) -> Request:
    return replace(request, true="cat")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_other_weights, ".*expected 000000000000; put the same file there"),
        (with_a_mistake, "TypeError"),
    ],
)
def test_a_tile_that_fails_ends_the_run_with_its_message(
    two_workers: OnCluster, three_pictures: Study, tmp_path: Path, change: Callable[[Request], Request], said: str
):
    with pytest.raises(FoolscanError, match=f"tile picture0/side-0043/.* failed on its worker: {said}"):
        mapped(three_pictures, tmp_path, executor=Changed(two_workers, change))
    assert mapped(three_pictures, tmp_path / "next", executor=two_workers)  # the workers are as good as before


def test_workers_of_other_software_are_refused(two_workers: OnCluster, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "software", lambda: {**software(), "source": "f" * 64})
    found = software()["source"][:12]
    with pytest.raises(FoolscanError, match=f"source: found {found}, expected ffffffffffff"):
        with executor_of(two_workers.asking.where, "cpu", print):
            pass
    assert b"source: found" in read_sent(b"", {**software(), "source": "f" * 64})


def test_software_differs_by_name_and_version():
    assert differences({"torch": "2.3", "numpy": "2"}, {"torch": "2.4"}) == (
        "torch: found 2.4, expected 2.3; numpy: found nothing, expected 2"
    )
    assert differences(software(), software()) == ""


def test_a_scheduler_at_an_address_reads_too(two_workers: OnCluster, three_pictures: Study, plain, tmp_path: Path):
    said: list[str] = []
    with executor_of(two_workers.asking.where, "auto", said.append) as executor:
        assert mapped(three_pictures, tmp_path / "address", executor=executor) == plain
    assert said[0].startswith(f"cluster at {two_workers.asking.where}, dashboard: http://127.0.0.1:")
    assert said[1].startswith(f"{N_WORKERS} workers")


def test_a_scheduler_that_is_not_there_or_says_nothing_is_an_error_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        refuse_in_time(where)
    refuse_in_time(where)
    refuse_in_time("tcp://no-such-machine.invalid:8786")


def refuse_in_time(where: str) -> None:
    begun = time.monotonic()
    with pytest.raises(FoolscanError, match=f"{where}: no Dask scheduler answered within 2 s.*check that it is up"):
        with executor_of(where, "cpu", print, HASTY):
            pass
    assert time.monotonic() - begun < 30


def test_no_worker_in_time_is_an_error():
    with dask_here(0) as empty, pytest.raises(FoolscanError, match="found no worker, and none came within 2 s"):
        with executor_of(empty.scheduler_address, "cpu", print, HASTY):
            pass


def test_workers_that_all_go_are_an_error_and_what_was_read_is_kept(
    three_pictures: Study, plain: dict[str, str], tmp_path: Path
):
    with dask_here(1) as leaving:

        def tell(_network: str, latest: Told) -> None:
            if latest.done:
                leaving.scale(0)

        with executor_of(leaving.scheduler_address, "cpu", print, HASTY) as executor:
            with pytest.raises(FoolscanError, match="all workers are gone, and none came within 2 s"):
                mapped(three_pictures, tmp_path / "to", executor=executor, told=tell)
    assert mapped(three_pictures, tmp_path / "to") == plain


def test_a_scheduler_that_goes_in_mid_map_is_an_error(three_pictures: Study, tmp_path: Path):
    with dask_here(1) as leaving:

        def tell(_network: str, latest: Told) -> None:
            if latest.done:
                leaving.close()

        with executor_of(leaving.scheduler_address, "cpu", print, HASTY) as executor:
            with pytest.raises(FoolscanError, match=r"the Dask scheduler has .*run the same command again"):
                mapped(three_pictures, tmp_path, executor=executor, told=tell)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C goes to a group of processes")
def test_ctrl_c_ends_cleanly_and_the_next_call_goes_on(
    three_pictures: Study, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    command = [sys.executable, "-m", "foolscan", "stimuli", "fragile", str(study_file), "--to", str(tmp_path / "to")]
    command += ["--full", "--device", "cpu", "--cluster", "local:1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        chunks = tmp_path / "to" / "derivatives"
        deadline = time.monotonic() + 120
        while not any(chunks.rglob("c/0/0/0")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted. Run the same command again to go on." in said
    assert "Traceback" not in said
    assert "distributed" not in said
    monkeypatch.setattr("stimuli.fragile.store.CHUNK", 64)  # as in that process
    found: list[int] = []
    resumed = mapped(three_pictures, tmp_path / "to", told=lambda _, latest: found.append(latest.found))
    assert resumed == mapped(three_pictures, tmp_path / "plain")
    assert 0 < found[-1] < N_WINDOWS


SBATCH = """#!/bin/sh
# what SLURM does, in the background
for script; do :; done
cp "$script" {folder}/job.sh
setsid bash {folder}/job.sh >{folder}/job.log 2>&1 &
echo $! >{folder}/pid
echo "Submitted batch job $!"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="SLURM's stand-in needs setsid")
def test_jobs_of_slurm_read_too(
    three_pictures: Study, plain: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dask_jobqueue = pytest.importorskip("dask_jobqueue")
    assert dask_jobqueue
    from dask import config

    scripts = tmp_path / "slurm"
    scripts.mkdir()
    (scripts / "sbatch").write_text(SBATCH.format(folder=scripts))
    (scripts / "scancel").write_text("#!/bin/sh\nkill -TERM -- -$1\n")
    for script in scripts.iterdir():
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{scripts}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(FoolscanError, match=r"found no cores and no memory.*describe a job in ~/\.config"):
        with executor_of("slurm", "cpu", print):
            pass
    described = {"cores": 1, "memory": "2GB", "job-extra-directives": ["--gres=gpu:1"], "interface": "lo"}
    with config.set({f"jobqueue.slurm.{name}": value for name, value in described.items()}):
        with executor_of("slurm", "cpu", print, Patience(first=120.0)) as executor:
            assert mapped(three_pictures, tmp_path / "jobs", executor=executor) == plain
    job = (scripts / "job.sh").read_text()
    assert "#SBATCH --gres=gpu:1" in job
    assert "--nthreads 1" in job
    assert wait_until(lambda: not psutil.pid_exists(int((scripts / "pid").read_text())))  # scancel was called


def wait_until(true: Callable[[], bool], for_s: float = 20.0) -> bool:
    deadline = time.monotonic() + for_s
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def test_without_sbatch_there_is_no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FoolscanError, match="found no sbatch on this machine"):
        with executor_of("slurm:2", "cpu", print):
            pass


def test_a_numbered_gpu_is_refused_where_workers_have_one_each():
    with pytest.raises(FoolscanError, match="name GPUs by CUDA_VISIBLE_DEVICES"):
        with executor_of("local", "cuda:1", print):
            pass


@pytest.mark.parametrize(("name", "weights"), [("picturenet", None), ("alexnet", "random")])
def test_the_bits_do_not_depend_on_how_many_threads_torch_has(name: str, weights: str | None):
    network = load_network(name, weights, "cpu")
    picture = torch.randint(0, 256, (48, 48, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8).numpy()
    request = Request(
        "tile",
        NetworkAt(name, weights, 0, network.weights_sha256, "cpu"),
        Looking("resized", "pil_bilinear", "fp32", batch_size=5, top_k=1),
        picture,
        3,
        (Piece(43, by_column(Grid(48, 48, 43).rows(0, 2))),),
    )
    before = torch.get_num_threads()
    try:
        read = []
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            read.append(read_tile(request).readings[0].tobytes())
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert len(set(read)) == 1


@dataclass
class Answered:
    """A worker's answer that is there."""

    ready: Readiness

    def done(self) -> bool:
        return True

    def result(self, _within_s: float) -> Readiness:
        return self.ready


def test_workers_with_gpus_of_several_models_are_refused(monkeypatch: pytest.MonkeyPatch):
    gpus = {"tcp://a": "NVIDIA A100", "tcp://b": "NVIDIA H200"}
    monkeypatch.setattr(Asking, "threads", lambda _: dict.fromkeys(gpus, 1))
    answers = {worker: Answered(Readiness(software(), "cuda", gpu=gpu)) for worker, gpu in gpus.items()}
    monkeypatch.setattr(Asking, "_probes", lambda *_: answers)
    asking = Asking(None, "tcp://s", PATIENCE["local"])  # type: ignore[arg-type]
    with pytest.raises(
        FoolscanError, match=r"cuda \(NVIDIA A100\) \(tcp://a\), cuda \(NVIDIA H200\) \(tcp://b\); their bits"
    ):
        asking.ready("cuda", print)
    del answers["tcp://a"]
    assert asking.ready("cuda", print).gpu == "NVIDIA H200"
