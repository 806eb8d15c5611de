"""The store of readings: cut off anywhere it goes on, redoes nothing that is done, and ends with the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from small_image_study import contents
from tiny_fragile import CountingNetwork, fragile_study, tiny_network, write_pictures

from protocols.folder import StudyFolder, open_folder
from protocols.problems import FoolscanError
from protocols.study import Study
from stimuli.fragile import run, store
from stimuli.fragile.crops import cutter
from stimuli.fragile.mapping import Here
from stimuli.fragile.reading import Reader
from stimuli.fragile.run import fragile
from stimuli.fragile.store import PARTIAL, open_store
from stimuli.fragile.windows import Grid

FULL = {"device": "cpu", "full": True}


@pytest.fixture
def mapped(two_pictures: Study, small_chunks: int, tmp_path: Path) -> dict[str, str]:
    """Every file of the study's folder, mapped in one go."""
    fragile(two_pictures, tmp_path / "whole", **FULL)
    return contents(tmp_path / "whole")


def passes_of(network: CountingNetwork, study: Study, folder: Path, **options: object) -> int:
    before = network.passes
    fragile(study, folder, **{**FULL, **options})  # type: ignore[arg-type]
    return network.passes - before


def store_of(folder: Path) -> Path:
    return StudyFolder(folder).fragile("picturenet")


