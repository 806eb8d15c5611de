"""The regular pictures of a study: drawn by the picture book, or the user's own with a table of labels."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from protocols.image_sets import FolderSource, PictureBookSource
from protocols.problems import FoolscanError, WorkWanting, near
from protocols.provenance import sha256_of
from protocols.seeds import seed_for
from protocols.study import Study
from stimuli.own_pictures import read_own
from stimuli.synthesis.starts import ByteImage

LABEL_COLUMNS = ("file", "category", "supercategory", "animal", "network_class")
RESAMPLING = Image.Resampling.LANCZOS


@dataclass(frozen=True)
class PictureCategory:
    """One category of a study and the network class that is right for it."""

    name: str
    supercategory: str
    animal: bool
    network_class: str


class Pictures(Protocol):
    """Where regular pictures come from."""

    @property
    def categories(self) -> tuple[PictureCategory, ...]:
        """The study's categories, in its order."""

    def image(self, category: PictureCategory, attempt: int) -> ByteImage:
        """A picture of the category on the study's grid, (size_px, size_px, 3); another one at every attempt from 0."""

    def choices(self, category: PictureCategory) -> int | None:
        """How many pictures of the category there are; None: as many as wanted."""

    def identity(self, category: PictureCategory) -> str:
        """What the category's pictures are, in order: the same pictures give the same text."""

    def files(self) -> tuple[Path, ...]:
        """The files that the pictures are read from."""

    def conversions(self) -> dict[str, tuple[str, ...]]:
        """What was done to pictures that are not 8-bit sRGB, by file; nothing for those that are."""


def pictures_of(study: Study) -> Pictures:
    """The pictures that a study names, checked.

    Raises WorkWanting when the user's pictures are not there yet, FoolscanError for what is wrong with them.
    """
    plan = study.stimuli
    if isinstance(plan.pictures, PictureBookSource):
        return BookPictures(plan.pictures.split, plan.size_px, study.seed, book_categories(plan.n_categories))
    return FolderPictures.read(study, plan.pictures)


@dataclass(frozen=True)
class BookPictures:
    """Pictures of the picture book: the study's seed says which, and the next one follows at every attempt."""

    split: str
    size_px: int
    study_seed: int
    categories: tuple[PictureCategory, ...]

    def image(self, category: PictureCategory, attempt: int) -> ByteImage:
        """The picture whose number is that of the seed plus the attempt."""
        from stimuli.picturebook.book import render

        return render(category.name, self.split, self.first_index(category) + attempt, self.size_px)

    def first_index(self, category: PictureCategory) -> int:
        """The number, 0 to 999, of the picture that is tried first."""
        return seed_for(self.study_seed, f"picture/{category.name}") % 1000

    def choices(self, category: PictureCategory) -> int | None:
        """The book never ends."""
        return None

    def identity(self, category: PictureCategory) -> str:
        """The split and the number of the first."""
        return f"picturebook/{self.split}/{category.name}/{self.first_index(category)}"

    def files(self) -> tuple[Path, ...]:
        """None: they are drawn."""
        return ()

    def conversions(self) -> dict[str, tuple[str, ...]]:
        """None."""
        return {}


def book_categories(n_categories: int) -> tuple[PictureCategory, ...]:
    """As many categories of the picture book, half of them animals, spread over the supercategories.

    Raises FoolscanError when the book has fewer.
    """
    from stimuli.picturebook.book import CATEGORIES

    if n_categories > len(CATEGORIES):
        raise FoolscanError(
            f"stimuli.n_categories: found {n_categories}; the picture book has {len(CATEGORIES)} categories"
        )
    by_supercategory: dict[str, list[int]] = {}
    for category in CATEGORIES:
        by_supercategory.setdefault(category.supercategory, []).append(category.index)
    kinds = {
        animal: [s for s in by_supercategory if CATEGORIES[by_supercategory[s][0]].animal is animal]
        for animal in (True, False)
    }
    turns = max(len(names) for names in kinds.values())
    depth = max(len(members) for members in by_supercategory.values())
    order = [
        by_supercategory[names[turn]][level]
        for level in range(depth)
        for turn in range(turns)
        for names in kinds.values()
        if turn < len(names) and level < len(by_supercategory[names[turn]])
    ]
    chosen = [CATEGORIES[index] for index in sorted(order[:n_categories])]
    return tuple(PictureCategory(c.name, c.supercategory, c.animal, c.name) for c in chosen)


