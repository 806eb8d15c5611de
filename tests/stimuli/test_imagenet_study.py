"""The study of feature adversaries on torchvision's AlexNet, cut down, with weights in the form that torchvision publishes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models

from protocols import checks
from protocols.folder import StudyFolder, read_json
from protocols.manifest import in_set
from protocols.study import Study, load_study
from stimuli.activations import activations
from stimuli.checks import check
from stimuli.image_files import read_rgb
from stimuli.make import MakeResult, make
from stimuli.networks.imagenet import torchvision_network
from stimuli.picturebook.book import render
from stimuli.pictures import on_grid

CLASSES = {"owl": "tench", "snake": "goldfish", "car": "acoustic guitar", "harp": "wok"}
SMALL = """format: 1
extends: sabour2016_imagenet
name: cut
title: cut down
stimuli:
  n_categories: 4
  batch_size: 4
  references: {per_category: 2, random: 0}
  sets:
    FA: {max_steps: 12, ratio: 0.9, failures_expected: true}
    FAp5: {max_steps: 4}
    FA25: {max_steps: 12}
    LO: {max_steps: 4}
    RN: {max_steps: 4}
    FAc3: null
    FAc2: null
    FA5: null
    FA15: null
    FA20: null
    FL: null
    FF: null
    LF: null
    ON: null
tasks: {animals: {stimulus_trials: 12}}
"""


def write_pictures(folder: Path) -> list[tuple[Path, str]]:
    """Three pictures of each category, larger than the grid, and their table; (file, class) of each."""
    folder.mkdir()
    rows, found = ["file\tcategory\tsupercategory\tanimal\tnetwork_class"], []
    for category, label in CLASSES.items():
        for number in range(3):
            path = folder / f"{category}{number}.png"
            Image.fromarray(render(category, "test", number, 256)).save(path)
            rows.append(f"{path.name}\t{category}\tany\t{str(category in ('owl', 'snake')).lower()}\t{label}")
            found.append((path, label))
    (folder / "labels.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return found


def alexnet_that_knows(pictures: list[tuple[Path, str]], path: Path) -> None:
    """Random weights from a seed, but for a readout by least squares that names the pictures rightly."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2016)
        state = models.alexnet(weights=None).state_dict()
    torch.save(state, path)
    network = torchvision_network("alexnet", path, "cpu", 0, None)
    images = np.stack([on_grid(read_rgb(file), 224, file) for file, _ in pictures])
    units = network.activations(images, ["fc7"])["fc7"].astype(np.float64)
    wanted = np.array([[10.0 if label == of else 0.0 for of in CLASSES.values()] for _, label in pictures])
    readout = np.linalg.lstsq(units, wanted, rcond=None)[0].T
    state["classifier.6.weight"].zero_()
    state["classifier.6.bias"].fill_(-10.0)
    for label, weights in zip(CLASSES.values(), readout, strict=True):
        unit = network.label_index(label)
        state["classifier.6.weight"][unit] = torch.from_numpy(weights).float()
        state["classifier.6.bias"][unit] = 0.0
    torch.save(state, path)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a study, pictures, and weights where torchvision would have put them."""
    here = tmp_path_factory.mktemp("imagenet")
    (here / "cut.yaml").write_text(SMALL, encoding="utf-8")
    checkpoints = here / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.hub, "_hub_dir", str(here / "hub"))
        alexnet_that_knows(write_pictures(here / "pictures"), checkpoints / "alexnet-owt-7be5be79.pth")
        yield here


@pytest.fixture(scope="module")
def made(place: Path) -> tuple[Study, StudyFolder, MakeResult]:
    study, folder = load_study(place / "cut.yaml"), StudyFolder(place / "study")
    assert (check(study), checks.check(study).problems) == ((), ())
    return study, folder, make(study, folder, "cpu")


def test_what_is_lacking_is_said_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    study = load_study("sabour2016_imagenet")
    problems = [*checks.check(study).problems, *check(study)]
    assert [problem.key for problem in problems] == ["stimuli.pictures.folder", "stimuli.network"]
    assert all(problem.needed and problem.remedy for problem in problems)


def test_the_published_file_is_read_and_the_study_runs(made: tuple[Study, StudyFolder, MakeResult]) -> None:
    study, folder, result = made
    assert result.failures == ()
    assert {row.set for row in result.stimuli} == {"RE", "FA", "FAp5", "FA25", "LO", "RN", "CO"}
    assert [row.network_label for row in in_set(result.stimuli, "RE")] == list(CLASSES.values())
    described = read_json(folder.manifest.with_suffix(".json"))["foolscan"]["parameters"]["network"]["description"]
    assert "IMAGENET1K_V1" in described
    assert "CaffeNet" in described
    assert study.stimuli.second_network is None


def test_a_wider_bound_comes_nearer_the_guide(made: tuple[Study, StudyFolder, MakeResult]) -> None:
    narrow, wide = (
        [row.representation_ratio or np.inf for row in in_set(made[2].stimuli, name)] for name in ("FA", "FA25")
    )
    assert np.median(wide) < np.median(narrow) < 1
    for name, bound in (("FA", 10), ("FA25", 25), ("FAp5", 10), ("RN", 10)):
        assert all(0 < (row.linf or 0) <= bound for row in in_set(made[2].stimuli, name)), name


def test_its_activations_and_references_are_written_for_each_network(
    made: tuple[Study, StudyFolder, MakeResult],
) -> None:
    study, folder, _ = made
    written = activations(study, folder, "cpu")
    assert [path.name for path in written] == [
        "alexnet.h5",
        "alexnet_references.h5",
        "alexnet_random.h5",
        "alexnet_random_references.h5",
        "attacks.tsv",
    ]
    with h5py.File(written[0]) as file:
        assert file["layers/fc7"].shape == (28, 4096)
        assert file["layers/pool5"].shape == (28, 9216)
    with h5py.File(written[1]) as file:
        assert sorted(file["layers"]) == ["fc7", "pool5"]
        assert file["layers/fc7"].shape == (8, 4096)
    with folder.attacks.open(encoding="utf-8", newline="") as lines:
        layers = {(row["set"], row["network"], row["layer"]) for row in csv.DictReader(lines, delimiter="\t")}
    assert layers == {
        ("FA", "alexnet", "fc7"),
        ("FA25", "alexnet", "fc7"),
        ("FAp5", "alexnet", "pool5"),
        ("LO", "alexnet", "n/a"),
        ("RN", "alexnet_random", "fc7"),
    }
