"""A font on this computer that has every character of a text."""

from __future__ import annotations

import importlib.util
import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path

from protocols.problems import FoolscanError
from protocols.study import ImagesTask

# Tried in this order, then every other font of the computer: plain faces without serifs that participants read easily.
PREFERRED = (
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "segoeui.ttf",
    "arial.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "DroidSansFallbackFull.ttf",
    "msyh.ttc",
    "YuGothM.ttc",
    "malgun.ttf",
    "PingFang.ttc",
)
# Letters by which it is told whether a script can be written.
SAMPLES = {
    "Latin": "Aeßøž",
    "Greek": "Αω",
    "Cyrillic": "Жя",
    "Hebrew": "את",
    "Arabic": "اللغة",
    "Chinese": "动物動",
    "Japanese": "どうぶつ",
    "Korean": "동물",
    "Devanagari": "पशु",
    "Thai": "สัตว์",
}
# The parts of a task that a participant reads.
TEXTS = {"question", "answers", "instructions", "screens", "practice", "confidence"}
# A text without these is the same text: marks of direction, joiners, the byte order mark.
UNSEEN = {"Cc", "Cf", "Zs", "Zl", "Zp"}


def font_for(text: str) -> Path:
    """The font file to write a text with.

    Raises FoolscanError naming the characters that no font of this computer has: the participant would see empty boxes.
    """
    wanted = frozenset(ord(mark) for mark in text if unicodedata.category(mark) not in UNSEEN)
    best: frozenset[int] | None = None
    for path in _fonts():
        missing = wanted - _characters(path)
        if not missing:
            return path
        if best is None or len(missing) < len(best):
            best = missing
    lacking = ", ".join(f"{chr(code)} (U+{code:04X})" for code in sorted(best or wanted)[:5])
    raise FoolscanError(
        f"text {text[:40]!r}: no font on this computer has {lacking}; install one that does (Debian: fonts-noto-core, "
        "fonts-noto-cjk or fonts-droid-fallback)"
    )


def check_texts(task: ImagesTask) -> None:
    """Check, before anything is written or shown, that every text of a task can be written, in every language.

    Raises FoolscanError as `font_for` does.
    """
    for text in _texts(task.model_dump(include=TEXTS)):
        font_for(text)


def _texts(found: object) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, Mapping):
        for value in found.values():
            yield from _texts(value)
    elif isinstance(found, list | tuple):
        for value in found:
            yield from _texts(value)


@lru_cache(maxsize=1)
def _fonts() -> tuple[Path, ...]:
    found = {
        path.name: path for folder in reversed([*font_folders(sys.platform, os.environ)]) for path in _files(folder)
    }
    preferred = [found[name] for name in PREFERRED if name in found]
    others = sorted((path for path in found.values() if path not in preferred), key=_plainness)
    return (*preferred, *others)


def font_folders(platform: str, environment: Mapping[str, str]) -> Iterator[Path]:
    """The folders in which an operating system keeps fonts; those that come with PsychoPy first."""
    psychopy = importlib.util.find_spec("psychopy")
    for place in (psychopy.submodule_search_locations or ()) if psychopy else ():
        yield Path(place) / "assets" / "fonts"
    if platform == "win32":
        yield Path(environment.get("WINDIR", r"C:\Windows")) / "Fonts"
        if "LOCALAPPDATA" in environment:
            yield Path(environment["LOCALAPPDATA"]) / "Microsoft" / "Windows" / "Fonts"
    elif platform == "darwin":
        yield from (Path("/System/Library/Fonts"), Path("/Library/Fonts"), Path.home() / "Library" / "Fonts")
    else:
        yield from (
            Path("/usr/share/fonts"),
            Path("/usr/local/share/fonts"),
            Path.home() / ".local" / "share" / "fonts",
        )


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".ttf", ".otf", ".ttc"))


def _plainness(path: Path) -> tuple[bool, bool, str]:
    name = path.name.lower()
    drawn = any(word in name for word in ("bold", "italic", "oblique", "mono", "condensed", "light", "black", "thin"))
    return drawn, "serif" in name and "sans" not in name, name


@cache
def _characters(path: Path) -> frozenset[int]:
    try:
        import freetype
    except ImportError as error:
        raise FoolscanError(f"text needs freetype-py ({error}); remedy: pip install 'foolscan[experiment]'") from error
    try:
        return frozenset(code for code, _ in freetype.Face(str(path)).get_chars())
    except freetype.FT_Exception:
        return frozenset()
