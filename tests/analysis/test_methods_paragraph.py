"""The methods paragraph says what the study file says, and calls only what the paper says the paper's."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest

from analysis.methods_paragraph import PUBLISHED, as_text, citation, is_published, methods_paragraph
from protocols.study import Basis, load_study


def published(study_name: str) -> str:
    topics = methods_paragraph(load_study(study_name), simulated=False)
    return " ".join(s.text for _, sentences in topics for s in sentences if s.published)


def chosen(study_name: str) -> str:
    topics = methods_paragraph(load_study(study_name), simulated=False)
    return " ".join(s.text for _, sentences in topics for s in sentences if not s.published)


def test_the_published_study_is_attributed_to_its_paper() -> None:
    text = published("zhang2018")
    for fact in ("3 participants", "5 runs", "40 categories", "12°", "0.2°", "120 stimulus trials", "9 blank trials"):
        assert fact in text
    assert "As in Zhang et al. (2018)" in text


def test_what_is_recalled_or_assumed_is_never_called_published() -> None:
    for fact in ("TR", "278 volumes", "alexnet", "SD 10", "16/255", "Pearson's correlation", "1000 bootstrap"):
        assert (fact in published("zhang2018")) == (fact == "alexnet")
    assert "every 2 s (TR)" in chosen("zhang2018")
    assert "the next class of the other animacy" in chosen("zhang2018")


def test_what_the_demo_changes_is_its_own() -> None:
    assert "each came for 2 sessions" in published("demo")
    assert "a session had 2 runs" in chosen("demo")
    assert "an image was shown for 1 s" in chosen("demo")
    assert "picturenet" not in published("demo")


@pytest.mark.parametrize("study_name", ["zhang2018", "demo"])
@pytest.mark.parametrize("simulated", [True, False])
def test_every_sentence_rests_on_its_basis(study_name: str, simulated: bool) -> None:
    study = load_study(study_name)
    for _, sentences in methods_paragraph(study, simulated=simulated):
        for sentence in sentences:
            tags = [study.basis[key].tag if key in study.basis else "" for key in sentence.keys]
            if sentence.published:
                assert set(tags) <= set(PUBLISHED)
            assert sentence.text.startswith("As in" if sentence.published else "By this study's own choice")


@pytest.mark.parametrize("study_name", ["zhang2018", "demo"])
def test_every_number_is_in_the_study_file(study_name: str) -> None:
    study = load_study(study_name)
    stated = {
        f"{float(number):g}" for number in re.findall(r"\d+(?:\.\d+)?", json.dumps(study.model_dump(mode="json")))
    }
    stated |= {f"{100 * float(number):g}" for number in stated if float(number) < 1}  # shares are given as per cent
    stated |= {"255"}  # grey levels are given as fractions of it
    stated |= {"1"}  # in "1 − Spearman"
    text = as_text(methods_paragraph(study, simulated=True)).replace("Zhang et al. (2018)", "")
    for word in (*study.analysis.rois, study.stimuli.network.name):
        text = text.replace(word, "")
    assert {f"{float(number):g}" for number in re.findall(r"\d+(?:\.\d+)?", text)} <= stated


@pytest.mark.parametrize(
    ("kind", "over", "told"),
    [
        ("jackknife", None, "blocks of neighbouring voxels within participants"),
        ("bootstrap", None, "1000 bootstrap resamples of voxels within participants"),
        ("bootstrap", "both", "1000 bootstrap resamples of voxels within participants and images"),
        ("subsample", None, "1000 sub-samples of 80 % of the voxels within participants"),
        ("published", None, "as published, which describe their spread and cover nothing"),
    ],
)
def test_every_kind_of_interval_is_told(fake: SimpleNamespace, kind: str, over: str | None, told: str) -> None:
    study = fake.changed(load_study("demo"), analysis__bootstrap__kind=kind, analysis__bootstrap__over=over)
    study = fake.changed(study, analysis__bootstrap__resamples=1000)
    assert told in as_text(methods_paragraph(study, simulated=True))


def test_tests_are_told(fake: SimpleNamespace) -> None:
    text = as_text(methods_paragraph(load_study("demo"), simulated=True))
    for told in (
        "1000 permutations",
        "tests were two-sided",
        "by the largest statistic over all places",
        "log-linear correction",
    ):
        assert told in text
    study = fake.changed(load_study("demo"), analysis__tests__correction="none")
    assert "not corrected over places" in as_text(methods_paragraph(study, simulated=True))


def test_another_value_changes_the_text(fake: SimpleNamespace) -> None:
    study = fake.changed(load_study("zhang2018"), tasks__animals__image_deg=7.5)
    assert "7.5°" in as_text(methods_paragraph(study, simulated=False))


def test_without_a_paper_nothing_is_attributed() -> None:
    study = load_study("zhang2018").model_copy(update={"reference": None})
    text = as_text(methods_paragraph(study, simulated=False))
    assert "As in" not in text
    assert "own choice" not in text
    assert not is_published(study, "tasks.animals.image_deg")


def test_a_basis_of_recalled_is_not_published() -> None:
    study = load_study("zhang2018")
    basis = study.basis | {"tasks.animals.image_deg": Basis(tag="recalled", source="a later paper")}
    study = study.model_copy(update={"basis": basis})
    assert not is_published(study, "tasks.animals.image_deg")


def test_citations() -> None:
    assert citation("Zhang C, Duan X, Zhang R, Tong L (2018)") == "Zhang et al. (2018)"
    assert citation("Sabour S, Cao Y (2016)") == "Sabour and Cao (2016)"
    assert citation("Hautus MJ (1995)") == "Hautus (1995)"


def test_a_rehearsal_says_that_no_person_took_part() -> None:
    text = as_text(methods_paragraph(load_study("demo"), simulated=True))
    assert "no person took part" in text
    assert "the images were simulated" in text
