"""Damaged and absurd input: one message that names the file, exit status 2, nothing half-written."""

from __future__ import annotations

import errno
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import foolscan
from experiment.participants import enrol
from protocols.folder import RunId, StudyFolder, atomic_path, exclusive, open_folder, read_json
from protocols.manifest import read_manifest, write_manifest
from protocols.problems import FoolscanError, NotReady, ProtocolError
from protocols.provenance import is_current, sha256_of, sidecar_path, write_sidecar
from protocols.rig import load_rig
from protocols.study import load_study

ROOT = Path(__file__).parent.parent
HEAD = "format: 1\nextends: demo\nname: mine\n"


def module(path: str) -> ModuleType:
    """Makers of small folders that the rooms' own tests use."""
    spec = importlib.util.spec_from_file_location(f"bad_input_{Path(path).stem}", Path(__file__).parent / path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


made = module("experiment/experiment_study.py")


@pytest.fixture
def shown(tmp_path: Path) -> StudyFolder:
    """A folder with random images, their manifest and their export."""
    folder: StudyFolder = made.fill(tmp_path / "study", made.small_study(tmp_path), load_rig("rehearsal"))
    return folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed: !!int foo\n", ":4: seed: found 'foo' as int"),
        ("title: !!timestamp foo\n", ":4: title"),
        (f"seed: {'9' * 5000}\n", ":4: seed"),
        ("title: &a [*a]\n", "a file without end"),
        ("basis: &a {x: *a}\n", "a file without end"),
        (f"title: {'[' * 3000}{']' * 3000}\n", "too deep"),
        ("? [a, b]\n: 1\n", "a list or mapping as a key"),
        ("design: {runs: 0}\n", "design.runs: found 0"),
        ("stimuli: {sets: {AN: {confidence: 1.5}}}\n", "stimuli.sets.AN.confidence"),
        ("tasks: {animals: {sets: []}}\n", "tasks.animals.sets: found []; at least 1"),
        ("tasks: {animals: {sets: [RE, RE, AN]}}\n", "names 'RE' twice"),
        ("tasks: {animals: {buttons: [left, left]}}\n", "names 'left' twice"),
        ("analysis: {rois: [V1, V1]}\n", "names 'V1' twice"),
        ("analysis: {pairs: [[RE, RE]]}\n", "names 'RE' twice"),
    ],
)
def test_a_study_that_cannot_be_meant_is_refused_at_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(ProtocolError) as caught:
        load_study(path)
    assert words in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_a_number_with_a_leading_zero_is_decimal(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(HEAD + "seed: 010\n", encoding="utf-8")
    assert load_study(tmp_path / "mine.yaml").seed == 10


def spoilt(column: str, value: str) -> Callable[[str], str]:
    """An edit of the manifest's second image."""

    def edit(text: str) -> str:
        lines = [line.split("\t") for line in text.splitlines()]
        lines[2][lines[0].index(column)] = value
        return "\n".join("\t".join(line) for line in lines) + "\n"

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda text: text[:-120], "columns, expected"),
        (lambda text: text + text.splitlines()[1] + "\n", "which line 2 has"),
        (spoilt("confidence", "nan"), "stimuli.tsv:3: confidence"),
        (spoilt("category", ""), "stimuli.tsv:3: category"),
        (spoilt("stim_file", "../../passwords"), "stimuli.tsv:3: stim_file"),
        (spoilt("stim_file", "/passwords"), "stimuli.tsv:3: stim_file"),
        (lambda text: "", "found other columns"),
    ],
)
def test_a_damaged_manifest_is_named_with_its_line(shown: StudyFolder, edit: Callable[[str], str], words: str) -> None:
    shown.manifest.write_text(edit(shown.manifest.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
    with pytest.raises(FoolscanError, match=words):
        read_manifest(shown)


def test_a_manifest_of_other_bytes_or_no_images_is_refused(shown: StudyFolder) -> None:
    write_manifest(shown, [])
    with pytest.raises(NotReady, match="found no images"):
        read_manifest(shown)
    shown.manifest.write_bytes(bytes(range(256)))
    with pytest.raises(FoolscanError, match="UTF-8"):
        read_manifest(shown)


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "empty", "cut", "missing", "another"])
def test_an_image_that_is_not_what_was_made_is_never_used(shown: StudyFolder, mode: str) -> None:
    from stimuli.image_files import read_stimulus

    stimulus = read_manifest(shown)[0]
    path = stimulus.path(shown)
    if mode == "missing":
        path.unlink()
    elif mode in ("empty", "cut"):
        path.write_bytes(path.read_bytes()[: 200 if mode == "cut" else 0])
    elif mode == "I;16":
        Image.fromarray(np.zeros((16, 16), np.uint16)).save(path)
    else:
        Image.new("RGB" if mode == "another" else mode, (16, 16)).save(path)
    with pytest.raises(FoolscanError, match=path.name):
        read_stimulus(shown, stimulus)


