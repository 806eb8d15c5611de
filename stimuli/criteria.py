"""The recipe's criterion asked again of an image that stands in the manifest."""

from __future__ import annotations

from collections.abc import Sequence

from protocols.folder import StudyFolder
from protocols.image_sets import (
    AdversarialInterferenceRecipe,
    AdversarialNoiseRecipe,
    FeatureAdversaryRecipe,
    InversionRecipe,
    LabelAdversaryRecipe,
    NoiseRecipe,
    PicturesRecipe,
    Recipe,
)
from protocols.manifest import Stimulus, class_of_category
from protocols.problems import FoolscanError
from protocols.study import Study
from stimuli.image_files import read_rgb
from stimuli.judging import Judged
from stimuli.networks.network import Network
from stimuli.pictures import PictureCategory
from stimuli.planners.planner import Planner, Verdict, Wanted
from stimuli.planners.registry import Load, planner_for


class Criteria:
    """The criteria of a study's sets, for the images of its manifest.

    study   : names the recipes.
    folder  : where the images stand.
    stimuli : every row of the manifest.
    network : the study's.
    load    : gives the further networks that recipes name.
    """

    def __init__(
        self, study: Study, folder: StudyFolder, stimuli: Sequence[Stimulus], network: Network, load: Load
    ) -> None:
        self._study, self._folder, self._network, self._load = study, folder, network, load
        self._rows = {stimulus.stim_id: stimulus for stimulus in stimuli}
        self._classes = class_of_category(stimuli)
        self._planners: dict[str, Planner] = {}

    def recipe(self, stimulus: Stimulus) -> Recipe:
        """The recipe of an image's set.

        Raises FoolscanError when the study has no such set: the images were made from another study file.
        """
        try:
            return self._study.stimuli.sets[stimulus.set]
        except KeyError:
            sets = ", ".join(self._study.stimuli.sets)
            raise FoolscanError(
                f"{self._folder.manifest}: found set {stimulus.set}; study {self._study.name} has {sets}; "
                "make its images into a folder of their own with --to"
            ) from None

    def failure_expected(self, stimulus: Stimulus) -> bool:
        """Whether an image of this set may fail without the set being wanting."""
        return bool(getattr(self.recipe(stimulus), "failures_expected", False))

    def others(self, stimulus: Stimulus) -> tuple[Stimulus, ...]:
        """The images that the criterion needs beside the image itself: its source and its guide."""
        named = [name for name in (stimulus.source_id, stimulus.guide_id) if name is not None]
        return tuple(self._rows[name] for name in named if name in self._rows)

    def verdict(self, stimulus: Stimulus, judged: Judged) -> Verdict:
        """Whether an image, as it was judged, is what its recipe asks for.

        Raises FoolscanError when its source or guide cannot be read or is not in the manifest.
        """
        recipe = self.recipe(stimulus)
        if isinstance(recipe, PicturesRecipe):
            return Verdict(judged.label == stimulus.target_class)
        if stimulus.set not in self._planners:
            self._planners[stimulus.set] = planner_for(recipe, self._network, self._study.seed, self._load)
        return self._planners[stimulus.set].verdict(self._wanted(stimulus), 0, judged)

    def _wanted(self, stimulus: Stimulus) -> Wanted:
        category = PictureCategory(
            stimulus.category,
            stimulus.supercategory,
            stimulus.animal_source,
            self._classes.get(stimulus.category, stimulus.target_class),
        )
        source = self._row(stimulus, stimulus.source_id, "source_id")
        guide = self._row(stimulus, stimulus.guide_id, "guide_id") if stimulus.guide_id else None
        return Wanted(
            stimulus.stim_id,
            category,
            source.stim_id,
            read_rgb(source.path(self._folder)),
            (stimulus.target_class,),  # the class that was wanted of it, whichever attempt it is from
            guide.stim_id if guide else None,
            read_rgb(guide.path(self._folder)) if guide else None,
        )

    def _row(self, stimulus: Stimulus, name: str | None, column: str) -> Stimulus:
        if name is None or name not in self._rows:
            raise FoolscanError(
                f"{self._folder.manifest}: {stimulus.stim_id}: {column}: found {name or 'n/a'}, expected an image of the "
                "manifest; make the stimuli again"
            )
        return self._rows[name]


def criterion_in_words(recipe: Recipe) -> str:
    """What an image must be for its recipe's criterion to be met, as a clause."""
    match recipe:
        case PicturesRecipe():
            return "its own class named"
        case AdversarialNoiseRecipe() | AdversarialInterferenceRecipe():
            return f"its target named with a posterior of at least {recipe.confidence!r}"
        case NoiseRecipe():
            return f"no class with a posterior above {recipe.most_confidence!r}"
        case FeatureAdversaryRecipe():
            return f"a representation ratio below {recipe.ratio!r}"
        case InversionRecipe():
            return f"a relative error of the representation below {recipe.error!r}"
        case LabelAdversaryRecipe():
            return _label_adversary_in_words(recipe)
    return "a change as long as the one it is the control of"


def _label_adversary_in_words(recipe: LabelAdversaryRecipe) -> str:
    if recipe.target == "away":
        text = "its own class not named"
    else:
        sure = f" with a posterior of at least {recipe.confidence!r}" if recipe.confidence else ""
        text = f"its target named{sure}"
    if len(recipe.networks) < 2:
        return text
    return f"{text} by {'more than half' if recipe.ensemble == 'vote' else 'each'} of {len(recipe.networks)} networks"
