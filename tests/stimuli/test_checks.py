"""What can be known of networks and pictures before anything is made is said by ``check``, at its line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from small_image_study import replace_once, small_study

import stimuli
from protocols.study import load_study
from protocols.yamlfile import shipped_files
from stimuli import checks
from stimuli.checks import check
from stimuli.networks import outline


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of downloaded weights, still empty."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


@pytest.mark.parametrize("name", sorted(shipped_files("study")))
def test_the_studies_that_come_with_foolscan_name_what_there_is_but_for_weights(name: str, no_weights: Path):
    problems = check(load_study(name))
    assert all(problem.needed for problem in problems)
    maps = {"fragile.pictures", *(f"fragile.networks.{number}" for number in range(3))}
    assert {problem.key for problem in problems} <= {"stimuli.network", *maps}


def test_imagenet_weights_that_are_not_there_are_work_to_be_done(no_weights: Path):
    (problem,) = check(load_study("zhang2018"))
    assert problem.needed
    file = no_weights / "alexnet-owt-7be5be79.pth"
    assert problem.found == f"no file {file}"
    assert "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth" in problem.remedy
    file.write_bytes(b"anything")
    assert check(load_study("zhang2018")) == ()


@pytest.mark.parametrize(
    ("more", "key", "found", "allowed"),
    [
        ("network: {name: picturnet}", "stimuli.network.name", "'picturnet'", "did you mean picturenet"),
        ("network: {name: alexnett}", "stimuli.network.name", "'alexnett'", "did you mean alexnet"),
        ("second_network: {name: picturenet-c}", "stimuli.second_network.name", "'picturenet-c'", "picturenet-b"),
        (
            "network: {name: picturenet, weights: nowhere.pt}",
            "stimuli.network.weights",
            "no file",
            "a state dict (.pt, .pth, .safetensors), random, or random_orthonormal",
        ),
    ],
)
def test_a_network_that_there_is_not_is_said_at_its_line(tmp_path: Path, more: str, key: str, found: str, allowed: str):
    (problem,) = check(small_study(tmp_path, more))
    assert (problem.key, problem.line) == (key, 5)
    assert Path(problem.file).name == "small.yaml"
    assert found in problem.found
    assert allowed in problem.allowed


def test_weights_may_be_random_or_a_file_beside_the_study(tmp_path: Path):
    shutil.copy(
        Path(stimuli.__file__).parent / "networks/weights/picturenet-b.safetensors", tmp_path / "mine.safetensors"
    )
    for weights in ("random", "mine.safetensors"):
        assert check(small_study(tmp_path, f"network: {{name: picturenet, weights: {weights}}}")) == ()


def test_names_are_left_to_make_where_torchvision_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for module in (checks, outline):
        monkeypatch.setattr(module, "is_installed", lambda _module: False)
    assert check(small_study(tmp_path, "network: {name: alexnett}")) == ()


def test_more_categories_than_the_book_has_are_refused(tmp_path: Path):
    small_study(tmp_path)
    replace_once(tmp_path / "small.yaml", "n_categories: 4", "n_categories: 41")
    (problem,) = check(load_study(tmp_path / "small.yaml"))
    assert str(problem).endswith(
        "small.yaml:5: stimuli.n_categories: found 41; at most 40: the picture book has no more categories"
    )


def test_own_pictures_are_looked_at(tmp_path: Path):
    study = small_study(tmp_path, "pictures: {kind: folder, folder: own}")
    assert check(study) == (), "pictures that are not there yet are told of elsewhere"
    (tmp_path / "own").mkdir()
    Image.new("RGB", (128, 128)).save(tmp_path / "own" / "fox.png")
    table = "file\tcategory\tsupercategory\tanimal\tnetwork_class\nfox.png\tfox\tany\ttrue\tfox\n"
    (tmp_path / "own" / "labels.tsv").write_text(table, encoding="utf-8")
    (problem,) = check(study)
    assert problem.key == "stimuli.pictures"
    assert "found 1 categories; stimuli.n_categories of study small says 4" in problem.found


def test_the_command_says_all_of_it_with_the_rest(tmp_path: Path):
    small_study(tmp_path, "network: {name: picturnet}, size_px: 64")
    replace_once(tmp_path / "small.yaml", "n_categories: 4", "n_categories: 41")
    command = [sys.executable, "-m", "foolscan", "check", "small.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 2
    keys = [line.split(": ")[1] for line in done.stderr.splitlines()]
    assert keys == ["tasks.animals.stimulus_trials", "stimuli.network.name", "stimuli.n_categories"]