@pytest.mark.parametrize("name", ["run-1a", "run-01_copy", "run-001", "run-0"])
def test_a_stray_events_file_is_not_taken_for_a_run(tmp_path: Path, name: str) -> None:
    folder = StudyFolder(tmp_path)
    func = folder.func(RunId("01", "01", "animals", 1))
    func.mkdir(parents=True)
    (func / f"sub-01_ses-01_task-animals_{name}_events.tsv").write_text("", encoding="utf-8")
    with pytest.raises(FoolscanError, match="not the name of a run's events"):
        folder.runs("animals")


@pytest.mark.parametrize("content", ["[]", "", '{"foolscan": []}', '{"foolscan": {"format": 1}}'])
def test_a_file_with_a_damaged_sidecar_is_made_again(tmp_path: Path, content: str) -> None:
    path = tmp_path / "derived.tsv"
    path.write_text("x\n", encoding="utf-8")
    write_sidecar(StudyFolder(tmp_path), path, inputs=[], parameters={})
    assert is_current(StudyFolder(tmp_path), path, [], {})
    sidecar_path(path).write_text(content, encoding="utf-8")
    assert not is_current(StudyFolder(tmp_path), path, [], {})


def test_a_json_file_that_holds_no_object_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(FoolscanError, match=r"a\.json: found a list"):
        read_json(tmp_path / "a.json")


def test_a_list_of_participants_without_its_column_is_not_touched(tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "study", "A study", rehearsal=True)
    path = folder.root / "participants.tsv"
    path.write_text("name\tage\nada\t36\n", encoding="utf-8")
    before = sha256_of(path)
    with pytest.raises(FoolscanError, match="participant_id"):
        enrol(folder, "01", simulated=True)
    assert sha256_of(path) == before


def test_a_lock_that_does_not_say_whose_it_is_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "thing.lock").write_text("", encoding="utf-8")
    with exclusive(tmp_path / "thing", "the thing"):
        assert (tmp_path / "thing.lock").read_text(encoding="ascii") == str(os.getpid())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["empty", "cut", "a hole", "text"])
def test_a_damaged_image_of_a_run_is_named(tmp_path: Path, damage: str) -> None:
    from analysis.nifti import open_nifti, read_voxels, write_nifti

    path = tmp_path / "bold.nii.gz"
    volumes = np.random.default_rng(0).integers(0, 1000, (12, 12, 12, 20))
    write_nifti(path, volumes, np.eye(4), dtype=np.int16)
    content = path.read_bytes()
    hole = len(content) // 2
    spoiled = {
        "empty": b"",
        "cut": content[:hole],
        "a hole": content[:hole] + bytes(100) + content[hole + 100 :],
        "text": b"hello" * 100,
    }
    path.write_bytes(spoiled[damage])
    with pytest.raises(FoolscanError, match=r"bold\.nii\.gz"):
        read_voxels(path, open_nifti(path), np.ones((12, 12, 12), dtype=bool))


def test_a_disk_without_room_leaves_nothing(tmp_path: Path) -> None:
    def fill_up() -> None:
        with atomic_path(tmp_path / "file.txt") as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "a paragraph of a library")

    with pytest.raises(FoolscanError, match="No space left"):
        fill_up()
    assert list(tmp_path.iterdir()) == []


def test_what_the_system_refuses_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["foolscan", "check", "a" * 5000])
    with pytest.raises(SystemExit) as caught:
        foolscan.main()
    assert caught.value.code == 2
    assert "run the command again" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_in_a_run_keeps_its_journal_and_the_run_can_be_repeated(shown: StudyFolder) -> None:
    words = ("experiment", "run", "small.yaml", "--rig", "rehearsal", "--stage", "null", "--sub", "01", "--ses", "01")
    command = [sys.executable, "-m", "foolscan", *words, "--run", "1", "--to", str(shown.root)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    journal = shown.journal(RunId("01", "01", "animals", 1))
    with subprocess.Popen([*command, "--real-time"], cwd=shown.root.parent, env=environment, stderr=-1) as process:
        until_s = time.monotonic() + 60
        while not journal.exists() and time.monotonic() < until_s:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert [path.name for path in journal.parent.iterdir()] == [journal.name.replace("_journal", "_aborted-01_journal")]
    done = subprocess.run(command, cwd=shown.root.parent, env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
