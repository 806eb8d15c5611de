"""Which class an image shall be given, where it starts, and how far it may go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protocols.image_sets import AdversarialInterferenceRecipe, AdversarialNoiseRecipe
from protocols.problems import FoolscanError
from stimuli.networks import Network, load_network
from stimuli.pictures import PictureCategory, book_categories
from stimuli.planners.choosing import with_named, wrong_classes
from stimuli.planners.interference import InterferencePlanner
from stimuli.planners.noise import NoisePlanner
from stimuli.planners.planner import Wanted
from stimuli.synthesis.engine import Job, Outcome
from stimuli.synthesis.objectives import LogOdds, LogPosterior, Near, Posterior
from stimuli.synthesis.optimisers import NguyenRule, NormalisedGradient

CATEGORIES = book_categories(40)


@pytest.fixture(scope="module")
def network() -> Network:
    return load_network("picturenet", "random", "cpu")


def classes(rule: str, network: Network, categories: tuple[PictureCategory, ...] = CATEGORIES) -> list[tuple[str, ...]]:
    posteriors = np.random.default_rng(0).dirichlet(np.ones(len(network.labels)), len(categories))
    draws = {category.name: np.random.default_rng(7) for category in categories}
    return wrong_classes(rule, categories, network, posteriors, draws)


def test_other_animacy_crosses_the_border_and_gives_every_class_once(network: Network):
    chosen = classes("other_animacy", network)
    animal = {category.network_class: category.animal for category in CATEGORIES}
    for category, order in zip(CATEGORIES, chosen, strict=True):
        assert all(animal[target] is not category.animal for target in order)
        assert len(order) == 20
    assert len({order[0] for order in chosen}) == 40


@pytest.mark.parametrize("rule", ["random", "least_likely"])
def test_no_rule_gives_an_image_its_own_class(rule: str, network: Network):
    for category, order in zip(CATEGORIES, classes(rule, network), strict=True):
        assert category.network_class not in order
        assert len(order) == 39


def test_least_likely_is_the_class_of_least_posterior(network: Network):
    posteriors = np.full((1, 40), 1 / 40)
    posteriors[0, 17] = 1e-9
    (order,) = wrong_classes("least_likely", CATEGORIES[:1], network, posteriors, {})
    assert order[0] == network.labels[17]


def test_a_study_of_animals_alone_has_no_class_of_the_other_animacy(network: Network):
    with pytest.raises(FoolscanError, match="every category of the study is an animal"):
        classes("other_animacy", network, CATEGORIES[:3])


def test_a_target_that_is_the_source_s_own_class_is_refused(network: Network):
    twins = (PictureCategory("cat", "m", True, "cat"), PictureCategory("toy", "t", False, "cat"))
    with pytest.raises(FoolscanError, match="source's own class"):
        classes("other_animacy", network, twins)


def wanted(targets: tuple[str, ...]) -> Wanted:
    return Wanted("AI-cat", CATEGORIES[3], "RE-cat", np.full((128, 128, 3), 100, np.uint8), targets)


def test_noise_starts_at_the_mean_image_with_the_noise_of_its_attempt(network: Network):
    planner = NoisePlanner(AdversarialNoiseRecipe(kind="adversarial_noise", noise_sd=7.0), network, 5)
    first, again, second = (planner.first(wanted(("cat",)), attempt) for attempt in (0, 0, 1))
    assert np.array_equal(first.start, again.start)
    assert not np.array_equal(first.start, second.start)
    assert first.start.mean() == pytest.approx(127.5, abs=0.2)
    assert first.start.std() == pytest.approx(7.0, rel=0.02)
    assert first.goal == network.label_index("cat")


def interference(network: Network, preferred: int, largest: int, **more: Any) -> InterferencePlanner:
    numbers = {"linf_preferred": preferred, "linf_max": largest, "attempts": 3, **more}
    recipe = AdversarialInterferenceRecipe(kind="adversarial_interference", **numbers)
    return InterferencePlanner(recipe, network, 5)


def test_the_largest_radius_is_for_the_last_attempt_alone(network: Network):
    planner = interference(network, 8, 16)
    assert planner.radii(0) == (4, 6, 8)
    assert planner.radii(2) == (4, 6, 8, 12, 16)
    assert interference(network, 5, 7).radii(2) == (4, 5, 6, 7)


def test_the_study_file_says_which_radii_are_tried_and_when(network: Network):
    planner = interference(network, 8, 16, linf_tried=(2, 10, 100))
    assert [planner.radii(attempt) for attempt in range(3)] == [(2, 8), (2, 8), (2, 8, 10, 16)]
    assert interference(network, 8, 16, linf_max_on="every_attempt").radii(0) == (4, 6, 8, 12, 16)


def test_a_further_attempt_takes_the_next_class_and_the_last_returns_to_the_first(network: Network):
    planner = interference(network, 8, 16)
    image = wanted(("car", "bus", "mug"))
    assert [planner.target(image, attempt) for attempt in range(3)] == ["car", "bus", "car"]
    same = interference(network, 8, 16, retry_class="same")
    assert [same.target(image, attempt) for attempt in range(3)] == ["car"] * 3


def test_a_step_in_the_ball_has_the_recipe_s_length(network: Network):
    assert interference(network, 8, 16).method.optimiser == NormalisedGradient(1.5)
    assert interference(network, 8, 16, step=0.5).method.optimiser == NormalisedGradient(0.5)


def test_a_wider_ball_goes_on_where_the_narrower_one_ended(network: Network):
    planner = interference(network, 8, 16)
    job = planner.first(wanted(("car",)), 0)
    assert np.array_equal(job.start, job.centre)
    position = job.start + np.float32(3.5)
    image = np.full((128, 128, 3), 103, np.uint8)
    wider = planner.next(Outcome(job, image, position, 9, 0.4, "no progress"), 0)
    assert wider is not None
    assert (wider.radius, wider.goal) == (6.0, job.goal)
    assert np.array_equal(wider.start, position)
    assert np.array_equal(wider.centre, job.centre)
    assert planner.next(Outcome(wider, image, position, 9, 0.4, "no progress"), 0).radius == 8.0  # type: ignore[union-attr]


def bisected(network: Network, smallest: int, **more: Any) -> tuple[list[int], int]:
    """The radii that an attempt tries when every ball from `smallest` on will do, and the radius of the image it keeps."""
    planner = interference(network, 16, 16, **more)
    job: Job | None = planner.first(wanted(("car",)), 0)
    tried = []
    while job is not None:
        radius = int(job.radius)
        tried.append(radius)
        image = np.full((128, 128, 3), 100 + radius, np.uint8)
        verdict: Any = "reached" if radius >= smallest else "no progress"
        outcome = Outcome(job, image, job.centre + np.float32(radius), 9, 0.5, verdict)
        job = planner.next(outcome, 0)
        if job is not None and verdict == "reached":  # a narrower one starts where this one ended
            assert np.array_equal(job.start, outcome.position)
    return tried, int(planner.image(outcome)[0, 0, 0]) - 100


@pytest.mark.parametrize(
    ("smallest", "tried"),
    [
        (8, [4, 6, 8, 7]),
        (7, [4, 6, 8, 7]),
        (5, [4, 6, 5]),
        (3, [4, 2, 3]),
        (1, [4, 2, 1]),
        (10, [4, 6, 8, 12, 10, 9]),
        (11, [4, 6, 8, 12, 10, 11]),
        (16, [4, 6, 8, 12, 16, 14, 15]),
    ],
)
def test_the_smallest_ball_that_will_do_is_found_to_a_grey_level(network: Network, smallest: int, tried: list[int]):
    assert bisected(network, smallest) == (tried, smallest)


def test_a_study_may_keep_to_the_radii_it_names(network: Network):
    assert bisected(network, 5, linf_refined=False) == ([4, 6], 6)


def test_where_no_ball_will_do_the_last_is_kept(network: Network):
    assert bisected(network, 99) == ([4, 6, 8, 12, 16], 16)


def test_what_is_ascended_stands_in_the_recipe(network: Network):
    def climbed(recipe: AdversarialNoiseRecipe) -> object:
        return NoisePlanner(recipe, network, 5).method.objective

    assert climbed(AdversarialNoiseRecipe(kind="adversarial_noise")) == LogOdds(network)
    for name, objective in (("posterior", Posterior), ("log_posterior", LogPosterior)):
        recipe = AdversarialNoiseRecipe(kind="adversarial_noise", ascends=name, mean_weight=0.1)
        assert climbed(recipe) == Near(objective(network))  # P - weight |I - mean|^2 (Zhang et al. 2021)
    assert interference(network, 8, 16, ascends="posterior").method.objective == Posterior(network)


def test_nguyens_rule_takes_the_numbers_of_the_recipe(network: Network):
    published = AdversarialNoiseRecipe(kind="adversarial_noise", rule="nguyen2015")
    assert NoisePlanner(published, network, 5).method.optimiser == NguyenRule(0.03, 0.1, 0.01)
    plain = AdversarialNoiseRecipe(kind="adversarial_noise", rule="nguyen2015", rise=0.02, decay=0.0)
    assert NoisePlanner(plain, network, 5).method.optimiser == NguyenRule(0.02, 0.1, 0.0)


def test_a_class_that_is_named_comes_before_the_rule_s(network: Network):
    orders = classes("other_animacy", network)
    named = with_named(orders, CATEGORIES, {CATEGORIES[0].name: "mug"})
    assert named[0][0] == "mug"
    assert sorted(named[0]) == sorted({*orders[0], "mug"})
    assert named[1:] == orders[1:]
