"""Plates in rows and columns on one page, with their captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from stimuli.contact_sheet import INK, PAPER, QUIET, Line, font
from stimuli.fragile.plates import FRAME, scale_bar
from stimuli.synthesis.starts import ByteImage

MARGIN_PX, GAP_PX = 48, 26
TITLE_PT, NOTE_PT, HEAD_PT, TEXT_PT = 34, 18, 21, 17
LINE_PX = 24
BAR_PX, BAR_ROOM_PX = 18, 110


@dataclass(frozen=True)
class Plate:
    """An image as it is drawn, and the lines under it.

    image : (height, width, 3); None: nothing is drawn.
    outline : a thin rectangle over it, (left, top, right, bottom), which may reach beyond the image.
    """

    image: ByteImage | None
    lines: tuple[Line, ...] = ()
    outline: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Row:
    """Plates side by side under a heading."""

    heading: str
    plates: tuple[Plate, ...]


def page(
    title: str,
    notes: Sequence[str],
    rows: Sequence[Row],
    heads: Sequence[str] = (),
    bar: str | None = None,
) -> ByteImage:
    """Lay rows of plates out.

    title, notes : above them.
    heads        : above the columns, or none.
    bar          : what a scale from 0 to 1 beside them shows; None: no scale.

    Returns (height, width, 3).
    """
    n_columns = max(len(row.plates) for row in rows)
    widths = [max(_width(row.plates[place]) for row in rows if place < len(row.plates)) for place in range(n_columns)]
    if heads:
        widths = [max(wide, int(_length(head, HEAD_PT)) + 6) for wide, head in zip(widths, heads, strict=True)]
    lefts = [MARGIN_PX + sum(widths[:place]) + place * GAP_PX for place in range(n_columns)]
    top = MARGIN_PX + TITLE_PT + 10 + len(notes) * (NOTE_PT + 8) + 10 + (HEAD_PT + 20 if heads else 0)
    tall = [_height(row) for row in rows]
    words = max(
        [
            _length(title, TITLE_PT),
            *(_length(note, NOTE_PT) for note in notes),
            *(_length(row.heading, HEAD_PT) for row in rows),
        ]
    )
    body_w = lefts[-1] + widths[-1] - MARGIN_PX + (BAR_ROOM_PX if bar else 0)
    size = (2 * MARGIN_PX + max(body_w, int(words) + 2), top + sum(tall) + MARGIN_PX)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN_PX, MARGIN_PX - 14), title, fill=INK, font=font(TITLE_PT))
    for number, note in enumerate(notes):
        at = (MARGIN_PX, MARGIN_PX + TITLE_PT + 2 + number * (NOTE_PT + 8))
        draw.text(at, note, fill=QUIET, font=font(NOTE_PT))
    for left, head in zip(lefts, heads, strict=False):
        draw.text((left, top - HEAD_PT - 18), head, fill=INK, font=font(HEAD_PT))
    first = top
    for row, height in zip(rows, tall, strict=True):
        if row.heading:
            draw.text((MARGIN_PX, top + 6), row.heading, fill=QUIET, font=font(HEAD_PT))
        for left, plate in zip(lefts, row.plates, strict=False):
            _draw_plate(sheet, draw, plate, (left, top + _heading_px(row)), _plate_px(row))
        top += height
    if bar:
        _draw_bar(sheet, draw, bar, lefts[-1] + widths[-1] + GAP_PX, first + _heading_px(rows[0]), _plate_px(rows[0]))
    return np.asarray(sheet)


def _draw_plate(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, plate: Plate, corner: tuple[int, int], plate_px: int
) -> None:
    left, top = corner
    if plate.image is not None:
        sheet.paste(Image.fromarray(np.ascontiguousarray(plate.image)), corner)
        if plate.outline is None:
            box = (left - 1, top - 1, left + plate.image.shape[1], top + plate.image.shape[0])
            draw.rectangle(box, outline=FRAME)
    if plate.outline is not None:
        x0, y0, x1, y1 = plate.outline
        draw.rectangle((left + x0, top + y0, left + x1, top + y1), outline=FRAME)
    for number, (text, colour) in enumerate(plate.lines):
        draw.text((left, top + plate_px + 8 + number * LINE_PX), text, fill=colour, font=font(TEXT_PT))


def _draw_bar(sheet: Image.Image, draw: ImageDraw.ImageDraw, what: str, left: int, top: int, height: int) -> None:
    sheet.paste(Image.fromarray(scale_bar(height, BAR_PX)), (left, top))
    draw.rectangle((left - 1, top - 1, left + BAR_PX, top + height), outline=FRAME)
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + round((1 - value) * (height - 1))
        draw.line((left + BAR_PX, y, left + BAR_PX + 6, y), fill=INK)
        draw.text((left + BAR_PX + 10, y), f"{value:g}", fill=INK, font=font(TEXT_PT), anchor="lm")
    for number, line in enumerate(what.split("\n")):
        draw.text((left, top + height + 8 + number * LINE_PX), line, fill=INK, font=font(TEXT_PT))


def _length(text: str, size: int) -> float:
    return float(font(size).getlength(text))


def _width(plate: Plate) -> int:
    """Of a plate with its lines, pixels."""
    words = [int(_length(text, TEXT_PT)) + 1 for text, _ in plate.lines]
    image = 0 if plate.image is None else plate.image.shape[1]
    return max([image, *words, *([plate.outline[2]] if plate.outline else [])])


def _heading_px(row: Row) -> int:
    return HEAD_PT + 18 if row.heading else 0


def _plate_px(row: Row) -> int:
    """Of the tallest image of a row, or the outline around it."""
    return max(
        max(0 if plate.image is None else plate.image.shape[0], plate.outline[3] if plate.outline else 0)
        for plate in row.plates
    )


def _height(row: Row) -> int:
    n_lines = max(len(plate.lines) for plate in row.plates)
    return _heading_px(row) + _plate_px(row) + 8 + n_lines * LINE_PX + GAP_PX
