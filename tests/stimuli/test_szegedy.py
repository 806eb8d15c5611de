"""The least change that fools: as short as foolbox finds it (Rony et al. 2019, DDN), on the file, by the recipe's criterion."""

from __future__ import annotations

import copy
from collections import deque

import foolbox
import numpy as np
import pytest
import torch
from small_image_study import small_study
from torch import nn

from protocols.folder import StudyFolder
from protocols.image_sets import LabelAdversaryRecipe
from protocols.manifest import Stimulus, in_set
from stimuli.image_files import read_rgb
from stimuli.make import MakeResult, make
from stimuli.networks import Network, load_network
from stimuli.pictures import book_categories
from stimuli.planners.labels import LabelPlanner, Search
from stimuli.planners.planner import Wanted
from stimuli.synthesis.engine import Outcome, synthesise

SETS = """sets: {
    SZ: {kind: label_adversary, attack: szegedy},
    SC: {kind: label_adversary, attack: szegedy, confidence: 0.9, weights_tried: 5},
    SA: {kind: label_adversary, attack: szegedy, target: away, weights_tried: 4},
}"""


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network("picturenet", None, "cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyFolder, MakeResult]:
    place = tmp_path_factory.mktemp("szegedy")
    folder = StudyFolder(place / "study")
    return folder, make(small_study(place, SETS), folder, "cpu")


def lengths(rows: list[Stimulus]) -> np.ndarray:
    return np.array([row.l2 for row in rows])


def decoupled_direction_and_norm(network: Network, images: np.ndarray, targets: list[str]) -> np.ndarray:
    """Foolbox's least changes, Euclidean, grey levels."""
    plain = copy.deepcopy(network.model)
    for module in plain.modules():
        if isinstance(module, nn.Conv2d):
            module.__class__ = nn.Conv2d  # torch's own, not our fast form of the first
    scale = {"mean": network.preprocessing.mean, "std": network.preprocessing.std, "axis": -3}
    model = foolbox.PyTorchModel(plain, bounds=(0, 1), preprocessing=scale, device="cpu")
    given = torch.from_numpy(images.transpose(0, 3, 1, 2) / 255).float()
    classes = torch.tensor([network.label_index(target) for target in targets])
    attack = foolbox.attacks.DDNAttack(steps=200)
    found, _, succeeded = attack(model, given, foolbox.criteria.TargetedMisclassification(classes), epsilons=None)
    assert succeeded.all()
    return np.asarray((found - given).flatten(1).norm(dim=1)) * 255


def test_the_change_is_as_short_as_foolbox_finds_it(made: tuple[StudyFolder, MakeResult], network: Network) -> None:
    folder, result = made
    rows, sources = in_set(result.stimuli, "SZ"), in_set(result.stimuli, "RE")
    images = np.stack([read_rgb(row.path(folder)) for row in sources])
    theirs = decoupled_direction_and_norm(network, images, [row.target_class for row in rows])
    ratios = lengths(rows) / theirs
    assert np.median(ratios) < 1.1
    assert ratios.max() < 1.25


def test_every_file_is_just_over_the_border(made: tuple[StudyFolder, MakeResult]) -> None:
    result = made[1]
    assert result.failures == ()
    assert all(row.network_label == row.target_class for row in in_set(result.stimuli, "SZ"))
    assert all(row.confidence < 0.8 for row in in_set(result.stimuli, "SZ"))  # no further than need be


def test_a_confidence_that_is_asked_for_is_reached_and_takes_a_longer_change(
    made: tuple[StudyFolder, MakeResult],
) -> None:
    result = made[1]
    sure = in_set(result.stimuli, "SC")
    assert all(0.9 <= row.confidence < 0.97 for row in sure)
    assert (lengths(sure) > lengths(in_set(result.stimuli, "SZ"))).all()


def test_away_from_the_own_class_is_nearer_than_any_one_class(made: tuple[StudyFolder, MakeResult]) -> None:
    result = made[1]
    away = in_set(result.stimuli, "SA")
    own = {row.category: row.target_class for row in in_set(result.stimuli, "RE")}
    assert all(row.network_label != own[row.category] for row in away)
    assert np.median(lengths(away) / lengths(in_set(result.stimuli, "SZ"))) < 1


def job_outcomes(
    network: Network, source: np.ndarray, target: str, **more: object
) -> tuple[LabelPlanner, list[Outcome]]:
    recipe = LabelAdversaryRecipe.model_validate({"kind": "label_adversary", "attack": "szegedy", **more})
    planner = LabelPlanner(recipe, network, 5)
    queue = deque([planner.first(Wanted("SZ-owl", book_categories(4)[0], "RE-owl", source, (target,)), 0)])
    outcomes = []
    for outcome in synthesise(planner.method, queue, 1, network.device):
        outcomes.append(outcome)
        further = planner.next(outcome, 0)
        if further is not None:
            queue.append(further)
    return planner, outcomes


def test_every_weight_runs_to_its_minimiser_and_the_largest_that_fools_is_sought(
    made: tuple[StudyFolder, MakeResult], network: Network
) -> None:
    folder, result = made
    row = in_set(result.stimuli, "RE")[0]
    target = in_set(result.stimuli, "SZ")[0].target_class
    source = read_rgb(row.path(folder))
    planner, outcomes = job_outcomes(network, source, target, weights_tried=5)
    assert len(outcomes) == 6
    assert all(outcome.verdict in ("no progress", "out of steps") for outcome in outcomes)
    fools = [network.classify(outcome.image[None])[0][0].label == target for outcome in outcomes]
    weights = [outcome.job.weight for outcome in outcomes]
    reached = [weight for weight, fooled in zip(weights, fools, strict=True) if fooled]
    missed = [weight for weight, fooled in zip(weights, fools, strict=True) if not fooled]
    assert max(reached) < min(missed)
    length = [float(np.linalg.norm(outcome.image.astype(float) - source)) for outcome in outcomes]
    least = min(one for one, fooled in zip(length, fools, strict=True) if fooled)
    assert np.linalg.norm(planner.image(outcomes[-1]).astype(float) - source) == least


def test_where_no_weight_fools_the_search_ends_at_the_first(network: Network) -> None:
    source = np.full((128, 128, 3), 128, np.uint8)
    planner, outcomes = job_outcomes(network, source, "cat", confidence=0.99999999, max_steps=3)
    assert len(outcomes) == 1
    assert isinstance(outcomes[0].job.memory, Search)
    assert np.array_equal(planner.image(outcomes[0]), outcomes[0].image)
