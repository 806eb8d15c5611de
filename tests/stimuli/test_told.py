"""What `make` prints of the sets it made, and of the images that are wanting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from protocols.folder import StudyFolder
from protocols.image_sets import (
    ControlRecipe,
    FeatureAdversaryRecipe,
    InversionRecipe,
    LabelAdversaryRecipe,
    NetworkPlan,
    NoiseRecipe,
    PicturesRecipe,
)
from protocols.manifest import in_set
from protocols.study import Study
from stimuli.criteria import criterion_in_words
from stimuli.make import MakeResult, make


def result_of(several: tuple[Study, StudyFolder]) -> MakeResult:
    """Nothing is made anew: the folder is finished."""
    return make(*several, "cpu")


def test_sets_with_a_representation_tell_of_its_ratio(several: tuple[Study, StudyFolder]) -> None:
    result = result_of(several)
    ratios = [row.representation_ratio for row in in_set(result.stimuli, "FA")]
    told = f"representation ratio at most {max(r or 0 for r in ratios):.3f} (median {np.median(np.array(ratios, float)):.3f})"
    assert told in result.summary["FA"]
    assert "posterior" not in result.summary["FA"]
    assert "posterior of the target at least 0.9" in result.summary["AI"]


def test_a_failure_is_told_with_what_was_wanted_and_digits_that_show_the_difference(
    several: tuple[Study, StudyFolder],
) -> None:
    result = result_of(several)
    rows = tuple(replace(row, success=False, confidence=0.99997) if row.set == "AI" else row for row in result.stimuli)
    said = replace(result, stimuli=rows).complaint.splitlines()
    assert len(said) == 5
    assert all("0.9999700000 (wanted: its target named with a posterior of at least 0.99)" in line for line in said[1:])
    rows = tuple(replace(row, success=False) if row.set == "FA" else row for row in result.stimuli)
    (line, *_) = replace(result, stimuli=rows).complaint.splitlines()[1:]
    assert ", representation ratio 0." in line
    assert "(wanted: a representation ratio below 0.5)" in line


def test_every_criterion_has_its_words() -> None:
    two = (NetworkPlan(name="picturenet"), NetworkPlan(name="picturenet-b"))
    pgd = LabelAdversaryRecipe(kind="label_adversary", attack="pgd", networks=two)
    words = [
        (PicturesRecipe(kind="pictures"), "its own class named"),
        (NoiseRecipe(kind="noise"), "no class with a posterior above 0.5"),
        (FeatureAdversaryRecipe(kind="feature_adversary", layer="fc7"), "a representation ratio below 0.5"),
        (InversionRecipe(kind="inversion", layer="fc7"), "a relative error of the representation below 0.2"),
        (pgd, "its target named by each of 2 networks"),
        (pgd.model_copy(update={"ensemble": "vote"}), "its target named by more than half of 2 networks"),
        (pgd.model_copy(update={"target": "away", "networks": ()}), "its own class not named"),
        (
            pgd.model_copy(update={"confidence": 0.9999999, "networks": ()}),
            "its target named with a posterior of at least 0.9999999",
        ),
        (ControlRecipe(kind="control", of="AI", change="flipped"), "a change as long as the one it is the control of"),
    ]
    assert [criterion_in_words(recipe) for recipe, _ in words] == [text for _, text in words]
