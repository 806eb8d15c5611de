"""Digits that can be read from two metres, made of blocks."""

from __future__ import annotations

from collections.abc import Sequence

# Three pixels wide, five high; a row per digit of octal: 7 is ###, 5 is #.#, 4 is #.., 2 is .#., 1 is ..#.
PIXELS = {
    "0": "75557",
    "1": "26227",
    "2": "71747",
    "3": "71717",
    "4": "55711",
    "5": "74717",
    "6": "74757",
    "7": "71122",
    "8": "75757",
    "9": "75717",
    "-": "00700",
    "/": "11244",
    ":": "02020",
    " ": "00000",
}


def big(text: str, *, blocks: bool = True, tall: bool = True) -> list[str]:
    """A number as lines of text.

    text   : digits, ``-``, ``/``, ``:`` and spaces.
    blocks : False where the terminal cannot show block characters: then ``#`` is used.
    tall   : five lines, 7 columns per digit; otherwise three lines of half blocks, 4 columns per digit.
    """
    rows = ["0".join(f"{int(PIXELS[sign][row], 8):03b}" for sign in text) for row in range(5)]
    if tall or not blocks:
        full = "██" if blocks else "##"
        return ["".join(full if pixel == "1" else "  " for pixel in row) for row in rows]
    return _halved([*rows, "0" * len(rows[0])])


def _halved(rows: Sequence[str]) -> list[str]:
    signs = {"00": " ", "10": "▀", "01": "▄", "11": "█"}
    return [
        "".join(signs[upper + lower] for upper, lower in zip(rows[place], rows[place + 1], strict=True))
        for place in range(0, len(rows), 2)
    ]
