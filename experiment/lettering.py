"""Text as pixels, in any script and either direction, so that it is drawn like every other picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from experiment.drawings import Rating
from experiment.fonts import font_for
from protocols.problems import FoolscanError

LINE_SPACING = 1.45
PARAGRAPH_GAP = 0.45
"""Between paragraphs, in lines."""
LEAST_PX = 12
"""Smaller letters are not read through a mirror: a text that needs them is refused."""

WITHOUT_SPACES = "\u2e80"
"""From here on Unicode has the scripts of East Asia, which are broken between any two characters."""


@dataclass(frozen=True)
class Page:
    """How large text is and how far it reaches.

    letter_px : height of a letter with what hangs below it.
    size_px   : (width, height) that the text may fill.
    """

    letter_px: int
    size_px: tuple[int, int]


def lettered(text: str, page: Page, *, right_to_left: bool = False) -> np.ndarray:
    """A text, broken into lines and centred, made smaller when it does not fit.

    right_to_left : the direction of the text as a whole; words of the other direction inside it run their own way.

    Returns how much of each pixel is covered, (height, width) uint8. Raises FoolscanError when it does not fit at a size
    that can be read, or no font has its characters.
    """
    font, lines, height_px = _laid_out(text, page, right_to_left)
    return _drawn(lines, height_px, font, right_to_left)


def _laid_out(
    text: str, page: Page, right_to_left: bool
) -> tuple[ImageFont.FreeTypeFont, list[tuple[str, float]], int]:
    """The font at the largest size that fits, the lines with the heights of their middles, and the height of all."""
    path, (width, height) = font_for(text), page.size_px
    for letter_px in range(max(page.letter_px, LEAST_PX), LEAST_PX - 1, -1):
        font = _font(path, letter_px)
        line_px = round(letter_px * LINE_SPACING)
        if _length(text.replace("\n", " "), font, right_to_left) > width * (height // line_px):
            continue  # too much however it is broken
        if letter_px > LEAST_PX and _longest_word(text, font, right_to_left) > width:
            continue  # rather smaller than cut in two
        paragraphs = [_balanced(paragraph, font, width, right_to_left) for paragraph in text.strip("\n").split("\n")]
        lines, height_px = _placed(paragraphs, line_px)
        if height_px <= height and max(_length(line, font, right_to_left) for line, _ in lines) <= width:
            return font, lines, height_px
    raise FoolscanError(
        f"text {text[:40]!r}…: its {len(text)} characters do not fit on {width} × {height} px at {LEAST_PX} px; shorten it"
    )


def rating_scale(rating: Rating, page: Page) -> np.ndarray:
    """A rating scale: the question, a row of boxes with the labels below, the chosen box filled.

    Returns how much of each pixel is covered, (height, width) uint8; the first step is at the right in right-to-left text.
    """
    width, height = page.size_px
    n, gap = len(rating.labels), page.letter_px
    cell = min((width - gap * n) // n, 8 * page.letter_px)
    box = max(8, round(1.6 * page.letter_px))
    words = Page(page.letter_px, (cell + gap // 2, height // 3))
    sizes = [_laid_out(label, words, rating.right_to_left)[0].size for label in rating.labels]
    words = Page(int(min(sizes)), words.size_px)  # all labels in one size
    labels = [lettered(label, words, right_to_left=rating.right_to_left) for label in rating.labels]
    question = Page(page.letter_px, (width, height // 2))
    above = lettered(rating.question, question, right_to_left=rating.right_to_left) if rating.question else None
    total = n * cell + (n - 1) * gap
    top = 0 if above is None else above.shape[0] + round(1.5 * page.letter_px)
    size = (
        max(total + gap, 0 if above is None else above.shape[1]),  # labels may reach into the gaps
        top + box + gap + max(label.shape[0] for label in labels),
    )
    image = Image.new("L", size, 0)
    if above is not None:
        image.paste(Image.fromarray(above), ((size[0] - above.shape[1]) // 2, 0))
    draw = ImageDraw.Draw(image)
    for step, label in enumerate(labels):
        place = n - 1 - step if rating.right_to_left else step
        middle = (size[0] - total) // 2 + place * (cell + gap) + cell // 2
        square = (middle - box // 2, top, middle - box // 2 + box - 1, top + box - 1)
        rim = max(2, box // 12)
        draw.rectangle(square, outline=255, width=rim)
        if step == rating.chosen:
            inset = 2 * rim
            draw.rectangle((square[0] + inset, square[1] + inset, square[2] - inset, square[3] - inset), fill=255)
        at = (middle - label.shape[1] // 2, top + box + gap // 2)
        image.paste(255, at, Image.fromarray(label))
    return np.asarray(image)


def _shapes_text() -> bool:
    """Whether Pillow orders and joins letters by itself (it needs FriBiDi from the system on Linux)."""
    return bool(features.check("raqm") and features.check("fribidi"))


def _font(path: Path, letter_px: int) -> ImageFont.FreeTypeFont:
    engine = ImageFont.Layout.RAQM if _shapes_text() else ImageFont.Layout.BASIC
    return ImageFont.truetype(str(path), letter_px, layout_engine=engine)


def _ready(line: str, right_to_left: bool) -> tuple[str, str | None]:
    """A line, and its direction, as the font's layout wants them."""
    if _shapes_text():
        return line, "rtl" if right_to_left else None
    import arabic_reshaper
    from bidi.algorithm import get_display

    return str(get_display(arabic_reshaper.reshape(line), base_dir="R" if right_to_left else None)), None


