"""The commands: what they print, what they leave, and how they end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from small_image_study import contents

TEXT = (
    "format: 1\nextends: demo\nname: small\ntitle: a small study\n"
    "stimuli: {n_categories: 2}\ntasks: {animals: {stimulus_trials: 6}}\n"
)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small study file and its images made in ``to``."""
    folder = tmp_path_factory.mktemp("workplace")
    (folder / "small.yaml").write_text(TEXT, encoding="utf-8")
    for verb in ("make", "activations", "contact-sheet"):
        done = foolscan(folder, verb, "small.yaml", "--to", "to")
        assert done.returncode == 0, done.stderr
    return folder


def foolscan(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``foolscan stimuli ...`` in a folder."""
    command = [sys.executable, "-m", "foolscan", "stimuli", *arguments]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, encoding="utf-8", timeout=300)


def test_a_script_does_what_the_commands_do_byte_for_byte(workplace: Path, project_root: Path):
    script = project_root / "tests" / "scripts" / "make_stimuli.py"
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 30
    done = subprocess.run(
        [sys.executable, str(script), "small.yaml", "by-script"],
        cwd=workplace,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert contents(workplace / "by-script") == contents(workplace / "to")


def test_make_prints_what_it_wrote_and_how_each_set_is(workplace: Path):
    done = foolscan(workplace, "make", "small.yaml", "--to", "to")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert Path(lines[0]) == Path("to/stimuli/stimuli.tsv")
    assert Path(lines[1]) == Path("to/stimuli/stimuli.json")
    assert lines[2].startswith("RE: 2 of 2 verified on disk")
    assert "largest change" in lines[4]


def test_verify_ends_with_0_or_with_1_and_a_list(workplace: Path):
    done = foolscan(workplace, "verify", "small.yaml", "--to", "to")
    assert (done.returncode, done.stdout[:8]) == (0, "6 images")
    image = next((workplace / "to" / "stimuli" / "AI").glob("*.png"))
    whole = image.read_bytes()
    image.write_bytes(b"")
    done = foolscan(workplace, "verify", "small.yaml", "--to", "to")
    image.write_bytes(whole)
    assert done.returncode == 1
    assert f"{image.name}: an empty file (0 bytes)" in done.stderr
    assert "Traceback" not in done.stderr


def test_images_that_fail_end_with_1_and_a_plain_list(workplace: Path):
    hard = "{AI: {kind: adversarial_interference, linf_preferred: 1, linf_max: 1, max_steps: 3, attempts: 1}}"
    text = TEXT.replace("name: small", "name: hard").replace("n_categories: 2", f"n_categories: 2, sets: {hard}")
    (workplace / "hard.yaml").write_text(text, encoding="utf-8")
    done = foolscan(workplace, "make", "hard.yaml", "--to", "hard")
    assert done.returncode == 1
    assert "foolscan: 2 of 6 images do not meet their recipe's criterion:" in done.stderr
    assert "Traceback" not in done.stderr
    assert (workplace / "hard" / "stimuli" / "stimuli.tsv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("make", "nothere.yaml", "--to", "x"), "no such file"),
        (("verify", "small.yaml", "--to", "x"), "no stimuli yet"),
        (("export", "small.yaml", "--rig", "nothere", "--to", "to"), "no such file"),
        (("train", "--out", "weights.txt"), ".safetensors"),
        (("make", "small.yaml", "--to", "small.yaml"), "found a file"),
        (("make", "small.yaml", "--to", "x", "--device", "abacus"), "device"),
    ],
)
def test_bad_use_ends_with_2_one_message_and_nothing_written(workplace: Path, arguments: tuple[str, ...], message: str):
    before = contents(workplace)
    done = foolscan(workplace, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(workplace) == before
    assert not (workplace / "x").exists()


def test_training_shows_a_bar_for_each_of_its_phases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    import stimuli.command_line
    import stimuli.networks.training as training

    def quick(out: Path, seed: int, **more: Any) -> training.Trained:
        for done in range(3):
            more["on_progress"]("draw train pictures", done, 2)
        more["on_progress"]("train", 1, 7)
        return training.Trained(out, out, out, {"test": 0.5}, (), 0.0, 0.0)

    monkeypatch.setattr(training, "train_picturenet", quick)
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "100")
    stimuli.command_line.train(tmp_path / "x.safetensors")
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().err)
    assert re.search(r"draw train pictures .*2/2", shown)
    assert re.search(r"train .*1/7", shown)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_with_130_and_the_same_command_goes_on_to_the_same_bytes(workplace: Path):
    command = [sys.executable, "-m", "foolscan", "stimuli", "make", "small.yaml", "--to", "broken-off"]
    with subprocess.Popen(command, cwd=workplace, stderr=subprocess.PIPE, text=True) as process:
        records = workplace / "broken-off" / "derivatives" / "foolscan" / "make"
        deadline = time.monotonic() + 120
        while len(list(records.glob("AN-*.json"))) < 1 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("it had finished before the signal came")
    assert process.returncode == 130
    assert "Run the same command again" in said
    assert "Traceback" not in said
    left = contents(workplace / "broken-off")
    assert not any(name.endswith((".lock", ".tmp")) or ".tmp." in name for name in left)
    assert foolscan(workplace, "make", "small.yaml", "--to", "broken-off").returncode == 0
    made = {name: digest for name, digest in contents(workplace / "to").items() if "/activations/" not in name}
    made = {name: digest for name, digest in made.items() if "/contact-sheets/" not in name}
    assert contents(workplace / "broken-off") == made
