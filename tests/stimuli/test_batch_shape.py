"""The batch shape: chosen once from the memory that is free, kept, and never the cause of a crash."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_image_study import contents, small_study

import stimuli.batch_shape
import stimuli.workshop
from protocols.folder import StudyFolder
from protocols.host_memory import left_in_cgroups
from protocols.problems import FoolscanError
from protocols.study import Study
from stimuli.batch_shape import (
    PREFERRED,
    SHARE,
    BatchShape,
    Torch,
    chosen,
    fitting,
    record_path,
    refuse_what_cannot_be_held,
    settled,
    within_memory,
)
from stimuli.make import make
from stimuli.memory import free_bytes, peak_bytes, ran_out
from stimuli.synthesis.engine import Job, Outcome

GIB = 2**30
CPU = torch.device("cpu")


@dataclass
class Device:
    """A device of any size; `holds` is what a step in earnest shows, whatever the estimate says."""

    bytes_free: int = 64 * GIB
    bytes_an_image: int = GIB
    holds: int = 1024
    tried: list[int] = field(default_factory=list)

    def free(self) -> int:
        return self.bytes_free

    def cost(self) -> int:
        return self.bytes_an_image

    def runs(self, n_images: int) -> bool:
        self.tried.append(n_images)
        return n_images <= self.holds


@given(free=st.integers(0, 2**40), cost=st.integers(0, 2**36), power=st.integers(0, 8))
def test_the_shape_is_the_largest_halving_that_leaves_the_margin(free: int, cost: int, power: int):
    n_images = fitting(free, cost, 2**power)
    assert n_images in {0, *(2**k for k in range(power + 1))}
    assert n_images * cost <= SHARE * free
    if 0 < n_images < 2**power:
        assert 2 * n_images * cost > SHARE * free


def test_nearly_the_same_memory_gives_the_same_shape():
    assert {fitting(free * GIB, GIB, 64) for free in range(43, 85)} == {32}


def test_a_step_that_runs_out_of_memory_halves_again():
    device = Device(holds=9)
    assert chosen(device, "cuda") == 8
    assert device.tried == [32, 16, 8]


def test_too_little_memory_for_one_image_is_said_with_both_numbers():
    with pytest.raises(FoolscanError, match=r"memory of cuda: 1\.0 GiB free.*one image takes about 3\.0 GiB"):
        chosen(Device(bytes_free=GIB, bytes_an_image=3 * GIB), "cuda")
    with pytest.raises(FoolscanError, match=r"stimuli\.size_px"):
        chosen(Device(holds=0), "cpu")


def test_the_shape_is_written_down_and_kept_whatever_is_free_later(tmp_path: Path):
    folder = StudyFolder(tmp_path)
    first = settled(folder, None, 224, "cuda", Device(bytes_free=30 * GIB))
    assert first.sides == (16, 3, 224, 224)
    record = record_path(folder).read_bytes()
    for free in (0, 1000 * GIB):
        later = Device(bytes_free=free)
        assert settled(folder, None, 224, "cuda", later) == first
        assert later.tried == []
    assert record_path(folder).read_bytes() == record


def test_the_study_file_overrides_and_taking_it_back_chooses_anew(tmp_path: Path):
    folder = StudyFolder(tmp_path)
    assert settled(folder, None, 224, "cpu", Device()).n_images == PREFERRED["cpu"]
    assert settled(folder, 3, 224, "cpu", Device(bytes_free=0)) == BatchShape(3, 224, "cpu", "study")
    assert settled(folder, None, 224, "cpu", Device()).n_images == PREFERRED["cpu"]


@pytest.mark.parametrize(("px", "device"), [(128, "cuda"), (224, "cpu")])
def test_other_images_or_another_kind_of_device_have_a_shape_of_their_own(tmp_path: Path, px: int, device: str):
    folder = StudyFolder(tmp_path)
    settled(folder, None, 224, "cuda", Device(bytes_free=3 * GIB))
    assert settled(folder, None, px, device, Device()) == BatchShape(min(32, PREFERRED[device]), px, device, "memory")


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "{}",
        '{"format": 9}',
        '{"format": 1, "n": 8}',
        '{"format": 1, "n_images": "8", "image_px": 1, "device": "cpu", "stated_by": "memory"}',
    ],
)
def test_a_record_that_is_none_is_said_and_not_guessed(tmp_path: Path, content: str):
    folder = StudyFolder(tmp_path)
    record_path(folder).parent.mkdir(parents=True)
    record_path(folder).write_text(content, encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"batch_shape\.json"):
        settled(folder, None, 224, "cpu", Device())


def test_a_kept_shape_that_no_longer_fits_is_refused_with_what_to_do(tmp_path: Path):
    shape, folder = BatchShape(16, 224, "cuda", "memory"), StudyFolder(tmp_path)
    refuse_what_cannot_be_held(shape, folder, Device(bytes_free=16 * GIB))
    with pytest.raises(
        FoolscanError, match=r"16 x 3 x 224 x 224.*16\.0 GiB; 8\.0 GiB are free.*delete .*batch_shape\.json"
    ):
        refuse_what_cannot_be_held(shape, folder, Device(bytes_free=8 * GIB))


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:118] . DefaultCPUAllocator: not enough memory: you tried to allocate"
        ),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: Error code 12"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
def test_every_way_of_running_out_is_known_and_said(tmp_path: Path, error: BaseException):
    assert ran_out(error)
    shape = BatchShape(8, 224, "cpu", "study")
    with pytest.raises(FoolscanError, match=r"8 x 3 x 224 x 224.*finished are kept.*stimuli.batch_size below 8"):
        with within_memory(shape, StudyFolder(tmp_path), CPU):
            raise error


def test_other_errors_pass(tmp_path: Path):
    assert not ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with (
        pytest.raises(RuntimeError, match="shapes"),
        within_memory(BatchShape(8, 9, "cpu", "study"), StudyFolder(tmp_path), CPU),
    ):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_the_peak_is_of_what_is_held_at_once_and_not_of_what_was_there():
    there = torch.zeros(4 * 2**20)

    def work() -> None:
        for _ in range(5):
            doubled = there.view(2, -1) * 2  # 16 MiB, and again 16 MiB before the first is let go
            there[:10].add_(1)
            del doubled

    assert peak_bytes(work, CPU) == pytest.approx(2 * 16 * 2**20, rel=0.01)  # SCRATCH


def test_the_heaviest_way_of_the_study_counts():
    def way(n_values: int) -> Callable[[int], object]:
        return lambda n_images: torch.zeros(n_images, n_values).sum()

    device = Torch(CPU, [way(2**18), way(2**20), way(2**10)])
    assert device.cost() == pytest.approx(2 * 4 * 2**20, rel=0.01)
    assert device.runs(4)
    assert (Torch(CPU, []).cost(), Torch(CPU, []).runs(64)) == (0, True)


def test_a_trial_that_runs_out_says_no_and_another_error_is_not_hidden():
    def full(n_images: int) -> None:
        if n_images > 1:
            raise RuntimeError("DefaultCPUAllocator: not enough memory")

    assert not Torch(CPU, [full]).runs(2)

    def wrong(n_images: int) -> None:
        if n_images > 1:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        Torch(CPU, [wrong]).runs(2)


def test_this_machine_has_memory():
    assert 0 < free_bytes(CPU) < 2**50


NEWER = {"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 1\ninactive_file 50\n"}
OLDER = {"memory.limit_in_bytes": "1000", "memory.usage_in_bytes": "400", "memory.stat": "total_inactive_file 0\n"}


@pytest.mark.parametrize(
    ("table", "where", "files", "left"),
    [
        ("0::/job/step\n", "job", NEWER, [350]),
        ("0::/\n", ".", NEWER | {"memory.max": "max\n"}, []),
        ("3:cpu,cpuacct:/x\n2:memory:/box\n", "memory/box", OLDER, [600]),
        ("0::/\n", ".", {}, []),
    ],
    ids=["limited", "no limit", "version 1", "unreadable"],
)
def test_limits_of_control_groups_count(tmp_path: Path, table: str, where: str, files: dict[str, str], left: list[int]):
    own = tmp_path / "own"
    own.write_text(table, encoding="utf-8")
    for name, content in files.items():
        (tmp_path / where).mkdir(parents=True, exist_ok=True)
        (tmp_path / where / name).write_text(content, encoding="utf-8")
    assert left_in_cgroups(tmp_path, own) == left
    assert left_in_cgroups(tmp_path, tmp_path / "nowhere") == []


def test_resumed_with_less_or_more_memory_the_images_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    study = small_study(tmp_path)
    one_image = Torch(CPU, []).free()

    def free(n_bytes: int) -> None:
        monkeypatch.setattr(stimuli.batch_shape, "free_bytes", lambda _device: n_bytes)

    costs: list[int] = []
    real = stimuli.batch_shape.peak_bytes
    monkeypatch.setattr(
        stimuli.batch_shape, "peak_bytes", lambda work, device: costs.append(real(work, device)) or costs[-1]
    )
    free(one_image)
    whole = make(study, tmp_path / "whole", "cpu").stimuli
    need = max(costs)
    free(4 * need)  # three quarters of it hold two images
    broken_off(study, tmp_path / "less", monkeypatch, after=6)
    shape = json.loads(record_path(StudyFolder(tmp_path / "less")).read_text(encoding="utf-8"))
    assert shape["n_images"] == 2
    free(need)
    with pytest.raises(FoolscanError, match=r"batches of 2 x 3 x 128 x 128"):
        make(study, tmp_path / "less", "cpu")
    free(1000 * need)
    resumed = make(study, tmp_path / "less", "cpu")
    free(4 * need)
    make(study, tmp_path / "same", "cpu")
    assert contents(tmp_path / "less") == contents(tmp_path / "same")
    sidecar = json.loads(resumed.sidecar.read_text(encoding="utf-8"))["foolscan"]["parameters"]
    assert sidecar["batch_shape"] == [2, 3, 128, 128]
    assert [row.success for row in whole] == [row.success for row in resumed.stimuli]  # other bits, the same success


def broken_off(study: Study, to: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    real, written = stimuli.workshop.write_png, []

    def ctrl_c(path: Path, image: object) -> None:
        real(path, image)  # type: ignore[arg-type]
        written.append(path)
        if len(written) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stimuli.workshop, "write_png", ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            make(study, to, "cpu")


def test_out_of_memory_in_mid_work_keeps_what_is_finished_and_the_next_call_goes_on(
    study: Study, finished: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, real = StudyFolder(tmp_path / "to"), stimuli.workshop.synthesise

    def runs_out(method: object, queue: deque[Job], *more: object) -> Iterator[Outcome]:
        for count, outcome in enumerate(real(method, queue, *more)):  # type: ignore[arg-type]
            if count == 2:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            yield outcome

    with monkeypatch.context() as patched:
        patched.setattr(stimuli.workshop, "synthesise", runs_out)
        with pytest.raises(FoolscanError, match=r"ran out in a batch of 8 x 3 x 128 x 128.*run the same command again"):
            make(study, folder, "cpu")
    left = contents(folder.root)
    assert sum(name.startswith("stimuli/AN/") for name in left) == 2
    assert not folder.manifest.exists()
    make(study, folder, "cpu")
    assert contents(folder.root) == contents(finished.root)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's addresses")
def test_on_a_machine_that_is_too_small_for_the_shape_of_the_study_file_the_command_says_so(tmp_path: Path):
    small_study(tmp_path, "batch_size: 1024")
    limited = "import torch, resource, psutil; n = psutil.Process().memory_info().vms + 2**30 + 2**29; "
    limited += "resource.setrlimit(resource.RLIMIT_AS, (n, n)); import foolscan; foolscan.main()"
    command = [sys.executable, "-c", limited, "stimuli", "make", "small.yaml", "--to", "to", "--device", "cpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2, done.stderr
    assert "memory of cpu: ran out in a batch of 1024 x 3 x 128 x 128" in done.stderr
    assert "set stimuli.batch_size below 1024" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "to" / "stimuli" / "RE").glob("*.png"))) == 4
