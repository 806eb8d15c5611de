"""Verify asks every kind's criterion again, and tells an expected failure from a disagreement."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from small_image_study import small_study

from protocols.folder import StudyFolder
from protocols.manifest import read_manifest, write_manifest
from protocols.problems import FoolscanError
from protocols.study import Study
from stimuli.verify import verify

Made = tuple[Study, StudyFolder]


def test_every_kind_is_verified_and_expected_failures_are_no_disagreement(several_kinds: Made):
    study, folder = several_kinds
    result = verify(study, folder, "cpu")
    assert result.disagreements == ()
    rows = read_manifest(folder)
    failed = [row.set for row in rows if not row.success]
    assert result.n_images == len(rows) == 4 * len(study.stimuli.sets)
    assert result.expected_failures == {name: failed.count(name) for name in failed}
    assert set(result.expected_failures) <= {"FF", "AW"}
    assert "FF" in result.expected_failures  # one signed step takes no guide's representation


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("FA", {"representation_ratio": 0.9}, "the manifest says 0.900000"),
        ("FA", {"representation_ratio": None}, "the manifest says n/a"),
        ("AI", {"representation_ratio": 0.1}, "representation ratio n/a, the manifest says 0.100000"),
        ("FA", {"success": False}, "the criterion is met, the manifest says that it is not met"),
        ("CO", {"success": False}, "the criterion is met, the manifest says that it is not met"),
        ("NO", {"success": False}, "the criterion is met"),
        ("RE", {"success": False}, "the criterion is met"),
        ("AI", {"l2": 1.0}, "the manifest says 1.000000"),
        ("AI", {"linf": 1}, "the manifest says 1"),
        ("AW", {"network_label": "teapot"}, "the manifest teapot"),
    ],
)
def test_what_the_manifest_says_otherwise_is_found(several: Made, name: str, change: dict[str, Any], message: str):
    study, folder = several
    rows = read_manifest(folder)
    place = next(place for place, row in enumerate(rows) if row.set == name)
    rows[place] = dataclasses.replace(rows[place], **change)
    write_manifest(folder, rows)
    found = verify(study, folder, "cpu").disagreements
    assert {problem.file for problem in found} == {rows[place].stim_file}
    assert any(message in problem.found for problem in found)


def test_a_failure_counts_where_the_recipe_allows_none(several: Made, tmp_path: Path):
    study, folder = several
    failed = {row.stim_file for row in read_manifest(folder) if row.set == "FF" and not row.success}
    sets = {**study.stimuli.sets, "FF": study.stimuli.sets["FF"].model_copy(update={"failures_expected": False})}
    strict = study.model_copy(update={"stimuli": study.stimuli.model_copy(update={"sets": sets})})
    result = verify(strict, folder, "cpu")
    assert {problem.file for problem in result.disagreements} == failed
    assert all("a failure, " in problem.found for problem in result.disagreements)
    assert "FF" not in result.expected_failures


def test_an_image_whose_source_is_lost_is_still_asked_for_its_class(several: Made):
    study, folder = several
    rows = read_manifest(folder)
    source = next(row for row in rows if row.set == "RE")
    source.path(folder).write_bytes(b"")
    found = verify(study, folder, "cpu").disagreements
    assert [problem.file for problem in found] == [source.stim_file]


def test_the_manifest_of_another_study_is_refused(several_kinds: Made, tmp_path: Path):
    _, folder = several_kinds
    with pytest.raises(FoolscanError, match=r"found set FA; study small has RE, AN, AI"):
        verify(small_study(tmp_path), folder, "cpu")
