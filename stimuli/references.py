"""Reference images: further pictures, which nobody is shown, whose representations adversaries are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocols.image_sets import PicturesRecipe, ReferencesPlan
from protocols.manifest import Stimulus
from protocols.problems import FoolscanError
from protocols.seeds import generator_for
from protocols.study import Study
from stimuli.pictures import BookPictures, FolderPictures, PictureCategory, Pictures
from stimuli.synthesis.starts import ByteImage

MOST_ATTEMPTS = 10
"""So many pictures of a category may be tried for the regular image: references of the same split come after them."""


@dataclass(frozen=True)
class Reference:
    """One reference image.

    reference_id : ``owl-0003``, its category and the number of the picture.
    category     : of the picture.
    sample       : 'category' (one of so many of each), or 'random' (drawn from all).
    picture      : what it is: ``picturebook/train/owl/3``, or the name of the file.
    file         : where it is read from; None for a drawn one.
    read         : its pixels on the study's grid, (size_px, size_px, 3).
    """

    reference_id: str
    category: PictureCategory
    sample: str
    picture: str
    file: Path | None
    read: Callable[[], ByteImage]


def references(
    study: Study, plan: ReferencesPlan, pictures: Pictures, stimuli: Sequence[Stimulus]
) -> tuple[Reference, ...]:
    """The reference images of a study: those of every category in turn, then the random ones; no picture twice.

    plan     : how many, and from where.
    pictures : where the regular images come from.
    stimuli  : the manifest, which says which pictures are shown.

    Raises FoolscanError when a folder has no picture beside those that are shown.
    """
    if isinstance(pictures, BookPictures):
        return _of_the_book(study, plan, pictures)
    if isinstance(pictures, FolderPictures):
        return _of_a_folder(study, plan, pictures, _shown(study, stimuli))
    raise ValueError(f"no references of {type(pictures).__name__}")


def _of_the_book(study: Study, plan: ReferencesPlan, pictures: BookPictures) -> tuple[Reference, ...]:
    from stimuli.picturebook.book import CATEGORIES, render

    of_book = tuple(PictureCategory(c.name, c.supercategory, c.animal, c.name) for c in CATEGORIES)
    used: dict[str, int] = {}

    def next_of(category: PictureCategory, sample: str) -> Reference:
        first = pictures.first_index(category) + MOST_ATTEMPTS if plan.split == pictures.split else 0
        index = first + used.get(category.name, 0)
        used[category.name] = used.get(category.name, 0) + 1
        name = f"picturebook/{plan.split}/{category.name}/{index}"

        def read() -> ByteImage:
            return render(category.name, plan.split, index, pictures.size_px)

        return Reference(f"{category.name}-{index:04d}", category, sample, name, None, read)

    found = [next_of(category, "category") for category in pictures.categories for _ in range(plan.per_category)]
    draw = generator_for(study.seed, "references")
    found += [next_of(of_book[int(draw.integers(len(of_book)))], "random") for _ in range(plan.random)]
    return tuple(found)


def _of_a_folder(
    study: Study, plan: ReferencesPlan, pictures: FolderPictures, shown: Mapping[str, int]
) -> tuple[Reference, ...]:
    left = {
        category: [index for index in range(len(pictures.paths[category.name])) if index != shown.get(category.name)]
        for category in pictures.categories
    }

    def reference(category: PictureCategory, index: int, sample: str) -> Reference:
        file = pictures.paths[category.name][index]

        def read() -> ByteImage:
            return pictures.image(category, index)

        return Reference(f"{category.name}-{index:04d}", category, sample, file.name, file, read)

    found = [
        reference(category, index, "category") for category in left for index in left[category][: plan.per_category]
    ]
    rest = [(category, index) for category in left for index in left[category][plan.per_category :]]
    order = generator_for(study.seed, "references").permutation(len(rest))[: plan.random]
    found += [reference(*rest[int(place)], "random") for place in order]
    if not found:
        raise FoolscanError(
            "stimuli.references: found no picture beside those that are shown; put more of each category into the folder "
            "and its table, or take references out of the study"
        )
    return tuple(found)


def _shown(study: Study, stimuli: Sequence[Stimulus]) -> dict[str, int]:
    """The number of each category's picture that became its regular image."""
    sets = {name for name, recipe in study.stimuli.sets.items() if isinstance(recipe, PicturesRecipe)}
    return {stimulus.category: stimulus.attempts - 1 for stimulus in stimuli if stimulus.set in sets}
