"""Cross-checks of the task in the browser: each mistake is named at its line, and the shipped studies have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.checks import check
from protocols.online_checks import online_problems
from protocols.problems import ProtocolError
from protocols.study import load_study


def problems(folder: Path, lines: str, extends: str = "srivastava2019") -> list[tuple[str, str]]:
    """(key, whole message) of each problem of a study that extends a shipped one."""
    path = folder / "mine.yaml"
    path.write_text(f"format: 1\nextends: {extends}\nname: mine\ntitle: mine\n{lines}", encoding="utf-8")
    return [(problem.key, str(problem)) for problem in online_problems(load_study(path))]


@pytest.mark.parametrize("name", ["srivastava2019", "zhang2018_online", "srivastava2019_imagenet", "demo"])
def test_the_shipped_studies_have_no_problems(name: str) -> None:
    assert [*online_problems(load_study(name))] == []


@pytest.mark.parametrize(
    ("lines", "key", "said"),
    [
        (
            "online: {design: {n_pairs: 45}}",
            "design.n_pairs",
            "found 45 and 4 for practice; at most fragile.pairs.n = 44",
        ),
        ("online: {design: {blocks: 41}}", "design.blocks", "found 41; at most online.design.n_pairs = 40"),
        ("online: {rest_every: 40}", "rest_every", "40 of 40 trials: no break would come"),
        ("online: {attention: {every: 41}}", "attention.every", "41 of 40 trials: no check would come"),
        ("online: {design: {blocks: 10}, rest_every: null}", "attention.every", "10 of 4 trials"),
        ("online: {attention: {text: {en: Choose it}}}", "attention.text.en", "found no {option}"),
        ("online: {attention: {text: {en: 'Choose {answer}'}}}", "attention.text.en", "{answer}"),
        ("online: {language: fr}", "saying.title", "found texts in en, de; one in 'fr': that is online.language"),
        ("online: {saying: {title: {fr: Bouts}}}", "questions.0.text", "one in 'fr': online.saying is in it"),
        ("online: {saying: {consent: {de: [Ja.]}}}", "saying.consent", "found 2 in en, 1 in de"),
        ("online: {saying: {rest: null}}", "saying.rest", "no text"),
        ("online: {showing: {mask_s: 0.1}}", "showing.image_s", "a time, where a mask follows"),
        ("online: {showing: {mask_delay_s: 0.1}}", "showing.mask_delay_s", "there is no mask"),
        ("online: {mturk: {title: ' '}}", "mturk.title", "blanks alone"),
        (
            f"online: {{mturk: {{keywords: [{'a' * 500}, {'b' * 499}]}}}}",
            "mturk.keywords",
            "found 1001 letters; at most 1000",
        ),
        ("fragile: null", "design.kind", "foolscan stimuli fragile-pairs makes them"),
    ],
)
def test_what_is_wrong_with_crops_is_said(tmp_path: Path, lines: str, key: str, said: str) -> None:
    found = problems(tmp_path, lines)
    assert any(of == f"online.{key}" and said in message for of, message in found), found


QUESTION = "{kind: choice, name: a, about: category, text: {en: Which, de: Was}"
RATING = "{kind: rating, name: sure, text: {en: Sure, de: Sicher}"


@pytest.mark.parametrize(
    ("questions", "key", "said"),
    [
        (f"[{QUESTION}}}, {QUESTION}}}]", "questions.1.name", "found 'a'; a name of its own: question 1"),
        (f"[{QUESTION}, options: [cat, nothing]}}]", "questions.0.options", "questions.0.nothing offers it"),
        (f"[{QUESTION}, options: [cat]}}]", "questions.0.options", "two or more"),
        (
            f"[{QUESTION}, options: [cat, dog], labels: {{en: {{dgo: hound}}}}}}]",
            "questions.0.labels.en",
            "did you mean 'dog'",
        ),
        (
            f"[{QUESTION}, options: [cat, dog], labels: {{en: {{nothing: none}}}}}}]",
            "questions.0.labels.en",
            "'nothing'",
        ),
        (
            f"[{QUESTION}, options: [a, b], labels: {{en: {{a: pet, b: pet}}}}}}]",
            "questions.0.labels.en",
            "two answers called 'pet'",
        ),
        (f"[{QUESTION.replace('category', 'animal')}}}]", "questions.0.about", "of crops no more is known"),
        (f"[{RATING}}}]", "attention", "found a first question of kind rating"),
        (
            f"[{QUESTION}}}, {RATING}, labels: {{en: [a, b]}}}}]",
            "questions.1.labels.en",
            "found 2 labels; one for each of 4 steps",
        ),
        ("[{kind: choice, name: a, about: category, text: {en: Which}}]", "questions.0.text", "one in 'de'"),
        (
            "[" + QUESTION + "}, {kind: typed, name: t, text: {en: Which, de: Was}, accepted: {cat: []}}]",
            "questions.1.accepted.cat",
            "no names",
        ),
    ],
)
def test_what_is_wrong_with_questions_is_said(tmp_path: Path, questions: str, key: str, said: str) -> None:
    found = problems(tmp_path, f"online: {{questions: {questions}}}")
    assert any(of == f"online.{key}" and said in message for of, message in found), found


@pytest.mark.parametrize(
    ("lines", "key", "said"),
    [
        ("online: {design: {sets: [RE, AX]}}", "design.sets", "found 'AX'; a set of stimuli.sets: RE, "),
        ("online: {practice: {n: 38}}", "practice.n", "found 38; at most 37"),
        ("online: {rest_every: 36}", "rest_every", "36 of 36 trials"),
    ],
)
def test_what_is_wrong_with_sets_is_said(tmp_path: Path, lines: str, key: str, said: str) -> None:
    found = problems(tmp_path, lines, "zhang2018_online")
    assert any(of == f"online.{key}" and said in message for of, message in found), found


def test_a_study_in_one_language_without_extras_is_whole(tmp_path: Path) -> None:
    text = """\
online:
  rest_every: null
  attention: null
  practice: null
"""
    assert problems(tmp_path, text) == []


def test_a_problem_is_told_by_check_with_file_and_line(tmp_path: Path) -> None:
    problems(tmp_path, "online:\n  language: fr\n")
    found = [str(problem) for problem in check(load_study(tmp_path / "mine.yaml")).problems]
    assert any("online.saying.title: found texts in en, de" in message and ".yaml:" in message for message in found)


def test_keys_that_are_no_keys_are_refused_before(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="the unknown key 'n_pair'"):
        problems(tmp_path, "online: {design: {n_pair: 3}}")
