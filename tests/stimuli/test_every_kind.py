"""One set of every kind, made, read back and judged: each is what its recipe says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_image_study import contents, small_study

from protocols.folder import StudyFolder
from protocols.manifest import Stimulus, in_set
from protocols.problems import FoolscanError, ProtocolError
from protocols.study import Study
from stimuli.contact_sheet import contact_sheet
from stimuli.make import MakeResult, make
from stimuli.verify import verify

SETS = """sets: {
    NO: {kind: noise},
    NG: {kind: adversarial_noise, rule: nguyen2015, confidence: 0.5, max_steps: 300},
    IS: {kind: control, of: AI, change: shuffled},
    IP: {kind: control, of: AI, change: phase_scrambled},
    SZ: {kind: label_adversary, attack: szegedy, weights_tried: 6},
    FG: {kind: label_adversary, attack: fgsm, target: away, failures_expected: true},
    GR: {kind: label_adversary, attack: fast_gradient, epsilon: 8.0, failures_expected: true},
    PG: {kind: label_adversary, attack: pgd, networks: [{name: picturenet}, {name: picturenet-b}], ensemble: vote,
         max_steps: 20, random_start: true, failures_expected: true},
    LO: {kind: label_adversary, attack: label_opt, max_steps: 30, failures_expected: true},
    FA: {kind: feature_adversary, layer: fc7, max_steps: 60},
    FL: {kind: feature_adversary, layer: fc7, method: feature_linear, max_steps: 20, failures_expected: true},
    FF: {kind: feature_adversary, layer: fc7, method: feature_fgrad, failures_expected: true},
    ON: {kind: feature_adversary, layer: fc7, network: {name: picturenet, weights: random_orthonormal}, max_steps: 60,
         failures_expected: true},
    IN: {kind: inversion, layer: conv4, max_steps: 60},
}"""


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, StudyFolder, MakeResult]:
    place = tmp_path_factory.mktemp("every")
    study = small_study(place, SETS)
    folder = StudyFolder(place / "study")
    return study, folder, make(study, folder, "cpu")


def of(result: MakeResult, name: str) -> list[Stimulus]:
    return in_set(result.stimuli, name)


def test_every_set_is_made_and_none_is_wanting(every: tuple[Study, StudyFolder, MakeResult]) -> None:
    study, folder, result = every
    assert {stimulus.set for stimulus in result.stimuli} == set(study.stimuli.sets)
    assert result.failures == ()
    assert all(len(of(result, name)) == 4 for name in study.stimuli.sets)
    told = {found.file.split("/")[0] for found in verify(study, folder, "cpu").disagreements}
    assert told <= set(result.expected)  # the file is what the manifest says; a failure is told of
    assert len(contact_sheet(study, folder)) == len(study.stimuli.sets) + 2


def test_made_again_nothing_changes(every: tuple[Study, StudyFolder, MakeResult]) -> None:
    study, folder, _ = every
    before = contents(folder.stimuli)
    make(study, folder, "cpu")
    assert contents(folder.stimuli) == before


def test_changes_stay_in_their_ball(every: tuple[Study, StudyFolder, MakeResult]) -> None:
    result = every[2]
    for name, radius in {"FG": 8, "PG": 8, "LO": 8, "FA": 10, "FL": 10, "FF": 10, "ON": 10}.items():
        assert all(0 < (stimulus.linf or 0) <= radius for stimulus in of(result, name)), name
    assert all(stimulus.linf is None for name in ("NO", "NG", "IN") for stimulus in of(result, name))


def test_szegedys_change_is_smaller_than_the_fast_ones(every: tuple[Study, StudyFolder, MakeResult]) -> None:
    result = every[2]
    least = {stimulus.category: stimulus.l2 or np.inf for stimulus in of(result, "SZ")}
    assert all(stimulus.network_label == stimulus.target_class for stimulus in of(result, "SZ"))
    assert all(least[s.category] < (s.l2 or 0) for s in of(result, "FG"))


def test_controls_are_as_far_as_their_adversary_and_keep_their_class(
    every: tuple[Study, StudyFolder, MakeResult],
) -> None:
    result = every[2]
    adversary = {stimulus.stim_id: stimulus for stimulus in of(result, "AI")}
    right = {stimulus.category: stimulus.target_class for stimulus in of(result, "RE")}
    for stimulus in of(result, "IS") + of(result, "IP"):
        theirs = adversary[str(stimulus.guide_id)]
        assert stimulus.source_id == theirs.source_id
        assert stimulus.l2 == pytest.approx(theirs.l2, rel=0.05)
        assert stimulus.network_label == right[stimulus.category]


def test_feature_adversaries_take_their_guides_representation(every: tuple[Study, StudyFolder, MakeResult]) -> None:
    result = every[2]
    ratios = {
        name: np.median([stimulus.representation_ratio or np.inf for stimulus in of(result, name)])
        for name in ("FA", "FL", "FF")
    }
    assert ratios["FA"] < 0.5  # Sabour et al. 2016: nearer the guide than half the way
    assert ratios["FA"] < ratios["FL"]  # what a linear approximation reaches is less
    assert ratios["FA"] < ratios["FF"]
    assert all(stimulus.guide_id != stimulus.source_id for stimulus in of(result, "FA"))


def test_noise_alone_is_named_with_little_confidence_and_adversarial_noise_with_much(
    every: tuple[Study, StudyFolder, MakeResult],
) -> None:
    result = every[2]
    assert all(stimulus.confidence < 0.5 for stimulus in of(result, "NO"))
    assert all(stimulus.confidence >= 0.5 for stimulus in of(result, "NG"))


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ("C: {kind: control, of: AN, change: flipped}", "a set that changes regular images"),
        ("C: {kind: control, of: C, change: flipped}", "a set that changes regular images"),
        ("F: {kind: feature_adversary, layer: fc7, epsilon: 0.0}", "epsilon"),
        ("F: {kind: label_adversary, attack: deepfool}", "szegedy"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_by_the_study(tmp_path: Path, sets: str, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        small_study(tmp_path, f"sets: {{{sets}}}")


def test_a_layer_that_there_is_not_names_those_there_are(tmp_path: Path) -> None:
    study = small_study(tmp_path, "sets: {F: {kind: feature_adversary, layer: pool9}}")
    with pytest.raises(
        FoolscanError,
        match=r"small.yaml:5: stimuli.sets.F.layer: found 'pool9' .*; a layer of picturenet: conv1, conv2",
    ):
        make(study, StudyFolder(tmp_path / "study"), "cpu")
