"""The tables of behaviour: a known answer worked out by hand, and how they hang together."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, spearmanr

from analysis.behaviour import POOLED, Response, behaviour
from analysis.behaviour_images import rank_correlation
from analysis.behaviour_table import TABLES, behaviour_path, tables_of, write_behaviour
from analysis.trace import trace_file
from protocols.folder import RunId, read_json
from protocols.problems import NotReady
from protocols.provenance import sidecar_path
from protocols.tables import read_table

# One subject, two runs, four images of each set: two animals (00, 01), two others (04, 05). "a" animal, "n" not, "-" missed.
KNOWN = {
    "RE": ("aann", "aann"),
    "AN": ("aaan", "naan"),
    "AI": ("anna", "-ann"),
}
CATEGORIES = ("category00", "category01", "category04", "category05")


def known_responses(fake: SimpleNamespace) -> list[Response]:
    images = {image.stim_id: image for image in fake.manifest(8)}
    said = {"a": True, "n": False, "-": None}
    found = []
    for run in (0, 1):
        for name, of_runs in KNOWN.items():
            for i, (category, letter) in enumerate(zip(CATEGORIES, of_runs[run], strict=True)):
                answer = said[letter]
                rt_s = None if answer is None else 0.4 + 0.1 * i + 0.01 * run
                found.append(
                    Response(RunId("01", "01", "animals", run + 1), images[f"{name}-{category}"], answer, rt_s)
                )
    return found


def test_a_table_worked_out_by_hand(fake: SimpleNamespace) -> None:
    found = tables_of(fake.study(), known_responses(fake), fake.manifest(8), "func")
    rates = {row["set"]: row for row in found["behaviour"] if row["subject"] == POOLED}
    # RE: all 8 right. Hits 4 of 4, false alarms 0 of 4.
    assert (rates["RE"]["accuracy"], rates["RE"]["missed"]) == (1, 0)
    assert rates["RE"]["d_prime"] == pytest.approx(2 * norm.ppf(4.5 / 5))
    assert rates["RE"]["criterion"] == pytest.approx(0)
    # AI: answered 7; animals said a of 00, 01: run 1 "an", run 2 "-a": 2 of 3; others: "na", "nn": 1 of 4.
    ai = rates["AI"]
    assert (ai["trials"], ai["missed"], ai["n_animal"], ai["n_not"]) == (8, 1, 3, 4)
    assert ai["p_animal_if_animal"] == pytest.approx(2 / 3)
    assert ai["p_animal_if_not"] == pytest.approx(1 / 4)
    assert ai["accuracy"] == pytest.approx(5 / 7)
    assert ai["d_prime"] == pytest.approx(norm.ppf(2.5 / 4) - norm.ppf(1.5 / 5))
    assert ai["criterion"] == pytest.approx(-(norm.ppf(2.5 / 4) + norm.ppf(1.5 / 5)) / 2)
    assert ai["rt_median_s"] == pytest.approx(0.6)  # 0.4 0.5 0.51 0.6 0.61 0.7 0.71
    # AN: no correct answer. P(animal | target an animal) 3 of 4, P(animal | not) 2 of 4.
    an = rates["AN"]
    assert math.isnan(an["accuracy"])
    assert math.isnan(an["d_prime"])
    assert (an["p_animal_if_animal"], an["p_animal_if_not"], an["p_difference"]) == (0.75, 0.5, 0.25)
    # consistency: RE 4 of 4 images alike; AN 3 of 4; AI, one image answered once, 2 of 3
    alike = {row["set"]: row for row in found["consistency"] if row["subject"] == "01"}
    assert [(alike[name]["images"], alike[name]["answers"]) for name in KNOWN] == [(4, 8), (4, 8), (3, 6)]
    assert [alike[name]["agreement"] for name in KNOWN] == pytest.approx([1, 3 / 4, 1 / 3])
    # images: category01 of AI was called not, then animal
    images = {row["stim_id"]: row for row in found["images"]}
    assert images["AI-category01"]["p_animal"] == 0.5
    assert images["AI-category01"]["agreement"] == 0
    assert images["AI-category00"]["answered"] == 1
    assert math.isnan(images["AI-category00"]["agreement"])
    assert math.isnan(images["AN-category00"]["accuracy"])
    runs = {(row["run"], row["set"]): row for row in found["runs"]}
    assert [runs[run, "AI"]["accuracy"] for run in (1, 2)] == pytest.approx([2 / 4, 3 / 3])
    assert len(found["trials"]) == 24


def test_an_is_asked_for_the_animacy_of_its_target_class(fake: SimpleNamespace) -> None:
    animal = next(image for image in fake.manifest(8) if image.set == "AN" and image.animal_source)
    run = RunId("01", "01", "animals", 1)
    as_other = Response(run, animal, True, 0.5, target_is_animal=False)
    (row,) = [row for row in behaviour(fake.study(), [as_other]) if row.subject == POOLED]
    assert (row.n_animal, row.n_not) == (0, 1)
    assert math.isnan(row.p_animal_if_animal)
    scored = Response(run, replace(animal, set="AI"), True, 0.5, target_is_animal=False)
    (row,) = [row for row in behaviour(fake.study(), [scored]) if row.subject == POOLED]
    assert row.accuracy == 1  # AI is scored against its source, whatever class it was made for


answers = st.lists(st.sampled_from("an-"), min_size=8, max_size=8)


@given(answers, answers)
@settings(deadline=None, max_examples=30)
def test_tables_add_up(fake: SimpleNamespace, first: list[str], second: list[str]) -> None:
    said = {"a": True, "n": False, "-": None}
    images = [image for image in fake.manifest(8) if image.set == "RE"]
    responses = [
        Response(RunId(sub, "01", "animals", 1), image, said[letter], None if letter == "-" else 0.5)
        for sub, letters in (("01", first), ("02", second))
        for image, letter in zip(images, letters, strict=True)
    ]
    study = fake.study(analysis__bootstrap__resamples=100)
    found = tables_of(study, responses, fake.manifest(8), "func")
    pooled, *single = found["behaviour"]
    for name in ("trials", "missed", "n_animal", "n_not"):
        assert pooled[name] == sum(row[name] for row in single) == sum(row[name] for row in found["runs"])
    assert pooled["trials"] - pooled["missed"] == pooled["n_animal"] + pooled["n_not"]
    assert sum(row["answered"] for row in found["images"]) == pooled["trials"] - pooled["missed"]
    right = sum(row["correct"] is True for row in found["trials"])
    if pooled["trials"] > pooled["missed"]:
        assert pooled["accuracy"] == pytest.approx(right / (pooled["trials"] - pooled["missed"]))
    for row in found["intervals"]:
        if math.isfinite(row["ci_low"]):
            assert row["ci_low"] <= row["ci_high"]
        assert row["estimand"]
        assert row["resampled"]


def test_tables_are_written_with_every_column_explained(fake: SimpleNamespace, tmp_path: Path) -> None:
    study = fake.study()
    folder = fake.folder(tmp_path, study, n_categories=4, sessions=1, runs=2)
    with pytest.raises(NotReady, match="no events of task"):
        write_behaviour(study, fake.folder(tmp_path / "none", study, n_categories=4, sessions=0))
    written = write_behaviour(study, folder)
    assert written == behaviour_path(folder)
    before = {path: path.read_bytes() for path in folder.derived("behaviour").iterdir()}
    for name, columns in TABLES.items():
        path = behaviour_path(folder, name)
        assert list(read_table(path)[0]) == list(columns)
        sidecar = read_json(sidecar_path(path))
        assert all(sidecar[column]["Description"] for column in columns)
        assert trace_file(path).unchanged
    stamp = written.stat().st_mtime_ns
    write_behaviour(study, folder)
    assert written.stat().st_mtime_ns == stamp
    written.unlink()
    write_behaviour(study, folder)
    assert {path: path.read_bytes() for path in folder.derived("behaviour").iterdir()} == before


def test_rank_correlation_is_scipys() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, 30).astype(float), rng.standard_normal(30)
    assert rank_correlation(first, second) == pytest.approx(float(spearmanr(first, second).statistic), abs=1e-12)
    assert math.isnan(rank_correlation(np.ones(30), second))
