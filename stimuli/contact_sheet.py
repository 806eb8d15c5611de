"""Images for people to look at: each set on one sheet, and every source beside what was made from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from protocols.folder import StudyFolder
from protocols.image_sets import InversionRecipe, PictureBookSource, PicturesRecipe
from protocols.manifest import Stimulus, in_set, read_manifest
from protocols.problems import FoolscanError
from protocols.provenance import write_sidecar
from protocols.study import Study
from stimuli.differences import CUT, changes, difference, gain_of
from stimuli.image_files import read_stimulus, write_png
from stimuli.records import only_maker
from stimuli.synthesis.starts import ByteImage

LARGEST_PX = 160
"""Images up to this side are shown pixel by pixel, larger ones are reduced to it."""
GAP_PX, MARGIN_PX = 12, 36
CELLS_ACROSS = 12
"""About as many images as a screen holds side by side."""
PAPER, INK, QUIET, GOOD, BAD = "#ffffff", "#1d1f24", "#7a7f88", "#1f6f54", "#b3261e"
WHAT = {
    "pictures": "regular images",
    "adversarial_noise": "adversarial noise",
    "adversarial_interference": "adversarial interference",
    "label_adversary": "label adversaries",
    "feature_adversary": "feature adversaries",
    "inversion": "inverted representations",
    "control": "controls of equal length",
    "noise": "noise alone",
}
NUMBER = re.compile(r"(, (target|ratio))? [0-9.]+( %)?$")
"""At the end of a verdict: ``, target 99.3 %``, ``, ratio 0.21``, ``99.3 %``."""
Line = tuple[str, str]
"""A line of a caption: text, colour."""


@dataclass(frozen=True)
class Cell:
    """An image with the lines under it."""

    image: ByteImage
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Block:
    """Cells under one heading."""

    heading: str
    cells: tuple[Cell, ...]


def contact_sheet(study: Study, folder: StudyFolder) -> list[Path]:
    """Draw the contact sheets of a study: one for each set, one of sources and changes, one of the picture book.

    study  : names the sets.
    folder : the study folder, with its images made.

    Returns the PNG files in ``derivatives/foolscan/contact-sheets/``.

    Raises NotReady when there is no manifest, FoolscanError for an image that cannot be read, or
    when another command makes images in the folder.
    """
    read_manifest(folder)  # where there are no images yet, nothing is locked or written
    with only_maker(folder):
        return _contact_sheets(study, folder)


def _contact_sheets(study: Study, folder: StudyFolder) -> list[Path]:
    stimuli = read_manifest(folder)
    images = {stimulus.stim_id: read_stimulus(folder, stimulus) for stimulus in stimuli}
    sheets: dict[str, ByteImage] = {}
    for name, recipe in study.stimuli.sets.items():
        rows = in_set(stimuli, name)
        if not rows:
            raise FoolscanError(
                f"{folder.manifest}: no images of set {name}; make them: foolscan stimuli make {study.name}"
            )
        sheets[name] = set_sheet(name, WHAT[recipe.kind], rows, images, isinstance(recipe, InversionRecipe))
    for name, recipe in study.stimuli.sets.items():
        if isinstance(recipe, PicturesRecipe):
            sources = {row.stim_id for row in in_set(stimuli, name)}
            derived = {
                other: kind
                for other, kind in study.stimuli.sets.items()
                if any(row.source_id in sources for row in in_set(stimuli, other))
            }
            changed = [other for other, kind in derived.items() if kind.changes_source]
            sheets["triplets"] = side_by_side(name, list(derived), changed, stimuli, images)
    if isinstance(study.stimuli.pictures, PictureBookSource):
        sheets["picture-book"] = book_sheet(study.stimuli.pictures.split)
    written = []
    for title, sheet in sheets.items():
        path = folder.derived("contact-sheets") / f"{title}.png"
        write_png(path, sheet)
        write_sidecar(folder, path, inputs=[folder.manifest], parameters={"sheet": title}, packages=("numpy", "pillow"))
        written.append(path)
    return written


def set_sheet(
    name: str, what: str, rows: Sequence[Stimulus], images: dict[str, ByteImage], beside_sources: bool = False
) -> ByteImage:
    """One set: animals on the left, the rest on the right, by supercategory, with what the network says.

    name, what     : ``AN``, ``adversarial noise``.
    rows           : the set's part of the manifest.
    images         : stim_id -> (height, width, 3).
    beside_sources : whether each image has its source on its left.
    """
    columns: dict[bool, dict[str, list[Cell]]] = {True: {}, False: {}}
    for row in rows:
        lines = ((row.category.replace("_", " "), INK), (verdict_on(row), GOOD if row.success else BAD))
        cells = columns[row.animal_source].setdefault(row.supercategory, [])
        if beside_sources and row.source_id in images:
            cells.append(Cell(images[row.source_id], ((row.source_id, QUIET),)))
        cells.append(Cell(images[row.stim_id], lines))
    blocks = [
        [Block(heading.replace("_", " "), tuple(cells)) for heading, cells in groups.items()]
        for groups in columns.values()
        if groups
    ]
    failures = sum(not row.success for row in rows)
    told = "posterior" if rows[0].representation_ratio is None else "representation ratio"
    note = f"{len(rows)} images; below each its category, then the class and {told} given by {rows[0].network}"
    note += "; on its left its source" if beside_sources else ""
    return sheet(f"{name}: {what}", note + (f"; {failures} do not meet the criterion" if failures else ""), blocks)


def side_by_side(
    source: str, sets: Sequence[str], changed: Sequence[str], stimuli: Sequence[Stimulus], images: dict[str, ByteImage]
) -> ByteImage:
    """Every source image beside what was made from it, and the change made visible.

    source  : set of the sources.
    sets    : sets made from it.
    changed : those of them whose difference from the source is shown, each amplified by a factor of its own.
    """
    made = {(row.source_id, row.set): row for row in stimuli if row.source_id is not None}
    gains = {name: gain_of(changes(in_set(stimuli, name), images)) for name in changed}
    rows = []
    for row in in_set(stimuli, source):
        cells = [Cell(images[row.stim_id], ((row.category.replace("_", " "), INK),))]
        for name in sets:
            other = made[row.stim_id, name]
            cells.append(Cell(images[other.stim_id], ((verdict_on(other), GOOD if other.success else BAD),)))
            if name in changed:
                seen = difference(images[other.stim_id], images[row.stim_id], gains[name])
                cells.append(Cell(seen, ((f"change up to {other.linf}", QUIET),)))
        rows.append(Block("", tuple(cells)))
    titles = [source]
    for name in sets:
        titles += [name, f"{name} change, x{gains[name]:g}"] if name in changed else [name]
    n_columns = max(1, min(3, CELLS_ACROSS // len(titles)))
    depth = -(-len(rows) // n_columns)
    columns = [rows[start : start + depth] for start in range(0, len(rows), depth)]
    note = f"changes are shown on grey, as many times as large as stands above them; {CUT}"
    return sheet(f"{source} and what was made from it", note, columns, across=len(titles), titles=titles)


def verdict_on(row: Stimulus) -> str:
    """``tench 99.3 %``: the class given, and the target's posterior (where they differ it says so), or the representation ratio."""
    label = row.network_label.replace("_", " ")
    if row.representation_ratio is not None:
        return f"{label}, ratio {row.representation_ratio:.2f}"
    return f"{label}{'' if row.network_label == row.target_class else ', target'} {100 * row.confidence:.1f} %"


