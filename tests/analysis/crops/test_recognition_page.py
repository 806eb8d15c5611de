"""The pages of recognition online in the report."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from crop_answers import crop_study, crowd_of_crops, crowd_of_sets, export, mark_people, set_study
from watermark import unmarked

from analysis.crops.tables import crops_path
from analysis.report import report, report_path
from protocols.answers import answers_table
from protocols.crops import read_crops
from protocols.folder import StudyFolder
from protocols.problems import NotReady
from protocols.study import Study

FIGURES = {"recognition_pairs", "recognition_network", "recognition_chance", "recognition_plates"}


@pytest.fixture
def asked(tmp_path: Path) -> tuple[Study, StudyFolder]:
    """A study of crops alone, with answers."""
    study, folder = crop_study(tmp_path, pairs=8, per_list=6)
    export(folder, "crops", *crowd_of_crops(folder, read_crops(folder), _chance, workers=6))
    return study, folder


def _chance(crop, ability: float) -> float:  # type: ignore[no-untyped-def]
    return 0.8 if crop.member == "fragile" else 0.4


def page(folder: StudyFolder, name: str = "recognition") -> str:
    return report_path(folder, name).read_text(encoding="utf-8")


def test_a_study_of_crops_alone_has_its_report(asked: tuple[Study, StudyFolder]) -> None:
    study, folder = asked
    names = [path.stem for path in report(study, folder)]
    assert names == ["report", "recognition", "intervals", "methods", "provenance"]
    assert "Online, simulated people recognised" in page(folder, "report")
    assert 'href="recognition.html"' in page(folder, "report")
    for anchor in ("gap", "chance", "beside-network", "pair-by-pair", "people"):
        assert f'id="{anchor}"' in page(folder)
    methods = page(folder, "methods")
    assert "separate groups of people saw the two members" in methods
    assert "within every 10 images there was an attention check" in methods
    assert "12 people, all of them simulated, began, 12 finished, 0 were excluded, and 12 count" in methods
    assert "scanner" not in methods.split("<main>")[1].split("</main>")[0]
    assert "variance components of crossed random factors" in page(folder, "intervals")


def test_every_figure_has_its_data_and_a_rehearsal_its_mark(asked: tuple[Study, StudyFolder]) -> None:
    study, folder = asked
    report(study, folder)
    figures = report_path(folder).parent / "figures"
    assert {path.stem for path in figures.glob("*.svg")} == FIGURES
    for name in FIGURES:
        sidecar = json.loads((figures / f"{name}.json").read_text(encoding="utf-8"))
        header = (figures / f"{name}.tsv").read_text(encoding="utf-8").splitlines()[0].split("\t")
        assert all(sidecar[column]["Description"] for column in header)
        assert sidecar["Simulated"] is True
    assert [name for name in unmarked(folder.root) if not name.startswith("stimuli/")] == []


def test_people_are_not_called_simulated(asked: tuple[Study, StudyFolder]) -> None:
    study, folder = asked
    mark_people(folder)
    answers, sessions = crowd_of_crops(folder, read_crops(folder), _chance, workers=6)
    export(
        folder,
        "crops",
        [replace(item, recruiter="link") for item in answers],
        [replace(item, recruiter="link") for item in sessions],
        simulated=False,
    )
    report(study, folder)
    assert "imulated" not in re.sub(r"data:image[^\"]*", "", page(folder)).split("</style>")[1]


def test_the_page_says_that_selection_inflates_the_networks_gap(asked: tuple[Study, StudyFolder]) -> None:
    study, folder = asked
    report(study, folder)
    assert "regression to the mean" in page(folder)
    assert "what chance alone gives" in page(folder)


def test_a_report_is_the_same_twice_and_left_alone(asked: tuple[Study, StudyFolder]) -> None:
    study, folder = asked
    report(study, folder)
    before = {path: path.read_bytes() for path in report_path(folder).parent.rglob("*") if path.is_file()}
    report(study, folder)
    for path in report_path(folder).parent.rglob("*.svg"):
        path.unlink()
    report_path(folder, "recognition").unlink()
    report(study, folder)
    after = {path: path.read_bytes() for path in report_path(folder).parent.rglob("*") if path.is_file()}
    assert [path.name for path in sorted({*before, *after}) if before.get(path) != after.get(path)] == []


def test_without_answers_the_page_goes(asked: tuple[Study, StudyFolder]) -> None:
    study, folder = asked
    report(study, folder)
    answers_table(folder, "crops").unlink()
    with pytest.raises(NotReady, match="no stimuli yet"):
        report(study, folder)


def test_nobody_who_counts_does_not_hinder_the_rest(tmp_path: Path) -> None:
    study, folder = set_study(tmp_path, sources=6)
    answers, sessions = crowd_of_sets(folder, {"RE": 0.9, "AN": 0.1, "AI": 0.8}, workers=2)
    out = {"counted": False, "excluded_for": "attention_failures"}
    export(
        folder, "recognition", [replace(item, **out) for item in answers], [replace(item, **out) for item in sessions]
    )
    assert "recognition" not in [path.stem for path in report(study, folder)]
    assert not crops_path(folder, "recognition", "summary").exists()


def test_crops_whose_files_are_gone_have_no_plates(asked: tuple[Study, StudyFolder]) -> None:
    study, folder = asked
    for path in (folder.stimuli / "crops").glob("*.png"):
        path.unlink()
    report(study, folder)
    assert "The files of the crops are not in this folder" in page(folder)


def test_script_in_a_typed_name_stays_text(tmp_path: Path) -> None:
    study, folder = set_study(tmp_path, sources=6)
    answers, sessions = crowd_of_sets(folder, {"RE": 0.9, "AN": 0.1, "AI": 0.8}, workers=3)
    bad = "<script>alert(1)</script> $x_1$"
    answers = [replace(item, typed=bad, correct=False) if item.question == "name" else item for item in answers]
    export(folder, "recognition", answers, sessions)
    report(study, folder)
    assert "<script" not in page(folder)
    assert "&lt;script&gt;alert(1)" in page(folder)


def test_sets_have_their_sections(tmp_path: Path) -> None:
    study, folder = set_study(tmp_path, sources=6)
    export(folder, "recognition", *crowd_of_sets(folder, {"RE": 0.9, "AN": 0.1, "AI": 0.8}, workers=3))
    report(study, folder)
    text = page(folder)
    for anchor in ("recognised", "differences", "confidence", "image-by-image", "people", "typed"):
        assert f'id="{anchor}"' in text
    assert "forced naming manufactures recognition" in text
    assert "made for" in text
    assert "Nobody who finished was excluded" in text
    assert "Online, simulated people were right (name, free) about" in page(folder, "report")
