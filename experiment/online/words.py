"""The page's own words (buttons and notices) in each language, and the direction in which a language runs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml

WORDS = Path(__file__).with_name("page_words.yaml")
ELSE = "en"
RIGHT_TO_LEFT = frozenset(
    (
        "ar",
        "arc",
        "arz",
        "ckb",
        "dv",
        "fa",
        "he",
        "iw",
        "ks",
        "lrc",
        "mzn",
        "nqo",
        "pnb",
        "ps",
        "sd",
        "syr",
        "ug",
        "ur",
        "yi",
    )
)
RIGHT_TO_LEFT_SCRIPTS = frozenset(("adlm", "arab", "aran", "hebr", "mand", "nkoo", "rohg", "samr", "syrc", "thaa"))


@functools.cache
def built_in() -> Mapping[str, Mapping[str, str]]:
    """Every built-in word: language -> name -> word."""
    found: dict[str, dict[str, str]] = yaml.safe_load(WORDS.read_text(encoding="utf-8"))
    return found


def words(language: str, of_study: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The words in a language: the study's own, else built-in ones, those of its base language (de of de-AT), English ones.

    language : a BCP 47 tag, such as `de` or `pt-BR`.
    of_study : `saying.words`, language -> name -> word.
    """
    found: dict[str, str] = {}
    for tag in dict.fromkeys((ELSE, language.split("-")[0], language)):
        found |= built_in().get(tag, {})
    for tag in dict.fromkeys((language.split("-")[0], language)):
        found |= of_study.get(tag, {})
    return found


def direction(language: str) -> Literal["ltr", "rtl"]:
    """The direction in which a language runs: its script says so where it names one, else the language."""
    parts = language.lower().split("-")
    scripts = [part for part in parts[1:] if len(part) == 4 and part.isalpha()]
    if scripts:
        return "rtl" if scripts[0] in RIGHT_TO_LEFT_SCRIPTS else "ltr"
    return "rtl" if parts[0] in RIGHT_TO_LEFT else "ltr"