def _length(line: str, font: ImageFont.FreeTypeFont, right_to_left: bool) -> float:
    text, direction = _ready(line, right_to_left)
    return font.getlength(text, direction=direction)


def _broken(paragraph: str, font: ImageFont.FreeTypeFont, width: int, right_to_left: bool) -> list[str]:
    """Lines that fit, broken between words, inside a word only where it is longer than a line (scripts without spaces)."""
    lines, line = [], ""
    for word in _pieces(paragraph):
        if _length((line + word).rstrip(), font, right_to_left) <= width:
            line += word
            continue
        if line.strip():
            lines.append(line.rstrip())
        line = ""
        for mark in word.lstrip():
            if line and _length(line + mark, font, right_to_left) > width:
                lines.append(line)
                line = ""
            line += mark
    return [*lines, line.rstrip()]


def _longest_word(text: str, font: ImageFont.FreeTypeFont, right_to_left: bool) -> float:
    """The length of the longest word, px; scripts that are written without spaces may be broken anywhere."""
    words = [word for word in text.split() if not any(mark >= WITHOUT_SPACES for mark in word)]
    return max((_length(word, font, right_to_left) for word in words), default=0.0)


def _pieces(paragraph: str) -> list[str]:
    """Words, each with the spaces after it."""
    pieces, piece = [], ""
    for mark in paragraph:
        if piece and piece[-1] == " " and mark != " ":
            pieces.append(piece)
            piece = ""
        piece += mark
    return [*pieces, piece]


def _balanced(paragraph: str, font: ImageFont.FreeTypeFont, width: int, right_to_left: bool) -> list[str]:
    """The fewest lines that fit, of about the same length: no word is left alone on the last one."""
    lines = _broken(paragraph, font, width, right_to_left)
    low, high = max(width // 2, int(_longest_word(paragraph, font, right_to_left))), width
    while len(lines) > 1 and high - low > font.size / 2:
        middle = (low + high) // 2
        tried = _broken(paragraph, font, middle, right_to_left)
        if len(tried) > len(lines):
            low = middle
        else:
            lines, high = tried, middle
    return lines


def _placed(paragraphs: list[list[str]], line_px: int) -> tuple[list[tuple[str, float]], int]:
    """Every line with the height of its middle, px from the top, and the height of all."""
    placed, top = [], 0.0
    for number, paragraph in enumerate(paragraphs):
        if number and paragraph != [""] and paragraphs[number - 1] != [""]:
            top += PARAGRAPH_GAP * line_px
        for line in paragraph:
            placed.append((line, top + line_px / 2))
            top += line_px
    return placed, round(top)


def _drawn(
    lines: list[tuple[str, float]], height_px: int, font: ImageFont.FreeTypeFont, right_to_left: bool
) -> np.ndarray:
    width = max(1, *(int(np.ceil(_length(line, font, right_to_left))) + 2 for line, _ in lines))
    image = Image.new("L", (width, height_px), 0)
    draw = ImageDraw.Draw(image)
    for line, middle in lines:
        text, direction = _ready(line, right_to_left)
        draw.text((width / 2, middle), text, fill=255, font=font, anchor="mm", direction=direction)
    return np.asarray(image)