@dataclass(frozen=True)
class FolderPictures:
    """The user's own pictures: cut to the middle square and resampled to the study's grid, all by one filter.

    paths     : category -> its files.
    converted : file as the table names it -> what was done to it.
    """

    paths: dict[str, tuple[Path, ...]]
    size_px: int
    categories: tuple[PictureCategory, ...]
    converted: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, study: Study, source: FolderSource) -> FolderPictures:
        """Read the table and check every picture."""
        folder = study.folder / source.folder
        labels = folder / source.labels
        if not labels.is_file():
            columns = ", ".join(LABEL_COLUMNS)
            raise WorkWanting(
                f"{labels}: no such file; put pictures into {folder} with a tab-separated table of columns {columns}, "
                "or set stimuli.pictures to {kind: picturebook}"
            )
        categories: dict[str, PictureCategory] = {}
        paths: dict[str, tuple[Path, ...]] = {}
        for line, row in labelled_rows(labels):
            category = PictureCategory(
                row["category"], row["supercategory"], _truth(row["animal"], labels, line), row["network_class"]
            )
            if not (category.name.isascii() and category.name.replace("_", "").isalnum()):
                raise FoolscanError(
                    f"{labels}:{line}: category: found {category.name!r}; letters, digits and _ (it names files)"
                )
            if categories.setdefault(category.name, category) != category:
                raise FoolscanError(
                    f"{labels}:{line}: category {category.name!r} was described otherwise above; say the same for all its pictures"
                )
            paths[category.name] = (*paths.get(category.name, ()), folder / row["file"])
        wanted = study.stimuli.n_categories
        if len(categories) != wanted:
            raise FoolscanError(
                f"{labels}: found {len(categories)} categories; stimuli.n_categories of study {study.name} says {wanted}"
            )
        pictures = cls(paths, study.stimuli.size_px, tuple(categories.values()))
        return replace(pictures, converted={_named(path, folder): done for path, done in pictures.check().items()})

    def check(self) -> dict[Path, tuple[str, ...]]:
        """Read every picture once; FoolscanError lists all that are wrong.

        Returns what was done to those that are not 8-bit sRGB.
        """
        wrong, converted = [], {}
        for path in self.files():
            try:
                picture = read_own(path)
                on_grid(picture.pixels, self.size_px, path)
            except FoolscanError as error:
                wrong.append(str(error))
                continue
            if picture.converted:
                converted[path] = picture.converted
        if wrong:
            raise FoolscanError("\n".join(wrong))
        return converted

    def image(self, category: PictureCategory, attempt: int) -> ByteImage:
        """The category's next picture in the order of the table."""
        path = self.paths[category.name][attempt]
        return on_grid(read_own(path).pixels, self.size_px, path)

    def choices(self, category: PictureCategory) -> int | None:
        """The number of the category's pictures in the table."""
        return len(self.paths[category.name])

    def identity(self, category: PictureCategory) -> str:
        """The hashes of the files."""
        return " ".join(sha256_of(path) for path in self.paths[category.name])

    def files(self) -> tuple[Path, ...]:
        """Every picture of the table."""
        return tuple(path for paths in self.paths.values() for path in paths)

    def conversions(self) -> dict[str, tuple[str, ...]]:
        """What was done to the pictures of the table that are not 8-bit sRGB."""
        return self.converted


def on_grid(picture: ByteImage, size_px: int, path: Path) -> ByteImage:
    """The middle square of a picture on a grid of size_px x size_px pixels (Lanczos).

    Raises FoolscanError when the picture is smaller than the grid: enlarging would make it smoother than the others.
    """
    height, width = picture.shape[:2]
    side = min(height, width)
    if side < size_px:
        raise FoolscanError(
            f"{path}: found {width} x {height} px, smaller than the grid of {size_px} px; use a larger picture"
        )
    top, left = (height - side) // 2, (width - side) // 2
    square = Image.fromarray(np.ascontiguousarray(picture[top : top + side, left : left + side]))
    return np.asarray(square if side == size_px else square.resize((size_px, size_px), RESAMPLING))


def animacy(categories: Sequence[PictureCategory], labels: Sequence[str]) -> dict[str, bool]:
    """Which classes of a network are known to be animals or not: the study's, the picture book's and ImageNet's.

    labels : (n_classes,) of the network.
    """
    from stimuli.picturebook.book import CATEGORIES

    known: dict[str, bool] = {}
    if len(labels) == 1000 and labels[0].startswith("tench"):
        known |= {label: index < IMAGENET_ANIMALS for index, label in reversed(list(enumerate(labels)))}
    known |= {category.name: category.animal for category in CATEGORIES if set(labels) >= {c.name for c in CATEGORIES}}
    return known | {category.network_class: category.animal for category in categories}


# The first 398 of the 1000 classes of ILSVRC 2012 are animals, from tench to starfish and sea cucumber.
IMAGENET_ANIMALS = 398


def _named(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def labelled_rows(labels: Path, further: Sequence[str] = ()) -> list[tuple[int, dict[str, str]]]:
    """The rows of a table of labels, each with its line.

    further : columns that need not be there, nor have anything in a row.

    Raises FoolscanError with line and column for what is lacking.
    """
    try:
        with labels.open(encoding="utf-8-sig", newline="") as lines:
            table = csv.DictReader(lines, delimiter="\t")
            found = table.fieldnames or []
            lacking = [column for column in LABEL_COLUMNS if column not in found]
            if lacking:
                hints = "".join(near(column, found) for column in lacking)
                raise FoolscanError(
                    f"{labels}:1: found columns {', '.join(found) or 'none'}; lacking: {', '.join(lacking)}{hints} (tab-separated)"
                )
            rows = [
                (line, {column: (row.get(column) or "").strip() for column in (*LABEL_COLUMNS, *further)})
                for line, row in enumerate(table, 2)
            ]
    except UnicodeDecodeError as error:
        raise FoolscanError(f"{labels}: a byte that is not UTF-8 at {error.start}; save it as UTF-8 text") from error
    for line, row in rows:
        empty = [column for column in LABEL_COLUMNS if not row[column]]
        if empty:
            raise FoolscanError(f"{labels}:{line}: nothing in column {', '.join(empty)}")
    return rows


def _truth(cell: str, labels: Path, line: int) -> bool:
    if cell.lower() not in {"true", "false"}:
        raise FoolscanError(f"{labels}:{line}: animal: found {cell!r}, expected true or false")
    return cell.lower() == "true"
