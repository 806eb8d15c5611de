"""What can be shown online: crops of pairs, or the study's own images, with what a right answer to each would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocols.crops import Crop, read_crops
from protocols.folder import StudyFolder
from protocols.manifest import Stimulus, read_manifest
from protocols.online_plan import Choice, CropPairs, OnlinePlan, Trait
from protocols.problems import FoolscanError


@dataclass(frozen=True)
class Item:
    """One image that may be shown.

    item_id   : crop_id or stim_id.
    source_id : picture or category that it comes from: nobody sees two items of one source.
    file      : relative to the stimuli folder, with forward slashes.
    sha256    : of the file.
    traits    : what a right answer names, by trait: supercategory, category, animal (`animal` or `not_animal`).
    pair_id, member : of a crop.
    set       : of a stimulus.
    """

    item_id: str
    source_id: str
    file: str
    sha256: str
    traits: Mapping[Trait, str]
    pair_id: str | None = None
    member: str | None = None
    set: str | None = None

    @property
    def animal(self) -> bool | None:
        """Whether it comes from an animal; None where that is not known."""
        found = self.traits.get("animal")
        return None if found is None else found == "animal"


def of_crop(crop: Crop) -> Item:
    """A member of a pair."""
    traits: dict[Trait, str] = {"supercategory": crop.supercategory, "category": crop.category}
    return Item(
        crop.crop_id, crop.picture_id, crop.crop_file, crop.sha256, traits, pair_id=crop.pair_id, member=crop.member
    )


def of_stimulus(stimulus: Stimulus) -> Item:
    """An image of a set; its source is the category, of which a study has one regular image."""
    traits: dict[Trait, str] = {
        "supercategory": stimulus.supercategory,
        "category": stimulus.category,
        "animal": "animal" if stimulus.animal_source else "not_animal",
    }
    return Item(stimulus.stim_id, stimulus.category, stimulus.stim_file, stimulus.sha256, traits, set=stimulus.set)


def items_of(plan: OnlinePlan, folder: StudyFolder) -> list[Item]:
    """All items that a design may draw from, in the order of their manifest.

    Raises NotReady where nothing was made yet, FoolscanError where a question asks for what the images do not have.
    """
    if isinstance(plan.design, CropPairs):
        items = [of_crop(crop) for crop in read_crops(folder)]
    else:
        items = [of_stimulus(stimulus) for stimulus in read_manifest(folder) if stimulus.set in plan.design.sets]
    for place, question in enumerate(plan.questions):
        about = getattr(question, "about", None)
        if about is not None and any(about not in item.traits for item in items):
            known = ", ".join(items[0].traits)
            raise FoolscanError(f"online.questions.{place}.about: found {about!r}; of these images is known: {known}")
    return items


def options_of(question: Choice, items: list[Item]) -> tuple[str, ...]:
    """The answers of a choice, without `nothing`, in their fixed order.

    Raises FoolscanError where a right answer is not among them.
    """
    found = dict.fromkeys(item.traits[question.about] for item in items)
    right = (
        [name for name in ("animal", "not_animal") if name in found] if question.about == "animal" else sorted(found)
    )
    options = question.options or tuple(right)
    lacking = [name for name in right if name not in options]
    if lacking:
        raise FoolscanError(
            f"online.questions: {question.name}.options: found no {lacking[0]!r}, which is the right answer to an image; "
            f"the images have: {', '.join(right)}"
        )
    return options