def book_sheet(split: str, size_px: int = 128, thumbnail_px: int = 64) -> ByteImage:
    """The whole picture book: of each category one picture, and two more as thumbnails beside it."""
    from stimuli.picturebook.book import CATEGORIES, render

    columns: dict[bool, dict[str, list[Cell]]] = {True: {}, False: {}}
    for category in CATEGORIES:
        large = render(category.name, split, 0, size_px)
        small = [render(category.name, split, index, thumbnail_px) for index in (1, 2)]
        picture = np.concatenate([large, np.concatenate(small, axis=0)], axis=1)
        cell = Cell(picture, ((category.name.replace("_", " "), INK),))
        columns[category.animal].setdefault(category.supercategory, []).append(cell)
    blocks = [
        [Block(heading.replace("_", " "), tuple(cells)) for heading, cells in groups.items()]
        for groups in columns.values()
    ]
    note = f"{len(CATEGORIES)} categories, {split} pictures, {size_px} px and as {thumbnail_px}-px thumbnails"
    return sheet("The picture book", note, blocks)


def sheet(
    title: str, note: str, columns: Sequence[Sequence[Block]], across: int = 4, titles: Sequence[str] = ()
) -> ByteImage:
    """Lay blocks out in columns, cells from left to right.

    title, note : above them.
    columns     : blocks, one list for each column.
    across      : cells side by side within a block.
    titles      : above the cells of every column, (across,) or none.

    Returns (height, width, 3).
    """
    cells = [cell for blocks in columns for block in blocks for cell in block.cells]
    height, width = np.max([_shown(cell.image).size[::-1] for cell in cells], axis=0)
    text_px = 17 * max(len(cell.lines) for cell in cells) + 6
    across = min(across, max(len(block.cells) for blocks in columns for block in blocks))
    cell_w, cell_h = int(width) + GAP_PX, int(height) + text_px + GAP_PX // 2
    column_w = across * cell_w + MARGIN_PX
    tallest = max(sum(_block_px(block, across, cell_h) for block in blocks) for blocks in columns)
    head_px = 84 + (_HEADING_PX if titles else 0)
    words_w = max(font(26).getlength(title), font(14).getlength(note)) + MARGIN_PX
    page_w = MARGIN_PX + max(len(columns) * column_w, int(words_w))
    page = Image.new("RGB", (page_w, head_px + tallest + MARGIN_PX), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN_PX, 22), title, fill=INK, font=font(26))
    draw.text((MARGIN_PX, 56), note, fill=QUIET, font=font(14))
    for place, blocks in enumerate(columns):
        top, left = head_px, MARGIN_PX + place * column_w
        for number, text in enumerate(titles):
            draw.text((left + number * cell_w, top - 22), fitted(text, int(width), 15), fill=INK, font=font(15))
        for block in blocks:
            if block.heading:
                draw.text((left, top + 8), block.heading, fill=QUIET, font=font(15))
            first = top + (_HEADING_PX if block.heading else 0)
            for number, cell in enumerate(block.cells):
                corner = (left + number % across * cell_w, first + number // across * cell_h)
                _draw_cell(page, draw, cell, corner, int(width), int(height))
            top += _block_px(block, across, cell_h)
    return np.asarray(page)


_HEADING_PX = 32


def _block_px(block: Block, across: int, cell_h: int) -> int:
    return (_HEADING_PX if block.heading else 0) + -(-len(block.cells) // across) * cell_h


def _draw_cell(
    page: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, corner: tuple[int, int], width: int, height: int
) -> None:
    left, top = corner
    page.paste(_shown(cell.image), corner)
    for number, (text, colour) in enumerate(cell.lines):
        draw.text((left, top + height + 4 + 17 * number), fitted(text, width), fill=colour, font=font(13))


def _shown(image: ByteImage) -> Image.Image:
    picture = Image.fromarray(image)
    if max(picture.size) <= LARGEST_PX * 2 and min(picture.size) <= LARGEST_PX:
        return picture
    scale = LARGEST_PX / min(picture.size)
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)


def fitted(text: str, width: int, size: int = 13) -> str:
    """The text, cut with dots where it is wider than its image (ImageNet's labels are long); a number at the end stays."""
    letters = font(size)
    if letters.getlength(text) <= width:
        return text
    number = NUMBER.search(text)
    tail = number.group() if number else ""
    body = text[: len(text) - len(tail)]
    while body and letters.getlength(body + "..." + tail) > width:
        body = body[:-1]
    return body + "..." + tail


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface, which is the same on every machine (it has few letters beyond ASCII)."""
    return ImageFont.load_default(size)
