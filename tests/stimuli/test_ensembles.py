"""Several networks attacked together, from the study file to the saved image: each file is asked of each of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_image_study import small_study

from protocols.folder import StudyFolder
from protocols.manifest import Stimulus, in_set
from protocols.problems import FoolscanError
from protocols.study import load_study
from stimuli.image_files import read_rgb
from stimuli.make import MakeResult, make
from stimuli.networks import Network, load_network
from stimuli.pictures import book_categories

BOTH = "networks: [{name: picturenet}, {name: picturenet-b}]"
THREE = "networks: [{name: picturenet}, {name: picturenet-b}, {name: picturenet, weights: random}]"
SETS = f"""batch_size: 4, sets: {{
    AN: null, AI: {{targets: {{CATEGORY: guitar}}}},
    MP: {{kind: label_adversary, attack: pgd, {BOTH}, confidence: 0.9, max_steps: 60, failures_expected: true}},
    MZ: {{kind: label_adversary, attack: szegedy, {BOTH}, weights_tried: 2, max_steps: 60, failures_expected: true}},
    MA: {{kind: label_adversary, attack: fgsm, target: away, {BOTH}, failures_expected: true}},
    VP: {{kind: label_adversary, attack: pgd, {THREE}, ensemble: vote, max_steps: 60, failures_expected: true}},
    OB: {{kind: label_adversary, attack: pgd, networks: [{{name: picturenet-b}}], max_steps: 40, failures_expected: true}},
}}"""


@pytest.fixture(scope="module")
def networks() -> tuple[Network, ...]:
    """The study's, another, and a random one."""
    named = (("picturenet", None), ("picturenet-b", None), ("picturenet", "random"))
    return tuple(load_network(name, weights, "cpu") for name, weights in named)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, MakeResult]:
    place = tmp_path_factory.mktemp("ensembles")
    tasks = "tasks: {animals: {sets: [RE, AI], stimulus_trials: 8}}\n"
    analysis = "analysis: {pairs: [[RE, AI]]}\nrehearsal: {observer: {accuracy: {AN: null}}, brain: {shared: {"
    analysis += ", ".join(f"{roi}: {{AN: null}}" for roi in ("V1", "V2", "V3", "V4", "LO")) + "}}}\n"
    head = "format: 1\nextends: demo\nname: small\ntitle: small\n"
    sets = SETS.replace("CATEGORY", book_categories(4)[0].name)
    (place / "small.yaml").write_text(
        f"{head}stimuli: {{n_categories: 4, {sets}}}\n{tasks}{analysis}", encoding="utf-8"
    )
    folder = StudyFolder(place / "study")
    return folder, make(load_study(place / "small.yaml"), folder, "cpu")


def says(networks: tuple[Network, ...], folder: StudyFolder, rows: list[Stimulus]) -> list[list[str]]:
    """For each image the class that each network gives its file."""
    images = np.stack([read_rgb(row.path(folder)) for row in rows])
    of_networks = [[label.label for (label,) in network.classify(images)] for network in networks]
    return [list(labels) for labels in zip(*of_networks, strict=True)]


def test_the_mean_log_posterior_is_reached_when_every_network_names_the_class(
    made: tuple[StudyFolder, MakeResult], networks: tuple[Network, ...]
) -> None:
    folder, result = made
    for name in ("MP", "MZ"):
        rows = in_set(result.stimuli, name)
        for row, labels in zip(rows, says(networks[:2], folder, rows), strict=True):
            if name == "MZ":
                assert row.success == (labels == [row.target_class] * 2)
            elif row.success:
                assert labels == [row.target_class] * 2
        assert sum(row.success for row in rows) >= 3, name


def test_the_confidence_that_is_asked_for_is_asked_of_every_network(
    made: tuple[StudyFolder, MakeResult], networks: tuple[Network, ...]
) -> None:
    folder, result = made
    for row in in_set(result.stimuli, "MP"):
        image = read_rgb(row.path(folder))[None]
        least = min(n.probabilities(image)[0, n.label_index(row.target_class)] for n in networks[:2])
        assert row.success == (least >= 0.9)


def test_a_vote_is_won_when_more_than_half_name_the_class(
    made: tuple[StudyFolder, MakeResult], networks: tuple[Network, ...]
) -> None:
    folder, result = made
    rows = in_set(result.stimuli, "VP")
    for row, labels in zip(rows, says(networks, folder, rows), strict=True):
        assert row.success == (labels.count(row.target_class) >= 2)
    assert sum(row.success for row in rows) >= 3


def test_away_from_the_own_class_is_away_in_every_network(
    made: tuple[StudyFolder, MakeResult], networks: tuple[Network, ...]
) -> None:
    folder, result = made
    rows = in_set(result.stimuli, "MA")
    for row, labels in zip(rows, says(networks[:2], folder, rows), strict=True):
        assert row.success == (row.category not in labels)
        assert row.linf == 8


def test_one_other_network_is_attacked_and_judges_alone(
    made: tuple[StudyFolder, MakeResult], networks: tuple[Network, ...]
) -> None:
    folder, result = made
    rows = in_set(result.stimuli, "OB")
    for row, labels in zip(rows, says(networks[:2], folder, rows), strict=True):
        assert row.success == (labels[1] == row.target_class)
        assert row.network_label == labels[0]  # the manifest tells of the study's network
    assert sum(row.success for row in rows) >= 3


def test_the_class_that_a_study_names_is_the_one_that_is_reached(made: tuple[StudyFolder, MakeResult]) -> None:
    first, *others = in_set(made[1].stimuli, "AI")
    assert (first.target_class, first.network_label, first.success) == ("guitar", "guitar", True)
    assert len({row.target_class for row in others}) >= 2


def test_networks_of_other_classes_make_no_ensemble(tmp_path: Path) -> None:
    mixed = "networks: [{name: picturenet}, {name: squeezenet1_1, weights: random}]"
    study = small_study(tmp_path, f"sets: {{F: {{kind: label_adversary, attack: fgsm, {mixed}}}}}")
    with pytest.raises(
        FoolscanError, match=r"small.yaml:5: .*squeezenet1_1 with 1000 classes of its own; .*the classes of picturenet"
    ):
        make(study, StudyFolder(tmp_path / "study"), "cpu")
    assert not (tmp_path / "study").exists()
