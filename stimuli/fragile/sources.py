"""The pictures that are mapped: of the picture book, of a folder with a table, or ImageNet's validation pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from protocols.fragile_plan import BookPicturesToMap, FragilePlan, ImageNetToMap
from protocols.image_sets import FolderSource
from protocols.problems import FoolscanError, WorkWanting
from protocols.provenance import sha256_of
from protocols.study import Study
from stimuli.fragile.annotations import annotated_box
from stimuli.fragile.estimates import Box
from stimuli.networks.network import Network, NetworkError
from stimuli.own_pictures import read_own
from stimuli.pictures import LABEL_COLUMNS, labelled_rows
from stimuli.synthesis.starts import ByteImage

BOX_COLUMNS = ("box_left", "box_top", "box_right", "box_bottom")
"""Further columns of a table of labels: pixels, right and bottom not included."""


@dataclass(frozen=True)
class PictureToMap:
    """One picture.

    picture_id    : letters, digits and ``-``; it names files.
    category      : what it shows; `supercategory`: what that is one of.
    network_class : the class that is right: a name, or a number.
    height, width : pixels.
    identity      : what tells that it is the same picture: the hash of its file, or what it is drawn from.
    box           : of the object, where it is known.
    read          : gives its pixels, (height, width, 3), uint8.
    """

    picture_id: str
    category: str
    supercategory: str
    network_class: str | int
    height: int
    width: int
    identity: str
    box: Box | None
    read: Callable[[], ByteImage]

    def true(self, network: Network) -> int:
        """The number of the right class in a network.

        Raises NetworkError when it has no such class.
        """
        if isinstance(self.network_class, str):
            return network.label_index(self.network_class)
        if self.network_class >= len(network.labels):
            raise NetworkError(
                f"network {network.name}: picture {self.picture_id} is of class {self.network_class}, and it has "
                f"{len(network.labels)} classes; use a network with ImageNet's classes"
            )
        return self.network_class


def pictures_to_map(study: Study, plan: FragilePlan) -> tuple[PictureToMap, ...]:
    """The pictures of a study, supercategory by supercategory, so many of each.

    Raises WorkWanting for pictures that are not there yet, FoolscanError for what is wrong with them.
    """
    source = plan.pictures
    if isinstance(source, BookPicturesToMap):
        return tuple(_of_the_book(source, plan.per_supercategory))
    if isinstance(source, FolderSource):
        return tuple(_of_a_folder(study, source, plan.per_supercategory))
    return tuple(_of_imagenet(study, source, plan.per_supercategory))


def _of_the_book(source: BookPicturesToMap, per_supercategory: int) -> Iterator[PictureToMap]:
    from stimuli.picturebook.book import ANIMALS, OBJECTS

    for supercategory, drawings in {**ANIMALS, **OBJECTS}.items():
        categories = list(drawings)
        for number in range(per_supercategory):
            yield _drawn(source, supercategory, categories[number % len(categories)], number // len(categories))


def _drawn(source: BookPicturesToMap, supercategory: str, category: str, index: int) -> PictureToMap:
    from stimuli.picturebook.book import render, render_with_figure

    _, coverage = render_with_figure(category, source.split, index, source.size_px)

    def read() -> ByteImage:
        return render(category, source.split, index, source.size_px)

    return PictureToMap(
        picture_id=f"{category.replace('_', '-')}-{index:04d}",
        category=category,
        supercategory=supercategory,
        network_class=category,
        height=source.size_px,
        width=source.size_px,
        identity=f"picturebook/{source.split}/{category}/{index}/{source.size_px}",
        box=_around(coverage),
        read=read,
    )


def _around(coverage: np.ndarray) -> Box:
    """The box around a figure.

    coverage : (height, width), uint8, 0 where the figure is not.
    """
    rows, columns = np.flatnonzero(coverage.any(axis=1)), np.flatnonzero(coverage.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _of_a_folder(study: Study, source: FolderSource, per_supercategory: int) -> Iterator[PictureToMap]:
    labels = study.folder / source.folder / source.labels
    if not labels.is_file():
        raise WorkWanting(
            f"{labels}: no such file; put pictures into {labels.parent} with a tab-separated table of columns "
            f"{', '.join(LABEL_COLUMNS)} (and, where objects are boxed, {', '.join(BOX_COLUMNS)}), or set fragile.pictures to "
            "{kind: picturebook}"
        )
    taken: dict[str, int] = {}
    for line, row in labelled_rows(labels, BOX_COLUMNS):
        number = taken.get(row["supercategory"], 0)
        if number < per_supercategory:
            taken[row["supercategory"]] = number + 1
            path = labels.parent / row["file"]
            box = _box(row, labels, line)
            yield _of_file(path, row["category"], row["supercategory"], row["network_class"], box)


def _of_file(path: Path, category: str, supercategory: str, network_class: str | int, box: Box | None) -> PictureToMap:
    pixels = read_own(path).pixels
    height, width = pixels.shape[:2]

    def read() -> ByteImage:
        return read_own(path).pixels

    if box is not None and not (0 <= box[0] < box[2] <= height and 0 <= box[1] < box[3] <= width):
        raise FoolscanError(
            f"{path}: found the box {box} of an object in a picture of {width} x {height} pixels; it must lie in it"
        )
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in path.stem)
    return PictureToMap(name, category, supercategory, network_class, height, width, sha256_of(path), box, read)


def _box(row: dict[str, str], labels: Path, line: int) -> Box | None:
    cells = [row.get(column, "") for column in BOX_COLUMNS]
    if not any(cells):
        return None
    try:
        left, top, right, bottom = map(int, cells)
    except ValueError:
        raise FoolscanError(
            f"{labels}:{line}: found {', '.join(cells)} as {', '.join(BOX_COLUMNS)}; give four whole numbers of pixels, or none"
        ) from None
    return top, left, bottom, right


def _of_imagenet(study: Study, source: ImageNetToMap, per_supercategory: int) -> Iterator[PictureToMap]:
    folder = study.folder / source.folder
    truth = folder / source.truth
    if not truth.is_file():
        raise WorkWanting(
            f"{truth}: no such file; put ImageNet's validation pictures into {folder} with its list: on every line a file name and "
            "a class number from 0"
        )
    members = {number: name for name, numbers in source.supercategories.items() for number in numbers}
    taken = dict.fromkeys(source.supercategories, 0)
    for line, text in enumerate(truth.read_text(encoding="utf-8").splitlines()):
        match text.split():
            case [file, number] if number.isdecimal():
                pass
            case _:
                raise FoolscanError(
                    f"{truth}:{line + 1}: found {text!r}, expected a file name and a class number from 0"
                )
        supercategory = members.get(int(number))
        if supercategory is None or line in source.left_out or taken[supercategory] >= per_supercategory:
            continue
        taken[supercategory] += 1
        path = folder / file
        box = annotated_box(folder / source.boxes / f"{path.stem}.xml") if source.boxes else None
        yield _of_file(path, f"class{number}", supercategory, int(number), box)
