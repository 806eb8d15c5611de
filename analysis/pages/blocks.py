"""What a page is made of: words, figures and tables, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Link = tuple[str, str]


@dataclass(frozen=True)
class Words:
    """A paragraph.

    kind : "text", "note" (small), "warning", or "list": then every line of the text is an item.
    """

    text: str
    kind: Literal["text", "note", "warning", "list"] = "text"
    block: str = "words"


@dataclass(frozen=True)
class Shown:
    """A figure.

    image    : the SVG as a data address.
    alt      : what it shows, for those who do not see it.
    links    : files beside the page: data, SVG, PNG.
    width_px : least width on the page: on a phone it then scrolls; 0 for a figure that may shrink.
    most_px  : greatest width, so that the type of all figures is of one size.
    title, caption : below it.
    """

    name: str
    image: str
    alt: str
    links: tuple[Link, ...]
    width_px: int
    most_px: int = 0
    title: str = ""
    caption: str = ""
    block: str = "figure"


@dataclass(frozen=True)
class Gallery:
    """Small pictures side by side, as many as there is room for."""

    pictures: tuple[Shown, ...]
    block: str = "gallery"


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, what it means, and whether it is text (set to the left)."""

    heading: str
    meaning: str = ""
    text: bool = False
    key: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell; `mark` is the letter of the footnote that says how it was made."""

    text: str
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    rows      : cells by column.
    totals    : which rows are of all subjects together.
    footnotes : letter and text.
    more      : how many rows stand in the file only.
    links     : the file.
    folded    : shown on demand only.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    totals: tuple[bool, ...] = ()
    footnotes: tuple[tuple[str, str], ...] = ()
    note: str = ""
    more: int = 0
    links: tuple[Link, ...] = ()
    folded: bool = False
    block: str = "table"

    @property
    def marked(self) -> bool:
        """Whether footnotes need their letters: one that all intervals share needs none."""
        return len(self.footnotes) > 1 or any(not text.startswith("Interval") for _, text in self.footnotes)

    @property
    def marked_rows(self) -> list[tuple[tuple[Cell, ...], bool]]:
        """Rows, and whether each is of all subjects together."""
        totals = self.totals or (False,) * len(self.rows)
        return list(zip(self.rows, totals, strict=True))


Block = Words | Shown | Gallery | Table


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading; its anchor is its address in the page."""

    title: str
    anchor: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """One page of the report.

    name    : of its file, without ``.html``.
    title   : its heading.
    summary : what it answers, in a sentence: on the page and on the first page's list.
    """

    name: str
    title: str
    summary: str
    sections: tuple[Section, ...] = field(default=())

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not any(section.blocks for section in self.sections)


def section(title: str, anchor: str, blocks: Sequence[Block | None]) -> Section:
    """A section of the blocks that there are."""
    return Section(title, anchor, tuple(block for block in blocks if block is not None))