@pytest.mark.parametrize("options", [{"full": True}, {"full": False, "sample": 30}])
def test_interrupted_at_any_pass_it_goes_on_with_what_is_lacking_to_the_same_bytes(
    network: CountingNetwork, two_pictures: Study, small_chunks: int, tmp_path: Path, options: dict
):
    whole = passes_of(network, two_pictures, tmp_path / "whole", **options)
    a_tile = -(-(9 + 9) * 16 // 8) + 2 if "sample" in options else small_chunks**2 // 8
    for stops_after in (0, 1, whole // 2, whole - 1):
        folder, begun = tmp_path / f"at-{stops_after}", network.passes
        network.stops_at = begun + stops_after
        with pytest.raises(KeyboardInterrupt):
            fragile(two_pictures, folder, **{**FULL, **options})
        network.stops_at = None
        done = network.passes - begun
        assert done + passes_of(network, two_pictures, folder, **options) <= whole + a_tile + 1
        assert contents(folder) == contents(tmp_path / "whole")
    assert passes_of(network, two_pictures, tmp_path / "whole", **options) == 0


@pytest.mark.parametrize("precision", ["fp32", "bf16_checked"])
def test_the_same_bytes_however_the_work_is_cut(
    network: CountingNetwork, small_chunks: int, tmp_path: Path, precision: str
):
    write_pictures(tmp_path / "pictures", [(20, 26), (24, 18)])
    study = fragile_study(tmp_path, f"proportions: [0.3, 0.6], precision: {precision}")
    for sample in (None, 40):
        found = []
        for chunks_a_tile in (1, 3, 1000):
            folder = tmp_path / f"{sample}-{chunks_a_tile}"
            fragile(study, folder, "cpu", full=sample is None, sample=sample, chunks_a_tile=chunks_a_tile)
            found.append(contents(folder))
        assert found[0] == found[1] == found[2]


KILLED = """
import sys
from pathlib import Path
from tiny_fragile import fragile_study, tiny_network
from stimuli.fragile import run, store, tiles
tiny = tiny_network()
run.network_of, tiles.loaded, store.CHUNK, store.CHUNK_CELLS = lambda *_: tiny, lambda _: tiny, 4, 16
run.fragile(fragile_study(Path(".")), Path("to"), "cpu", full=True, told=lambda _, told: print(told.done, flush=True))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("lines", [1, 20])
def test_killed_without_warning_it_goes_on_to_the_same_bytes(
    network: CountingNetwork,
    two_pictures: Study,
    mapped: dict[str, str],
    project_root: Path,
    tmp_path: Path,
    lines: int,
):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(project_root), str(project_root / "tests")])}
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(lines):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    whole = network.passes
    assert passes_of(network, two_pictures, tmp_path / "to") <= whole - (lines - 1)
    assert contents(tmp_path / "to") == mapped


def test_what_a_killed_process_left_half_written_is_removed(
    two_pictures: Study, mapped: dict[str, str], tmp_path: Path
):
    left = store_of(tmp_path / "whole") / "p0" / "side-0007" / "c" / "0" / "0" / "0.1234.partial"
    assert left.match(PARTIAL)
    left.write_bytes(b"half")
    fragile(two_pictures, tmp_path / "whole", **FULL)
    assert contents(tmp_path / "whole") == mapped


@pytest.mark.parametrize("leaves", [(), ("zarr.1234.partial",)])
def test_killed_before_the_store_was_made_it_is_made(
    two_pictures: Study, mapped: dict[str, str], tmp_path: Path, leaves: tuple[str, ...]
):
    open_folder(tmp_path / "to", two_pictures.title)
    store_of(tmp_path / "to").mkdir(parents=True)
    for name in leaves:
        (store_of(tmp_path / "to") / name).write_bytes(b"{")
    fragile(two_pictures, tmp_path / "to", **FULL)
    assert contents(tmp_path / "to") == mapped


@pytest.mark.parametrize("harm", ["cut short", "a bit", "gone"])
def test_a_damaged_chunk_is_read_again_and_nothing_else(
    network: CountingNetwork, two_pictures: Study, mapped: dict[str, str], tmp_path: Path, harm: str
):
    chunk = store_of(tmp_path / "whole") / "p1" / "side-0005" / "c" / "1" / "2" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 4
    if harm == "gone":
        chunk.unlink()
    else:
        chunk.write_bytes(content[:20] if harm == "cut short" else content)
    assert passes_of(network, two_pictures, tmp_path / "whole") == 2
    assert contents(tmp_path / "whole") == mapped


def test_an_array_can_be_read_with_zarr_alone_and_holds_what_the_network_makes_of_windows(
    network: CountingNetwork, two_pictures: Study, tmp_path: Path
):
    fragile(two_pictures, tmp_path / "to", **FULL)
    group = zarr.open_group(store_of(tmp_path / "to"), mode="r")
    assert (group.attrs["format"], group.attrs["channels"]) == (1, ["rank", "confidence", "label"])
    readings = np.asarray(group["p0/side-0013"])
    assert (readings.shape, readings.dtype) == ((8, 14, 3), np.float32)
    from stimuli.own_pictures import read_own

    pixels = read_own(tmp_path / "pictures" / "p0.png").pixels
    places = Grid(20, 26, 13).rows(0, 8)
    wanted = Reader(network, 0, 8)(cutter(pixels, 13, network.input_px, torch.device("cpu")), places)
    assert np.array_equal(readings.reshape(-1, 3), wanted)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"crops": "centred"}, r"crops: found resized, expected centred; filter: found pil_bilinear, expected none"),
        ({"filter": "torch_bilinear"}, r"filter: found pil_bilinear, expected torch_bilinear\."),
        ({"batch_size": 4}, r"batch_size: found 8, expected 4\."),
        (
            {"precision": "bf16_checked"},
            r"precision: found fp32, expected bf16_checked; top_k: found nothing, expected 1",
        ),
    ],
)
def test_other_parameters_are_refused_with_the_difference(
    two_pictures: Study, tmp_path: Path, change: dict[str, object], told: str
):
    fragile(two_pictures, tmp_path / "to", **FULL)
    before = contents(tmp_path / "to")
    other = two_pictures.model_copy(update={"fragile": run.plan_of(two_pictures).model_copy(update=change)})
    with pytest.raises(FoolscanError, match=f"holds readings of other parameters. {told}.*Map into another folder"):
        fragile(other, tmp_path / "to", **FULL)
    assert contents(tmp_path / "to") == before


def test_other_weights_are_refused(two_pictures: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fragile(two_pictures, tmp_path / "to", **FULL)
    monkeypatch.setattr(run, "network_of", lambda *_: tiny_network(sha256="8" * 64))
    with pytest.raises(FoolscanError, match=r"network_sha256: found 7777.*, expected 8888"):
        fragile(two_pictures, tmp_path / "to", **FULL)


def test_other_proportions_and_another_top_k_go_on_with_the_same_store(
    network: CountingNetwork, two_pictures: Study, tmp_path: Path
):
    fragile(two_pictures, tmp_path / "to", **FULL)
    plan = run.plan_of(two_pictures)
    other = two_pictures.model_copy(update={"fragile": plan.model_copy(update={"top_k": 3})})
    assert passes_of(network, other, tmp_path / "to") == 0
    more = two_pictures.model_copy(update={"fragile": plan.model_copy(update={"proportions": (0.6, 0.8)})})
    assert passes_of(network, more, tmp_path / "to") > 0


@pytest.mark.parametrize(
    ("changed", "value", "told"),
    [
        ("versions", lambda _: {"torch": "1.0"}, "torch: found 1.0, expected"),
        ("gpu_name", lambda _: "NVIDIA A100", "gpu: found NVIDIA A100, expected nothing"),
    ],
)
def test_what_was_read_with_something_else_is_counted_and_nothing_is_added(
    network: CountingNetwork,
    two_pictures: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: str,
    value: Callable[[object], object],
    told: str,
):
    with monkeypatch.context() as patched:
        patched.setattr(run, changed, value)
        fragile(two_pictures, tmp_path / "to", **FULL)
    assert passes_of(network, two_pictures, tmp_path / "to") == 0
    plan = run.plan_of(two_pictures).model_copy(update={"proportions": (0.3, 0.8)})
    with pytest.raises(FoolscanError, match=f"was read with something else .*{told}.*To read more, install"):
        fragile(two_pictures.model_copy(update={"fragile": plan}), tmp_path / "to", **FULL)


class Elsewhere(Here):
    """Reads here, and says that it is a worker with a GPU."""

    device_type, gpu = "cuda", "NVIDIA H200"


def test_a_store_is_of_its_workers_model_of_gpu(two_pictures: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fragile(two_pictures, tmp_path / "to", executor=Elsewhere(), sample=20)
    attributes = attributes_of(tmp_path / "to")
    assert (attributes["device"], attributes["gpu"]) == ("cuda", "NVIDIA H200")
    monkeypatch.setattr(Elsewhere, "gpu", "NVIDIA A100")
    with pytest.raises(FoolscanError, match="gpu: found NVIDIA H200, expected NVIDIA A100"):
        fragile(two_pictures, tmp_path / "to", executor=Elsewhere(), sample=30)


def attributes_of(folder: Path) -> dict[str, object]:
    return dict(zarr.open_group(store_of(folder), mode="r").attrs)


def test_a_store_of_a_newer_format_is_refused(two_pictures: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patched:
        patched.setattr(store, "STORE_FORMAT", 2)
        fragile(two_pictures, tmp_path / "to", **FULL)
    with pytest.raises(FoolscanError, match="format: found 2, expected 1"):
        fragile(two_pictures, tmp_path / "to", **FULL)


def test_a_folder_that_is_no_store_is_refused(two_pictures: Study, tmp_path: Path):
    open_folder(tmp_path / "to", two_pictures.title)
    store_of(tmp_path / "to").mkdir(parents=True)
    (store_of(tmp_path / "to") / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FoolscanError, match="not readable as a Zarr group"):
        fragile(two_pictures, tmp_path / "to", **FULL)


@pytest.mark.parametrize("size", [(20, 26), (22, 26)])
def test_a_picture_that_has_changed_is_refused(two_pictures: Study, tmp_path: Path, size: tuple[int, int]):
    fragile(two_pictures, tmp_path / "to", **FULL)
    write_pictures(tmp_path / "pictures" / "new", [(9, 9), size])
    (tmp_path / "pictures" / "new" / "p1.png").replace(tmp_path / "pictures" / "p0.png")
    with pytest.raises(
        FoolscanError, match=r"p0: holds readings of another picture of that name.*put the picture back, or delete"
    ):
        fragile(two_pictures, tmp_path / "to", **FULL)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process's files")
def test_a_disk_that_is_full_is_said_in_one_message_and_the_next_call_goes_on(
    two_pictures: Study, mapped: dict[str, str], project_root: Path, tmp_path: Path
):
    limited = (
        KILLED.replace(
            "run.fragile(",
            "import foolscan, resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))\n"
            "foolscan.app = lambda **_: run.fragile(",
        ).rstrip()
        + "\nfoolscan.main()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(project_root), str(project_root / "tests")])}
    command = [
        sys.executable,
        "-c",
        limited,
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "File too large; check permission, free space" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "to").rglob("*.partial"))
    fragile(two_pictures, tmp_path / "to", **FULL)
    assert contents(tmp_path / "to") == mapped


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


@pytest.mark.skipif(
    sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere"
)
def test_a_folder_that_may_not_be_written_is_said(two_pictures: Study, tmp_path: Path):
    (tmp_path / "to").mkdir()
    with read_only(tmp_path / "to"), pytest.raises((FoolscanError, PermissionError)):
        fragile(two_pictures, tmp_path / "to", **FULL)


def test_two_at_once_are_told(two_pictures: Study, tmp_path: Path):
    told = []

    def at_once(*_: object) -> None:
        if not told:
            told.append(True)
            with pytest.raises(FoolscanError, match=r"fragile recognition in .*to"):
                fragile(two_pictures, tmp_path / "to", **FULL)

    fragile(two_pictures, tmp_path / "to", **FULL, told=at_once)
    assert told


def test_a_chunk_that_holds_nothing_yet_is_not_there(tmp_path: Path):
    opened = open_store(tmp_path / "s.zarr", {})
    array = opened.map_of("p", Grid(90, 80, 9))
    chunks = [*store.chunks_of(array)]
    assert len(chunks) == 4
    assert not any(store.is_there(array, chunk) for chunk in chunks)
    array[store.slices(array, chunks[2])] = 0
    assert [store.is_there(array, chunk) for chunk in chunks] == [False, False, True, False]
    assert open_store(tmp_path / "s.zarr", {}).group["p/side-0009"].shape == (82, 72, 3)


@pytest.mark.parametrize("error", [PermissionError(13, "no"), OSError(5, "the network's disk"), MemoryError()])
def test_a_disk_that_does_not_let_a_chunk_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
):
    array = open_store(tmp_path / "s.zarr", {}).map_of("p", Grid(30, 30, 9))

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(zarr.Array, "__getitem__", refuse)
    with pytest.raises(type(error)):
        store.is_there(array, (0, 0, 0))
