"""What a recipe may choose: the norm of a ball, the seed of random weights, noise over the whole range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_image_study import small_study

from protocols.folder import StudyFolder
from protocols.image_sets import FeatureAdversaryRecipe, LabelAdversaryRecipe, NetworkPlan, NoiseRecipe
from protocols.manifest import in_set
from protocols.problems import ProtocolError
from stimuli.make import make, network_of
from stimuli.networks import Network, load_network
from stimuli.pictures import book_categories
from stimuli.planners.labels import LabelPlanner
from stimuli.planners.planner import Wanted
from stimuli.synthesis.constraints import L2Ball
from stimuli.synthesis.optimisers import NormalisedGradient
from stimuli.synthesis.starts import NOISE, within_sphere
from stimuli.triptychs import recipe_in_words
from stimuli.views import views


def test_a_sphere_is_chosen_by_its_norm_and_kept(tmp_path: Path) -> None:
    sets = """sets: {AN: {max_steps: 300},
        P2: {kind: label_adversary, attack: pgd, norm: l2, epsilon: 1.5, step: 0.5, max_steps: 8, random_start: true,
             failures_expected: true}}"""
    result = make(small_study(tmp_path, sets), StudyFolder(tmp_path / "study"), "cpu")
    radius = 1.5 * np.sqrt(3 * 128**2)
    rows = in_set(result.stimuli, "P2")
    assert all(0.5 * radius < (row.l2 or 0) <= radius for row in rows)
    assert all((row.linf or 0) > 1.5 for row in rows)  # it is no box
    assert result.summary["P2"].startswith(f"{sum(row.success for row in rows)} of 4 verified on disk")


def test_the_method_of_a_sphere_steps_along_the_gradient(tmp_path: Path) -> None:
    network = load_network("picturenet", "random", "cpu")
    recipe = LabelAdversaryRecipe(kind="label_adversary", attack="pgd", norm="l2", epsilon=2.0, step=0.25)
    planner = LabelPlanner(recipe, network, 5)
    assert isinstance(planner.method.constraint, L2Ball)
    assert planner.method.optimiser == NormalisedGradient(0.25)
    wanted = Wanted("P-owl", book_categories(4)[0], "RE-owl", np.full((128, 128, 3), 100, np.uint8), ("cat",))
    assert planner.first(wanted, 0).radius == pytest.approx(2.0 * np.sqrt(3 * 128 * 128))
    assert recipe_in_words(recipe).endswith("2 grey levels root mean square")


def test_only_projected_gradients_have_a_sphere(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="l2 is for attack: pgd"):
        small_study(tmp_path, "sets: {F: {kind: label_adversary, attack: fgsm, norm: l2}}")


def test_a_random_point_of_a_sphere_is_within_it_and_fills_it() -> None:
    image, draw = np.full((3, 4, 4), 100, np.float32), np.random.default_rng(1)
    apart = np.array([np.linalg.norm(within_sphere(image, 10.0, draw) - image) for _ in range(2000)])
    assert apart.max() <= 10.0 + 1e-4
    # uniform in the volume: the share within r is (r / radius) ** 48
    assert np.mean(apart < 9.8) == pytest.approx(0.98**48, abs=0.04)


def test_random_weights_of_another_seed_are_another_network_with_a_name_of_its_own(tmp_path: Path) -> None:
    sets = """sets: {
        R0: {kind: feature_adversary, layer: fc7, network: {name: picturenet, weights: random}},
        R1: {kind: feature_adversary, layer: fc7, network: {name: picturenet, weights: random, seed: 1}},
        R2: {kind: feature_adversary, layer: fc7, network: {name: picturenet, weights: random_orthonormal, seed: 2}}}"""
    study = small_study(tmp_path, sets)
    seen = views(study.stimuli)
    names = ["picturenet", "picturenet_random", "picturenet_random_seed1", "picturenet_random_orthonormal_seed2"]
    assert [view.name for view in seen] == names
    assert [view.sets for view in seen[1:]] == [("R0",), ("R1",), ("R2",)]
    networks: list[Network] = [network_of(view.plan, tmp_path, "cpu") for view in seen]
    assert len({network.weights_sha256 for network in networks}) == 4
    again = network_of(NetworkPlan(name="picturenet", weights="random", seed=1), tmp_path, "cpu")
    assert again.weights_sha256 == networks[2].weights_sha256
    recipe = study.stimuli.sets["R1"]
    assert isinstance(recipe, FeatureAdversaryRecipe)
    assert "picturenet (random, seed 1)" in recipe_in_words(recipe)


def test_trained_weights_have_no_seed(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="other weights have no seed"):
        small_study(tmp_path, "network: {name: picturenet, seed: 3}")


def test_noise_over_the_range_is_uniform_from_black_to_white() -> None:
    noise = NOISE["uniform_range"](np.full((3, 64, 64), 90, np.float32), 10.0, np.random.default_rng(2))
    assert noise.dtype == np.float32
    assert noise.min() < 1
    assert noise.max() > 254
    assert noise.mean() == pytest.approx(127.5, abs=2)
    assert noise.std() == pytest.approx(255 / np.sqrt(12), rel=0.02)


def test_noise_alone_is_named_with_at_most_a_half_unless_a_study_says_otherwise() -> None:
    assert NoiseRecipe(kind="noise").most_confidence == 0.5
