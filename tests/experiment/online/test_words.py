"""The page's own words, and the direction in which languages run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiment.online.server import PAGE
from experiment.online.words import built_in, direction, words

NAMES = set(built_in()["en"])


@pytest.mark.parametrize("language", list(built_in()))
def test_every_language_has_every_word_with_the_same_gaps(language: str) -> None:
    assert set(built_in()[language]) == NAMES
    for name, word in built_in()[language].items():
        assert word.strip() == word != ""
        assert sorted(re.findall(r"\{(\w+)\}", word)) == sorted(re.findall(r"\{(\w+)\}", built_in()["en"][name])), name


def test_every_word_that_the_page_says_is_there() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in Path(PAGE).glob("*.js"))
    said = set(re.findall(r'words\.get\("(\w+)"', source)) | set(re.findall(r'\.say\("(\w+)"', source))
    assert said <= NAMES
    assert len(said) > 30


def test_a_word_is_the_studys_own_else_the_languages_else_english() -> None:
    of_study = {"de": {"next": "Los!"}, "de-AT": {"back": "Retour"}}
    found = words("de-AT", of_study)
    assert found["next"] == "Los!"
    assert found["back"] == "Retour"
    assert found["finish"] == built_in()["de"]["finish"]
    assert words("tlh", {})["next"] == built_in()["en"]["next"]


@pytest.mark.parametrize(
    ("language", "runs"),
    [("en", "ltr"), ("ar", "rtl"), ("ar-EG", "rtl"), ("he", "rtl"), ("fa", "rtl"), ("ur-PK", "rtl"), ("zh", "ltr"), ("az-Arab", "rtl"),
     ("ku-Latn", "ltr"), ("ar-Latn", "ltr"), ("uz-Cyrl-UZ", "ltr"), ("YI", "rtl")],
)  # fmt: skip
def test_the_script_decides_the_direction_else_the_language(language: str, runs: str) -> None:
    assert direction(language) == runs
